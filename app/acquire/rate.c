/* SPDX-License-Identifier: MIT */
#include "app/acquire/rate.h"

#define MINUTE_US UINT64_C(60000000)

bool rate_allows(struct rate *rate, uint64_t now_us, unsigned *ret_left_out)
{
    if (rate->count == 0 || now_us - rate->minute_us >= MINUTE_US) {
        rate->minute_us = now_us;
        rate->count = 0;
    }
    if (rate->count >= RATE_PER_MINUTE) {
        rate->left_out++;
        return false;
    }
    rate->count++;
    *ret_left_out = rate->left_out;
    rate->left_out = 0;
    return true;
}
