/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/modbus_peer.h"

static void test_a_meter_answers(void)
{
    static const enum deed deeds[] = { ANSWER };
    struct rig rig;
    uint64_t before_ms = clock_boot_ms();

    start_pty(&rig, deeds, 1);
    for (uint16_t i = 0; i < 20; i++) {
        CHECK_EQ(ask(&rig, (uint16_t) (i * 7), (uint16_t) (i + 1)), 0);
        CHECK_EQ(result.fault, MODBUS_ANSWERED);
        CHECK(result.latency_us > 0 && result.latency_us < TIMEOUT_US);
        CHECK(result.first_byte_ms + 50 >= before_ms && result.first_byte_ms <= clock_boot_ms());
    }
    CHECK_EQ(ask(&rig, 0, 125), 0);
    CHECK_EQ(rig.peer.request_count, 21);
    stop_pty(&rig);
}

static void test_whoever_slept_too_long_does_not_know_when_the_answer_came(void)
{
    static const enum deed deeds[] = { ANSWER };
    struct modbus_request request = { .unit = 1, .table = MODBUS_HOLDING, .address = 0, .count = 2 };
    struct rig rig;

    start_pty(&rig, deeds, 1);
    CHECK_EQ(line_transact(rig.line, &request, TIMEOUT_US, 0, words, &result), 0);
    CHECK(!result.latency_is_bound);
    CHECK_EQ(line_transact(rig.line, &request, TIMEOUT_US, 40000, words, &result), 0);
    CHECK(result.latency_is_bound);
    CHECK(result.latency_us > 30000);
    stop_pty(&rig);
}

static void test_silence_takes_the_time_out_and_no_longer(void)
{
    static const enum deed deeds[] = { STAY_SILENT, ANSWER };
    struct rig rig;
    uint64_t start_us;

    start_pty(&rig, deeds, 2);
    start_us = clock_monotonic_us();
    CHECK_EQ(ask(&rig, 5, 2), -ETIMEDOUT);
    CHECK_EQ(result.fault, MODBUS_SILENT);
    CHECK_EQ(result.latency_us, 0);
    CHECK(clock_monotonic_us() - start_us >= TIMEOUT_US);
    CHECK(clock_monotonic_us() - start_us < TIMEOUT_US + 200000);
    CHECK_EQ(ask(&rig, 5, 4), 0);
    stop_pty(&rig);
}

static void test_damaged_and_foreign_answers_are_no_answers(void)
{
    static const enum deed deeds[] = { DAMAGE, WRONG_UNIT, HALF, ANSWER };
    struct rig rig;

    start_pty(&rig, deeds, 4);
    CHECK_EQ(ask(&rig, 0, 2), -EBADMSG);
    CHECK_EQ(result.fault, MODBUS_CRC);
    CHECK_EQ(ask(&rig, 0, 4), -EBADMSG);
    CHECK_EQ(result.fault, MODBUS_WRONG_UNIT);
    CHECK_EQ(ask(&rig, 0, 6), -EBADMSG);
    CHECK_EQ(result.fault, MODBUS_SHORT);
    CHECK_EQ(ask(&rig, 0, 8), 0);
    stop_pty(&rig);
}

static void test_echo_noise_and_pauses_do_not_matter(void)
{
    static const enum deed deeds[] = { ECHO_FIRST, NOISE, DRIP, ANSWER };
    struct rig rig;

    start_pty(&rig, deeds, 4);
    for (uint16_t i = 0; i < 4; i++) {
        CHECK_EQ(ask(&rig, (uint16_t) (10 * i), 3), 0);
    }
    CHECK_EQ(rig.peer.request_count, 4);
    stop_pty(&rig);
}

static void test_a_refusal_has_its_code_and_is_told_at_once(void)
{
    static const enum deed deeds[] = { REFUSE, ANSWER };
    struct rig rig;
    uint64_t start_us;

    start_pty(&rig, deeds, 2);
    start_us = clock_monotonic_us();
    CHECK_EQ(ask(&rig, 0, 2), -EOPNOTSUPP);
    CHECK_EQ(result.fault, MODBUS_EXCEPTION);
    CHECK_EQ(result.exception, 2);
    CHECK(clock_monotonic_us() - start_us < TIMEOUT_US);
    CHECK_EQ(ask(&rig, 0, 2), 0);
    stop_pty(&rig);
}

