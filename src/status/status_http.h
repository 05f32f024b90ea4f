/*
 * status_http: what the status endpoint takes of HTTP/1.x, and the head of its answers.  Pure.
 *
 * Requests are GET or HEAD without a body, in origin form (RFC 9112 3.2.1), one head within STATUS_HEAD_BYTES.  The name in
 * Host must be an address or "localhost" where the endpoint listens on TCP: a page from elsewhere whose name leads to
 * 127.0.0.1 (DNS rebinding) is no reader of ours.
 */
#ifndef MIDRELAY_STATUS_STATUS_HTTP_H
#define MIDRELAY_STATUS_STATUS_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#define STATUS_HEAD_BYTES 8192

struct status_request {
	bool head;       /* the method: no body in the answer */
	bool keep;       /* the connection may stay */
	char path[64];   /* a longer one is none of ours */
	char query[128]; /* behind the '?'; "" for none */
};

/*
 * A request at the beginning of these bytes.  0: it is not complete; 200: *used bytes of it are a good one; else the status
 * to refuse it with, and the connection with it.
 */
unsigned status_request_parse(const char *bytes, size_t len, bool any_host, struct status_request *request, size_t *used);

/* Whether this may stand in Host where others' names must not: "127.0.0.1:9180", "[::1]", "localhost". */
bool status_host_is_ours(const char *host, size_t len);

/* NULL: the request's query has no such key.  The value as it stands, in `buf`. */
const char *status_query(const struct status_request *request, const char *key, char *buf, size_t buf_bytes);

struct status_answer {
	unsigned status; /* 200, 400, … */
	const char *type; /* static */
	char *body;       /* owned by whoever has the answer; not NULL */
	size_t len;
};

/* Head and body, as they go out; the caller frees it. */
char *status_answer_bytes(const struct status_answer *answer, bool head, bool keep, size_t *len);

#endif
