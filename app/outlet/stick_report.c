/* SPDX-License-Identifier: MIT */

#include "app/outlet/stick_report.h"

#include "app/base/text.h"

#include <errno.h>
#include <math.h>

const char *stick_report_state_name(enum stick_state state)
{
    switch (state) {
    case STICK_IDLE:
        return "idle";
    case STICK_CHECKING:
        return "checking";
    case STICK_WRITING:
        return "writing";
    case STICK_FULL:
        return "full";
    case STICK_READONLY:
        return "readonly";
    case STICK_REFUSED:
        return "refused";
    case STICK_SLOW:
        return "slow";
    case STICK_FAILED:
        return "failed";
    }

    return "failed";
}

enum stick_state stick_report_state_of(int error)
{
    switch (error) {
    case 0:
    case -EAGAIN:
    case -ENOENT:
        return STICK_IDLE;
    case -ENOSPC:
    case -EDQUOT:
        return STICK_FULL;
    case -EROFS:
    case -EACCES:
    case -EPERM:
        return STICK_READONLY;
    case -EBUSY:
    case -EMEDIUMTYPE:
    case -EUCLEAN:
        return STICK_REFUSED;
    }

    return STICK_FAILED;
}

static bool is_same_number(double a, double b)
{
    return a == b || (isnan(a) && isnan(b));
}

bool stick_report_is_same(const struct stick_report *a, const struct stick_report *b)
{
    return a->in == b->in && a->state == b->state && a->backlog == b->backlog && a->gap == b->gap &&
           a->is_configuration_refused == b->is_configuration_refused &&
           is_same_number(a->percent, b->percent) && is_same_number(a->eta_s, b->eta_s) && text_equal(a->id, b->id) &&
           text_equal(a->error, b->error);
}
