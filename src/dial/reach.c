/*
 * reach: see reach.h.
 *
 * Answers for which path is dialled next and for what is told when none worked.  Keeps the paths' state up to
 * date; what the states mean stands in relay_route.
 */
#include "dial/reach.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

/* A dial for which less than this share of setup_timeout is left would only be a burden on the proxy. */
#define LEAST_SHARE 10

struct reach {
	struct loop_job job; /* first: run() gets it */
	struct reach_params params;
	struct dial_gate_place place;
	struct event *wait_timer; /* NULL: it does not have to wait */
	int64_t began_us;
	struct dial *dial;
	int64_t deadline_ms;
	bool *tried; /* by path */
	size_t at;   /* the path being dialled */
	bool resting_too;
	unsigned failures;
	bool finished;
	struct reach_result result;
	struct hostport connect_only; /* host NULL: the target is reached */
	char others[160]; /* what the later paths failed with: "direct: connect-timeout" */
};

static struct dial_gate *gate_of(const struct reach *reach)
{
	return &reach->params.route->gates[reach->params.loop->index];
}

static void reach_free(struct reach *reach)
{
	if (reach->wait_timer != NULL)
		event_free(reach->wait_timer);
	dial_cancel(reach->dial);
	identity_use_clear(&reach->result.use);
	free(reach->tried);
	hostport_clear(&reach->connect_only);
	free(reach);
}

static void run_done(struct loop_job *job)
{
	struct reach *reach = (struct reach *)job;
	struct reach_result result = reach->result;
	struct reach_params params = reach->params;

	if (params.on_done != NULL)
		reach->result.use = (struct identity_use){0}; /* the receiver's now */
	reach_free(reach);
	if (params.on_done != NULL)
		params.on_done(params.arg, &result);
	else
		tunnel_free(result.tunnel, false);
}

static void finish(struct reach *reach)
{
	if (reach->finished)
		return;
	reach->finished = true;
	dial_gate_leave(gate_of(reach), &reach->place);
	if (reach->result.tunnel == NULL && reach->others[0] != '\0')
		diagnosis_append(&reach->result.diagnosis, "; then %s", reach->others);
	loop_defer(reach->params.loop, &reach->job);
}

static void on_dialled(void *arg, struct dial_result *result);

/* False when there is no path left to try. */
static bool dial_next(struct reach *reach)
{
	struct relay_route *route = reach->params.route;
	struct dial_params params = {
	    .loop = reach->params.loop,
	    .resolver = reach->params.resolver,
	    .route = route,
	    .deadline_ms = reach->deadline_ms,
	    .trace = reach->params.trace,
	    .trace_arg = reach->params.arg,
	    .use = &reach->result.use,
	    .may_pipeline = true,
	    .connect_only = reach->connect_only.host != NULL ? &reach->connect_only : NULL,
	};
	size_t i;

	for (i = 0; i < route->path_count; i++) {
		struct relay_path *path = &route->paths[i];

		if (reach->tried[i])
			continue;
		if (!reach->resting_too && relay_path_choose(&path->state, loop_now_ms()) == RELAY_PATH_RESTS)
			continue;
		reach->tried[i] = true;
		reach->at = i;
		params.path = path;
		reach->dial = dial_start(&params, on_dialled, reach);
		if (reach->dial == NULL) {
			relay_path_undecided(&path->state);
			diagnosis_set(&reach->result.diagnosis, DIAGNOSIS_LOCAL_LIMIT, "no timer for a dial");
			return false;
		}
		return true;
	}
	if (reach->resting_too)
		return false;
	/* Nothing better is left than what failed lately. */
	reach->resting_too = true;
	return dial_next(reach);
}

/* A failure that says something of the path, so that it is to be left alone, and the next one tried. */
static bool moves_on(const struct dial_result *result)
{
	return result->nothing_sent && result->diagnosis.code != DIAGNOSIS_PROXY_DENIED &&
	    result->diagnosis.code != DIAGNOSIS_LOCAL_LIMIT;
}

/*
 * The first failure is told in full, because the first path is the one that was meant; of the others the
 * code.
 */
static void keep_failure(struct reach *reach, const struct dial_result *result, bool is_last_word)
{
	const struct relay_path *path = &reach->params.route->paths[reach->at];
	size_t used = strlen(reach->others);

	if (reach->failures == 0 || is_last_word) {
		if (reach->failures > 0)
			snprintf(reach->others, sizeof(reach->others), "%u other path%s failed before",
			    reach->failures, reach->failures == 1 ? "" : "s");
		reach->result.diagnosis = result->diagnosis;
		reach->result.times = result->times;
		reach->result.path = path;
	} else {
		snprintf(reach->others + used, sizeof(reach->others) - used, "%s%s: %s", used == 0 ?
		    "" : ", ", path->config->name, diagnosis_name(result->diagnosis.code));
	}
	reach->failures++;
}

static void note_path(struct reach *reach, struct relay_path *path, const struct dial_result *result)
{
	bool news;

	if (reach->connect_only.host != NULL) {
		relay_path_undecided(&path->state);
		return;
	}
	if (result->tunnel != NULL) {
		news = relay_path_worked(&path->state);
	} else if (result->diagnosis.code == DIAGNOSIS_LOCAL_LIMIT) {
		relay_path_undecided(&path->state);
		news = false;
	} else {
		news = relay_path_failed(&path->state, result->diagnosis.code, moves_on(result),
		    loop_now_ms());
	}
	if (news && reach->params.on_path != NULL)
		reach->params.on_path(reach->params.arg, path, &result->diagnosis, result->evidence);
}

