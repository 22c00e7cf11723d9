// SPDX-License-Identifier: MIT
// link: ms_drivers
// share: 0.1
//
// A model file from anywhere. What is accepted must be usable: every point can be selected and decoded.

#include "app/base/macros.h"
#include "drivers/model.h"

#include <assert.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint16_t words[MAX_WORDS] = { 0x7FC0, 0x0000, 0xFFFF, 0x8000, 0x1234 };
    static struct layout layout;
    auto_problems struct problems problems = {};
    auto_model struct model *model = NULL;
    struct selection selection;
    double values[2];
    int r;

    r = model_load_text("fuzz.meter", (const char *) data, size, &problems, &model);
    if (r < 0) {
        assert(problems.count > 0);  // a refusal without a reason is no answer
        return 0;
    }

    if (selection_parse(model, "all", "fuzz", 1, &problems, &selection) == 0) {
        selection_layout(model, &selection, &layout);
        assert(layout.count <= MAX_POINTS);
    }
    for (size_t i = 0; i < model->point_count; i++) {
        const struct point *point = &model->points[i];

        assert(point->word_count <= MAX_WORDS);
        if (point->codec->result != CODEC_TEXT && point->codec->result != CODEC_MESSAGE) {
            point_decode(model, point, words, values);
        }
    }
    return 0;
}
