/*
 * What somebody would try who has taken midrelay over: loaded into the running program (LD_PRELOAD), it tries everything once
 * in each kind of thread and writes "probe THREAD WHAT ERRNO" to stderr.  test_sandbox.py builds it and judges.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netdb.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Thread_local int done;

static void tell(const char *thread, const char *what, long result)
{
	char line[200];
	int len = snprintf(line, sizeof(line), "probe %s %s %d\n", thread, what, result >= 0 ? 0 : errno);

	if (write(2, line, (size_t)len) != len)
		abort();
}

static void try_open(const char *thread, const char *what, const char *file, int flags)
{
	int fd = open(file, flags, 0600);

	tell(thread, what, fd);
	if (fd >= 0)
		close(fd);
}

static struct sockaddr_in at(const char *variable)
{
	struct sockaddr_in addr = {.sin_family = AF_INET};

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	addr.sin_port = htons((uint16_t)strtoul(getenv(variable), NULL, 10));
	return addr;
}

static void try_sockets(const char *thread)
{
	struct sockaddr_in open_port = at("PROBE_PORT"), free_port = at("PROBE_FREE_PORT");
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	const char *abstract = getenv("PROBE_ABSTRACT");
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	tell(thread, "connect", connect(fd, (struct sockaddr *)&open_port, sizeof(open_port)));
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	tell(thread, "fastopen", sendto(fd, "x", 1, MSG_FASTOPEN, (struct sockaddr *)&open_port, sizeof(open_port)));
	close(fd);
	fd = socket(AF_INET, SOCK_STREAM, 0);
	tell(thread, "bind", bind(fd, (struct sockaddr *)&free_port, sizeof(free_port)));
	close(fd);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	memcpy(name.sun_path + 1, abstract, strlen(abstract));
	tell(thread, "abstract", connect(fd, (struct sockaddr *)&name,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(abstract))));
	close(fd);
	fd = socket(AF_PACKET, SOCK_RAW, 0);
	tell(thread, "packet", fd);
	if (fd >= 0)
		close(fd);
	fd = socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
	tell(thread, "raw", fd);
	if (fd >= 0)
		close(fd);
}

static void try_processes(const char *thread)
{
	char *const argv[] = {"/bin/true", NULL};
	char *const envp[] = {NULL};
	pid_t child = fork();
	int status;

	tell(thread, "fork", child);
	if (child == 0) {
		execve("/bin/true", argv, envp);
		_exit(1);
	}
	if (child > 0) {
		tell(thread, "exec", waitpid(child, &status, 0) == child && status == 0 ? 0 : -1);
	} else {
		execve("/bin/true", argv, envp);
		tell(thread, "exec", -1);
	}
	tell(thread, "ptrace", ptrace(PTRACE_ATTACH, INT_MAX, NULL, NULL));
	tell(thread, "signal", kill(getppid(), 0));
	tell(thread, "vm_read", syscall(SYS_process_vm_readv, getppid(), NULL, 0, NULL, 0, 0));
}

static void try_kernel(const char *thread)
{
	void *memory;

	tell(thread, "unshare", unshare(0));
	tell(thread, "mount", mount("none", "/nowhere-at-all", "tmpfs", 0, NULL));
	tell(thread, "bpf", syscall(SYS_bpf, -1, NULL, 0));
	tell(thread, "perf", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
	tell(thread, "io_uring", syscall(SYS_io_uring_setup, 0, NULL));
	tell(thread, "keyctl", syscall(SYS_keyctl, 9999, 0, 0, 0, 0));
	tell(thread, "by_handle", syscall(SYS_open_by_handle_at, -1, NULL, 0));
	tell(thread, "clone3", syscall(SYS_clone3, NULL, 0));
	memory = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	tell(thread, "write_and_run", memory == MAP_FAILED ? -1 : 0);
}

static void probe(const char *thread)
{
	if (done++ != 0)
		return;
	pthread_mutex_lock(&lock);
	try_open(thread, "shadow", "/etc/shadow", O_RDONLY);
	try_open(thread, "elsewhere", getenv("PROBE_FILE"), O_RDONLY);
	try_open(thread, "write", getenv("PROBE_CONFIG"), O_WRONLY);
	try_open(thread, "create", getenv("PROBE_NEW"), O_WRONLY | O_CREAT);
	tell(thread, "chmod", chmod(getenv("PROBE_FILE"), 0644));
	tell(thread, "unlink", unlink(getenv("PROBE_NEW")));
	try_sockets(thread);
	try_processes(thread);
	try_kernel(thread);
	tell(thread, "end", 0);
	pthread_mutex_unlock(&lock);
}

/* Every loop waits here; the first time is after the sandbox was entered. */
int epoll_wait(int fd, struct epoll_event *events, int count, int timeout)
{
	int (*real)(int, struct epoll_event *, int, int);

	*(void **)&real = dlsym(RTLD_NEXT, "epoll_wait");
	probe(getpid() == gettid() ? "main" : "worker");
	return real(fd, events, count, timeout);
}

int getaddrinfo(const char *host, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
	int (*real)(const char *, const char *, const struct addrinfo *, struct addrinfo **);

	*(void **)&real = dlsym(RTLD_NEXT, "getaddrinfo");
	if (getpid() != gettid())
		probe("resolver");
	return real(host, service, hints, list);
}
