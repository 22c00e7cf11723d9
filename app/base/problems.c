/* SPDX-License-Identifier: MIT */
#include "app/base/problems.h"

void problems_add(struct problems *problems, const char *file, unsigned line, const char *format, ...)
{
    va_list arguments;
    size_t start;

    if (problems->text.size > 0) {
        text_add_char(&problems->text, '\n');
    }
    start = problems->text.size;
    if (file && line) {
        text_addf(&problems->text, "%s:%u: ", file, line);
    } else if (file) {
        text_addf(&problems->text, "%s: ", file);
    }
    va_start(arguments, format);
    text_vaddf(&problems->text, format, arguments);
    va_end(arguments);
    if (problems->text.size > start) {
        text_make_printable(problems->text.data + start);  // it quotes the file
    }
    problems->count++;
}

void problems_clear(struct problems *problems)
{
    text_clear(&problems->text);
    problems->count = 0;
}

const char *problems_text(const struct problems *problems)
{
    return text_string(&problems->text);
}
