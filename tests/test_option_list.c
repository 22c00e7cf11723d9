/* SPDX-License-Identifier: MIT */
// link: ms_base
#include "tests/test.h"

#include "app/base/options.h"

#include <errno.h>

struct values {
    struct options options;
    struct option_list models;
};

static int parse(int argc, char **argv, struct values *values)
{
    static const struct option_spec specs[] = {
        { "model", NULL, OPTION_LIST, offsetof(struct values, models), "M", "a model", 0, 0 },
    };
    static const struct verb_usage usage = { "try", "", "", specs, 1, 0 };

    *values = (struct values){ 0 };
    return options_parse(&usage, argc, argv, values);
}

static void test_an_option_given_again_and_again_is_a_list_in_its_order(void)
{
    char *argv[] = { (char[]){ "--model" }, (char[]){ "a" }, (char[]){ "--model=b" } };
    struct values values;

    CHECK_EQ(parse(3, argv, &values), 0);
    CHECK_EQ(values.models.count, 2);
    CHECK_STR(values.models.items[0], "a");
    CHECK_STR(values.models.items[1], "b");
}

static void test_a_list_that_is_too_long_is_refused(void)
{
    static char words[OPTION_LIST_MAX + 1][16];
    char *argv[OPTION_LIST_MAX + 1];
    struct values values;

    for (int i = 0; i <= OPTION_LIST_MAX; i++) {
        snprintf(words[i], sizeof(words[i]), "--model=m%d", i);
        argv[i] = words[i];
    }
    CHECK_EQ(parse(OPTION_LIST_MAX + 1, argv, &values), -EINVAL);
}

TESTS(test_an_option_given_again_and_again_is_a_list_in_its_order,
      test_a_list_that_is_too_long_is_refused)
