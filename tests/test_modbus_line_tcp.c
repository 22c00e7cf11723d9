/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/modbus_peer.h"

static void test_modbus_tcp_answers_refuses_and_is_silent(void)
{
    static const enum deed deeds[] = { ANSWER, REFUSE, STAY_SILENT, DRIP };
    struct rig rig;

    start_tcp(&rig, ENDPOINT_TCP, deeds, 4);
    CHECK_NEAR(line_character_us(rig.line), 0, 0);
    CHECK_NEAR(line_silence_us(rig.line), 0, 0);
    CHECK_EQ(ask(&rig, 40, 10), 0);
    CHECK_EQ(ask(&rig, 40, 10), -EOPNOTSUPP);
    CHECK_EQ(result.exception, 2);
    CHECK_EQ(ask(&rig, 40, 10), -ETIMEDOUT);
    CHECK_EQ(ask(&rig, 40, 10), 0);
    CHECK_EQ(rig.peer.requests[3].count, 10);  // transactions are numbered: no need for another length
    CHECK_EQ(rig.peer.requests[3].transaction, rig.peer.requests[0].transaction + 3);
    stop_tcp(&rig);
}

static void test_a_foreign_transaction_on_tcp_is_stepped_over_and_never_credited(void)
{
    static const enum deed deeds[] = { FOREIGN_FIRST, WRONG_TRANSACTION, WRONG_UNIT, ANSWER_LATE, ANSWER };
    struct rig rig;

    start_tcp(&rig, ENDPOINT_TCP, deeds, 5);
    CHECK_EQ(ask(&rig, 0, 2), 0);
    CHECK_EQ(ask(&rig, 10, 2), -EBADMSG);
    CHECK_EQ(result.fault, MODBUS_WRONG_TRANSACTION);
    CHECK_EQ(ask(&rig, 20, 2), -EBADMSG);
    CHECK_EQ(result.fault, MODBUS_WRONG_UNIT);
    CHECK_EQ(ask(&rig, 30, 2), -ETIMEDOUT);
    CHECK_EQ(ask(&rig, 40, 2), 0);
    stop_tcp(&rig);
}

static void test_a_connection_that_is_closed_is_opened_again_at_the_next_request(void)
{
    static const enum deed deeds[] = { ANSWER, HANG_UP, ANSWER };
    struct rig rig;

    start_tcp(&rig, ENDPOINT_TCP, deeds, 3);
    CHECK_EQ(ask(&rig, 0, 2), 0);
    CHECK_EQ(ask(&rig, 0, 2), -ENODEV);
    CHECK_HAS(line_problem(rig.line), "tcp:127.0.0.1:");
    CHECK_HAS(line_problem(rig.line), "closed by the other end");
    CHECK_EQ(ask(&rig, 0, 2), 0);
    stop_tcp(&rig);
}

static void test_rtu_over_tcp_keeps_late_answers_apart_as_a_serial_line_does(void)
{
    static const enum deed deeds[] = { ANSWER, ANSWER_LATE, ANSWER };
    struct rig rig;

    start_tcp(&rig, ENDPOINT_RTU_TCP, deeds, 3);
    CHECK_EQ(ask(&rig, 0, 2), 0);
    CHECK_EQ(ask(&rig, 10, 2), -ETIMEDOUT);
    CHECK_EQ(ask(&rig, 20, 2), 0);
    stop_tcp(&rig);
}

static void test_a_refused_connection_and_an_unknown_host_are_explained(void)
{
    static const struct serial_setting none = { 9600, 'N', 8, 1 };
    struct endpoint endpoint = { .kind = ENDPOINT_TCP, .host = "127.0.0.1", .service = "1" };
    auto_line struct line *refused = NULL, *unknown = NULL;
    struct rig rig;

    CHECK_EQ(line_new(&endpoint, &none, &refused), 0);
    rig = (struct rig){ .line = refused };
    CHECK_EQ(ask(&rig, 0, 2), -ECONNREFUSED);
    CHECK_STR(line_problem(refused), "tcp:127.0.0.1:1 refused the connection: the device is there, but nothing "
                                     "listens on "
                                     "that port");
    CHECK_EQ(text_copy(endpoint.host, sizeof(endpoint.host), "no-such-host.invalid"), 0);
    CHECK_EQ(line_new(&endpoint, &none, &unknown), 0);
    CHECK_EQ(line_open(unknown, clock_monotonic_us() + 1000000), -ENOENT);
    CHECK_HAS(line_problem(unknown), "no host of that name");
    line_close(NULL);
}

TESTS(test_modbus_tcp_answers_refuses_and_is_silent,
      test_a_foreign_transaction_on_tcp_is_stepped_over_and_never_credited,
      test_a_connection_that_is_closed_is_opened_again_at_the_next_request,
      test_rtu_over_tcp_keeps_late_answers_apart_as_a_serial_line_does,
      test_a_refused_connection_and_an_unknown_host_are_explained)
