/*
 * acceptor: see acceptor.h.
 *
 * Answers for who is let in, for spreading connections evenly, and for not spinning when descriptors run out.
 */
#include "relay/acceptor.h"

#include <errno.h>
#include <event2/listener.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log_limit.h"
#include "base/mem.h"

/* How long accepting rests when the process or the system is out of descriptors. */
#define PAUSE_MS 100
/* Clients over max_connections that are being told so; past this they are closed without a word. */
#define REFUSALS_MAX 256

struct place {
	struct acceptor *acceptor; /* borrowed */
	struct place *next;
	int fd;
	struct evconnlistener *listener;
	struct relay_route *route;
};

/* A connection on its way to another loop. */
struct handover {
	struct loop_job job; /* first: run() gets it */
	struct session_params params;
};

struct acceptor {
	struct loop *loop;
	struct session_context *const *contexts; /* borrowed */
	unsigned context_count, turn;
	struct place *places;
	struct event *pause;
	bool paused;
};

static void set_paused(struct acceptor *acceptor, bool paused)
{
	struct place *place;

	acceptor->paused = paused;
	for (place = acceptor->places; place != NULL; place = place->next) {
		if (paused)
			evconnlistener_disable(place->listener);
		else
			evconnlistener_enable(place->listener);
	}
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	set_paused(arg, false);
}

static void on_accept_failed(struct evconnlistener *listener, void *arg)
{
	struct place *place = arg;
	struct acceptor *acceptor = place->acceptor;
	struct log_line line;
	int error = errno;
	char reason[128], msg[192];

	if (error == ECONNABORTED || error == EPROTO || acceptor->paused)
		return;
	set_paused(acceptor, true);
	loop_timer_add(acceptor->pause, PAUSE_MS);
	if (error == EMFILE || error == ENFILE)
		ready_give_way(acceptor->contexts[0]->ready);
	if (log_begin(&line, LOG_ERROR, "accept-paused")) {
		snprintf(msg, sizeof(msg), "no connection can be accepted for now: %s",
		    strerror_r(error, reason, sizeof(reason)));
		log_str(&line, "msg", msg);
		log_limit_end(&line, "accept-paused", 0);
	}
}

static enum session_verdict judge(const struct relay_route *route, const struct addr *peer, unsigned open_before)
{
	const struct config_relay *config = route->config;
	size_t i;

	if (open_before >= route->set->config->process.max_connections)
		return SESSION_OVER_LIMIT;
	if (peer->u.sa.sa_family == AF_UNIX)
		return SESSION_WELCOME;
	if (config->allow_address_count == 0)
		return addr_is_loopback(peer) ? SESSION_WELCOME : SESSION_STRANGER;
	for (i = 0; i < config->allow_address_count; i++) {
		if (addr_cidr_contains(&config->allow_address[i], peer))
			return SESSION_WELCOME;
	}
	return SESSION_STRANGER;
}

static void begin(const struct session_params *params)
{
	struct log_line line;

	if (session_start(params))
		return;
	atomic_fetch_sub(&params->context->totals->open, 1);
	if (log_begin(&line, LOG_ERROR, "session-failed")) {
		log_str(&line, "msg", "no event for a new connection; it was closed");
		log_limit_end(&line, "session-failed", 0);
	}
}

static void run_handover(struct loop_job *job)
{
	struct handover *handover = (struct handover *)job;

	begin(&handover->params);
	relay_set_unref(handover->params.route->set);
	free(handover);
}

static void on_accept(struct evconnlistener *listener, evutil_socket_t fd, struct sockaddr *sa, int sa_len, void *arg)
{
	struct place *place = arg;
	struct acceptor *acceptor = place->acceptor;
	struct session_context *context = acceptor->contexts[acceptor->turn];
	struct session_params params = {.context = context, .route = place->route, .fd = fd};
	struct handover *handover;
	unsigned open_before = atomic_fetch_add(&context->totals->open, 1);

	memcpy(&params.peer.u, sa, (size_t)sa_len);
	params.peer.len = (socklen_t)sa_len;
	params.verdict = judge(place->route, &params.peer, open_before);
	if (params.verdict == SESSION_OVER_LIMIT &&
	    open_before >= place->route->set->config->process.max_connections + REFUSALS_MAX) {
		atomic_fetch_sub(&context->totals->open, 1);
		close(fd);
		return;
	}
	acceptor->turn = (acceptor->turn + 1) % acceptor->context_count;
	if (context->loop == acceptor->loop) {
		begin(&params);
		return;
	}
	handover = mem_calloc(1, sizeof(*handover));
	handover->job.run = run_handover;
	handover->params = params;
	relay_set_ref(place->route->set);
	loop_post(context->loop, &handover->job);
}

struct acceptor *acceptor_new(struct loop *loop, struct session_context *const *contexts, unsigned context_count)
{
	struct acceptor *acceptor = mem_calloc(1, sizeof(*acceptor));

	midrelay_assert(contexts[0]->loop == loop);
	acceptor->loop = loop;
	acceptor->contexts = contexts;
	acceptor->context_count = context_count;
	acceptor->pause = evtimer_new(loop->base, on_pause_over, acceptor);
	if (acceptor->pause == NULL) {
		free(acceptor);
		return NULL;
	}
	return acceptor;
}

static void place_free(struct place *place)
{
	if (place->listener != NULL)
		evconnlistener_free(place->listener);
	relay_set_unref(place->route->set);
	free(place);
}

static struct place *place_new(struct acceptor *acceptor, const struct acceptor_entry *entry)
{
	struct place *place = mem_calloc(1, sizeof(*place));

	place->acceptor = acceptor;
	place->fd = entry->fd;
	place->route = entry->route;
	relay_set_ref(entry->route->set);
	/* backlog 0: listen() was called where the address was bound. */
	place->listener = evconnlistener_new(acceptor->loop->base, on_accept, place,
	    LEV_OPT_CLOSE_ON_EXEC | (acceptor->paused ? LEV_OPT_DISABLED : 0), 0, entry->fd);
	if (place->listener == NULL) {
		place_free(place);
		return NULL;
	}
	evconnlistener_set_error_cb(place->listener, on_accept_failed);
	return place;
}

/* Takes the place for this descriptor off the list; NULL: there is none. */
static struct place *place_take(struct place **list, int fd)
{
	struct place **at, *place;

	for (at = list; (place = *at) != NULL; at = &place->next) {
		if (place->fd == fd) {
			*at = place->next;
			return place;
		}
	}
	return NULL;
}

bool acceptor_apply(struct acceptor *acceptor, const struct acceptor_entry *entries, size_t count)
{
	struct place *old = acceptor->places, *place;
	bool ok = true;
	size_t i;

	acceptor->places = NULL;
	for (i = 0; i < count; i++) {
		place = place_take(&old, entries[i].fd);
		if (place != NULL) {
			relay_set_ref(entries[i].route->set);
			relay_set_unref(place->route->set);
			place->route = entries[i].route;
		} else {
			place = place_new(acceptor, &entries[i]);
		}
		if (place == NULL) {
			ok = false;
			continue;
		}
		place->next = acceptor->places;
		acceptor->places = place;
	}
	while ((place = old) != NULL) {
		old = place->next;
		place_free(place);
	}
	return ok;
}

void acceptor_free(struct acceptor *acceptor)
{
	if (acceptor == NULL)
		return;
	acceptor_apply(acceptor, NULL, 0);
	event_free(acceptor->pause);
	free(acceptor);
}
