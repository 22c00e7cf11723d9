/* SPDX-License-Identifier: MIT */
#include "drivers/exec_line.h"

#include "app/base/decimal.h"
#include "app/base/text.h"

#include <float.h>
#include <math.h>
#include <string.h>
#include <strings.h>

static bool is_word(const char *cell, size_t size, const char *word)
{
    return size == strlen(word) && strncasecmp(cell, word, size) == 0;
}

/* A cell's number; NAN if it is empty. False if it is no number. */
static bool parse_cell(const char *cell, size_t size, int exponent, double *ret)
{
    char text[64];
    double value;

    while (size > 0 && (cell[0] == ' ' || cell[0] == '\t')) {
        cell++;
        size--;
    }
    while (size > 0 && (cell[size - 1] == ' ' || cell[size - 1] == '\t')) {
        size--;
    }
    if (size == 0 || is_word(cell, size, "nan") || is_word(cell, size, "null")) {
        *ret = NAN;
        return true;
    }
    if (is_word(cell, size, "lagging") || is_word(cell, size, "unity")
        || is_word(cell, size, "leading")) {
        *ret = (cell[1] | 0x20) == 'a' ? 1 : (cell[0] | 0x20) == 'u' ? 0 : -1;
        return true;
    }
    if (size >= sizeof(text)) {
        return false;
    }
    memcpy(text, cell, size);
    text[size] = '\0';
    if (text_to_double(text, -DBL_MAX, DBL_MAX, &value) < 0) {
        return false;
    }
    *ret = exponent == 0
               ? value
               : decimal_scale_double(value, (struct decimal){ .digits = 1, .exponent = exponent });
    return true;
}

/* Cut a cell off a line, without its quotes: a doubled quote stays doubled, numbers have none. False at the end. */
static bool cut_cell(const char **at, const char *end, const char **ret_cell, size_t *ret_size)
{
    const char *cell = *at;
    const char *stop;

    if (!cell) {
        return false;
    }
    while (cell < end && *cell == ' ') {
        cell++;
    }
    if (cell < end && *cell == '"') {
        const char *quote = ++cell;

        while (quote < end && (*quote != '"' || (quote + 1 < end && quote[1] == '"'))) {
            quote += *quote == '"' ? 2 : 1;
        }
        quote = MIN(quote, end);
        *ret_size = (size_t) (quote - cell);
        stop = memchr(quote, ',', (size_t) (end - quote));
    } else {
        stop = memchr(cell, ',', (size_t) (end - cell));
        *ret_size = (size_t) ((stop ? stop : end) - cell);
    }
    *ret_cell = cell;
    *at = stop ? stop + 1 : NULL;
    return true;
}

bool exec_line_parse(const struct exec_cells *cells, const char *line, const char *end,
                     struct sample *ret)
{
    const char *at = line;

    for (unsigned i = 0; i < cells->count; i++) {
        int column = cells->columns[i];
        const char *cell;
        double value;
        size_t size;

        if (!cut_cell(&at, end, &cell, &size)) {
            return false;
        }
        if (column < 0) {
            continue;
        }
        if (!parse_cell(cell, size, cells->exponents[i], &value)) {
            return false;
        }
        ret->values[column] = value;
        ret->reasons[column] = isnan(value) ? REASON_NOT_AVAILABLE : REASON_NONE;
    }
    return at == NULL;
}
