// SPDX-License-Identifier: MIT
// link: ms_config
// share: 0.4
//
// A configuration from anywhere. What is accepted is written as good.conf, and that must be accepted as well.

#include "app/base/macros.h"
#include "app/config/config.h"

#include <assert.h>
#include <stdio.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_problems struct problems problems = {};
    auto_config struct config *config = NULL;
    auto_config struct config *again = NULL;
    auto_text struct text text = {};
    int r;

    r = config_load_text("fuzz.conf", (const char *) data, size, &problems, &config);
    if (r < 0) {
        assert(problems.count > 0);  // a refusal without a reason is no answer
        return 0;
    }

    assert(config_write(config, &text) == 0);
    r = config_load_text("good.conf", text.data, text.size, &problems, &again);
    if (r < 0) {
        (void) fprintf(stderr, "%s\n%s\n", text_string(&text), problems_text(&problems));
    }
    assert(r == 0);
    assert(again->meter_count == config->meter_count && again->bus_count == config->bus_count);
    return 0;
}
