/*
 * ready_used: tunnels that have served a client with mode = http, and may serve another; see ready.h.
 *
 * Answers for who is kept and who gets one.  Whether a tunnel is fit for that by what passed on it is http_relay's to
 * say, and its life while it waits ready_place.c's.
 */
#include "relay/ready_internal.h"

void ready_note(struct ready *ready, const struct relay_route *route, struct ready_tunnel *tunnel)
{
	const struct ready_pool *pool = ready_pool_of(ready, route);

	tunnel->made_ms = loop_now_ms();
	tunnel->failures = atomic_load(&tunnel->path->state.failures);
	tunnel->refusals = pool != NULL ? pool->refusals : 0;
}

bool ready_keeps(struct ready *ready, const struct relay_route *route)
{
	return route->config->mode == CONFIG_MODE_HTTP && route->config->http_reuse == CONFIG_HTTP_REUSE_SAFE &&
	    ready_pool_of(ready, route) != NULL && !ready_is_crowded(ready, loop_now_ms());
}

void ready_give(struct ready *ready, const struct relay_route *route, const struct ready_tunnel *tunnel)
{
	struct ready_pool *pool = ready_pool_of(ready, route);
	struct ready_place *place = ready_place_new_used(pool, tunnel);

	if (!ready_place_is_good(place, loop_now_ms())) {
		ready_place_let_go(place);
		return;
	}
	if (!ready_place_look(place))
		return;
	if (pool->used_count > READY_USED_MAX)
		ready_place_let_go(TAILQ_LAST(&pool->used, ready_places));
	atomic_fetch_add(&ready->totals->given, 1);
	ready_wake(ready);
}

bool ready_reuse(struct ready *ready, const struct relay_route *route, int64_t uid, struct ready_tunnel *tunnel)
{
	struct ready_pool *pool = ready_pool_of(ready, route);
	int64_t now_ms = loop_now_ms();
	struct ready_place *place, *next;

	if (pool == NULL)
		return false;
	for (place = TAILQ_FIRST(&pool->used); place != NULL; place = next) {
		next = TAILQ_NEXT(place, entry);
		if (place->held.uid != uid || !ready_place_is_good(place, now_ms) || !ready_place_look(place) ||
		    stream_pending(place->held.tunnel->stream))
			continue;
		ready_place_give(place, tunnel);
		atomic_fetch_add(&ready->totals->reused, 1);
		return true;
	}
	return false;
}

void ready_used_look_after(struct ready_pool *pool, int64_t now_ms)
{
	struct ready_place *place, *next;

	for (place = TAILQ_LAST(&pool->used, ready_places); place != NULL; place = next) {
		next = TAILQ_PREV(place, ready_places, entry);
		if (!ready_place_is_good(place, now_ms) || ready_is_crowded(pool->ready, now_ms))
			ready_place_let_go(place);
	}
}
