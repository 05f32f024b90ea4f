/*
 * http_flow: what passes between a client and its tunnel with mode = http.
 *
 * Between the pump, which reads and writes, and http_relay, which says what becomes of the bytes: gathers its
 * pieces so that one step is one write, and holds what cannot leave or be taken yet, so that the pump reads
 * nothing more for it meanwhile.  A body passes by reference.
 */
#ifndef MIDRELAY_RELAY_HTTP_FLOW_H
#define MIDRELAY_RELAY_HTTP_FLOW_H

#include <stdbool.h>
#include <stddef.h>

#include "base/wire.h"
#include "http/http_relay.h"

enum http_flow_way { HTTP_FLOW_UP, HTTP_FLOW_DOWN }; /* the client's bytes, the target's */

/* One direction. */
struct http_lane {
	unsigned char *in;  /* came, and could not be taken yet; at most one read */
	size_t in_off, in_len;
	unsigned char *out; /* leaves before anything of `in`; at most a head and one read */
	size_t out_off, out_len;
	bool bad;           /* nothing more is to be passed on */
};

struct http_flow {
	struct http_relay *http; /* NULL: bytes pass as they are */
	struct http_lane lanes[2];
	unsigned requests;       /* whose heads were passed on */
	bool connect_came;       /* a CONNECT that is not the first request: see bad */
	bool drops;              /* the client's bytes go nowhere any more */
};

/* Takes the http_relay. */
struct http_flow *http_flow_new(struct http_relay *http);
void http_flow_free(struct http_flow *flow); /* NULL is fine */

enum http_flow_asked {
	HTTP_FLOW_MORE,    /* no whole head yet */
	HTTP_FLOW_REQUEST, /* the first head is whole and judged; it waits with what came behind it */
	HTTP_FLOW_CONNECT, /* a CONNECT; what came behind it waits */
	HTTP_FLOW_REFUSED, /* see http_relay_fault() */
};
/* The client's first bytes, before there is a tunnel. */
enum http_flow_asked http_flow_ask(struct http_flow *flow, const unsigned char *bytes, size_t len);
/*
 * From now on bytes pass as they are; the client gets `answer` before anything else, and then `first`, the
 * tunnel's first bytes.
 */
void http_flow_become_raw(struct http_flow *flow, const char *answer, const void *first, size_t first_len);

/* Takes all `len` (at most WIRE_STEP_BYTES) bytes; false: and no more for now. */
typedef bool http_flow_write_fn(void *arg, const void *bytes, size_t len);
/*
 * Passes on what is held, or where nothing is, `len` (at most WIRE_STEP_BYTES) bytes that were read; what
 * cannot leave now is held.
 */
void http_flow_pass(struct http_flow *flow, enum http_flow_way way, struct wire_pool *pool,
    const unsigned char *bytes, size_t len, http_flow_write_fn *write, void *arg);

/* Something waits: nothing may be read in this direction. */
bool http_flow_holds(const struct http_flow *flow, enum http_flow_way way);
bool http_flow_is_bad(const struct http_flow *flow, enum http_flow_way way);
/* No response is still to come to a request that is whole. */
bool http_flow_is_answered(const struct http_flow *flow);
/* No response is to come any more, although the target may keep its stream open. */
bool http_flow_is_over(const struct http_flow *flow);
/* The client was told the end: what it goes on to send is for nobody. */
void http_flow_drop_requests(struct http_flow *flow);
/* Gives back what a silent connection does not need. */
void http_flow_rest(struct http_flow *flow);
/* An answer of our own can take the place of the next response. */
bool http_flow_is_answerable(const struct http_flow *flow);
/* The target has ended its stream, cleanly: a response was cut by it. */
bool http_flow_was_cut(struct http_flow *flow);

#endif
