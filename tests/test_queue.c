/* SPDX-License-Identifier: MIT */
// link: ms_acquire
#include "tests/test.h"

#include "app/acquire/queue.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

static struct record record;  // too large for small stacks
static struct sample sample;

static const struct sample *sample_of(uint64_t boot_ms, unsigned value_count)
{
    sample_clear(&sample, "kitchen", value_count, REASON_NONE);
    sample.boot_ms = boot_ms;
    for (unsigned i = 0; i < value_count; i++) {
        sample.values[i] = (double) boot_ms + i / 8.0;
    }
    return &sample;
}

static bool is_awake(const struct queue *queue)
{
    struct pollfd fd = { .fd = queue_fd(queue), .events = POLLIN };

    return poll(&fd, 1, 0) == 1;
}

static void test_it_fills_until_it_is_released(void)
{
    struct queue *queue;
    const size_t size = queue_sample_size(3, 0);

    CHECK_EQ(queue_new(1 << 20, &queue), 0);
    for (size_t i = 0; i < (1 << 20) / size * 3 / 4; i++) {
        CHECK(!queue_is_filling(queue));
        queue_push_sample(queue, 7, sample_of(i, 3), false, false);
    }
    queue_push_sample(queue, 7, &sample, false, false);
    queue_push_sample(queue, 7, &sample, false, false);
    CHECK(queue_is_filling(queue));
    while (queue_read(queue, 0, &record) == 1) {
    }
    CHECK(queue_is_filling(queue));
    CHECK_EQ(queue_release(queue, 0), 0);
    CHECK(!queue_is_filling(queue));
    CHECK_EQ(queue_lost(queue), 0);
    queue_free(queue);
}

static void test_a_sample_comes_out_as_it_went_in(void)
{
    struct queue *queue;

    CHECK_EQ(queue_new(4096, &queue), 0);
    sample_of(1234, 3);
    sample.values[1] = NAN;
    sample.reasons[1] = REASON_TIMEOUT;
    sample.word_count = 2;
    sample.words[0] = 0x1234;
    sample.words[1] = 0xFFFE;
    queue_push_sample(queue, 7, &sample, true, false);
    queue_push_sample(queue, 8, &sample, false, false);

    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK_EQ(record.kind, RECORD_SAMPLE);
    CHECK_EQ(record.meter, 7);
    CHECK_EQ(record.boot_ms, 1234);
    CHECK_EQ(record.value_count, 3);
    CHECK_NEAR(record.values[0], 1234, 0);
    CHECK_NAN(record.values[1]);
    CHECK_NEAR(record.values[2], 1234.25, 0);
    CHECK_EQ(record.word_count, 2);
    CHECK_EQ(record.words[1], 0xFFFE);
    CHECK(record.missing);
    CHECK(!record.held);
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK_EQ(record.meter, 8);
    CHECK_EQ(record.word_count, 0);
    CHECK(record.missing);
    CHECK_EQ(queue_read(queue, 0, &record), 0);
    queue_free(queue);
}

static void test_a_held_value_is_marked(void)
{
    struct queue *queue;

    CHECK_EQ(queue_new(4096, &queue), 0);
    sample_of(1, 2);
    sample.values[1] = NAN;
    sample.reasons[1] = REASON_HELD;
    queue_push_sample(queue, 0, &sample, false, false);
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK(record.held);
    CHECK(!record.missing);
    queue_free(queue);
}

static void test_what_the_guard_noted_travels_with_its_row(void)
{
    struct guard_note notes[2] = { { .column = 1, .value = 12.5, .boot_ms = 77 }, { .untold = 9 } };
    struct queue *queue;

    CHECK_EQ(queue_new(4096, &queue), 0);
    sample_of(1, 3);
    sample.word_count = 1;
    sample.words[0] = 0xABCD;
    queue_push_row(queue, 4, &sample, notes, 2, true, false);
    queue_push_sample(queue, 5, &sample, true, false);
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK_EQ(record.note_count, 2);
    CHECK_EQ(record.notes[0].column, 1);
    CHECK_NEAR(record.notes[0].value, 12.5, 0);
    CHECK_EQ(record.notes[1].untold, 9);
    CHECK_NEAR(record.values[2], 1.25, 0);
    CHECK_EQ(record.words[0], 0xABCD);
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK_EQ(record.note_count, 0);
    CHECK_EQ(record.words[0], 0xABCD);
    queue_free(queue);
}

