/* SPDX-License-Identifier: MIT */
#pragma once

/* End the process groups of all our children: programs that are meters, when we end before they do. */
void children_end(void);
