/*
 * relay_route: a relay ready to be dialled: its configuration, its identity, and its paths with their state.
 *
 * All routes of one configuration are built together, or none is, and live as long as anyone counts on them:
 * a reload builds a new set, and a session keeps the set that it was born with.  Immutable, but for the state
 * of the paths (atomic) and the TLS sessions (one slot for each loop, used by that loop alone).
 */
#ifndef MIDRELAY_DIAL_RELAY_ROUTE_H
#define MIDRELAY_DIAL_RELAY_ROUTE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/secret.h"
#include "config/config.h"
#include "dial/diagnosis.h"
#include "dial/dial_gate.h"
#include "dial/identity_choice.h"
#include "dial/relay_secrets.h"
#include "http/http_relay.h"
#include "tls/cert_end.h"
#include "tls/identity.h"
#include "tls/local_identity.h"
#include "tls/stream.h"

/* How long a path that failed is left alone. */
#define RELAY_PATH_REST_MS 30000

/* Whether to dial a path now. */
enum relay_path_choice {
	RELAY_PATH_USE,   /* it works as far as is known */
	RELAY_PATH_TRY,   /* its rest is over, and the caller is the one dial that tries it */
	RELAY_PATH_RESTS, /* it failed lately, or another dial is trying it */
};

struct relay_path_state {
	atomic_llong rest_until_ms; /* 0: not resting */
	atomic_bool on_trial;
	atomic_int last_code; /* of its last dial: enum diagnosis_code */
	atomic_bool told_failed;    /* and not yet that it works again; survives a reload */
	/* why it is judged inspected and used all the same: enum judge_reason, 0: it is not */
	atomic_uint inspected;
	atomic_bool told_in_clear;  /* that our certificate crosses it readable */
	atomic_bool told_leaf_pin;
	/* does a ClientHello behind the CONNECT arrive? enum relay_path_pipeline; see dial_pipeline.c */
	atomic_int pipeline;
	atomic_llong pipeline_refused_until_ms;
	atomic_uint failures;     /* so far; a tunnel that is older than the last one is not kept for later */
	/* whether its server sends tickets behind a full handshake, and behind a resumed one */
	atomic_bool tickets[2];
};

enum relay_path_pipeline {
	RELAY_PIPELINE_UNKNOWN, /* nor does it work without, as far as is known */
	RELAY_PIPELINE_READY,   /* it works without: the next dial may try */
	RELAY_PIPELINE_TRIAL,   /* a dial is trying */
	RELAY_PIPELINE_WORKS,
	RELAY_PIPELINE_REFUSED, /* until then */
};

enum relay_path_choice relay_path_choose(struct relay_path_state *state, int64_t now_ms);
/* True when it had been failing, and that was told. */
bool relay_path_worked(struct relay_path_state *state);
/*
 * True when this is news: it had worked, or failed with another code.  `rests`: leave it alone for a while.
 */
bool relay_path_failed(struct relay_path_state *state, enum diagnosis_code code, bool rests, int64_t now_ms);
/* What was told of the same path before a reload, and would be wrong if it were forgotten. */
void relay_path_inherit(struct relay_path_state *state, const struct relay_path_state *before);
/* A dial that came to no verdict (cancelled, no descriptor): the next may try. */
void relay_path_undecided(struct relay_path_state *state);

/* What a dial showed that is worth a line, once for each path. */
enum relay_path_notice {
	RELAY_PATH_INSPECTED,       /* and used all the same; again whenever the reasons change */
	RELAY_PATH_NOT_INSPECTED,   /* any more */
	RELAY_PATH_CERT_IN_CLEAR,   /* TLS 1.2 showed our certificate to all on the path */
	/* `pin` matches the server's own key alone, which ends with its certificate */
	RELAY_PATH_PIN_ON_LEAF,
	/* its proxy loses a ClientHello behind the CONNECT; again when that has changed in between */
	RELAY_PATH_PIPELINE_OFF,
};
const char *relay_path_notice_name(enum relay_path_notice notice); /* the log event */

/* Calls `tell` for each notice that is news.  `evidence`: of a server that got a tunnel; else NULL. */
typedef void relay_path_notice_fn(void *arg, enum relay_path_notice notice);
void relay_path_noticed(struct relay_path_state *state, const struct judge_evidence *evidence,
    bool cert_in_clear, relay_path_notice_fn *tell, void *arg);

