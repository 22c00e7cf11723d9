/* SPDX-License-Identifier: MIT */
// link: ms_base
#include "tests/test.h"

#include "app/base/pool.h"

#include <stdalign.h>

static void test_pieces_are_zeroed_aligned_and_apart(void)
{
    struct pool *pool = pool_new();
    unsigned char *pieces[300];

    for (size_t i = 0; i < 300; i++) {
        size_t size = i * 37 % 200 + 1;

        pieces[i] = pool_take(pool, size);
        CHECK(pieces[i]);
        CHECK_EQ((uintptr_t) pieces[i] % alignof(max_align_t), 0);
        for (size_t j = 0; j < size; j++) {
            CHECK_EQ(pieces[i][j], 0);
        }
        memset(pieces[i], (int) i, size);
    }
    for (size_t i = 0; i < 300; i++) {
        CHECK_EQ(pieces[i][0], (unsigned char) i);
        CHECK_EQ(pieces[i][i * 37 % 200], (unsigned char) i);
    }
    pool_free(pool);
}

static void test_a_piece_may_be_larger_than_a_chunk(void)
{
    struct pool *pool = pool_new();
    char *small = pool_string(pool, "small"), *large = pool_take(pool, 100000), *after = pool_string(pool, "after");

    CHECK(large);
    memset(large, 'x', 100000);
    CHECK_STR(small, "small");
    CHECK_STR(after, "after");
    pool_free(pool);
}

static void test_nothing_is_freed_without_harm(void)
{
    pool_free(NULL);
}

TESTS(test_pieces_are_zeroed_aligned_and_apart, test_a_piece_may_be_larger_than_a_chunk,
      test_nothing_is_freed_without_harm)
