/* check_walk: see check_walk.h.  Which paths, and when all have ended; one path is check_visit's. */
#include "check/check_walk.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check/check_draft.h"
#include "check/check_steps.h"
#include "check/check_visit.h"

struct check_walk;

struct walker {
	struct check_walk *walk;
	struct check_visit *visit;
};

struct check_walk {
	struct loop_job job; /* first: run() gets it */
	struct check_walk_params params;
	struct walker *walkers;
	size_t count, under_way;
	bool finished;
};

static void walk_free(struct check_walk *walk)
{
	size_t i;

	for (i = 0; i < walk->count; i++)
		check_visit_cancel(walk->walkers[i].visit);
	relay_set_unref(walk->params.set);
	free(walk->walkers);
	free(walk);
}

static void run_done(struct loop_job *job)
{
	struct check_walk *walk = (struct check_walk *)job;
	void (*on_done)(void *) = walk->params.on_done;
	void *arg = walk->params.arg;

	walk_free(walk);
	if (on_done != NULL)
		on_done(arg);
}

static void finish(struct check_walk *walk)
{
	walk->finished = true;
	loop_defer(walk->params.loop, &walk->job);
}

static bool is_named(const struct check_walk_params *params, const struct config_relay *relay)
{
	size_t i;

	for (i = 0; i < params->relay_count; i++) {
		if (strcmp(params->relays[i], relay->name) == 0)
			return true;
	}
	return params->relay_count == 0 || check_draft_added(relay);
}

void check_walk_list(const struct check_walk_params *params, struct check_report *report)
{
	size_t i, j;

	for (i = 0; i < params->set->route_count; i++) {
		const struct relay_route *route = &params->set->routes[i];

		for (j = 0; is_named(params, route->config) && j < route->path_count; j++)
			check_steps_add(report, route, &route->paths[j]);
	}
}

static void on_change(void *arg)
{
	struct walker *walker = arg;

	if (walker->walk->params.on_change != NULL)
		walker->walk->params.on_change(walker->walk->params.arg);
}

static void on_trace(void *arg, const char *text)
{
	struct walker *walker = arg;

	walker->walk->params.trace(walker->walk->params.arg, text);
}

static void on_visited(void *arg)
{
	struct walker *walker = arg;

	walker->visit = NULL;
	if (--walker->walk->under_way == 0)
		finish(walker->walk);
}

static int64_t probe_timeout(const struct check_walk *walk, const struct config_relay *relay)
{
	int64_t timeout_ms = walk->params.timeout_ms;

	return timeout_ms > 0 && timeout_ms < relay->setup_timeout_ms ? timeout_ms : relay->setup_timeout_ms;
}

static void start_route(struct check_walk *walk, struct relay_route *route, size_t first)
{
	struct check_visit_params params = {
	    .loop = walk->params.loop,
	    .resolver = walk->params.resolver,
	    .route = route,
	    .probing = walk->params.probing,
	    .probe_timeout_ms = probe_timeout(walk, route->config),
	    .trace = walk->params.trace != NULL ? on_trace : NULL,
	    .on_change = on_change,
	    .on_done = on_visited,
	};
	size_t i;

	for (i = 0; i < route->path_count; i++) {
		struct walker *walker = &walk->walkers[first + i];

		walker->walk = walk;
		params.path = &route->paths[i];
		params.seen = &walk->params.report->paths[first + i];
		params.arg = walker;
		walker->visit = check_visit_start(&params);
	}
}

struct check_walk *check_walk_start(const struct check_walk_params *params)
{
	struct check_walk *walk = mem_calloc(1, sizeof(*walk));
	struct relay_set *set = params->set;
	size_t i, first = 0;

	walk->job.run = run_done;
	walk->params = *params;
	relay_set_ref(set);
	/* All of them first: the address of a path holds until the next one is added. */
	check_walk_list(params, params->report);
	walk->count = walk->under_way = params->report->path_count;
	walk->walkers = mem_calloc(walk->count, sizeof(*walk->walkers));
	for (i = 0; i < set->route_count; i++) {
		if (!is_named(params, set->routes[i].config))
			continue;
		start_route(walk, &set->routes[i], first);
		first += set->routes[i].path_count;
	}
	if (walk->count == 0)
		finish(walk);
	return walk;
}

void check_walk_cancel(struct check_walk *walk)
{
	if (walk == NULL)
		return;
	if (walk->finished) {
		/* The job is on the loop's list already and frees it. */
		walk->params.on_done = NULL;
		return;
	}
	walk_free(walk);
}
