/* SPDX-License-Identifier: MIT */
#include "app/acquire/inbox_seen.h"

#include "app/base/file.h"
#include "app/base/json.h"

#include <errno.h>
#include <string.h>

#define FILE_MAX (1024 * 1024)

void inbox_seen_clear(struct inbox_seen *seen)
{
    for (unsigned i = 0; i < seen->count; i++) {
        free(seen->answers[i].text);
    }
    free(seen->answers);
    *seen = (struct inbox_seen){ 0 };
}

const struct inbox_answer *inbox_seen_find(const struct inbox_seen *seen, const char *sha256)
{
    for (unsigned i = seen->count; i > 0; i--) {
        if (text_equal(seen->answers[i - 1].sha256, sha256)) {
            return &seen->answers[i - 1];
        }
    }
    return NULL;
}

static void remove_at(struct inbox_seen *seen, unsigned index)
{
    free(seen->answers[index].text);
    seen->count--;
    memmove(&seen->answers[index], &seen->answers[index + 1], (seen->count - index) * sizeof(*seen->answers));
}

int inbox_seen_put(struct inbox_seen *seen, const char *sha256, bool adopted, bool lasting, const char *text)
{
    struct inbox_answer answer = { .adopted = adopted, .lasting = lasting, .text = strdup(text) };
    const struct inbox_answer *before;
    struct inbox_answer *more;

    more = reallocarray(seen->answers, seen->count + 1, sizeof(*more));
    seen->answers = more ? more : seen->answers;
    if (!more || !answer.text || text_copy(answer.sha256, sizeof(answer.sha256), sha256) < 0) {
        free(answer.text);
        return -ENOMEM;
    }

    before = inbox_seen_find(seen, sha256);
    if (before) {
        remove_at(seen, (unsigned) (before - seen->answers));
    } else if (seen->count == INBOX_SEEN_MAX) {
        remove_at(seen, 0);
    }
    seen->answers[seen->count++] = answer;
    if (seen->count > INBOX_ANSWERS) {
        free(TAKE(seen->answers[seen->count - 1 - INBOX_ANSWERS].text));
    }
    return 0;
}

void inbox_seen_drop(struct inbox_seen *seen)
{
    remove_at(seen, seen->count - 1);
}

static void add(struct text *text, const struct inbox_answer *answer)
{
    text_add(text, text->data[text->size - 1] == '[' ? "{" : ",{");
    json_add_member_string(text, "sha256", answer->sha256);
    json_add_member_string(text, "result", answer->adopted ? "adopted" : "refused");
    if (answer->text) {
        json_add_member_string(text, "text", answer->text);
    }
    text_add_char(text, '}');
}

void inbox_seen_add_json(const struct inbox_seen *seen, struct text *ret)
{
    text_add_char(ret, '[');
    for (unsigned i = seen->count > INBOX_ANSWERS ? seen->count - INBOX_ANSWERS : 0; i < seen->count; i++) {
        if (!ret->failed) {
            add(ret, &seen->answers[i]);
        }
    }
    text_add_char(ret, ']');
}

int inbox_seen_save(const struct inbox_seen *seen, const char *path)
{
    auto_text struct text text = { 0 };

    text_add(&text, "{\"answers\":[");
    for (unsigned i = 0; i < seen->count && !text.failed; i++) {
        if (seen->answers[i].lasting) {
            add(&text, &seen->answers[i]);
        }
    }
    text_add(&text, "]}\n");
    return text.failed ? -ENOMEM : file_replace(path, text.data, text.size, 0640, true);
}

static int take_all(struct inbox_seen *seen, const struct json *list)
{
    for (size_t i = 0; i < json_count(list); i++) {
        const struct json *answer = json_item(list, i);
        const char *sha256 = json_member_string(answer, "sha256"), *result = json_member_string(answer, "result");
        const char *text = json_member_string(answer, "text");
        int r;

        if (!sha256 || !sha256_is_text(sha256, "") || !result) {
            return -EBADMSG;
        }
        r = inbox_seen_put(seen, sha256, text_equal(result, "adopted"), true, text ? text : "");
        if (r < 0) {
            return r;
        }
    }
    return json_is_list(list) ? 0 : -EBADMSG;
}

int inbox_seen_load(struct inbox_seen *seen, const char *path)
{
    auto_json struct json *json = NULL;
    auto_free char *bytes = NULL;
    size_t size;
    int r;

    inbox_seen_clear(seen);
    r = file_read(path, FILE_MAX, &bytes, &size);
    r = r < 0 ? r : json_parse(bytes, size, &json, NULL);
    r = r < 0 ? r : take_all(seen, json_member(json, "answers"));
    if (r < 0) {
        inbox_seen_clear(seen);
    }
    return r;
}
