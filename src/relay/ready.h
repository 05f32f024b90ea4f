/*
 * ready: tunnels that were dialled and verified ahead of need, so that a new client need not wait for a dial
 * (`ready_tunnels`, `ready_max_age`).
 *
 * One `struct ready` for each loop, with one pool for each route of the set in force; it belongs to its loop, and
 * nothing of it is shared but the totals.  A pool's tunnels are made by reach, as a client's are, with the same
 * effect on the state of paths; a dial that fails is no session and has no session line.
 *
 * How many: with a number, that number in all loops together (at least one in each), always, each renewed before
 * it is too old.  With auto what ready_demand.h says: as many as clients came together at least twice lately, and
 * none when it is quiet.  Never so many that clients and tunnels exceed max_connections, and none while descriptors
 * are short.  A pool makes READY_DIALS_MAX at a time, and none while more clients are dialling than it would keep:
 * a burst is served by dialling, and the pool's dials do not compete with it.
 *
 * Proof: a tunnel counts as ready when the server has accepted our certificate as far as that can be known.  With
 * TLS 1.2 the handshake says so.  With TLS 1.3 (RFC 8446 4.6.1) a ticket does; a server that has never sent one on
 * this path is given READY_PROOF_MS in which its alert would come.  While a tunnel waits it is watched, and whatever
 * comes but a ticket ends it: an end, an alert, or bytes that nobody asked for.  One more look is taken when it is
 * handed over.  It is never handed over when it is older than ready_max_age, when its path has failed since it was
 * made, or when dials go under another certificate by now.
 *
 * Where a server closes waiting tunnels, the place of each stays empty until it would have been renewed anyway.  When
 * no path can be dialled, a pool rests for READY_REST_MS or until a client's dial works; when our certificate was
 * refused, for READY_REST_MS.
 */
#ifndef MIDRELAY_RELAY_READY_H
#define MIDRELAY_RELAY_READY_H

#include <stdatomic.h>
#include <stdbool.h>

#include "dial/dial.h"
#include "dial/relay_route.h"
#include "dial/resolver.h"
#include "loop/loop.h"

#define READY_DIALS_MAX 4
#define READY_PROOF_MS 1000
#define READY_REST_MS RELAY_PATH_REST_MS

/* Counted over all loops. */
struct ready_totals {
	atomic_ullong hits, misses; /* clients that got one, and that did not, where tunnels are kept */
	atomic_ullong made;
	atomic_ullong expired; /* let go: too old, or not wanted any more */
	atomic_ullong died;    /* ended by the server or the path while they waited */
	atomic_ullong failed;  /* dials that came to nothing */
	atomic_uint held;      /* now: waiting, or being dialled */
	atomic_llong short_until_ms; /* loop_now_ms() until which descriptors are taken to be short */
};

/* What a client gets; all of it is the receiver's. */
struct ready_tunnel {
	struct tunnel *tunnel;
	const struct relay_path *path; /* of the route, whose set the receiver counts on */
	struct identity_use use;       /* that it was dialled under, for the outcome to be told */
	bool used;                     /* it has carried a client's bytes before */
};

struct ready;
struct ready_pool;

/* `open`: the clients of all loops.  Everything is borrowed. */
struct ready *ready_new(struct loop *loop, struct resolver *resolver, struct ready_totals *totals,
    const atomic_uint *open);
void ready_free(struct ready *ready); /* NULL is fine */

/* This set is in force: lets go of what was made for another, and begins to keep what it says.  Takes a count. */
void ready_follow(struct ready *ready, struct relay_set *set);
/* Lets go of everything, and keeps nothing any more. */
void ready_close(struct ready *ready);

/* NULL: none are kept for it (`off`, or the route is not of the set in force). */
struct ready_pool *ready_find(struct ready *ready, const struct relay_route *route);
/*
 * A client came: true when it need not dial.  `wants_fresh`: only one that is not `used` will do.  Once for each
 * client, since it is what the demand is measured by.
 */
bool ready_take(struct ready_pool *pool, bool wants_fresh, struct ready_tunnel *tunnel);

/* A client's dial on this loop, so that the pools stand back. */
enum ready_dial { READY_DIAL_WORKED, READY_DIAL_FAILED, READY_DIAL_CUT };
void ready_dial_begun(struct ready *ready);
void ready_dial_ended(struct ready *ready, const struct relay_route *route, enum ready_dial how);

/*
 * A client's first answer was that our certificate is refused: a server may keep that verdict with a TLS session, so
 * nothing that was made before it is handed over.
 */
void ready_cert_refused(struct ready *ready, const struct relay_route *route);

/* Descriptors are short: lets go of what is held, and makes no more for a while.  Other loops follow. */
void ready_give_way(struct ready *ready);

#endif
