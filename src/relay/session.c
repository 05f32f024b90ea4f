/*
 * session: see session.h.
 *
 * Answers for the states of a client's life, their deadlines, and its end.  How it comes to its tunnel is session_way.c's
 * business, how bytes move the pump's, how a client hears of a failure refusal's.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "dial/connect.h"
#include "relay/client_owner.h"
#include "relay/session_internal.h"

/*
 * A tunnel that was silent for this long gets its keep-alive; those that end sooner need none, and save four of their 36
 * system calls.
 */
#define SILENCE_MS 2000

static atomic_ullong last_id;

void session_context_init(struct session_context *context, struct loop *loop, struct resolver *resolver,
    struct session_totals *totals)
{
	memset(context, 0, sizeof(*context));
	context->loop = loop;
	context->resolver = resolver;
	context->totals = totals;
	TAILQ_INIT(&context->sessions);
}

/* ---- the end ---- */

static void run_free(struct loop_job *job)
{
	struct session *session = (struct session *)job;
	struct session_context *context = session->context;

	TAILQ_REMOVE(&context->sessions, session, entry);
	context->session_count--;
	event_free(session->timer);
	cert_outcome_clear(&session->cert);
	session_count(session, RELAY_COUNT_ENDED, 1);
	http_flow_free(session->flow);
	relay_set_unref(session->set);
	free(session->diagnosis);
	free(session);
	atomic_fetch_sub(&context->totals->open, 1);
	if (context->session_count == 0 && context->on_empty != NULL)
		context->on_empty(context->arg);
}

/* From anywhere, any number of times; the first diagnosis that was set stays. */
void session_close(struct session *session)
{
	bool clean = session->diagnosis == NULL;

	if (session->state == SESSION_CLOSED)
		return;
	event_del(session->timer);
	cert_outcome_end(&session->cert, session_diagnosis(session));
	session_log(session);
	session_count_end(session);
	session_enter(session, SESSION_CLOSED);
	asking_cancel(session->asking);
	session->asking = NULL;
	greeting_cancel(session->greeting, !clean);
	session->greeting = NULL;
	if (session->reach != NULL && !session->connects)
		ready_dial_ended(session->context->ready, session->route, READY_DIAL_CUT);
	reach_cancel(session->reach);
	refusal_cancel(session->refusal);
	session->reach = NULL;
	session->refusal = NULL;
	if (session->pumping) {
		pump_stop(&session->pump);
		/* Anything but a clean end reaches both sides as a reset, so that nobody takes it for one. */
		pump_clear(&session->pump, !clean);
	}
	stream_free(session->client_stream);
	session->client_stream = NULL;
	watch_free(session->client, !clean);
	session->client = NULL;
	loop_defer(session->context->loop, &session->job);
}

/* ---- refusing ---- */

static void on_refused(void *arg)
{
	struct session *session = arg;

	session->refusal = NULL;
	session_close(session);
}

void session_refuse(struct session *session, enum refusal_client client)
{
	struct refusal_params params = {
	    .loop = session->context->loop,
	    .watch = session->client,
	    .stream = session->client_stream,
	    .diagnosis = session_diagnosis(session),
	    .explain = session->route->config->explain == CONFIG_EXPLAIN_AUTO,
	    .client = client,
	    .on_done = on_refused,
	    .arg = session,
	};

	cert_outcome_end(&session->cert, session_diagnosis(session));
	session_enter(session, SESSION_REFUSING);
	event_del(session->timer); /* the refusal has its own deadlines */
	session->client = NULL;
	session->client_stream = NULL;
	session->refusal = refusal_start(&params);
	if (session->refusal == NULL)
		session_close(session);
}

/* ---- relaying ---- */

/* Re-arms the deadline that the pump's state asks for; 0 is off. */
static void set_pump_deadline(struct session *session)
{
	const struct config_relay *config = session->route->config;
	struct pump *pump = &session->pump;
	int64_t silent_ms = loop_now_ms() - pump->last_ms;
	int64_t limit_ms;

	if (pump->ending || pump_half_closed(pump))
		limit_ms = config->half_close_timeout_ms;
	else
		limit_ms = config->idle_timeout_ms;
	if (!session->kept_alive && (limit_ms == 0 || limit_ms > SILENCE_MS))
		limit_ms = SILENCE_MS;
	if (limit_ms == 0)
		event_del(session->timer);
	else
		loop_timer_add(session->timer, limit_ms - silent_ms);
}

static void on_pump_stir(void *arg)
{
	struct session *session = arg;

	if (pump_half_closed(&session->pump))
		session_enter(session, SESSION_HALF_CLOSED);
	set_pump_deadline(session);
}

/* The pump's, unless something went wrong before. */
static void take_diagnosis(struct session *session)
{
	if (session->diagnosis != NULL)
		return;
	session->diagnosis = session->pump.diagnosis;
	session->pump.diagnosis = NULL;
}

