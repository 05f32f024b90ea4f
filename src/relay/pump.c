/*
 * pump: see pump.h.
 *
 * Answers for the order of bytes and ends, for back-pressure and fairness.  Deadlines are the session's.
 */
#include "relay/pump_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/log_limit.h"
#include "base/mem.h"

/* One direction of one session moves at most this much before other sessions get their turn. */
#define TURN_BYTES (256 * 1024)
/* Turns without a byte or an end before the watchdog calls it a spin; a sane session has a handful. */
#define SPIN_TURNS 1000

/* ---- what a flow holds back ---- */

static enum http_flow_way way_from(const struct pump *pump, const struct pump_side *from)
{
	return from == &pump->client ? HTTP_FLOW_UP : HTTP_FLOW_DOWN;
}

static bool flow_holds(const struct pump *pump, const struct pump_side *from)
{
	return pump->flow != NULL && http_flow_holds(pump->flow, way_from(pump, from));
}

static bool flow_is_bad(const struct pump *pump, const struct pump_side *from)
{
	return pump->flow != NULL && http_flow_is_bad(pump->flow, way_from(pump, from));
}

/* The target's clean end came in the middle of a response. */
static bool flow_was_cut(struct pump *pump)
{
	if (pump->flow == NULL || pump->client.out_shut || !http_flow_was_cut(pump->flow))
		return false;
	diagnosis_set(diagnosis_need(&pump->diagnosis), DIAGNOSIS_RELAY_TRUNCATED,
	    "the target ended its stream in the middle of a response, after %" PRIu64 " bytes",
	    pump->target.bytes);
	pump_begin_ending(pump);
	return true;
}

/* What must not be passed on ends the session, once everything before it has gone where it belongs. */
static void judge_flow(struct pump *pump)
{
	struct http_flow *flow = pump->flow;

	if (flow == NULL || pump->over || pump->ending || flow_holds(pump, &pump->target))
		return;
	if (flow_is_bad(pump, &pump->target))
		diagnosis_set(diagnosis_need(&pump->diagnosis), DIAGNOSIS_INSTANCE_MALFORMED,
		    "the target's answer is malformed: %s", http_relay_fault(flow->http));
	else if (!flow_is_bad(pump, &pump->client) ||
	    (!http_flow_is_answered(flow) && !pump->target.in_done && !pump->target.broken))
		return;
	else if (flow->connect_came)
		diagnosis_set(diagnosis_need(&pump->diagnosis), DIAGNOSIS_LOCAL_CONNECT_DENIED,
		    "a CONNECT must be the first request of its connection");
	else
		diagnosis_set(diagnosis_need(&pump->diagnosis), DIAGNOSIS_LOCAL_BAD_REQUEST, "%s", http_relay_fault(flow->http));
	pump->answerable = http_flow_is_answerable(flow);
	pump_begin_ending(pump);
}

/* ---- moving ---- */

/* False when these bytes must not be passed on. */
static bool look_at_first_bytes(struct pump *pump, const unsigned char *bytes, size_t len)
{
	pump->began = true;
	if (pump->client.stream == NULL && pump_bytes_are_tls(bytes, len)) {
		diagnosis_set(diagnosis_need(&pump->diagnosis), DIAGNOSIS_LOCAL_SPOKE_TLS,
		    "the client began with a TLS ClientHello, where plain bytes are expected");
		pump->ending = true;
		pump_end_now(pump);
		return false;
	}
	pump->spoke_http = pump_bytes_are_http(bytes, len);
	return true;
}

static void look_at_answer(struct pump *pump, const unsigned char *bytes, size_t len)
{
	struct diagnosis diagnosis = {.code = DIAGNOSIS_OK};
	enum first_answer_verdict verdict = first_answer_take(&pump->answer, bytes, len, &diagnosis);

	if (verdict == FIRST_ANSWER_MORE)
		return;
	pump->answer_known = true;
	pump->on_answer(pump->arg, verdict, &diagnosis);
}

static void note_progress(struct pump *pump)
{
	pump->idle_turns = 0;
	pump->last_ms = loop_now_ms();
}

/* Both ends of this side have been seen, and are on their way. */
static bool is_finished(const struct pump_side *side)
{
	return side->in_done && side->out_shut && (side->broken || !pump_side_pending(side));
}

