/* SPDX-License-Identifier: MIT */
#include "app/config/config.h"

#include "app/base/file.h"
#include "app/base/log.h"
#include "app/config/adopt.h"
#include "app/config/entries.h"
#include "app/config/import_powermeter.h"
#include "app/config/keys.h"
#include "app/config/meters.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define CONFIG_FILE      "/etc/meterstick/meterstick.conf"
#define CONFIG_DIRECTORY "/etc/meterstick/conf.d"
#define SNIPPETS_MAX     128

void config_free(struct config *config)
{
    if (!config) {
        return;
    }
    for (unsigned i = 0; i < config->model_count; i++) {
        model_free(config->models[i]);
    }
    free(config->models);
    free(config->buses);
    free(config->meters);
    text_clear(&config->merged);
    pool_free(config->memory);
    free(config);
}

void config_freep(struct config **config)
{
    config_free(*config);
}

static struct config *config_new(void)
{
    auto_config struct config *config = calloc(1, sizeof(*config));

    if (!config || !(config->memory = pool_new())) {
        return NULL;
    }
    config->appliance.interval_ms = 10000;
    config->journal.commit_ms = 10000;
    config->journal.keep_days = 400;
    config->stick.burst_ms = 60000;
    config->stick.configure = true;
    config->leds.brightness_percent = 10;
    return TAKE(config);
}

/* How many sections of a kind there are: each has one entry without a key. */
static unsigned count_sections(const struct entries *entries, const char *kind)
{
    unsigned count = 0;

    for (size_t i = 0; i < entries->count; i++) {
        count += text_equal(entries->list[i].kind, kind) && !entries->list[i].key;
    }
    return count;
}

/* Room for all buses and meters; one bus more for those who name none. */
static int make_room(const struct entries *entries, struct loading *loading)
{
    struct config *config = loading->config;
    unsigned buses = count_sections(entries, "bus"), meters = count_sections(entries, "meter");

    if (buses > MAX_BUSES || meters > MAX_METERS) {
        problems_add(loading->problems, NULL, 0, "%u buses and %u meters; at most %d and %d are allowed", buses,
                     meters, MAX_BUSES, MAX_METERS);
        return -EINVAL;
    }
    config->buses = calloc(buses + 1, sizeof(*config->buses));
    config->meters = calloc(meters + 1, sizeof(*config->meters));
    loading->words = calloc(meters + 1, sizeof(*loading->words));
    return config->buses && config->meters && loading->words ? 0 : -ENOMEM;
}

static bool check_name(struct loading *loading, const struct entry *entry)
{
    if (text_is_name(entry->name)) {
        return true;
    }
    problems_add(loading->problems, entry->file, entry->line,
                 "[%s %s]: a name has small letters, digits, '-' and '_', at most 31, and is none that Windows "
                 "reserves",
                 entry->kind, entry->name);
    return false;
}

/* The bus that an entry belongs to, made when it is first seen. */
static bool enter_bus(struct loading *loading, const struct entry *entry)
{
    struct config *config = loading->config;

    for (unsigned i = 0; i < config->bus_count; i++) {
        if (text_equal(config->buses[i].name, entry->name)) {
            loading->bus = &config->buses[i];
            return true;
        }
    }
    if (!check_name(loading, entry)) {
        return false;
    }
    loading->bus = &config->buses[config->bus_count++];
    loading->bus->line = entry->line;
    loading->bus->file = entry->file;
    return text_copy(loading->bus->name, sizeof(loading->bus->name), entry->name) == 0;
}

static bool enter_meter(struct loading *loading, const struct entry *entry)
{
    struct config *config = loading->config;
    unsigned index = 0;

    while (index < config->meter_count && !text_equal(config->meters[index].name, entry->name)) {
        index++;
    }
    if (index == config->meter_count) {
        if (!check_name(loading, entry)) {
            return false;
        }
        config->meters[index] = (struct meter_config){ .address = 1, .bus = UINT_MAX, .max_power_w = NAN,
                                                       .line = entry->line, .file = entry->file };
        if (text_copy(config->meters[index].name, sizeof(config->meters[index].name), entry->name) < 0) {
            return false;
        }
        config->meter_count++;
    }
    loading->meter = &config->meters[index];
    loading->meter_words = &loading->words[index];
    return true;
}

