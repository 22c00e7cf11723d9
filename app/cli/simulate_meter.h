/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * A simulated Modbus meter: the registers of a model, filled from a load, with what a test or a person set on top.
 * Pure but for what is set.
 */

#include "app/cli/simulate_load.h"
#include "drivers/modbus_frame.h"

#define SIMULATED_METER_EXCEPTIONS 16

/* Refuse every request that touches a register. */
struct simulated_meter_exception {
    int register_address;  // on the wire; -1: any
    uint8_t code;
};

struct simulated_meter {
    const struct model *model;
    unsigned address;
    struct serial_setting serial;  // hears nothing else; baud 0: hears everything
    bool dead;
    struct load load;
    double *overrides;  // [point_count]; HUGE_VAL: none, NAN: not available
    struct simulated_meter_exception exceptions[SIMULATED_METER_EXCEPTIONS];
    unsigned exception_count;
};

/* The caller clears it with simulated_meter_clear(); the model must outlive it. Errors: -ENOMEM */
int simulated_meter_init(struct simulated_meter *ret, const struct model *model, unsigned address,
                         uint64_t seed) MUST_CHECK;
void simulated_meter_clear(struct simulated_meter *meter);

/* What a point shows now. */
double simulated_meter_value(const struct simulated_meter *meter, size_t point, double elapsed_s);

/* Set a point to a value, NAN for "not available", HUGE_VAL to let it move again. Errors: -ENOENT no such point */
int simulated_meter_set(struct simulated_meter *meter, const char *point, double value) MUST_CHECK;

/* Refuse from now on; code 0 takes it back. Errors: -ENOSPC */
int simulated_meter_refuse(struct simulated_meter *meter, int register_address,
                           uint8_t code) MUST_CHECK;

/*
 * Answer a request. Returns 0 with the words of its registers, or the Modbus exception: 1 another function, 2 no
 * such register, 3 more than the model allows. Registers between those of the model read 0 where the model says
 * that they may be read.
 */
unsigned simulated_meter_answer(const struct simulated_meter *meter,
                                const struct modbus_request *request, double elapsed_s,
                                uint16_t ret_words[static MODBUS_MAX_REGISTERS]);
