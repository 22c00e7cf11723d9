/* SPDX-License-Identifier: MIT */

/* Which view shows which meter. */

#include "app/journal/journal_private.h"

#include "app/journal/stored.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The meter that a view shows: its SQL ends with the id. 0 if there is no such view. */
static int viewed_meter(struct database *database, const char *view, int64_t *ret)
{
    auto_statement struct statement *statement = NULL;
    const char *id;
    int r;

    r = statement_new(database, "SELECT sql FROM sqlite_schema WHERE type='view' AND name=?", &statement);
    if (r < 0) {
        return r;
    }

    statement_set_text(statement, 1, view, strlen(view));
    r = statement_step(statement);
    if (r < 0) {
        return r;
    }

    id = r == 0 ? NULL : strrchr(statement_text(statement, 0), '=');
    *ret = id ? strtoll(id + 1, NULL, 10) : 0;
    return 0;
}

/* A meter, and the first one that had the same layout, whose id its view has. */
static int find_stored(struct database *database, int64_t id, struct journal_meter *ret, int64_t *ret_layout_id)
{
    auto_statement struct statement *statement = NULL;
    int r;

    r = statement_new(database,
                      "SELECT id,name,model,layout,(SELECT min(id) FROM meter AS first WHERE first.layout=meter.layout)"
                      " FROM meter WHERE id=?", &statement);
    if (r < 0) {
        return r;
    }

    statement_set_number(statement, 1, id);
    r = statement_step(statement);
    if (r <= 0) {
        return r < 0 ? r : -EBADMSG;
    }

    *ret_layout_id = statement_number(statement, 4);
    return journal_meter_from(statement, ret);
}

/* SQL for the view that a meter had before: v_<name>_<id>. A meter called like that, "kitchen_3", keeps its own. */
static int move_older(struct database *database, const char *view, int64_t older, struct journal_meter *scratch,
                      struct text *sql)
{
    char older_view[METER_ID_SIZE + 32];
    int64_t shown, layout_id;
    int r;

    (void) snprintf(older_view, sizeof(older_view), "%s_%" PRId64, view, older);
    r = viewed_meter(database, older_view, &shown);
    if (r < 0 || shown != 0) {
        return r;
    }

    r = find_stored(database, older, scratch, &layout_id);
    if (r < 0) {
        return r;
    }

    stored_add_view(sql, older_view, older, layout_id);
    return 0;
}

int journal_segment_add_view(struct database *database, int64_t meter)
{
    auto_free struct journal_meter *its = malloc(sizeof(*its));
    auto_text struct text sql = {};
    char view[METER_ID_SIZE + 2], older_view[METER_ID_SIZE + 32];
    int64_t shown, older_shown, layout_id;
    int r;

    if (!its) {
        return -ENOMEM;
    }

    r = find_stored(database, meter, its, &layout_id);
    if (r < 0) {
        return r;
    }

    (void) snprintf(view, sizeof(view), "v_%s", its->name);
    (void) snprintf(older_view, sizeof(older_view), "%s_%" PRId64, view, meter);
    r = viewed_meter(database, view, &shown);
    if (r < 0 || shown == meter) {
        return r;
    }

    r = viewed_meter(database, older_view, &older_shown);
    if (r < 0) {
        return r;
    }
    if (older_shown == meter) {
        text_addf(&sql, "DROP VIEW \"%s\";", older_view);  // an older layout that is the newest again
    }

    stored_add_layout_view(&sql, layout_id, &its->layout);
    stored_add_view(&sql, view, meter, layout_id);
    r = shown != 0 ? move_older(database, view, shown, its, &sql) : 0;
    if (r < 0) {
        return r;
    }

    return sql.failed ? -ENOMEM : database_run(database, text_string(&sql));
}
