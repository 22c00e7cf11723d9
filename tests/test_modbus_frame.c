/* SPDX-License-Identifier: MIT */
// link: ms_drivers
#include "tests/test.h"

#include "app/base/macros.h"
#include "drivers/modbus_frame.h"

/*
 * Frames with literal bytes. "V1.1b3" is the MODBUS Application Protocol, whose examples give unit-less PDUs; the
 * checksums of the serial ones are computed bit by bit here, the way of MODBUS over Serial Line V1.02, 6.2.2.
 */

static uint16_t slow_crc(const uint8_t *bytes, size_t size)
{
    uint16_t crc = 0xFFFF;

    for (size_t i = 0; i < size; i++) {
        crc ^= bytes[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = (uint16_t) (crc & 1 ? crc >> 1 ^ 0xA001 : crc >> 1);
        }
    }
    return crc;
}

/* Put the right checksum behind a frame. Returns the size with it. */
static size_t sealed(uint8_t *frame, size_t size)
{
    uint16_t crc = slow_crc(frame, size);

    frame[size] = (uint8_t) crc;
    frame[size + 1] = (uint8_t) (crc >> 8);
    return size + 2;
}

/* V1.1b3 section 6.3: registers 108 to 110 are 555, 0, 100. */
static const struct modbus_request example = { .unit = 0x11, .table = MODBUS_HOLDING, .address = 0x006B, .count = 3 };
static const uint8_t example_request[] = { 0x11, 0x03, 0x00, 0x6B, 0x00, 0x03, 0x76, 0x87 };
static const uint8_t example_answer[] = { 0x11, 0x03, 0x06, 0x02, 0x2B, 0x00, 0x00, 0x00, 0x64, 0xC8, 0xBA };
static const uint16_t example_words[] = { 555, 0, 100 };

/* The same over TCP; transaction 0x1501. */
static const struct modbus_request tcp_example = { .unit = 0xFF, .table = MODBUS_HOLDING, .address = 4, .count = 1,
                                                   .transaction = 0x1501 };
static const uint8_t tcp_request[] = { 0x15, 0x01, 0, 0, 0, 6, 0xFF, 3, 0, 4, 0, 1 };
static const uint8_t tcp_answer[] = { 0x15, 0x01, 0, 0, 0, 5, 0xFF, 3, 2, 0, 5 };

static struct modbus_answer find(enum modbus_framing framing, const struct modbus_request *request, const void *bytes,
                                 size_t size)
{
    struct modbus_answer answer;
    // of exactly this size on the heap, so that a byte read beyond is noticed
    auto_free uint8_t *copy = malloc(size ? size : 1);

    memcpy(copy, bytes, size);
    modbus_answer_find(framing, request, copy, size, &answer);
    return answer;
}

static void test_the_checksum_is_that_of_the_specification(void)
{
    static const uint8_t example_of_appendix[] = { 0x02, 0x07 };  // Serial Line V1.02, 6.2.2: 0x1241
    uint8_t bytes[256];

    CHECK_EQ(modbus_crc(example_of_appendix, 2), 0x1241);
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = (uint8_t) (i * 167 + 13);
        CHECK_EQ(modbus_crc(bytes, i + 1), slow_crc(bytes, i + 1));
    }
    CHECK_EQ(modbus_crc(bytes, 0), 0xFFFF);
}

static void test_requests_are_built_byte_by_byte(void)
{
    // V1.1b3 section 6.4: input register 9
    static const struct modbus_request input = { .unit = 0x11, .table = MODBUS_INPUT, .address = 8, .count = 1 };
    static const uint8_t input_pdu[] = { 0x11, 0x04, 0x00, 0x08, 0x00, 0x01 };
    uint8_t frame[MODBUS_REQUEST_SIZE];

    CHECK_EQ(modbus_request_build(MODBUS_RTU, &example, frame), 8);
    CHECK_EQ(memcmp(frame, example_request, 8), 0);
    CHECK_EQ(modbus_request_build(MODBUS_RTU, &input, frame), 8);
    CHECK_EQ(memcmp(frame, input_pdu, 6), 0);
    CHECK_EQ(modbus_request_build(MODBUS_TCP, &tcp_example, frame), 12);
    CHECK_EQ(memcmp(frame, tcp_request, 12), 0);
}

