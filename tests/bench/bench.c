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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

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

const unsigned char *bench_pattern(uint64_t at)
{
	static unsigned char pattern[BENCH_BLOCK + PERIOD];

	if (pattern[1] == 0) {
		for (size_t i = 0; i < sizeof(pattern); i++)
			pattern[i] = (unsigned char)(i % PERIOD);
	}
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

int bench_connect(unsigned port)
{
	struct sockaddr_in address = loopback(port);
	int fd = stream_socket();

	if (fd < 0)
		return -1;
	no_delay(fd);
	if (connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0 && errno != EINPROGRESS)
		bench_die("connect");
	return fd;
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
