/*
 * http_internal: what the files of http_relay share.
 */
#ifndef MIDRELAY_HTTP_HTTP_INTERNAL_H
#define MIDRELAY_HTTP_HTTP_INTERNAL_H

#include "http/http_authority.h"
#include "http/http_framing.h"

enum http_side_state {
	HTTP_SIDE_HEAD, /* between messages, or in a head */
	HTTP_SIDE_BODY,
	HTTP_SIDE_RAW,     /* behind a 101 */
	HTTP_SIDE_CONNECT, /* behind a CONNECT */
	HTTP_SIDE_BAD,
};

/* One direction. */
struct http_side {
	enum http_side_state state;
	struct http_scan scan;
	struct http_body body;
	struct http_buf held; /* what came of a head, or of a line in a body */
	struct http_buf out;  /* the last head, rewritten, and texts about it */
	bool given;           /* `held` was passed on with the last call */
};

/* How a client calls us: the beginning of its URLs.  Counted; most connections have one. */
struct http_base {
	unsigned users;
	size_t scheme_len; /* of "http://" */
	size_t len;
	char text[]; /* "http://127.0.0.1:8080"; empty when the client did not say */
};

/* What its response must know of a request. */
struct http_asked {
	struct http_base *base;
	bool head, upgrade, old_version;
};

/* Requests without their whole response, at most HTTP_PIPELINE_MAX.  Zero-initialised: empty. */
struct http_queue {
	struct http_asked *items; /* a ring */
	uint8_t size, first, count;
	struct http_base *base; /* of the last request */
};

struct http_relay {
	const struct http_rules *rules; /* borrowed */
	char *own_host;
	struct http_side request, response;
	struct http_request_head head;
	struct http_queue queue;
	bool upgrade_waits;            /* the last request asked for an upgrade and has no answer yet */
	bool client_ends, target_ends; /* who asked for the connection's end */
	bool asking;                   /* a request's head has left, and its body is not whole */
	bool answering;                /* a final head has left, and its response is not whole */
	bool answered;
	uint16_t status;
	char *fault;
	bool bound;  /* the target's connection is this client's for good: see http_relay_is_clean() */
	bool waits_for_first; /* see http_relay_wait_for_first() */
};

/* ---- http_request.c ---- */

/* A request's head as it was understood. */
struct http_request {
	struct http_span method, target, version;
	struct http_url url; /* absolute-form: the target; CONNECT: its authority */
	bool absolute, connect, old_version;
	struct http_span host_text; /* as the client calls us, or empty */
	struct http_authority host;
	bool closes, upgrade;
	bool connection_seen; /* a Connection line, so that Proxy-Connection says nothing */
	bool binds;           /* who asks may stay known to the connection */
	struct http_length length;
};

bool http_request_read(const struct http_relay *http, const struct http_head *head,
    struct http_request *request, struct error *err) MUST_CHECK;
void http_request_write(const struct http_relay *http, const struct http_head *head,
    const struct http_request *request, struct http_buf *out);

/* ---- http_queue.c ---- */

const struct http_asked *http_queue_first(const struct http_queue *queue); /* NULL: empty */
void http_queue_add(struct http_queue *queue, const struct http_request *request);
void http_queue_remove(struct http_queue *queue); /* the first */
void http_queue_clear(struct http_queue *queue);

/* ---- http_response.c ---- */

struct http_response {
	uint16_t status;
	bool old_version, closes;
	bool binds; /* as of a request */
	struct http_length length;
};

bool http_response_read(const struct http_head *head, const struct http_asked *asked,
    struct http_response *response, struct error *err) MUST_CHECK;
void http_response_write(const struct http_relay *http, const struct http_head *head,
    const struct http_base *base, struct http_buf *out);

/* ---- shared by both (http_request.c) ---- */

struct http_connection {
	bool seen, close, keep_alive, upgrade;
};
/* The Connection lines; false when one names a field that frames or routes the message. */
bool http_connection_read(
    const struct http_head *head, struct http_connection *connection, struct error *err) MUST_CHECK;
/*
 * Whether the connection belongs to one user from now on: NTLM and Negotiate (RFC 4559) authenticate connections, not
 * requests.
 */
bool http_head_binds(const struct http_head *head);

#endif
