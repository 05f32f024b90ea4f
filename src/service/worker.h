/*
 * worker: one thread with one loop and the sessions in it.
 */
#ifndef MIDRELAY_SERVICE_WORKER_H
#define MIDRELAY_SERVICE_WORKER_H

#include <pthread.h>

#include "relay/acceptor.h"
#include "relay/session.h"

struct worker {
	struct loop *loop;
	struct session_context context;
	struct acceptor *acceptor; /* the first worker's only */
	pthread_t thread;
	bool started;
};

bool worker_init(struct worker *worker, unsigned index, struct resolver *resolver, struct session_totals *totals,
    struct error *err) MUST_CHECK;
/* All signals stay with the calling thread. */
bool worker_start(struct worker *worker, struct error *err) MUST_CHECK;
/* Runs `fn` in the worker's loop, and then `then` (may be NULL) in `back`'s. */
void worker_call(struct worker *worker, void (*fn)(struct worker *worker, void *arg), void *arg, struct loop *back,
    void (*then)(void *arg));
/* Ends the loop, waits for the thread, frees what the worker holds. */
void worker_end(struct worker *worker);

#endif
