/* SPDX-License-Identifier: MIT */
#include "app/service/timedate.h"

#include <errno.h>

#include <systemd/sd-bus.h>

struct timedate {
    sd_event *event;
    sd_bus *bus;
    sd_bus_slot *question;
    void (*answer)(bool synchronised, void *data);
    void *data;
};

int timedate_new(struct sd_event *event, void (*answer)(bool synchronised, void *data), void *data,
                 struct timedate **ret)
{
    struct timedate *timedate = calloc(1, sizeof(*timedate));

    if (!timedate) {
        return -ENOMEM;
    }
    *timedate = (struct timedate){ .event = event, .answer = answer, .data = data };
    *ret = timedate;
    return 0;
}

void timedate_free(struct timedate *timedate)
{
    if (timedate) {
        sd_bus_slot_unref(timedate->question);
        sd_bus_close_unref(timedate->bus);
        free(timedate);
    }
}

static int on_answer(sd_bus_message *message, void *data, sd_bus_error *error)
{
    struct timedate *timedate = data;
    int synchronised = 0;

    (void) error;
    if (sd_bus_message_is_method_error(message, NULL) > 0
        || sd_bus_message_read(message, "v", "b", &synchronised) < 0) {
        synchronised = 0;
    }
    timedate->answer(synchronised, timedate->data);
    return 0;
}

static int ask(struct timedate *timedate)
{
    int r;

    if (timedate->bus && sd_bus_is_open(timedate->bus) <= 0) {
        timedate->bus = sd_bus_close_unref(timedate->bus);
    }
    if (!timedate->bus) {
        r = sd_bus_open_system(&timedate->bus);
        if (r < 0) {
            return r;
        }
        r = sd_bus_attach_event(timedate->bus, timedate->event, SD_EVENT_PRIORITY_NORMAL);
        if (r < 0) {
            return r;
        }
    }
    return sd_bus_call_method_async(timedate->bus, &timedate->question, "org.freedesktop.timedate1",
                                    "/org/freedesktop/timedate1", "org.freedesktop.DBus.Properties", "Get", on_answer,
                                    timedate, "ss", "org.freedesktop.timedate1", "NTPSynchronized");
}

int timedate_ask(struct timedate *timedate)
{
    int r;

    timedate->question = sd_bus_slot_unref(timedate->question);
    r = ask(timedate);
    if (r < 0) {
        timedate->bus = sd_bus_close_unref(timedate->bus);
    }
    return r;
}
