/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/test.h"

#include "app/base/macros.h"
#include "drivers/alias.h"
#include "drivers/modbus_plan.h"
#include "drivers/model.h"

#include <errno.h>

#define SPANS_MAX 7

static const struct plan_timing at_9600 = { .character_us = 10 * 1e6 / 9600, .silence_us = 35 * 1e6 / 9600,
                                            .turnaround_us = 10000 };
static const struct plan_limits free_limits = { .max_registers = 125, .read_gaps = true };

/* The numbers of one test run, the same each time. */
static uint32_t next_random(uint32_t below)
{
    static uint64_t state = 88172645463325252;

    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t) (state >> 20) % below;
}

/* A plan as text: "3:100+2 4:7+1". */
static const char *plan_text(const struct plan_span *spans, size_t span_count, const struct plan_limits *limits,
                             const struct plan_timing *timing)
{
    static char text[1024];
    struct plan_block blocks[64];
    int count = plan_make(spans, span_count, limits, timing, blocks);
    int length = 0;

    text[0] = '\0';
    if (count < 0) {
        (void) snprintf(text, sizeof(text), "error %d", -count);
    }
    for (int i = 0; i < count; i++) {
        length += snprintf(text + length, sizeof(text) - (size_t) length, "%s%d:%u+%u", i > 0 ? " " : "",
                           (int) blocks[i].table, blocks[i].address, blocks[i].count);
    }
    return text;
}

static void test_a_request_costs_its_characters_silences_and_turnaround(void)
{
    static const struct plan_timing plain = { .character_us = 1000, .silence_us = 3500, .turnaround_us = 20000 };
    static const struct plan_timing tcp = { .turnaround_us = 20000 };
    static const struct plan_block blocks[] = { { MODBUS_HOLDING, 0, 2 }, { MODBUS_HOLDING, 9, 125 } };

    CHECK_NEAR(plan_block_us(&plain, 2), 17 * 1000 + 2 * 3500 + 20000, 1e-9);
    CHECK_NEAR(plan_block_us(&plain, 125), 263 * 1000 + 2 * 3500 + 20000, 1e-9);
    CHECK_NEAR(plan_us(&plain, blocks, 2), 44000 + 290000, 1e-9);
    CHECK_NEAR(plan_us(&plain, blocks, 0), 0, 0);
    CHECK_NEAR(plan_block_us(&tcp, 125), 20000, 0);
}

static void test_a_gap_is_read_when_that_is_shorter_than_one_more_request(void)
{
    // at 9600 8N1 and 10 ms turnaround, 14.8 registers are worth a request
    struct plan_span spans[] = { { MODBUS_HOLDING, 100, 2 }, { MODBUS_HOLDING, 116, 2 } };

    CHECK_STR(plan_text(spans, 2, &free_limits, &at_9600), "3:100+18");
    spans[1].address = 117;
    CHECK_STR(plan_text(spans, 2, &free_limits, &at_9600), "3:100+2 3:117+2");
}

static void test_on_tcp_everything_that_fits_is_one_request(void)
{
    static const struct plan_timing tcp = { .turnaround_us = 1000 };
    static const struct plan_span spans[] = { { MODBUS_INPUT, 200, 2 }, { MODBUS_INPUT, 100, 2 },
                                              { MODBUS_INPUT, 0, 1 } };

    CHECK_STR(plan_text(spans, 3, &free_limits, &tcp), "4:0+1 4:100+102");
    CHECK_STR(plan_text(spans, 2, &free_limits, &tcp), "4:100+102");
}

static void test_of_equal_plans_the_one_with_fewer_requests_then_registers_is_taken(void)
{
    // 10 registers of gap cost exactly as much as a request
    static const struct plan_timing even_terms = { .character_us = 1000, .silence_us = 0, .turnaround_us = 7000 };
    static const struct plan_span two[] = { { MODBUS_HOLDING, 0, 1 }, { MODBUS_HOLDING, 11, 1 } };
    // where characters cost nothing, fewer registers decide between {0, 100} {150} and {0} {100, 150}
    static const struct plan_timing tcp = { .turnaround_us = 1000 };
    static const struct plan_span three[] = { { MODBUS_HOLDING, 0, 1 }, { MODBUS_HOLDING, 100, 1 },
                                              { MODBUS_HOLDING, 150, 1 } };
    static const struct plan_span mirrored[] = { { MODBUS_HOLDING, 0, 1 }, { MODBUS_HOLDING, 50, 1 },
                                                 { MODBUS_HOLDING, 150, 1 } };

    CHECK_STR(plan_text(two, 2, &free_limits, &even_terms), "3:0+12");
    CHECK_STR(plan_text(three, 3, &free_limits, &tcp), "3:0+1 3:100+51");
    CHECK_STR(plan_text(mirrored, 3, &free_limits, &tcp), "3:0+51 3:150+1");
}

