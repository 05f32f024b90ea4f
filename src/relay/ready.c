/*
 * ready: see ready.h.
 *
 * Answers for how many tunnels a pool has, when it dials, and who gets one.  A single tunnel's life is
 * ready_place.c's, the rule of `auto` ready_demand.c's.
 *
 * Pools are looked after by one timer, which runs only while there is something to keep; what happens in between
 * wakes it.  So nothing is dialled or freed from inside a call of a session.
 */
#include "relay/ready.h"

#include <stdlib.h>

#include "base/mem.h"
#include "relay/ready_internal.h"

/* How soon is seen what other loops do: a path that failed, descriptors that are short. */
#define LOOK_MS 1000
/* How long descriptors are taken to be short. */
#define SHORT_MS 5000

void ready_wake(struct ready *ready)
{
	event_active(ready->timer, EV_TIMEOUT, 0);
}

void ready_pool_rest(struct ready_pool *pool, bool until_works)
{
	int64_t now_ms = loop_now_ms();

	if (now_ms < pool->rests_until_ms && !pool->rests_until_works)
		return;
	pool->rests_until_ms = now_ms + READY_REST_MS;
	pool->rests_until_works = until_works;
}

/* ---- how many ---- */

static unsigned held_by(const struct ready_pool *pool)
{
	const struct ready_place *place;
	unsigned held = 0;

	TAILQ_FOREACH(place, &pool->places, entry)
		held += place->state == READY_EMPTY ? 0 : 1;
	return held;
}

static unsigned wanted_by(const struct ready_pool *pool, int64_t now_ms)
{
	const struct ready *ready = pool->ready;
	unsigned wanted = pool->fixed;
	unsigned taken = atomic_load(ready->open) + atomic_load(&ready->totals->held);
	unsigned limit = ready->set->config->process.max_connections;
	unsigned held;

	if (wanted == 0)
		wanted = ready_demand_wanted(&pool->demand, now_ms, pool->route->config->ready_max_age_ms);
	if (now_ms < atomic_load(&ready->totals->short_until_ms))
		return 0;
	if (taken <= limit)
		return wanted;
	held = held_by(pool);
	held = held > taken - limit ? held - (taken - limit) : 0;
	return wanted < held ? wanted : held;
}

/* With a number the next one is there before this one is too old. */
static bool is_renewed(const struct ready_pool *pool, const struct ready_place *place, int64_t now_ms)
{
	return pool->fixed > 0 && now_ms - place->made_ms >= pool->route->config->ready_max_age_ms * 3 / 4;
}

struct counts {
	unsigned coming, waiting;
	unsigned kept; /* what counts towards what is wanted */
};

static struct counts count_places(const struct ready_pool *pool, int64_t now_ms)
{
	struct counts counts = {0};
	const struct ready_place *place;

	TAILQ_FOREACH(place, &pool->places, entry) {
		switch (place->state) {
		case READY_DIALLING:
		case READY_PROVING:
			counts.coming++;
			counts.kept++;
			break;
		case READY_WAITING:
			counts.waiting++;
			counts.kept += is_renewed(pool, place, now_ms) ? 0 : 1;
			break;
		case READY_EMPTY:
			counts.kept++;
			break;
		}
	}
	return counts;
}

/* ---- looking after a pool ---- */

static bool is_over(const struct ready_pool *pool, const struct ready_place *place, int64_t now_ms)
{
	switch (place->state) {
	case READY_DIALLING: /* reach keeps setup_timeout */
		return false;
	case READY_PROVING:
	case READY_WAITING:
		return !ready_place_is_good(place, now_ms);
	case READY_EMPTY:
		return now_ms - place->made_ms >= pool->route->config->ready_max_age_ms;
	}
	return false;
}

static void let_go_of_old(struct ready_pool *pool, int64_t now_ms)
{
	struct ready_place *place, *next;

	for (place = TAILQ_FIRST(&pool->places); place != NULL; place = next) {
		next = TAILQ_NEXT(place, entry);
		if (place->state == READY_PROVING)
			ready_place_prove(place, now_ms);
		if (is_over(pool, place, now_ms))
			ready_place_let_go(place);
	}
}

