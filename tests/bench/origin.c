/*
 * The far end of a measurement: a TLS server that asks for a client certificate and does the exchanges it is told.
 *
 *   origin CERT KEY CA TICKETS [THREADS]      TICKETS 0: no session is ever resumed
 *
 * Prints its port.  At each line on standard input it prints, and forgets, what it counted; it ends with its input.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

enum state {
	HANDSHAKE,
	COMMAND,
	UP,
	DOWN,
};

struct conn {
	int fd;
	SSL *ssl;
	enum state state;
	uint32_t events;
	size_t have;
	char text[BENCH_COMMAND_BYTES];
	struct bench_command command;
	uint64_t done;
	uint64_t began_us;
	struct conn *previous;
	struct conn *next;       /* of those that wait for their tokens */
	bool waiting;
};

static struct bench_workers workers;
static SSL_CTX *context;
static _Thread_local int poll_fd;
static _Thread_local struct conn *waiting;
static _Atomic uint64_t counted_handshakes, counted_resumed, counted_failed, counted_wrong;

static void conn_wait(struct conn *conn, bool wait)
{
	if (conn->waiting == wait)
		return;
	conn->waiting = wait;
	if (wait) {
		conn->previous = NULL;
		conn->next = waiting;
		if (waiting)
			waiting->previous = conn;
		waiting = conn;
		return;
	}
	if (conn->previous)
		conn->previous->next = conn->next;
	else
		waiting = conn->next;
	if (conn->next)
		conn->next->previous = conn->previous;
}

static void conn_want(struct conn *conn, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = conn};

	if (conn->events == events)
		return;
	conn->events = events;
	if (epoll_ctl(poll_fd, EPOLL_CTL_MOD, conn->fd, &event) != 0)
		bench_die("epoll_ctl");
}

static void conn_close(struct conn *conn)
{
	conn_wait(conn, false);
	SSL_free(conn->ssl);
	close(conn->fd);
	free(conn);
}

/* What an SSL_* call that did not succeed means: false = the connection is over. */
static bool conn_blocked(struct conn *conn, int result)
{
	int error = SSL_get_error(conn->ssl, result);

	if (error == SSL_ERROR_WANT_READ)
		conn_want(conn, EPOLLIN);
	else if (error == SSL_ERROR_WANT_WRITE)
		conn_want(conn, EPOLLOUT);
	else if (error == SSL_ERROR_ZERO_RETURN && conn->state == COMMAND && conn->have == 0)
		return false;
	else {
		counted_failed++;
		ERR_clear_error();
		return false;
	}
	return true;
}

static void begin_down(struct conn *conn)
{
	conn->state = DOWN;
	conn->done = 0;
	conn->began_us = bench_now_us();
}

/* Each step returns 1 to go on, 0 to wait, -1 at the end of the connection. */
static int step_handshake(struct conn *conn)
{
	int result = SSL_accept(conn->ssl);

	if (result != 1)
		return conn_blocked(conn, result) ? 0 : -1;
	counted_handshakes++;
	counted_resumed += (uint64_t)SSL_session_reused(conn->ssl);
	conn->state = COMMAND;
	return 1;
}

static int step_command(struct conn *conn)
{
	int result = SSL_read(conn->ssl, conn->text + conn->have, (int)(sizeof(conn->text) - conn->have));

	if (result <= 0)
		return conn_blocked(conn, result) ? 0 : -1;
	conn->have += (size_t)result;
	if (conn->have < sizeof(conn->text))
		return 1;
	conn->have = 0;
	if (!bench_command_read(conn->text, &conn->command)) {
		counted_wrong++;
		return -1;
	}
	conn->done = 0;
	conn->state = UP;
	if (conn->command.up == 0)
		begin_down(conn);
	return 1;
}

static int step_up(struct conn *conn)
{
	static _Thread_local unsigned char buffer[BENCH_BLOCK];
	uint64_t left = conn->command.up - conn->done;
	int result = SSL_read(conn->ssl, buffer, (int)(left < sizeof(buffer) ? left : sizeof(buffer)));

	if (result <= 0)
		return conn_blocked(conn, result) ? 0 : -1;
	if (!bench_matches(conn->done, buffer, (size_t)result)) {
		counted_wrong++;
		return -1;
	}
	conn->done += (uint64_t)result;
	if (conn->done == conn->command.up)
		begin_down(conn);
	return 1;
}

