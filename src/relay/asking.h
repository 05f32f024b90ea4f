/*
 * asking: a client with mode = http until its first request's head is whole, before anything is dialled.
 *
 * It may be silent for idle_timeout; from its first byte the head has setup_timeout.  What it sent beyond the
 * head waits in the flow, at most one read; the rest waits in the kernel.
 */
#ifndef MIDRELAY_RELAY_ASKING_H
#define MIDRELAY_RELAY_ASKING_H

#include <stdint.h>

#include "dial/relay_route.h"
#include "loop/loop.h"
#include "relay/http_flow.h"

enum asking_end {
	ASKING_REQUEST, /* to be dialled for; the flow has the head */
	ASKING_CONNECT, /* see http_relay_request_head() of the flow's http */
	ASKING_REFUSED, /* see the diagnosis */
	ASKING_LEFT,    /* gone, or silent for too long; see the diagnosis, which may be DIAGNOSIS_OK */
};

struct asking_result {
	enum asking_end end;
	struct http_flow *flow; /* the receiver's */
	uint64_t bytes;         /* that were read */
	struct diagnosis diagnosis;
};

struct asking_params {
	struct loop *loop;
	struct watch *watch;             /* borrowed until done or cancelled; left without interest */
	const struct relay_route *route; /* borrowed until done or cancelled */
	/* Called once, from the loop, never after asking_cancel; the asking is gone then. */
	void (*on_done)(void *arg, struct asking_result *result);
	void *arg;
};

struct asking;

/* NULL when there is no memory for its timer. */
struct asking *asking_start(const struct asking_params *params);
void asking_cancel(struct asking *asking); /* NULL is fine */

#endif