struct relay_path {
	const struct config_path *config; /* borrowed from the set */
	struct secret *request;           /* the CONNECT head; NULL for direct */
	struct tls_session_slot *slots;   /* one for each loop; sessions with the target alone */
	struct tls_session_slot *old_slots; /* the same under the old certificate; see identity_choice.h */
	/*
	 * For an https:// proxy, else NULL: nothing of the target's identity and sessions is ever used for
	 * it.
	 */
	struct identity *proxy_identity;
	struct tls_session_slot *proxy_slots;
	struct relay_path_state state;
	/* when the server's chain ends that was verified last; 0: none was */
	atomic_llong server_end_s;
	_Atomic(struct cert_end *) server_end;  /* the same with names, until it is taken */
};

struct relay_route {
	struct relay_set *set;             /* borrowed: the set owns its routes */
	const struct config_relay *config; /* borrowed from the set */
	char *target_text;                 /* "host:port" */
	struct identity *identity;         /* the configured one; a dial goes under the one that was picked */
	struct identity_choice choice;
	struct addr source;                /* len 0: the kernel chooses */
	struct addr target_address;        /* len 0: resolve */
	struct relay_path *paths;
	size_t path_count;
	struct dial_gate *gates;           /* one for each loop, used by that loop alone */
	struct http_rules http_rules;      /* with mode = http */
	char **own_hosts;                  /* of the rules: the listen addresses; ends in NULL */
	/* for clients of tls://; NULL: no listen_cert, or its local CA was not made (never in `run`) */
	struct local_identity *local;
};

struct relay_set {
	atomic_uint count;
	struct config *config;
	struct relay_route *routes;
	size_t route_count;
	unsigned loop_count;
	struct relay_secrets secrets; /* those that were sealed, opened */
	struct addr *listens;         /* where this process listens for it; see relay_set_note_listen() */
	size_t listen_count;
	/* in a worker's loop; set before workers know the set; may be NULL */
	void (*on_server_seen)(void *arg);
	void *on_server_seen_arg;
};

/*
 * Opens every file and secret that the configuration names.  Takes the configuration on success only; on
 * failure every fault found is in the report, at the line of the key that names the file, and NULL is
 * returned.  `previous` (may be NULL, borrowed during the call) has opened sealed secrets that no key may be
 * able to open any more, and knows the certificates that were accepted.
 */
struct relay_set *relay_set_new(struct config *config, unsigned loop_count, const struct relay_set *previous,
    struct config_report *report);
/*
 * For the set that takes over from `before`, before workers know it: what was told of paths that it has too.
 */
void relay_set_inherit(struct relay_set *set, const struct relay_set *before);
struct relay_set *relay_set_ref(struct relay_set *set);
void relay_set_unref(struct relay_set *set); /* NULL is fine */

/*
 * A full handshake on this path has worked.  When the server's chain ends at another time than the last one
 * did, that is left for relay_path_take_server(), and on_server_seen() is called.
 */
void relay_path_saw_server(struct relay_set *set, struct relay_path *path, const struct stream *stream);
/* What was left last, for the caller to free, or NULL; any thread. */
struct cert_end *relay_path_take_server(struct relay_path *path);

/*
 * Where the sessions of this path and loop are kept for such a use (NULL: of the configured certificate);
 * NULL: nowhere, since a session keeps the server's old verdict on our certificate, and a trial asks for a
 * new one.
 */
struct tls_session_slot *relay_path_slot(const struct relay_path *path, unsigned loop_index,
    const struct identity_use *use);
/*
 * False: the client certificate is expired or not yet valid (see the diagnosis), and nothing is to be dialled
 * with it.
 */
bool relay_route_cert_is_usable(const struct identity *identity, struct diagnosis *diagnosis);

/*
 * Where a socket of the set's relays listens in fact, as the configuration may leave it to the kernel or the
 * service manager.  Before workers know the set.
 */
void relay_set_note_listen(struct relay_set *set, const struct addr *addr);
/* Whether this is where one of the set's relays listens. */
bool relay_set_listens_at(const struct relay_set *set, const struct addr *addr);

#endif
