/*
 * ready_place: one tunnel of a pool: its dial, its proof, its wait; see ready.h.
 *
 * Answers for whether a tunnel may be handed over.  How many there are is ready.c's business.
 */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "relay/cert_outcome.h"
#include "relay/path_log.h"
#include "relay/ready_internal.h"

static const struct config_relay *config_of(const struct ready_place *place)
{
	return place->pool->route->config;
}

static struct ready_totals *totals_of(const struct ready_place *place)
{
	return place->pool->ready->totals;
}

static void log_place(const struct ready_place *place, const struct relay_path *path, const char *state,
    const char *msg)
{
	struct log_line line;

	if (!log_begin(&line, LOG_DEBUG, "ready-tunnel"))
		return;
	log_str(&line, "relay", config_of(place)->name);
	if (path != NULL)
		log_str(&line, "path", path->config->name);
	log_str(&line, "state", state);
	if (msg != NULL)
		log_str(&line, "msg", msg);
	log_end(&line);
}

/* ---- the end ---- */

static void run_free(struct loop_job *job)
{
	struct ready_place *place = (struct ready_place *)job;

	tunnel_free(place->held.tunnel, false);
	identity_use_clear(&place->held.use);
	free(place);
}

/* What is left is freed by the loop: a call-back of the descriptor may be under way. */
static void end_place(struct ready_place *place)
{
	if (place->state != READY_EMPTY)
		atomic_fetch_sub(&totals_of(place)->held, 1);
	TAILQ_REMOVE(&place->pool->places, place, entry);
	reach_cancel(place->reach);
	place->reach = NULL;
	if (place->held.tunnel != NULL) {
		stream_end_trace(place->held.tunnel->stream);
		watch_want(place->held.tunnel->watch, false, false);
	}
	loop_defer(place->pool->ready->loop, &place->job);
}

void ready_place_let_go(struct ready_place *place)
{
	if (place->held.tunnel != NULL) {
		log_place(place, place->held.path, "let-go", NULL);
		atomic_fetch_add(&totals_of(place)->expired, 1);
		stream_leave(place->held.tunnel->stream);
	}
	end_place(place);
}

static void keep_empty(const struct ready_place *place)
{
	struct ready_place *empty = mem_calloc(1, sizeof(*empty));

	empty->job.run = run_free;
	empty->pool = place->pool;
	empty->state = READY_EMPTY;
	empty->made_ms = place->made_ms;
	TAILQ_INSERT_TAIL(&place->pool->places, empty, entry);
}

/* A refused certificate is told as a session would tell it: before a client meets it. */
static void tell_outcome(struct ready_pool *pool, const struct relay_path *path, struct identity_use *use,
    const struct diagnosis *diagnosis)
{
	struct cert_outcome outcome = {0};

	cert_outcome_begin(&outcome, pool->route, path, pool->ready->loop->index, use);
	*use = (struct identity_use){0};
	cert_outcome_end(&outcome, diagnosis);
	cert_outcome_clear(&outcome);
	if (diagnosis->code == DIAGNOSIS_CLIENT_CERT_REJECTED)
		ready_pool_rest(pool, false);
}

static void die(struct ready_place *place, enum stream_status status, bool spoke)
{
	struct tunnel *tunnel = place->held.tunnel;
	struct diagnosis diagnosis = {.code = DIAGNOSIS_OK};

	if (spoke) {
		log_place(place, place->held.path, "died", "the target sent bytes that nobody had asked for");
		stream_leave(tunnel->stream);
	} else if (status == STREAM_FAILED) {
		dial_diagnose_stream(tunnel->stream, &diagnosis);
		log_place(place, place->held.path, "died", diagnosis.sentence);
		tell_outcome(place->pool, place->held.path, &place->held.use, &diagnosis);
	} else {
		log_place(place, place->held.path, "died", "the target closed the connection");
		if (status == STREAM_CLOSED)
			stream_leave(tunnel->stream);
	}
	atomic_fetch_add(&totals_of(place)->died, 1);
	keep_empty(place);
	ready_wake(place->pool->ready);
	end_place(place);
}

/* ---- waiting ---- */

static atomic_bool *tickets_of(const struct ready_place *place)
{
	struct relay_route *route = place->pool->route;
	struct relay_path *path = &route->paths[place->held.path - route->paths];

	return &path->state.tickets[stream_resumed(place->held.tunnel->stream) ? 1 : 0];
}

static void enter_waiting(struct ready_place *place)
{
	place->state = READY_WAITING;
	log_place(place, place->held.path, "ready", NULL);
}

void ready_place_prove(struct ready_place *place, int64_t now_ms)
{
	const struct stream *stream = place->held.tunnel->stream;

	if (!stream_is_tls13(stream)) {
		enter_waiting(place);
	} else if (stream_tickets(stream) > 0) {
		atomic_store(tickets_of(place), true);
		enter_waiting(place);
	} else if (now_ms >= place->proof_ms) {
		/* A server that sends none any more is not waited for by the next. */
		atomic_store(tickets_of(place), false);
		enter_waiting(place);
	}
}

