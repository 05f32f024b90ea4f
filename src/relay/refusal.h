/*
 * refusal: the answer to a client for whom there is no tunnel.
 *
 * A client that has begun an HTTP/1.x request gets a 502 (504, 503, 400) with the diagnosis, one that speaks TLS an alert; others
 * are reset.  A client that has not spoken yet is given a second to do so.  The answer survives a client that is still
 * sending: what it sends is read and dropped until it is done, or has had time enough to read.
 */
#ifndef MIDRELAY_RELAY_REFUSAL_H
#define MIDRELAY_RELAY_REFUSAL_H

#include <stdbool.h>

#include "dial/diagnosis.h"
#include "loop/loop.h"

enum refusal_client {
	REFUSAL_CLIENT_UNKNOWN, /* its first bytes are still in the kernel */
	REFUSAL_CLIENT_HTTP,
	REFUSAL_CLIENT_TLS,
	REFUSAL_CLIENT_OTHER,
	REFUSAL_CLIENT_TOLD, /* by a TLS alert, which must not be overtaken by a reset */
};

struct refusal_params {
	struct loop *loop;
	struct watch *watch; /* the refusal takes it */
	struct stream *stream; /* of a client of tls://; taken too.  NULL: plain bytes */
	const struct diagnosis *diagnosis; /* borrowed during the call */
	bool explain;        /* false: the client is reset without a word */
	enum refusal_client client;
	void (*on_done)(void *arg); /* once, from the loop, never from inside refusal_start */
	void *arg;
};

struct refusal;

struct refusal *refusal_start(const struct refusal_params *params);
void refusal_cancel(struct refusal *refusal); /* NULL is fine */

/*
 * The HTTP answer (RFC 9112; Proxy-Status: RFC 9209).  The caller frees it.  Never 401, 403 or 404, which a MID reports
 * as a problem with its credentials.
 */
char *refusal_http_answer(const struct diagnosis *diagnosis, size_t *len);

#endif