struct notice_place {
	struct reach *reach;
	const struct relay_path *path;
	const struct judge_evidence *evidence;
};

static void tell_notice(void *arg, enum relay_path_notice notice)
{
	const struct notice_place *place = arg;
	const struct reach_params *params = &place->reach->params;

	if (params->on_notice != NULL)
		params->on_notice(params->arg, place->path, notice, place->evidence);
}

static void on_dialled(void *arg, struct dial_result *result)
{
	struct reach *reach = arg;
	struct relay_path *path = &reach->params.route->paths[reach->at];
	struct notice_place place = {reach, path, result->evidence};
	bool go_on = result->tunnel == NULL && moves_on(result) && loop_now_ms() < reach->deadline_ms;

	reach->dial = NULL;
	note_path(reach, path, result);
	/* What a refused server showed is told with its refusal. */
	if (reach->connect_only.host == NULL)
		relay_path_noticed(&path->state, result->tunnel != NULL ? result->evidence : NULL,
		    result->cert_in_clear, tell_notice, &place);
	if (result->pipeline_refused)
		tell_notice(&place, RELAY_PATH_PIPELINE_OFF);
	free(result->evidence);
	result->evidence = NULL;
	if (result->tunnel != NULL) {
		reach->result.tunnel = result->tunnel;
		reach->result.path = path;
		reach->result.times = result->times;
		reach->result.diagnosis = result->diagnosis;
		finish(reach);
		return;
	}
	keep_failure(reach, result, !moves_on(result));
	if (!go_on || !dial_next(reach))
		finish(reach);
}

/* ---- waiting for its turn ---- */

static void wait_is_over(struct reach *reach)
{
	char text[32];

	reach->result.wait_us = loop_clock_us() - reach->began_us;
	diagnosis_set(&reach->result.diagnosis, DIAGNOSIS_LOCAL_LIMIT,
	    "%u clients of this relay were being dialled for, and this one's turn did not come within %s "
	    "(setup_timeout)", gate_of(reach)->width,
	    text_format_duration(reach->params.route->config->setup_timeout_ms, text, sizeof(text)));
	diagnosis_set_cause(&reach->result.diagnosis, DIAGNOSIS_CAUSE_LIMIT_DIALS);
	finish(reach);
}

static void on_turn(struct dial_gate_place *place)
{
	struct reach *reach = (struct reach *)((char *)place - offsetof(struct reach, place));

	int64_t least_ms = reach->params.route->config->setup_timeout_ms / LEAST_SHARE;

	event_del(reach->wait_timer);
	reach->result.wait_us = loop_clock_us() - reach->began_us;
	if (loop_now_ms() + least_ms >= reach->deadline_ms)
		wait_is_over(reach);
	else if (!dial_next(reach))
		finish(reach);
}

static void on_wait_timer(evutil_socket_t fd, short what, void *arg)
{
	wait_is_over(arg);
}

static void wait_for_turn(struct reach *reach)
{
	reach->began_us = loop_clock_us();
	reach->wait_timer = evtimer_new(reach->params.loop->base, on_wait_timer, reach);
	if (reach->wait_timer == NULL) {
		diagnosis_set(&reach->result.diagnosis, DIAGNOSIS_LOCAL_LIMIT, "no timer for a dial");
		finish(reach);
		return;
	}
	loop_timer_add(reach->wait_timer, reach->params.route->config->setup_timeout_ms);
}

struct reach *reach_start(const struct reach_params *params)
{
	struct reach *reach = mem_calloc(1, sizeof(*reach));

	reach->job.run = run_done;
	reach->params = *params;
	reach->deadline_ms = loop_now_ms() + params->route->config->setup_timeout_ms;
	reach->tried = mem_calloc(params->route->path_count, sizeof(*reach->tried));
	reach->result.times = (struct dial_times){-1, -1, -1, -1};
	reach->result.wait_us = -1;
	reach->place.on_turn = on_turn;
	if (params->connect_only != NULL) {
		reach->connect_only = *params->connect_only;
		reach->connect_only.host = mem_strdup(params->connect_only->host);
	} else {
		reach->result.use = identity_choice_pick(&params->route->choice, loop_now_ms());
	}
	if (params->connect_only == NULL &&
	    !relay_route_cert_is_usable(reach->result.use.identity, &reach->result.diagnosis))
		finish(reach);
	else if (!dial_gate_enter(gate_of(reach), &reach->place))
		wait_for_turn(reach);
	else if (!dial_next(reach))
		finish(reach);
	return reach;
}

void reach_cancel(struct reach *reach)
{
	if (reach == NULL)
		return;
	if (reach->finished) {
		/* The job is on the loop's list already and frees it. */
		reach->params.on_done = NULL;
		if (reach->result.tunnel != NULL)
			stream_end_trace(reach->result.tunnel->stream);
		return;
	}
	if (reach->dial != NULL)
		relay_path_undecided(&reach->params.route->paths[reach->at].state);
	dial_gate_leave(gate_of(reach), &reach->place);
	reach_free(reach);
}

const struct relay_path *reach_path(const struct reach *reach)
{
	return &reach->params.route->paths[reach->at];
}