/* RTU answers carry no address: that of register 0 would pass for that of register 10. ask() compares the words. */
static void test_a_late_answer_is_never_credited_to_the_next_request_of_its_length(void)
{
    static const enum deed deeds[] = { ANSWER_LATE, ANSWER };
    struct rig rig;

    start_pty(&rig, deeds, 2);
    CHECK_EQ(ask(&rig, 0, 2), -ETIMEDOUT);
    CHECK_EQ(ask(&rig, 10, 2), 0);
    CHECK_EQ(rig.peer.request_count, 2);
    CHECK_EQ(rig.peer.requests[1].count, 3);  // asked for one more, so that the lengths differ
    CHECK_EQ(rig.peer.requests[1].address, 10);
    CHECK_EQ(ask(&rig, 20, 2), 0);
    stop_pty(&rig);
}

static void test_late_answers_of_several_requests_are_all_kept_apart(void)
{
    static const enum deed deeds[] = { STAY_SILENT, ANSWER_LATE, ANSWER };
    struct rig rig;

    start_pty(&rig, deeds, 3);
    CHECK_EQ(ask(&rig, 0, 2), -ETIMEDOUT);
    CHECK_EQ(ask(&rig, 10, 2), -ETIMEDOUT);
    CHECK_EQ(ask(&rig, 20, 2), 0);
    CHECK_EQ(rig.peer.request_count, 3);
    CHECK_EQ(rig.peer.requests[1].count, 3);
    CHECK_EQ(rig.peer.requests[2].count, 4);
    stop_pty(&rig);
}

/* Two whole frames are not one damaged one: what was asked for may still come. Fault 8. */
static void test_late_answers_that_come_together_do_not_hide_another(void)
{
    static const enum deed deeds[] = { LATE_BEHIND_TWO, ANSWER };
    struct rig rig;

    start_pty(&rig, deeds, 2);
    CHECK_EQ(ask(&rig, 0, 2), -EBADMSG);
    CHECK_EQ(ask(&rig, 10, 2), 0);
    CHECK_EQ(rig.peer.requests[1].count, 3);
    stop_pty(&rig);
}

static void test_a_meter_that_refuses_the_longer_request_is_asked_when_late_answers_are_over(void)
{
    static const enum deed deeds[] = { STAY_SILENT, REFUSE, ANSWER };
    struct modbus_request exact = { .unit = 1, .table = MODBUS_HOLDING, .address = 10, .count = 2, .exact = true };
    struct rig rig;
    uint64_t start_us;

    start_pty(&rig, deeds, 3);
    CHECK_EQ(ask(&rig, 0, 2), -ETIMEDOUT);
    start_us = clock_monotonic_us();
    CHECK_EQ(ask(&rig, 10, 2), -EAGAIN);
    CHECK(clock_monotonic_us() - start_us < 1000000);  // nobody waits here: others may be asked
    CHECK(result.refuses_longer);
    CHECK(result.retry_us > clock_monotonic_us() + 1000000);
    CHECK_EQ(rig.peer.requests[1].count, 3);

    CHECK_EQ(line_transact(rig.line, &exact, TIMEOUT_US, 0, words, &result), -EAGAIN);  // and it is not asked again
    CHECK(!result.refuses_longer);
    CHECK_EQ(rig.peer.request_count, 2);
    CHECK_EQ(ask(&rig, 20, 5), 0);  // another length is asked at once
    clock_sleep_until_us(result.retry_us > 0 ? result.retry_us : start_us + 2000000);
    CHECK_EQ(ask(&rig, 10, 2), 0);
    CHECK_EQ(rig.peer.requests[3].count, 2);
    stop_pty(&rig);
}

