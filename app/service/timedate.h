/* SPDX-License-Identifier: MIT */
#pragma once

/* timedate1's word on whether NTP keeps the clock, over D-Bus (org.freedesktop.timedate1(5)). Without one it is no. */

#include "app/base/macros.h"

#include <stdbool.h>

struct timedate;
struct sd_event;

/* answer is called from the event loop. Errors: -ENOMEM */
int timedate_new(struct sd_event *event, void (*answer)(bool synchronised, void *data), void *data,
                 struct timedate **ret) MUST_CHECK;
void timedate_free(struct timedate *timedate);

/* Ask; a question that was not answered yet is forgotten. Errors: those of the bus, which is opened anew next time */
int timedate_ask(struct timedate *timedate) MUST_CHECK;
