// SPDX-License-Identifier: MIT
// link: ms_config
// share: 0.4
//
// What a stick may bring. Whatever is adopted runs nothing, names no file, and goes nowhere but to meters.

#include "app/base/macros.h"
#include "app/base/text.h"
#include "app/config/config.h"

#include <assert.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_port(const struct endpoint *port)
{
    bool device = text_starts(port->path, "/dev/tty") && !strchr(port->path + 5, '/');
    bool named = text_starts(port->path, "/dev/serial/") && !strstr(port->path, "..");

    assert(port->kind != ENDPOINT_USB_SOCKET && port->kind != ENDPOINT_USB_NUMBER);
    assert(port->kind != ENDPOINT_SERIAL || device || named);
    assert(!strpbrk(port->host, "/ $`\\\n"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    auto_problems struct problems problems = {};
    auto_config struct config *config = NULL;
    bool configure = false;
    int r;

    r = config_load_adopting("/dev/null", "meterstick.conf", (const char *) data, size, &problems, &configure, &config);
    assert(configure);  // nobody who brings a stick switches it off or on
    if (r < 0) {
        assert(problems.count > 0);
        return 0;
    }

    for (unsigned i = 0; i < config->bus_count; i++) {
        check_port(&config->buses[i].port);
        assert(!config->buses[i].lock[0]);
    }
    for (unsigned i = 0; i < config->meter_count; i++) {
        assert(config->meters[i].kind != SOURCE_EXEC && !config->meters[i].command);
    }
    assert(!config->appliance.log_file && !config->appliance.log_level && !config->appliance.clock_trusted);
    assert(config->journal.commit_ms == 10000 && config->journal.keep_days == 400 && config->journal.budget_bytes == 0);
    assert(config->stick.burst_ms == 60000 && !strstr(config->appliance.timezone, ".."));
    return 0;
}
