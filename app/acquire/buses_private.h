/* SPDX-License-Identifier: MIT */
#pragma once

/* What the files of the buses know of one of them. */

#include "app/acquire/buses.h"

enum buses_state { BUS_MADE, BUS_RUNNING, BUS_ENDED };

struct buses_entry {
    struct bus *bus;
    int stop_fd;
    enum buses_state state;
    bool wanted;                     // in what there will be
    bool has_slots;
    uint64_t pushed;                 // BUS_ENDED: the queue's count then
};
