/*
 * check_visit: see check_visit.h.
 *
 * Answers for the order: the dial, the first request on its tunnel, the others side by side on tunnels of
 * their own.  What a dial showed is put into words by check_steps, what an answer means by check_instance.
 */
#include "check/check_visit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "check/check_exchange.h"
#include "check/check_steps.h"

/* One question, on a tunnel of its own. */
struct inquiry {
	struct check_visit *visit;
	struct check_probe *probe; /* of the report */
	enum check_question question;
	struct dial *dial;         /* the first one has the visit's tunnel */
	struct check_exchange *exchange;
	int64_t began_us;
	struct check_exchange_result result;
};

struct check_visit {
	struct loop_job job; /* first: run() gets it */
	struct check_visit_params params;
	struct dial_observer observer;
	struct dial *dial;
	struct inquiry inquiries[CHECK_MAX_PROBES];
	size_t under_way;
	bool is_instance;
	bool finished;
};

static void visit_free(struct check_visit *visit)
{
	size_t i;

	dial_cancel(visit->dial);
	for (i = 0; i < CHECK_MAX_PROBES; i++) {
		dial_cancel(visit->inquiries[i].dial);
		check_exchange_cancel(visit->inquiries[i].exchange);
		free(visit->inquiries[i].result.bytes);
	}
	free(visit);
}

static void run_done(struct loop_job *job)
{
	struct check_visit *visit = (struct check_visit *)job;
	void (*on_done)(void *) = visit->params.on_done;
	void *arg = visit->params.arg;

	visit_free(visit);
	if (on_done != NULL)
		on_done(arg);
}

static void finish(struct check_visit *visit)
{
	if (visit->finished)
		return;
	visit->finished = true;
	check_steps_end(visit->params.seen);
	visit->params.seen->ended_us = loop_clock_us();
	loop_defer(visit->params.loop, &visit->job);
}

static void tell_change(const struct check_visit *visit)
{
	if (visit->params.on_change != NULL)
		visit->params.on_change(visit->params.arg);
}

/* ---- questions ---- */

static void on_answered(void *arg, struct check_exchange_result *result);

static void ask(struct inquiry *inquiry, struct tunnel *tunnel)
{
	const struct check_visit *visit = inquiry->visit;
	const struct config_relay *relay = visit->params.route->config;
	struct hostport at = relay->target;
	char *host = at.port == 443 ? NULL : hostport_format(&at);
	struct check_exchange_params params = {
	    .loop = visit->params.loop,
	    .target = visit->params.route->target_text,
	    .asked = check_question_text(inquiry->question),
	    .timeout_ms = visit->params.probe_timeout_ms,
	    .cert_sent = visit->params.seen->steps[CHECK_CERT].outcome == CHECK_UNDER_WAY,
	};
	char *bare = strchr(at.host, ':') != NULL ? mem_printf("[%s]", at.host) : mem_strdup(at.host);
	char *request = check_question_request(inquiry->question, host != NULL ? host : bare,
	    &params.request_len);

	params.request = request;
	inquiry->exchange = check_exchange_start(&params, tunnel, on_answered, inquiry);
	free(request);
	free(bare);
	free(host);
}

static struct inquiry *add_inquiry(struct check_visit *visit, enum check_question question)
{
	struct check_path *seen = visit->params.seen;
	struct inquiry *inquiry = &visit->inquiries[seen->probe_count];

	inquiry->visit = visit;
	inquiry->question = question;
	inquiry->began_us = loop_clock_us();
	inquiry->probe = &seen->probes[seen->probe_count++];
	inquiry->probe->request = check_question_text(question);
	inquiry->probe->outcome = CHECK_UNDER_WAY;
	visit->under_way++;
	return inquiry;
}

static void end_inquiry(struct inquiry *inquiry);

static void on_further_dialled(void *arg, struct dial_result *result)
{
	struct inquiry *inquiry = arg;

	inquiry->dial = NULL;
	free(result->evidence);
	if (result->tunnel != NULL) {
		ask(inquiry, result->tunnel);
		return;
	}
	inquiry->result.diagnosis = result->diagnosis;
	end_inquiry(inquiry);
}