static void let_go_of_surplus(struct ready_pool *pool, unsigned wanted, struct counts counts)
{
	struct ready_place *place, *next;

	for (place = TAILQ_FIRST(&pool->places); place != NULL; place = next) {
		next = TAILQ_NEXT(place, entry);
		if (place->state == READY_WAITING && counts.waiting > wanted) {
			counts.waiting--;
			ready_place_let_go(place);
		} else if ((place->state == READY_DIALLING || place->state == READY_PROVING) &&
		    counts.coming > wanted) {
			counts.coming--;
			ready_place_let_go(place);
		}
	}
}

static bool has_path(const struct ready_pool *pool, int64_t now_ms)
{
	size_t i;

	for (i = 0; i < pool->route->path_count; i++) {
		if (now_ms >= atomic_load(&pool->route->paths[i].state.rest_until_ms))
			return true;
	}
	return false;
}

static bool may_dial(const struct ready_pool *pool, unsigned wanted, int64_t now_ms)
{
	const struct ready *ready = pool->ready;

	return now_ms >= pool->rests_until_ms && ready->client_dials <= wanted && has_path(pool, now_ms) &&
	    atomic_load(ready->open) + atomic_load(&ready->totals->held) <
	    ready->set->config->process.max_connections &&
	    /* The trial of a renewed certificate is for a dial that a client waits for: its answer decides. */
	    identity_choice_is_current(&pool->route->choice, NULL, now_ms);
}

/* When it has to be looked after next; -1: never, as far as is known. */
static int64_t next_look(const struct ready_pool *pool, unsigned wanted, int64_t now_ms)
{
	int64_t next_ms = wanted > 0 || !TAILQ_EMPTY(&pool->places) ? LOOK_MS : -1;
	const struct ready_place *place;
	int64_t left_ms;

	TAILQ_FOREACH(place, &pool->places, entry) {
		if (place->state == READY_DIALLING)
			continue;
		left_ms = place->made_ms + pool->route->config->ready_max_age_ms - now_ms;
		if (place->state == READY_PROVING && place->proof_ms - now_ms < left_ms)
			left_ms = place->proof_ms - now_ms;
		if (left_ms < next_ms)
			next_ms = left_ms > 0 ? left_ms : 1;
	}
	return next_ms;
}

static int64_t look_after(struct ready_pool *pool, int64_t now_ms)
{
	unsigned wanted = wanted_by(pool, now_ms);
	struct counts counts;

	let_go_of_old(pool, now_ms);
	counts = count_places(pool, now_ms);
	let_go_of_surplus(pool, wanted, counts);
	counts = count_places(pool, now_ms);
	while (counts.kept < wanted && counts.coming < READY_DIALS_MAX && may_dial(pool, wanted, now_ms)) {
		ready_place_dial(pool);
		counts.kept++;
		counts.coming++;
	}
	return next_look(pool, wanted, now_ms);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct ready *ready = arg;
	int64_t now_ms = loop_now_ms(), next_ms = -1, at_ms;
	size_t i;

	for (i = 0; ready->set != NULL && i < ready->set->route_count; i++) {
		at_ms = look_after(&ready->pools[i], now_ms);
		if (at_ms >= 0 && (next_ms < 0 || at_ms < next_ms))
			next_ms = at_ms;
	}
	if (next_ms < 0)
		event_del(ready->timer);
	else
		loop_timer_add(ready->timer, next_ms);
}

/* ---- clients ---- */

struct ready_pool *ready_find(struct ready *ready, const struct relay_route *route)
{
	if (ready->set == NULL || route->set != ready->set || route->config->ready_tunnels == CONFIG_READY_OFF)
		return NULL;
	return &ready->pools[route - ready->set->routes];
}