static void test_events_and_epochs_keep_their_place(void)
{
    struct epoch epoch = { .wall_ms = 42, .source = CLOCK_NTP };
    struct queue *queue;

    CHECK_EQ(queue_new(4096, &queue), 0);
    queue_push_event(queue, 10, "lost", "meter 'kitchen' stopped answering", false);
    queue_push_epoch(queue, 11, &epoch);
    queue_push_sample(queue, 1, sample_of(12, 1), false, false);

    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK_EQ(record.kind, RECORD_EVENT);
    CHECK_STR(record.code, "lost");
    CHECK_STR(record.text, "meter 'kitchen' stopped answering");
    CHECK_EQ(record.boot_ms, 10);
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK_EQ(record.kind, RECORD_EPOCH);
    CHECK_EQ(record.epoch.wall_ms, 42);
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK_EQ(record.kind, RECORD_SAMPLE);
    queue_free(queue);
}

static void test_a_text_that_is_too_long_is_cut(void)
{
    char text[1000];
    struct queue *queue;

    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    CHECK_EQ(queue_new(4096, &queue), 0);
    queue_push_event(queue, 10, "a-code-of-more-than-16", text, false);
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK_EQ(strlen(record.code), QUEUE_CODE_SIZE - 1);
    CHECK_EQ(strlen(record.text), QUEUE_TEXT_SIZE - 1);
    queue_free(queue);
}

static void test_what_was_not_released_is_read_again(void)
{
    struct queue *queue;

    CHECK_EQ(queue_new(4096, &queue), 0);
    queue_push_sample(queue, 1, sample_of(1, 1), false, false);
    queue_push_sample(queue, 2, sample_of(2, 1), false, false);
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK_EQ(queue_release(queue, 0), 0);
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK_EQ(record.meter, 2);
    CHECK_EQ(queue_rewind(queue, 0), 0);
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK_EQ(record.meter, 2);
    CHECK_EQ(queue_read(queue, 0, &record), 0);
    queue_free(queue);
}

static void test_full_drops_the_oldest_and_counts(void)
{
    size_t size = queue_sample_size(12, 0);
    struct queue *queue;
    uint64_t first, count = 0;

    CHECK_EQ(queue_new(100 * size, &queue), 0);
    for (uint64_t i = 0; i < 1000; i++) {
        queue_push_sample(queue, 0, sample_of(i, 12), false, false);
    }
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    first = record.boot_ms;
    for (count = 1; queue_read(queue, 0, &record) == 1; count++) {
        CHECK_EQ(record.boot_ms, first + count);  // in order, none in between is missing
    }
    CHECK_EQ(first + count, 1000);                // the newest are there
    CHECK_EQ(queue_lost(queue), first);
    CHECK(count >= 98);
    queue_free(queue);
}

/* The writer hangs in a commit while the ring overflows: only a failed commit makes those rows lost. */
static void test_rows_of_a_hanging_commit_are_lost_only_if_it_fails(void)
{
    size_t size = queue_sample_size(12, 0);

    for (int fails = 0; fails < 2; fails++) {
        struct queue *queue;

        CHECK_EQ(queue_new(100 * size, &queue), 0);
        for (uint64_t i = 0; i < 50; i++) {
            queue_push_sample(queue, 0, sample_of(i, 12), false, false);
        }
        while (queue_read(queue, 0, &record) == 1) {
        }
        for (uint64_t i = 50; i < 120; i++) {
            queue_push_sample(queue, 0, sample_of(i, 12), false, false);
        }
        CHECK_EQ(queue_lost(queue), 0);
        if (fails) {
            CHECK_EQ(queue_rewind(queue, 0), 0);
            CHECK(queue_lost(queue) >= 20);
            CHECK_EQ(queue_read(queue, 0, &record), 1);
            CHECK_EQ(record.boot_ms, queue_lost(queue));
        } else {
            CHECK_EQ(queue_release(queue, 0), 0);
            CHECK_EQ(queue_lost(queue), 0);
            CHECK_EQ(queue_read(queue, 0, &record), 1);
            CHECK_EQ(record.boot_ms, 50);
        }
        queue_free(queue);
    }
}