static void test_the_size_of_an_answer_is_known_before_it_comes(void)
{
    struct modbus_request request = example;

    CHECK_EQ(modbus_answer_size(MODBUS_RTU, &request), sizeof(example_answer));
    CHECK_EQ(modbus_answer_size(MODBUS_TCP, &tcp_example), sizeof(tcp_answer));
    request.count = MODBUS_MAX_REGISTERS;
    CHECK_EQ(modbus_answer_size(MODBUS_RTU, &request), 255);
    CHECK_EQ(modbus_answer_size(MODBUS_TCP, &request), 259);
}

static void test_an_answer_is_recognised_and_its_words_come_in_order(void)
{
    struct modbus_answer answer = find(MODBUS_RTU, &example, example_answer, sizeof(example_answer));
    uint16_t words[3];

    CHECK_EQ(answer.fault, MODBUS_ANSWERED);
    CHECK_EQ(answer.offset, 3);
    CHECK_EQ(answer.used, sizeof(example_answer));
    modbus_words(example_answer + answer.offset, 3, words);
    CHECK_EQ(memcmp(words, example_words, sizeof(words)), 0);

    answer = find(MODBUS_TCP, &tcp_example, tcp_answer, sizeof(tcp_answer));
    CHECK_EQ(answer.fault, MODBUS_ANSWERED);
    CHECK_EQ(answer.offset, 9);
    CHECK_EQ(answer.used, sizeof(tcp_answer));
}

static void test_byte_by_byte_nothing_is_believed_before_the_end(void)
{
    for (size_t size = 0; size < sizeof(example_answer); size++) {
        CHECK_EQ(find(MODBUS_RTU, &example, example_answer, size).fault, size ? MODBUS_SHORT : MODBUS_SILENT);
    }
    for (size_t size = 0; size < sizeof(tcp_answer); size++) {
        struct modbus_answer answer = find(MODBUS_TCP, &tcp_example, tcp_answer, size);

        CHECK_EQ(answer.fault, size ? MODBUS_SHORT : MODBUS_SILENT);
        CHECK_EQ(answer.used, 0);
    }
}

static void test_one_wrong_bit_anywhere_is_noticed(void)
{
    for (size_t i = 0; i < sizeof(example_answer) * 8; i++) {
        uint8_t damaged[sizeof(example_answer)];

        memcpy(damaged, example_answer, sizeof(damaged));
        damaged[i / 8] ^= (uint8_t) (1 << i % 8);
        CHECK(find(MODBUS_RTU, &example, damaged, sizeof(damaged)).fault != MODBUS_ANSWERED);
    }
}

static void test_noise_before_the_answer_is_stepped_over(void)
{
    uint8_t bytes[64];

    for (size_t noise = 1; noise < 40; noise++) {
        struct modbus_answer answer;

        for (size_t i = 0; i < noise; i++) {
            bytes[i] = (uint8_t) (i % 2 ? 0x03 : 0x11);  // as much like a beginning as noise can be
        }
        memcpy(bytes + noise, example_answer, sizeof(example_answer));
        answer = find(MODBUS_RTU, &example, bytes, noise + sizeof(example_answer));
        CHECK_EQ(answer.fault, MODBUS_ANSWERED);
        CHECK_EQ(answer.offset, noise + 3);
        CHECK_EQ(answer.used, noise + sizeof(example_answer));
    }
}

static void test_bytes_behind_the_answer_are_left(void)
{
    uint8_t bytes[32] = { 0 };
    struct modbus_answer answer;

    memcpy(bytes, example_answer, sizeof(example_answer));
    answer = find(MODBUS_RTU, &example, bytes, sizeof(bytes));
    CHECK_EQ(answer.fault, MODBUS_ANSWERED);
    CHECK_EQ(answer.used, sizeof(example_answer));
}

static void test_an_adapter_that_hears_itself_is_no_fault(void)
{
    uint8_t bytes[8 + sizeof(example_answer)];
    struct modbus_answer answer;

    memcpy(bytes, example_request, 8);
    memcpy(bytes + 8, example_answer, sizeof(example_answer));
    CHECK_EQ(find(MODBUS_RTU, &example, bytes, 8).fault, MODBUS_SILENT);
    answer = find(MODBUS_RTU, &example, bytes, sizeof(bytes));
    CHECK_EQ(answer.fault, MODBUS_ANSWERED);
    CHECK_EQ(answer.offset, 11);
    CHECK_EQ(answer.used, sizeof(bytes));
}

static void test_an_echo_that_looks_like_an_answer_is_none(void)
{
    // address 0x02xx, one register: "unit 03 02 xx xx" is how an answer with one register begins
    static const struct modbus_request tricky = { .unit = 1, .table = MODBUS_HOLDING, .address = 0x0205, .count = 1 };
    uint8_t bytes[16];
    size_t size = modbus_request_build(MODBUS_RTU, &tricky, bytes);

    for (size_t part = 0; part <= size; part++) {
        enum modbus_fault fault = find(MODBUS_RTU, &tricky, bytes, part).fault;

        CHECK(fault != MODBUS_ANSWERED && fault != MODBUS_EXCEPTION);
    }
}

