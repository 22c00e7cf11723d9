/* SPDX-License-Identifier: MIT */

#include "app/outlet/stick_progress.h"

#include "app/base/macros.h"

#include <math.h>

#define SETTLE_MS 2000               // before that the first batches say little
#define MEMORY_MS 10000.0            // of the speed: a stick that pauses for a flush is not a slow one
#define ETA_MAX_S (100 * 86400.0)    // longer than anybody waits: the speed is next to nothing

void stick_progress_begin(struct stick_progress *progress, uint64_t backlog, uint64_t now_ms)
{
    *progress = (struct stick_progress){
        .on = true,
        .begin = backlog,
        .backlog = backlog,
        .begin_ms = now_ms,
        .seen_ms = now_ms,
    };
}

void stick_progress_end(struct stick_progress *progress)
{
    *progress = (struct stick_progress){};
}

void stick_progress_look(struct stick_progress *progress, uint64_t backlog, uint64_t now_ms)
{
    double rows = (double) progress->backlog - (double) backlog;
    double ms = now_ms > progress->seen_ms ? (double) (now_ms - progress->seen_ms) : 0;
    double age_ms = (double) (now_ms - MIN(now_ms, progress->begin_ms));
    double done;

    if (!progress->on) {
        return;
    }
    if (ms > 0) {
        // At first the mean of all, later that of the last seconds: what is older fades.
        double weight = ms / MIN(age_ms, MEMORY_MS + ms);

        progress->rows_per_ms += (rows / ms - progress->rows_per_ms) * weight;
        progress->seen_ms = now_ms;
        progress->backlog = backlog;
    }

    done = (double) progress->begin - (double) backlog;
    if (done > 0) {
        progress->percent = MAX(progress->percent, MIN((unsigned) (done * 100 / (double) progress->begin), 99u));
    }
}

double stick_progress_percent(const struct stick_progress *progress)
{
    return progress->on ? progress->percent : NAN;
}

double stick_progress_eta_s(const struct stick_progress *progress)
{
    double eta_s;

    if (!progress->on || progress->seen_ms - progress->begin_ms < SETTLE_MS || progress->rows_per_ms <= 0) {
        return NAN;
    }

    eta_s = ceil((double) progress->backlog / progress->rows_per_ms / 1000);
    return eta_s <= ETA_MAX_S ? eta_s : NAN;
}
