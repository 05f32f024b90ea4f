/*
 * http_connect: the CONNECT request and the head of its reply.  Pure: bytes in, verdict out; no socket.
 *
 * Request (RFC 9110 9.3.6, RFC 9112 3.2.3): built once per path, sent by one write, Basic credentials sent at
 * once (RFC 7617).  Reply: any 2xx opens the tunnel, Content-Length and Transfer-Encoding on it are ignored,
 * 1xx are skipped, everything behind the head belongs to the tunnel.
 */
#ifndef MIDRELAY_DIAL_HTTP_CONNECT_H
#define MIDRELAY_DIAL_HTTP_CONNECT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/secret.h"
#include "dial/diagnosis.h"

/* What the request is made of; all borrowed. */
struct http_connect_request {
	const struct hostport *target;
	const char *user;              /* NULL: no Proxy-Authorization */
	const struct secret *password; /* with user */
	const char *const *header_names; /* further header lines; one named User-Agent replaces ours, Host,
	                                    Proxy-Authorization, Content-Length and Transfer-Encoding were
	                                    refused when the configuration was read */
	const char *const *header_values;
	size_t header_count;
};

/* The whole request head as a secret (it may carry the password), ready to be sent.  The caller owns it. */
struct secret *http_connect_build(const struct http_connect_request *request);

/* A request that http_connect_build() made, but for another host.  The caller owns it. */
struct secret *http_connect_redirect(const struct secret *request, const struct hostport *target);

/* Bounds on a reply head (PITFALLS: endless headers). */
#define HTTP_CONNECT_MAX_HEAD_BYTES 65536
#define HTTP_CONNECT_MAX_LINE_BYTES 16384
#define HTTP_CONNECT_MAX_LINES 100

enum http_connect_verdict {
	HTTP_CONNECT_MORE,    /* no whole head yet; call again with more bytes */
	HTTP_CONNECT_OPEN,    /* the tunnel is open; what follows `consumed` bytes is the target's */
	HTTP_CONNECT_REFUSED, /* a whole head that says no; see `diagnosis` */
	HTTP_CONNECT_BROKEN,  /* not a reply that can be understood; see `diagnosis` (proxy-malformed) */
};

/*
 * Parser state between calls: only what is needed not to scan the same bytes again (the search for the end of the
 * head is linear over the whole reply, however it is split).  Zero-initialise.
 */
struct http_connect_parser {
	size_t scanned;      /* bytes already searched for the end of a line */
	size_t line_start;   /* where the current line begins */
	size_t head_start;   /* where the current head begins (behind skipped 1xx heads) */
	unsigned lines;
};

/* Who we are asking, for the sentence. */
struct http_connect_context {
	const char *proxy_name;       /* "http://proxy:3128" or the section's name */
	const char *target;           /* "host:port" */
	bool sent_credentials;
};

/*
 * Looks at all bytes received so far (`from`, `len`; the caller appends and calls again).  With OPEN,
 * *consumed says how many bytes belong to the head(s); else it is 0.  With REFUSED and BROKEN *diagnosis is
 * set: 407 (and 401, tinyproxy) told apart by the schemes offered, 403 proxy-denied, 500, 502, 503 and 504
 * (and a 404 or 400 with a gateway's words in the head) proxy-upstream-failed, anything else proxy-status;
 * the sentence holds the status line, the schemes offered, and X-Squid-Error, Proxy-Status, Location,
 * Proxy-Agent, Server and Via where present, escaped and bounded.
 *
 * Verdict, *consumed and sentence for the same bytes are the same however they were split; therefore nothing
 * behind the head is looked at.  After a verdict other than MORE the parser is done.
 */
enum http_connect_verdict http_connect_parse(struct http_connect_parser *parser, const char *from, size_t len,
    const struct http_connect_context *context, size_t *consumed, struct diagnosis *diagnosis);

/*
 * The peer closed (or reset) after `len` bytes without a whole head: proxy-closed with none or part of a head.
 * `reset` words the sentence.
 */
void http_connect_closed(const char *from, size_t len, bool reset, const struct http_connect_context *context,
    struct diagnosis *diagnosis);

#endif
