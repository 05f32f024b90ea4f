/*
 * greeting: the TLS handshake with a local client, before anything is dialled for it.
 */
#ifndef MIDRELAY_RELAY_GREETING_H
#define MIDRELAY_RELAY_GREETING_H

#include <stdbool.h>
#include <stddef.h>

#include "dial/diagnosis.h"
#include "dial/relay_route.h"
#include "loop/loop.h"
#include "relay/refusal.h"

struct greeting_result {
	struct watch *client;        /* the callee's */
	struct stream *stream;       /* the callee's; NULL: no handshake */
	struct diagnosis diagnosis;  /* without stream */
	bool left;                   /* gone without a byte of TLS; the diagnosis may be DIAGNOSIS_OK */
	enum refusal_client refusal; /* without stream: how the client is to be told */
};

struct greeting_params {
	struct loop *loop;
	const struct relay_route *route; /* borrowed; outlives the greeting */
	struct watch *client;            /* the greeting takes it */
	const void *prefix;              /* what was read from the client already; copied */
	size_t prefix_len;
	/* Once, from the loop, never from inside greeting_start(), never after greeting_cancel(). */
	void (*on_done)(void *arg, const struct greeting_result *result);
	void *arg;
};

struct greeting;

/* NULL when there is no memory for its events: the client is still the caller's. */
struct greeting *greeting_start(const struct greeting_params *params);
void greeting_cancel(struct greeting *greeting, bool reset); /* closes the client; NULL is fine */
/* The client has not sent a byte. */
bool greeting_is_silent(const struct greeting *greeting);

#endif
