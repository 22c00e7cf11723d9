/* SPDX-License-Identifier: MIT */
// link: ms_base
#include "tests/test.h"

#include "app/base/ini.h"
#include "app/base/limits.h"

#include <errno.h>

/* Every entry that the handler was told, one a line: "line kind/name key=value". */
static void note(const struct ini_entry *entry, void *data)
{
    struct text *seen = data;

    CHECK_STR(entry->file, "test.conf");
    if (!entry->key) {
        return;  // a header: see the test of those
    }
    text_addf(seen, "%u %s/%s %s=%s\n", entry->line, entry->kind, entry->name, entry->key ? entry->key : "(none)",
              entry->value ? entry->value : "(none)");
}

/* Read a text and compare what came of it. */
static void check_sized(const char *text, size_t size, const char *expected, const char *expected_problems)
{
    auto_text struct text seen = { 0 };
    auto_problems struct problems problems = { 0 };
    int r = ini_read_text("test.conf", text, size, note, &seen, &problems);

    CHECK_STR(problems_text(&problems), expected_problems);
    CHECK_STR(text_string(&seen), expected);
    CHECK_EQ(r, *expected_problems ? -EINVAL : 0);
}

static void check(const char *text, const char *expected, const char *expected_problems)
{
    check_sized(text, strlen(text), expected, expected_problems);
}

static void test_a_file_of_any_editor_is_read_the_same(void)
{
    static const char expected[] = "2 meter/kitchen bus=rs485\n"
                                   "4 meter/kitchen address=7\n";

    check("[meter kitchen]\nbus = rs485\n\naddress = 7\n", expected, "");
    check("[meter kitchen]\nbus = rs485\n\naddress = 7", expected, "");
    check("\xEF\xBB\xBF[meter kitchen]\nbus = rs485\n\naddress = 7\n", expected, "");
    check("[meter kitchen]\r\nbus = rs485\r\n\r\naddress = 7\r\n", expected, "");
    check("\xEF\xBB\xBF[meter kitchen]\r\nbus=rs485\r\n\r\naddress=7", expected, "");
    check("\t[meter\tkitchen]\t\n\tbus\t=\trs485\t\n\t\n  address=7  \n", expected, "");
}

static void test_comments_are_where_people_put_them(void)
{
    check("# one\n"
          "; two\n"
          "[bus a]  # three\n"
          "   # four\n"
          "port = auto # five\n"
          "lock = /name#not a comment\n"
          "label = a; b\n"
          "rs485 =  # nothing\n",
          "5 bus/a port=auto\n6 bus/a lock=/name#not a comment\n7 bus/a label=a; b\n8 bus/a rs485=\n", "");
}

static void test_keys_before_the_first_section_are_told_with_none(void)
{
    check("interval = 10 s\n", "1 / interval=10 s\n", "");
}

static void test_a_value_may_have_equals_and_colons_and_utf8(void)
{
    check("[meter a]\ncommand = read --x=1 tcp:host:502\nlabel = Küche €\n",
          "2 meter/a command=read --x=1 tcp:host:502\n3 meter/a label=Küche €\n", "");
}

static void test_a_table_has_its_lines_whole(void)
{
    check("[model]\nid = x\n[points]\nvoltage holding 3028 f32.abcd 1 V  # volts\n\nsource = a = b\n"
          "[model]\nlog = voltage\n",
          "2 model/ id=x\n4 points/ =voltage holding 3028 f32.abcd 1 V\n6 points/ =source = a = b\n"
          "8 model/ log=voltage\n",
          "");
}

static void note_header(const struct ini_entry *entry, void *data)
{
    if (!entry->key) {
        text_addf(data, "%u %s/%s\n", entry->line, entry->kind, entry->name);
    }
}

static void test_each_header_is_told_before_its_entries(void)
{
    static const char file[] = "[leds]\n# nothing\n[stick]\nburst = 5 s\n[bus a]\n[bus\n[points]\nx y\n";
    auto_text struct text seen = { 0 };
    auto_problems struct problems problems = { 0 };

    CHECK_EQ(ini_read_text("test.conf", file, strlen(file), note_header, &seen, &problems), -EINVAL);
    CHECK_STR(text_string(&seen), "1 leds/\n3 stick/\n5 bus/a\n7 points/\n");
}