/* Turn everything that was said into a configuration. */
static int interpret(struct entries *entries, struct loading *loading)
{
    int r;

    r = make_room(entries, loading);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; i < entries->count; i++) {
        const struct entry *entry = &entries->list[i];
        bool entered = true;

        if (text_equal(entry->kind, "bus")) {
            entered = enter_bus(loading, entry);
        } else if (text_equal(entry->kind, "meter")) {
            entered = enter_meter(loading, entry);
        } else if (*entry->name && !entry->key) {
            problems_add(loading->problems, entry->file, entry->line, "[%s] takes no name", entry->kind);
        }
        if (entered) {
            keys_take(loading, entry);
        }
    }
    return meters_resolve(loading);
}

/* Check all entries and make the configuration of them. */
static int finish(struct config *config, struct entries *entries, struct problems *problems, unsigned before)
{
    struct loading loading = { .config = config, .problems = problems };
    int r;

    r = interpret(entries, &loading);
    free(loading.words);
    if (r < 0) {
        return r;
    }
    entries_write(entries, &config->merged);
    if (config->merged.failed) {
        return -ENOMEM;
    }
    return problems->count > before ? -EINVAL : 0;
}

/* A file of another program is turned into ours first (PM-03). */
static int read_file(struct entries *entries, const char *path, struct text *powermeter)
{
    auto_free char *bytes = NULL;
    auto_text struct text ours = { 0 };
    size_t size, start;
    int r;

    r = file_read(path, MAX_FILE_SIZE, &bytes, &size);
    if (r == -EFBIG) {
        problems_add(entries->problems, path, 0, "larger than 1 MiB; this is no configuration");
        return -EINVAL;
    }
    if (r < 0) {
        return r;
    }
    start = strspn(bytes, " \t\r\n");
    if (size > start + 1 && bytes[start] == '[' && bytes[start + 1] && strchr("{] \t\r\n", bytes[start + 1])) {
        r = import_powermeter(path, bytes, size, entries->problems, &ours);
        if (r < 0) {
            return r;
        }
        text_add_bytes(powermeter, bytes, size);
        return entries_read_text(entries, path, text_string(&ours), ours.size);
    }
    return entries_read_text(entries, path, bytes, size);
}

static int is_snippet(const struct dirent *entry)
{
    return text_ends(entry->d_name, ".conf") && entry->d_name[0] != '.';
}

/* /etc/meterstick and its conf.d. Returns whether anything was there, or an error. */
static int read_system(struct entries *entries, struct text *powermeter)
{
    struct dirent **names = NULL;
    int found = 0, count, r;

    r = read_file(entries, CONFIG_FILE, powermeter);
    if (r < 0 && r != -ENOENT && r != -EINVAL) {
        problems_add(entries->problems, CONFIG_FILE, 0, "%s", strerror(-r));
    }
    found = r != -ENOENT;

    count = scandir(CONFIG_DIRECTORY, &names, is_snippet, alphasort);
    for (int i = 0; i < count; i++) {
        char path[PATH_SIZE];

        if (file_path(path, sizeof(path), CONFIG_DIRECTORY, names[i]->d_name) == 0) {
            r = read_file(entries, path, powermeter);
            if (r < 0 && r != -EINVAL) {
                problems_add(entries->problems, path, 0, "%s", strerror(-r));
            }
            found = 1;
        }
        free(names[i]);
    }
    free(names);
    return found;
}

/* Where the entries come from: all files, or one text. */
struct origin {
    const char *file, *state_dir;
    const char *name, *text;    // text NULL: files
    size_t size;
    bool adopting;              // files, and the text instead of adopted.conf
};

static int read_all(struct entries *entries, const struct origin *origin, struct text *powermeter)
{
    const char *file = origin->file;
    char adopted[PATH_SIZE];
    int found = 1, r;

    if (file) {
        r = read_file(entries, file, powermeter);
        if (r < 0 && r != -EINVAL) {
            problems_add(entries->problems, file, 0, "%s", strerror(-r));
            return r;
        }
    } else {
        found = read_system(entries, powermeter);
    }
    entries->adopted = true;
    if (origin->adopting) {
        r = entries_read_text(entries, origin->name, origin->text, origin->size);
        return r == -EINVAL ? 0 : r;
    }
    if (!origin->state_dir) {
        return found ? 0 : -ENOENT;
    }
    r = file_path(adopted, sizeof(adopted), origin->state_dir, ADOPT_FILE);
    if (r < 0) {
        return r;
    }
    r = read_file(entries, adopted, powermeter);
    if (r < 0 && r != -ENOENT && r != -ENOTDIR && r != -EINVAL) {
        problems_add(entries->problems, adopted, 0, "%s", strerror(-r));
    }
    return found || r == 0 ? 0 : -ENOENT;
}

