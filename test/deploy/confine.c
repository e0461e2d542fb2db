/* SPDX-License-Identifier: MIT
 *
 * Runs a program as a container would be run by a careful cluster: in a root directory of
 * its own that is read-only, as user 65532 without capabilities, without new privileges,
 * and with a seccomp filter in which the calls of io_uring fail with EPERM, as in the
 * default profiles of container engines.
 *
 *   confine ROOT PROGRAM [ARG]...
 *
 * Exits with 77 where the system does not allow it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
    USER = 65532,
    NOT_ALLOWED = 77
};

static void
must(int ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "confine: %s: %s\n", what, strerror(errno));
    exit(NOT_ALLOWED);
}

static void
write_file(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    must(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text), path);
    close(fd);
}

/* Namespaces of its own. Who is not root becomes USER in a new user namespace. */
static void
enter_namespaces(void)
{
    unsigned uid = geteuid(), gid = getegid();
    char map[64];

    if (uid == 0) {
        must(unshare(CLONE_NEWNS) == 0, "unshare mounts");
        return;
    }
    must(unshare(CLONE_NEWUSER | CLONE_NEWNS) == 0, "unshare users and mounts");
    write_file("/proc/self/setgroups", "deny");
    snprintf(map, sizeof(map), "%d %u 1", USER, uid);
    write_file("/proc/self/uid_map", map);
    snprintf(map, sizeof(map), "%d %u 1", USER, gid);
    write_file("/proc/self/gid_map", map);
}

static void
enter_root(const char *root)
{
    must(mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0, "private mounts");
    must(mount(root, root, NULL, MS_BIND, NULL) == 0, "bind");
    must(mount(root, root, NULL, MS_BIND | MS_REMOUNT | MS_RDONLY | MS_NOSUID | MS_NODEV,
             NULL) == 0,
        "remount read-only");
    must(chdir(root) == 0 && chroot(".") == 0, "chroot");
}

static void
become_user(void)
{
    if (geteuid() == 0) {
        must(setgroups(0, NULL) == 0, "setgroups");
        must(setresgid(USER, USER, USER) == 0, "setresgid");
        must(setresuid(USER, USER, USER) == 0, "setresuid");
    }
    must(geteuid() == USER && getegid() == USER, "user");
}

/* The numbers of io_uring's calls are the same on all machines. */
static void
forbid_io_uring(void)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYS_io_uring_setup, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SYS_io_uring_register, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = { sizeof(code) / sizeof(code[0]), code };

    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "seccomp");
    must(syscall(SYS_io_uring_setup, 1, NULL) == -1 && errno == EPERM, "io_uring");
}

int
main(int argc, char **argv)
{
    if (argc < 3) {
        fprintf(stderr, "usage: confine ROOT PROGRAM [ARG]...\n");
        return 2;
    }
    enter_namespaces();
    enter_root(argv[1]);
    become_user();
    forbid_io_uring();
    execv(argv[2], argv + 2);
    fprintf(stderr, "confine: %s: %s\n", argv[2], strerror(errno));
    return 1;
}
