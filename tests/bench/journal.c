/* SPDX-License-Identifier: MIT */
/*
 * A journal as 79 meters leave it, written by the journal's own code, as fast as that goes: what a blank stick has to
 * carry.
 *
 *   bench_journal DIRECTORY METERS INTERVAL-MS SLICES [BOOT]
 *
 * BOOT is a digit that tells one boot from another. Rows have the twelve values of a plant's meter, with the digits
 * that an instrument of that resolution has. Prints how many rows it added.
 */
#include "app/journal/journal.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WALL_MS   1793484000000  // 2026-10-31T22:00:00Z, 23:00 in Berlin
#define COMMIT_MS 600000         // rarer than in life: each is an fsync

static const struct {
    const char *name, *unit;
    double middle, swing, digits;  // digits: 10^decimals
} columns[] = {
    { "voltage_l1_n", "V", 230, 5, 10 },        { "voltage_l2_n", "V", 231, 5, 10 },
    { "voltage_l3_n", "V", 229, 5, 10 },        { "current_l1", "A", 12, 11, 1000 },
    { "current_l2", "A", 9, 8, 1000 },          { "current_l3", "A", 10, 9, 1000 },
    { "power_active_total", "W", 5000, 4900, 1 }, { "power_reactive_total", "var", 0, 900, 1 },
    { "power_apparent_total", "VA", 5500, 4900, 1 }, { "power_factor_total", "", 0.9, 0.1, 1000 },
    { "frequency", "Hz", 50, 0.05, 100 },       { "energy_active_import", "Wh", 0, 0, 1 },
};

struct plant {
    struct journal *journal;
    struct epoch epoch;
    unsigned meters;
    uint64_t interval_ms;
    int64_t ids[1000];
    double energy_wh[1000];
    uint64_t random;
};

static double draw(struct plant *plant)
{
    plant->random = plant->random * 6364136223846793005u + 1442695040888963407u;
    return (double) (plant->random >> 33) / (double) (1u << 30) - 1;  // -1 .. 1
}

static int begin(struct plant *plant, char boot)
{
    struct layout *layout = calloc(1, sizeof(*layout));
    int r;

    if (!layout) {
        return -ENOMEM;
    }
    layout->count = ARRAY_SIZE(columns);
    for (size_t i = 0; i < ARRAY_SIZE(columns); i++) {
        (void) snprintf(layout->columns[i].name, QUANTITY_NAME_SIZE, "%s", columns[i].name);
        (void) snprintf(layout->columns[i].unit, UNIT_SIZE, "%s", columns[i].unit);
    }

    plant->epoch = (struct epoch){ .wall_ms = WALL_MS, .source = CLOCK_NTP };
    (void) snprintf(plant->epoch.boot_id, sizeof(plant->epoch.boot_id), "aaaaaaaa-0000-4000-8000-00000000000%c", boot);
    r = journal_add_epoch(plant->journal, &plant->epoch);
    for (unsigned i = 0; i < plant->meters && r >= 0; i++) {
        char name[16];

        (void) snprintf(name, sizeof(name), "meter-%02u", i + 1);
        r = journal_add_meter(plant->journal, name, "schneider-em6400ng", layout, &plant->ids[i]);
    }
    free(layout);
    return r;
}

static int add_slice(struct plant *plant, uint64_t boot_ms)
{
    for (unsigned i = 0; i < plant->meters; i++) {
        struct journal_row row = { .epoch = plant->epoch.number, .boot_ms = boot_ms + i * 11, .meter = plant->ids[i],
                                   .quality = "N", .value_count = ARRAY_SIZE(columns) };
        uint64_t seq;
        int r;

        for (size_t j = 0; j < ARRAY_SIZE(columns); j++) {
            row.values[j] = rint((columns[j].middle + columns[j].swing * draw(plant)) * columns[j].digits)
                            / columns[j].digits;
        }
        plant->energy_wh[i] += row.values[6] * (double) plant->interval_ms / 3600000;
        row.values[ARRAY_SIZE(columns) - 1] = 1e6 * (i + 1) + rint(plant->energy_wh[i]);
        r = journal_add_sample(plant->journal, &row, NULL, 0, &seq);
        if (r < 0) {
            return r;
        }
    }

    return 0;
}

int main(int argc, char **argv)
{
    static struct plant plant;
    uint64_t slices, boot_ms = 0, committed_ms = 0;
    int r;

    if (argc < 5 || atoi(argv[2]) < 1 || atoi(argv[2]) > 1000) {
        (void) fprintf(stderr, "bench_journal DIRECTORY METERS INTERVAL-MS SLICES [BOOT]\n");
        return 64;
    }
    plant.meters = (unsigned) atoi(argv[2]);
    plant.interval_ms = strtoull(argv[3], NULL, 10);
    slices = strtoull(argv[4], NULL, 10);
    plant.random = 1;

    r = journal_open(argv[1], false, &plant.journal);
    if (r >= 0) {
        r = begin(&plant, argc > 5 ? argv[5][0] : '1');
    }
    for (uint64_t slice = 0; slice < slices && r >= 0; slice++) {
        boot_ms = slice * plant.interval_ms;
        r = add_slice(&plant, boot_ms);
        if (r >= 0 && boot_ms >= committed_ms + COMMIT_MS) {
            r = journal_commit(plant.journal, boot_ms);
            committed_ms = boot_ms;
        }
    }
    if (r >= 0) {
        r = journal_commit(plant.journal, boot_ms);
    }
    journal_close(plant.journal);
    if (r < 0) {
        (void) fprintf(stderr, "bench_journal: %s: %s\n", argv[1], strerror(-r));
        return 1;
    }

    printf("%llu\n", (unsigned long long) (slices * plant.meters));
    return 0;
}
