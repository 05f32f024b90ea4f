/*
 * resolver: names to addresses by getaddrinfo, in helper threads, so that no loop ever waits for a name
 * server.
 *
 * One for the process.  Questions for the same name that are under way are asked once; an answer serves
 * further questions for RESOLVER_FRESH_MS.  The last good answer of a name is kept for the times when the
 * resolver is slow or says "try again".
 */
#ifndef MIDRELAY_DIAL_RESOLVER_H
#define MIDRELAY_DIAL_RESOLVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "loop/loop.h"

#define RESOLVER_FRESH_MS 5000
/*
 * One name that hangs must not hold up another: a thread more for each question that finds none idle, up to
 * this many; one that has been idle for RESOLVER_IDLE_S ends.
 */
#define RESOLVER_THREADS 64
#define RESOLVER_IDLE_S 60
#define RESOLVER_MAX_ADDRS 16

struct resolver_answer {
	int gai_error;     /* 0, or EAI_…; gai_strerror() has the words */
	bool stale;        /* the last good answer, because the resolver did not answer */
	size_t count;      /* in getaddrinfo's order (RFC 6724), without port */
	struct addr addrs[RESOLVER_MAX_ADDRS];
};

struct resolver;
struct resolver_query;

/* Called from the asking loop, once; never from inside resolver_ask, never after resolver_query_cancel. */
typedef void resolver_done_fn(void *arg, const struct resolver_answer *answer);

struct resolver *resolver_new(void);
/* Nothing is posted to a loop any more, nor answered: before the first loop that asked is freed. */
void resolver_close(struct resolver *resolver);
/* It is closed.  A thread that hangs in getaddrinfo is left behind with what it needs. */
void resolver_free(struct resolver *resolver);

struct resolver_query *resolver_ask(struct resolver *resolver, struct loop *loop, const char *host,
    resolver_done_fn *done, void *arg);
void resolver_query_cancel(struct resolver_query *query); /* NULL is fine */

/* The last good answer for a name, if there ever was one. */
bool resolver_last_good(struct resolver *resolver, const char *host, struct resolver_answer *answer);

#endif
