/*
 * The client of a measurement: connections that do exchanges, some at a time, and check every byte that comes back.
 *
 *   load PORT CONNECTIONS AT_A_TIME EXCHANGES UP DOWN RATE hold|close [SECONDS]
 *
 * RATE: bytes a second and connection, either way; 0 = as fast as it goes.  hold: connections stay open when their
 * exchanges are done; what was done is printed then, and they close when standard input ends.
 * Prints one line of JSON; exits with 1 when anything was wrong.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

struct conn {
	int fd;
	uint32_t events;
	bool connected;
	bool held;
	uint64_t exchanges;
	uint64_t began_us;       /* the connection */
	uint64_t exchange_us;    /* this exchange */
	uint64_t sent;           /* of the command and what follows it */
	uint64_t received;
	char text[BENCH_COMMAND_BYTES + 1];
};

static int poll_fd;
static unsigned port;
static uint64_t to_open, to_exchange;
static struct bench_command command;
static bool hold;

static struct conn *conns;
static size_t opened, active, finished, errors;
static uint64_t exchanged, bytes_up, bytes_down;
static uint32_t *first_us;
static size_t firsts;
static char first_error[200];

static void want(struct conn *conn, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = conn};

	if (conn->events == events)
		return;
	conn->events = events;
	if (epoll_ctl(poll_fd, EPOLL_CTL_MOD, conn->fd, &event) != 0)
		bench_die("epoll_ctl");
}

static void fail(struct conn *conn, const char *what, const char *detail)
{
	if (errors++ == 0)
		snprintf(first_error, sizeof(first_error), "%s: %.120s", what, detail);
	for (char *c = first_error; *c; c++) {
		if (!isprint((unsigned char)*c) || *c == '"' || *c == '\\')
			*c = '.';
	}
	if (!conn->held)
		active--;
	close(conn->fd);
	conn->fd = -1;
}

static void begin_exchange(struct conn *conn)
{
	conn->sent = conn->received = 0;
	conn->exchange_us = bench_now_us();
}

static void open_one(void)
{
	struct conn *conn = &conns[opened++];
	struct epoll_event event = {.events = EPOLLOUT, .data.ptr = conn};

	conn->began_us = bench_now_us();
	conn->fd = bench_connect(port);
	conn->events = EPOLLOUT;
	if (conn->fd < 0 || epoll_ctl(poll_fd, EPOLL_CTL_ADD, conn->fd, &event) != 0)
		bench_die("a connection");
	bench_command_write(&command, conn->text);
	begin_exchange(conn);
	active++;
}

static void finish(struct conn *conn)
{
	finished++;
	active--;
	if (hold) {
		conn->held = true;
		want(conn, EPOLLRDHUP);
		return;
	}
	close(conn->fd);
	conn->fd = -1;
}

/* The whole of it in one call where there is little: a small request is one segment. */
static ssize_t send_small(struct conn *conn)
{
	char small[BENCH_COMMAND_BYTES + 2048];

	memcpy(small, conn->text, BENCH_COMMAND_BYTES);
	memcpy(small + BENCH_COMMAND_BYTES, bench_pattern(0), command.up);
	return send(conn->fd, small + conn->sent, (size_t)(BENCH_COMMAND_BYTES + command.up - conn->sent), 0);
}

static ssize_t send_some(struct conn *conn, uint64_t allowed)
{
	uint64_t at, left;

	if (command.up <= 2048)
		return send_small(conn);
	if (conn->sent < BENCH_COMMAND_BYTES)
		return send(conn->fd, conn->text + conn->sent, (size_t)(BENCH_COMMAND_BYTES - conn->sent), MSG_MORE);
	at = conn->sent - BENCH_COMMAND_BYTES;
	left = allowed - at;
	return send(conn->fd, bench_pattern(at), (size_t)(left < BENCH_BLOCK ? left : BENCH_BLOCK), 0);
}

/* Returns false when the connection is gone.  Leaves events as they have to be. */
static bool run_up(struct conn *conn)
{
	uint64_t all = BENCH_COMMAND_BYTES + command.up;

	while (conn->sent < all) {
		uint64_t allowed = bench_allowed(command.up, command.rate, conn->exchange_us);
		ssize_t got;

		if (conn->sent >= BENCH_COMMAND_BYTES && conn->sent - BENCH_COMMAND_BYTES >= allowed) {
			want(conn, EPOLLIN);
			return true;
		}
		got = send_some(conn, allowed);
		if (got < 0 && errno == EAGAIN) {
			want(conn, EPOLLIN | EPOLLOUT);
			return true;
		}
		if (got < 0) {
			fail(conn, "sending", strerror(errno));
			return false;
		}
		conn->sent += (uint64_t)got;
	}
	bytes_up += command.up;
	want(conn, EPOLLIN);
	return true;
}

