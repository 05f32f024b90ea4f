/*
 * session: see session.h.
 *
 * Answers for the states of a client's life, their deadlines, and the one line that tells of it.  How a tunnel is had is
 * reach's business, how bytes move the pump's, how a client hears of a failure refusal's.
 */
#include "relay/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/log_limit.h"
#include "base/mem.h"
#include "base/text.h"
#include "dial/connect.h"
#include "dial/reach.h"
#include "relay/asking.h"
#include "relay/cert_outcome.h"
#include "relay/client_owner.h"
#include "relay/connect_face.h"
#include "relay/greeting.h"
#include "relay/pump.h"
#include "relay/path_log.h"
#include "relay/refusal.h"

/*
 * A tunnel that was silent for this long gets its keep-alive; those that end sooner need none, and save four of their 36
 * system calls.
 */
#define SILENCE_MS 2000
/* RFC 9110 section 9.3.6: a 2xx to CONNECT has no body. */
#define CONNECTED "HTTP/1.1 200 Connection established\r\n\r\n"

enum session_state {
	SESSION_DIALING,
	SESSION_ASKING,   /* before DIALING, with mode = http */
	SESSION_GREETING, /* before DIALING, with clients of tls:// */
	SESSION_RELAYING,
	SESSION_HALF_CLOSED,
	SESSION_REFUSING,
	SESSION_CLOSED,
};

struct session {
	struct loop_job job; /* first: run() gets it */
	TAILQ_ENTRY(session) entry;
	struct session_context *context; /* borrowed */
	struct relay_set *set;
	struct relay_route *route; /* of the set */
	uint64_t id;
	enum session_state state;
	struct addr peer;
	int64_t uid; /* the client's account; -1: not asked for, or not known */
	struct watch *client; /* until the pump or the refusal takes it */
	struct reach *reach;
	struct refusal *refusal;
	struct pump pump;
	struct cert_outcome cert;
	bool pumping;
	bool kept_alive;
	struct event *timer;
	int64_t began_us;
	const struct relay_path *path;
	struct dial_times times;
	int64_t wait_us; /* until its dial's turn came; -1: no waiting */
	struct diagnosis *diagnosis; /* NULL: nothing went wrong yet */
	const char *tls_version, *tls_cipher; /* static strings of OpenSSL */
	bool resumed;
	struct asking *asking;
	struct http_flow *flow; /* with mode = http */
	bool connects;          /* the tunnel is the client's own, by CONNECT */
	/* of a client of tls:// */
	struct greeting *greeting;
	struct stream *client_stream; /* until the pump or the refusal takes it */
	const char *local_tls;        /* its version; static */
	bool ready_asked, ready_hit; /* tunnels are kept ready for this relay; it got one */
};

static atomic_ullong last_id;

static const char *session_state_name(enum session_state state)
{
	switch (state) {
	case SESSION_ASKING:
		return "asking";
	case SESSION_GREETING:
		return "greeting";
	case SESSION_DIALING:
		return "dialing";
	case SESSION_RELAYING:
		return "relaying";
	case SESSION_HALF_CLOSED:
		return "half-closed";
	case SESSION_REFUSING:
		return "refusing";
	case SESSION_CLOSED:
		return "closed";
	}
	return "?";
}

void session_context_init(struct session_context *context, struct loop *loop, struct resolver *resolver,
    struct session_totals *totals)
{
	memset(context, 0, sizeof(*context));
	context->loop = loop;
	context->resolver = resolver;
	context->totals = totals;
	TAILQ_INIT(&context->sessions);
}

static const struct diagnosis *diagnosis_of(const struct session *session)
{
	return session->diagnosis != NULL ? session->diagnosis : &diagnosis_ok;
}

/* ---- the line ---- */

static void log_ms(struct log_line *line, const char *key, int64_t us)
{
	if (us >= 0)
		log_int(line, key, (us + 500) / 1000);
}

static void log_peer(struct log_line *line, const struct session *session)
{
	char text[ADDR_TEXT_BYTES];

	log_str(line, "peer",
	    session->peer.u.sa.sa_family == AF_UNIX ? "unix" : addr_format(&session->peer, text));
	if (session->uid >= 0)
		log_int(line, "uid", session->uid);
}

/* A tunnel's line is always written; of those who got none, who met the same on the same path is counted. */
static void end_line(const struct session *session, struct log_line *line)
{
	char *group;

	if (session->pumping) {
		log_end(line);
		return;
	}
	group = mem_printf("session %s %s %s", session->route->config->name,
	    session->path != NULL ? session->path->config->name : "", diagnosis_name(diagnosis_of(session)->code));
	log_limit_end(line, group, 0);
	free(group);
}