/* The tunnel proved to be none before the client got a byte of it: the client can still be told. */
static bool can_still_explain(const struct session *session)
{
	const struct pump *pump = &session->pump;

	if (pump->client.out_shut || pump->client.broken)
		return false;
	if (pump->answerable)
		return true;
	if (pump->target.bytes > 0)
		return false;
	return session_diagnosis(session)->code == DIAGNOSIS_LOCAL_SPOKE_TLS ||
	    diagnosis_info(session_diagnosis(session)->code)->stage == DIAGNOSIS_STAGE_CLIENT_CERT;
}

static void on_pump_end(void *arg)
{
	struct session *session = arg;
	struct pump *pump = &session->pump;
	enum refusal_client client = !pump->began ? REFUSAL_CLIENT_UNKNOWN :
	    pump->spoke_http ? REFUSAL_CLIENT_HTTP : REFUSAL_CLIENT_OTHER;

	take_diagnosis(session);
	if (!can_still_explain(session)) {
		session_close(session);
		return;
	}
	if (session_diagnosis(session)->code == DIAGNOSIS_LOCAL_SPOKE_TLS)
		client = REFUSAL_CLIENT_TLS;
	session->client = pump_release_client(pump, &session->client_stream);
	session_refuse(session, client);
}

static void on_answer(void *arg, enum first_answer_verdict verdict, const struct diagnosis *diagnosis)
{
	struct session *session = arg;

	if (verdict == FIRST_ANSWER_REFUSED)
		atomic_fetch_add(&session->context->totals->certs_refused, 1);
	cert_outcome_answered(&session->cert, verdict, diagnosis);
	if (verdict == FIRST_ANSWER_REFUSED)
		ready_cert_refused(session->context->ready, session->route);
}

static void idle_out(struct session *session, const char *key, int64_t limit_ms)
{
	char text[32];

	diagnosis_set(diagnosis_need(&session->diagnosis), DIAGNOSIS_RELAY_IDLE, "no byte either way for %s (%s)",
	    text_format_duration(limit_ms, text, sizeof(text)), key);
	session_close(session);
}

static void on_pump_timer(struct session *session)
{
	const struct config_relay *config = session->route->config;
	struct pump *pump = &session->pump;
	int64_t silent_ms = loop_now_ms() - pump->last_ms;
	bool half = pump->ending || pump_half_closed(pump);
	int64_t limit_ms = half ? config->half_close_timeout_ms : config->idle_timeout_ms;

	if (limit_ms != 0 && silent_ms >= limit_ms) {
		if (pump->ending) { /* the client does not take its last bytes */
			take_diagnosis(session);
			session_close(session);
		} else {
			idle_out(session, half ? "half_close_timeout" : "idle_timeout", limit_ms);
		}
		return;
	}
	if (silent_ms >= SILENCE_MS)
		pump_rest(pump);
	if (!session->kept_alive && silent_ms >= SILENCE_MS) {
		connect_keep_alive(watch_fd(pump->target.watch), config->keepalive_ms);
		session->kept_alive = true;
	}
	set_pump_deadline(session);
}

/* The client has ended, and its tunnel is fit for another. */
static bool on_spare(void *arg)
{
	struct session *session = arg;
	struct ready_tunnel *origin = &session->origin;

	if (session->diagnosis != NULL || !session->reuse_asked ||
	    !ready_keeps(session->context->ready, session->route) ||
	    !cert_outcome_release(&session->cert, &origin->use))
		return false;
	origin->tunnel = pump_release_target(&session->pump);
	origin->path = session->path;
	origin->used = true;
	origin->uid = session->uid;
	ready_give(session->context->ready, session->route, origin);
	return true;
}

void session_relay(struct session *session, struct tunnel *tunnel)
{
	struct pump_params params = {
	    .loop = session->context->loop,
	    .client = session->client,
	    .client_stream = session->client_stream,
	    .tunnel = tunnel,
	    .on_end = on_pump_end,
	    .on_stir = on_pump_stir,
	    .on_answer = on_answer,
	    .arg = session,
	    .flow = session->flow,
	    .client_bytes = session->pump.client.bytes,
	    .on_spare = on_spare,
	};

	if (session->connects) {
		http_flow_become_raw(session->flow, CONNECTED, tunnel->prefix, tunnel->prefix_len);
	} else {
		session->tls_version = stream_version(tunnel->stream);
		session->tls_cipher = stream_cipher(tunnel->stream);
		session->resumed = stream_resumed(tunnel->stream);
	}
	session->client = NULL;
	session->client_stream = NULL;
	session->pumping = true;
	session_enter(session, SESSION_RELAYING);
	pump_start(&session->pump, &params);
	if (session->context->draining)
		pump_leave(&session->pump);
	if (session->state == SESSION_RELAYING || session->state == SESSION_HALF_CLOSED)
		set_pump_deadline(session);
}