static void test_every_exception_is_told_with_its_code(void)
{
    // V1.1b3 section 7: function 3 refused is 0x83
    for (unsigned code = 1; code <= 11; code++) {
        uint8_t rtu[5] = { 0x11, 0x83, (uint8_t) code }, tcp[] = { 0x15, 0x01, 0, 0, 0, 3, 0xFF, 0x83, (uint8_t) code };
        struct modbus_answer answer;

        (void) sealed(rtu, 3);
        answer = find(MODBUS_RTU, &example, rtu, sizeof(rtu));
        CHECK_EQ(answer.fault, MODBUS_EXCEPTION);
        CHECK_EQ(answer.exception, code);
        CHECK_EQ(answer.used, 5);
        answer = find(MODBUS_TCP, &tcp_example, tcp, sizeof(tcp));
        CHECK_EQ(answer.fault, MODBUS_EXCEPTION);
        CHECK_EQ(answer.exception, code);
        CHECK_EQ(answer.used, 9);
        rtu[2] ^= 1;
        CHECK_EQ(find(MODBUS_RTU, &example, rtu, sizeof(rtu)).fault, MODBUS_CRC);
    }
}

static void test_frames_of_others_are_named_for_what_they_are(void)
{
    static const struct { uint8_t bytes[16]; size_t size; enum modbus_fault fault; } cases[] = {
        { { 0x12, 0x03, 0x06, 0, 1, 0, 2, 0, 3 }, 9, MODBUS_WRONG_UNIT },
        { { 0x11, 0x04, 0x06, 0, 1, 0, 2, 0, 3 }, 9, MODBUS_WRONG_FUNCTION },
        { { 0x11, 0x84, 0x02 }, 3, MODBUS_WRONG_FUNCTION },
        { { 0x12, 0x83, 0x02 }, 3, MODBUS_WRONG_UNIT },
        { { 0x11, 0x03, 0x04, 0, 1, 0, 2 }, 7, MODBUS_BYTE_COUNT },
        { { 0x11, 0x03, 0x08, 0, 1, 0, 2, 0, 3, 0, 4 }, 11, MODBUS_BYTE_COUNT },
        { { 0x11, 0x03, 0x05, 0, 1, 0, 2, 0 }, 8, MODBUS_BYTE_COUNT },
        { { 0x00, 0x03, 0x06, 0, 1, 0, 2, 0, 3 }, 9, MODBUS_WRONG_UNIT },
        { { 0x11, 0x03, 0x04, 0, 1, 0, 2, 0, 3 }, 9, MODBUS_BYTE_COUNT },  // as long as asked, but says otherwise
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        uint8_t frame[16];
        size_t size;

        memcpy(frame, cases[i].bytes, sizeof(frame));
        size = sealed(frame, cases[i].size);
        CHECK_EQ(find(MODBUS_RTU, &example, frame, size).fault, cases[i].fault);
    }
}

static void test_an_answer_behind_a_frame_of_others_is_found(void)
{
    uint8_t bytes[40] = { 0x12, 0x03, 0x06, 0, 1, 0, 2, 0, 3 };
    size_t size = sealed(bytes, 9);

    memcpy(bytes + size, example_answer, sizeof(example_answer));
    CHECK_EQ(find(MODBUS_RTU, &example, bytes, size + sizeof(example_answer)).fault, MODBUS_ANSWERED);
}

