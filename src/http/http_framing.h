/*
 * http_framing: how long a message is (RFC 9112 sections 6 and 7), and its body on its way.
 *
 * What could be understood in two ways is refused: more than one Content-Length, one that is not plain
 * digits, Content-Length beside Transfer-Encoding, a transfer coding that is not framed by "chunked", either
 * of them in HTTP/1.0.  Chunk-size lines and trailers pass as they came, each only when it is whole and good.
 */
#ifndef MIDRELAY_HTTP_HTTP_FRAMING_H
#define MIDRELAY_HTTP_HTTP_FRAMING_H

#include "http/http_buf.h"
#include "http/http_head.h"

/* One chunk-size line, with what stands behind the size. */
#define HTTP_CHUNK_LINE_BYTES 1024

enum http_body_kind {
	HTTP_BODY_NONE,
	HTTP_BODY_LENGTH,
	HTTP_BODY_CHUNKED,
	HTTP_BODY_UNTIL_END,
};

enum http_chunk_state {
	HTTP_CHUNK_SIZE,
	HTTP_CHUNK_NAME,   /* of an extension, behind ';' */
	HTTP_CHUNK_VALUE,  /* behind '=' */
	HTTP_CHUNK_QUOTED, /* in a value in quotes */
	HTTP_CHUNK_ESCAPED,
	HTTP_CHUNK_UNQUOTED, /* behind the closing quote */
	HTTP_CHUNK_LINE_END, /* the LF behind the CR */
	HTTP_CHUNK_DATA,
	HTTP_CHUNK_DATA_CR,
	HTTP_CHUNK_DATA_LF,
	HTTP_CHUNK_TRAILERS,
};

struct http_body {
	enum http_body_kind kind;
	enum http_chunk_state state;
	uint64_t left;       /* of the body, or of the chunk */
	uint16_t line_bytes; /* of the chunk-size line */
	uint16_t digits;
	uint16_t word_bytes;   /* of an extension's name or value */
	struct http_scan scan; /* of the trailers */
};

/* What the fields say about the length. */
struct http_length {
	bool has_length, chunked;
	uint64_t length;
};

bool http_length_read(const struct http_head *head, enum http_part part, bool old_version,
    struct http_length *length, struct error *err) MUST_CHECK;

void http_body_begin(struct http_body *body, enum http_body_kind kind, uint64_t length);

/*
 * Passes on what can be: *taken bytes, and the piece that they make.  An unfinished line waits in `held`,
 * which is empty before each message; the piece may be in it, until it is emptied.  HTTP_WHOLE: the body
 * ended.
 */
enum http_progress http_body_pass(struct http_body *body, struct http_buf *held, const unsigned char *in,
    size_t len, size_t *taken, struct http_piece *piece, struct error *err);

#endif
