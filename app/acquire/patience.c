/* SPDX-License-Identifier: MIT */
#include "app/acquire/patience.h"

#include "app/acquire/thread.h"

#include <errno.h>
#include <stdlib.h>

struct patience {
    struct thread thread;
};

int patience_begin(void (*run)(void *data), void *data, struct patience **ret)
{
    struct patience *patience = calloc(1, sizeof(*patience));
    int r;

    if (!patience) {
        return -ENOMEM;
    }
    r = thread_start(&patience->thread, "card", run, data);
    if (r < 0) {
        free(patience);
        return r;
    }

    *ret = patience;
    return 0;
}

int patience_wait(struct patience *patience, uint64_t deadline_us)
{
    int r = thread_join(&patience->thread, deadline_us);

    if (r == 0) {
        free(patience);
    }
    return r;
}