static void test_a_tcp_answer_must_fit_its_header(void)
{
    static const struct { uint8_t bytes[13]; size_t size; enum modbus_fault fault; } cases[] = {
        { { 0x15, 0x02, 0, 0, 0, 5, 0xFF, 3, 2, 0, 5 }, 11, MODBUS_WRONG_TRANSACTION },
        { { 0x15, 0x01, 0, 0, 0, 5, 0x01, 3, 2, 0, 5 }, 11, MODBUS_WRONG_UNIT },
        { { 0x15, 0x01, 0, 0, 0, 5, 0xFF, 4, 2, 0, 5 }, 11, MODBUS_WRONG_FUNCTION },
        { { 0x15, 0x01, 0, 0, 0, 3, 0xFF, 0x84, 2 }, 9, MODBUS_WRONG_FUNCTION },
        { { 0x15, 0x01, 0, 0, 0, 7, 0xFF, 3, 4, 0, 5, 0, 6 }, 13, MODBUS_BYTE_COUNT },
        { { 0x15, 0x01, 0, 0, 0, 5, 0xFF, 3, 4, 0, 5 }, 11, MODBUS_BYTE_COUNT },
        { { 0x15, 0x01, 0, 0, 0, 7, 0xFF, 3, 2, 0, 5, 0, 6 }, 13, MODBUS_BYTE_COUNT },
        { { 0x15, 0x01, 0, 0, 0, 4, 0xFF, 0x83, 2, 0 }, 10, MODBUS_BYTE_COUNT },
        { { 0x15, 0x01, 0, 1, 0, 5, 0xFF, 3, 2, 0, 5 }, 11, MODBUS_WRONG_PROTOCOL },
        { { 0x15, 0x01, 0, 0, 1, 5, 0xFF, 3, 2, 0, 5 }, 11, MODBUS_WRONG_PROTOCOL },
        { { 0x15, 0x01, 0, 0, 0, 2, 0xFF, 3, 2, 0, 5 }, 11, MODBUS_WRONG_PROTOCOL },
        { { 0x15, 0x01, 0, 0, 0, 0, 0xFF, 3, 2, 0, 5 }, 11, MODBUS_WRONG_PROTOCOL },
    };

    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct modbus_answer answer = find(MODBUS_TCP, &tcp_example, cases[i].bytes, cases[i].size);

        CHECK_EQ(answer.fault, cases[i].fault);
        CHECK_EQ(answer.used, cases[i].size);
    }
}

static void test_foreign_transactions_in_a_tcp_stream_are_stepped_over(void)
{
    uint8_t stream[64] = { 0x15, 0x00, 0, 0, 0, 7, 0xFF, 3, 4, 9, 9, 9, 9,      // late: of the request before
                           0x00, 0x01, 0, 0, 0, 3, 0x01, 0x83, 2 };             // nobody's
    size_t foreign = 22, size = foreign + sizeof(tcp_answer);
    struct modbus_answer answer;

    memcpy(stream + foreign, tcp_answer, sizeof(tcp_answer));
    for (size_t part = 1; part < size; part++) {
        answer = find(MODBUS_TCP, &tcp_example, stream, part);
        CHECK(answer.fault != MODBUS_ANSWERED && answer.fault != MODBUS_EXCEPTION && answer.fault != MODBUS_SILENT);
        CHECK_EQ(answer.used, part < 13 ? 0 : part < foreign ? 13 : foreign);  // whole frames only
    }
    answer = find(MODBUS_TCP, &tcp_example, stream, size);
    CHECK_EQ(answer.fault, MODBUS_ANSWERED);
    CHECK_EQ(answer.offset, foreign + 9);
    CHECK_EQ(answer.used, size);
    CHECK_EQ(find(MODBUS_TCP, &tcp_example, stream, foreign).fault, MODBUS_WRONG_TRANSACTION);
}

static void test_random_bytes_are_never_an_answer_and_never_read_beyond(void)
{
    uint32_t state = 1;
    uint8_t bytes[300];

    for (int round = 0; round < 3000; round++) {
        size_t size = round % sizeof(bytes);

        for (size_t i = 0; i < size; i++) {
            state = state * 1664525 + 1013904223;
            bytes[i] = (uint8_t) (state >> 24);
        }
        CHECK(find(MODBUS_RTU, &example, bytes, size).used <= size);
        CHECK(find(MODBUS_RTU, &example, bytes, size).fault != MODBUS_ANSWERED);
        CHECK(find(MODBUS_TCP, &tcp_example, bytes, size).used <= size);
        CHECK(find(MODBUS_TCP, &tcp_example, bytes, size).fault != MODBUS_ANSWERED);
    }
}

