/*
 * dial_pipeline: whether the ClientHello goes with the CONNECT, and what is done when it gets lost.
 *
 * Answers for the rule of `auto` (doc/pipelining.md has the evidence that it rests on): a path is dialled
 * plainly until that has worked; then one dial at a time tries it with the ClientHello; what comes to nothing
 * is done again plainly, for the same client, and where only that is answered the path stays plain for an
 * hour.  Nothing of ours but a ClientHello has left when a dial is done again.  What goes on the wire is
 * dial_proxy's business.
 */
#include "dial/dial_internal.h"

/* How long a trial waits for what a proxy may have lost; the client waits with it. */
#define TRIAL_PATIENCE_MS INT64_C(1500)
#define REFUSED_MS INT64_C(3600000)

static bool is_automatic(const struct dial *dial)
{
	return dial_path(dial)->pipeline == CONFIG_PIPELINE_AUTO;
}

static bool change(struct dial *dial, int from, int to)
{
	return atomic_compare_exchange_strong(&dial->params.path->state.pipeline, &from, to);
}

static enum dial_pipeline choose_automatically(struct dial *dial)
{
	struct relay_path_state *state = &dial->params.path->state;

	switch ((enum relay_path_pipeline)atomic_load(&state->pipeline)) {
	case RELAY_PIPELINE_UNKNOWN:
	case RELAY_PIPELINE_TRIAL:
		break;
	case RELAY_PIPELINE_READY:
		if (change(dial, RELAY_PIPELINE_READY, RELAY_PIPELINE_TRIAL))
			return DIAL_PIPELINE_TRIAL;
		break;
	case RELAY_PIPELINE_WORKS:
		return DIAL_PIPELINED;
	case RELAY_PIPELINE_REFUSED:
		if (loop_now_ms() >= atomic_load(&state->pipeline_refused_until_ms) &&
		    change(dial, RELAY_PIPELINE_REFUSED, RELAY_PIPELINE_TRIAL))
			return DIAL_PIPELINE_TRIAL;
		break;
	}
	return DIAL_PLAIN;
}

void dial_pipeline_choose(struct dial *dial)
{
	if (!dial->params.may_pipeline || dial->params.connect_only != NULL || dial->pipeline == DIAL_PLAIN_AGAIN ||
	    secret_len(dial->params.path->request) > STREAM_HEAD_BYTES)
		return;
	switch (dial_path(dial)->pipeline) {
	case CONFIG_PIPELINE_OFF:
		break;
	case CONFIG_PIPELINE_ON:
		dial->pipeline = DIAL_PIPELINED;
		break;
	case CONFIG_PIPELINE_AUTO:
		dial->pipeline = choose_automatically(dial);
		break;
	}
}

int64_t dial_pipeline_patience(struct dial *dial, enum dial_phase phase, int64_t stage_ms)
{
	bool trial = dial->pipeline == DIAL_PIPELINE_TRIAL;

	dial->waits_for_hello = false;
	if (!is_automatic(dial) || !dial_is_pipelined(dial))
		return stage_ms;
	/* A slow answer to the CONNECT is no sign where the ClientHello has been taken before. */
	if (phase == DIAL_PROXY && !trial)
		return stage_ms;
	dial->waits_for_hello = true;
	return trial && stage_ms / 2 > TRIAL_PATIENCE_MS ? TRIAL_PATIENCE_MS : stage_ms / 2;
}

void dial_pipeline_answered(struct dial *dial)
{
	struct relay_path_state *state = &dial->params.path->state;

	dial->answered = true;
	dial->waits_for_hello = false;
	if (!is_automatic(dial))
		return;
	switch (dial->pipeline) {
	case DIAL_PLAIN:
	case DIAL_PIPELINED:
		break;
	case DIAL_PIPELINE_TRIAL:
		(void)change(dial, RELAY_PIPELINE_TRIAL, RELAY_PIPELINE_WORKS);
		break;
	case DIAL_PLAIN_AGAIN:
		atomic_store(&state->pipeline_refused_until_ms, loop_now_ms() + REFUSED_MS);
		dial->result.pipeline_refused =
		    atomic_exchange(&state->pipeline, RELAY_PIPELINE_REFUSED) != RELAY_PIPELINE_REFUSED;
		break;
	}
}

void dial_pipeline_worked(struct dial *dial)
{
	/* Looked at before it is written: every worker shares it. */
	if (dial->pipeline == DIAL_PLAIN && atomic_load(&dial->params.path->state.pipeline) ==
	    RELAY_PIPELINE_UNKNOWN)
		(void)change(dial, RELAY_PIPELINE_UNKNOWN, RELAY_PIPELINE_READY);
}

/* What a proxy leads to that does not expect what comes behind a CONNECT; a clear refusal is none of it. */
static bool hello_may_be_lost(const struct dial *dial)
{
	switch ((int)dial->result.diagnosis.code) {
	case DIAGNOSIS_PROXY_CLOSED:
	case DIAGNOSIS_PROXY_MALFORMED:
	case DIAGNOSIS_PROXY_STATUS:
	case DIAGNOSIS_TLS_CLOSED:
	case DIAGNOSIS_TLS_NOT_TLS:
	case DIAGNOSIS_TLS_TIMEOUT:
		return true;
	case DIAGNOSIS_PROXY_TIMEOUT: /* a proxy that took it before is just slow */
		return dial->pipeline == DIAL_PIPELINE_TRIAL || !is_automatic(dial);
	}
	return false;
}

bool dial_pipeline_falls_back(struct dial *dial)
{
	if (!dial_is_pipelined(dial) || !dial->hello_sent || dial->answered)
		return false;
	/* Not what another dial, that was faster with the same experience, has found out by now. */
	if (is_automatic(dial) && !change(dial, RELAY_PIPELINE_TRIAL, RELAY_PIPELINE_UNKNOWN))
		(void)change(dial, RELAY_PIPELINE_WORKS, RELAY_PIPELINE_UNKNOWN);
	if (!hello_may_be_lost(dial))
		return false;
	if (!is_automatic(dial)) {
		diagnosis_append(&dial->result.diagnosis, "; the ClientHello was sent with the CONNECT, which not "
		    "every proxy takes (proxy_pipeline = on): set it to off or auto");
		return false;
	}
	if (loop_now_ms() >= dial->params.deadline_ms)
		return false;
	dial->pipeline = DIAL_PLAIN_AGAIN;
	return true;
}

void dial_pipeline_end(struct dial *dial)
{
	/* A client that did not wait for the end of the trial may not have to wait for the next one. */
	if (dial->pipeline == DIAL_PIPELINE_TRIAL && !dial->answered)
		(void)change(dial, RELAY_PIPELINE_TRIAL, RELAY_PIPELINE_UNKNOWN);
	dial->pipeline = DIAL_PLAIN;
}
