/* SPDX-License-Identifier: MIT */

/* What the guard noted, in words. */

#include "app/acquire/guard.h"

#include "app/base/decimal.h"
#include "app/base/text.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

/* A small buffer that text is appended to; what does not fit is cut. */
struct line {
    char *text;
    size_t size, at;
};

static void PRINTF_LIKE(2, 3) add(struct line *line, const char *format, ...)
{
    va_list arguments;
    int length;

    va_start(arguments, format);
    length = vsnprintf(line->text + line->at, line->size - line->at, format, arguments);
    va_end(arguments);
    line->at = MIN(line->at + (size_t) MAX(length, 0), line->size - 1);
}

static void add_value(struct line *line, double value, const char *unit)
{
    char number[DECIMAL_SIZE];

    (void) decimal_print(value, number);
    add(line, "%s%s%s", number, *unit ? " " : "", unit);
}

/* The seq of the row with which the counter began to be held back; 0: not known. */
static uint64_t look_up(struct guard_book *book, unsigned meter, const struct guard_note *note, uint64_t seq)
{
    const struct counter_judgement *judgement = &note->judgement;

    for (unsigned i = 0; i < GUARD_BOOK_SIZE; i++) {
        if (book->entries[i].boot_ms == (uint64_t) judgement->held_since_ms && book->entries[i].seq > 0
            && book->entries[i].meter == meter && book->entries[i].column == note->column) {
            if (note->boot_ms == (uint64_t) judgement->held_since_ms) {
                book->entries[i].seq = seq;  // the same row once more, after a commit that failed
            }
            return book->entries[i].seq;
        }
    }
    if (!counter_verdict_holds(judgement->verdict) || note->boot_ms != (uint64_t) judgement->held_since_ms) {
        return 0;
    }
    book->entries[book->next % GUARD_BOOK_SIZE].boot_ms = note->boot_ms;
    book->entries[book->next % GUARD_BOOK_SIZE].seq = seq;
    book->entries[book->next % GUARD_BOOK_SIZE].meter = (uint16_t) meter;
    book->entries[book->next % GUARD_BOOK_SIZE].column = note->column;
    book->next++;
    return seq;
}

static void add_reason(struct line *line, const struct counter_judgement *judgement, const char *unit)
{
    char elapsed[TEXT_DURATION_SIZE];

    add(line, " is held back: ");
    switch (judgement->verdict) {
    case COUNTER_STEP_BACK:
        add(line, "a step back from ");
        add_value(line, judgement->before, unit);
        break;
    case COUNTER_JUMP:
        add(line, "a jump from ");
        add_value(line, judgement->before, unit);
        add(line, " %s before; ", text_duration((uint64_t) judgement->elapsed_ms, elapsed));
        add_value(line, floor(judgement->bound), unit);
        add(line, " more would be possible");
        break;
    case COUNTER_ALL_ONES:
        add(line, "all bits are set");
        break;
    case COUNTER_UNCONFIRMED:
        add(line, "what was before is not known, the next readings must agree");
        break;
    case COUNTER_BELIEVED:
    case COUNTER_DROPPED:
    case COUNTER_RISE:
    case COUNTER_ROLLOVER:
    case COUNTER_RETURN:
    case COUNTER_RESET:
    case COUNTER_EXCHANGE:
    case COUNTER_AGREED:
        break;
    }
}

static void add_finding(struct line *line, const struct counter_judgement *judgement, const char *unit)
{
    switch (judgement->verdict) {
    case COUNTER_DROPPED:
        add(line, " goes on");
        break;
    case COUNTER_RISE:
        add(line, " is a rise, faster or for longer than was known to be possible (max_power),");
        break;
    case COUNTER_ROLLOVER:
        add(line, " is a rollover at ");
        add_value(line, judgement->bound, unit);
        add(line, ",");
        break;
    case COUNTER_RETURN:
        add(line, " is a return to where the counter stood earlier,");
        break;
    case COUNTER_RESET:
        add(line, " is a reset,");
        break;
    case COUNTER_EXCHANGE:
        add(line, " is another level (meter exchange),");
        break;
    case COUNTER_AGREED:
        add(line, " is agreed by readings in line");
        return;
    case COUNTER_BELIEVED:
    case COUNTER_STEP_BACK:
    case COUNTER_JUMP:
    case COUNTER_ALL_ONES:
    case COUNTER_UNCONFIRMED:
        return;
    }
    if (!isnan(judgement->before)) {
        add(line, " from ");
        add_value(line, judgement->before, unit);
    }
}

const char *guard_event(struct guard_book *book, unsigned meter, const char *name, const struct layout *layout,
                        const struct guard_note *note, uint64_t seq, char ret[static GUARD_TEXT_SIZE])
{
    const struct counter_judgement *judgement = &note->judgement;
    const struct column *column = &layout->columns[note->column];
    struct line line = { .text = ret, .size = GUARD_TEXT_SIZE };
    uint64_t since;

    ret[0] = '\0';
    if (note->untold > 0) {
        add(&line, "%s: %" PRIu32 " more values held back or dropped, too many to name each", name, note->untold);
        return "held";
    }
    since = book ? look_up(book, meter, note, seq) : 0;

    add(&line, "%s: %s", name, column->name);
    if (book) {
        add(&line, " seq %" PRIu64, seq);
    }
    if (note->word_count > 0) {
        add(&line, " words ");
        for (unsigned i = 0; i < note->word_count; i++) {
            add(&line, "%04x", note->words[i]);
        }
    }
    add(&line, " value ");
    add_value(&line, note->value, column->unit);
    if (counter_verdict_holds(judgement->verdict)) {
        add_reason(&line, judgement, column->unit);
        return "held";
    }

    add_finding(&line, judgement, column->unit);
    add(&line, "; %u held", judgement->held);
    if (since > 0) {
        add(&line, " since seq %" PRIu64, since);
    }
    add(&line, " %s", counter_verdict_releases(judgement->verdict) ? "released" : "dropped");
    return counter_verdict_releases(judgement->verdict) ? "released" : "dropped";
}
