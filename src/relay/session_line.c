/* session_line: what is told and counted of a client's life; see session_internal.h. */
#include <stdlib.h>

#include "base/log_limit.h"
#include "base/mem.h"
#include "relay/session_internal.h"

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

const struct diagnosis *session_diagnosis(const struct session *session)
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
	    session->path != NULL ? session->path->config->name : "", diagnosis_name(session_diagnosis(session)->code));
	log_limit_end(line, group, 0);
	free(group);
}

void session_log(const struct session *session)
{
	struct log_line line;
	const struct diagnosis *diagnosis = cert_outcome_diagnosis(&session->cert, session_diagnosis(session));

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
	if (session->reuse_asked)
		log_bool(&line, "reused", session->reused);
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

void session_enter(struct session *session, enum session_state state)
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

/* ---- counting ---- */

void session_count(const struct session *session, enum relay_count what, uint64_t more)
{
	relay_stats_add(session->route->stats, session->context->loop->index, what, more);
}

/* Failures of dials to the target were counted where they were dialled. */
static bool is_news(const struct session *session, enum diagnosis_code code)
{
	if (code == DIAGNOSIS_OK || code == DIAGNOSIS_RELAY_IDLE || code == DIAGNOSIS_RELAY_DRAINED)
		return false;
	return session->pumping || session->path == NULL || session->connects;
}

void session_count_end(const struct session *session)
{
	const struct diagnosis *diagnosis = cert_outcome_diagnosis(&session->cert, session_diagnosis(session));

	session_count(session, RELAY_COUNT_BYTES_UP, session->pump.client.bytes);
	session_count(session, RELAY_COUNT_BYTES_DOWN, session->pump.target.bytes);
	if (diagnosis->code == DIAGNOSIS_LOCAL_DENIED)
		session_count(session, RELAY_COUNT_DENIED, 1);
	if (is_news(session, diagnosis->code))
		relay_stats_failed(session->route->stats,
		    session->path != NULL ? session->path->config->name : NULL, diagnosis);
}