/* Rows after it would else be given the time of the epoch before. */
static void test_an_epoch_survives_a_full_ring(void)
{
    struct epoch epoch = { .wall_ms = 42 };
    struct queue *queue;

    CHECK_EQ(queue_new(1, &queue), 0);
    queue_push_epoch(queue, 1, &epoch);
    for (uint64_t i = 0; i < 1000; i++) {
        queue_push_sample(queue, 0, sample_of(i, 12), false, false);
    }
    for (int again = 0; again < 2; again++) {
        CHECK_EQ(queue_read(queue, 0, &record), 1);
        CHECK_EQ(record.kind, RECORD_EPOCH);
        CHECK_EQ(record.epoch.wall_ms, 42);
        CHECK_EQ(queue_read(queue, 0, &record), 1);
        CHECK_EQ(record.kind, RECORD_SAMPLE);
        CHECK_EQ(queue_rewind(queue, 0), 0);
    }
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK_EQ(queue_release(queue, 0), 0);
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK_EQ(record.kind, RECORD_SAMPLE);
    queue_free(queue);
}

static void test_the_reader_sleeps_until_it_is_urgent_or_half_full(void)
{
    size_t size = queue_sample_size(12, 0);
    struct queue *queue;
    unsigned pushed;

    CHECK_EQ(queue_new(100 * size, &queue), 0);
    queue_push_sample(queue, 0, sample_of(1, 12), false, false);
    CHECK(!is_awake(queue));
    queue_push_sample(queue, 0, sample_of(1, 12), false, true);
    CHECK(is_awake(queue));
    queue_drain_wakes(queue);
    CHECK(!is_awake(queue));
    for (pushed = 2; !is_awake(queue) && pushed < 100; pushed++) {
        queue_push_sample(queue, 0, sample_of(1, 12), false, false);
    }
    CHECK(pushed >= 50 && pushed <= 52);
    queue_free(queue);
}

/* Threads: each pushes numbered samples of changing sizes, the reader checks that each thread's order holds. */

#define PUSHERS 4
#define PUSHES  20000

struct pusher {
    struct queue *queue;
    uint16_t meter;
    atomic_int *running;
    pthread_t thread;
};

static void *push_many(void *data)
{
    struct pusher *pusher = data;
    struct sample *own = calloc(1, sizeof(*own));

    for (unsigned i = 0; i < PUSHES; i++) {
        sample_clear(own, "m", 1 + i % 13, REASON_NONE);
        own->boot_ms = i;
        for (unsigned k = 0; k < own->value_count; k++) {
            own->values[k] = i;
        }
        queue_push_sample(pusher->queue, pusher->meter, own, false, i % 100 == 0);
    }
    free(own);
    atomic_fetch_sub(pusher->running, 1);
    return NULL;
}

static void test_threads_push_while_the_writer_reads(void)
{
    struct pusher pushers[PUSHERS];
    uint64_t expect[PUSHERS] = { 0 }, got = 0;
    atomic_int running = PUSHERS;
    bool over = false;
    struct queue *queue;

    CHECK_EQ(queue_new(64 * 1024, &queue), 0);
    for (uint16_t i = 0; i < PUSHERS; i++) {
        pushers[i] = (struct pusher){ .queue = queue, .meter = i, .running = &running };
        CHECK_EQ(pthread_create(&pushers[i].thread, NULL, push_many, &pushers[i]), 0);
    }
    while (!over) {
        struct pollfd fd = { .fd = queue_fd(queue), .events = POLLIN };

        over = atomic_load(&running) == 0;  // then what is read now is the rest
        (void) poll(&fd, 1, 10);
        queue_drain_wakes(queue);
        while (queue_read(queue, 0, &record) == 1) {
            CHECK(record.boot_ms >= expect[record.meter]);
            CHECK_EQ(record.value_count, 1 + record.boot_ms % 13);
            CHECK_NEAR(record.values[record.value_count - 1], (double) record.boot_ms, 0);
            expect[record.meter] = record.boot_ms + 1;
            got++;
        }
        CHECK_EQ(queue_release(queue, 0), 0);
    }
    for (int i = 0; i < PUSHERS; i++) {
        (void) pthread_join(pushers[i].thread, NULL);
    }
    CHECK_EQ(got + queue_lost(queue), PUSHERS * PUSHES);
    queue_free(queue);
}

