/*
 * What the three programs of a measurement share.  Answers for no traffic.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* A prime, so that a block that is lost, doubled or moved shows. */
#define PERIOD 251

void bench_command_write(const struct bench_command *command, char out[BENCH_COMMAND_BYTES + 1])
{
	snprintf(out, BENCH_COMMAND_BYTES + 1, "%20" PRIu64 " %20" PRIu64 " %20" PRIu64 "\n", command->up,
	         command->down, command->rate);
}

bool bench_command_read(const char text[BENCH_COMMAND_BYTES], struct bench_command *out)
{
	char copy[BENCH_COMMAND_BYTES + 1];

	memcpy(copy, text, BENCH_COMMAND_BYTES);
	copy[BENCH_COMMAND_BYTES] = '\0';
	return copy[BENCH_COMMAND_BYTES - 1] == '\n' &&
	       sscanf(copy, "%" SCNu64 " %" SCNu64 " %" SCNu64, &out->up, &out->down, &out->rate) == 3;
}

static unsigned char pattern[BENCH_BLOCK + PERIOD];

__attribute__((constructor)) static void fill_pattern(void)
{
	for (size_t i = 0; i < sizeof(pattern); i++)
		pattern[i] = (unsigned char)(i % PERIOD);
}

const unsigned char *bench_pattern(uint64_t at)
{
	return pattern + at % PERIOD;
}

bool bench_matches(uint64_t at, const void *bytes, size_t length)
{
	return length <= BENCH_BLOCK && memcmp(bench_pattern(at), bytes, length) == 0;
}

uint64_t bench_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

uint64_t bench_allowed(uint64_t total, uint64_t rate, uint64_t began_us)
{
	uint64_t allowed;

	if (rate == 0)
		return total;
	allowed = (uint64_t)((double)rate * (double)(bench_now_us() - began_us) / 1e6);
	if (allowed >= total)
		return total;
	/* Whole blocks: a trickle would measure the trickling. */
	return allowed - allowed % BENCH_BLOCK;
}

static int stream_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

static void no_delay(int fd)
{
	int on = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

static struct sockaddr_in loopback(unsigned port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
	                            .sin_port = htons((uint16_t)port),
	                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

int bench_listen(unsigned *port)
{
	struct sockaddr_in address = loopback(0);
	socklen_t length = sizeof(address);
	int fd = stream_socket();

	if (fd < 0 || bind(fd, (struct sockaddr *)&address, length) != 0 || listen(fd, 4096) != 0 ||
	    getsockname(fd, (struct sockaddr *)&address, &length) != 0)
		return -1;
	*port = ntohs(address.sin_port);
	return fd;
}

int bench_accept(int listener)
{
	int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		no_delay(fd);
	return fd;
}

int bench_connect(unsigned port, unsigned source)
{
	struct sockaddr_in address = loopback(port), near = loopback(0);
	int fd = stream_socket(), on = 1, error;

	if (fd < 0)
		return -1;
	no_delay(fd);
	near.sin_addr.s_addr = htonl(INADDR_LOOPBACK - 1 + source);
	if (source != 1) {
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof(on));
		if (bind(fd, (struct sockaddr *)&near, sizeof(near)) != 0)
			goto fail;
	}
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 || errno == EINPROGRESS)
		return fd;
fail:
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

struct start {
	void (*run)(int poll_fd);
	int poll_fd;
};

static void *thread_main(void *argument)
{
	struct start start = *(struct start *)argument;

	free(argument);
	start.run(start.poll_fd);
	return NULL;
}

void bench_workers_start(struct bench_workers *workers, uint64_t count, void (*run)(int poll_fd))
{
	if (count == 0 || count > 64)
		count = 1;
	*workers = (struct bench_workers){.count = (unsigned)count, .polls = calloc(count, sizeof(int))};
	if (!workers->polls)
		bench_die("calloc");
	for (unsigned i = 0; i < workers->count; i++) {
		struct start *start = malloc(sizeof(*start));
		pthread_t thread;

		workers->polls[i] = epoll_create1(EPOLL_CLOEXEC);
		if (!start || workers->polls[i] < 0)
			bench_die("a worker");
		*start = (struct start){.run = run, .poll_fd = workers->polls[i]};
		if ((errno = pthread_create(&thread, NULL, thread_main, start)) != 0)
			bench_die("pthread_create");
		pthread_detach(thread);
	}
}

void bench_workers_give(struct bench_workers *workers, int fd, uint32_t events, void *mark)
{
	struct epoll_event event = {.events = events, .data.ptr = mark};

	if (epoll_ctl(workers->polls[workers->next++ % workers->count], EPOLL_CTL_ADD, fd, &event) != 0)
		bench_die("epoll_ctl");
}

void bench_serve(int listener, void (*on_client)(int fd), bool (*on_line)(void))
{
	int poll_fd = epoll_create1(EPOLL_CLOEXEC), fd;
	struct epoll_event clients = {.events = EPOLLIN, .data.fd = listener};
	struct epoll_event input = {.events = EPOLLIN, .data.fd = STDIN_FILENO}, event;
	char line[64];

	if (poll_fd < 0 || epoll_ctl(poll_fd, EPOLL_CTL_ADD, listener, &clients) != 0 ||
	    epoll_ctl(poll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &input) != 0)
		bench_die("epoll");
	for (;;) {
		if (epoll_wait(poll_fd, &event, 1, -1) != 1)
			continue;
		if (event.data.fd == STDIN_FILENO) {
			if (read(STDIN_FILENO, line, sizeof(line)) <= 0 || !on_line())
				return;
			continue;
		}
		while ((fd = bench_accept(listener)) >= 0)
			on_client(fd);
	}
}

uint64_t bench_number(const char *name, const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 10);

	if (*text < '0' || *text > '9' || *end != '\0') {
		fprintf(stderr, "%s wants a number, not \"%s\"\n", name, text);
		exit(64);
	}
	return value;
}

_Noreturn void bench_die(const char *what)
{
	perror(what);
	exit(1);
}
