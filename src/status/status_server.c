/*
 * status_server: see status_server.h.
 *
 * Answers for connections and their bounds.  What a request is, is status_http's; what it is answered with,
 * status_answer's.
 */
#include "status/status_server.h"

#include <errno.h>
#include <event2/listener.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/thread.h"
#include "base/unix_socket.h"
#include "loop/loop.h"
#include "status/status_answer.h"
#include "status/status_http.h"

#define SOCKET_MODE 0660
#define BACKLOG 128
/* How long accepting rests when descriptors are short. */
#define PAUSE_MS 100
/* So long, and for so many bytes, a client is read that was refused: closing at once could take the answer from it. */
#define LINGER_MS 1000
#define LINGER_BYTES 65536

enum conn_state { CONN_IDLE, CONN_READING, CONN_SENDING, CONN_LINGERING };

struct conn {
	TAILQ_ENTRY(conn) entry; /* in the order in which they entered their states */
	struct status_server *server; /* borrowed */
	struct watch *watch;
	struct event *timer;
	enum conn_state state;
	char in[STATUS_HEAD_BYTES];
	size_t in_len;
	char *out; /* owned; NULL: nothing to send */
	size_t out_len, out_at;
	bool keep;
	size_t lingered;
};
TAILQ_HEAD(conn_list, conn);

struct status_server {
	struct status_server_params params;
	struct addr addr;
	struct unix_socket_file file;
	int fd;
	struct loop *loop;
	struct evconnlistener *listener;
	struct event *pause;
	struct conn_list conns;
	unsigned conn_count;
	pthread_t thread;
	bool started;
	struct loop_job stop; /* run() is in the loop's thread */
};

/* ---- a connection ---- */

static void conn_free(struct conn *conn)
{
	TAILQ_REMOVE(&conn->server->conns, conn, entry);
	conn->server->conn_count--;
	if (conn->timer != NULL)
		event_free(conn->timer);
	watch_free(conn->watch, false);
	free(conn->out);
	free(conn);
}

static int64_t deadline_ms(enum conn_state state)
{
	switch (state) {
	case CONN_IDLE:
		return STATUS_IDLE_MS;
	case CONN_READING:
		return STATUS_HEAD_MS;
	case CONN_SENDING:
		return STATUS_SEND_MS;
	case CONN_LINGERING:
		return LINGER_MS;
	}
	return 0;
}

static void enter(struct conn *conn, enum conn_state state)
{
	struct conn_list *list = &conn->server->conns;

	conn->state = state;
	TAILQ_REMOVE(list, conn, entry);
	TAILQ_INSERT_TAIL(list, conn, entry);
	loop_timer_add(conn->timer, deadline_ms(state));
	watch_want(conn->watch, state != CONN_SENDING, state == CONN_SENDING);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	conn_free(arg);
}

static void answer(struct conn *conn, const struct status_request *request, unsigned status)
{
	const struct status_server_params *params = &conn->server->params;
	struct status_answer to = {0};
	const struct status_source source = {params->report, params->hung, params->arg};

	if (status == 200)
		status_answer_make(&source, request, &to);
	else
		status_answer_refuse(status, &to);
	conn->keep = status == 200 && request->keep;
	conn->out = status_answer_bytes(&to, status == 200 && request->head, conn->keep, &conn->out_len);
	conn->out_at = 0;
	free(to.body);
}

/* False when the connection is gone. */
static bool send_out(struct conn *conn)
{
	ssize_t sent;

	while (conn->out_at < conn->out_len) {
		sent = send(watch_fd(conn->watch), conn->out + conn->out_at, conn->out_len - conn->out_at,
		    MSG_NOSIGNAL);
		if (sent < 0 && errno == EINTR)
			continue;
		if (sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
			if (conn->state != CONN_SENDING)
				enter(conn, CONN_SENDING);
			return true;
		}
		if (sent < 0) {
			conn_free(conn);
			return false;
		}
		conn->out_at += (size_t)sent;
	}
	free(conn->out);
	conn->out = NULL;
	if (conn->keep) {
		enter(conn, CONN_IDLE);
		return true;
	}
	shutdown(watch_fd(conn->watch), SHUT_WR);
	enter(conn, CONN_LINGERING);
	return true;
}

/* Answers what has come as a whole, one request after the other, while answers are taken. */
static void serve(struct conn *conn)
{
	struct status_request request;
	size_t used = 0;
	unsigned status;
	bool any_host = conn->server->addr.u.sa.sa_family == AF_UNIX;

	while (conn->out == NULL && conn->state != CONN_LINGERING && conn->in_len > 0) {
		status = status_request_parse(conn->in, conn->in_len, any_host, &request, &used);
		if (status == 0) {
			if (conn->state != CONN_READING)
				enter(conn, CONN_READING);
			return;
		}
		answer(conn, &request, status);
		if (status != 200)
			used = conn->in_len;
		conn->in_len -= used;
		memmove(conn->in, conn->in + used, conn->in_len);
		if (!send_out(conn))
			return;
	}
}