static void look_at_client(struct session *session)
{
	socklen_t len = sizeof(int);
	int error = 0;

	if (getsockopt(watch_fd(session->client), SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0) {
		loop_timer_add(session->timer, SESSION_LOOK_MS);
		return;
	}
	diagnosis_set(diagnosis_need(&session->diagnosis), DIAGNOSIS_RELAY_RESET,
	    "the client reset the connection while it was dialled for");
	session_close(session);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct session *session = arg;

	switch (session->state) {
	case SESSION_RELAYING:
	case SESSION_HALF_CLOSED:
		on_pump_timer(session);
		break;
	case SESSION_DIALING: /* reach keeps setup_timeout */
		look_at_client(session);
		break;
	case SESSION_ASKING:   /* asking keeps its own */
	case SESSION_GREETING: /* greeting keeps tls_timeout */
	case SESSION_REFUSING: /* refusal keeps its own */
	case SESSION_CLOSED:
		break;
	}
}

/* ---- start ---- */

static void judge_client(struct session *session, const struct session_params *params)
{
	char peer[ADDR_TEXT_BYTES], user[CLIENT_OWNER_TEXT_BYTES];

	switch (params->verdict) {
	case SESSION_WELCOME:
		if (params->tls)
			session_greet(session, NULL, 0);
		else if (session->route->config->mode == CONFIG_MODE_HTTP)
			session_ask(session);
		else
			session_find_tunnel(session);
		return;
	case SESSION_OVER_LIMIT:
		diagnosis_set(diagnosis_need(&session->diagnosis), DIAGNOSIS_LOCAL_LIMIT,
		    "max_connections (%u) clients are connected already",
		    session->set->config->process.max_connections);
		break;
	case SESSION_STRANGER:
		diagnosis_set(diagnosis_need(&session->diagnosis), DIAGNOSIS_LOCAL_DENIED, "%s is not in allow_address",
		    addr_format(&session->peer, peer));
		break;
	case SESSION_OTHER_USER:
		diagnosis_set(diagnosis_need(&session->diagnosis), DIAGNOSIS_LOCAL_DENIED, "%s is not in allow_user",
		    client_owner_text((uid_t)session->uid, user));
		break;
	case SESSION_NOBODYS:
		diagnosis_set(diagnosis_need(&session->diagnosis), DIAGNOSIS_LOCAL_DENIED,
		    "whose the connection is cannot be told, and allow_user is set: %s", params->doubt);
		break;
	}
	session_refuse(session, REFUSAL_CLIENT_UNKNOWN);
}

bool session_start(const struct session_params *params)
{
	struct session_context *context = params->context;
	struct session *session = mem_calloc(1, sizeof(*session));

	session->timer = evtimer_new(context->loop->base, on_timer, session);
	if (session->timer == NULL) {
		close(params->fd);
		free(session);
		return false;
	}
	session->client = watch_new(context->loop, params->fd, session_idle, NULL);
	session->job.run = run_free;
	session->context = context;
	session->route = params->route;
	session->set = relay_set_ref(params->route->set);
	session->id = atomic_fetch_add(&last_id, 1) + 1;
	session->peer = params->peer;
	session->uid = params->uid;
	session->began_us = loop_clock_us();
	session->times = (struct dial_times){-1, -1, -1, -1};
	session->wait_us = -1;
	TAILQ_INSERT_TAIL(&context->sessions, session, entry);
	context->session_count++;
	atomic_fetch_add(&context->totals->begun, 1);
	session_count(session, RELAY_COUNT_SESSIONS, 1);
	judge_client(session, params);
	return true;
}

unsigned session_cut_all(struct session_context *context)
{
	struct session *session;
	unsigned count = 0;

	/* The last to come first: they wait for their turn to be dialled for, and are not to get it on the way out. */
	TAILQ_FOREACH_REVERSE(session, &context->sessions, session_list, entry) {
		if (session->state == SESSION_CLOSED)
			continue;
		count++;
		/* Who is being told why, or waits for the last bytes of a stream that was cut, keeps that reason. */
		take_diagnosis(session);
		if (session->diagnosis == NULL)
			diagnosis_set(diagnosis_need(&session->diagnosis), DIAGNOSIS_RELAY_DRAINED,
			    "midrelay stopped (drain_timeout)");
		session_close(session);
	}
	return count;
}

/* Waits for nothing: neither side would miss anything. */
static void drain_one(struct session *session)
{
	switch (session->state) {
	case SESSION_ASKING:
		if (asking_is_silent(session->asking))
			session_close(session);
		break;
	case SESSION_GREETING:
		if (greeting_is_silent(session->greeting))
			session_close(session);
		break;
	case SESSION_RELAYING:
	case SESSION_HALF_CLOSED:
		pump_leave(&session->pump);
		break;
	case SESSION_DIALING:
	case SESSION_REFUSING:
	case SESSION_CLOSED:
		break;
	}
}

void session_drain_all(struct session_context *context)
{
	struct session *session;

	context->draining = true;
	TAILQ_FOREACH(session, &context->sessions, entry)
		drain_one(session);
}
