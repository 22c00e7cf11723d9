/* SPDX-License-Identifier: MIT */
#include "app/acquire/budget.h"

#include "app/base/macros.h"

void budget_init(struct budget *ret, uint64_t now_us)
{
    *ret = (struct budget){ .left_us = BUDGET_MOST_US, .counted_us = now_us };
}

static int64_t left_at(const struct budget *budget, uint64_t now_us)
{
    uint64_t passed_us = now_us - MIN(budget->counted_us, now_us);

    return MIN(budget->left_us + (int64_t) (passed_us / BUDGET_DIVISOR), BUDGET_MOST_US);
}

void budget_spend(struct budget *budget, uint64_t now_us, uint64_t spent_us)
{
    budget->left_us = MAX(left_at(budget, now_us) - (int64_t) spent_us, -BUDGET_OWED_US);
    budget->counted_us = MAX(budget->counted_us, now_us);
}

uint64_t budget_wait_us(const struct budget *budget, uint64_t now_us, int64_t least_us)
{
    int64_t left_us = left_at(budget, now_us);

    return left_us > least_us ? 0 : (uint64_t) (least_us - left_us + 1) * BUDGET_DIVISOR;
}