/* A release counts records, whatever became of them: durable, dropped before they were read, or after. */
static void test_what_was_pushed_until_now_is_released_once_the_reader_is_past_it(void)
{
    struct queue *queue;
    uint64_t pushed;

    CHECK_EQ(queue_new(1, &queue), 0);
    CHECK(queue_is_released(queue, queue_pushed(queue)));
    queue_push_sample(queue, 1, sample_of(1, 3), false, false);
    queue_push_sample(queue, 1, sample_of(2, 3), false, false);
    pushed = queue_pushed(queue);
    CHECK_EQ(pushed, 2);
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    queue_push_sample(queue, 1, sample_of(3, 3), false, false);
    CHECK(!queue_is_released(queue, pushed));
    CHECK_EQ(queue_rewind(queue, 0), 0);
    CHECK(!queue_is_released(queue, pushed));
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK_EQ(queue_release(queue, 0), 0);
    CHECK(!queue_is_released(queue, pushed));
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK_EQ(queue_release(queue, 0), 0);
    CHECK(queue_is_released(queue, pushed));
    CHECK(!queue_is_released(queue, queue_pushed(queue)));

    // A ring that overflows, some of it read.
    pushed = queue_pushed(queue);
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    for (unsigned i = 0; i < 100; i++) {
        queue_push_sample(queue, 1, sample_of(4, MAX_POINTS), false, false);
    }
    CHECK(queue_is_released(queue, pushed));
    CHECK(!queue_is_released(queue, queue_pushed(queue)));
    while (queue_read(queue, 0, &record) == 1) {
    }
    CHECK_EQ(queue_release(queue, 0), 0);
    CHECK(queue_is_released(queue, queue_pushed(queue)));
    queue_free(queue);
}

/* Wherever head, tail and reader stand, and with a filler at the end of the ring. */
static void test_a_queue_grows_with_all_that_is_in_it(void)
{
    for (unsigned before = 0; before < 40; before++) {
        for (unsigned read = 0; read < 3; read++) {
            struct queue *queue;
            uint64_t lost;
            unsigned first = before;

            CHECK_EQ(queue_new(1, &queue), 0);
            queue_push_sample(queue, 1, sample_of(1000, 100), false, false);
            CHECK_EQ(queue_read(queue, 0, &record), 1);
            for (unsigned i = 0; i < before; i++) {
                queue_push_sample(queue, 1, sample_of(i, 100 + i), false, false);
                CHECK_EQ(queue_read(queue, 0, &record), 1);
                CHECK_EQ(queue_release(queue, 0), 0);
                queue_push_sample(queue, 1, sample_of(2000, 1), false, false);  // so that it does not begin anew
                CHECK_EQ(queue_read(queue, 0, &record), 1);
                CHECK_EQ(record.boot_ms, 2000);
            }
            CHECK_EQ(queue_release(queue, 0), 0);
            for (unsigned i = 0; i < 3; i++) {
                queue_push_sample(queue, 1, sample_of(before + i, 90 + i), false, false);
            }
            for (unsigned i = 0; i < read; i++) {
                CHECK_EQ(queue_read(queue, 0, &record), 1);
            }

            CHECK_EQ(queue_grow(queue, 1000000), 0);
            CHECK_EQ(queue_grow(queue, 1000), 0);  // never less
            for (unsigned i = 0; i < 300; i++) {
                queue_push_sample(queue, 1, sample_of(before + 3 + i, 100), false, false);
            }
            for (unsigned i = read; i < 303; i++) {
                CHECK_EQ(queue_read(queue, 0, &record), 1);
                CHECK_EQ(record.boot_ms, before + i);
                CHECK_EQ(record.value_count, i < 3 ? 90 + i : 100);
                CHECK_NEAR(record.values[8], before + i + 1, 0);
            }
            CHECK_EQ(queue_read(queue, 0, &record), 0);
            CHECK_EQ(queue_rewind(queue, 0), 0);
            CHECK_EQ(queue_read(queue, 0, &record), 1);
            CHECK_EQ(record.boot_ms, first);
            lost = queue_lost(queue);
            CHECK_EQ(lost, 0);
            queue_free(queue);
        }
    }
}

