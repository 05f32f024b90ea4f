/*
 * http_head: bytes to lines, lines to fields.  Strict: lines end in CRLF, no line is folded, a name is a
 * token with the colon right behind it, a value has no control byte but HTAB (RFC 9112 sections 2.2, 5).
 *
 * Every fault falls at a byte that is fixed by the head's content, so that neither verdict nor sentence
 * depends on how the head was cut.
 */
#ifndef MIDRELAY_HTTP_HTTP_HEAD_H
#define MIDRELAY_HTTP_HTTP_HEAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "http/http_relay.h"

/* Borrowed bytes. */
struct http_span {
	const char *at;
	size_t len;
};

enum http_part {
	HTTP_PART_REQUEST, /* the head of a request; empty lines before it are left out */
	HTTP_PART_RESPONSE,
	HTTP_PART_TRAILERS, /* fields without a first line */
};

/* The part is not whole yet; it is; it never will be. */
enum http_progress { HTTP_MORE, HTTP_WHOLE, HTTP_BROKEN };

/* How far a part was read; zero-initialised before the first byte. */
struct http_scan {
	uint32_t skipped; /* bytes of empty lines before the head */
	uint32_t bytes;   /* of the head */
	uint32_t line_bytes;
	uint16_t lines;
	uint8_t empty_lines;
	bool cr;
};

/* Looks at the next bytes; *used of them belong to the part. */
enum http_progress http_head_scan(struct http_scan *scan, enum http_part part, const unsigned char *in,
    size_t len, size_t *used, struct error *err);

/* The names that mean something here. */
enum http_name {
	HTTP_NAME_OTHER,
	HTTP_NAME_CONNECTION,
	HTTP_NAME_CONTENT_LENGTH,
	HTTP_NAME_CONTENT_LOCATION,
	HTTP_NAME_HOST,
	HTTP_NAME_LOCATION,
	HTTP_NAME_ORIGIN,
	HTTP_NAME_PROXY_CONNECTION,
	HTTP_NAME_PROXY_OTHER, /* any other that begins with "Proxy-" */
	HTTP_NAME_REFERER,
	HTTP_NAME_REFRESH,
	HTTP_NAME_SEC_FETCH_SITE,
	HTTP_NAME_SET_COOKIE,
	HTTP_NAME_STRICT_TRANSPORT_SECURITY,
	HTTP_NAME_TRANSFER_ENCODING,
	HTTP_NAME_UPGRADE,
};

struct http_field {
	struct http_span line; /* with its CRLF */
	struct http_span name;
	struct http_span value; /* without the white space around it */
	enum http_name known;
};

/* Borrows from the bytes that were scanned. */
struct http_head {
	struct http_span first; /* without its CRLF; empty in trailers */
	unsigned count;
	struct http_field fields[HTTP_LINES];
};

/* `bytes` is a whole part that http_head_scan() found good, without what was skipped. */
bool http_head_read(
    struct http_head *head, enum http_part part, struct http_span bytes, struct error *err) MUST_CHECK;

/* ---- small things on spans ---- */

bool http_is_token_byte(unsigned char c);
bool http_is_token(struct http_span text);
bool http_span_is(struct http_span text, const char *word); /* case does not count */
bool http_span_begins(struct http_span text, const char *word);
struct http_span http_span_from(struct http_span text, size_t offset);
struct http_span http_span_trim(struct http_span text); /* SP and HTAB */
/* Takes the next element off a comma separated list; false when there is none.  Empty ones are passed over.
 */
bool http_span_next(struct http_span *list, struct http_span *element);

/* For sentences: foreign text escaped and bounded. */
#define HTTP_SHOWN_BYTES 65
const char *http_show(struct http_span text, char buf[HTTP_SHOWN_BYTES]);

#endif
