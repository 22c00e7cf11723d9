/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whether the Raspberry Pi has the voltage it needs. Its firmware tells the kernel, which has it as the sensor
 * "rpi_volt" (drivers/hwmon/raspberrypi-hwmon.c): in0_lcrit_alarm is 1 while the supply is below 4.63 V, or was since
 * the firmware was last asked. It is asked every 2 s, so whoever wants "was since boot" must remember it.
 */

enum power_state {
    POWER_STATE_UNTOLD,  // no such board, no such driver, or it does not answer
    POWER_STATE_GOOD,
    POWER_STATE_LOW,
};

/* sys_dir  "/sys" */
enum power_state power_look(const char *sys_dir);
