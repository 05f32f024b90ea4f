/*
 * The proxy of a measurement: answers any CONNECT to the one server and splices; with a delay it holds back what
 * passes, each way for half of it, the CONNECT and its answer too.
 *
 *   proxy PORT DELAY_MS connect|plain [THREADS]      PORT: the server's; plain: no CONNECT, for a relay that cannot
 *                                                    make one
 *
 * Prints its port; ends when its standard input does.
 */
#define _GNU_SOURCE
#include "bench.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define HEAD_BYTES 8192
#define PIPE_BYTES (256 * 1024)

static const char answer[] = "HTTP/1.1 200 Connection established\r\n\r\n";

/* Bytes under way for their delay. */
struct held {
	struct held *next;
	uint64_t due_us;
	size_t length;
	size_t at;
	unsigned char bytes[];
};

struct pipe {
	struct pipe *next;
	int in, out;
};

struct side {
	int fd;
	uint32_t events;
	bool added;
	struct tunnel *tunnel;
	/* what goes to the other side */
	struct pipe *pipe;
	size_t piped;
	struct held *first, *last;
	bool ended;              /* the other side has been told */
	bool saw_end;
};

struct tunnel {
	struct side client, server;
	struct tunnel *previous, *next;
	char head[HEAD_BYTES];
	size_t have;
	bool adopted;            /* by the thread that serves it */
	bool open;
	bool dead;
};

static struct bench_workers workers;
static unsigned server_port;
static uint64_t half_us;
static bool plain;
static _Thread_local int poll_fd;
static _Thread_local struct pipe *pipes;
static _Thread_local struct tunnel *tunnels;
static _Thread_local struct tunnel *dead;

static struct side *other(struct side *side)
{
	return side == &side->tunnel->client ? &side->tunnel->server : &side->tunnel->client;
}

static struct pipe *pipe_take(void)
{
	struct pipe *taken = pipes;
	int ends[2];

	if (taken) {
		pipes = taken->next;
		return taken;
	}
	taken = calloc(1, sizeof(*taken));
	if (!taken || pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
		bench_die("pipe");
	fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES);
	taken->in = ends[1];
	taken->out = ends[0];
	return taken;
}

static void pipe_give(struct side *side)
{
	if (!side->pipe)
		return;
	if (side->piped > 0) {
		close(side->pipe->in);
		close(side->pipe->out);
		free(side->pipe);
	} else {
		side->pipe->next = pipes;
		pipes = side->pipe;
	}
	side->pipe = NULL;
	side->piped = 0;
}

static void want(struct side *side, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = side};

	if (side->fd < 0 || (side->added && side->events == events))
		return;
	if (epoll_ctl(poll_fd, side->added ? EPOLL_CTL_MOD : EPOLL_CTL_ADD, side->fd, &event) != 0)
		bench_die("epoll_ctl");
	side->added = true;
	side->events = events;
}

static void side_close(struct side *side)
{
	struct held *next;

	pipe_give(side);
	for (struct held *held = side->first; held; held = next) {
		next = held->next;
		free(held);
	}
	if (side->fd >= 0)
		close(side->fd);
}

/* Freed after the round of events, which may name it again. */
static void tunnel_close(struct tunnel *tunnel)
{
	if (tunnel->dead)
		return;
	tunnel->dead = true;
	if (tunnel->previous)
		tunnel->previous->next = tunnel->next;
	else
		tunnels = tunnel->next;
	if (tunnel->next)
		tunnel->next->previous = tunnel->previous;
	side_close(&tunnel->client);
	side_close(&tunnel->server);
	tunnel->next = dead;
	dead = tunnel;
}

static void hold(struct side *side, const void *bytes, size_t length)
{
	struct held *held = malloc(sizeof(*held) + length);

	if (!held)
		bench_die("malloc");
	*held = (struct held){.due_us = bench_now_us() + half_us, .length = length};
	memcpy(held->bytes, bytes, length);
	if (side->last)
		side->last->next = held;
	else
		side->first = held;
	side->last = held;
}