static void test_tables_are_never_mixed_and_order_does_not_matter(void)
{
    static const struct plan_span spans[] = { { MODBUS_INPUT, 2, 2 }, { MODBUS_HOLDING, 2, 2 }, { MODBUS_INPUT, 0, 2 },
                                              { MODBUS_HOLDING, 0, 2 } };

    CHECK_STR(plan_text(spans, 4, &free_limits, &at_9600), "3:0+4 4:0+4");
    CHECK_STR(plan_text(spans, 0, &free_limits, &at_9600), "");
}

static void test_spans_may_overlap_and_repeat(void)
{
    static const struct plan_span spans[] = { { MODBUS_HOLDING, 10, 4 }, { MODBUS_HOLDING, 12, 4 },
                                              { MODBUS_HOLDING, 10, 4 }, { MODBUS_HOLDING, 11, 1 } };

    CHECK_STR(plan_text(spans, 4, &free_limits, &at_9600), "3:10+6");
}

static void test_a_value_is_never_split_and_one_too_long_is_refused(void)
{
    static const struct plan_limits small = { .max_registers = 4, .read_gaps = true };
    struct plan_span spans[] = { { MODBUS_HOLDING, 0, 3 }, { MODBUS_HOLDING, 3, 3 } };

    CHECK_STR(plan_text(spans, 2, &small, &at_9600), "3:0+3 3:3+3");
    spans[1].count = 5;
    CHECK_EQ(plan_make(spans, 2, &small, &at_9600, (struct plan_block[2]){ 0 }), -EMSGSIZE);
    spans[1].count = 126;
    CHECK_EQ(plan_make(spans, 2, &free_limits, &at_9600, (struct plan_block[2]){ 0 }), -EMSGSIZE);
}

static void test_the_last_register_is_reached_and_none_behind_it(void)
{
    static const struct plan_limits even = { .max_registers = 125, .read_gaps = true, .even = true };
    static const struct plan_span spans[] = { { MODBUS_HOLDING, 65535, 1 }, { MODBUS_HOLDING, 65530, 1 } };

    CHECK_STR(plan_text(spans, 2, &free_limits, &at_9600), "3:65530+6");
    CHECK_STR(plan_text(spans, 2, &even, &at_9600), "3:65530+6");
}

static void test_no_gap_is_read_where_the_model_says_so(void)
{
    static const struct plan_limits no_gaps = { .max_registers = 125 };
    static const struct plan_range avoided[] = { { MODBUS_HOLDING, 4, 4 } };
    static const struct plan_limits avoid = { .max_registers = 125, .read_gaps = true, .avoid = avoided,
                                              .avoid_count = 1 };
    static const struct plan_span spans[] = { { MODBUS_HOLDING, 0, 2 }, { MODBUS_HOLDING, 2, 2 },
                                              { MODBUS_HOLDING, 5, 2 }, { MODBUS_HOLDING, 8, 1 } };
    static const struct plan_span over_it[] = { { MODBUS_HOLDING, 0, 2 }, { MODBUS_HOLDING, 3, 2 },
                                                { MODBUS_HOLDING, 6, 1 } };
    static const struct plan_span other_table[] = { { MODBUS_INPUT, 0, 2 }, { MODBUS_INPUT, 6, 2 } };

    CHECK_STR(plan_text(spans, 4, &no_gaps, &at_9600), "3:0+4 3:5+2 3:8+1");
    CHECK_STR(plan_text(spans, 4, &avoid, &at_9600), "3:0+4 3:5+4");
    CHECK_STR(plan_text(over_it, 3, &avoid, &at_9600), "3:0+7");  // a point is there
    CHECK_STR(plan_text(other_table, 2, &avoid, &at_9600), "4:0+8");
}

static void test_requests_are_even_where_the_meter_wants_that(void)
{
    static const struct plan_limits even = { .max_registers = 8, .read_gaps = true, .even = true };
    static const struct plan_span spans[] = { { MODBUS_HOLDING, 3, 2 }, { MODBUS_HOLDING, 41, 1 },
                                              { MODBUS_HOLDING, 61, 8 } };

    CHECK_STR(plan_text(spans, 2, &even, &at_9600), "3:2+4 3:40+2");
    CHECK_EQ(plan_make(spans, 3, &even, &at_9600, (struct plan_block[3]){ 0 }), -EMSGSIZE);  // 60 to 69
}