/* A question on a tunnel of its own, which resumes the session of the first. */
static void ask_further(struct check_visit *visit, enum check_question question)
{
	struct inquiry *inquiry = add_inquiry(visit, question);
	struct dial_params params = {
	    .loop = visit->params.loop,
	    .resolver = visit->params.resolver,
	    .route = visit->params.route,
	    .path = visit->params.path,
	    .deadline_ms = loop_now_ms() + visit->params.route->config->setup_timeout_ms,
	};

	inquiry->dial = dial_start(&params, on_further_dialled, inquiry);
	if (inquiry->dial != NULL)
		return;
	diagnosis_set(&inquiry->result.diagnosis, DIAGNOSIS_LOCAL_LIMIT, "no timer for a dial");
	visit->under_way--; /* judged with the others */
}

/* ---- answers ---- */

static void show_answer(const struct inquiry *inquiry)
{
	const struct check_answer *answer = &inquiry->result.answer;
	struct check_probe *probe = inquiry->probe;

	probe->us = loop_clock_us() - inquiry->began_us;
	if (!inquiry->result.answered) {
		snprintf(probe->seen, sizeof(probe->seen), "%.*s", (int)sizeof(probe->seen) - 1,
		    inquiry->result.diagnosis.sentence);
		return;
	}
	probe->status = answer->status;
	snprintf(probe->seen, sizeof(probe->seen), "%s%s%.80s", answer->status_line,
	    answer->server[0] != '\0' ? ", Server: " : "", answer->server);
}

/*
 * The first failure is the path's diagnosis, others of other codes stand beside it; hibernation explains all
 * others.
 */
static void keep_diagnosis(struct check_path *seen, const struct diagnosis *diagnosis)
{
	size_t i;

	if (seen->diagnosis.code == diagnosis->code || seen->diagnosis.code == DIAGNOSIS_INSTANCE_HIBERNATING)
		return;
	if (seen->diagnosis.code == DIAGNOSIS_OK || diagnosis->code == DIAGNOSIS_INSTANCE_HIBERNATING) {
		seen->diagnosis = *diagnosis;
		if (diagnosis->code == DIAGNOSIS_INSTANCE_HIBERNATING)
			memset(seen->others, 0, sizeof(seen->others));
		return;
	}
	for (i = 0; i < sizeof(seen->others) / sizeof(seen->others[0]); i++) {
		if (seen->others[i].code == diagnosis->code)
			return;
		if (seen->others[i].code == DIAGNOSIS_OK) {
			seen->others[i] = *diagnosis;
			return;
		}
	}
}

static void judge_inquiry(struct check_visit *visit, struct inquiry *inquiry)
{
	const struct inquiry *first = &visit->inquiries[0];
	struct diagnosis diagnosis = inquiry->result.diagnosis;
	const struct check_answer *server = first->result.answered ? &first->result.answer : NULL;
	bool refused = inquiry->result.answered && check_instance_refuses_cert(&inquiry->result.answer,
	    visit->params.seen->cert_requested && identity_has_cert(visit->params.route->identity),
	    visit->params.route->target_text, &diagnosis);

	if (!refused && diagnosis.code == DIAGNOSIS_OK &&
	    check_instance_judge(inquiry->question, &inquiry->result.answer, server, &diagnosis)) {
		inquiry->probe->outcome = inquiry->result.answer.status == 200 ? CHECK_PASSED : CHECK_WARNED;
		return;
	}
	inquiry->probe->outcome = CHECK_FAILED;
	keep_diagnosis(visit->params.seen, &diagnosis);
}