/* False: the tunnel is over. */
static bool pump_held(struct side *from)
{
	struct side *to = other(from);
	static _Thread_local unsigned char buffer[BENCH_BLOCK];
	ssize_t got;

	while (!from->saw_end && (got = recv(from->fd, buffer, sizeof(buffer), 0)) >= 0) {
		from->saw_end = got == 0;
		hold(from, buffer, (size_t)got);
	}
	if (!from->saw_end && errno != EAGAIN)
		return false;
	while (from->first && from->first->due_us <= bench_now_us()) {
		struct held *held = from->first;

		while (held->at < held->length) {
			got = send(to->fd, held->bytes + held->at, held->length - held->at, 0);
			if (got < 0) {
				want(to, to->events | EPOLLOUT);
				return errno == EAGAIN || errno == ENOTCONN;
			}
			held->at += (size_t)got;
		}
		if (held->length == 0) {
			shutdown(to->fd, SHUT_WR);
			from->ended = true;
		}
		from->first = held->next;
		if (!from->first)
			from->last = NULL;
		free(held);
	}
	want(from, (from->saw_end ? 0 : EPOLLIN) | (other(from)->first ? from->events & EPOLLOUT : 0));
	return true;
}

static bool pump_splice(struct side *from)
{
	struct side *to = other(from);
	bool full = false;
	ssize_t got;

	for (int turns = 0; turns < 8 && !full; turns++) {
		if (from->piped == 0 && !from->saw_end) {
			if (!from->pipe)
				from->pipe = pipe_take();
			got = splice(from->fd, NULL, from->pipe->in, NULL, PIPE_BYTES,
			             SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
			if (got < 0 && errno != EAGAIN)
				return false;
			if (got < 0)
				break;
			from->saw_end = got == 0;
			from->piped = (size_t)got;
		}
		if (from->piped == 0)
			break;
		got = splice(from->pipe->out, NULL, to->fd, NULL, from->piped, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
		if (got < 0 && errno != EAGAIN)
			return false;
		if (got > 0)
			from->piped -= (size_t)got;
		full = from->piped > 0;
	}
	if (from->piped == 0) {
		pipe_give(from);
		if (from->saw_end && !from->ended) {
			shutdown(to->fd, SHUT_WR);
			from->ended = true;
		}
	}
	return true;
}

static void tunnel_pump(struct tunnel *tunnel)
{
	bool going = half_us ? pump_held(&tunnel->client) && pump_held(&tunnel->server)
	                     : pump_splice(&tunnel->client) && pump_splice(&tunnel->server);

	if (!going || (tunnel->client.ended && tunnel->server.ended)) {
		tunnel_close(tunnel);
		return;
	}
	if (half_us)
		return;
	want(&tunnel->client, (tunnel->client.piped || tunnel->client.saw_end ? 0 : EPOLLIN) |
	                              (tunnel->server.piped ? EPOLLOUT : 0));
	want(&tunnel->server, (tunnel->server.piped || tunnel->server.saw_end ? 0 : EPOLLIN) |
	                              (tunnel->client.piped ? EPOLLOUT : 0));
}

static bool tunnel_open(struct tunnel *tunnel)
{
	tunnel->open = true;
	tunnel->server.fd = bench_connect(server_port, 1);
	if (tunnel->server.fd < 0)
		bench_die("socket");
	want(&tunnel->server, EPOLLOUT);
	if (plain)
		return true;
	if (half_us == 0)
		return send(tunnel->client.fd, answer, sizeof(answer) - 1, 0) == (ssize_t)sizeof(answer) - 1;
	/* The request took half of the way, its answer takes the other half. */
	hold(&tunnel->server, answer, sizeof(answer) - 1);
	tunnel->server.last->due_us += half_us;
	return true;
}

/* The head of the CONNECT; what a client sent right behind it goes to the server. */
static void tunnel_head(struct tunnel *tunnel)
{
	ssize_t got = recv(tunnel->client.fd, tunnel->head + tunnel->have, HEAD_BYTES - tunnel->have, MSG_PEEK);
	size_t before = tunnel->have, length;
	const char *end;

	if (got <= 0) {
		if (got == 0 || errno != EAGAIN)
			tunnel_close(tunnel);
		return;
	}
	end = memmem(tunnel->head, before + (size_t)got, "\r\n\r\n", 4);
	length = end ? (size_t)(end + 4 - tunnel->head) - before : (size_t)got;
	if (recv(tunnel->client.fd, tunnel->head + before, length, 0) != (ssize_t)length) {
		tunnel_close(tunnel);
		return;
	}
	tunnel->have += length;
	if (end ? !tunnel_open(tunnel) : tunnel->have == HEAD_BYTES)
		tunnel_close(tunnel);
}

/* In the thread that accepts: nothing of the other threads is touched. */
static void on_client(int fd)
{
	struct tunnel *tunnel = calloc(1, sizeof(*tunnel));
	uint32_t events = plain ? EPOLLIN | EPOLLOUT : EPOLLIN;

	if (!tunnel)
		bench_die("calloc");
	tunnel->client = (struct side){.fd = fd, .tunnel = tunnel, .added = true, .events = events};
	tunnel->server = (struct side){.fd = -1, .tunnel = tunnel};
	bench_workers_give(&workers, fd, events, &tunnel->client);
}

static void tunnel_adopt(struct tunnel *tunnel)
{
	tunnel->adopted = true;
	tunnel->next = tunnels;
	if (tunnels)
		tunnels->previous = tunnel;
	tunnels = tunnel;
	if (plain)
		tunnel_open(tunnel);
}

static void on_event(struct side *side, uint32_t events)
{
	struct tunnel *tunnel = side->tunnel;

	if (tunnel->dead)
		return;
	if (!tunnel->adopted)
		tunnel_adopt(tunnel);
	if (events & EPOLLERR)
		tunnel_close(tunnel);
	else if (!tunnel->open)
		tunnel_head(tunnel);
	else
		tunnel_pump(tunnel);
}

static void round_ends(void)
{
	struct tunnel *next;

	for (struct tunnel *tunnel = half_us ? tunnels : NULL; tunnel; tunnel = next) {
		next = tunnel->next;
		if (tunnel->open)
			tunnel_pump(tunnel);
	}
	while (dead) {
		next = dead->next;
		free(dead);
		dead = next;
	}
}

/* Until something happens, or what is held is due, to the microsecond. */
static int await(struct epoll_event *events, int room)
{
	uint64_t now = bench_now_us(), first_due = UINT64_MAX;
	struct pollfd all = {.fd = poll_fd, .events = POLLIN};
	struct timespec left;

	for (struct tunnel *tunnel = tunnels; tunnel && half_us; tunnel = tunnel->next) {
		for (int i = 0; i < 2; i++) {
			struct held *held = i ? tunnel->client.first : tunnel->server.first;
			/* What is overdue has found no room. */
			uint64_t due = !held ? UINT64_MAX : held->due_us > now ? held->due_us : now + 1000;

			first_due = due < first_due ? due : first_due;
		}
	}
	if (first_due == UINT64_MAX)
		return epoll_wait(poll_fd, events, room, -1);
	left = (struct timespec){.tv_sec = (time_t)((first_due - now) / 1000000),
	                         .tv_nsec = (long)((first_due - now) % 1000000) * 1000};
	ppoll(&all, 1, &left, NULL);
	return epoll_wait(poll_fd, events, room, 0);
}

static void run(int mine)
{
	struct epoll_event events[256];

	poll_fd = mine;
	for (;;) {
		int count = await(events, 256);

		for (int i = 0; i < count; i++)
			on_event(events[i].data.ptr, events[i].events);
		round_ends();
	}
}

static bool on_line(void)
{
	return true;
}

int main(int argc, char **argv)
{
	unsigned port;
	int listener;

	if (argc != 4 && argc != 5) {
		fprintf(stderr, "usage: proxy PORT DELAY_MS connect|plain [THREADS]\n");
		return 64;
	}
	signal(SIGPIPE, SIG_IGN);
	setvbuf(stdout, NULL, _IOLBF, 0);
	server_port = (unsigned)bench_number("PORT", argv[1]);
	half_us = bench_number("DELAY_MS", argv[2]) * 500;
	plain = strcmp(argv[3], "plain") == 0;
	listener = bench_listen(&port);
	if (listener < 0)
		bench_die("listen");
	bench_workers_start(&workers, argc == 5 ? bench_number("THREADS", argv[4]) : 1, run);
	printf("%u\n", port);
	bench_serve(listener, on_client, on_line);
	_exit(0);
}
