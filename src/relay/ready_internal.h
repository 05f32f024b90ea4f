/* ready_internal: what ready.c and ready_place.c share; for nobody else. */
#ifndef MIDRELAY_RELAY_READY_INTERNAL_H
#define MIDRELAY_RELAY_READY_INTERNAL_H

#include <sys/queue.h>

#include "dial/reach.h"
#include "relay/ready.h"
#include "relay/ready_demand.h"

enum ready_state {
	READY_DIALLING,
	READY_PROVING, /* there is a tunnel; whether the server took our certificate is not known yet */
	READY_WAITING, /* for a client */
	READY_EMPTY,   /* its tunnel died; kept empty until that would have been renewed */
};

/* A tunnel of a pool, from its dial to the client, or its place. */
struct ready_place {
	struct loop_job job; /* first: run() gets it */
	TAILQ_ENTRY(ready_place) entry;
	struct ready_pool *pool; /* borrowed */
	enum ready_state state;
	struct reach *reach;       /* while DIALLING */
	struct ready_tunnel held;  /* while PROVING and WAITING */
	unsigned failures;         /* of its path, when it was made */
	unsigned refusals;         /* of our certificate, when its dial began */
	int64_t made_ms;
	int64_t proof_ms;          /* when PROVING ends by itself */
};

TAILQ_HEAD(ready_places, ready_place);

struct ready_pool {
	struct ready *ready; /* borrowed */
	struct relay_route *route;
	unsigned fixed;      /* 0: as the demand says */
	struct ready_demand demand;
	struct ready_places places; /* the oldest first */
	int64_t rests_until_ms;
	bool rests_until_works;     /* or until a client's dial works */
	unsigned refusals;          /* of our certificate, by first answers */
};

struct ready {
	struct loop *loop;
	struct resolver *resolver;
	struct ready_totals *totals;
	const atomic_uint *open;
	struct relay_set *set; /* NULL: nothing is kept */
	struct ready_pool *pools; /* one for each route of the set */
	struct event *timer;
	unsigned client_dials;
};

/* Has every pool looked after soon, in the loop. */
void ready_wake(struct ready *ready);
void ready_pool_rest(struct ready_pool *pool, bool until_works);

/* Begins a dial for a new place of the pool. */
void ready_place_dial(struct ready_pool *pool);
/* Whether a client could have it, as far as that is known without looking at it. */
bool ready_place_is_good(const struct ready_place *place, int64_t now_ms);
/* Looks whether it lives.  False: it died, and is gone. */
bool ready_place_look(struct ready_place *place);
/* PROVING is over when that is due. */
void ready_place_prove(struct ready_place *place, int64_t now_ms);
/* The tunnel is the caller's now, and the place gone. */
void ready_place_give(struct ready_place *place, struct ready_tunnel *tunnel);
/* Ends the dial or the tunnel, and the place. */
void ready_place_let_go(struct ready_place *place);

#endif
