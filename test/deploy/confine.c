/* SPDX-License-Identifier: MIT
 *
 * Runs a program as a container would be run by a careful cluster: in a root directory of
 * its own that is read-only, as user 65532 without capabilities, without new privileges,
 * and with a seccomp filter in which the calls of io_uring fail with EPERM, as in the
 * default profiles of container engines.
 *
 *   confine [-n] [-4] ROOT PROGRAM [ARG]...
 *
 *   -n   in a network of its own, in which nothing is up
 *   -4   in a kernel that has no IPv6, or so it seems
 *
 * Exits with 77 where the system does not allow it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
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
enter_namespaces(int more)
{
    unsigned uid = geteuid(), gid = getegid();
    char map[64];

    if (uid == 0) {
        must(unshare(CLONE_NEWNS | more) == 0, "unshare mounts");
        return;
    }
    must(unshare(CLONE_NEWUSER | CLONE_NEWNS | more) == 0, "unshare users and mounts");
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

static void
filter(struct sock_filter *code, unsigned short n)
{
    struct sock_fprog program = { n, code };

    must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    must(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "seccomp");
}

/* The numbers of io_uring's calls are the same on all machines. */
static void
forbid_io_uring(void)
{
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, SYS_io_uring_setup, 0, 2),
        BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, SYS_io_uring_register, 1, 0),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    filter(code, sizeof(code) / sizeof(code[0]));
    must(syscall(SYS_io_uring_setup, 1, NULL) == -1 && errno == EPERM, "io_uring");
}

static void
forbid_ipv6(void)
{
    static struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_socket, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, args[0])),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, AF_INET6, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EAFNOSUPPORT),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };

    filter(code, sizeof(code) / sizeof(code[0]));
    must(socket(AF_INET6, SOCK_STREAM, 0) == -1 && errno == EAFNOSUPPORT, "IPv6");
}

int
main(int argc, char **argv)
{
    int option, more = 0, no_ipv6 = 0;

    while ((option = getopt(argc, argv, "+n4")) != -1) {
        more |= option == 'n' ? CLONE_NEWNET : 0;
        no_ipv6 |= option == '4';
    }
    argv += optind;
    if (argc - optind < 2) {
        fprintf(stderr, "usage: confine [-n] [-4] ROOT PROGRAM [ARG]...\n");
        return 2;
    }
    enter_namespaces(more);
    enter_root(argv[0]);
    become_user();
    forbid_io_uring();
    if (no_ipv6)
        forbid_ipv6();
    execv(argv[1], argv + 1);
    fprintf(stderr, "confine: %s: %s\n", argv[1], strerror(errno));
    return 1;
}