static void test_the_keys_behind_a_bad_header_belong_to_nobody(void)
{
    check("[meter a]\naddress = 1\n[meter b\naddress = 2\nnonsense\n[meter c]\naddress = 3\n",
          "2 meter/a address=1\n7 meter/c address=3\n",
          "test.conf:3: bad section header '[meter b': it is written [kind] or [kind name]; its keys are ignored");
    check("[meter a b]\naddress = 2\n", "",
          "test.conf:1: bad section header '[meter a b]': a name is one word; its keys are ignored");
    check("[]\nx = 1\n[ ]\ny = 1\n[bus a]]\nz = 1\n", "",
          "test.conf:1: bad section header '[]': a name is one word; its keys are ignored\n"
          "test.conf:3: bad section header '[ ]': a name is one word; its keys are ignored\n"
          "test.conf:5: bad section header '[bus a]]': a name is one word; its keys are ignored");
}

static void test_a_header_too_long_for_the_library_is_refused_and_not_cut(void)
{
    check("[meter abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz]\naddress = 2\n", "",
          "test.conf:1: bad section header '[meter abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyz]': "
          "it is written [kind] or [kind name]; its keys are ignored");
}

static void test_a_line_that_is_neither_is_refused_with_its_number(void)
{
    check("[stick]\n\nburst\nburst: 5 s\n= 5\nburst = 5 s\n", "6 stick/ burst=5 s\n",
          "test.conf:3: 'burst' is neither key = value nor [section] nor # comment\n"
          "test.conf:4: 'burst: 5 s' is neither key = value nor [section] nor # comment\n"
          "test.conf:5: '= 5' has no key before the =");
}

static void test_a_long_key_is_refused_and_not_cut(void)
{
    // 49 bytes, as many as the library takes, and one more
    check("[a]\nabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvw = 1\n",
          "2 a/ abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvw=1\n", "");
    check("[a]\nx = 1\nabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx = 1\n", "2 a/ x=1\n",
          "test.conf:3: 'abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwx = 1': a key has at most 49 bytes");
    check("[a]\nbounds                                                     = 1\n", "2 a/ bounds=1\n", "");
}

static void test_utf16_is_named_as_such(void)
{
    static const char little[] = "\xFF\xFE[\0a\0]\0\n", big[] = "\xFE\xFF\0[\0a\0]";

    check_sized(little, sizeof(little), "", "test.conf:1: UTF-16 text; save the file as UTF-8");
    check_sized(big, sizeof(big), "", "test.conf:1: UTF-16 text; save the file as UTF-8");
}

static void test_nul_bytes_and_broken_utf8_are_refused_with_their_lines(void)
{
    static const char text[] = "[a]\nx = \0 1\ny = Z\xE4hler\nz = 1\n[b\0]\n";

    check_sized(text, sizeof(text) - 1, "4 a/ z=1\n",
                "test.conf:2: a NUL byte; this is no text file\n"
                "test.conf:3: bytes that are not UTF-8; save the file as UTF-8\n"
                "test.conf:5: a NUL byte; this is no text file");
}

static void test_a_line_is_as_long_as_allowed_and_not_a_byte_more(void)
{
    char text[MAX_LINE_SIZE + 32];
    auto_text struct text expected = { 0 };

    memset(text, 'v', sizeof(text));
    memcpy(text, "x=", 2);
    strcpy(text + MAX_LINE_SIZE, "\ny=1\n");
    text_addf(&expected, "1 / x=%.*s\n2 / y=1\n", MAX_LINE_SIZE - 2, text + 2);
    check(text, text_string(&expected), "");
    strcpy(text + MAX_LINE_SIZE, "v\ny=1\n");
    check(text, "2 / y=1\n", "test.conf:1: a line of 1001 bytes; at most 1000 are allowed");
}