static void test_a_request_with_its_time_out_fits_into_a_hold_of_the_line(void)
{
    struct plan_timing held = at_9600;
    struct plan_span spans[100];
    struct plan_block blocks[100];
    int count;

    for (unsigned i = 0; i < 100; i++) {
        spans[i] = (struct plan_span){ MODBUS_HOLDING, (uint16_t) i, 1 };
    }
    held.max_hold_us = 700000;
    held.timeout_us = 500000;
    count = plan_make(spans, 100, &free_limits, &held, blocks);
    CHECK_EQ(count, 2);
    for (int i = 0; i < count; i++) {
        CHECK(plan_block_us(&held, blocks[i].count) + held.timeout_us <= held.max_hold_us);
    }
    held.timeout_us = 800000;  // nothing fits: one by one, rather than not at all
    CHECK_EQ(plan_make(spans, 100, &free_limits, &held, blocks), 100);
    spans[0].count = 90;
    CHECK_STR(plan_text(spans, 1, &free_limits, &held), "3:0+90");
}

/* A partition of the spans as group numbers; what its requests cost, or -1 if one is not allowed. */
static double cost_of_partition(const struct plan_span *spans, const unsigned *group, unsigned span_count,
                                unsigned group_count, const struct plan_limits *limits,
                                const struct plan_timing *timing)
{
    double sum = 0;

    for (unsigned g = 0; g < group_count; g++) {
        unsigned first = 65536, end = 0, members = 0, table = 0;

        for (unsigned i = 0; i < span_count; i++) {
            if (group[i] != g) {
                continue;
            }
            if (members++ > 0 && spans[i].table != table) {
                return -1;
            }
            table = spans[i].table;
            first = MIN(first, (unsigned) spans[i].address);
            end = MAX(end, (unsigned) spans[i].address + spans[i].count);
        }
        for (unsigned address = first; address < end; address++) {
            bool asked = false, avoided = !limits->read_gaps;

            for (unsigned i = 0; i < span_count; i++) {
                asked |= spans[i].table == table && address >= spans[i].address
                         && address < (unsigned) spans[i].address + spans[i].count;
            }
            for (size_t i = 0; i < limits->avoid_count; i++) {
                avoided |= limits->avoid[i].table == table && address >= limits->avoid[i].first
                           && address <= limits->avoid[i].last;
            }
            if (avoided && !asked) {
                return -1;
            }
        }
        if (limits->even) {
            first -= first % 2;
            end += end % 2;
        }
        if (end - first > limits->max_registers) {
            return -1;
        }
        if (timing->max_hold_us > 0 && members > 1
            && plan_block_us(timing, end - first) + timing->timeout_us > timing->max_hold_us) {
            return -1;
        }
        sum += plan_block_us(timing, end - first);
    }
    return sum;
}

struct search {
    const struct plan_span *spans;
    unsigned span_count;
    const struct plan_limits *limits;
    const struct plan_timing *timing;
    unsigned group[SPANS_MAX];
    double best;
};

/* All partitions: each span joins one of the groups so far or begins one. */
static void search(struct search *search_, unsigned i, unsigned group_count)
{
    if (i == search_->span_count) {
        double cost = cost_of_partition(search_->spans, search_->group, i, group_count, search_->limits,
                                        search_->timing);

        if (cost >= 0 && (search_->best < 0 || cost < search_->best)) {
            search_->best = cost;
        }
        return;
    }
    for (unsigned g = 0; g <= group_count; g++) {
        search_->group[i] = g;
        search(search_, i + 1, MAX(group_count, g + 1));
    }
}

/* Every span in one block, every block allowed, the sum as plan_us() says. */
static void check_plan(const struct plan_span *spans, unsigned span_count, const struct plan_limits *limits,
                       const struct plan_timing *timing, const struct plan_block *blocks, int block_count)
{
    for (unsigned i = 0; i < span_count; i++) {
        bool inside = false;

        for (int b = 0; b < block_count; b++) {
            inside |= blocks[b].table == spans[i].table && blocks[b].address <= spans[i].address
                      && spans[i].address + spans[i].count <= blocks[b].address + blocks[b].count;
        }
        CHECK(inside);
    }
    for (int b = 0; b < block_count; b++) {
        CHECK(blocks[b].count >= 1 && blocks[b].count <= limits->max_registers);
        CHECK(!limits->even || (blocks[b].address % 2 == 0 && blocks[b].count % 2 == 0));
        if (b > 0) {
            CHECK(blocks[b].table > blocks[b - 1].table
                  || (blocks[b].table == blocks[b - 1].table && blocks[b].address >= blocks[b - 1].address));
        }
    }
    (void) timing;
}

