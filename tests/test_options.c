/* SPDX-License-Identifier: MIT */
// link: ms_base
#include "tests/test.h"

#include "app/base/file.h"
#include "app/base/options.h"

#include <errno.h>
#include <fcntl.h>

struct verb {
    struct options options;
    bool header;
    const char *port;
    uint64_t address, interval_ms, count;
    struct option_list models;
};

static const struct option_spec specs[] = {
    { "header", NULL, OPTION_FLAG, offsetof(struct verb, header), NULL, "begin with the names", 0, 0 },
    { "port", "device", OPTION_TEXT, offsetof(struct verb, port), "P", "where the meter is", 0, 0 },
    { "address", NULL, OPTION_UNSIGNED, offsetof(struct verb, address), "N", "its address", 1, 247 },
    { "interval", NULL, OPTION_DURATION, offsetof(struct verb, interval_ms), "S", "poll so often", 1000, 3600000 },
    { "count", NULL, OPTION_UNSIGNED, offsetof(struct verb, count), "N", "polls", 0, 0 },
    { "model", NULL, OPTION_LIST, offsetof(struct verb, models), "M", "one or more", 0, 0 },
};

static const struct verb_usage usage = {
    .verb = "read",
    .synopsis = "[METER...]",
    .summary = "Read meters.",
    .specs = specs,
    .spec_count = ARRAY_SIZE(specs),
    .max_arguments = 2,
};

/* What the last run printed. */
static char printed[8192];

/* Put fd 1 or 2 into a file; returns the old one. */
static int redirect(int fd, const char *path)
{
    int kept = dup(fd);
    int file = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);

    (void) dup2(file, fd);
    (void) close(file);
    return kept;
}

static void restore(int fd, int kept)
{
    (void) dup2(kept, fd);
    (void) close(kept);
}

