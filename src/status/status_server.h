/*
 * status_server: the status endpoint: a listening socket, and a thread with a loop of its own, so that no load on the
 * workers keeps an answer back and no number of requests holds up a worker.
 *
 * Bounded: STATUS_CONNECTIONS_MAX connections (the one that has been waiting longest makes room for a new one), a head of
 * STATUS_HEAD_BYTES that must be complete within STATUS_HEAD_MS of its first byte, whatever its progress, no body, and an
 * answer that must be taken within STATUS_SEND_MS.  (evhttp has neither a limit of connections nor an absolute deadline in
 * libevent 2.1: its time-outs begin anew with every byte.)
 */
#ifndef MIDRELAY_STATUS_STATUS_SERVER_H
#define MIDRELAY_STATUS_STATUS_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/error.h"
#include "status/status_report.h"

#define STATUS_CONNECTIONS_MAX 64
#define STATUS_HEAD_MS 5000
#define STATUS_SEND_MS 10000
#define STATUS_IDLE_MS 75000

struct status_server_params {
	const struct addr *addr; /* borrowed during the call */
	/* How it is; the server's to free.  In the server's thread, as the next. */
	struct status_report *(*report)(void *arg);
	/* NULL: every loop turns; else which does not, the server's to free. */
	char *(*hung)(void *arg);
	void *arg;
};

struct status_server; /* opaque */

/* Binds and listens, as whoever we are now; nothing is answered yet. */
struct status_server *status_server_new(const struct status_server_params *params, struct error *err);
/* Where it listens, with the port that the kernel chose where 0 was wanted. */
const struct addr *status_server_addr(const struct status_server *server);
/* Starts the thread; all signals stay with the calling one. */
bool status_server_start(struct status_server *server, struct error *err) MUST_CHECK;
/* Ends the thread, if it was started, and removes the socket's file.  NULL is fine. */
void status_server_free(struct status_server *server);

#endif
