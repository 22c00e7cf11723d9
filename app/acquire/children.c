/* SPDX-License-Identifier: MIT */
#include "app/acquire/children.h"

#include <dirent.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

/* A task's children stand in its file, with blanks between (proc(5)). Each leads a group of its own. */
static void end_children_of(const char *task)
{
    char path[64];
    FILE *file;
    int pid;

    if (snprintf(path, sizeof(path), "/proc/self/task/%.20s/children", task) >= (int) sizeof(path)) {
        return;
    }
    file = fopen(path, "re");
    if (!file) {
        return;  // without it they end by themselves, or with our control group
    }
    while (fscanf(file, "%d", &pid) == 1) {
        if (pid > 1 && getpgid(pid) == pid) {
            (void) kill(-pid, SIGTERM);
        }
    }
    (void) fclose(file);
}

void children_end(void)
{
    DIR *tasks = opendir("/proc/self/task");
    const struct dirent *entry;

    if (!tasks) {
        return;
    }
    while ((entry = readdir(tasks))) {
        if (entry->d_name[0] != '.') {
            end_children_of(entry->d_name);
        }
    }
    (void) closedir(tasks);
}
