// SPDX-License-Identifier: MIT
// link: ms_lights
// share: 50
//
// Bytes as a netlink socket may give them, in two pieces.

#include "app/leds/address.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct address_table table = {};
    char text[ADDRESS_TEXT_SIZE];
    int r;

    r = address_take(&table, data, size / 2);
    assert(r <= 1);
    r = address_take(&table, data + size / 2, size - size / 2);
    assert(r <= 1);
    assert(table.count <= ADDRESS_MAX);
    (void) address_choose(&table, text);
    assert(strlen(text) >= strlen("0.0.0.0") && strlen(text) < sizeof(text));
    return 0;
}
