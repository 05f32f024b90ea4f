/*
 * The client of a measurement: connections that do exchanges, some at a time, and check every byte that comes back.
 * `load --help` says how it is called and what it prints.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define THREADS_MAX 64
/* So many connections share a source address, well below the kernel's range of ports. */
#define PER_SOURCE 4000

static const char help[] =
	"usage: load PORT CONNECTIONS AT_A_TIME EXCHANGES UP DOWN RATE hold|close|burst [SECONDS [THREADS]]\n"
	"\n"
	"Opens CONNECTIONS to 127.0.0.1:PORT, AT_A_TIME together.  Each does EXCHANGES, one after the other: UP bytes there\n"
	"and DOWN bytes back, at RATE bytes a second and connection either way (0 = as fast as it goes).  SECONDS: at most\n"
	"so long (60).  THREADS: 1.  From the 4,001st connection on they come from 127.0.0.2, and so on.\n"
	"\n"
	"  close   closes a connection when its exchanges are done; the first error stops everything\n"
	"  hold    connections stay open; what was done is printed then, and again when they close at the end of\n"
	"          standard input\n"
	"  burst   as close, but goes on after errors: with AT_A_TIME = CONNECTIONS, all open at once, as after an outage\n"
	"          (load PORT 8000 8000 1 300 1000 0 burst 60)\n"
	"\n"
	"Prints a line of JSON:\n"
	"  finished, exchanges, bytes_up, bytes_down, seconds, errors, error (the first one's sentence)\n"
	"  first_ms, first_ms_p99, first_ms_max   from connecting to the first byte of the first answer; median, ...\n"
	"  failed   errors by kind: connecting, sending, receiving (closed early or reset), wrong (other bytes, as of a\n"
	"           502), held (closed while it was held), late (not done in time)\n"
	"Exits with 1 when there was an error, in a burst too; 64 when the call is wrong.\n";

enum fault { CONNECTING, SENDING, RECEIVING, WRONG, HELD, LATE, FAULTS };

static const char *const fault_names[FAULTS] = {"connecting", "sending", "receiving", "wrong", "held", "late"};

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

/* A thread and its share of the work. */
struct part {
	pthread_t thread;
	int poll_fd;
	size_t first;            /* the number of its first connection */
	uint64_t to_open, at_a_time;
	struct conn *conns;
	size_t opened, active, finished, errors;
	size_t failed[FAULTS];
	uint64_t exchanged, bytes_up, bytes_down;
	uint32_t *first_us;
	size_t firsts;
	char first_error[200];
};

static unsigned port;
static uint64_t to_exchange, began_us, until_us;
static struct bench_command command;
static bool hold, burst;
static struct part parts[THREADS_MAX];
static size_t part_count;
static pthread_barrier_t barrier;
static bool keeping;
static _Thread_local struct part *me;

static void want(struct conn *conn, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = conn};

	if (conn->events == events)
		return;
	conn->events = events;
	if (epoll_ctl(me->poll_fd, EPOLL_CTL_MOD, conn->fd, &event) != 0)
		bench_die("epoll_ctl");
}

static void count_error(enum fault fault, const char *what, const char *detail)
{
	me->failed[fault]++;
	if (me->errors++ > 0)
		return;
	snprintf(me->first_error, sizeof(me->first_error), "%s: %.120s", what, detail);
	for (char *c = me->first_error; *c; c++) {
		if (!isprint((unsigned char)*c) || *c == '"' || *c == '\\')
			*c = '.';
	}
}

static void fail(struct conn *conn, enum fault fault, const char *what, const char *detail)
{
	count_error(fault, what, detail);
	if (!conn->held)
		me->active--;
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
	struct conn *conn = &me->conns[me->opened];
	struct epoll_event event = {.events = EPOLLOUT, .data.ptr = conn};

	conn->began_us = bench_now_us();
	conn->fd = bench_connect(port, (unsigned)(1 + (me->first + me->opened++) / PER_SOURCE % 200));
	if (conn->fd < 0) {
		count_error(CONNECTING, "connecting", strerror(errno));
		return;
	}
	conn->events = EPOLLOUT;
	if (epoll_ctl(me->poll_fd, EPOLL_CTL_ADD, conn->fd, &event) != 0)
		bench_die("epoll_ctl");
	bench_command_write(&command, conn->text);
	begin_exchange(conn);
	me->active++;
}