/* Passes `from`'s clean end on, behind the bytes before it. */
static void pass_end(struct pump *pump, struct pump_side *from, struct pump_side *to)
{
	if (to->out_shut)
		return;
	note_progress(pump);
	pump->on_stir(pump->arg);
	if (pump_side_shut(to, to->in_done && is_finished(from)) == STREAM_RESET)
		pump_side_broke(to);
}

static bool write_to(void *arg, const void *bytes, size_t len)
{
	struct pump_side *to = arg;
	enum stream_status written = pump_side_write(to, bytes, len);

	if (written == STREAM_RESET || written == STREAM_FAILED)
		pump_side_broke(to);
	return !to->broken && !pump_side_pending(to);
}

/* What was read, or with none what the flow holds. */
static void pass_on(struct pump *pump, struct pump_side *from, struct pump_side *to, const unsigned char *bytes,
    size_t len)
{
	if (pump->flow == NULL)
		(void)write_to(to, bytes, len);
	else
		http_flow_pass(pump->flow, way_from(pump, from), &pump->loop->pool, bytes, len, write_to, to);
}

/* One read and its write.  True when there may be more to read at once. */
static bool move_some(struct pump *pump, struct pump_side *from, struct pump_side *to, size_t *moved)
{
	unsigned char *scratch = pump->loop->pool.scratch;
	enum stream_status status;
	size_t len = 0;

	status = pump_side_read(from, scratch, WIRE_STEP_BYTES, &len);
	if (len > 0) {
		if (from == &pump->client && !pump->began && !look_at_first_bytes(pump, scratch, len))
			return false;
		if (from == &pump->target && !pump->answer_known)
			look_at_answer(pump, scratch, len);
		from->bytes += len;
		*moved += len;
		pump->answered = from == &pump->target && !pump->client.in_done;
		note_progress(pump);
		if (to->broken)
			return status == STREAM_OK; /* nobody takes them; read on for the reason */
		pass_on(pump, from, to, scratch, len);
	}
	if (status == STREAM_CLOSED)
		from->in_done = true;
	else if (status != STREAM_OK && status != STREAM_BLOCKED)
		pump_end_read(pump, from, status);
	return status == STREAM_OK || from->in_done;
}

/* The client has ended between messages, and the tunnel may serve another. */
static bool is_spare(const struct pump *pump)
{
	const struct pump_side *client = &pump->client, *target = &pump->target;

	return pump->flow != NULL && pump->on_spare != NULL && client->in_done && target->stream != NULL &&
	    !target->in_done && !target->out_shut && !target->broken && !pump_side_pending(client) &&
	    !pump_side_pending(target) && !stream_buffered(target->stream) && http_flow_is_clean(pump->flow);
}

/* One direction, as far as it goes now. */
static void flow(struct pump *pump, struct pump_side *from, struct pump_side *to)
{
	size_t moved = 0;
	bool more = true;

	while (more && !pump->over) {
		if (!to->broken && pump_side_pending(to)) {
			switch (pump_side_flush(to)) {
			case STREAM_BLOCKED:
				return;
			case STREAM_RESET:
			case STREAM_FAILED:
				pump_side_broke(to);
				break;
			case STREAM_OK:
				note_progress(pump);
				break;
			case STREAM_CLOSED:
			case STREAM_TRUNCATED:
				break;
			}
		}
		if (pump->ending)
			return;
		if (!to->broken && flow_holds(pump, from)) {
			pass_on(pump, from, to, NULL, 0);
			if (pump_side_pending(to))
				continue;
			if (flow_holds(pump, from))
				return; /* until something comes the other way */
		}
		if (flow_is_bad(pump, from))
			return;
		if (from == &pump->client && is_spare(pump) && pump->on_spare(pump->arg)) {
			pump_end_now(pump);
			return;
		}
		if (from->in_done) {
			if (!to->broken && (from == &pump->client || (!flow_is_bad(pump, to) &&
			    !flow_was_cut(pump))))
				pass_end(pump, from, to);
			if (pump->flow != NULL && to == &pump->client && to->out_shut)
				http_flow_drop_requests(pump->flow);
			return;
		}
		if (to->broken && from == &pump->client)
			return; /* the target takes nothing: leave the client's bytes where they are */
		if (moved >= TURN_BYTES) {
			watch_again(from->watch);
			return;
		}
		more = move_some(pump, from, to, &moved);
	}
}