static void test_the_plan_is_as_short_as_the_best_of_all_partitions(void)
{
    unsigned compared = 0;

    for (int round = 0; round < 4000; round++) {
        struct plan_span spans[SPANS_MAX];
        struct plan_block blocks[SPANS_MAX];
        struct plan_range avoided[2];
        unsigned count = 1 + next_random(round % 20 == 0 ? SPANS_MAX : SPANS_MAX - 1);
        unsigned room = 5 + next_random(100);
        struct plan_timing timing = { .character_us = next_random(4) ? next_random(3000) : 0,
                                      .silence_us = next_random(4000), .turnaround_us = 1 + next_random(40000) };
        struct plan_limits limits = { .max_registers = 4 + next_random(40), .even = next_random(4) == 0,
                                      .read_gaps = next_random(4) != 0, .avoid = avoided,
                                      .avoid_count = next_random(3) };
        struct search all = { .spans = spans, .span_count = count, .limits = &limits, .timing = &timing, .best = -1 };
        int r;

        if (next_random(3) == 0 && timing.character_us > 0) {
            timing.timeout_us = next_random(50000);
            timing.max_hold_us = timing.timeout_us + plan_block_us(&timing, 2 + next_random(30));
        }
        for (size_t i = 0; i < 2; i++) {
            uint16_t first = (uint16_t) next_random(room);

            avoided[i] = (struct plan_range){ next_random(2) ? MODBUS_HOLDING : MODBUS_INPUT, first,
                                              (uint16_t) (first + next_random(5)) };
        }
        for (unsigned i = 0; i < count; i++) {
            spans[i] = (struct plan_span){ next_random(5) ? MODBUS_HOLDING : MODBUS_INPUT,
                                           (uint16_t) (1000 + next_random(room)), (uint16_t) (1 + next_random(4)) };
        }
        for (size_t i = 0; i < 2; i++) {
            avoided[i].first = (uint16_t) (avoided[i].first + 1000);
            avoided[i].last = (uint16_t) (avoided[i].last + 1000);
        }

        search(&all, 0, 0);
        r = plan_make(spans, count, &limits, &timing, blocks);
        if (all.best < 0) {
            CHECK_EQ(r, -EMSGSIZE);
            continue;
        }
        if (r < 0 || fabs(plan_us(&timing, blocks, (size_t) r) - all.best) > 0.01) {
            fail_msg("round %d: %d blocks take %.3f us, not %.3f", round, r,
                     r < 0 ? 0 : plan_us(&timing, blocks, (size_t) r), all.best);
        }
        check_plan(spans, count, &limits, &timing, blocks, r);
        compared++;
    }
    CHECK(compared > 3000);
}

/* Spans of named points of a model; of all that it logs with names NULL. */
static unsigned spans_of(const char *id, const char *const *names, size_t name_count, struct plan_span *ret)
{
    auto_problems struct problems problems = { 0 };
    auto_model struct model *model = NULL;
    unsigned count = 0;

    CHECK_EQ(model_find(id, &problems, &model), 0);
    for (size_t i = 0; i < (names ? name_count : model->point_count); i++) {
        int index = names ? model_point(model, names[i]) : (int) i;
        const struct point *point;

        CHECK(index >= 0);
        point = &model->points[index];
        if (names || point->codec->result != CODEC_TEXT) {
            ret[count++] = (struct plan_span){ point->table, point->address, (uint16_t) point->word_count };
        }
    }
    return count;
}

static void check_time(const struct plan_span *spans, unsigned span_count, const struct plan_limits *limits,
                       unsigned baud, double seconds, int requests)
{
    const struct serial_setting setting = { baud, 'N', 8, 1 };
    const struct plan_timing timing = { .character_us = serial_character_us(&setting),
                                        .silence_us = serial_silence_us(&setting), .turnaround_us = 10000 };
    struct plan_block blocks[MAX_POINTS];
    int count = plan_make(spans, span_count, limits, &timing, blocks);

    CHECK_EQ(count, requests);
    CHECK_NEAR(plan_us(&timing, blocks, (size_t) count) / 1e6, seconds, 0.00005);
}