bool ready_place_look(struct ready_place *place)
{
	struct tunnel *tunnel = place->held.tunnel;
	enum stream_status status;
	size_t len = 0;

	stream_set_readable(tunnel->stream);
	status = stream_read(tunnel->stream, place->pool->ready->loop->pool.scratch, WIRE_STEP_BYTES, &len);
	if (len > 0 || status != STREAM_BLOCKED) {
		die(place, status, len > 0);
		return false;
	}
	if (stream_pending(tunnel->stream) && stream_flush(tunnel->stream) == STREAM_RESET) {
		die(place, STREAM_RESET, false);
		return false;
	}
	if (place->state == READY_PROVING)
		ready_place_prove(place, loop_now_ms());
	watch_want(tunnel->watch, true, stream_pending(tunnel->stream));
	return true;
}

static void on_ready(void *arg, bool readable, bool writable)
{
	(void)ready_place_look(arg);
}

bool ready_place_is_good(const struct ready_place *place, int64_t now_ms)
{
	struct diagnosis diagnosis;

	return now_ms - place->made_ms < config_of(place)->ready_max_age_ms &&
	    atomic_load(&place->held.path->state.failures) == place->failures &&
	    place->pool->refusals == place->refusals &&
	    identity_choice_is_current(&place->pool->route->choice, &place->held.use, now_ms) &&
	    relay_route_cert_is_usable(place->held.use.identity, &diagnosis);
}

void ready_place_give(struct ready_place *place, struct ready_tunnel *tunnel)
{
	*tunnel = place->held;
	/* What it calls is gone with the place. */
	stream_end_trace(tunnel->tunnel->stream);
	TAILQ_REMOVE(&place->pool->places, place, entry);
	atomic_fetch_sub(&totals_of(place)->held, 1);
	free(place);
}

/* ---- the dial ---- */

static void on_path(void *arg, const struct relay_path *path, const struct diagnosis *diagnosis,
    const struct judge_evidence *evidence)
{
	const struct ready_place *place = arg;

	path_log_state(config_of(place), path, diagnosis, evidence);
}

static void on_notice(void *arg, const struct relay_path *path, enum relay_path_notice notice,
    const struct judge_evidence *evidence)
{
	const struct ready_place *place = arg;

	path_log_notice(config_of(place), path, notice, evidence);
}

static void on_trace(void *arg, const char *text)
{
	const struct ready_place *place = arg;
	const struct relay_path *path = place->reach != NULL ? reach_path(place->reach) : place->held.path;

	path_log_trace(config_of(place), path, 0, text);
}

static void on_failed(struct ready_place *place, struct reach_result *result)
{
	log_place(place, result->path, "failed", result->diagnosis.sentence);
	atomic_fetch_add(&totals_of(place)->failed, 1);
	if (result->diagnosis.code == DIAGNOSIS_LOCAL_LIMIT)
		ready_give_way(place->pool->ready);
	ready_pool_rest(place->pool, true);
	tell_outcome(place->pool, result->path, &result->use, &result->diagnosis);
	ready_wake(place->pool->ready);
	end_place(place);
}

static void on_reached(void *arg, struct reach_result *result)
{
	struct ready_place *place = arg;

	place->reach = NULL;
	if (result->tunnel == NULL) {
		on_failed(place, result);
		return;
	}
	place->state = READY_PROVING;
	place->held.tunnel = result->tunnel;
	place->held.path = result->path;
	place->held.use = result->use;
	place->failures = atomic_load(&result->path->state.failures);
	place->made_ms = loop_now_ms();
	place->proof_ms = place->made_ms +
	    (atomic_load(tickets_of(place)) ? config_of(place)->tls_timeout_ms : READY_PROOF_MS);
	atomic_fetch_add(&totals_of(place)->made, 1);
	log_place(place, place->held.path, "made", NULL);
	watch_set_owner(result->tunnel->watch, on_ready, place);
	/* What came with the end of the handshake is in OpenSSL's buffers, and no event would tell of it. */
	(void)ready_place_look(place);
	ready_wake(place->pool->ready);
}

void ready_place_dial(struct ready_pool *pool)
{
	struct ready_place *place = mem_calloc(1, sizeof(*place));
	struct reach_params params = {
	    .loop = pool->ready->loop,
	    .resolver = pool->ready->resolver,
	    .route = pool->route,
	    .on_path = on_path,
	    .on_notice = on_notice,
	    .trace = log_wants(LOG_DEBUG) ? on_trace : NULL,
	    .on_done = on_reached,
	    .arg = place,
	};

	place->job.run = run_free;
	place->pool = pool;
	place->state = READY_DIALLING;
	place->refusals = pool->refusals;
	TAILQ_INSERT_TAIL(&pool->places, place, entry);
	atomic_fetch_add(&pool->ready->totals->held, 1);
	place->reach = reach_start(&params);
}
