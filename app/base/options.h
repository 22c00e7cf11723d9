/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Command lines of the verbs. One table a verb; --help is made from it. Long options only, in both forms
 * (--key value, --key=value); the common options (--config --state-dir --run-dir --log-level --log-file --help)
 * are in every verb. Wrong use: a message with the nearest option on stderr and EXIT_USAGE.
 */

#include "app/base/text.h"

enum option_kind {
    OPTION_FLAG,      // bool
    OPTION_TEXT,      // const char *, points into argv
    OPTION_UNSIGNED,  // uint64_t within min..max
    OPTION_DURATION,  // uint64_t in ms within min..max; a bare number is in seconds
    OPTION_LIST,      // struct option_list: may be given again and again
};

#define OPTION_LIST_MAX 32

struct option_list {
    const char *items[OPTION_LIST_MAX];  // point into argv
    unsigned count;
};

struct option_spec {
    const char *name;         // without the dashes
    const char *alias;        // another name for it, or NULL
    enum option_kind kind;
    size_t offset;            // of the member in the verb's own struct
    const char *argument;     // "FILE", for the help
    const char *help;
    uint64_t min, max;        // both 0: no limits
};

/* First member of every verb's struct. */
struct options {
    const char *config;       // NULL: /etc/meterstick and conf.d
    const char *state_dir;    // "/var/lib/meterstick"
    const char *run_dir;      // "/run/meterstick"
    const char *log_level;
    const char *log_file;
    char **arguments;         // what is not an option, in order
    unsigned argument_count;
};

struct verb_usage {
    const char *verb;         // "read"
    const char *synopsis;     // "[METER...] [--model M --port P]"
    const char *summary;      // one sentence
    const struct option_spec *specs;
    size_t spec_count;
    unsigned max_arguments;
};

/*
 * Parse argv (without the verb itself). values points to the verb's struct, whose first member is struct
 * options and whose other members hold the defaults.
 *
 * Returns 0 to go on, 1 if --help was printed (the caller exits 0), -EINVAL if a message was printed
 * (the caller exits EXIT_USAGE). Sets up the log.
 */
int options_parse(const struct verb_usage *usage, int argc, char **argv, void *values) MUST_CHECK;
