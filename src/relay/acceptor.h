/*
 * acceptor: takes connections from listening sockets and gives them to sessions, on one loop or on several in turn.
 *
 * It lives in one loop and knows, for each listening socket, the route that new clients get.  A reload gives it a new
 * plan; what was accepted before keeps its route.
 */
#ifndef MIDRELAY_RELAY_ACCEPTOR_H
#define MIDRELAY_RELAY_ACCEPTOR_H

#include <stddef.h>

#include "dial/relay_route.h"
#include "relay/session.h"

/* A listening socket and who is served there. */
struct acceptor_entry {
	int fd;                    /* non-blocking; borrowed */
	struct relay_route *route; /* counted by the acceptor through its set */
	bool tls;                  /* clients make TLS with us there */
};

struct acceptor;

/* Accepted connections go to the contexts in turn; contexts[0] must belong to `loop`. */
struct acceptor *acceptor_new(struct loop *loop, struct session_context *const *contexts, unsigned context_count);
void acceptor_free(struct acceptor *acceptor);

/*
 * Takes the clients who wait at this socket, which is going to be closed: the kernel has told them that they are in, and
 * would reset them.
 */
void acceptor_take_waiting(struct acceptor *acceptor, int fd);

/* Listens at exactly these sockets from now on.  False when a socket could not be watched: the others are. */
bool acceptor_apply(struct acceptor *acceptor, const struct acceptor_entry *entries, size_t count);

#endif