static void test_what_a_slave_builds_a_master_finds(void)
{
    uint16_t words[MODBUS_MAX_REGISTERS], found[MODBUS_MAX_REGISTERS];
    uint8_t frame[MODBUS_MAX_ANSWER_SIZE];

    for (unsigned i = 0; i < MODBUS_MAX_REGISTERS; i++) {
        words[i] = (uint16_t) (i * 517 + 3);
    }
    CHECK_EQ(modbus_answer_build(MODBUS_RTU, &example, example_words, frame), sizeof(example_answer));
    CHECK_EQ(memcmp(frame, example_answer, sizeof(example_answer)), 0);
    for (unsigned count = 1; count <= MODBUS_MAX_REGISTERS; count++) {
        const struct modbus_request request = { .unit = 7, .table = MODBUS_INPUT, .address = 100,
                                                .count = (uint16_t) count, .transaction = (uint16_t) (count * 600) };

        for (int framing = MODBUS_RTU; framing <= MODBUS_TCP; framing++) {
            size_t size = modbus_answer_build(framing, &request, words, frame);
            struct modbus_answer answer = find(framing, &request, frame, size);

            CHECK_EQ(answer.fault, MODBUS_ANSWERED);
            CHECK_EQ(answer.used, size);
            CHECK_EQ(size, modbus_answer_size(framing, &request));
            modbus_words(frame + answer.offset, count, found);
            CHECK_EQ(memcmp(found, words, 2 * count), 0);
            size = modbus_exception_build(framing, &request, 2, frame);
            answer = find(framing, &request, frame, size);
            CHECK_EQ(answer.fault, MODBUS_EXCEPTION);
            CHECK_EQ(answer.exception, 2);
            CHECK_EQ(answer.used, size);
        }
    }
}

static void test_a_slave_finds_requests_in_pieces_and_behind_noise(void)
{
    uint8_t bytes[32] = { 0xFF, 0x00, 0x11 };
    struct modbus_request request = { 0 };
    size_t skipped = 99;

    memcpy(bytes + 3, example_request, 8);
    for (size_t size = 0; size < 11; size++) {
        CHECK_EQ(modbus_request_find(MODBUS_RTU, bytes, size, &request, &skipped), 0);
        CHECK_EQ(skipped, 0);
    }
    CHECK_EQ(modbus_request_find(MODBUS_RTU, bytes, sizeof(bytes), &request, &skipped), 8);
    CHECK_EQ(skipped, 3);
    CHECK(request.unit == 0x11 && request.table == MODBUS_HOLDING && request.address == 0x6B && request.count == 3);

    for (size_t size = 0; size < sizeof(tcp_request); size++) {
        CHECK_EQ(modbus_request_find(MODBUS_TCP, tcp_request, size, &request, &skipped), 0);
    }
    CHECK_EQ(modbus_request_find(MODBUS_TCP, tcp_request, sizeof(tcp_request), &request, &skipped), 12);
    CHECK(request.unit == 0xFF && request.table == MODBUS_HOLDING && request.address == 4 && request.count == 1
          && request.transaction == 0x1501);
}

static void test_a_slave_steps_over_a_whole_tcp_request_of_any_function(void)
{
    // V1.1b3 section 6.12: write two registers; then section 6.1 and a function without data
    static const uint8_t write[] = { 0, 9, 0, 0, 0, 11, 1, 0x10, 0, 1, 0, 2, 4, 0, 0x0A, 1, 2 };
    static const uint8_t identify[] = { 0, 9, 0, 0, 0, 2, 1, 0x11 };
    struct modbus_request request = { 0 };
    size_t skipped;

    CHECK_EQ(modbus_request_find(MODBUS_TCP, write, sizeof(write) - 1, &request, &skipped), 0);
    CHECK_EQ(modbus_request_find(MODBUS_TCP, write, sizeof(write), &request, &skipped), sizeof(write));
    CHECK_EQ((int) request.table, 0x10);
    CHECK_EQ(modbus_request_find(MODBUS_TCP, identify, sizeof(identify), &request, &skipped), sizeof(identify));
    CHECK_EQ((int) request.table, 0x11);
    CHECK_EQ(request.count, 0);
}

TESTS(test_the_checksum_is_that_of_the_specification, test_requests_are_built_byte_by_byte,
      test_the_size_of_an_answer_is_known_before_it_comes,
      test_an_answer_is_recognised_and_its_words_come_in_order,
      test_byte_by_byte_nothing_is_believed_before_the_end, test_one_wrong_bit_anywhere_is_noticed,
      test_noise_before_the_answer_is_stepped_over, test_bytes_behind_the_answer_are_left,
      test_an_adapter_that_hears_itself_is_no_fault, test_an_echo_that_looks_like_an_answer_is_none,
      test_every_exception_is_told_with_its_code, test_frames_of_others_are_named_for_what_they_are,
      test_an_answer_behind_a_frame_of_others_is_found, test_a_tcp_answer_must_fit_its_header,
      test_foreign_transactions_in_a_tcp_stream_are_stepped_over,
      test_random_bytes_are_never_an_answer_and_never_read_beyond, test_what_a_slave_builds_a_master_finds,
      test_a_slave_finds_requests_in_pieces_and_behind_noise,
      test_a_slave_steps_over_a_whole_tcp_request_of_any_function)
