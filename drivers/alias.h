/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Names that another program has for our points, so that its users' scripts and lists go on (FX-09).
 * Pure.
 */

/*
 * Our name for a point of FlexPower's energy-meter: "voltage_l1_n" for "voltage_phase_a". NULL: not one of its names.
 * The values stay in our base units: its powers are in kW, ours in W.
 */
const char *alias_point(const char *name);