/* A refusal has no length by which it could be told apart: it counts only if no answer follows. Fault 8. */
static void test_a_late_refusal_is_not_credited_to_the_next_request(void)
{
    static const enum deed deeds[] = { REFUSE_LATE, ANSWER, REFUSE_LATE, REFUSE, ANSWER };
    struct rig rig;

    start_pty(&rig, deeds, ARRAY_SIZE(deeds));
    CHECK_EQ(ask(&rig, 0, 2), -ETIMEDOUT);
    CHECK_EQ(ask(&rig, 10, 4), 0);
    CHECK_EQ(ask(&rig, 20, 6), -ETIMEDOUT);
    CHECK_EQ(ask(&rig, 30, 8), -EOPNOTSUPP);  // its own refusal came too
    CHECK_EQ(ask(&rig, 40, 8), 0);
    CHECK_EQ(rig.peer.requests[4].count, 9);  // the refusal may have been the other one's: the answer can be late
    stop_pty(&rig);
}

/* Bytes that are no answer may be noise, and the answer still come. Fault 6. */
static void test_after_noise_the_answer_may_still_be_late(void)
{
    static const enum deed deeds[] = { WRONG_UNIT, DAMAGE, ANSWER };
    struct rig rig;

    start_pty(&rig, deeds, 3);
    CHECK_EQ(ask(&rig, 0, 2), -EBADMSG);
    CHECK_EQ(ask(&rig, 10, 2), -EBADMSG);
    CHECK_EQ(rig.peer.requests[1].count, 3);
    CHECK_EQ(ask(&rig, 20, 3), 0);
    CHECK_EQ(rig.peer.requests[2].count, 3);  // what came damaged has come
    stop_pty(&rig);
}

static void test_a_port_that_vanishes_is_told_and_used_again_when_it_is_back(void)
{
    static const enum deed deeds[] = { ANSWER };
    char link[64];
    static const struct serial_setting fast = { 115200, 'N', 8, 1 };
    struct endpoint endpoint = { .kind = ENDPOINT_SERIAL };
    struct rig rig;
    struct rig again;

    (void) snprintf(link, sizeof(link), "/tmp/meterstick-line-%d", (int) getpid());
    start_pty(&rig, deeds, 1);
    CHECK_EQ(symlink(rig.path, link), 0);
    CHECK_EQ(text_copy(endpoint.path, sizeof(endpoint.path), link), 0);
    line_close(rig.line);
    CHECK_EQ(line_new(&endpoint, &fast, &rig.line), 0);
    CHECK_EQ(ask(&rig, 0, 2), 0);

    (void) unlink(link);
    (void) close(rig.keeper);
    // a hangup of the master, as when an adapter is pulled
    rig.peer.stop = true;
    (void) pthread_join(rig.peer.thread, NULL);
    (void) close(rig.peer.fd);
    CHECK_EQ(ask(&rig, 0, 2), -ENODEV);
    CHECK_HAS(line_problem(rig.line), "adapter gone");
    CHECK_EQ(ask(&rig, 0, 2), -ENOENT);
    CHECK_HAS(line_problem(rig.line), "there is no device /tmp/meterstick-line-");

    start_pty(&again, deeds, 1);
    CHECK_EQ(symlink(again.path, link), 0);
    CHECK_EQ(ask(&rig, 0, 2), -ENOENT);  // looked for once a second
    (void) usleep(1050000);
    CHECK_EQ(ask(&rig, 3, 2), 0);
    line_close(rig.line);
    stop_pty(&again);
    (void) unlink(link);
}

static void test_a_port_in_use_or_of_no_serial_device_is_explained(void)
{
    static const enum deed deeds[] = { ANSWER };
    static const struct serial_setting fast = { 115200, 'N', 8, 1 };
    struct endpoint endpoint = { .kind = ENDPOINT_SERIAL };
    auto_line struct line *second = NULL, *none = NULL;
    struct rig rig;

    start_pty(&rig, deeds, 1);
    CHECK_EQ(ask(&rig, 0, 2), 0);
    CHECK_EQ(text_copy(endpoint.path, sizeof(endpoint.path), rig.path), 0);
    CHECK_EQ(line_new(&endpoint, &fast, &second), 0);
    CHECK_EQ(line_open(second, UINT64_MAX), -EBUSY);
    CHECK_HAS(line_problem(second), "is in use by another program");
    CHECK_EQ(text_copy(endpoint.path, sizeof(endpoint.path), "/dev/null"), 0);
    CHECK_EQ(line_new(&endpoint, &fast, &none), 0);
    CHECK_EQ(line_open(none, UINT64_MAX), -ENOTTY);
    CHECK_STR(line_problem(none), "/dev/null is no serial device");
    stop_pty(&rig);
}

