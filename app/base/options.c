/* SPDX-License-Identifier: MIT */
#include "app/base/options.h"

#include "app/base/clock.h"
#include "app/base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct option_spec common_specs[] = {
    { "config", NULL, OPTION_TEXT, offsetof(struct options, config), "FILE",
      "configuration instead of /etc/meterstick", 0, 0 },
    { "state-dir", NULL, OPTION_TEXT, offsetof(struct options, state_dir), "DIR",
      "journal and state (/var/lib/meterstick)", 0, 0 },
    { "run-dir", NULL, OPTION_TEXT, offsetof(struct options, run_dir), "DIR",
      "status files (/run/meterstick)", 0, 0 },
    { "log-level", NULL, OPTION_TEXT, offsetof(struct options, log_level), "LEVEL",
      "error, warning, info or debug", 0, 0 },
    { "log-file", NULL, OPTION_TEXT, offsetof(struct options, log_file), "FILE",
      "log there instead of to stderr", 0, 0 },
};

static const struct option_spec *find_in(const struct option_spec *specs, size_t count, const char *name,
                                         size_t length)
{
    for (size_t i = 0; i < count; i++) {
        const char *const names[] = { specs[i].name, specs[i].alias };

        for (size_t j = 0; j < ARRAY_SIZE(names); j++) {
            if (names[j] && strlen(names[j]) == length && strncmp(names[j], name, length) == 0) {
                return &specs[i];
            }
        }
    }
    return NULL;
}

static void say_unknown(const struct verb_usage *usage, const char *name)
{
    const char *names[128];
    const char *nearest;
    size_t count = 0;

    for (size_t i = 0; i < usage->spec_count && count < ARRAY_SIZE(names); i++) {
        names[count++] = usage->specs[i].name;
    }
    for (size_t i = 0; i < ARRAY_SIZE(common_specs) && count < ARRAY_SIZE(names); i++) {
        names[count++] = common_specs[i].name;
    }

    nearest = text_nearest(name, names, count);
    (void) fprintf(stderr, "meterstick %s: there is no option --%s%s%s; see meterstick %s --help\n", usage->verb,
                   name, nearest ? ", did you mean --" : "", nearest ? nearest : "", usage->verb);
}

static void say_range(const struct verb_usage *usage, const struct option_spec *spec, const char *value)
{
    char low[TEXT_DURATION_SIZE], high[TEXT_DURATION_SIZE];

    if (spec->min == 0 && spec->max == 0) {
        (void) fprintf(stderr, "meterstick %s: --%s %s: %s is expected\n", usage->verb, spec->name, value,
                       spec->kind == OPTION_DURATION ? "a time such as 10 s" : "a whole number from 0 up");
    } else if (spec->kind == OPTION_DURATION) {
        (void) fprintf(stderr, "meterstick %s: --%s %s: a time from %s to %s is expected\n", usage->verb,
                       spec->name, value, text_duration(spec->min, low), text_duration(spec->max, high));
    } else {
        (void) fprintf(stderr, "meterstick %s: --%s %s: a whole number from %llu to %llu is expected\n",
                       usage->verb, spec->name, value, (unsigned long long) spec->min,
                       (unsigned long long) spec->max);
    }
}

static int store_item(const struct verb_usage *usage, const struct option_spec *spec, const char *value,
                      struct option_list *list)
{
    if (list->count == OPTION_LIST_MAX) {
        (void) fprintf(stderr, "meterstick %s: --%s may be given at most %d times\n", usage->verb, spec->name,
                       OPTION_LIST_MAX);
        return -EINVAL;
    }
    list->items[list->count++] = value;
    return 0;
}

static int store(const struct verb_usage *usage, const struct option_spec *spec, char *value, void *values)
{
    void *member = (char *) values + spec->offset;
    uint64_t max = spec->min == 0 && spec->max == 0 ? UINT64_MAX : spec->max;
    uint64_t number;
    int r = 0;

    switch (spec->kind) {
    case OPTION_FLAG:
        *(bool *) member = true;
        return 0;
    case OPTION_TEXT:
        *(const char **) member = value;
        return 0;
    case OPTION_LIST:
        return store_item(usage, spec, value, member);
    case OPTION_UNSIGNED:
        r = text_to_unsigned(value, spec->min, max, &number);
        break;
    case OPTION_DURATION:
        r = text_to_duration_ms(value, 1000, spec->min, MIN(max, (uint64_t) INT64_MAX), &number);
        break;
    }
    if (r < 0) {
        say_range(usage, spec, value);
        return -EINVAL;
    }
    *(uint64_t *) member = number;
    return 0;
}

