/*
 * check_exchange: see check_exchange.h.
 *
 * Answers for when an answer is whole, cut or late.  What it means is check_instance's to say.
 */
#include "check/check_exchange.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define SAMPLE_BYTES 48

struct check_exchange {
	struct loop_job job; /* first: run() gets it */
	struct check_exchange_params params;
	check_exchange_done_fn *done;
	void *arg;
	struct tunnel *tunnel;
	struct event *timer;
	char *request;             /* NULL once it was written */
	size_t len;                /* of result.bytes */
	int64_t began_us;
	bool write_failed;
	bool finished;
	struct check_exchange_result result;
};

static void exchange_free(struct check_exchange *exchange)
{
	/* A clean end on our side; nobody waits for the other's. */
	if (exchange->result.answered && !stream_pending(exchange->tunnel->stream))
		(void)stream_shutdown(exchange->tunnel->stream);
	tunnel_free(exchange->tunnel, false);
	if (exchange->timer != NULL)
		event_free(exchange->timer);
	free(exchange->request);
	free(exchange->result.bytes);
	free(exchange);
}

static void run_done(struct loop_job *job)
{
	struct check_exchange *exchange = (struct check_exchange *)job;
	struct check_exchange_result result = exchange->result;
	check_exchange_done_fn *done = exchange->done;
	void *arg = exchange->arg;

	if (done != NULL)
		exchange->result.bytes = NULL;
	exchange_free(exchange);
	if (done != NULL)
		done(arg, &result);
}

static void finish(struct check_exchange *exchange)
{
	if (exchange->finished)
		return;
	exchange->finished = true;
	exchange->result.us = loop_clock_us() - exchange->began_us;
	watch_want(exchange->tunnel->watch, false, false);
	if (exchange->timer != NULL)
		event_del(exchange->timer);
	loop_defer(exchange->params.loop, &exchange->job);
}

/* False when more has to come. */
static bool look_at_answer(struct check_exchange *exchange)
{
	struct check_exchange_result *result = &exchange->result;
	char sample[4 * SAMPLE_BYTES];
	bool lacks_end;

	switch (check_answer_parse(result->bytes, exchange->len, &result->answer, &lacks_end)) {
	case CHECK_ANSWER_MORE:
		if (exchange->len < CHECK_ANSWER_MAX_BYTES)
			return false;
		diagnosis_set(&result->diagnosis, DIAGNOSIS_INSTANCE_STATUS, "%s answered %s with a head of more than %d bytes",
		    exchange->params.target, exchange->params.asked, CHECK_ANSWER_MAX_BYTES);
		return true;
	case CHECK_ANSWER_OPEN:
		if (exchange->len < CHECK_ANSWER_MAX_BYTES)
			return false;
		result->answered = true;
		return true;
	case CHECK_ANSWER_WHOLE:
		result->answered = true;
		return true;
	case CHECK_ANSWER_FOREIGN:
		diagnosis_set(&result->diagnosis, DIAGNOSIS_INSTANCE_STATUS, "%s answered %s with what is no HTTP/1.x: \"%s\"",
		    exchange->params.target, exchange->params.asked, text_escape(result->bytes, exchange->len < SAMPLE_BYTES ?
		    exchange->len : SAMPLE_BYTES, sample, sizeof(sample)));
		return true;
	}
	return true;
}

static const char *unproven(const struct check_exchange *exchange)
{
	return exchange->params.cert_sent ?
	    "; our certificate had just been sent, and nothing says that it was accepted" : "";
}

/* The stream has ended; what came so far may be an answer. */
static void look_at_end(struct check_exchange *exchange, enum stream_status status)
{
	struct check_exchange_result *result = &exchange->result;
	const struct check_exchange_params *params = &exchange->params;
	bool lacks_end = true;
	enum check_answer_state state;

	/* The kernel tells of a reset once: to the write, and the read then finds no more than an end. */
	if (status == STREAM_TRUNCATED && exchange->write_failed)
		status = STREAM_RESET;
	state = check_answer_parse(result->bytes, exchange->len, &result->answer, &lacks_end);
	result->answered = state == CHECK_ANSWER_OPEN || state == CHECK_ANSWER_WHOLE;
	if (status == STREAM_FAILED)
		dial_diagnose_stream(exchange->tunnel->stream, &result->diagnosis);
	else if (result->answered && !lacks_end)
		return;
	else if (status == STREAM_RESET)
		diagnosis_set(&result->diagnosis, DIAGNOSIS_RELAY_RESET, "%s reset the connection after %zu bytes of its answer to "
		    "%s%s", params->target, exchange->len, params->asked, exchange->len == 0 ? unproven(exchange) : "");
	else if (status == STREAM_TRUNCATED)
		diagnosis_set(&result->diagnosis, DIAGNOSIS_RELAY_TRUNCATED, "%s closed the connection without close_notify after "
		    "%zu bytes of its answer to %s%s", params->target, exchange->len, params->asked,
		    exchange->len == 0 ? unproven(exchange) : "");
	else
		diagnosis_set(&result->diagnosis, DIAGNOSIS_INSTANCE_STATUS, "%s closed the connection after %zu bytes, with no "
		    "whole answer to %s", params->target, exchange->len, params->asked);
}

