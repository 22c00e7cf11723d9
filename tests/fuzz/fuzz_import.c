// SPDX-License-Identifier: MIT
// link: ms_config
// share: 0.5
//
// Another program's configuration, as somebody wrote it. What is taken over must be a configuration of ours, and what
// is said about it must be text that a terminal can show.

#include "app/base/macros.h"
#include "app/config/config.h"
#include "app/config/import_cvm.h"
#include "app/config/import_powermeter.h"

#include <assert.h>
#include <stdio.h>

typedef int import_function(const char *name, const char *text, size_t size, struct problems *problems,
                            struct text *ret);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_words(const struct problems *problems)
{
    for (const char *at = problems_text(problems); *at; at++) {
        assert(*at == '\n' || ((unsigned char) *at >= ' ' && *at != 127));
    }
}

static void import(import_function *function, const char *data, size_t size)
{
    auto_problems struct problems problems = {};
    auto_config struct config *config = NULL;
    auto_text struct text text = {};
    int r;

    r = function("fuzz", data, size, &problems, &text);
    check_words(&problems);
    if (r < 0) {
        assert(problems.count > 0);  // a refusal without a reason is no answer
        return;
    }

    r = config_load_text("imported.conf", text.data, text.size, &problems, &config);
    check_words(&problems);
    if (r < 0) {
        assert(problems.count > 0);
        return;
    }
    if (function == import_powermeter) {
        import_powermeter_names(data, size, config);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    import(import_cvm, (const char *) data, size);
    import(import_powermeter, (const char *) data, size);
    return 0;
}