static void judge_instance(struct check_visit *visit)
{
	struct check_path *seen = visit->params.seen;
	struct check_step *step = &seen->steps[CHECK_INSTANCE];
	size_t i;

	step->outcome = CHECK_PASSED;
	snprintf(step->seen, sizeof(step->seen), "an instance on ADCv2");
	for (i = 0; i < seen->probe_count; i++) {
		if (visit->inquiries[i].probe->outcome == CHECK_UNDER_WAY)
			judge_inquiry(visit, &visit->inquiries[i]);
		if (seen->probes[i].outcome == CHECK_FAILED)
			step->outcome = CHECK_FAILED;
		else if (seen->probes[i].outcome == CHECK_WARNED && step->outcome == CHECK_PASSED)
			step->outcome = CHECK_WARNED;
	}
	if (step->outcome == CHECK_FAILED) {
		snprintf(step->seen, sizeof(step->seen), "%s", diagnosis_name(seen->diagnosis.code));
	} else if (step->outcome == CHECK_WARNED) {
		check_steps_note(seen, "POST /InstanceInfo.do?SOAP was answered with a SOAP fault: the "
		    "instance works, and takes the call for another than a MID's");
	}
	step->us = loop_clock_us() - visit->inquiries[0].began_us - (seen->steps[CHECK_CERT].us > 0 ?
	    seen->steps[CHECK_CERT].us : 0);
	finish(visit);
}

/* No answer at all to the first question. */
static void judge_silence(struct check_visit *visit)
{
	const struct diagnosis *diagnosis = &visit->inquiries[0].result.diagnosis;
	struct check_path *seen = visit->params.seen;
	struct check_step *cert = &seen->steps[CHECK_CERT];
	bool broke = diagnosis->code == DIAGNOSIS_RELAY_RESET || diagnosis->code == DIAGNOSIS_RELAY_TRUNCATED;
	enum check_stage stage = check_steps_stage(diagnosis->code, CHECK_INSTANCE);

	visit->inquiries[0].probe->outcome = CHECK_FAILED;
	/* A server that refuses a certificate without an alert ends the connection just so. */
	if (stage == CHECK_CERT || (broke && cert->outcome == CHECK_UNDER_WAY)) {
		cert->us = visit->inquiries[0].result.us;
		check_steps_fail(seen, CHECK_CERT, diagnosis);
		finish(visit);
		return;
	}
	check_steps_proven(seen, visit->params.route, false, "asked for and sent; no answer proves that it "
	    "was accepted");
	if (visit->is_instance || visit->params.probing == CHECK_PROBE_HTTP || stage == CHECK_TLS) {
		check_steps_fail(seen, stage, diagnosis);
		seen->steps[stage].us = visit->inquiries[0].result.us;
	} else {
		seen->steps[CHECK_INSTANCE].outcome = CHECK_NOT_APPLICABLE;
		snprintf(seen->steps[CHECK_INSTANCE].seen, CHECK_TEXT_BYTES, "%.*s", CHECK_TEXT_BYTES - 1,
		    diagnosis->sentence);
	}
	finish(visit);
}

static void judge_first(struct check_visit *visit)
{
	struct inquiry *first = &visit->inquiries[0];
	struct check_path *seen = visit->params.seen;
	struct check_step *cert = &seen->steps[CHECK_CERT];
	bool cert_sent = cert->outcome == CHECK_UNDER_WAY;
	struct diagnosis diagnosis;

	if (!first->result.answered) {
		judge_silence(visit);
		return;
	}
	visit->is_instance |= visit->params.probing == CHECK_PROBE_AUTO &&
	    check_instance_answered(&first->result.answer);
	if (check_instance_refuses_cert(&first->result.answer, cert_sent, visit->params.route->target_text,
	    &diagnosis)) {
		first->probe->outcome = CHECK_FAILED;
		check_steps_fail(seen, CHECK_CERT, &diagnosis);
		cert->us = first->result.us;
		finish(visit);
		return;
	}
	if (cert_sent) {
		cert->us = first->result.us;
		check_steps_proven(seen, visit->params.route, true, "asked for, sent and accepted");
	}
	if (!visit->is_instance) {
		first->probe->outcome = CHECK_PASSED;
		seen->steps[CHECK_INSTANCE].outcome = CHECK_NOT_APPLICABLE;
		snprintf(seen->steps[CHECK_INSTANCE].seen, CHECK_TEXT_BYTES, "%s", first->probe->seen);
		finish(visit);
		return;
	}
	seen->steps[CHECK_INSTANCE].outcome = CHECK_UNDER_WAY;
	ask_further(visit, CHECK_ASK_SUPPORTS_TLS);
	ask_further(visit, CHECK_ASK_INSTANCE_INFO);
	if (visit->under_way == 0)
		judge_instance(visit);
}