static int step_down(struct conn *conn)
{
	uint64_t allowed = bench_allowed(conn->command.down, conn->command.rate, conn->began_us);
	uint64_t left = allowed - conn->done;
	int result;

	if (conn->done == conn->command.down) {
		conn->state = COMMAND;
		conn_wait(conn, false);
		return 1;
	}
	conn_wait(conn, left == 0);
	if (left == 0) {
		conn_want(conn, 0);
		return 0;
	}
	result = SSL_write(conn->ssl, bench_pattern(conn->done), (int)(left < BENCH_BLOCK ? left : BENCH_BLOCK));
	if (result <= 0)
		return conn_blocked(conn, result) ? 0 : -1;
	conn->done += (uint64_t)result;
	return 1;
}

static void conn_run(struct conn *conn)
{
	int going = 1;

	/* A bound, so that one busy connection leaves room for the others; level-triggered: it goes on next time. */
	for (int steps = 0; going == 1 && steps < 16; steps++) {
		switch (conn->state) {
		case HANDSHAKE:
			going = step_handshake(conn);
			break;
		case COMMAND:
			going = step_command(conn);
			break;
		case UP:
			going = step_up(conn);
			break;
		case DOWN:
			going = step_down(conn);
			break;
		}
	}
	if (going < 0)
		conn_close(conn);
	else if (going == 1)
		conn_want(conn, EPOLLIN | EPOLLOUT);
}

static void on_client(int fd)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn)
		bench_die("calloc");
	conn->fd = fd;
	conn->events = EPOLLIN;
	conn->ssl = SSL_new(context);
	if (!conn->ssl || SSL_set_fd(conn->ssl, fd) != 1)
		bench_die("a connection");
	bench_workers_give(&workers, fd, EPOLLIN, conn);
}

static bool on_line(void)
{
	printf("{\"handshakes\": %" PRIu64 ", \"resumed\": %" PRIu64 ", \"failed\": %" PRIu64 ", \"wrong\": %" PRIu64
	       "}\n",
	       atomic_exchange(&counted_handshakes, 0), atomic_exchange(&counted_resumed, 0),
	       atomic_exchange(&counted_failed, 0), atomic_exchange(&counted_wrong, 0));
	return true;
}

static void make_context(char **argv)
{
	uint64_t tickets = bench_number("TICKETS", argv[4]);

	context = SSL_CTX_new(TLS_server_method());
	if (!context || SSL_CTX_use_certificate_chain_file(context, argv[1]) != 1 ||
	    SSL_CTX_use_PrivateKey_file(context, argv[2], SSL_FILETYPE_PEM) != 1 ||
	    SSL_CTX_load_verify_locations(context, argv[3], NULL) != 1) {
		ERR_print_errors_fp(stderr);
		exit(1);
	}
	SSL_CTX_set_client_CA_list(context, SSL_load_client_CA_file(argv[3]));
	SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_session_id_context(context, (const unsigned char *)"bench", 5);
	SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
	                                  SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_num_tickets(context, (size_t)tickets);
	if (tickets == 0) {
		SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
		SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
	}
}

static void run_waiting(void)
{
	struct conn *next;

	for (struct conn *conn = waiting; conn; conn = next) {
		next = conn->next;
		conn_run(conn);
	}
}

static void run(int mine)
{
	struct epoll_event events[256];

	poll_fd = mine;
	for (;;) {
		int count = epoll_wait(poll_fd, events, 256, waiting ? 1 : -1);

		for (int i = 0; i < count; i++) {
			struct conn *conn = events[i].data.ptr;

			if (!conn->waiting)
				conn_run(conn);
			else if (events[i].events & (EPOLLERR | EPOLLHUP))
				conn_close(conn);
		}
		run_waiting();
	}
}

int main(int argc, char **argv)
{
	unsigned port;
	int listener;

	if (argc != 5 && argc != 6) {
		fprintf(stderr, "usage: origin CERT KEY CA TICKETS [THREADS]\n");
		return 64;
	}
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	make_context(argv);
	listener = bench_listen(&port);
	if (listener < 0)
		bench_die("listen");
	bench_workers_start(&workers, argc == 6 ? bench_number("THREADS", argv[5]) : 1, run);
	printf("%u\n", port);
	bench_serve(listener, on_client, on_line);
	/* Without the exit handlers, under which the workers would lose their feet. */
	_exit(0);
}