/* The request goes behind what is left of our last flight, which a server with a small window takes piece by piece. */
static void send_request(struct check_exchange *exchange)
{
	struct stream *stream = exchange->tunnel->stream;

	/* What a failed write lost is told by the read. */
	if (stream_pending(stream) && stream_flush(stream) == STREAM_RESET)
		exchange->write_failed = true;
	if (exchange->request == NULL || stream_pending(stream))
		return;
	if (stream_write(stream, exchange->request, exchange->params.request_len) == STREAM_RESET)
		exchange->write_failed = true;
	free(exchange->request);
	exchange->request = NULL;
}

static void step(struct check_exchange *exchange)
{
	struct tunnel *tunnel = exchange->tunnel;
	enum stream_status status;
	size_t len, room;

	send_request(exchange);
	do {
		unsigned char *scratch = exchange->params.loop->pool.scratch;

		status = stream_read(tunnel->stream, scratch, WIRE_STEP_BYTES, &len);
		room = CHECK_ANSWER_MAX_BYTES - exchange->len;
		if (len > room)
			len = room;
		if (len > 0) {
			exchange->result.bytes = mem_realloc(exchange->result.bytes, exchange->len + len);
			memcpy(exchange->result.bytes + exchange->len, scratch, len);
			exchange->len += len;
		}
		if (len > 0 && look_at_answer(exchange)) {
			finish(exchange);
			return;
		}
	} while (status == STREAM_OK);
	if (status == STREAM_BLOCKED) {
		watch_want(tunnel->watch, true, stream_pending(tunnel->stream));
		return;
	}
	look_at_end(exchange, status);
	finish(exchange);
}

static void on_ready(void *arg, bool readable, bool writable)
{
	struct check_exchange *exchange = arg;

	if (exchange->finished)
		return;
	if (readable)
		stream_set_readable(exchange->tunnel->stream);
	step(exchange);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct check_exchange *exchange = arg;
	bool lacks_end;
	char ms[32];

	/* The head may be there, and the end of the connection awaited in vain. */
	exchange->result.answered = check_answer_parse(exchange->result.bytes, exchange->len, &exchange->result.answer,
	    &lacks_end) == CHECK_ANSWER_OPEN;
	diagnosis_set(&exchange->result.diagnosis, DIAGNOSIS_INSTANCE_STATUS, "%s did not answer %s within %s (%zu bytes came)%s",
	    exchange->params.target, exchange->params.asked,
	    text_format_duration(exchange->params.timeout_ms, ms, sizeof(ms)), exchange->len,
	    exchange->len == 0 ? unproven(exchange) : "");
	finish(exchange);
}

struct check_exchange *check_exchange_start(const struct check_exchange_params *params, struct tunnel *tunnel,
    check_exchange_done_fn *done, void *arg)
{
	struct check_exchange *exchange = mem_calloc(1, sizeof(*exchange));

	exchange->job.run = run_done;
	exchange->params = *params;
	exchange->done = done;
	exchange->arg = arg;
	exchange->tunnel = tunnel;
	exchange->began_us = loop_clock_us();
	watch_set_owner(tunnel->watch, on_ready, exchange);
	exchange->timer = evtimer_new(params->loop->base, on_timer, exchange);
	if (exchange->timer == NULL) {
		diagnosis_set(&exchange->result.diagnosis, DIAGNOSIS_LOCAL_LIMIT, "no timer for a request");
		finish(exchange);
		return exchange;
	}
	loop_timer_add(exchange->timer, params->timeout_ms);
	exchange->request = mem_dup(params->request, params->request_len);
	exchange->params.request = NULL; /* the caller's */
	step(exchange);
	return exchange;
}

void check_exchange_cancel(struct check_exchange *exchange)
{
	if (exchange == NULL)
		return;
	stream_end_trace(exchange->tunnel->stream);
	if (exchange->finished) {
		/* The job is on the loop's list already and frees it. */
		exchange->done = NULL;
		return;
	}
	exchange_free(exchange);
}