static void end_inquiry(struct inquiry *inquiry)
{
	struct check_visit *visit = inquiry->visit;

	show_answer(inquiry);
	visit->under_way--;
	if (inquiry == &visit->inquiries[0])
		judge_first(visit);
	else if (visit->under_way == 0)
		judge_instance(visit);
	tell_change(visit);
}

static void on_answered(void *arg, struct check_exchange_result *result)
{
	struct inquiry *inquiry = arg;

	inquiry->exchange = NULL;
	inquiry->result = *result;
	end_inquiry(inquiry);
}

/* ---- the dial ---- */

static void on_phase(void *arg, enum dial_phase phase)
{
	struct check_visit *visit = arg;

	check_steps_begin(visit->params.seen, phase);
	tell_change(visit);
}

static void on_opened(void *arg, const char *head, size_t len)
{
	struct check_visit *visit = arg;

	check_steps_opened(visit->params.seen, head, len);
}

static void on_dialled(void *arg, struct dial_result *result)
{
	struct check_visit *visit = arg;
	struct check_path *seen = visit->params.seen;

	visit->dial = NULL;
	check_steps_dialled(seen, visit->params.route, result);
	if (result->tunnel == NULL) {
		finish(visit);
	} else if (visit->params.probing == CHECK_PROBE_NONE) {
		tunnel_free(result->tunnel, false);
		check_steps_proven(seen, visit->params.route, false, "asked for and sent, not proven: "
		    "nothing was asked");
		seen->steps[CHECK_INSTANCE].outcome = CHECK_NOT_APPLICABLE;
		finish(visit);
	} else {
		ask(add_inquiry(visit, visit->params.probing == CHECK_PROBE_HTTP ?
		    CHECK_ASK_ROOT : CHECK_ASK_SERVER), result->tunnel);
	}
	tell_change(visit);
}

struct check_visit *check_visit_start(const struct check_visit_params *params)
{
	struct check_visit *visit = mem_calloc(1, sizeof(*visit));
	struct diagnosis diagnosis;
	struct dial_params dial = {
	    .loop = params->loop,
	    .resolver = params->resolver,
	    .route = params->route,
	    .path = params->path,
	    .deadline_ms = loop_now_ms() + params->route->config->setup_timeout_ms,
	    .observer = &visit->observer,
	    .trace = params->trace,
	    .trace_arg = params->arg,
	};

	visit->job.run = run_done;
	visit->params = *params;
	visit->is_instance = params->probing == CHECK_PROBE_INSTANCE ||
	    (params->probing == CHECK_PROBE_AUTO &&
	    check_instance_has_name(params->route->config->target.host));
	visit->observer = (struct dial_observer){.on_phase = on_phase, .on_opened = on_opened, .arg = visit};
	params->seen->began_us = loop_clock_us();
	if (!relay_route_cert_is_usable(params->route->identity, &diagnosis)) {
		int i;

		for (i = 0; i < CHECK_CERT; i++)
			params->seen->steps[i].outcome = CHECK_NOT_REACHED;
		params->seen->steps[CHECK_CERT].outcome = CHECK_FAILED;
		params->seen->diagnosis = diagnosis;
		finish(visit);
		return visit;
	}
	visit->dial = dial_start(&dial, on_dialled, visit);
	if (visit->dial == NULL) {
		diagnosis_set(&diagnosis, DIAGNOSIS_LOCAL_LIMIT, "no timer for a dial");
		check_steps_fail(params->seen, CHECK_RESOLVE, &diagnosis);
		finish(visit);
	}
	return visit;
}

void check_visit_cancel(struct check_visit *visit)
{
	if (visit == NULL)
		return;
	if (visit->finished) {
		/* The job is on the loop's list already and frees it. */
		visit->params.on_done = NULL;
		return;
	}
	visit_free(visit);
}
