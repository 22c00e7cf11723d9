/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * How late this machine wakes somebody who wants nothing but to be woken each millisecond: what of a silence on the
 * line is the machine's own. A thread of its own, of the program that measures.
 */

int pace_start(void);

/* The lateness that so many of 1000 wakings did not exceed, in ms. */
double pace_late_ms(double of_1000);