static void linger(struct conn *conn)
{
	char dropped[4096];
	ssize_t got;

	while ((got = recv(watch_fd(conn->watch), dropped, sizeof(dropped), 0)) > 0) {
		conn->lingered += (size_t)got;
		if (conn->lingered > LINGER_BYTES)
			break;
	}
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	conn_free(conn);
}

static void on_ready(void *arg, bool readable, bool writable)
{
	struct conn *conn = arg;
	ssize_t got;

	if (conn->state == CONN_LINGERING) {
		linger(conn);
		return;
	}
	if (conn->state == CONN_SENDING) {
		if (send_out(conn))
			serve(conn);
		return;
	}
	got = recv(watch_fd(conn->watch), conn->in + conn->in_len, sizeof(conn->in) - conn->in_len, 0);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		conn_free(conn);
		return;
	}
	conn->in_len += (size_t)got;
	serve(conn);
}

/* ---- accepting ---- */

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa, int len, void *arg)
{
	struct status_server *server = arg;
	struct conn *conn;

	if (server->conn_count >= STATUS_CONNECTIONS_MAX)
		conn_free(TAILQ_FIRST(&server->conns));
	conn = mem_calloc(1, sizeof(*conn));
	conn->server = server;
	TAILQ_INSERT_TAIL(&server->conns, conn, entry);
	server->conn_count++;
	conn->timer = evtimer_new(server->loop->base, on_timer, conn);
	conn->watch = watch_new(server->loop, fd, on_ready, conn);
	if (conn->watch == NULL)
		close(fd);
	if (conn->timer == NULL || conn->watch == NULL) {
		conn_free(conn);
		return;
	}
	/* As long as for a head: who connects and says nothing is not an idle reader. */
	enter(conn, CONN_READING);
}

static void on_accept_failed(struct evconnlistener *listener, void *arg)
{
	struct status_server *server = arg;

	if (errno == ECONNABORTED || errno == EPROTO)
		return;
	evconnlistener_disable(listener);
	loop_timer_add(server->pause, PAUSE_MS);
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	struct status_server *server = arg;

	evconnlistener_enable(server->listener);
}

/* ---- the thread ---- */

static void *thread_main(void *arg)
{
	struct status_server *server = arg;

	loop_run(server->loop);
	return NULL;
}

static void run_stop(struct loop_job *job)
{
	struct status_server *server = (struct status_server *)((char *)job - offsetof(struct status_server, stop));

	loop_stop(server->loop);
}

static bool bind_socket(struct status_server *server, struct error *err)
{
	char text[ADDR_TEXT_BYTES];
	int one = 1;

	server->fd = socket(server->addr.u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (server->fd < 0)
		return error_set_errno(err, errno, "socket");
	if (server->addr.u.sa.sa_family == AF_UNIX) {
		if (!unix_socket_bind(server->fd, &server->addr, SOCKET_MODE, &server->file, err))
			return false;
	} else {
		setsockopt(server->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
		if (bind(server->fd, &server->addr.u.sa, server->addr.len) != 0)
			return error_set_errno(err, errno, "cannot listen at %s", addr_format(&server->addr, text));
	}
	if (listen(server->fd, BACKLOG) != 0)
		return error_set_errno(err, errno, "cannot listen at %s", addr_format(&server->addr, text));
	if (server->addr.u.sa.sa_family != AF_UNIX &&
	    getsockname(server->fd, &server->addr.u.sa, &server->addr.len) != 0)
		return error_set_errno(err, errno, "getsockname");
	return true;
}

struct status_server *status_server_new(const struct status_server_params *params, struct error *err)
{
	struct status_server *server = mem_calloc(1, sizeof(*server));

	server->params = *params;
	server->addr = *params->addr;
	server->params.addr = NULL;
	server->stop.run = run_stop;
	TAILQ_INIT(&server->conns);
	if (bind_socket(server, err))
		return server;
	status_server_free(server);
	return NULL;
}

const struct addr *status_server_addr(const struct status_server *server)
{
	return &server->addr;
}

bool status_server_start(struct status_server *server, struct error *err)
{
	server->loop = loop_new(0, err);
	if (server->loop == NULL)
		return false;
	server->pause = evtimer_new(server->loop->base, on_pause_over, server);
	server->listener = evconnlistener_new(server->loop->base, on_accept, server, LEV_OPT_CLOSE_ON_EXEC, 0,
	    server->fd);
	if (server->pause == NULL || server->listener == NULL)
		return error_set(err, "libevent has no event for the status endpoint");
	evconnlistener_set_error_cb(server->listener, on_accept_failed);
	server->started =
	    thread_start(&server->thread, thread_main, server, "the thread of the status endpoint", err);
	return server->started;
}

void status_server_free(struct status_server *server)
{
	struct conn *conn;

	if (server == NULL)
		return;
	if (server->started) {
		loop_post(server->loop, &server->stop);
		pthread_join(server->thread, NULL);
	}
	while ((conn = TAILQ_FIRST(&server->conns)) != NULL)
		conn_free(conn);
	if (server->listener != NULL)
		evconnlistener_free(server->listener);
	if (server->pause != NULL)
		event_free(server->pause);
	loop_free(server->loop);
	unix_socket_unlink(&server->addr, &server->file);
	if (server->fd >= 0)
		close(server->fd);
	free(server);
}
