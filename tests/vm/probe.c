/* SPDX-License-Identifier: MIT */

/*
 * What a sandbox lets through: each attempt is made, undone, and told in a line "WHAT RESULT", RESULT being 0 or the
 * error's number. For test_vm_sandbox.py, in the place of a program of ours; it links nothing of them.
 */

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>

#define SCRATCH "/tmp/probe"

static int error_of(long result)
{
    return result < 0 ? errno : 0;
}

/* --- sockets, files, devices --- */

static int try_family(const char *number)
{
    int fd = socket(atoi(number), SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0 && (errno == ESOCKTNOSUPPORT || errno == EPROTONOSUPPORT)) {
        fd = socket(atoi(number), SOCK_SEQPACKET | SOCK_CLOEXEC, 0);  // what AF_ALG has
    }
    return error_of(fd);
}

static int try_send(const char *address)
{
    struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(9) };
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    (void) inet_pton(AF_INET, address, &to.sin_addr);
    return fd < 0 ? errno : error_of(sendto(fd, "x", 1, 0, (struct sockaddr *) &to, sizeof(to)));
}

static int try_open(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);

    if (fd >= 0) {
        (void) close(fd);
    }
    return error_of(fd);
}

static int try_read(const char *path)
{
    return try_open(path, O_RDONLY);
}

static int try_write(const char *path)
{
    return try_open(path, O_WRONLY);
}

static int try_device(const char *path)
{
    return try_open(path, strstr(path, "block") ? O_RDONLY : O_RDWR);
}

static int try_create(const char *directory)
{
    char path[256];
    int r;

    (void) snprintf(path, sizeof(path), "%s/probe", directory);
    r = try_open(path, O_WRONLY | O_CREAT | O_EXCL);
    if (r == 0) {
        (void) unlink(path);
    }
    return r;
}

/* --- calls --- */

static int call_mount(void)
{
    if (mkdir(SCRATCH, 0700) < 0 || mount("none", SCRATCH, "tmpfs", 0, NULL) < 0) {
        return errno;
    }
    return error_of(umount(SCRATCH));
}

static int call_mknod(void)
{
    return error_of(mknod(SCRATCH, S_IFCHR | 0600, 0x0103));
}

static int call_setuid_bit(void)
{
    int fd = open(SCRATCH, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);

    return fd < 0 ? errno : error_of(fchmod(fd, 04700));
}

static int call_chown(void)
{
    int fd = open(SCRATCH, O_WRONLY | O_CREAT | O_CLOEXEC, 0700);

    return fd < 0 ? errno : error_of(fchown(fd, 1, (gid_t) -1));
}

static int call_ptrace(void)
{
    return error_of(ptrace(PTRACE_TRACEME, 0, NULL, NULL));
}

static int call_user_namespace(void)
{
    return error_of(unshare(CLONE_NEWUSER));
}

static int call_mount_namespace(void)
{
    return error_of(unshare(CLONE_NEWNS));
}

static int call_writable_code(void)
{
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED
               ? errno : 0;
}

static int call_personality(void)
{
    return error_of(personality(ADDR_NO_RANDOMIZE));
}

static int call_realtime(void)
{
    return error_of(sched_setscheduler(0, SCHED_FIFO, &(struct sched_param){ .sched_priority = 1 }));
}

static int call_priority(void)
{
    return error_of(setpriority(PRIO_PROCESS, 0, -5));
}

static int call_clock_settime(void)
{
    struct timespec now;

    (void) clock_gettime(CLOCK_REALTIME, &now);
    return error_of(clock_settime(CLOCK_REALTIME, &now));
}

static int call_adjtimex(void)
{
    return error_of(adjtimex(&(struct timex){ .modes = 0 }));
}

static int call_hostname(void)
{
    char name[256] = "";

    (void) gethostname(name, sizeof(name) - 1);
    return error_of(sethostname(name, strlen(name)));
}

static int call_module(void)
{
    return error_of(syscall(SYS_init_module, NULL, 0, ""));
}

static int call_reboot(void)
{
    return error_of(syscall(SYS_reboot, 0, 0, 0, NULL));  // without its magic numbers: EINVAL at most
}

static int call_bpf(void)
{
    union bpf_attr nothing = {};

    return error_of(syscall(SYS_bpf, BPF_MAP_CREATE, &nothing, sizeof(nothing)));
}

static int call_setuid(void)
{
    return error_of(setuid(0));
}

static int call_chroot(void)
{
    return error_of(chroot("/"));
}

static int call_perf(void)
{
    return error_of(syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
}

/* --- all of them --- */

static const struct call {
    const char *name;
    int (*make)(void);
} calls[] = {
    { "adjtimex", call_adjtimex },
    { "bpf", call_bpf },
    { "chown", call_chown },
    { "chroot", call_chroot },
    { "clock_settime", call_clock_settime },
    { "init_module", call_module },
    { "mknod", call_mknod },
    { "mount", call_mount },
    { "perf_event_open", call_perf },
    { "personality", call_personality },
    { "ptrace", call_ptrace },
    { "reboot", call_reboot },
    { "sched_setscheduler", call_realtime },
    { "sethostname", call_hostname },
    { "setpriority", call_priority },
    { "setuid", call_setuid },
    { "setuid-bit", call_setuid_bit },
    { "unshare-mount", call_mount_namespace },
    { "unshare-user", call_user_namespace },
    { "writable-code", call_writable_code },
};

static int try_call(const char *name)
{
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        if (strcmp(calls[i].name, name) == 0) {
            return calls[i].make();
        }
    }
    return ENOSYS;
}

static const struct kind {
    const char *name;
    int (*attempt)(const char *what);
} kinds[] = {
    { "call", try_call },
    { "create", try_create },
    { "device", try_device },
    { "family", try_family },
    { "read", try_read },
    { "send", try_send },
    { "write", try_write },
};

/* In a process of its own: what it did to itself, and its end by a signal, are its own. */
static int make(const struct kind *kind, const char *what)
{
    int status = 0;
    pid_t pid;

    (void) fflush(stdout);
    pid = fork();
    if (pid == 0) {
        (void) alarm(20);
        _exit(kind->attempt(what));
    }
    if (pid < 0 || waitpid(pid, &status, 0) < 0) {
        return errno;
    }
    (void) rmdir(SCRATCH);
    (void) unlink(SCRATCH);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 256 + WTERMSIG(status);
}

/* Arguments: KIND=WHAT... */
int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        char *what = strchr(argv[i], '=');

        for (size_t k = 0; what && k < sizeof(kinds) / sizeof(kinds[0]); k++) {
            if (strncmp(kinds[k].name, argv[i], (size_t) (what - argv[i])) == 0) {
                (void) printf("%s %d\n", argv[i], make(&kinds[k], what + 1));
            }
        }
    }
    return 0;
}
