/* SPDX-License-Identifier: MIT */

/* Whose rows they are. The newest segment of a place knows all meters that there were when it began, and since. */

#include "app/journal/journal_private.h"

#include "app/journal/stored.h"

#include <errno.h>
#include <string.h>

#define METER_COLUMNS "SELECT id,name,model,layout FROM meter"

int journal_meter_from(struct statement *statement, struct journal_meter *ret)
{
    const char *layout;

    ret->id = statement_number(statement, 0);
    if (text_copy(ret->name, sizeof(ret->name), statement_text(statement, 1)) < 0 ||
        text_copy(ret->model, sizeof(ret->model), statement_text(statement, 2)) < 0) {
        return -EBADMSG;
    }

    layout = statement_text(statement, 3);
    return stored_parse_layout(layout, strlen(layout), &ret->layout);
}

int journal_each_stored_meter(struct database *database, void (*each)(void *data, const struct journal_meter *meter),
                              void *data)
{
    auto_free struct journal_meter *meter = malloc(sizeof(*meter));
    auto_statement struct statement *statement = NULL;
    int r;

    if (!meter) {
        return -ENOMEM;
    }

    r = statement_new(database, METER_COLUMNS " ORDER BY id DESC", &statement);
    if (r < 0) {
        return r;
    }

    while ((r = statement_step(statement)) > 0) {
        r = journal_meter_from(statement, meter);
        if (r < 0) {
            return r;
        }
        each(data, meter);
    }
    return r;
}

/* The first meter that a query of a number and a name gives. Errors: -ENOENT there is none */
static int ask_meter(struct reader_place *place, const char *sql, int64_t number, const char *name,
                     struct journal_meter *ret)
{
    auto_statement struct statement *statement = NULL;
    int r;

    r = statement_new(place->database, sql, &statement);
    if (r < 0) {
        return r;
    }

    statement_set_number(statement, 1, number);
    if (name) {
        statement_set_text(statement, 2, name, strlen(name));
    }
    r = statement_step(statement);
    if (r <= 0) {
        return r < 0 ? r : -ENOENT;
    }

    return journal_meter_from(statement, ret);
}

/* Of the newest segment of a place that can be read, or of the newest that has it. Errors: -ENOENT */
static int ask_place(struct journal *journal, struct reader_place *place, bool of_any, const char *sql, int64_t number,
                     const char *name, struct journal_meter *ret)
{
    for (size_t i = place->segments.count; i > 0; i--) {
        int r;

        r = journal_place_open(place, i - 1);
        if (r >= 0) {
            r = ask_meter(place, sql, number, name, ret);
        }
        if (r >= 0 || (r == -ENOENT && !of_any)) {
            return r;
        }
        if (r != -ENOENT && !journal_may_pass(journal, r)) {
            return r;
        }
    }

    return -ENOENT;
}

int journal_meter(struct journal *journal, int64_t id, struct journal_meter *ret)
{
    int r;

    r = journal_reader_begin(journal);
    if (r < 0) {
        return r;
    }

    r = -ENOENT;
    for (int i = 0; i < PLACES && r == -ENOENT; i++) {
        r = ask_place(journal, &journal->reader.places[i], true, METER_COLUMNS " WHERE id=?1", id, NULL, ret);
    }
    return journal_reader_done(journal, r);
}

/* The newest of that name (NULL: of any) that is older than an id, of both places. */
static int find_older(struct journal *journal, const char *name, int64_t id, struct journal_meter *meters,
                      struct journal_meter **ret)
{
    *ret = NULL;
    for (int i = 0; i < PLACES; i++) {
        int r;

        r = ask_place(journal, &journal->reader.places[i], false,
                      METER_COLUMNS " WHERE id<?1 AND (name=?2 OR ?2 ISNULL) ORDER BY id DESC LIMIT 1", id, name,
                      &meters[i]);
        if (r < 0 && r != -ENOENT) {
            return r;
        }
        if (r >= 0 && (!*ret || meters[i].id > (*ret)->id)) {
            *ret = &meters[i];
        }
    }

    return *ret ? 0 : -ENOENT;
}

int journal_find_meter(struct journal *journal, const char *name, unsigned index, struct journal_meter *ret)
{
    auto_free struct journal_meter *meters = calloc(PLACES, sizeof(*meters));
    struct journal_meter *found = NULL;
    int64_t id = INT64_MAX;
    int r;

    if (!meters) {
        return -ENOMEM;
    }

    r = journal_reader_begin(journal);
    for (unsigned i = 0; i <= index && r >= 0; i++) {
        r = find_older(journal, name, id, meters, &found);
        id = r >= 0 ? found->id : id;
    }
    if (r >= 0) {
        *ret = *found;
    }

    return journal_reader_done(journal, r);
}

int journal_each_meter(struct journal *journal, void (*each)(void *data, const struct journal_meter *meter), void *data)
{
    auto_free struct journal_meter *meters = calloc(PLACES, sizeof(*meters));
    struct journal_meter *found;
    int64_t id = INT64_MAX;
    int r;

    if (!meters) {
        return -ENOMEM;
    }

    r = journal_reader_begin(journal);
    if (r < 0) {
        return r;
    }

    while ((r = find_older(journal, NULL, id, meters, &found)) >= 0) {
        id = found->id;
        each(data, found);
    }

    return journal_reader_done(journal, r == -ENOENT ? 0 : r);
}
