/*
 * session_way: from a client to its tunnel: TLS with it (tls://), its first request (mode = http), a tunnel that is
 * ready or was used before, or a dial; see session_internal.h.
 */
#include <sys/socket.h>

#include "base/mem.h"
#include "relay/connect_face.h"
#include "relay/path_log.h"
#include "relay/session_internal.h"

void session_idle(void *arg, bool readable, bool writable)
{
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
		session->origin.path = result->path;
		ready_note(session->context->ready, session->route, &session->origin);
		session_relay(session, result->tunnel);
		return;
	}
	*diagnosis_need(&session->diagnosis) = result->diagnosis;
	if (result->diagnosis.code == DIAGNOSIS_LOCAL_LIMIT)
		ready_give_way(session->context->ready);
	session_refuse(session, session->flow != NULL ? REFUSAL_CLIENT_HTTP : REFUSAL_CLIENT_UNKNOWN);
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

	session_enter(session, SESSION_DIALING);
	loop_timer_add(session->timer, SESSION_LOOK_MS);
	if (connect_only == NULL)
		ready_dial_begun(session->context->ready);
	session->reach = reach_start(&params);
}

/* The stages of a tunnel that was there already are not the client's time, and have no place in its line. */
static void relay_over(struct session *session, const struct ready_tunnel *ready)
{
	session->path = ready->path;
	session->origin = *ready;
	session->origin.tunnel = NULL;
	session->origin.use = (struct identity_use){0};
	cert_outcome_begin(&session->cert, session->route, ready->path, session->context->loop->index, &ready->use);
	session_relay(session, ready->tunnel);
}

/* Only a request that does no harm when it may or may not have been acted on goes over a used tunnel. */
static bool take_used(struct session *session)
{
	const struct http_request_head *head;
	struct ready_tunnel used;

	if (session->flow == NULL || session->route->config->http_reuse != CONFIG_HTTP_REUSE_SAFE)
		return false;
	session->reuse_asked = true;
	head = http_relay_request_head(session->flow->http);
	if (!head->safe_method || head->upgrade ||
	    !ready_reuse(session->context->ready, session->route, session->uid, &used))
		return false;
	session->reused = true;
	http_flow_wait_for_first(session->flow);
	relay_over(session, &used);
	return true;
}

static bool take_ready(struct session *session)
{
	struct ready_pool *pool = ready_find(session->context->ready, session->route);
	struct ready_tunnel ready;

	session->ready_asked = session->route->config->ready_tunnels != CONFIG_READY_OFF;
	if (pool == NULL || !ready_take(pool, &ready))
		return false;
	session->ready_hit = true;
	relay_over(session, &ready);
	return true;
}

void session_find_tunnel(struct session *session)
{
	if (!take_used(session) && !take_ready(session))
		start_dialing(session, NULL);
}

/* ---- greeting ---- */

static void on_greeted(void *arg, const struct greeting_result *result)
{
	struct session *session = arg;

	session->greeting = NULL;
	session->client = result->client;
	session->client_stream = result->stream;
	watch_set_owner(session->client, session_idle, NULL);
	if (result->stream != NULL) {
		session->local_tls = stream_version(result->stream);
		session_find_tunnel(session);
		return;
	}
	if (result->diagnosis.code != DIAGNOSIS_OK)
		*diagnosis_need(&session->diagnosis) = result->diagnosis;
	if (result->left)
		session_close(session);
	else
		session_refuse(session, result->refusal);
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

	session_enter(session, SESSION_GREETING);
	session->greeting = greeting_start(&params);
	if (session->greeting == NULL) {
		diagnosis_set(diagnosis_need(&session->diagnosis), DIAGNOSIS_LOCAL_LIMIT, "no memory for TLS with the client");
		diagnosis_set_cause(diagnosis_need(&session->diagnosis), DIAGNOSIS_CAUSE_LIMIT_MEMORY);
		session_refuse(session, REFUSAL_CLIENT_OTHER);
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
		session_refuse(session, REFUSAL_CLIENT_HTTP);
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
		session_refuse(session, REFUSAL_CLIENT_HTTP);
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
		session_find_tunnel(session);
		break;
	case ASKING_CONNECT:
		start_connect(session);
		break;
	case ASKING_REFUSED:
		session_refuse(session, result->diagnosis.code == DIAGNOSIS_LOCAL_SPOKE_TLS ? REFUSAL_CLIENT_TLS :
		    REFUSAL_CLIENT_HTTP);
		break;
	case ASKING_LEFT:
		session_close(session);
		break;
	}
}

void session_ask(struct session *session)
{
	struct asking_params params = {
	    .loop = session->context->loop,
	    .watch = session->client,
	    .route = session->route,
	    .on_done = on_asked,
	    .arg = session,
	};

	session_enter(session, SESSION_ASKING);
	session->asking = asking_start(&params);
	if (session->asking == NULL) {
		diagnosis_set(diagnosis_need(&session->diagnosis), DIAGNOSIS_LOCAL_LIMIT, "no timer for a client");
		session_refuse(session, REFUSAL_CLIENT_UNKNOWN);
	}
}
