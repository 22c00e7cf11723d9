/* SPDX-License-Identifier: MIT */
/* meterstick check: everything that is wrong with a configuration; and other programs' turned into ours. */
#include "app/base/exit.h"
#include "app/base/file.h"
#include "app/base/options.h"
#include "app/cli/verbs.h"
#include "app/config/config.h"
#include "app/config/import_cvm.h"
#include "app/config/import_powermeter.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

struct check_options {
    struct options common;
    const char *from_cvm;
    const char *from_powermeter;
};

static const struct option_spec specs[] = {
    { "from-cvm", NULL, OPTION_TEXT, offsetof(struct check_options, from_cvm), "FILE",
      "print our configuration for a CVM-NRG96 setup file", 0, 0 },
    { "from-powermeter", NULL, OPTION_TEXT, offsetof(struct check_options, from_powermeter), "FILE",
      "print our configuration for a powermeter JSON file", 0, 0 },
};

static const struct verb_usage usage = {
    .verb = "check",
    .synopsis = "[FILE]",
    .summary = "Say everything that is wrong with the configuration, or with FILE.",
    .specs = specs,
    .spec_count = ARRAY_SIZE(specs),
    .max_arguments = 1,
};

typedef int importer(const char *name, const char *text, size_t size, struct problems *problems, struct text *ret);

/* Print what the other program's file is in our words, once that was checked as well. */
static int convert(const char *file, importer *import)
{
    auto_problems struct problems problems = { 0 };
    auto_config struct config *config = NULL;
    auto_text struct text made = { 0 };
    auto_free char *text = NULL;
    size_t size;
    int r;

    r = file_read(file, MAX_FILE_SIZE, &text, &size);
    if (r < 0) {
        (void) fprintf(stderr, "%s: %s\n", file, strerror(-r));
        return EXIT_CONFIG;
    }
    r = import(file, text, size, &problems, &made);
    if (r == 0) {
        r = config_load_text(file, made.data, made.size, &problems, &config);
    }
    if (r < 0) {
        (void) fprintf(stderr, "%s\n", problems.count ? problems_text(&problems) : strerror(-r));
        return EXIT_CONFIG;
    }

    (void) fputs(text_string(&made), stdout);
    return EXIT_OK;
}

int verb_check(int argc, char **argv)
{
    struct check_options options = { 0 };
    auto_problems struct problems problems = { 0 };
    auto_config struct config *config = NULL;
    const char *file;
    int r;

    r = options_parse(&usage, argc, argv, &options);
    if (r != 0) {
        return r < 0 ? EXIT_USAGE : EXIT_OK;
    }
    if (options.from_cvm) {
        return convert(options.from_cvm, import_cvm);
    }
    if (options.from_powermeter) {
        return convert(options.from_powermeter, import_powermeter);
    }

    file = options.common.argument_count ? options.common.arguments[0] : options.common.config;
    r = config_load(file, options.common.state_dir, &problems, &config);
    if (r == -ENOENT && problems.count == 0) {
        (void) printf("there is no configuration (/etc/meterstick/meterstick.conf)\n");
        return EXIT_CONFIG;
    }
    if (r < 0) {
        (void) fprintf(stderr, "%s\n%s\n", problems.count ? problems_text(&problems) : strerror(-r),
                       "Nothing was changed; a running service keeps its last good configuration.");
        return EXIT_CONFIG;
    }

    if (problems.count) {
        (void) fprintf(stderr, "%s\n", problems_text(&problems));
    }
    (void) printf("%s is right: %u meter%s on %u bus%s\n", file ? file : "the configuration", config->meter_count,
                  config->meter_count == 1 ? "" : "s", config->bus_count, config->bus_count == 1 ? "" : "es");
    return EXIT_OK;
}