static void log_session(const struct session *session)
{
	struct log_line line;
	const struct diagnosis *diagnosis = cert_outcome_diagnosis(&session->cert, diagnosis_of(session));

	if (!log_begin(&line, LOG_INFO, "session"))
		return;
	log_str(&line, "relay", session->route->config->name);
	log_int(&line, "id", (int64_t)session->id);
	log_peer(&line, session);
	if (session->path != NULL)
		log_str(&line, "path", session->path->config->name);
	log_ms(&line, "wait_ms", session->wait_us);
	log_ms(&line, "resolve_ms", session->times.resolve_us);
	log_ms(&line, "connect_ms", session->times.connect_us);
	log_ms(&line, "proxy_ms", session->times.proxy_us);
	log_ms(&line, "tls_ms", session->times.tls_us);
	if (session->ready_asked)
		log_bool(&line, "ready_hit", session->ready_hit);
	if (session->tls_version != NULL) {
		log_str(&line, "tls_version", session->tls_version);
		log_str(&line, "cipher", session->tls_cipher);
		log_bool(&line, "resumed", session->resumed);
	}
	if (session->flow != NULL)
		log_int(&line, "requests", session->flow->requests);
	if (session->local_tls != NULL)
		log_str(&line, "local_tls", session->local_tls);
	log_int(&line, "bytes_up", (int64_t)session->pump.client.bytes);
	log_int(&line, "bytes_down", (int64_t)session->pump.target.bytes);
	log_int(&line, "duration_ms", (loop_clock_us() - session->began_us + 500) / 1000);
	log_str(&line, "end", diagnosis_name(diagnosis->code));
	if (diagnosis->cause != DIAGNOSIS_CAUSE_NONE)
		log_str(&line, "cause", diagnosis_cause_info(diagnosis->cause)->name);
	if (diagnosis->code != DIAGNOSIS_OK)
		log_str(&line, "msg", diagnosis->sentence);
	end_line(session, &line);
}

static void enter(struct session *session, enum session_state state)
{
	struct log_line line;

	if (session->state == state)
		return;
	session->state = state;
	if (log_begin(&line, LOG_DEBUG, "session-state")) {
		log_int(&line, "id", (int64_t)session->id);
		log_str(&line, "state", session_state_name(state));
		log_end(&line);
	}
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
	http_flow_free(session->flow);
	relay_set_unref(session->set);
	free(session->diagnosis);
	free(session);
	atomic_fetch_sub(&context->totals->open, 1);
	if (context->session_count == 0 && context->on_empty != NULL)
		context->on_empty(context->arg);
}

