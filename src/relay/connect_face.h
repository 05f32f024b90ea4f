/* connect_face: which hosts a client may CONNECT to through a relay (mode = http, connect_allow).  Pure. */
#ifndef MIDRELAY_RELAY_CONNECT_FACE_H
#define MIDRELAY_RELAY_CONNECT_FACE_H

#include "dial/relay_route.h"

enum connect_face_verdict {
	CONNECT_FACE_ALLOWED,
	CONNECT_FACE_TARGET, /* the target itself: never passed through; see the diagnosis */
	CONNECT_FACE_DENIED, /* see the diagnosis */
};

/* `host`: lower case, without brackets.  The diagnosis is local-connect-denied but for ALLOWED. */
enum connect_face_verdict connect_face_judge(const struct relay_route *route, const char *host, uint16_t port,
    struct diagnosis *diagnosis);
/* The same host as it is dialled; the caller clears it. */
struct hostport connect_face_host(const char *host, uint16_t port);

#endif
