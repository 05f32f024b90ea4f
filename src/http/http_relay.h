/*
 * http_relay: the HTTP/1.1 of one client connection and its tunnel, read strictly and put right on its way
 * (mode = http).  Pure: bytes in, pieces out; no descriptor, no clock, no log.
 *
 * Both directions stream.  A head waits until it is whole (within HTTP_HEAD_BYTES), is judged, and leaves
 * rewritten; body bytes leave as they came, by reference.  Framing that two readers could understand
 * differently (RFC 9112 section 6.3, 11.2) is refused, never repaired.
 *
 * Put right in requests: the target's form of request-target and Host; Proxy-* headers go (a Proxy-Connection
 * without Connection beside it leaves as Connection, where it says something else than the version does); an
 * Origin or Referer that names us names the target, as Host does, or the target's own check of where a request
 * comes from would refuse every form.  In responses:
 * Secure, SameSite=None and a foreign Domain leave Set-Cookie; Location, Content-Location and Refresh that
 * name the target come back to the client's own address; Strict-Transport-Security goes.
 */
#ifndef MIDRELAY_HTTP_HTTP_RELAY_H
#define MIDRELAY_HTTP_HTTP_RELAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Bounds on one head, in each direction. */
#define HTTP_HEAD_BYTES (64 * 1024)
#define HTTP_LINE_BYTES (32 * 1024) /* a MID sends long cookies, a browser long URLs */
#define HTTP_LINES 200
/* Requests that a client may have sent before the first of them is answered. */
#define HTTP_PIPELINE_MAX 64

/* What holds for a whole relay; borrowed, outlives every http_relay. */
struct http_rules {
	const char *target_host; /* lower case; an IPv6 address without brackets */
	uint16_t target_port;
	/*
	 * What a client may call us besides "localhost" and the target's name: addresses as text, without
	 * brackets and port.
	 */
	const char *const *own_hosts;
	size_t own_host_count;
};

enum http_step {
	/* A piece to pass on; may be empty.  Call again while there is input. */
	HTTP_PIECE,
	/*
	 * Requests: a head is whole, judged and in the piece; see http_relay_request_head().
	 * Responses: a head is whole and in the piece; see http_relay_status().
	 */
	HTTP_HEAD,
	/*
	 * Requests: CONNECT.  The piece is empty, what follows the head is not HTTP and stays untaken; see
	 * http_relay_request_head().  Nothing more can be asked of this http_relay.
	 */
	HTTP_CONNECT,
	/*
	 * Requests: nothing is taken until responses have come: HTTP_PIPELINE_MAX, or an Upgrade that is not
	 * answered yet.  The bytes stay where they are.
	 */
	HTTP_WAIT,
	/* Not to be passed on; see http_relay_fault().  Nothing is taken any more in this direction. */
	HTTP_BAD,
};

/* Borrowed from the input, or from the http_relay until the next call in the same direction. */
struct http_piece {
	const unsigned char *bytes;
	size_t len;
};

/* The request whose head came last.  Texts are borrowed until the next call for requests. */
struct http_request_head {
	const char *method;
	bool safe_method;       /* GET, HEAD, OPTIONS, TRACE without a body: may go on a kept connection */
	bool keeps_connection;  /* neither side of this request asked for its end */
	bool upgrade;
	const char *host;       /* of CONNECT: lower case, without brackets */
	uint16_t port;          /* of CONNECT */
};

struct http_relay;

/*
 * `own_host` (may be NULL, copied): the address that this client connected to, as in http_rules.
 */
struct http_relay *http_relay_new(const struct http_rules *rules, const char *own_host);
void http_relay_free(struct http_relay *http); /* NULL is fine */

/* Takes *taken (at most len) bytes of the client's. */
enum http_step http_relay_request(struct http_relay *http, const unsigned char *in, size_t len, size_t *taken,
    struct http_piece *piece);
/* The same for the target's.  After a 101, and in a body, pieces are the input. */
enum http_step http_relay_response(struct http_relay *http, const unsigned char *in, size_t len,
    size_t *taken, struct http_piece *piece);

/*
 * The target ended its stream cleanly.  True: no response was cut by it (it was between messages, or in one
 * that ends with the connection, or after a 101).
 */
bool http_relay_response_end(struct http_relay *http);

const struct http_request_head *http_relay_request_head(const struct http_relay *http);
unsigned http_relay_status(const struct http_relay *http); /* of the response whose head came last */
/* One sentence for a person, without a byte that is not printable ASCII; "" before HTTP_BAD. */
const char *http_relay_fault(const struct http_relay *http);

/* Requests that were passed on and whose final response has not come whole. */
unsigned http_relay_outstanding(const struct http_relay *http);
/* The last request that was passed on has its last byte, or there was none. */
bool http_relay_request_is_whole(const struct http_relay *http);
/* Part of a response (not of a 1xx before it) has been passed on, so that no other answer can be given. */
bool http_relay_response_began(const struct http_relay *http);
/*
 * Between messages in both directions, at least one answered, and nobody asked for the connection's end: the
 * tunnel may serve another client.
 */
bool http_relay_is_clean(const struct http_relay *http);
/*
 * Nothing more can come: the last response before an announced end has come whole.  The target may keep its
 * stream open all the same; requests get HTTP_WAIT.
 */
bool http_relay_is_over(const struct http_relay *http);
/* Raw bytes both ways, after a 101. */
bool http_relay_is_raw(const struct http_relay *http);

/*
 * Gives back the memory that an idle connection does not need.  Whatever was borrowed from the http_relay is
 * invalid afterwards.
 */
void http_relay_rest(struct http_relay *http);

#endif
