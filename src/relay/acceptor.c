/*
 * acceptor: see acceptor.h.
 *
 * Answers for who is let in, for spreading connections evenly, and for not spinning when descriptors run out.
 */
#include "relay/acceptor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log_limit.h"
#include "base/mem.h"
#include "relay/client_owner.h"
#include "relay/listen.h"

/* How long accepting rests when the process or the system is out of descriptors. */
#define PAUSE_MS 100
/* Clients that one turn takes, and the turns that take only one after none was left. */
#define BURST 64
#define SINGLES 8
/* Clients that are taken from a socket before it is closed: as many as may wait, and some who come meanwhile. */
#define LAST_MAX (2 * LISTEN_BACKLOG)
/* Clients over max_connections that are being told so; past this they are closed without a word. */
#define REFUSALS_MAX 256

struct place {
	struct acceptor *acceptor; /* borrowed */
	struct place *next;
	int fd;
	struct event *event;
	struct relay_route *route;
	unsigned singles; /* turns that take one client */
	bool tls;
};

/* A connection on its way to another loop. */
struct handover {
	struct loop_job job; /* first: run() gets it */
	struct session_params params;
	char *doubt; /* what params.doubt is here */
};

struct acceptor {
	struct loop *loop;
	struct session_context *const *contexts; /* borrowed */
	unsigned context_count, turn;
	struct place *places;
	struct event *pause;
	bool paused;
	struct client_owner *owner;
};

static void set_paused(struct acceptor *acceptor, bool paused)
{
	struct place *place;

	acceptor->paused = paused;
	for (place = acceptor->places; place != NULL; place = place->next) {
		if (paused)
			event_del(place->event);
		else
			event_add(place->event, NULL);
	}
}

static void on_pause_over(evutil_socket_t fd, short what, void *arg)
{
	set_paused(arg, false);
}

static void accept_failed(struct acceptor *acceptor, int error)
{
	struct log_line line;
	char reason[128], msg[192];

	if (error == EAGAIN || error == EWOULDBLOCK || error == EINTR || error == ECONNABORTED || error == EPROTO)
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

static bool is_at_home(const struct place *place, const struct addr *peer)
{
	const struct config_relay *config = place->route->config;
	size_t i;

	if (peer->u.sa.sa_family == AF_UNIX)
		return true;
	/* Who has to show a certificate is judged by that. */
	if (place->tls && config->allow_nonlocal && config->allow_address_count == 0 &&
	    config->listen_client_ca != NULL)
		return true;
	if (config->allow_address_count == 0)
		return addr_is_loopback(peer);
	for (i = 0; i < config->allow_address_count; i++) {
		if (addr_cidr_contains(&config->allow_address[i], peer))
			return true;
	}
	return false;
}

static void judge_owner(struct acceptor *acceptor, struct session_params *params, struct error *doubt)
{
	bool asked = params->route->config->allow_user.count > 0;
	uid_t uid;

	/* On a UNIX socket it costs next to nothing and tells the log who it was. */
	if (!asked && params->peer.u.sa.sa_family != AF_UNIX)
		return;
	if (client_owner_find(acceptor->owner, params->fd, &params->peer, &uid, doubt)) {
		params->uid = uid;
		if (!client_owner_is_allowed(params->route->config, uid))
			params->verdict = SESSION_OTHER_USER;
	} else if (asked) {
		params->verdict = SESSION_NOBODYS;
		params->doubt = doubt->text;
	}
}

static void judge(const struct place *place, struct session_params *params, unsigned open_before,
    struct error *doubt)
{
	const struct relay_route *route = params->route;

	if (open_before >= route->set->config->process.max_connections)
		params->verdict = SESSION_OVER_LIMIT;
	else if (!is_at_home(place, &params->peer))
		params->verdict = SESSION_STRANGER;
	else
		judge_owner(place->acceptor, params, doubt);
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
	free(handover->doubt);
	free(handover);
}

static void welcome(struct place *place, int fd, const struct addr *peer)
{
	struct acceptor *acceptor = place->acceptor;
	struct session_context *context = acceptor->contexts[acceptor->turn];
	struct session_params params = {
	    .context = context, .route = place->route, .fd = fd, .peer = *peer, .uid = -1,
	    .tls = place->tls};
	struct error doubt;
	struct handover *handover;
	unsigned open_before = atomic_fetch_add(&context->totals->open, 1);

	params.verdict = SESSION_WELCOME;
	judge(place, &params, open_before, &doubt);
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
	if (params.doubt != NULL)
		handover->params.doubt = handover->doubt = mem_strdup(params.doubt);
	relay_set_ref(place->route->set);
	loop_post(context->loop, &handover->job);
}

/* False: there was none, or accepting rests. */
static bool accept_one(struct place *place)
{
	struct addr peer = {.len = sizeof(peer.u)};
	int fd = accept4(place->fd, &peer.u.sa, &peer.len, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0) {
		accept_failed(place->acceptor, errno);
		return false;
	}
	welcome(place, fd, &peer);
	return true;
}

/*
 * To ask until there is none costs a call in vain for every client that comes alone; to take one a turn would keep a
 * burst waiting.  So after a call in vain the next few turns take one each.
 */
static void on_acceptable(evutil_socket_t fd, short what, void *arg)
{
	struct place *place = arg;
	unsigned left = BURST;

	if (place->singles > 0) {
		place->singles--;
		left = 1;
	}
	while (left > 0 && accept_one(place))
		left--;
	if (left > 0)
		place->singles = SINGLES;
}

void acceptor_take_waiting(struct acceptor *acceptor, int fd)
{
	struct place *place = acceptor->places;
	unsigned left = LAST_MAX;

	while (place != NULL && place->fd != fd)
		place = place->next;
	while (place != NULL && left > 0 && accept_one(place))
		left--;
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
	acceptor->owner = client_owner_new();
	return acceptor;
}

static void place_free(struct place *place)
{
	if (place->event != NULL)
		event_free(place->event);
	relay_set_unref(place->route->set);
	free(place);
}

static struct place *place_new(struct acceptor *acceptor, const struct acceptor_entry *entry)
{
	struct place *place = mem_calloc(1, sizeof(*place));

	place->acceptor = acceptor;
	place->fd = entry->fd;
	place->route = entry->route;
	place->tls = entry->tls;
	relay_set_ref(entry->route->set);
	place->event = event_new(acceptor->loop->base, entry->fd, EV_READ | EV_PERSIST, on_acceptable, place);
	if (place->event == NULL || (!acceptor->paused && event_add(place->event, NULL) != 0)) {
		place_free(place);
		return NULL;
	}
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
			place->tls = entries[i].tls;
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
	client_owner_free(acceptor->owner);
	free(acceptor);
}