/* Parse a command line given in one string, words parted by blanks. The arguments stay until the next one. */
static int parse(char *line, struct verb *verb)
{
    char path[] = "/tmp/meterstick-options-XXXXXX";
    int made = mkstemp(path);
    static char *argv[64];
    int argc = 0, r, kept_out, kept_error;
    auto_free char *text = NULL;
    size_t size;

    for (char *rest = line, *word; *(word = text_word(&rest));) {
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    CHECK(made >= 0);
    (void) close(made);
    (void) fflush(stdout);
    kept_out = redirect(STDOUT_FILENO, path);
    kept_error = redirect(STDERR_FILENO, path);
    r = options_parse(&usage, argc, argv, verb);
    (void) fflush(stdout);
    restore(STDOUT_FILENO, kept_out);
    restore(STDERR_FILENO, kept_error);
    CHECK_EQ(file_read(path, sizeof(printed) - 1, &text, &size), 0);
    memcpy(printed, text, size + 1);
    (void) unlink(path);
    return r;
}

static void test_options_come_in_both_forms_and_arguments_in_between(void)
{
    char line[] = "kitchen --port /dev/ttyUSB0 --address=0x10 --interval 1.5 --header garage --count=3";
    struct verb verb = { .address = 1 };

    CHECK_EQ(parse(line, &verb), 0);
    CHECK_STR(printed, "");
    CHECK_STR(verb.port, "/dev/ttyUSB0");
    CHECK_EQ(verb.address, 16);
    CHECK_EQ(verb.interval_ms, 1500);
    CHECK_EQ(verb.count, 3);
    CHECK(verb.header);
    CHECK_EQ(verb.options.argument_count, 2);
    CHECK_STR(verb.options.arguments[0], "kitchen");
    CHECK_STR(verb.options.arguments[1], "garage");
}

static void test_without_options_the_defaults_stay(void)
{
    char line[] = "";
    struct verb verb = { .address = 1, .interval_ms = 10000 };

    CHECK_EQ(parse(line, &verb), 0);
    CHECK_EQ(verb.address, 1);
    CHECK_EQ(verb.interval_ms, 10000);
    CHECK(!verb.header && !verb.port && verb.options.config == NULL);
    CHECK_STR(verb.options.state_dir, "/var/lib/meterstick");
    CHECK_STR(verb.options.run_dir, "/run/meterstick");
    CHECK_EQ(verb.options.argument_count, 0);
}

static void test_a_verb_may_have_directories_of_its_own(void)
{
    char line[] = "--run-dir /tmp/r --config=a.conf";
    struct verb verb = { .options = { .state_dir = "/elsewhere" } };

    CHECK_EQ(parse(line, &verb), 0);
    CHECK_STR(verb.options.state_dir, "/elsewhere");
    CHECK_STR(verb.options.run_dir, "/tmp/r");
    CHECK_STR(verb.options.config, "a.conf");
}

static void test_an_option_may_have_another_name_and_the_last_one_counts(void)
{
    char line[] = "--device /dev/a --port= --device=/dev/b=c";
    struct verb verb = { 0 };

    CHECK_EQ(parse(line, &verb), 0);
    CHECK_STR(verb.port, "/dev/b=c");
}

static void test_a_list_may_be_given_again_and_again(void)
{
    char line[] = "--model a --model=b --model c";
    char many[1024] = "";
    struct verb verb = { 0 };

    CHECK_EQ(parse(line, &verb), 0);
    CHECK_EQ(verb.models.count, 3);
    CHECK_STR(verb.models.items[0], "a");
    CHECK_STR(verb.models.items[2], "c");

    for (int i = 0; i < 15; i++) {
        strcat(many, "--model a ");
    }
    verb = (struct verb){ 0 };
    CHECK_EQ(parse(many, &verb), 0);
    CHECK_EQ(verb.models.count, 15);
}

static void test_after_two_dashes_everything_is_an_argument(void)
{
    char line[] = "--header -- --port -x";
    struct verb verb = { 0 };

    CHECK_EQ(parse(line, &verb), 0);
    CHECK_EQ(verb.options.argument_count, 2);
    CHECK_STR(verb.options.arguments[0], "--port");
    CHECK_STR(verb.options.arguments[1], "-x");
    CHECK(!verb.port);
}

static void test_a_lone_dash_is_an_argument(void)
{
    char line[] = "-";
    struct verb verb = { 0 };

    CHECK_EQ(parse(line, &verb), 0);
    CHECK_EQ(verb.options.argument_count, 1);
}

static void test_wrong_use_is_told_in_one_line(void)
{
    static const struct { const char *line; const char *message; } cases[] = {
        { "--prot x", "meterstick read: there is no option --prot, did you mean --port; see meterstick read --help\n" },
        { "--stat-dir=x", "there is no option --stat-dir, did you mean --state-dir;" },
        { "--frobnicate", "meterstick read: there is no option --frobnicate; see meterstick read --help\n" },
        { "--por=x", "there is no option --por, did you mean --port;" },
        { "-p x", "meterstick read: there is no option -p; options begin with --\n" },
        { "--port", "meterstick read: --port needs a value: P\n" },
        { "--header=yes", "meterstick read: --header takes no value\n" },
        { "--address 0", "meterstick read: --address 0: a whole number from 1 to 247 is expected\n" },
        { "--address 248", "meterstick read: --address 248: a whole number from 1 to 247 is expected\n" },
        { "--address -1", "--address -1: a whole number from 1 to 247 is expected\n" },
        { "--address=", "--address : a whole number from 1 to 247 is expected\n" },
        { "--address one", "--address one: a whole number from 1 to 247 is expected\n" },
        { "--count -1", "--count -1: a whole number from 0 up is expected\n" },
        { "--count 99999999999999999999", "--count 99999999999999999999: a whole number from 0 up is expected\n" },
        { "--interval 999ms", "--interval 999ms: a time from 1 s to 60 min is expected\n" },
        { "--interval 2days", "--interval 2days: a time from 1 s to 60 min is expected\n" },
        { "--interval soon", "--interval soon: a time from 1 s to 60 min is expected\n" },
        { "a b c", "meterstick read: 'c' is one word too many; see meterstick read --help\n" },
        { "--log-level loud", "meterstick read: --log-level loud: error, warning, info or debug is expected\n" },
        { "--log-file /nowhere/x.log", "meterstick read: --log-file /nowhere/x.log: No such file or directory\n" },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        char line[128];
        struct verb verb = { 0 };

        CHECK_EQ(text_copy(line, sizeof(line), cases[i].line), 0);
        if (parse(line, &verb) != -EINVAL) {
            fail_msg("'%s' is wrong use", cases[i].line);
        }
        CHECK_HAS(printed, cases[i].message);
        CHECK_EQ(strchr(printed, '\n') - printed, strlen(printed) - 1);
    }
}

static void test_help_has_every_option_and_nothing_is_done(void)
{
    static const char *const lines[] = { "--help", "-h", "--port x --help --nonsense" };

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++) {
        char line[64];
        struct verb verb = { 0 };

        CHECK_EQ(text_copy(line, sizeof(line), lines[i]), 0);
        CHECK_EQ(parse(line, &verb), 1);
        CHECK_HAS(printed, "Usage: meterstick read [METER...]\n\nRead meters.\n\n");
        for (size_t j = 0; j < ARRAY_SIZE(specs); j++) {
            CHECK_HAS(printed, specs[j].name);
            CHECK_HAS(printed, specs[j].help);
        }
        CHECK_HAS(printed, "--config FILE");
        CHECK_HAS(printed, "--state-dir DIR");
        CHECK_HAS(printed, "--run-dir DIR");
        CHECK_HAS(printed, "--log-level LEVEL");
        CHECK_HAS(printed, "--log-file FILE");
        CHECK_HAS(printed, "--help");
    }
}

TESTS(test_options_come_in_both_forms_and_arguments_in_between, test_without_options_the_defaults_stay,
      test_a_verb_may_have_directories_of_its_own,
      test_an_option_may_have_another_name_and_the_last_one_counts, test_a_list_may_be_given_again_and_again,
      test_after_two_dashes_everything_is_an_argument, test_a_lone_dash_is_an_argument,
      test_wrong_use_is_told_in_one_line, test_help_has_every_option_and_nothing_is_done)