static void set_interest(struct pump *pump)
{
	struct pump_side *client = &pump->client, *target = &pump->target;
	bool open = !pump->ending;

	watch_want(client->watch, open && !client->in_done && !target->broken && !pump_side_pending(target) &&
	    !flow_holds(pump, client) && !flow_is_bad(pump, client),
	    pump_side_wants_writable(client));
	watch_want(target->watch, open && !target->in_done && !flow_is_bad(pump, target) &&
	    (client->broken || !pump_side_pending(client)), pump_side_wants_writable(target));
}

static void spin_found(struct pump *pump)
{
	struct log_line line;

	if (log_begin(&line, LOG_ERROR, "session-spin")) {
		log_bool(&line, "client_done", pump->client.in_done);
		log_bool(&line, "client_pending", pump_side_pending(&pump->client));
		log_bool(&line, "target_done", pump->target.in_done);
		log_bool(&line, "target_pending", pump_side_pending(&pump->target));
		log_limit_end(&line, "session-spin", 0);
	}
	diagnosis_set(diagnosis_need(&pump->diagnosis), DIAGNOSIS_RELAY_RESET,
	    "the relay made no progress although a descriptor was ready; please report this");
	pump_end_now(pump);
}

/* Bytes off the descriptors of both, whatever became of them. */
static uint64_t received_by_streams(const struct pump *pump)
{
	return pump_side_received(&pump->target) + pump_side_received(&pump->client);
}

static void judge_leaving(struct pump *pump)
{
	if (pump->leaves && !pump->ending && !pump_side_pending(&pump->client) && pump->flow != NULL &&
	    http_flow_is_idle(pump->flow)) {
		if (!pump->target.out_shut && !pump->target.broken)
			(void)pump_side_shut(&pump->target, false);
		pump_begin_ending(pump);
	}
}

/*
 * A side that became readable or writable: moves on what that allows, the direction away from it or towards
 * it.
 */
static void step(struct pump *pump, struct pump_side *side, bool readable, bool writable)
{
	struct pump_side *other = side == &pump->client ? &pump->target : &pump->client;
	uint64_t received = received_by_streams(pump);

	if (pump->over)
		return;
	if (++pump->idle_turns > SPIN_TURNS) {
		spin_found(pump);
		return;
	}
	/* A stream may have stopped reading because an answer of its own (KeyUpdate) could not be written. */
	if (readable || side->stream != NULL)
		flow(pump, side, other);
	if (!pump->over && writable)
		flow(pump, other, side);
	/* A target that broke while it was written to may still say why. */
	if (!pump->over && pump->target.broken)
		flow(pump, &pump->target, &pump->client);
	if (!pump->over && !pump->target.in_done && pump->flow != NULL && http_flow_is_over(pump->flow)) {
		pump->target.in_done = true;
		flow(pump, &pump->target, &pump->client);
	}
	/* Responses may have made room for requests. */
	if (!pump->over && !pump->target.broken && flow_holds(pump, &pump->client))
		flow(pump, &pump->client, &pump->target);
	if (pump->over)
		return;
	/* Part of a record, or a ticket, is no byte for the client, but no spin either. */
	if (received_by_streams(pump) != received)
		pump->idle_turns = 0;
	judge_flow(pump);
	pump_judge_broken(pump);
	judge_leaving(pump);
	if (pump->over)
		return;
	if (pump->ending) {
		pump_end_when_delivered(pump);
	} else if (pump->client.in_done && pump_side_is_flushed(&pump->client) && is_finished(&pump->target)) {
		pump_end_now(pump);
	}
	if (!pump->over)
		set_interest(pump);
}

static void on_client_ready(void *arg, bool readable, bool writable)
{
	struct pump *pump = arg;

	if (readable && pump->client.stream != NULL)
		stream_set_readable(pump->client.stream);
	step(pump, &pump->client, readable, writable);
}

static void on_target_ready(void *arg, bool readable, bool writable)
{
	struct pump *pump = arg;

	if (readable && pump->target.stream != NULL)
		stream_set_readable(pump->target.stream);
	step(pump, &pump->target, readable, writable);
}

