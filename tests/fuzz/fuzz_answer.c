// SPDX-License-Identifier: MIT
// link: ms_drivers
// share: 56
//
// Bytes from a Modbus line, and the request they should answer: unit, table, address, count, transaction.

#include "app/base/macros.h"
#include "drivers/codec.h"
#include "drivers/modbus_frame.h"

#include <assert.h>

#define HEAD_SIZE 9

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every format takes any words. */
static void decode_all(const uint16_t *words, unsigned word_count)
{
    size_t codec_count;
    const struct codec *codecs = codec_all(&codec_count);

    for (size_t i = 0; i < codec_count; i++) {
        const struct codec *codec = &codecs[i];
        double values[2];
        char text[2 * MODBUS_MAX_REGISTERS + 1];

        if (codec->result == CODEC_TEXT) {
            assert(codec_decode_text(codec, words, word_count, text, sizeof(text)) < sizeof(text));
        } else if (codec->result != CODEC_MESSAGE && codec->word_count <= word_count) {
            codec_decode(codec, words, (struct decimal){ 1, -1 }, true, values);
            codec_decode(codec, words, (struct decimal){ 1, 3 }, false, values);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    enum modbus_framing framing;
    struct modbus_request request;
    struct modbus_answer answer;
    uint16_t words[MODBUS_MAX_REGISTERS];
    size_t skipped;

    if (size < HEAD_SIZE) {
        return 0;
    }
    framing = data[0] % 2 ? MODBUS_TCP : MODBUS_RTU;
    request = (struct modbus_request){
        .unit = data[1],
        .table = data[2] % 2 ? MODBUS_HOLDING : MODBUS_INPUT,
        .address = (uint16_t) (data[3] << 8 | data[4]),
        .count = (uint16_t) ((data[5] << 8 | data[6]) % MODBUS_MAX_REGISTERS + 1),
        .transaction = (uint16_t) (data[7] << 8 | data[8]),
    };
    data += HEAD_SIZE;
    size -= HEAD_SIZE;

    modbus_answer_find(framing, &request, data, size, &answer);
    assert(answer.used <= size);
    if (answer.fault == MODBUS_ANSWERED) {
        assert(answer.offset + 2u * request.count <= answer.used);
        modbus_words(data + answer.offset, request.count, words);
        decode_all(words, request.count);
    }

    assert(modbus_request_find(framing, data, size, &request, &skipped) <= size);
    return 0;
}
