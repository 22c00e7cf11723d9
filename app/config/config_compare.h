/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * Whether two configurations ask the same of a bus, value by value: a reload leaves such a bus alone. What only people
 * look at (label, location, the place in a file) does not count. Pure.
 */

#include "app/config/config.h"

/* The line itself, without its meters. A lock that is not named goes by the order of the buses, and so counts too. */
bool config_bus_is_same(const struct config *a, unsigned bus_a, const struct config *b, unsigned bus_b);

/* A meter: what is asked of it, how and how often, also where its model has changed. Not the bus that it is on. */
bool config_meter_is_same(const struct meter_config *a, const struct meter_config *b);
