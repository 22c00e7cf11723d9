/* SPDX-License-Identifier: MIT */
/* A simulated Current Cost display: sensor 0 is the house, 1 has three clamps, 2 one, 4 counts impulses. */
#include "app/cli/simulate.h"

#include "app/base/clock.h"
#include "app/base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MESSAGE_SIZE 2048

static const struct {
    unsigned sensor;
    unsigned clamps;  // 0: impulses
} sensors[] = { { 0, 1 }, { 1, 3 }, { 2, 1 }, { 4, 0 } };

static double value_of(const struct simulation *simulation, const char *format, unsigned sensor,
                       unsigned clamp)
{
    char name[QUANTITY_NAME_SIZE];
    int point;

    (void) snprintf(name, sizeof(name), "%s_s%u%s", format, sensor,
                    clamp == 1   ? "_ch1"
                    : clamp == 2 ? "_ch2"
                    : clamp == 3 ? "_ch3"
                                 : "");
    point = model_point(simulation->meters[0].model, name);
    return point < 0 ? 0
                     : simulated_meter_value(&simulation->meters[0], (size_t) point,
                                             simulation_elapsed_s(simulation));
}

static void begin(const struct simulation *simulation, struct text *text)
{
    int point = model_point(simulation->meters[0].model, "temperature");
    char time[CLOCK_TEXT_SIZE];

    text_addf(text, "<msg><src>CC128-v0.11</src><dsb>00089</dsb><time>%s</time>",
              clock_format(clock_wall_ms(), false, "%H:%M:%S", time, sizeof(time)));
    if (point >= 0) {
        text_addf(text, "<tmpr>%4.1f</tmpr>",
                  simulated_meter_value(&simulation->meters[0], (size_t) point,
                                        simulation_elapsed_s(simulation)));
    }
}

static void send_text(struct simulation *simulation, const struct text *text)
{
    char bytes[MESSAGE_SIZE];
    size_t size = MIN(text->size, sizeof(bytes));

    if (text->failed) {
        return;
    }
    memcpy(bytes, text->data, size);
    size = faults_text(&simulation->faults, bytes, size, sizeof(bytes));
    for (size_t i = 0; i < SIMULATE_ENDS; i++) {
        if (simulation->ends[i].fd >= 0 && size > 0) {
            simulate_send(&simulation->ends[i], bytes, size);
        }
    }
}

/* Five characters wide, as the display writes it. */
static void add_watts(struct text *text, unsigned clamp, double watts)
{
    double shown = fmin(fmax(round(watts), -9999), 99999);

    text_addf(text, "<ch%u><watts>%s%0*.0f</watts></ch%u>", clamp, shown < 0 ? "-" : "",
              shown < 0 ? 4 : 5, fabs(shown), clamp);
}

void simulate_display_talk(struct simulation *simulation)
{
    unsigned sensor = sensors[simulation->display_sensor].sensor;
    unsigned clamps = sensors[simulation->display_sensor].clamps;
    auto_text struct text text = { 0 };

    simulation->display_sensor = (simulation->display_sensor + 1) % ARRAY_SIZE(sensors);
    simulation->display_next_us += simulation->display_period_us / ARRAY_SIZE(sensors);
    if (simulation->meters[0].dead || simulation->display_silent & 1u << sensor) {
        return;
    }
    begin(simulation, &text);
    text_addf(&text, "<sensor>%u</sensor><id>%05u</id><type>%d</type>", sensor, 1234 + sensor,
              clamps ? 1 : 2);
    if (clamps == 0) {
        text_addf(&text, "<imp>%010.0f</imp><ipu>1000</ipu>",
                  fmod(value_of(simulation, "impulses", sensor, 0), 1e10));
    }
    for (unsigned clamp = 1; clamp <= clamps; clamp++) {
        add_watts(&text, clamp,
                  value_of(simulation, "power_active", sensor, clamps == 1 ? 0 : clamp));
    }
    text_add(&text, "</msg>\r\n");
    send_text(simulation, &text);
}

void simulate_display_history(struct simulation *simulation)
{
    auto_text struct text text = { 0 };

    begin(simulation, &text);
    text_add(&text,
             "<hist><dsw>00032</dsw><type>1</type><units>kwhr</units><data><sensor>0</sensor>"
             "<h024>001.1</h024><h022>000.9</h022></data></hist></msg>\r\n");
    send_text(simulation, &text);
}
