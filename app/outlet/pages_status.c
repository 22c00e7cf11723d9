/* SPDX-License-Identifier: MIT */

#include "app/outlet/pages_status.h"

#include "app/base/clock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <ifaddrs.h>
#include <inttypes.h>
#include <math.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#define MIB 1048576.0

/* The two texts: what ticks goes only into the first. */
struct texts {
    struct text *all, *lasts;
};

static void PRINTF_LIKE(2, 3) add(const struct texts *texts, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    text_vaddf(texts->all, format, arguments);
    va_end(arguments);
    va_start(arguments, format);
    text_vaddf(texts->lasts, format, arguments);
    va_end(arguments);
}

/* What another program says is about to stand in a text: "" for NULL. */
static const char *printable(const char *string, char *buffer, size_t size)
{
    (void) snprintf(buffer, size, "%s", string ? string : "");
    text_make_printable(buffer);
    return buffer;
}

static bool is_shown(const struct ifaddrs *interface)
{
    if (!interface->ifa_addr || !(interface->ifa_flags & IFF_UP) || interface->ifa_flags & IFF_LOOPBACK) {
        return false;
    }
    if (interface->ifa_addr->sa_family == AF_INET6) {
        struct sockaddr_in6 address;

        memcpy(&address, interface->ifa_addr, sizeof(address));
        return !IN6_IS_ADDR_LINKLOCAL(&address.sin6_addr);
    }
    return interface->ifa_addr->sa_family == AF_INET;
}

static void add_address(struct text *ret, const struct ifaddrs *interface)
{
    char buffer[INET6_ADDRSTRLEN] = "";

    if (interface->ifa_addr->sa_family == AF_INET) {
        struct sockaddr_in address;

        memcpy(&address, interface->ifa_addr, sizeof(address));
        (void) inet_ntop(AF_INET, &address.sin_addr, buffer, sizeof(buffer));
    } else {
        struct sockaddr_in6 address;

        memcpy(&address, interface->ifa_addr, sizeof(address));
        (void) inet_ntop(AF_INET6, &address.sin6_addr, buffer, sizeof(buffer));
    }
    text_addf(ret, "%s%s", ret->size > 0 ? ", " : "", buffer);
}

int pages_status_addresses(struct text *ret)
{
    static const int families[] = { AF_INET, AF_INET6 };
    struct ifaddrs *list = NULL;
    int count = 0;

    if (getifaddrs(&list) < 0) {
        return -errno;
    }

    for (size_t i = 0; i < ARRAY_SIZE(families); i++) {
        for (const struct ifaddrs *at = list; at; at = at->ifa_next) {
            if (is_shown(at) && at->ifa_addr->sa_family == families[i]) {
                add_address(ret, at);
                count++;
            }
        }
    }
    freeifaddrs(list);
    return count;
}

static void add_network(const struct texts *texts)
{
    auto_text struct text addresses = {};
    int count = pages_status_addresses(&addresses);

    add(texts, "Network       %s\n", count > 0    ? text_string(&addresses)
                                     : count == 0 ? "no address"
                                                  : "the addresses are not known");
}

static const char *clock_words(const struct json *acquire)
{
    const char *quality = json_member_string(json_member(acquire, "clock"), "quality");

    switch (quality ? *quality : '\0') {
    case CLOCK_NTP:
        return "known from the network";
    case CLOCK_HELD:
        return "known earlier, held since";
    case CLOCK_RTC:
        return "set by a battery clock or a person";
    case CLOCK_ESTIMATED:
        return "NOT KNOWN, estimated: readings wait in boot-<n>.csv";
    case CLOCK_UNKNOWN:
        return "NOT KNOWN: readings wait in boot-<n>.csv";
    default:
        return "not said";
    }
}

static const char *journal_words(const char *state)
{
    static const struct {
        const char *state, *words;
    } states[] = {
        { "ok", "well" },
        { "memory", "THE CARD CANNOT BE USED: readings are in memory only" },
        { "full", "THE CARD IS FULL: readings are in memory only" },
        { "readonly", "THE CARD IS READ-ONLY: readings are in memory only" },
        { "failed", "FAILED: readings may be lost" },
    };

    for (size_t i = 0; state && i < ARRAY_SIZE(states); i++) {
        if (text_equal(state, states[i].state)) {
            return states[i].words;
        }
    }
    return "not said";
}

/* "live", and when its last row was. */
static void add_meter(const struct texts *texts, const struct pages_status *status, const struct json *meter)
{
    const char *state = json_member_string(meter, "state");
    double committed_ms = json_member_number(meter, "committed_boot_ms");
    char name[METER_ID_SIZE], error[160], word[16], time[CLOCK_TEXT_SIZE];
    bool live = state && text_equal(state, "live");

    (void) printable(json_member_string(meter, "name"), name, sizeof(name));
    (void) printable(state, word, sizeof(word));
    add(texts, "  %-20s %-8s", name, live ? word : text_equal(word, "silent") ? "SILENT" : "REFUSED");
    if (isnan(committed_ms)) {
        add(texts, " no reading since the start");
    } else {
        int64_t ago_ms = (int64_t) status->now_boot_ms - (int64_t) committed_ms;

        text_addf(texts->all, " last reading %s", clock_local(status->now_ms - ago_ms, time));
    }
    if (*printable(json_member_string(meter, "last_error"), error, sizeof(error))) {
        add(texts, " (%s)", error);
    }
    add(texts, "\n");
}

static void add_acquire(const struct texts *texts, const struct pages_status *status)
{
    const struct json *meters = json_member(status->acquire, "meters");
    const char *error = json_member_string(status->acquire, "error");
    char line[256];

    if (!status->acquire) {
        add(texts, "Acquisition   NOT RUNNING: no sign of life of 'acquire'\n");
        return;
    }

    add(texts, "Acquisition   %s\n",
        printable(json_member_string(status->acquire, "state"), line, sizeof(line)));
    if (error) {
        add(texts, "Error         %s\n", printable(error, line, sizeof(line)));
    }
    add(texts, "Clock         %s\n", clock_words(status->acquire));
    add(texts, "Journal       %s\n",
        journal_words(json_member_string(json_member(status->acquire, "journal"), "state")));
    add(texts, "\nMeters\n------\n");
    for (size_t i = 0; i < json_count(meters); i++) {
        add_meter(texts, status, json_item(meters, i));
    }
    if (json_count(meters) == 0) {
        add(texts, "  none yet\n");
    }
}

int pages_status(const struct pages_status *status, struct text *ret, struct text *ret_lasts)
{
    const struct texts texts = { ret, ret_lasts };
    char time[CLOCK_TEXT_SIZE];

    add(&texts, "STATUS OF '%s'\n\n", status->appliance);
    text_addf(ret, "Written       %s, the logger's local time\n", clock_local(status->now_ms, time));
    add(&texts, "Version       Meterstick %s\n", METERSTICK_VERSION);
    if (!isnan(status->free_bytes)) {
        text_addf(ret, "Free space    about %.0f MiB on this stick\n", status->free_bytes / MIB);
    }
    add_network(&texts);
    add_acquire(&texts, status);
    return ret->failed || ret_lasts->failed ? -ENOMEM : 0;
}