static int load(const struct origin *origin, struct problems *problems, bool *ret_configure, struct config **ret)
{
    auto_config struct config *config = config_new();
    auto_text struct text powermeter = { 0 };
    unsigned before = problems->count;
    struct entries entries;
    int r;

    if (!config) {
        return -ENOMEM;
    }
    entries_init(&entries, config->memory, problems);
    r = origin->text && !origin->adopting ? entries_read_text(&entries, origin->name, origin->text, origin->size)
                                          : read_all(&entries, origin, &powermeter);
    if (r == 0 || (r == -EINVAL && origin->text)) {
        r = finish(config, &entries, problems, before);
    }
    *ret_configure = config->stick.configure;
    if (entries.failed || pool_failed(config->memory)) {
        problems_clear(problems);  // what is missing is not wrong
        r = -ENOMEM;
    }
    entries_clear(&entries);
    if (r < 0) {
        return r;
    }
    if (powermeter.size > 0) {
        import_powermeter_names(powermeter.data, powermeter.size, config);
    }
    *ret = TAKE(config);
    return 0;
}

int config_load(const char *file, const char *state_dir, struct problems *problems, struct config **ret)
{
    bool configure;

    return load(&(struct origin){ .file = file, .state_dir = state_dir }, problems, &configure, ret);
}

int config_load_text(const char *name, const char *text, size_t size, struct problems *problems,
                     struct config **ret)
{
    bool configure;

    return load(&(struct origin){ .name = name, .text = text, .size = size }, problems, &configure, ret);
}

int config_load_adopting(const char *file, const char *name, const char *text, size_t size, struct problems *problems,
                         bool *ret_configure, struct config **ret)
{
    *ret_configure = true;  // no memory for more
    return load(&(struct origin){ .file = file, .name = name, .text = text, .size = size, .adopting = true }, problems,
                ret_configure, ret);
}

int config_write(const struct config *config, struct text *ret)
{
    text_add(ret, "# The last configuration that was valid, all files merged. Written by meterstick.\n\n");
    text_add(ret, text_string(&config->merged));
    return ret->failed ? -ENOMEM : 0;
}

int config_meter(const struct config *config, const char *name, const char **ret_nearest)
{
    struct nearest nearest = { .word = name };

    for (unsigned i = 0; i < config->meter_count; i++) {
        if (text_equal(name, config->meters[i].name)) {
            return (int) i;
        }
        nearest_offer(&nearest, config->meters[i].name);
    }
    if (ret_nearest) {
        *ret_nearest = nearest.best;
    }
    return -1;
}

void config_set_up_log(const struct config *config, const char *program, const struct options *options)
{
    const char *level = options->log_level ? options->log_level : config->appliance.log_level;
    const char *file = options->log_file ? options->log_file : config->appliance.log_file;
    int r;

    r = log_setup(program, level, file);
    if (r < 0) {
        log_warning("log_file %s: %s; logging to stderr", file, strerror(-r));
    }
}

void config_source_setup(const struct config *config, unsigned meter, const struct selection *selection,
                         struct line *line, struct source_setup *ret)
{
    const struct meter_config *own = &config->meters[meter];
    const struct bus_config *bus = own->bus < config->bus_count ? &config->buses[own->bus] : NULL;

    *ret = (struct source_setup){
        .kind = own->kind,
        .meter = own->name,
        .bounds = own->bounds,
        .bounds_count = own->bounds_count,
        .inputs = own->inputs,
        .input_count = own->input_count,
        .model = own->model,
        .selection = selection ? selection : &own->selection,
        .line = line,
        .serial = own->serial,
        .unit = own->address,
        .timeout_ms = own->timeout_ms ? own->timeout_ms : bus ? bus->timeout_ms : 0,
        .max_registers = own->message_size,
        .command = own->command,
        .columns = own->columns,
    };
    if (bus) {
        ret->port = bus->port;
        ret->serial = own->serial.baud ? own->serial : bus->serial;
    }
}
