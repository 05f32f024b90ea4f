/*
 * session_internal: a client's life as session.c (states, ends), session_way.c (from a client to its tunnel) and
 * session_line.c (what is told and counted of it) share it; for nobody else.
 */
#ifndef MIDRELAY_RELAY_SESSION_INTERNAL_H
#define MIDRELAY_RELAY_SESSION_INTERNAL_H

#include "dial/reach.h"
#include "relay/asking.h"
#include "relay/cert_outcome.h"
#include "relay/greeting.h"
#include "relay/pump.h"
#include "relay/refusal.h"
#include "relay/session.h"

/* RFC 9110 section 9.3.6: a 2xx to CONNECT has no body. */
/*
 * How often a client that is dialled for is looked at: one that has reset leaves its place to others.  By looking, since
 * its bytes are not read yet, and would wake the loop; one that is done sending may still want the answer.
 */
#define SESSION_LOOK_MS 500
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
	bool reuse_asked, reused;    /* http_reuse: this client's tunnel may come from another client; it did */
	struct ready_tunnel origin;  /* of its tunnel, for the next client; without tunnel and use */
};

/* ---- session.c ---- */

/* From anywhere, any number of times; the first diagnosis that was set stays. */
void session_close(struct session *session);
/* The client is told why, as far as it can be, and then closed. */
void session_refuse(struct session *session, enum refusal_client client);
/* Takes the tunnel. */
void session_relay(struct session *session, struct tunnel *tunnel);

/* ---- session_way.c ---- */

/* A tunnel that is there already, or a dial. */
void session_find_tunnel(struct session *session);
/* mode = http: the first request's head first. */
void session_ask(struct session *session);
/* A descriptor's call-back while nobody waits for it. */
void session_idle(void *arg, bool readable, bool writable);

/* ---- session_line.c ---- */

/* What went wrong, or diagnosis_ok. */
const struct diagnosis *session_diagnosis(const struct session *session);
void session_enter(struct session *session, enum session_state state);
/* The one line of its end. */
void session_log(const struct session *session);
void session_count(const struct session *session, enum relay_count what, uint64_t more);
void session_count_end(const struct session *session);

#endif
