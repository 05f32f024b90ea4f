/*
 * connect: TCP to the first of several addresses that answers (RFC 8305: families alternate, the next attempt starts
 * 250 ms after the last one or as soon as that one fails, the first to connect wins).
 */
#ifndef MIDRELAY_DIAL_CONNECT_H
#define MIDRELAY_DIAL_CONNECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/addr.h"
#include "loop/loop.h"

#define CONNECT_ATTEMPT_DELAY_MS 250

struct connect_params {
	struct loop *loop;
	const struct addr *addrs; /* with port, in order of preference; copied */
	size_t count;             /* at least 1 */
	const struct addr *source; /* NULL, or where to dial from: addresses of the other family are left out */
};

struct connect_result {
	struct watch *watch; /* the connected descriptor, now the receiver's; NULL: none connected */
	struct addr addr;    /* of the one that connected, or of the one whose error is told */
	int error;           /* errno of the first attempt that failed */
	bool bad_source;     /* that attempt failed because of the address to dial from */
};

struct connector;

/* Called once, never from inside connector_start, never after connector_cancel; the connector is gone then. */
typedef void connect_done_fn(void *arg, const struct connect_result *result);

struct connector *connector_start(const struct connect_params *params, connect_done_fn *done, void *arg);
void connector_cancel(struct connector *connector); /* NULL is fine */

/* TCP_NODELAY and keep-alive; of a listening socket, for all that it accepts. */
void connect_tune(int fd, int64_t keepalive_ms);
/*
 * Keep-alive alone; 0: off.  What a connector made has TCP_NODELAY only: whoever lets it wait, in silence and without a
 * deadline of seconds, calls this.
 */
void connect_keep_alive(int fd, int64_t keepalive_ms);

#endif