static bool run_down(struct conn *conn)
{
	static unsigned char buffer[BENCH_BLOCK + 1];
	uint64_t left = command.down - conn->received;
	ssize_t got = recv(conn->fd, buffer, (size_t)(left < BENCH_BLOCK ? left : BENCH_BLOCK), 0);

	if (got < 0 && errno == EAGAIN)
		return true;
	if (got <= 0) {
		fail(conn, "receiving", got == 0 ? "the end came early" : strerror(errno));
		return false;
	}
	buffer[got] = '\0';
	if (!bench_matches(conn->received, buffer, (size_t)got)) {
		fail(conn, "wrong bytes", (const char *)buffer);
		return false;
	}
	if (conn->received == 0 && conn->exchanges == 0)
		first_us[firsts++] = (uint32_t)(bench_now_us() - conn->began_us);
	conn->received += (uint64_t)got;
	if (conn->received < command.down)
		return true;
	bytes_down += command.down;
	exchanged++;
	if (++conn->exchanges == to_exchange) {
		finish(conn);
		return false;
	}
	begin_exchange(conn);
	return run_up(conn);
}

static void conn_run(struct conn *conn, uint32_t events)
{
	if (conn->fd < 0)
		return;
	if (conn->held) {
		fail(conn, "held connection", "closed by the relay");
		return;
	}
	if (!conn->connected && events) {
		int error = 0;
		socklen_t length = sizeof(error);

		getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &length);
		if (error) {
			fail(conn, "connecting", strerror(error));
			return;
		}
		conn->connected = true;
	}
	if (!conn->connected)
		return;
	if (conn->sent < BENCH_COMMAND_BYTES + command.up && !run_up(conn))
		return;
	if (events & (EPOLLIN | EPOLLHUP | EPOLLERR))
		run_down(conn);
}

static int by_size(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return a < b ? -1 : a > b;
}

static void report(uint64_t began_us)
{
	qsort(first_us, firsts, sizeof(*first_us), by_size);
	printf("{\"finished\": %zu, \"exchanges\": %" PRIu64 ", \"bytes_up\": %" PRIu64 ", \"bytes_down\": %" PRIu64
	       ", \"seconds\": %.6f, \"first_ms\": %.3f, \"errors\": %zu, \"error\": \"%s\"}\n",
	       finished, exchanged, bytes_up, bytes_down, (double)(bench_now_us() - began_us) / 1e6,
	       firsts ? (double)first_us[firsts / 2] / 1e3 : 0.0, errors, first_error);
	fflush(stdout);
}

static void work(uint64_t at_a_time, uint64_t until_us)
{
	struct epoll_event events[256];

	while (active > 0 || (opened < to_open && errors == 0)) {
		int count;

		while (opened < to_open && active < at_a_time && errors == 0)
			open_one();
		count = epoll_wait(poll_fd, events, 256, command.rate ? 1 : 1000);
		for (int i = 0; i < count; i++)
			conn_run(events[i].data.ptr, events[i].events);
		for (size_t i = 0; command.rate && i < opened; i++)
			conn_run(&conns[i], 0);
		if (bench_now_us() > until_us) {
			errors += active + (to_open - opened);
			snprintf(first_error, sizeof(first_error), "not done in time");
			return;
		}
	}
}

/* Until standard input ends; a connection that the relay closes meanwhile counts. */
static void keep(void)
{
	struct epoll_event events[256], event = {.events = EPOLLIN};

	if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0)
		bench_die("epoll_ctl");
	for (;;) {
		int count = epoll_wait(poll_fd, events, 256, -1);

		for (int i = 0; i < count; i++) {
			if (!events[i].data.ptr)
				return;
			conn_run(events[i].data.ptr, events[i].events);
		}
	}
}

int main(int argc, char **argv)
{
	uint64_t at_a_time, began_us = bench_now_us(), seconds;

	if (argc != 9 && argc != 10) {
		fprintf(stderr, "usage: load PORT CONNECTIONS AT_A_TIME EXCHANGES UP DOWN RATE hold|close [SECONDS]\n");
		return 64;
	}
	signal(SIGPIPE, SIG_IGN);
	port = (unsigned)bench_number("PORT", argv[1]);
	to_open = bench_number("CONNECTIONS", argv[2]);
	at_a_time = bench_number("AT_A_TIME", argv[3]);
	to_exchange = bench_number("EXCHANGES", argv[4]);
	command.up = bench_number("UP", argv[5]);
	command.down = bench_number("DOWN", argv[6]);
	command.rate = bench_number("RATE", argv[7]);
	hold = strcmp(argv[8], "hold") == 0;
	seconds = argc == 10 ? bench_number("SECONDS", argv[9]) : 60;
	if (to_open == 0 || to_exchange == 0 || command.down == 0 || at_a_time == 0)
		return 64;
	conns = calloc(to_open, sizeof(*conns));
	first_us = calloc(to_open, sizeof(*first_us));
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!conns || !first_us || poll_fd < 0)
		bench_die("load");
	work(at_a_time, began_us + seconds * 1000000);
	report(began_us);
	if (hold && errors == 0) {
		keep();
		report(began_us);
	}
	return errors != 0;
}