static void test_a_setting_is_changed_for_the_next_request(void)
{
    static const enum deed deeds[] = { ANSWER };
    static const struct serial_setting slow = { 19200, 'N', 8, 1 };
    struct termios terminal;
    struct rig rig;

    start_pty(&rig, deeds, 1);
    CHECK_NEAR(line_character_us(rig.line), 86.8056, 1e-3);
    CHECK_EQ(ask(&rig, 0, 1), 0);
    CHECK_EQ(tcgetattr(rig.keeper, &terminal), 0);
    CHECK_EQ(cfgetospeed(&terminal), B115200);
    line_set_serial(rig.line, &slow);
    CHECK_EQ(ask(&rig, 0, 1), 0);
    CHECK_EQ(tcgetattr(rig.keeper, &terminal), 0);
    CHECK_EQ(cfgetospeed(&terminal), B19200);
    CHECK_NEAR(line_character_us(rig.line), 520.8333, 1e-3);
    CHECK_NEAR(line_silence_us(rig.line), 3.5 * 520.8333, 1e-2);
    stop_pty(&rig);
}

static void test_between_requests_there_is_silence(void)
{
    static const enum deed deeds[] = { ANSWER };
    static const struct serial_setting slow = { 1200, 'N', 8, 1 };
    struct rig rig;
    uint64_t answered_us;

    start_pty(&rig, deeds, 1);
    line_set_serial(rig.line, &slow);
    CHECK_EQ(ask(&rig, 0, 1), 0);
    answered_us = clock_monotonic_us();
    CHECK_EQ(ask(&rig, 0, 1), 0);
    CHECK(clock_monotonic_us() - answered_us >= 29000);  // 3.5 characters at 1200 Bd
    stop_pty(&rig);
}

static void test_a_line_is_silent_before_it_is_given_away_not_after_it_is_taken(void)
{
    static const enum deed deeds[] = { ANSWER };
    static const struct serial_setting slow = { 1200, 'N', 8, 1 };
    struct rig rig;
    uint64_t start_us;

    start_pty(&rig, deeds, 1);
    line_set_serial(rig.line, &slow);
    start_us = clock_monotonic_us();
    CHECK_EQ(ask(&rig, 0, 1), 0);
    CHECK(clock_monotonic_us() - start_us < 25000);
    start_us = clock_monotonic_us();
    line_close(TAKE(rig.line));
    CHECK(clock_monotonic_us() - start_us >= 29000);
    stop_pty(&rig);
}

TESTS(test_a_meter_answers, test_whoever_slept_too_long_does_not_know_when_the_answer_came,
      test_silence_takes_the_time_out_and_no_longer, test_damaged_and_foreign_answers_are_no_answers,
      test_echo_noise_and_pauses_do_not_matter, test_a_refusal_has_its_code_and_is_told_at_once,
      test_a_late_answer_is_never_credited_to_the_next_request_of_its_length,
      test_late_answers_of_several_requests_are_all_kept_apart,
      test_late_answers_that_come_together_do_not_hide_another,
      test_a_meter_that_refuses_the_longer_request_is_asked_when_late_answers_are_over,
      test_a_late_refusal_is_not_credited_to_the_next_request, test_after_noise_the_answer_may_still_be_late,
      test_a_port_that_vanishes_is_told_and_used_again_when_it_is_back,
      test_a_port_in_use_or_of_no_serial_device_is_explained, test_a_setting_is_changed_for_the_next_request,
      test_between_requests_there_is_silence, test_a_line_is_silent_before_it_is_given_away_not_after_it_is_taken)
