/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * meterstick.conf: what a person configured, checked. Immutable once loaded.
 *
 * Without --config: /etc/meterstick/meterstick.conf, /etc/meterstick/conf.d (*.conf) in the order of their names,
 * then <state-dir>/adopted.conf; later wins key by key. With --config F: F, then adopted.conf.
 */

#include "app/base/options.h"
#include "app/base/problems.h"
#include "drivers/source.h"

#include <stdbool.h>
#include <stdint.h>

enum csv_format { CSV_METERSTICK, CSV_ENERGY_SCRIBE };
enum led_colours { COLOURS_README, COLOURS_CODE };

struct bus_config {
    char name[METER_ID_SIZE];
    struct endpoint port;
    struct serial_setting serial;      // baud 0: that of its first meter's model
    char lock[METER_ID_SIZE + 8];      // "/rs485", "none", "" = the default name
    bool rs485_kernel;
    unsigned timeout_ms;               // 0: the models'
    unsigned line;                     // where it stands, for messages
    const char *file;
};

struct meter_config {
    char name[METER_ID_SIZE];
    enum source_kind kind;
    unsigned bus;                      // index; meters of SOURCE_EXEC have none (UINT_MAX)
    const struct model *model;         // NULL: exec
    struct selection selection;        // log =, what is stored
    unsigned address;
    struct serial_setting serial;      // baud 0: the bus's
    unsigned interval_ms;              // of polling
    unsigned log_every_ms;             // of rows; 0: each poll is a row (CVM-04)
    unsigned timeout_ms;
    unsigned message_size;             // most registers a request; 0: the model's
    double max_power_w;                // what the connection can carry; NAN: not given
    struct bounds *bounds;             // [MAX_BOUNDS], NULL if there are none
    unsigned bounds_count;
    struct input *inputs;              // [MAX_INPUTS], NULL if there are none
    unsigned input_count;
    char *command;                     // exec
    struct layout *columns;            // exec
    char label[LABEL_SIZE];
    char location[LABEL_SIZE];
    unsigned line;
    const char *file;
};

struct config_journal {
    unsigned commit_ms;
    unsigned keep_days;
    uint64_t budget_bytes;             // 0: half the partition
    bool keep_words;
};

struct config {
    struct {
        char name[METER_ID_SIZE];      // "": made from the board's serial number
        unsigned interval_ms;
        char timezone[64];             // "": the system's
        bool clock_trusted;
        const char *log_level;         // NULL: "info"; an option on the command line wins
        const char *log_file;          // NULL: stderr
    } appliance;
    struct config_journal journal;
    struct {
        unsigned burst_ms;
        enum csv_format csv;
        bool configure;
    } stick;
    struct {
        unsigned brightness_percent;
        enum led_colours colours;
    } leds;
    struct bus_config *buses;
    unsigned bus_count;
    struct meter_config *meters;
    unsigned meter_count;
    struct model **models;             // each once, shared by the meters of that model
    unsigned model_count;
    struct pool *memory;               // strings, layouts
    struct text merged;                // what config_write() gives
};

#define auto_config CLEANUP(config_freep)

/*
 * Load. The caller frees *ret with config_free().
 *
 * file       --config, or NULL
 * state_dir  for adopted.conf; NULL: without
 *
 * Errors: -EINVAL problems name every fault with file, line, key, what is allowed and the nearest known word;
 *         -ENOENT no configuration at all (problems stay empty unless `file` was named)
 */
int config_load(const char *file, const char *state_dir, struct problems *problems, struct config **ret) MUST_CHECK;

/* The same from one text, for tests and for other programs' configurations turned into ours. */
int config_load_text(const char *name, const char *text, size_t size, struct problems *problems,
                     struct config **ret) MUST_CHECK;

/*
 * What config_load() would give if this text were adopted.conf: its keys are those of a closed set (closed.h), and all
 * that is wrong is told, here or in the other files. *ret_configure: whether those allow it; set in any case.
 */
int config_load_adopting(const char *file, const char *name, const char *text, size_t size, struct problems *problems,
                         bool *ret_configure, struct config **ret) MUST_CHECK;
void config_free(struct config *config);
void config_freep(struct config **config);

/* The merged result as one file: what <state-dir>/good.conf keeps. */
int config_write(const struct config *config, struct text *ret) MUST_CHECK;

/* What a source needs for one of the meters. selection NULL: the configured one. line is the bus's. */
void config_source_setup(const struct config *config, unsigned meter, const struct selection *selection,
                         struct line *line, struct source_setup *ret);

/*
 * Let the log of a program follow the configuration where its options leave that open. A log file that cannot be opened
 * is a warning: logging goes on to stderr.
 */
void config_set_up_log(const struct config *config, const char *program, const struct options *options);

/* Index of a meter by name, -1 if there is none; *ret_nearest (may be NULL) gets a near name or NULL. */
int config_meter(const struct config *config, const char *name, const char **ret_nearest);