/* A card hangs, another reader takes the queue, and the first one comes back out of its call. */
static void test_who_lost_the_queue_can_do_nothing_to_it(void)
{
    struct queue *queue;
    uint64_t first, second;

    CHECK_EQ(queue_new(4096, &queue), 0);
    queue_push_sample(queue, 1, sample_of(1, 1), false, false);
    queue_push_sample(queue, 1, sample_of(2, 1), false, false);
    first = queue_take(queue);
    CHECK_EQ(queue_read(queue, first, &record), 1);
    CHECK_EQ(queue_read(queue, first, &record), 1);

    second = queue_take(queue);
    CHECK(second != first);
    CHECK_EQ(queue_read(queue, second, &record), 1);
    CHECK_EQ(record.boot_ms, 1);
    CHECK_EQ(queue_read(queue, first, &record), -ESTALE);
    CHECK_EQ(queue_rewind(queue, first), -ESTALE);
    CHECK_EQ(queue_release(queue, first), -ESTALE);
    CHECK_EQ(queue_release_until(queue, first, 2), -ESTALE);
    CHECK(!queue_is_released(queue, 1));
    CHECK_EQ(queue_read(queue, second, &record), 1);
    CHECK_EQ(record.boot_ms, 2);
    CHECK_EQ(queue_release(queue, second), 0);
    CHECK(queue_is_released(queue, 2));
    queue_free(queue);
}

static void test_samples_are_numbered_whatever_becomes_of_them(void)
{
    struct queue *queue;

    CHECK_EQ(queue_new(1, &queue), 0);
    queue_push_event(queue, 1, "start", "no sample", false);
    for (unsigned i = 0; i < 100; i++) {
        queue_push_sample(queue, 1, sample_of(i, MAX_POINTS), false, false);
    }
    CHECK_EQ(queue_read(queue, 0, &record), 1);
    CHECK(record.boot_ms > 50);
    CHECK_EQ(record.ordinal, record.boot_ms);
    queue_free(queue);
}

/* A commit that failed had reached the card all the same. */
static void test_a_part_is_released_after_it_was_rewound(void)
{
    struct epoch epoch = { .wall_ms = 42, .source = CLOCK_NTP };
    struct queue *queue;
    uint64_t position;

    for (unsigned lost = 0; lost < 100; lost += 33) {
        CHECK_EQ(queue_new(1, &queue), 0);
        queue_push_epoch(queue, 1, &epoch);
        queue_push_sample(queue, 1, sample_of(1, 1), false, false);
        queue_push_sample(queue, 1, sample_of(2, 1), false, false);
        for (unsigned i = 0; i < 3; i++) {
            CHECK_EQ(queue_read(queue, 0, &record), 1);
        }
        position = queue_position(queue);
        CHECK_EQ(position, 3);
        queue_push_sample(queue, 1, sample_of(3, 1), false, false);
        CHECK_EQ(queue_rewind(queue, 0), 0);
        for (unsigned i = 0; i < lost; i++) {
            queue_push_sample(queue, 1, sample_of(4 + i, MAX_POINTS), false, false);
        }
        CHECK_EQ(queue_release_until(queue, 0, position), 0);
        CHECK_EQ(queue_read(queue, 0, &record), 1);
        if (lost > 0 && record.kind == RECORD_EPOCH) {
            CHECK_EQ(queue_read(queue, 0, &record), 1);  // more went than were durable
        }
        CHECK_EQ(record.kind, RECORD_SAMPLE);
        CHECK(lost == 0 ? record.boot_ms == 3 : record.boot_ms > 3);
        CHECK_EQ(queue_rewind(queue, 0), 0);
        CHECK_EQ(queue_release_until(queue, 0, queue_pushed(queue)), 0);
        CHECK_EQ(queue_read(queue, 0, &record), 0);
        CHECK(queue_is_released(queue, queue_pushed(queue)));
        queue_free(queue);
    }
}

TESTS(test_who_lost_the_queue_can_do_nothing_to_it, test_samples_are_numbered_whatever_becomes_of_them,
      test_a_part_is_released_after_it_was_rewound,
      test_what_was_pushed_until_now_is_released_once_the_reader_is_past_it, test_a_queue_grows_with_all_that_is_in_it,
      test_a_sample_comes_out_as_it_went_in, test_it_fills_until_it_is_released, test_a_held_value_is_marked,
      test_what_the_guard_noted_travels_with_its_row, test_events_and_epochs_keep_their_place,
      test_a_text_that_is_too_long_is_cut, test_what_was_not_released_is_read_again,
      test_full_drops_the_oldest_and_counts, test_rows_of_a_hanging_commit_are_lost_only_if_it_fails,
      test_an_epoch_survives_a_full_ring, test_the_reader_sleeps_until_it_is_urgent_or_half_full,
      test_threads_push_while_the_writer_reads)
