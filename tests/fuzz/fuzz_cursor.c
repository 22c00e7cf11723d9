// SPDX-License-Identifier: MIT
// link: ms_outlet
// share: 2
//
// A cursor from a stick that anybody may have written to. Its checksum keeps chance away, so it is made right here.

#include "app/base/macros.h"
#include "app/outlet/cursor.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_cursor struct cursor cursor = {}, again = {};
    auto_text struct text text = {}, printed = {};

    text_add_bytes(&text, (const char *) data, size);
    text_addf(&text, ",\"crc\":\"%08x\"}\n", cursor_crc(0, data, size));
    if (cursor_parse(text_string(&text), text.size, &cursor) < 0) {
        return 0;
    }
    cursor_print(&printed, &cursor);
    assert(cursor_parse(printed.data, printed.size, &again) == 0);
    assert(again.file_count == cursor.file_count && again.dated == cursor.dated && again.undated == cursor.undated);
    for (unsigned i = 0; i < cursor.file_count; i++) {
        assert(strcmp(again.files[i].name, cursor.files[i].name) == 0);
        assert(again.files[i].length == cursor.files[i].length && again.files[i].last == cursor.files[i].last);
    }
    return 0;
}
