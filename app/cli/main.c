/* SPDX-License-Identifier: MIT */
/*
 * meterstick VERB: the commands are functions of this program, the services programs beside it, so that a reading
 * need not load what only a service uses.
 */
#include "app/cli/verbs.h"

#include "app/base/exit.h"
#include "app/base/file.h"
#include "app/base/limits.h"
#include "app/base/text.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct verb {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);  // NULL: the program meterstick-<name>
} verbs[] = {
    { "acquire", "read all meters and keep the journal (service)", NULL },
    { "check", "say everything that is wrong with a configuration", verb_check },
    { "demo", "try everything on simulated meters", verb_demo },
    { "export", "print what the journal holds as CSV or JSON", NULL },
    { "ip", "have the lights read out the network address", NULL },
    { "led", "give one of the lights a colour by hand", NULL },
    { "leds", "show the state on the eight lights (service)", NULL },
    { "models", "list the known meters, or the points of one", verb_models },
    { "ports", "list the serial adapters", verb_ports },
    { "read", "read meters now and print their values", verb_read },
    { "scan", "find the meters on the ports", verb_scan },
    { "simulate", "answer as meters would that are not there", verb_simulate },
    { "status", "show what the services are doing", verb_status },
    { "stick", "write the readings to USB sticks (service)", NULL },
};

static void print_help(FILE *file)
{
    (void) fprintf(file, "Usage: meterstick VERB [...]\n\n");
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        (void) fprintf(file, "  %-10s %s\n", verbs[i].name, verbs[i].summary);
    }
    (void) fprintf(file, "\nmeterstick VERB --help says more; meterstick --version names the version.\n");
}

static int say_unknown(const char *name)
{
    const char *names[ARRAY_SIZE(verbs)];
    char hint[TEXT_HINT_SIZE];

    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        names[i] = verbs[i].name;
    }
    (void) fprintf(stderr, "meterstick: there is no verb '%s'%s; see meterstick --help\n", name,
                   text_hint(text_nearest(name, names, ARRAY_SIZE(names)), hint));
    return EXIT_USAGE;
}

/* Become meterstick-<verb>: beside this program, or where a package puts it. Returns only on failure. */
static int run_program(const struct verb *verb, char **argv)
{
    static const char *const places[] = { ".", "../libexec/meterstick" };
    char directory[PATH_SIZE], path[PATH_SIZE * 2];
    int r;

    r = file_program_directory(directory, sizeof(directory));
    if (r < 0) {
        (void) fprintf(stderr, "meterstick: where this program stands: %s\n", strerror(-r));
        return EXIT_IO;
    }
    for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
        (void) snprintf(path, sizeof(path), "%s/%s/meterstick-%s", directory, places[i], verb->name);
        (void) execv(path, argv);  // comes back only if it is not there
        if (errno != ENOENT) {
            break;
        }
    }

    (void) fprintf(stderr, "meterstick: the program for '%s' cannot be started: %s: %s\n", verb->name, path,
                   strerror(errno));
    return EXIT_IO;
}

int main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return EXIT_USAGE;
    }
    if (text_equal(argv[1], "--help") || text_equal(argv[1], "-h") || text_equal(argv[1], "help")) {
        print_help(stdout);
        return EXIT_OK;
    }
    if (text_equal(argv[1], "--version")) {
        (void) printf("meterstick " METERSTICK_VERSION "\n");
        return EXIT_OK;
    }
    for (size_t i = 0; i < ARRAY_SIZE(verbs); i++) {
        if (text_equal(verbs[i].name, argv[1])) {
            return verbs[i].run ? verbs[i].run(argc - 2, argv + 2) : run_program(&verbs[i], argv + 1);
        }
    }
    return say_unknown(argv[1]);
}
