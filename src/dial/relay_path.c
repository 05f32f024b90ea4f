/*
 * relay_path: the state of a path, shared by every dial of its relay; see relay_route.h.
 *
 * Answers for resting and trying again, and for what is told once.  What a failure means is reach's business.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "dial/relay_route.h"

enum relay_path_choice relay_path_choose(struct relay_path_state *state, int64_t now_ms)
{
	long long until = atomic_load(&state->rest_until_ms);
	bool expected = false;

	if (until == 0)
		return RELAY_PATH_USE;
	if (now_ms < until)
		return RELAY_PATH_RESTS;
	return atomic_compare_exchange_strong(&state->on_trial, &expected, true) ?
	    RELAY_PATH_TRY : RELAY_PATH_RESTS;
}

bool relay_path_worked(struct relay_path_state *state)
{
	/*
	 * Looked at before it is written: the line is shared by every worker, and nearly always says ok
	 * already.
	 */
	if (atomic_load(&state->rest_until_ms) != 0)
		atomic_store(&state->rest_until_ms, 0);
	if (atomic_load(&state->on_trial))
		atomic_store(&state->on_trial, false);
	if (atomic_load(&state->last_code) != DIAGNOSIS_OK)
		atomic_store(&state->last_code, DIAGNOSIS_OK);
	return atomic_load(&state->told_failed) && atomic_exchange(&state->told_failed, false);
}

bool relay_path_failed(struct relay_path_state *state, enum diagnosis_code code, bool rests, int64_t now_ms)
{
	if (rests)
		atomic_store(&state->rest_until_ms, now_ms + RELAY_PATH_REST_MS);
	else
		atomic_store(&state->rest_until_ms, 0);
	atomic_store(&state->on_trial, false);
	atomic_fetch_add(&state->failures, 1);
	if (atomic_exchange(&state->last_code, (int)code) == (int)code)
		return false;
	atomic_store(&state->told_failed, true);
	return true;
}

void relay_path_inherit(struct relay_path_state *state, const struct relay_path_state *before)
{
	atomic_store(&state->told_failed, atomic_load(&before->told_failed));
}

void relay_path_undecided(struct relay_path_state *state)
{
	atomic_store(&state->on_trial, false);
}

void relay_path_saw_server(struct relay_set *set, struct relay_path *path, const struct stream *stream)
{
	int64_t end_s = stream_server_end(stream, NULL);
	struct cert_end *end;

	if (end_s == 0 || atomic_load(&path->server_end_s) == end_s)
		return;
	atomic_store(&path->server_end_s, end_s);
	end = mem_calloc(1, sizeof(*end));
	stream_server_end(stream, end);
	free(atomic_exchange(&path->server_end, end));
	if (set->on_server_seen != NULL)
		set->on_server_seen(set->on_server_seen_arg);
}

struct cert_end *relay_path_take_server(struct relay_path *path)
{
	return atomic_exchange(&path->server_end, NULL);
}

const char *relay_path_notice_name(enum relay_path_notice notice)
{
	switch (notice) {
	case RELAY_PATH_INSPECTED:
		return "inspection-found";
	case RELAY_PATH_NOT_INSPECTED:
		return "inspection-gone";
	case RELAY_PATH_CERT_IN_CLEAR:
		return "certificate-in-clear";
	case RELAY_PATH_PIN_ON_LEAF:
		return "pin-on-leaf";
	case RELAY_PATH_PIPELINE_OFF:
		return "pipeline-off";
	}
	return "?";
}

void relay_path_noticed(struct relay_path_state *state, const struct judge_evidence *evidence,
    bool cert_in_clear, relay_path_notice_fn *tell, void *arg)
{
	unsigned before;

	if (cert_in_clear && !atomic_load(&state->told_in_clear) && !atomic_exchange(&state->told_in_clear,
	    true))
		tell(arg, RELAY_PATH_CERT_IN_CLEAR);
	if (evidence == NULL || evidence->resumed)
		return;
	if (atomic_load(&state->inspected) != evidence->reasons) {
		before = atomic_exchange(&state->inspected, evidence->reasons);
		if (before != evidence->reasons)
			tell(arg, evidence->reasons != 0 ? RELAY_PATH_INSPECTED : RELAY_PATH_NOT_INSPECTED);
	}
	if (evidence->pin_on_leaf && !atomic_load(&state->told_leaf_pin) &&
	    !atomic_exchange(&state->told_leaf_pin, true))
		tell(arg, RELAY_PATH_PIN_ON_LEAF);
}
