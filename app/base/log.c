/* SPDX-License-Identifier: MIT */
#include "app/base/log.h"

#include "app/base/clock.h"
#include "app/base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/*
 * A program has one log, set up before its threads start: the one piece of state that no struct owns, since every
 * entry point would have to hand it to every other.
 */
static struct {
    _Atomic int level;
    int fd;
    bool under_systemd;
    char program[32];
} the_log = { .level = LOG_LEVEL_INFO, .fd = STDERR_FILENO };

static const char *const level_names[] = { "error", "warning", "info", "debug" };
static const int level_priorities[] = { 3, 4, 6, 7 };  // those of syslog(3), which systemd reads

/*
 * $JOURNAL_STREAM is inherited: it is true only of a standard error that is that very stream, and not of one that was
 * redirected since (systemd.exec(5)).
 */
static bool is_journal(int fd)
{
    const char *stream = getenv("JOURNAL_STREAM");
    char name[64];
    struct stat status;

    if (!stream || fstat(fd, &status) < 0) {
        return false;
    }
    (void) snprintf(name, sizeof(name), "%ju:%ju", (uintmax_t) status.st_dev, (uintmax_t) status.st_ino);
    return text_equal(stream, name);
}

int log_set_level(const char *level)
{
    for (size_t i = 0; i < ARRAY_SIZE(level_names); i++) {
        if (text_equal(level, level_names[i])) {
            the_log.level = (int) i;
            return 0;
        }
    }
    return -EINVAL;
}

int log_setup(const char *program, const char *level, const char *destination)
{
    if (level && log_set_level(level) < 0) {
        return -EINVAL;
    }
    if (destination) {
        int fd = STDERR_FILENO, before = the_log.fd;

        if (!text_equal(destination, "stderr")) {
            fd = open(destination, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
        }
        if (fd < 0) {
            return -errno;
        }
        the_log.fd = fd;  // for as long as the program runs
        if (before != STDERR_FILENO) {
            (void) close(before);
        }
    }

    the_log.under_systemd = the_log.fd == STDERR_FILENO && is_journal(STDERR_FILENO);
    (void) snprintf(the_log.program, sizeof(the_log.program), "%s", program);
    return 0;
}

bool log_is_on(enum log_level level)
{
    return (int) level <= the_log.level;
}

int log_descriptor(void)
{
    return the_log.fd;
}

void log_write(enum log_level level, const char *format, ...)
{
    char line[2048];
    char time[CLOCK_TEXT_SIZE];
    size_t length;
    va_list arguments;

    if (!log_is_on(level)) {
        return;
    }

    if (the_log.under_systemd) {
        length = (size_t) snprintf(line, sizeof(line), "<%d>", level_priorities[level]);
    } else {
        length = (size_t) snprintf(line, sizeof(line), "%s %s: %s%s", clock_local(clock_wall_ms(), time),
                                   the_log.program, level <= LOG_LEVEL_WARNING ? level_names[level] : "",
                                   level <= LOG_LEVEL_WARNING ? ": " : "");
    }
    va_start(arguments, format);
    (void) vsnprintf(line + length, sizeof(line) - length - 1, format, arguments);
    va_end(arguments);

    text_make_printable(line);  // a line break or an escape sequence in a meter's text must not forge a line
    length = strlen(line);
    line[length++] = '\n';
    (void) !write(the_log.fd, line, length);  // there is nobody to tell
}