void pump_start(struct pump *pump, const struct pump_params *params)
{
	memset(pump, 0, sizeof(*pump));
	pump->loop = params->loop;
	pump->on_end = params->on_end;
	pump->on_stir = params->on_stir;
	pump->on_answer = params->on_answer;
	pump->arg = params->arg;
	pump->last_ms = loop_now_ms();
	pump->client.name = "client";
	pump->client.watch = params->client;
	pump->client.stream = params->client_stream;
	if (pump->client.stream != NULL)
		stream_set_readable(pump->client.stream);
	wire_init(&pump->client.wire, watch_fd(params->client), &params->loop->pool);
	pump->target.name = "target";
	pump->target.watch = params->tunnel->watch;
	pump->target.stream = params->tunnel->stream;
	wire_init(&pump->target.wire, watch_fd(params->tunnel->watch), &params->loop->pool);
	free(params->tunnel->prefix);
	free(params->tunnel);
	pump->flow = params->flow;
	pump->on_spare = params->on_spare;
	pump->client.bytes = params->client_bytes;
	pump->began = pump->spoke_http = params->flow != NULL;
	pump->answer_known = params->flow != NULL && params->flow->http == NULL;
	watch_set_owner(pump->client.watch, on_client_ready, pump);
	watch_set_owner(pump->target.watch, on_target_ready, pump);
	/*
	 * The client has usually spoken by now; the target's turn comes when it is readable, or has spoken
	 * already.
	 */
	flow(pump, &pump->client, &pump->target);
	if (!pump->over && flow_holds(pump, &pump->target))
		flow(pump, &pump->target, &pump->client);
	if (!pump->over && pump->target.stream != NULL && stream_buffered(pump->target.stream))
		watch_again(pump->target.watch);
	judge_flow(pump);
	if (!pump->over && pump->ending)
		pump_end_when_delivered(pump);
	if (!pump->over)
		set_interest(pump);
}

bool pump_half_closed(const struct pump *pump)
{
	return pump->client.in_done || pump->target.in_done || flow_is_bad(pump, &pump->client);
}

void pump_stop(struct pump *pump)
{
	pump->over = true;
	if (pump->client.watch != NULL)
		watch_want(pump->client.watch, false, false);
	if (pump->target.watch != NULL)
		watch_want(pump->target.watch, false, false);
	if (pump->linger != NULL)
		evtimer_del(pump->linger);
}

void pump_clear(struct pump *pump, bool reset)
{
	if (pump->linger != NULL)
		event_free(pump->linger);
	pump->linger = NULL;
	first_answer_clear(&pump->answer);
	free(pump->diagnosis);
	pump->diagnosis = NULL;
	stream_free(pump->target.stream);
	stream_free(pump->client.stream);
	pump->target.stream = pump->client.stream = NULL;
	if (pump->client.watch != NULL)
		wire_clear(&pump->client.wire);
	if (pump->target.watch != NULL)
		wire_clear(&pump->target.wire);
	watch_free(pump->target.watch, reset);
	watch_free(pump->client.watch, reset);
	pump->target.watch = pump->client.watch = NULL;
}

struct watch *pump_release_client(struct pump *pump, struct stream **stream)
{
	struct watch *watch = pump->client.watch;

	*stream = pump->client.stream;
	pump->client.stream = NULL;

	wire_clear(&pump->client.wire);
	pump->client.watch = NULL;
	return watch;
}

void pump_rest(struct pump *pump)
{
	if (!pump->over && pump->flow != NULL)
		http_flow_rest(pump->flow);
}

struct tunnel *pump_release_target(struct pump *pump)
{
	struct tunnel *tunnel = mem_calloc(1, sizeof(*tunnel));

	wire_clear(&pump->target.wire);
	tunnel->watch = pump->target.watch;
	tunnel->stream = pump->target.stream;
	pump->target.watch = NULL;
	pump->target.stream = NULL;
	return tunnel;
}

void pump_leave(struct pump *pump)
{
	if (pump->flow == NULL)
		return;
	pump->leaves = true;
	/* What the client has asked for by now is answered first. */
	step(pump, &pump->client, true, false);
}
