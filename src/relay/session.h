/*
 * session: one client's life, from accept to close.
 *
 *	GREETING (tls://: TLS with the client) or ASKING (mode = http: the first request's head) →
 *	DIALING → RELAYING → HALF_CLOSED → CLOSED
 *	       ↘ REFUSING ↗ (from GREETING and ASKING, too)
 *
 * Every state has a deadline, and every session that had a tunnel ends in one `session` line.  Those that had
 * none are failures, which log_limit counts.
 */
#ifndef MIDRELAY_RELAY_SESSION_H
#define MIDRELAY_RELAY_SESSION_H

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/queue.h>

#include "dial/relay_route.h"
#include "dial/resolver.h"
#include "loop/loop.h"
#include "relay/ready.h"

/* Counted over all loops. */
struct session_totals {
	atomic_uint open;
	atomic_ullong begun;
	atomic_ullong certs_refused; /* sessions whose first answer was instance-cert-refused */
	struct ready_totals ready;
};

TAILQ_HEAD(session_list, session);

/* What the sessions of one loop share.  on_empty is called when the last one has gone. */
struct session_context {
	struct loop *loop;
	struct resolver *resolver;      /* borrowed */
	struct session_totals *totals;  /* borrowed */
	struct session_list sessions;
	unsigned session_count;
	struct ready *ready; /* borrowed; set before the first session */
	void (*on_empty)(void *arg);
	void *arg;
};

void session_context_init(struct session_context *context, struct loop *loop, struct resolver *resolver,
    struct session_totals *totals);

enum session_verdict {
	SESSION_WELCOME,
	SESSION_OVER_LIMIT,
	SESSION_STRANGER,      /* its address is not in allow_address */
	SESSION_OTHER_USER,    /* its account is not in allow_user */
	SESSION_NOBODYS,       /* whose it is cannot be told */
};

struct session_params {
	struct session_context *context;
	struct relay_route *route; /* the session takes a count on its set */
	int fd;                    /* non-blocking; the session takes it */
	struct addr peer;
	enum session_verdict verdict;
	int64_t uid;               /* the client's account, -1: not known */
	const char *doubt;         /* SESSION_NOBODYS: why it is not; borrowed */
	bool tls;                  /* the client makes TLS with us: see session_greet() */
};

/* False when there is no memory for its events: the client was reset. */
bool session_start(const struct session_params *params);

struct session;

/*
 * Begins TLS with the client, and dials when that stands; nothing was dialled yet.  The route has a `local`.
 * `prefix` (copied): what was read from the client already.  From there on the client's bytes are relayed
 * untouched, and refusals are told inside TLS.
 */
void session_greet(struct session *session, const void *prefix, size_t prefix_len);

/* Ends all sessions of the loop with relay-drained; returns how many there were. */
unsigned session_cut_all(struct session_context *context);

#endif
