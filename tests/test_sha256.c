/* SPDX-License-Identifier: MIT */
// link: ms_base
#include "app/base/sha256.h"

#include "app/base/text.h"
#include "tests/test.h"

#include <stdio.h>

/*
 * The first two with the one of a million letters are the examples of FIPS 180-4 (NIST, "Examples with Intermediate
 * Values", SHA256.pdf); the others were made with sha256sum(1), around the ends of blocks.
 */
static const struct { const char *bytes; unsigned repeat; const char *expect; } cases[] = {
    { "abc", 1, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad" },
    { "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 1,
      "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1" },
    { "a", 1000000, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0" },
    { "", 1, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" },
    { "x", 1, "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881" },
    { "x", 55, "d5e285683cd4efc02d021a5c62014694958901005d6f71e89e0989fac77e4072" },
    { "x", 56, "04c26261370ee7541549d16dee320c723e3fd14671e66a099afe0a377c16888e" },
    { "x", 63, "75220b47218278e656f2013bb8f0c455a25eaf01e86c64924e9d48d89776d6f2" },
    { "x", 64, "7ce100971f64e7001e8fe5a51973ecdfe1ced42befe7ee8d5fd6219506b5393c" },
    { "x", 65, "9537c5fdf120482f7d58d25e9ed583f52c02b4e304ea814db1633ad565aed7e9" },
    { "x", 119, "000b48d4edf0fa7bee3c6236ecd2785baa5db4eeb8bb54341b029e0d9fa5fb0c" },
    { "x", 120, "13f05a0b594787f5ecd315edc96141bd3243203d1b7d4f0836f37308b276ba98" },
    { "x", 128, "24da1b81d0b16df6428eee73c69fcb2a93c76bc6df706f0c6670fe6bfe800464" },
};

static void test_the_standards_own_examples_and_the_ends_of_blocks(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        auto_text struct text text = { 0 };
        char digits[SHA256_TEXT_SIZE];

        for (unsigned n = 0; n < cases[i].repeat; n++) {
            text_add(&text, cases[i].bytes);
        }
        sha256_text(text_string(&text), text.size, digits);
        CHECK_STR(digits, cases[i].expect);
        CHECK(sha256_is_text(digits, ""));
    }
}

static void test_only_64_small_digits_are_one(void)
{
    char name[SHA256_TEXT_SIZE + 8];

    CHECK(sha256_is_text("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.conf", ".conf"));
    CHECK(!sha256_is_text("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad.conf.tmp", ".conf"));
    CHECK(!sha256_is_text("BA7816BF8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", ""));
    CHECK(!sha256_is_text("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015a", ""));
    CHECK(!sha256_is_text("../7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", ""));
    CHECK(!sha256_is_text("", ""));
    CHECK(snprintf(name, sizeof(name), "%065d", 0) == 65 && !sha256_is_text(name, ""));
}

TESTS(test_the_standards_own_examples_and_the_ends_of_blocks, test_only_64_small_digits_are_one)
