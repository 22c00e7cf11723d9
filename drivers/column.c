/* SPDX-License-Identifier: MIT */

#include "drivers/column.h"

#include <stdio.h>

const char *column_label(const struct column *column, char buffer[static COLUMN_LABEL_SIZE])
{
    const char *suffix = quantity_unit_suffix(column->unit);

    (void) snprintf(buffer, COLUMN_LABEL_SIZE, "%s%s%s", column->name, *suffix ? "_" : "", suffix);
    return buffer;
}