/* Seconds and requests worked out by hand from the formulae of the header, 10 ms turnaround. */
static void test_seven_values_of_an_iem2150_take_the_time_that_was_worked_out(void)
{
    static const char *const names[] = { "voltage", "current", "power_active", "power_reactive", "power_factor",
                                         "frequency", "energy_active_import" };
    static const struct plan_limits no_gaps = { .max_registers = 125 };
    struct plan_span spans[7];
    unsigned count = spans_of("schneider-iem2150", names, ARRAY_SIZE(names), spans);

    check_time(spans, count, &free_limits, 9600, 0.2375, 5);
    check_time(spans, count, &free_limits, 19200, 0.1437, 5);
    check_time(spans, count, &free_limits, 38400, 0.0931, 2);
    check_time(spans, count, &free_limits, 115200, 0.0490, 2);
    check_time(spans, count, &no_gaps, 9600, 0.2450, 7);
    check_time(spans, count, &no_gaps, 38400, 0.1255, 7);
}

static void test_twenty_five_values_of_a_pm8000_take_the_time_that_was_worked_out(void)
{
    static const char *const names[] = {
        "active_energy_export", "active_energy_import", "active_power_phase_a", "active_power_phase_b",
        "active_power_phase_c", "active_power_total", "apparent_energy_export", "apparent_energy_import",
        "apparent_power_phase_a", "apparent_power_phase_b", "apparent_power_phase_c", "apparent_power_total",
        "current_phase_a", "current_phase_b", "current_phase_c", "frequency", "reactive_energy_export",
        "reactive_energy_import", "reactive_power_phase_a", "reactive_power_phase_b", "reactive_power_phase_c",
        "reactive_power_total", "voltage_phase_a", "voltage_phase_b", "voltage_phase_c",
    };
    static const struct plan_limits no_gaps = { .max_registers = 125 };
    struct plan_span spans[25];
    unsigned count = spans_of("schneider-pm8000", names, ARRAY_SIZE(names), spans);
    double one_by_one = 0;

    for (unsigned i = 0; i < count; i++) {
        one_by_one += plan_block_us(&at_9600, spans[i].count);
    }
    CHECK_NEAR(one_by_one / 1e6, 0.9, 0.00005);
    check_time(spans, count, &free_limits, 9600, 0.3167, 5);
    check_time(spans, count, &free_limits, 19200, 0.1833, 5);
    check_time(spans, count, &free_limits, 38400, 0.1129, 2);
    check_time(spans, count, &free_limits, 115200, 0.0556, 2);
    check_time(spans, count, &no_gaps, 9600, 0.3450, 7);
    check_time(spans, count, &no_gaps, 115200, 0.1132, 7);
}

static void test_all_points_of_a_cvm_take_seven_requests_of_forty_registers(void)
{
    static const struct plan_limits forty = { .max_registers = 40, .read_gaps = true };
    struct plan_span spans[110];
    struct plan_block blocks[110];
    unsigned count = spans_of("circutor-cvm-nrg96", NULL, 0, spans);
    double one_by_one = 110 * plan_block_us(&at_9600, 2);

    CHECK_EQ(count, 110);
    CHECK_EQ(plan_make(spans, count, &forty, &at_9600, blocks), 7);
    CHECK(one_by_one / plan_us(&at_9600, blocks, 7) > 5.5);
}

TESTS(test_a_request_costs_its_characters_silences_and_turnaround,
      test_a_gap_is_read_when_that_is_shorter_than_one_more_request,
      test_on_tcp_everything_that_fits_is_one_request,
      test_of_equal_plans_the_one_with_fewer_requests_then_registers_is_taken,
      test_tables_are_never_mixed_and_order_does_not_matter, test_spans_may_overlap_and_repeat,
      test_a_value_is_never_split_and_one_too_long_is_refused,
      test_the_last_register_is_reached_and_none_behind_it, test_no_gap_is_read_where_the_model_says_so,
      test_requests_are_even_where_the_meter_wants_that,
      test_a_request_with_its_time_out_fits_into_a_hold_of_the_line,
      test_the_plan_is_as_short_as_the_best_of_all_partitions,
      test_seven_values_of_an_iem2150_take_the_time_that_was_worked_out,
      test_twenty_five_values_of_a_pm8000_take_the_time_that_was_worked_out,
      test_all_points_of_a_cvm_take_seven_requests_of_forty_registers)