static void test_a_line_of_a_megabyte_is_one_problem(void)
{
    size_t size = 1000000;
    auto_free char *text = malloc(size + 16);

    memset(text, 'x', size);
    strcpy(text + size, "\n[a]\nb = 1\n");
    check(text, "3 a/ b=1\n", "test.conf:1: a line of 1000000 bytes; at most 1000 are allowed");
    memset(text, '\n', size);
    check(text, "1000003 a/ b=1\n", "");
}

static void test_every_problem_is_told_and_all_else_read(void)
{
    check("[a]\nx\n[b c d]\ny = 1\n[e]\nz\xFF = 1\nw = 2\nv\n", "7 e/ w=2\n",
          "test.conf:2: 'x' is neither key = value nor [section] nor # comment\n"
          "test.conf:3: bad section header '[b c d]': a name is one word; its keys are ignored\n"
          "test.conf:6: bytes that are not UTF-8; save the file as UTF-8\n"
          "test.conf:8: 'v' is neither key = value nor [section] nor # comment");
}

static void test_problems_that_were_there_before_are_not_this_files(void)
{
    auto_text struct text seen = { 0 };
    auto_problems struct problems problems = { 0 };

    problems_add(&problems, "other.conf", 3, "bad");
    CHECK_EQ(ini_read_text("test.conf", "a = 1\n", 6, note, &seen, &problems), 0);
    CHECK_EQ(problems.count, 1);
    problems_add(&problems, "other.conf", 0, "also");
    problems_add(&problems, NULL, 0, "and");
    CHECK_STR(problems_text(&problems), "other.conf:3: bad\nother.conf: also\nand");
}

static void test_an_empty_file_says_nothing(void)
{
    check("", "", "");
    check("\xEF\xBB\xBF", "", "");
    check("\n\n# only\n", "", "");
}

static void nothing(const struct ini_entry *entry, void *data)
{
    (void) entry;
    ++*(unsigned *) data;
}

static void test_a_file_that_cannot_be_read_gives_the_systems_error(void)
{
    char path[] = "/tmp/meterstick-ini-XXXXXX";
    auto_problems struct problems problems = { 0 };
    unsigned count = 0;
    int fd = mkstemp(path);

    CHECK_EQ(ini_read("/nowhere/at/all.conf", nothing, &count, &problems), -ENOENT);
    CHECK_EQ(ini_read("/tmp", nothing, &count, &problems), -EISDIR);
    CHECK_EQ(problems.count, 0);

    CHECK(fd >= 0);
    CHECK_EQ(write(fd, "a = 1\nb\n", 8), 8);
    CHECK_EQ(ini_read(path, nothing, &count, &problems), -EINVAL);
    CHECK_EQ(count, 1);
    CHECK_HAS(problems_text(&problems), ":2: 'b' is neither");

    problems_clear(&problems);
    CHECK_EQ(ftruncate(fd, MAX_FILE_SIZE + 1), 0);
    CHECK_EQ(ini_read(path, nothing, &count, &problems), -EINVAL);
    CHECK_HAS(problems_text(&problems), "larger than 1 MiB");
    CHECK_EQ(count, 1);
    (void) close(fd);
    (void) unlink(path);
}

TESTS(test_a_file_of_any_editor_is_read_the_same, test_comments_are_where_people_put_them,
      test_keys_before_the_first_section_are_told_with_none, test_a_value_may_have_equals_and_colons_and_utf8,
      test_a_table_has_its_lines_whole, test_each_header_is_told_before_its_entries,
      test_the_keys_behind_a_bad_header_belong_to_nobody,
      test_a_header_too_long_for_the_library_is_refused_and_not_cut,
      test_a_line_that_is_neither_is_refused_with_its_number, test_a_long_key_is_refused_and_not_cut,
      test_utf16_is_named_as_such, test_nul_bytes_and_broken_utf8_are_refused_with_their_lines,
      test_a_line_is_as_long_as_allowed_and_not_a_byte_more, test_a_line_of_a_megabyte_is_one_problem,
      test_every_problem_is_told_and_all_else_read, test_problems_that_were_there_before_are_not_this_files,
      test_an_empty_file_says_nothing, test_a_file_that_cannot_be_read_gives_the_systems_error)