static void finish(struct conn *conn)
{
	me->finished++;
	me->active--;
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
			fail(conn, SENDING, "sending", strerror(errno));
			return false;
		}
		conn->sent += (uint64_t)got;
	}
	me->bytes_up += command.up;
	want(conn, EPOLLIN);
	return true;
}

static bool run_down(struct conn *conn)
{
	static _Thread_local unsigned char buffer[BENCH_BLOCK + 1];
	uint64_t left = command.down - conn->received;
	ssize_t got = recv(conn->fd, buffer, (size_t)(left < BENCH_BLOCK ? left : BENCH_BLOCK), 0);

	if (got < 0 && errno == EAGAIN)
		return true;
	if (got <= 0) {
		fail(conn, RECEIVING, "receiving", got == 0 ? "the end came early" : strerror(errno));
		return false;
	}
	buffer[got] = '\0';
	if (!bench_matches(conn->received, buffer, (size_t)got)) {
		fail(conn, WRONG, "wrong bytes", (const char *)buffer);
		return false;
	}
	if (conn->received == 0 && conn->exchanges == 0)
		me->first_us[me->firsts++] = (uint32_t)(bench_now_us() - conn->began_us);
	conn->received += (uint64_t)got;
	if (conn->received < command.down)
		return true;
	me->bytes_down += command.down;
	me->exchanged++;
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
		if (events)
			fail(conn, HELD, "held connection", "closed by the relay");
		return;
	}
	if (!conn->connected && events) {
		int error = 0;
		socklen_t length = sizeof(error);

		getsockopt(conn->fd, SOL_SOCKET, SO_ERROR, &error, &length);
		if (error) {
			fail(conn, CONNECTING, "connecting", strerror(error));
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

static void work(void)
{
	struct epoll_event events[256];

	while (me->active > 0 || (me->opened < me->to_open && (burst || me->errors == 0))) {
		int count;

		while (me->opened < me->to_open && me->active < me->at_a_time && (burst || me->errors == 0))
			open_one();
		count = epoll_wait(me->poll_fd, events, 256, command.rate ? 1 : 1000);
		for (int i = 0; i < count; i++)
			conn_run(events[i].data.ptr, events[i].events);
		for (size_t i = 0; command.rate && i < me->opened; i++)
			conn_run(&me->conns[i], 0);
		if (bench_now_us() > until_us && me->active + (me->to_open - me->opened) > 0) {
			count_error(LATE, "not done in time", "");
			me->failed[LATE] += me->active + (me->to_open - me->opened) - 1;
			me->errors += me->active + (me->to_open - me->opened) - 1;
			return;
		}
	}
}

/* Until standard input ends; a connection that the relay closes meanwhile counts. */
static void keep(void)
{
	struct epoll_event events[256], event = {.events = EPOLLIN};

	if (epoll_ctl(me->poll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &event) != 0)
		bench_die("epoll_ctl");
	for (;;) {
		int count = epoll_wait(me->poll_fd, events, 256, -1);

		for (int i = 0; i < count; i++) {
			if (!events[i].data.ptr)
				return;
			conn_run(events[i].data.ptr, events[i].events);
		}
	}
}

static int by_size(const void *left, const void *right)
{
	uint32_t a = *(const uint32_t *)left, b = *(const uint32_t *)right;

	return a < b ? -1 : a > b;
}

/* The parts together; returns the number of errors. */
static size_t report(void)
{
	struct part all = {.errors = 0};

	for (size_t i = 0; i < part_count; i++)
		all.firsts += parts[i].firsts;
	all.first_us = calloc(all.firsts + 1, sizeof(*all.first_us));
	if (!all.first_us)
		bench_die("calloc");
	all.firsts = 0;
	for (struct part *part = parts; part < parts + part_count; part++) {
		memcpy(all.first_us + all.firsts, part->first_us, part->firsts * sizeof(*all.first_us));
		all.firsts += part->firsts;
		all.finished += part->finished;
		all.exchanged += part->exchanged;
		all.bytes_up += part->bytes_up;
		all.bytes_down += part->bytes_down;
		if (all.errors == 0)
			memcpy(all.first_error, part->first_error, sizeof(all.first_error));
		all.errors += part->errors;
		for (int i = 0; i < FAULTS; i++)
			all.failed[i] += part->failed[i];
	}
	qsort(all.first_us, all.firsts, sizeof(*all.first_us), by_size);
	printf("{\"finished\": %zu, \"exchanges\": %" PRIu64 ", \"bytes_up\": %" PRIu64 ", \"bytes_down\": %" PRIu64
	       ", \"seconds\": %.6f, \"first_ms\": %.3f, \"first_ms_p99\": %.3f, \"first_ms_max\": %.3f"
	       ", \"errors\": %zu, \"error\": \"%s\", \"failed\": {",
	       all.finished, all.exchanged, all.bytes_up, all.bytes_down, (double)(bench_now_us() - began_us) / 1e6,
	       all.first_us[all.firsts / 2] / 1e3, all.first_us[all.firsts * 99 / 100] / 1e3,
	       all.firsts ? all.first_us[all.firsts - 1] / 1e3 : 0.0, all.errors, all.first_error);
	for (int i = 0; i < FAULTS; i++)
		printf("%s\"%s\": %zu", i ? ", " : "", fault_names[i], all.failed[i]);
	printf("}}\n");
	fflush(stdout);
	free(all.first_us);
	return all.errors;
}

static void *part_main(void *argument)
{
	me = argument;
	work();
	pthread_barrier_wait(&barrier);
	if (me == parts)
		keeping = report() == 0 && hold;
	pthread_barrier_wait(&barrier);
	if (keeping)
		keep();
	return NULL;
}

static void share(size_t number, uint64_t to_open, uint64_t at_a_time)
{
	struct part *part = &parts[number];

	part->to_open = to_open / part_count + (number < to_open % part_count);
	part->at_a_time = at_a_time / part_count + (number < at_a_time % part_count);
	if (number > 0)
		part->first = parts[number - 1].first + parts[number - 1].to_open;
	part->conns = calloc(part->to_open, sizeof(*part->conns));
	part->first_us = calloc(part->to_open, sizeof(*part->first_us));
	part->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (!part->conns || !part->first_us || part->poll_fd < 0)
		bench_die("load");
}

static void raise_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void run_parts(void)
{
	if (pthread_barrier_init(&barrier, NULL, (unsigned)part_count) != 0)
		bench_die("pthread_barrier_init");
	for (size_t i = 1; i < part_count; i++) {
		if ((errno = pthread_create(&parts[i].thread, NULL, part_main, &parts[i])) != 0)
			bench_die("pthread_create");
	}
	part_main(&parts[0]);
	for (size_t i = 1; i < part_count; i++)
		pthread_join(parts[i].thread, NULL);
}

int main(int argc, char **argv)
{
	uint64_t to_open, at_a_time, seconds, threads, errors = 0;

	if (argc < 9 || argc > 11) {
		fputs(help, argc == 2 && strcmp(argv[1], "--help") == 0 ? stdout : stderr);
		return argc == 2 && strcmp(argv[1], "--help") == 0 ? 0 : 64;
	}
	signal(SIGPIPE, SIG_IGN);
	raise_limit();
	port = (unsigned)bench_number("PORT", argv[1]);
	to_open = bench_number("CONNECTIONS", argv[2]);
	at_a_time = bench_number("AT_A_TIME", argv[3]);
	to_exchange = bench_number("EXCHANGES", argv[4]);
	command.up = bench_number("UP", argv[5]);
	command.down = bench_number("DOWN", argv[6]);
	command.rate = bench_number("RATE", argv[7]);
	hold = strcmp(argv[8], "hold") == 0;
	burst = strcmp(argv[8], "burst") == 0;
	seconds = argc >= 10 ? bench_number("SECONDS", argv[9]) : 60;
	threads = argc == 11 ? bench_number("THREADS", argv[10]) : 1;
	if (to_open == 0 || to_exchange == 0 || command.down == 0 || at_a_time == 0 || threads == 0 ||
	    (!hold && !burst && strcmp(argv[8], "close") != 0)) {
		fputs(help, stderr);
		return 64;
	}
	at_a_time = at_a_time < to_open ? at_a_time : to_open;
	threads = threads < THREADS_MAX ? threads : THREADS_MAX;
	part_count = (size_t)(threads < at_a_time ? threads : at_a_time);
	began_us = bench_now_us();
	until_us = began_us + seconds * 1000000;
	for (size_t i = 0; i < part_count; i++)
		share(i, to_open, at_a_time);
	run_parts();
	if (keeping)
		return report() != 0;
	for (size_t i = 0; i < part_count; i++)
		errors += parts[i].errors;
	return errors != 0;
}
