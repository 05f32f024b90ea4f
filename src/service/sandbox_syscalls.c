/*
 * sandbox_syscalls: see sandbox_syscalls.h.
 *
 * Answers for the list.  It holds what was seen of the whole test suite, and what C libraries of other
 * versions and architectures use for the same; a name that an architecture does not have is passed over.  A
 * call that is not in it fails with EPERM and ends nobody.
 */
#include "service/sandbox_syscalls.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PR_SET_VMA
#define PR_SET_VMA 0x53564d41 /* names of mappings, glibc 2.40 */
#endif
#ifndef MSG_FASTOPEN
#define MSG_FASTOPEN 0x20000000
#endif

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* s390 has them the other way round (clone(2)). */
#ifdef __s390__
#define CLONE_FLAGS_ARG 1
#else
#define CLONE_FLAGS_ARG 0
#endif
#define NEW_NAMESPACES \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET)

static const char *const plain[] = {
    /* memory */
    "brk", "madvise", "map_shadow_stack", "membarrier", "mlock", "mlock2", "mremap", "munlock", "munmap",
    /* threads, signals, the end */
    "arch_prctl", "exit", "exit_group", "futex", "futex_time64", "futex_waitv", "get_robust_list",
    "getcpu", "gettid", "restart_syscall", "riscv_flush_icache", "riscv_hwprobe", "rseq", "rt_sigaction",
    "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend", "rt_sigtimedwait",
    "rt_sigtimedwait_time64", "sched_getaffinity", "sched_getparam", "sched_getscheduler", "sched_yield",
    "set_robust_list", "set_tid_address", "sigaltstack", "sigreturn",
    /* who and where we are */
    "getegid", "getegid32", "geteuid", "geteuid32", "getgid", "getgid32", "getgroups", "getgroups32",
    "getpgrp", "getpid", "getppid", "getrandom", "getresgid", "getresgid32", "getresuid", "getresuid32",
    "getrlimit", "getrusage", "getuid", "getuid32", "sysinfo", "times", "ugetrlimit", "uname",
    /* time */
    "clock_getres", "clock_getres_time64", "clock_gettime", "clock_gettime64", "clock_nanosleep",
    "clock_nanosleep_time64", "gettimeofday", "nanosleep", "time",
    /* files: which, Landlock says */
    "_llseek", "access", "close", "close_range", "dup", "dup2", "dup3", "eventfd", "eventfd2",
    "faccessat", "faccessat2", "fadvise64", "fadvise64_64", "fcntl", "fcntl64", "flock", "fstat",
    "fstat64", "fstatat64", "fstatfs", "fstatfs64", "getcwd", "getdents", "getdents64", "lseek", "lstat",
    "lstat64", "newfstatat", "open", "openat", "openat2", "pipe", "pipe2", "pread64", "preadv", "preadv2",
    "pwrite64", "pwritev", "pwritev2", "read", "readlink", "readlinkat", "readv", "stat", "stat64",
    "statfs", "statfs64", "statx", "umask", "write", "writev",
    /* waiting */
    "_newselect", "epoll_create", "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2",
    "epoll_wait", "poll", "ppoll", "ppoll_time64", "pselect6", "pselect6_time64", "select",
    "timerfd_create", "timerfd_gettime", "timerfd_gettime64", "timerfd_settime", "timerfd_settime64",
    /* sockets */
    "accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recv",
    "recvfrom", "recvmmsg", "recvmmsg_time64", "recvmsg", "setsockopt", "shutdown",
};

/* Landlock does not ask about modes: root could open /etc/shadow to others. */
static const char *const for_sockets[] = {"chmod", "fchmod", "fchmodat", "fchmodat2", "unlink", "unlinkat"};
static const char *const for_keeping[] = {"fchmod", "fchown", "fchown32", "fdatasync", "fsync", "ftruncate",
    "ftruncate64", "link", "linkat", "mkdir", "mkdirat", "rename", "renameat", "renameat2", "unlink", "unlinkat"};

/* One argument decides: (argument & mask) == value. */
static const struct {
	const char *call;
	unsigned arg;
	uint64_t mask, value;
} guarded[] = {
    /* threads, not processes */
    {"clone", CLONE_FLAGS_ARG, CLONE_THREAD | NEW_NAMESPACES, CLONE_THREAD},
    /* memory is written or run */
    {"mmap", 2, PROT_WRITE | PROT_EXEC, 0},
    {"mmap", 2, PROT_WRITE | PROT_EXEC, PROT_WRITE},
    {"mmap", 2, PROT_WRITE | PROT_EXEC, PROT_EXEC},
    {"mmap2", 2, PROT_WRITE | PROT_EXEC, 0},
    {"mmap2", 2, PROT_WRITE | PROT_EXEC, PROT_WRITE},
    {"mmap2", 2, PROT_WRITE | PROT_EXEC, PROT_EXEC},
    {"mprotect", 2, PROT_WRITE | PROT_EXEC, 0},
    {"mprotect", 2, PROT_WRITE | PROT_EXEC, PROT_WRITE},
    {"mprotect", 2, PROT_WRITE | PROT_EXEC, PROT_EXEC},
    /* limits are read */
    {"prlimit64", 2, UINT64_MAX, 0},
    {"prctl", 0, UINT32_MAX, PR_SET_NAME},
    {"prctl", 0, UINT32_MAX, PR_GET_NAME},
    {"prctl", 0, UINT32_MAX, PR_GET_DUMPABLE},
    {"prctl", 0, UINT32_MAX, PR_SET_VMA},
    {"ioctl", 1, UINT32_MAX, FIONREAD},
    {"ioctl", 1, UINT32_MAX, SIOCOUTQ},
    {"ioctl", 1, UINT32_MAX, FIONBIO},
    {"ioctl", 1, UINT32_MAX, FIOCLEX},
    {"ioctl", 1, UINT32_MAX, TCGETS},
    /* if_nametoindex(3), for the zone of a link-local address */
    {"ioctl", 1, UINT32_MAX, SIOCGIFINDEX},
    {"ioctl", 1, UINT32_MAX, SIOCGIFNAME},
    {"socket", 0, UINT32_MAX, AF_UNIX},
    {"socketpair", 0, UINT32_MAX, AF_UNIX},
    /* A Fast Open connects without asking Landlock for the port. */
    {"send", 3, MSG_FASTOPEN, 0},
    {"sendto", 3, MSG_FASTOPEN, 0},
    {"sendmsg", 2, MSG_FASTOPEN, 0},
    {"sendmmsg", 3, MSG_FASTOPEN, 0},
};