/* From anywhere, any number of times; the first diagnosis that was set stays. */
static void session_close(struct session *session)
{
	bool clean = session->diagnosis == NULL;

	if (session->state == SESSION_CLOSED)
		return;
	event_del(session->timer);
	cert_outcome_end(&session->cert, diagnosis_of(session));
	log_session(session);
	enter(session, SESSION_CLOSED);
	asking_cancel(session->asking);
	session->asking = NULL;
	greeting_cancel(session->greeting);
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

static void refuse(struct session *session, enum refusal_client client)
{
	struct refusal_params params = {
	    .loop = session->context->loop,
	    .watch = session->client,
	    .stream = session->client_stream,
	    .diagnosis = diagnosis_of(session),
	    .explain = session->route->config->explain == CONFIG_EXPLAIN_AUTO,
	    .client = client,
	    .on_done = on_refused,
	    .arg = session,
	};

	cert_outcome_end(&session->cert, diagnosis_of(session));
	enter(session, SESSION_REFUSING);
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
		enter(session, SESSION_HALF_CLOSED);
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
	return diagnosis_of(session)->code == DIAGNOSIS_LOCAL_SPOKE_TLS ||
	    diagnosis_info(diagnosis_of(session)->code)->stage == DIAGNOSIS_STAGE_CLIENT_CERT;
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
	if (diagnosis_of(session)->code == DIAGNOSIS_LOCAL_SPOKE_TLS)
		client = REFUSAL_CLIENT_TLS;
	session->client = pump_release_client(pump, &session->client_stream);
	refuse(session, client);
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

static void start_relaying(struct session *session, struct tunnel *tunnel)
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
	enter(session, SESSION_RELAYING);
	pump_start(&session->pump, &params);
	if (session->state == SESSION_RELAYING || session->state == SESSION_HALF_CLOSED)
		set_pump_deadline(session);
}

/* ---- dialing ---- */

static void on_path(void *arg, const struct relay_path *path, const struct diagnosis *diagnosis,
    const struct judge_evidence *evidence)
{
	const struct session *session = arg;

	path_log_state(session->route->config, path, diagnosis, evidence);
}

static void on_notice(void *arg, const struct relay_path *path, enum relay_path_notice notice,
    const struct judge_evidence *evidence)
{
	const struct session *session = arg;

	path_log_notice(session->route->config, path, notice, evidence);
}

/* While there is a tunnel, too: a server says only then that it does not take our certificate (TLS 1.3). */
static void on_trace(void *arg, const char *text)
{
	const struct session *session = arg;
	const struct relay_path *path = session->reach != NULL ? reach_path(session->reach) : session->path;

	path_log_trace(session->route->config, path, session->id, text);
}

static void on_reached(void *arg, struct reach_result *result)
{
	struct session *session = arg;

	session->reach = NULL;
	session->path = result->path;
	session->times = result->times;
	session->wait_us = result->wait_us;
	if (!session->connects) {
		cert_outcome_begin(&session->cert, session->route, result->path,
		    session->context->loop->index, &result->use);
		ready_dial_ended(session->context->ready, session->route, result->tunnel != NULL ?
		    READY_DIAL_WORKED : READY_DIAL_FAILED);
	}
	if (result->tunnel != NULL) {
		start_relaying(session, result->tunnel);
		return;
	}
	*diagnosis_need(&session->diagnosis) = result->diagnosis;
	if (result->diagnosis.code == DIAGNOSIS_LOCAL_LIMIT)
		ready_give_way(session->context->ready);
	refuse(session, session->flow != NULL ? REFUSAL_CLIENT_HTTP : REFUSAL_CLIENT_UNKNOWN);
}

/* `connect_only`: NULL for the target. */
static void start_dialing(struct session *session, const struct hostport *connect_only)
{
	struct reach_params params = {
	    .loop = session->context->loop,
	    .resolver = session->context->resolver,
	    .route = session->route,
	    .on_path = on_path,
	    .on_notice = on_notice,
	    .trace = log_wants(LOG_DEBUG) ? on_trace : NULL,
	    .on_done = on_reached,
	    .arg = session,
	    .connect_only = connect_only,
	};

	enter(session, SESSION_DIALING);
	if (connect_only == NULL)
		ready_dial_begun(session->context->ready);
	session->reach = reach_start(&params);
}

/* The stages of a tunnel that was ready are not the client's time, and have no place in its line. */
static bool take_ready(struct session *session)
{
	struct ready_pool *pool = ready_find(session->context->ready, session->route);
	struct ready_tunnel ready;

	session->ready_asked = session->route->config->ready_tunnels != CONFIG_READY_OFF;
	if (pool == NULL || !ready_take(pool, false, &ready))
		return false;
	session->ready_hit = true;
	session->path = ready.path;
	cert_outcome_begin(&session->cert, session->route, ready.path, session->context->loop->index, &ready.use);
	start_relaying(session, ready.tunnel);
	return true;
}

static void find_tunnel(struct session *session)
{
	if (!take_ready(session))
		start_dialing(session, NULL);
}

/* ---- greeting ---- */

static void on_nothing(void *arg, bool readable, bool writable)
{
}

static void on_greeted(void *arg, const struct greeting_result *result)
{
	struct session *session = arg;

	session->greeting = NULL;
	session->client = result->client;
	session->client_stream = result->stream;
	watch_set_owner(session->client, on_nothing, NULL);
	if (result->stream == NULL) {
		*diagnosis_need(&session->diagnosis) = result->diagnosis;
		refuse(session, result->refusal);
		return;
	}
	session->local_tls = stream_version(result->stream);
	find_tunnel(session);
}

void session_greet(struct session *session, const void *prefix, size_t prefix_len)
{
	struct greeting_params params = {
	    .loop = session->context->loop,
	    .route = session->route,
	    .client = session->client,
	    .prefix = prefix,
	    .prefix_len = prefix_len,
	    .on_done = on_greeted,
	    .arg = session,
	};

	enter(session, SESSION_GREETING);
	session->greeting = greeting_start(&params);
	if (session->greeting == NULL) {
		diagnosis_set(diagnosis_need(&session->diagnosis), DIAGNOSIS_LOCAL_LIMIT, "no memory for TLS with the client");
		diagnosis_set_cause(diagnosis_need(&session->diagnosis), DIAGNOSIS_CAUSE_LIMIT_MEMORY);
		refuse(session, REFUSAL_CLIENT_OTHER);
		return;
	}
	session->client = NULL;
}

/* ---- asking ---- */

/*
 * A CONNECT to the target is never passed through, since it would go around our client certificate.  With a
 * certificate for the target's name the client gets what it would get at a tls:// listener.
 */
static void connect_to_target(struct session *session, const struct diagnosis *denied)
{
	static const char answer[] = CONNECTED;
	struct http_lane *lane = &session->flow->lanes[HTTP_FLOW_UP];

	if (session->route->local == NULL) {
		*diagnosis_need(&session->diagnosis) = *denied;
		refuse(session, REFUSAL_CLIENT_HTTP);
		return;
	}
	/* The first bytes on a fresh socket, whose buffer takes them. */
	if (send(watch_fd(session->client), answer, sizeof(answer) - 1, MSG_NOSIGNAL) != (ssize_t)sizeof(answer) - 1) {
		diagnosis_set(diagnosis_need(&session->diagnosis), DIAGNOSIS_RELAY_RESET,
		    "the client closed the connection behind its CONNECT");
		session_close(session);
		return;
	}
	session->pump.client.bytes = 0; /* from here on what counts is inside TLS */
	session_greet(session, lane->in != NULL ? lane->in + lane->in_off : NULL,
	    lane->in_len - lane->in_off);
	http_flow_free(session->flow);
	session->flow = NULL;
}

static void start_connect(struct session *session)
{
	const struct http_request_head *head = http_relay_request_head(session->flow->http);
	struct diagnosis diagnosis = {.code = DIAGNOSIS_OK};
	struct hostport at;

	session->flow->requests++;
	switch (connect_face_judge(session->route, head->host, head->port, &diagnosis)) {
	case CONNECT_FACE_ALLOWED:
		at = connect_face_host(head->host, head->port);
		session->connects = true;
		start_dialing(session, &at);
		hostport_clear(&at);
		break;
	case CONNECT_FACE_TARGET:
		connect_to_target(session, &diagnosis);
		break;
	case CONNECT_FACE_DENIED:
		*diagnosis_need(&session->diagnosis) = diagnosis;
		refuse(session, REFUSAL_CLIENT_HTTP);
		break;
	}
}

static void on_asked(void *arg, struct asking_result *result)
{
	struct session *session = arg;

	session->asking = NULL;
	session->flow = result->flow;
	session->pump.client.bytes = result->bytes;
	if (result->diagnosis.code != DIAGNOSIS_OK)
		*diagnosis_need(&session->diagnosis) = result->diagnosis;
	switch (result->end) {
	case ASKING_REQUEST:
		find_tunnel(session);
		break;
	case ASKING_CONNECT:
		start_connect(session);
		break;
	case ASKING_REFUSED:
		refuse(session, result->diagnosis.code == DIAGNOSIS_LOCAL_SPOKE_TLS ? REFUSAL_CLIENT_TLS :
		    REFUSAL_CLIENT_HTTP);
		break;
	case ASKING_LEFT:
		session_close(session);
		break;
	}
}

static void start_asking(struct session *session)
{
	struct asking_params params = {
	    .loop = session->context->loop,
	    .watch = session->client,
	    .route = session->route,
	    .on_done = on_asked,
	    .arg = session,
	};

	enter(session, SESSION_ASKING);
	session->asking = asking_start(&params);
	if (session->asking == NULL) {
		diagnosis_set(diagnosis_need(&session->diagnosis), DIAGNOSIS_LOCAL_LIMIT, "no timer for a client");
		refuse(session, REFUSAL_CLIENT_UNKNOWN);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct session *session = arg;

	switch (session->state) {
	case SESSION_RELAYING:
	case SESSION_HALF_CLOSED:
		on_pump_timer(session);
		break;
	case SESSION_ASKING:   /* asking keeps its own */
	case SESSION_GREETING: /* greeting keeps tls_timeout */
	case SESSION_DIALING:  /* reach keeps setup_timeout */
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
			start_asking(session);
		else
			find_tunnel(session);
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
	refuse(session, REFUSAL_CLIENT_UNKNOWN);
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
	session->client = watch_new(context->loop, params->fd, on_nothing, NULL);
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
	judge_client(session, params);
	return true;
}

unsigned session_cut_all(struct session_context *context)
{
	struct session *session;
	unsigned count = 0;

	TAILQ_FOREACH(session, &context->sessions, entry) {
		if (session->state == SESSION_CLOSED)
			continue;
		count++;
		diagnosis_set(diagnosis_need(&session->diagnosis), DIAGNOSIS_RELAY_DRAINED, "midrelay stopped (drain_timeout)");
		session_close(session);
	}
	return count;
}
