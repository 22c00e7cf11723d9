// SPDX-License-Identifier: MIT
// link: ms_drivers
// share: 27
//
// Bytes from a Current Cost display, in two pieces, as a port gives them.

#include "app/base/macros.h"
#include "drivers/currentcost.h"

#include <assert.h>
#include <math.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *bytes = (const char *) data;
    struct currentcost message;
    size_t used;

    (void) currentcost_parse(bytes, size / 2, &message);
    while (size > 0) {
        used = currentcost_parse(bytes, size, &message);
        assert(used <= size);
        if (used == 0) {
            assert(message.kind == CURRENTCOST_NOTHING);
            break;
        }
        for (unsigned i = 0; i < CURRENTCOST_CHANNELS && message.kind == CURRENTCOST_READING; i++) {
            assert(isnan(message.watts[i]) || isfinite(message.watts[i]));
        }
        bytes += used;
        size -= used;
    }
    return 0;
}
