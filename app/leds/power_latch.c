/* SPDX-License-Identifier: MIT */
#include "app/leds/power_latch.h"

#include "app/base/file.h"
#include "app/base/limits.h"
#include "app/base/log.h"
#include "app/base/text.h"
#include "board/power.h"

#include <string.h>

#define FILE_NAME "leds.power"

void power_latch_begin(struct power_latch *latch, const char *run_dir, const char *boot_id)
{
    auto_free char *text = NULL;
    char path[PATH_SIZE];
    size_t size;

    if (file_path(path, sizeof(path), run_dir, FILE_NAME) < 0 || file_read(path, 256, &text, &size) < 0) {
        return;
    }
    // "" here: a sandbox with ProcSubset=pid does not tell it, and the run directory is not kept over a boot.
    latch->kept = !*boot_id || text_equal(text_trim(text), boot_id) || size <= 1;
    latch->low = latch->kept;
}

static void keep(struct power_latch *latch, const char *run_dir, const char *boot_id)
{
    char path[PATH_SIZE];

    if (!latch->kept && file_path(path, sizeof(path), run_dir, FILE_NAME) >= 0) {
        latch->kept = file_replace(path, boot_id, strlen(boot_id), 0644, false) >= 0;
    }
}

enum power_fact power_latch_look(struct power_latch *latch, const char *sys_dir, const char *run_dir,
                                 const char *boot_id)
{
    enum power_state state = power_look(sys_dir);

    if (state == POWER_STATE_LOW && !latch->low) {
        log_warning("the supply voltage is too low: light 7 stays yellow until the next boot");
        latch->low = true;
    }
    if (latch->low) {
        keep(latch, run_dir, boot_id);
        return POWER_LOW;
    }
    return state == POWER_STATE_GOOD ? POWER_GOOD : POWER_UNTOLD;
}