bool ready_take(struct ready_pool *pool, bool wants_fresh, struct ready_tunnel *tunnel)
{
	struct ready_totals *totals = pool->ready->totals;
	int64_t now_ms = loop_now_ms();
	struct ready_place *place, *next;

	ready_demand_note(&pool->demand, now_ms, pool->route->config->ready_max_age_ms);
	if (wanted_by(pool, now_ms) > 0)
		ready_wake(pool->ready);
	for (place = TAILQ_FIRST(&pool->places); place != NULL; place = next) {
		next = TAILQ_NEXT(place, entry);
		if (place->state != READY_WAITING || (wants_fresh && place->held.used) ||
		    !ready_place_is_good(place, now_ms) || !ready_place_look(place) ||
		    stream_pending(place->held.tunnel->stream))
			continue;
		ready_place_give(place, tunnel);
		atomic_fetch_add(&totals->hits, 1);
		return true;
	}
	atomic_fetch_add(&totals->misses, 1);
	return false;
}

void ready_dial_begun(struct ready *ready)
{
	ready->client_dials++;
}

void ready_dial_ended(struct ready *ready, const struct relay_route *route, enum ready_dial how)
{
	struct ready_pool *pool = ready_find(ready, route);

	midrelay_assert(ready->client_dials > 0);
	ready->client_dials--;
	if (pool == NULL)
		return;
	switch (how) {
	case READY_DIAL_WORKED:
		if (pool->rests_until_works)
			pool->rests_until_ms = 0;
		break;
	case READY_DIAL_FAILED:
		ready_pool_rest(pool, true);
		break;
	case READY_DIAL_CUT:
		break;
	}
	if (!TAILQ_EMPTY(&pool->places) || wanted_by(pool, loop_now_ms()) > 0)
		ready_wake(ready);
}

void ready_cert_refused(struct ready *ready, const struct relay_route *route)
{
	struct ready_pool *pool = ready_find(ready, route);

	if (pool == NULL)
		return;
	pool->refusals++;
	ready_pool_rest(pool, false);
	ready_wake(ready);
}

void ready_give_way(struct ready *ready)
{
	atomic_store(&ready->totals->short_until_ms, loop_now_ms() + SHORT_MS);
	ready_wake(ready);
}

/* ---- sets ---- */

static void empty(struct ready_pool *pool)
{
	struct ready_place *place;

	while ((place = TAILQ_FIRST(&pool->places)) != NULL)
		ready_place_let_go(place);
}

void ready_close(struct ready *ready)
{
	size_t i;

	if (ready->set == NULL)
		return;
	for (i = 0; i < ready->set->route_count; i++)
		empty(&ready->pools[i]);
	free(ready->pools);
	ready->pools = NULL;
	relay_set_unref(ready->set);
	ready->set = NULL;
	event_del(ready->timer);
}

void ready_follow(struct ready *ready, struct relay_set *set)
{
	size_t i;

	ready_close(ready);
	ready->set = relay_set_ref(set);
	ready->pools = mem_calloc(set->route_count, sizeof(*ready->pools));
	for (i = 0; i < set->route_count; i++) {
		struct ready_pool *pool = &ready->pools[i];
		unsigned number = set->routes[i].config->ready_tunnels;

		pool->ready = ready;
		pool->route = &set->routes[i];
		if (number != CONFIG_READY_OFF && number != CONFIG_READY_AUTO)
			pool->fixed = (number + set->loop_count - 1) / set->loop_count;
		TAILQ_INIT(&pool->places);
	}
	ready_wake(ready);
}

struct ready *ready_new(struct loop *loop, struct resolver *resolver, struct ready_totals *totals,
    const atomic_uint *open)
{
	struct ready *ready = mem_calloc(1, sizeof(*ready));

	ready->loop = loop;
	ready->resolver = resolver;
	ready->totals = totals;
	ready->open = open;
	ready->timer = evtimer_new(loop->base, on_timer, ready);
	if (ready->timer == NULL) {
		free(ready);
		return NULL;
	}
	return ready;
}

void ready_free(struct ready *ready)
{
	if (ready == NULL)
		return;
	ready_close(ready);
	event_free(ready->timer);
	free(ready);
}