/* family, type (without SOCK_CLOEXEC and SOCK_NONBLOCK), protocol */
static const int sockets[][3] = {
    {AF_INET, SOCK_STREAM, 0}, {AF_INET, SOCK_STREAM, IPPROTO_TCP}, {AF_INET, SOCK_DGRAM, 0},
    {AF_INET, SOCK_DGRAM, IPPROTO_UDP}, {AF_INET6, SOCK_STREAM, 0}, {AF_INET6, SOCK_STREAM, IPPROTO_TCP},
    {AF_INET6, SOCK_DGRAM, 0}, {AF_INET6, SOCK_DGRAM, IPPROTO_UDP}, {AF_NETLINK, SOCK_RAW, NETLINK_ROUTE},
    {AF_NETLINK, SOCK_DGRAM, NETLINK_ROUTE}, {AF_NETLINK, SOCK_RAW, NETLINK_SOCK_DIAG},
    {AF_NETLINK, SOCK_DGRAM, NETLINK_SOCK_DIAG},
};
#define SOCKET_TYPE_MASK 0xf

/* A signal to ourselves, as abort(3) sends one. */
static const char *const own_signals[] = {"tgkill", "kill"};

static int add(scmp_filter_ctx ctx, uint32_t action, const char *name, unsigned count, const struct scmp_arg_cmp *args)
{
	int call = seccomp_syscall_resolve_name(name);

	if (call == __NR_SCMP_ERROR)
		return 0;
	return seccomp_rule_add_array(ctx, action, call, count, args);
}

static int add_guarded(scmp_filter_ctx ctx)
{
	struct scmp_arg_cmp args[3];
	int error = 0;
	size_t i;

	for (i = 0; error == 0 && i < COUNT(guarded); i++) {
		args[0] = SCMP_CMP(guarded[i].arg, SCMP_CMP_MASKED_EQ, guarded[i].mask, guarded[i].value);
		error = add(ctx, SCMP_ACT_ALLOW, guarded[i].call, 1, args);
	}
	for (i = 0; error == 0 && i < COUNT(sockets); i++) {
		args[0] = SCMP_CMP(0, SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)sockets[i][0]);
		args[1] = SCMP_CMP(1, SCMP_CMP_MASKED_EQ, SOCKET_TYPE_MASK, (scmp_datum_t)sockets[i][1]);
		args[2] = SCMP_CMP(2, SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)sockets[i][2]);
		error = add(ctx, SCMP_ACT_ALLOW, "socket", 3, args);
	}
	for (i = 0; error == 0 && i < COUNT(own_signals); i++) {
		args[0] = SCMP_CMP(0, SCMP_CMP_MASKED_EQ, UINT32_MAX, (scmp_datum_t)getpid());
		error = add(ctx, SCMP_ACT_ALLOW, own_signals[i], 1, args);
	}
	return error;
}

static int add_plain(scmp_filter_ctx ctx, const char *const *calls, size_t count)
{
	int error = 0;
	size_t i;

	for (i = 0; error == 0 && i < count; i++)
		error = add(ctx, SCMP_ACT_ALLOW, calls[i], 0, NULL);
	return error;
}

static int add_all(scmp_filter_ctx ctx, const struct sandbox_syscalls *what)
{
	int error = add_plain(ctx, plain, COUNT(plain));

	if (error == 0 && what->sockets)
		error = add_plain(ctx, for_sockets, COUNT(for_sockets));
	if (error == 0 && what->keep)
		error = add_plain(ctx, for_keeping, COUNT(for_keeping));
	if (error == 0)
		error = add_guarded(ctx);
	/* Its flags lie in memory, where no filter looks: the C library then takes clone(2). */
	if (error == 0)
		error = add(ctx, SCMP_ACT_ERRNO(ENOSYS), "clone3", 0, NULL);
	return error;
}

bool sandbox_syscalls_enforce(const struct sandbox_syscalls *what, struct error *err)
{
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(EPERM));
	int error;

	if (ctx == NULL)
		return error_set(err, "libseccomp has no filter for this architecture");
	error = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_TSYNC, 1);
	if (error == 0 && what->log)
		error = seccomp_attr_set(ctx, SCMP_FLTATR_CTL_LOG, 1);
	if (error == 0)
		error = add_all(ctx, what);
	if (error == 0)
		error = seccomp_load(ctx);
	seccomp_release(ctx);
	return error == 0 || error_set_errno(err, -error, "seccomp");
}