static void print_specs(const struct option_spec *specs, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char left[64];

        (void) snprintf(left, sizeof(left), "--%s%s%s", specs[i].name, specs[i].argument ? " " : "",
                        specs[i].argument ? specs[i].argument : "");
        (void) printf("  %-28s %s\n", left, specs[i].help);
    }
}

static void print_help(const struct verb_usage *usage)
{
    (void) printf("Usage: meterstick %s %s\n\n%s\n\n", usage->verb, usage->synopsis, usage->summary);
    print_specs(usage->specs, usage->spec_count);
    print_specs(common_specs, ARRAY_SIZE(common_specs));
    (void) printf("  %-28s %s\n", "--help", "this text");
}

/*
 * One option of argv. Returns how many words of argv it took, 0 after --help, or -EINVAL.
 */
static int take_option(const struct verb_usage *usage, int rest, char **argv, void *values)
{
    char *name = argv[0] + 2;
    char *equals = strchr(name, '=');
    size_t length = equals ? (size_t) (equals - name) : strlen(name);
    const struct option_spec *spec = find_in(usage->specs, usage->spec_count, name, length);
    char *value = equals ? equals + 1 : NULL;
    int taken = 1, r;

    if (text_equal(name, "help")) {
        print_help(usage);
        return 0;
    }
    if (!spec) {
        spec = find_in(common_specs, ARRAY_SIZE(common_specs), name, length);
    }
    if (!spec) {
        name[length] = '\0';
        say_unknown(usage, name);
        return -EINVAL;
    }
    if (spec->kind == OPTION_FLAG && value) {
        (void) fprintf(stderr, "meterstick %s: --%s takes no value\n", usage->verb, spec->name);
        return -EINVAL;
    }
    if (spec->kind != OPTION_FLAG && !value) {
        if (rest < 2) {
            (void) fprintf(stderr, "meterstick %s: --%s needs a value: %s\n", usage->verb, spec->name,
                           spec->argument);
            return -EINVAL;
        }
        value = argv[1];
        taken = 2;
    }
    r = store(usage, spec, value, values);
    return r < 0 ? r : taken;
}

static int set_up_log(const struct verb_usage *usage, const struct options *options)
{
    int r;

    r = log_setup(usage->verb, options->log_level, options->log_file);
    if (r == -EINVAL) {
        (void) fprintf(stderr, "meterstick %s: --log-level %s: error, warning, info or debug is expected\n",
                       usage->verb, options->log_level);
    } else if (r < 0) {
        (void) fprintf(stderr, "meterstick %s: --log-file %s: %s\n", usage->verb, options->log_file,
                       strerror(-r));
        r = -EINVAL;
    }
    return r;
}

int options_parse(const struct verb_usage *usage, int argc, char **argv, void *values)
{
    struct options *options = values;
    bool only_arguments = false;
    int r;

    options->state_dir = options->state_dir ? options->state_dir : "/var/lib/meterstick";
    options->run_dir = options->run_dir ? options->run_dir : "/run/meterstick";
    options->arguments = argv;  // moved together in place
    for (int i = 0; i < argc;) {
        if (!only_arguments && text_equal(argv[i], "--")) {
            only_arguments = true;
            i++;
        } else if (!only_arguments && text_equal(argv[i], "-h")) {
            print_help(usage);
            return 1;
        } else if (!only_arguments && text_starts(argv[i], "--")) {
            r = take_option(usage, argc - i, argv + i, values);
            if (r <= 0) {
                return r < 0 ? r : 1;
            }
            i += r;
        } else if (!only_arguments && argv[i][0] == '-' && argv[i][1] != '\0') {
            (void) fprintf(stderr, "meterstick %s: there is no option %s; options begin with --\n", usage->verb,
                           argv[i]);
            return -EINVAL;
        } else {
            argv[options->argument_count++] = argv[i++];
        }
    }
    if (options->argument_count > usage->max_arguments) {
        (void) fprintf(stderr, "meterstick %s: '%s' is one word too many; see meterstick %s --help\n",
                       usage->verb, argv[usage->max_arguments], usage->verb);
        return -EINVAL;
    }
    return set_up_log(usage, options);
}
