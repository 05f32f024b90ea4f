/* connect: see connect.h. */
#include "dial/connect.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define MAX_ATTEMPTS 16

struct attempt {
	struct connector *connector; /* borrowed */
	struct watch *watch;
	const struct addr *addr; /* borrowed from the connector */
};

struct connector {
	struct loop_job job; /* first: run() gets it */
	struct loop *loop;
	connect_done_fn *done;
	void *arg;
	struct addr addrs[MAX_ATTEMPTS];
	size_t addr_count, started;
	struct attempt attempts[MAX_ATTEMPTS];
	unsigned open;
	bool has_source;
	struct addr source;
	struct event *timer;
	struct connect_result result;
	bool finished;
};

void connect_keep_alive(int fd, int64_t keepalive_ms)
{
	int probes = 3, keeps = keepalive_ms > 0;
	int idle_s = (int)((keepalive_ms + 999) / 1000);
	int interval_s = idle_s > 30 ? 10 : (idle_s + 2) / 3;

	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &keeps, sizeof(keeps));
	if (!keeps)
		return;
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPIDLE, &idle_s, sizeof(idle_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPINTVL, &interval_s, sizeof(interval_s));
	setsockopt(fd, IPPROTO_TCP, TCP_KEEPCNT, &probes, sizeof(probes));
}

static void send_at_once(int fd)
{
	int one = 1;

	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
}

void connect_tune(int fd, int64_t keepalive_ms)
{
	send_at_once(fd);
	connect_keep_alive(fd, keepalive_ms);
}

static void connector_free(struct connector *connector)
{
	size_t i;

	for (i = 0; i < connector->started; i++)
		watch_free(connector->attempts[i].watch, false);
	if (connector->timer != NULL)
		event_free(connector->timer);
	free(connector);
}

static void run_done(struct loop_job *job)
{
	struct connector *connector = (struct connector *)job;
	struct connect_result result = connector->result;
	connect_done_fn *done = connector->done;
	void *arg = connector->arg;

	connector_free(connector);
	if (done != NULL)
		done(arg, &result);
	else
		watch_free(result.watch, false);
}

static void finish(struct connector *connector)
{
	if (connector->finished)
		return;
	connector->finished = true;
	event_del(connector->timer);
	loop_defer(connector->loop, &connector->job);
}

static void note_error(struct connector *connector, const struct addr *addr, int error, bool bad_source)
{
	if (connector->result.error == 0) {
		connector->result.error = error;
		connector->result.addr = *addr;
		connector->result.bad_source = bad_source;
	}
}

static void on_connected(void *arg, bool readable, bool writable);

/* False when this attempt failed at once. */
static bool attempt_start(struct attempt *attempt)
{
	struct connector *connector = attempt->connector;
	const struct addr *addr = attempt->addr;
	int one = 1;
	int fd = socket(addr->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	bool bad_source = false;

	if (fd < 0)
		goto fail;
	send_at_once(fd);
	if (connector->has_source) {
		/* The port is chosen at connect, when the whole 4-tuple is known. */
		setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
		bad_source = bind(fd, &connector->source.u.sa, connector->source.len) != 0;
		if (bad_source)
			goto fail;
	}
	if (connect(fd, &addr->u.sa, addr->len) != 0 && errno != EINPROGRESS)
		goto fail;
	attempt->watch = watch_new(connector->loop, fd, on_connected, attempt);
	/* Both: a failure is told as readable too, and whoever reads next need not ask for it. */
	watch_want(attempt->watch, true, true);
	connector->open++;
	return true;
fail:
	note_error(connector, addr, errno, bad_source);
	if (fd >= 0)
		close(fd);
	return false;
}

/* Starts the next attempt that does not fail at once; when there is none and none is open, it is over. */
static void start_next(struct connector *connector)
{
	while (connector->started < connector->addr_count) {
		struct attempt *attempt = &connector->attempts[connector->started];

		attempt->connector = connector;
		attempt->addr = &connector->addrs[connector->started++];
		if (attempt_start(attempt)) {
			if (connector->started < connector->addr_count)
				loop_timer_add(connector->timer, CONNECT_ATTEMPT_DELAY_MS);
			return;
		}
	}
	if (connector->open == 0)
		finish(connector);
}

static void on_delay(evutil_socket_t fd, short what, void *arg)
{
	start_next(arg);
}

static void on_connected(void *arg, bool readable, bool writable)
{
	struct attempt *attempt = arg;
	struct connector *connector = attempt->connector;
	int error = 0;
	socklen_t len = sizeof(error);

	if (connector->finished)
		return;
	/* Only writable is connected: the kernel tells a failure as readable, too, and so it does what came at once. */
	if (readable && getsockopt(watch_fd(attempt->watch), SOL_SOCKET, SO_ERROR, &error, &len) != 0)
		error = errno;
	if (error == 0) {
		connector->result.watch = attempt->watch;
		connector->result.addr = *attempt->addr;
		connector->result.error = 0;
		attempt->watch = NULL;
		finish(connector);
		return;
	}
	note_error(connector, attempt->addr, error, false);
	watch_free(attempt->watch, false);
	attempt->watch = NULL;
	connector->open--;
	start_next(connector);
}

/* Takes the addresses in turns, one family then the other, beginning with the family of the first. */
static void interleave(struct connector *connector, const struct addr *addrs, size_t count)
{
	size_t mine = 0, other = 0;
	sa_family_t family = addrs[0].u.sa.sa_family;
	bool turn = true;

	while (connector->addr_count < MAX_ATTEMPTS) {
		size_t *at = turn ? &mine : &other;

		while (*at < count && (addrs[*at].u.sa.sa_family == family) != turn)
			(*at)++;
		if (*at < count)
			connector->addrs[connector->addr_count++] = addrs[(*at)++];
		else if (mine >= count && other >= count)
			break;
		turn = !turn;
	}
}

static void leave_out_other_family(struct connector *connector)
{
	size_t i, kept = 0;

	for (i = 0; i < connector->addr_count; i++) {
		if (connector->addrs[i].u.sa.sa_family == connector->source.u.sa.sa_family)
			connector->addrs[kept++] = connector->addrs[i];
	}
	if (kept == 0)
		note_error(connector, &connector->addrs[0], EAFNOSUPPORT, true);
	connector->addr_count = kept;
}

struct connector *connector_start(const struct connect_params *params, connect_done_fn *done, void *arg)
{
	struct connector *connector = mem_calloc(1, sizeof(*connector));

	midrelay_assert(params->count > 0);
	connector->job.run = run_done;
	connector->loop = params->loop;
	connector->done = done;
	connector->arg = arg;
	connector->timer = evtimer_new(params->loop->base, on_delay, connector);
	if (connector->timer == NULL) {
		free(connector);
		return NULL;
	}
	interleave(connector, params->addrs, params->count);
	if (params->source != NULL) {
		connector->has_source = true;
		connector->source = *params->source;
		leave_out_other_family(connector);
	}
	start_next(connector);
	return connector;
}

void connector_cancel(struct connector *connector)
{
	if (connector == NULL)
		return;
	if (connector->finished) {
		/* The job is on the loop's list already and frees it. */
		connector->done = NULL;
		return;
	}
	connector_free(connector);
}
