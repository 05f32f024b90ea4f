/*
 * http_framing: the length of a message, and the chunks.
 */
#include <string.h>

#include "http/http_framing.h"

/* Enough for 2^60 bytes; more is taken for an attempt at an overflow. */
#define LENGTH_DIGITS_MAX 18
#define CHUNK_DIGITS_MAX 15

static const char *side_name(enum http_part part)
{
	return part == HTTP_PART_RESPONSE ? "response" : "request";
}

/* ---- the length ---- */

static bool read_length(struct http_span value, enum http_part part, uint64_t *length, struct error *err)
{
	char shown[HTTP_SHOWN_BYTES];
	size_t i;

	*length = 0;
	for (i = 0; i < value.len && value.at[i] >= '0' && value.at[i] <= '9' && i < LENGTH_DIGITS_MAX; i++)
		*length = *length * 10 + (uint64_t)(value.at[i] - '0');
	if (i == 0 || i < value.len || (value.at[0] == '0' && value.len > 1))
		return error_set(err, "the %s has a Content-Length that is not a plain number (\"%s\")",
		    side_name(part), http_show(value, shown));
	return true;
}

/* http_span_next() passes over them; other readers stop there. */
static bool has_empty_element(struct http_span list)
{
	bool empty = true;
	size_t i;

	for (i = 0; i < list.len; i++) {
		if (list.at[i] == ',' && empty)
			return true;
		if (list.at[i] != ' ' && list.at[i] != '\t')
			empty = list.at[i] == ',';
	}
	return empty;
}

/* The codings that exist, RFC 9112 7.2; deflate and gzip are what servers send. */
static bool is_compression(struct http_span coding)
{
	return http_span_is(coding, "gzip") || http_span_is(coding, "x-gzip") || http_span_is(coding, "deflate") ||
	    http_span_is(coding, "compress") || http_span_is(coding, "x-compress");
}

/* One may come before "chunked": of longer lists, and of codings that do not exist, not every reader finds the end. */
static bool frames_response(struct http_span list)
{
	struct http_span coding = {list.at, 0};

	if (has_empty_element(list) || !http_span_next(&list, &coding))
		return false;
	if (is_compression(coding) && !http_span_next(&list, &coding))
		return false;
	return http_span_is(coding, "chunked") && list.len == 0;
}

static bool read_coding(struct http_span value, enum http_part part, struct error *err)
{
	char shown[HTTP_SHOWN_BYTES];

	/* Requests have none: not every server decodes them. */
	if (part == HTTP_PART_REQUEST ? http_span_is(value, "chunked") : frames_response(value))
		return true;
	return error_set(err, "the %s has a Transfer-Encoding that does not frame it (\"%s\")",
	    side_name(part), http_show(value, shown));
}

static bool read_one(const struct http_field *field, enum http_part part, struct http_span seen[2],
    struct http_length *length, struct error *err)
{
	bool coding = field->known == HTTP_NAME_TRANSFER_ENCODING;
	char before[HTTP_SHOWN_BYTES], shown[HTTP_SHOWN_BYTES];

	if (seen[coding].at != NULL)
		return error_set(err, "the %s has two %s lines (\"%s\" and \"%s\")", side_name(part),
		    coding ? "Transfer-Encoding" : "Content-Length", http_show(seen[coding], before),
		    http_show(field->value, shown));
	seen[coding] = field->value;
	/* White space by RFC 9110 5.6.3, but there are readers that take it for a part of the value. */
	if (memchr(field->line.at, '\t', field->line.len) != NULL)
		return error_set(err, "the %s has a tab in its %s line (\"%s\")", side_name(part),
		    coding ? "Transfer-Encoding" : "Content-Length", http_show(field->line, shown));
	if (coding) {
		length->chunked = true;
		return read_coding(field->value, part, err);
	}
	length->has_length = true;
	return read_length(field->value, part, &length->length, err);
}

bool http_length_read(const struct http_head *head, enum http_part part, bool old_version,
    struct http_length *length, struct error *err)
{
	struct http_span seen[2] = {{0}};
	unsigned i;

	*length = (struct http_length){0};
	for (i = 0; i < head->count; i++) {
		if (head->fields[i].known != HTTP_NAME_CONTENT_LENGTH &&
		    head->fields[i].known != HTTP_NAME_TRANSFER_ENCODING)
			continue;
		if (!read_one(&head->fields[i], part, seen, length, err))
			return false;
	}
	if (length->has_length && length->chunked)
		return error_set(
		    err, "the %s has both Content-Length and Transfer-Encoding", side_name(part));
	if (length->chunked && old_version)
		return error_set(err, "the %s has a Transfer-Encoding in HTTP/1.0", side_name(part));
	return true;
}

/* ---- the body ---- */

void http_body_begin(struct http_body *body, enum http_body_kind kind, uint64_t length)
{
	*body = (struct http_body){.kind = kind, .left = length};
}

static int hex_digit(unsigned char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static enum http_progress broken_chunk(struct error *err, const char *where, unsigned char c)
{
	char shown[HTTP_SHOWN_BYTES];

	error_set(err, "the chunked body has \"%s\" %s",
	    http_show((struct http_span){(const char *)&c, 1}, shown), where);
	return HTTP_BROKEN;
}

/* The size of a chunk was read with its line. */
static enum http_progress end_size(struct http_body *body)
{
	body->state = body->left > 0 ? HTTP_CHUNK_DATA : HTTP_CHUNK_TRAILERS;
	body->line_bytes = body->digits = body->word_bytes = 0;
	body->scan = (struct http_scan){0};
	return HTTP_WHOLE;
}

static enum http_progress size_byte(struct http_body *body, unsigned char c, struct error *err)
{
	int digit = hex_digit(c);

	if (digit >= 0) {
		if (++body->digits > CHUNK_DIGITS_MAX) {
			error_set(err, "a chunk's size has more than %d digits", CHUNK_DIGITS_MAX);
			return HTTP_BROKEN;
		}
		body->left = body->left * 16 + (uint64_t)digit;
		return HTTP_MORE;
	}
	if (body->digits == 0)
		return broken_chunk(err, "where a chunk's size begins", c);
	if (c != ';' && c != '\r')
		return broken_chunk(err, "behind a chunk's size", c);
	body->state = c == ';' ? HTTP_CHUNK_NAME : HTTP_CHUNK_LINE_END;
	return HTTP_MORE;
}

/* In a value in quotes (RFC 9110 5.6.4). */
static enum http_progress quoted_byte(struct http_body *body, unsigned char c, struct error *err)
{
	if ((c < 0x20 && c != '\t') || c == 0x7f)
		return broken_chunk(err, "in a chunk's extension", c);
	if (body->state == HTTP_CHUNK_ESCAPED)
		body->state = HTTP_CHUNK_QUOTED;
	else if (c == '\\')
		body->state = HTTP_CHUNK_ESCAPED;
	else if (c == '"')
		body->state = HTTP_CHUNK_UNQUOTED;
	return HTTP_MORE;
}

/* ";name", ";name=token", ";name=\"text\"" (RFC 9112 7.1.1), without the white space that it calls bad. */
static enum http_progress extension_byte(struct http_body *body, unsigned char c, struct error *err)
{
	const bool quoted = body->state == HTTP_CHUNK_UNQUOTED;

	if (!quoted && http_is_token_byte(c)) {
		body->word_bytes++;
		return HTTP_MORE;
	}
	if (body->state == HTTP_CHUNK_VALUE && body->word_bytes == 0 && c == '"') {
		body->state = HTTP_CHUNK_QUOTED;
		return HTTP_MORE;
	}
	if (!quoted && body->word_bytes == 0)
		return broken_chunk(err, "in a chunk's extension", c);
	body->word_bytes = 0;
	if (c == '=' && body->state == HTTP_CHUNK_NAME)
		body->state = HTTP_CHUNK_VALUE;
	else if (c == ';')
		body->state = HTTP_CHUNK_NAME;
	else if (c == '\r')
		body->state = HTTP_CHUNK_LINE_END;
	else
		return broken_chunk(err, "in a chunk's extension", c);
	return HTTP_MORE;
}

static enum http_progress line_byte(struct http_body *body, unsigned char c, struct error *err)
{
	if (++body->line_bytes > HTTP_CHUNK_LINE_BYTES) {
		error_set(err, "a chunk-size line is longer than %d bytes", HTTP_CHUNK_LINE_BYTES);
		return HTTP_BROKEN;
	}
	switch (body->state) {
	case HTTP_CHUNK_SIZE:
		return size_byte(body, c, err);
	case HTTP_CHUNK_NAME:
	case HTTP_CHUNK_VALUE:
	case HTTP_CHUNK_UNQUOTED:
		return extension_byte(body, c, err);
	case HTTP_CHUNK_QUOTED:
	case HTTP_CHUNK_ESCAPED:
		return quoted_byte(body, c, err);
	case HTTP_CHUNK_LINE_END:
		return c == '\n' ? end_size(body)
				 : broken_chunk(err, "behind the CR of a chunk-size line", c);
	case HTTP_CHUNK_DATA:
	case HTTP_CHUNK_DATA_CR:
	case HTTP_CHUNK_DATA_LF:
	case HTTP_CHUNK_TRAILERS:
		break;
	}
	return HTTP_BROKEN;
}

static enum http_progress data_end_byte(struct http_body *body, unsigned char c, struct error *err)
{
	bool cr = body->state == HTTP_CHUNK_DATA_CR;

	if (c != (cr ? '\r' : '\n'))
		return broken_chunk(err, "where the CRLF behind a chunk belongs", c);
	body->state = cr ? HTTP_CHUNK_DATA_LF : HTTP_CHUNK_SIZE;
	return cr ? HTTP_MORE : HTTP_WHOLE;
}

/* What is not data: a chunk-size line, the CRLF behind a chunk, the trailers.  *used of `len` bytes were
 * read. */
static enum http_progress read_unit(
    struct http_body *body, const unsigned char *in, size_t len, size_t *used, struct error *err)
{
	enum http_progress progress = HTTP_MORE;
	bool line;

	if (body->state == HTTP_CHUNK_TRAILERS)
		return http_head_scan(&body->scan, HTTP_PART_TRAILERS, in, len, used, err);
	line = body->state < HTTP_CHUNK_DATA;
	for (*used = 0; *used < len && progress == HTTP_MORE; (*used)++)
		progress = line ? line_byte(body, in[*used], err) : data_end_byte(body, in[*used], err);
	return progress;
}

/* RFC 9110 6.5.1: what frames or routes a message has no place behind it. */
static bool judge_trailers(struct http_span bytes, struct error *err)
{
	char shown[HTTP_SHOWN_BYTES];
	struct http_head head;
	unsigned i;

	if (!http_head_read(&head, HTTP_PART_TRAILERS, bytes, err))
		return false;
	for (i = 0; i < head.count; i++) {
		switch (head.fields[i].known) {
		case HTTP_NAME_CONNECTION:
		case HTTP_NAME_CONTENT_LENGTH:
		case HTTP_NAME_HOST:
		case HTTP_NAME_PROXY_CONNECTION:
		case HTTP_NAME_PROXY_OTHER:
		case HTTP_NAME_SET_COOKIE:
		case HTTP_NAME_STRICT_TRANSPORT_SECURITY:
		case HTTP_NAME_TRANSFER_ENCODING:
		case HTTP_NAME_UPGRADE:
			return error_set(err, "the trailer section has a %s line, which belongs in the head",
			    http_show(head.fields[i].name, shown));
		case HTTP_NAME_OTHER:
		case HTTP_NAME_AUTHORIZATION:
		case HTTP_NAME_WWW_AUTHENTICATE:
		case HTTP_NAME_PERSISTENT_AUTH:
		case HTTP_NAME_CONTENT_LOCATION:
		case HTTP_NAME_LOCATION:
		case HTTP_NAME_ORIGIN:
		case HTTP_NAME_REFERER:
		case HTTP_NAME_REFRESH:
		case HTTP_NAME_SEC_FETCH_SITE:
			break;
		}
	}
	return true;
}

/*
 * One unit, read to its end.  What is unfinished goes to `held`, and so does the end of what began there.
 */
static enum http_progress take_unit(struct http_body *body, struct http_buf *held, const unsigned char *in,
    size_t len, size_t *used, struct error *err)
{
	bool trailers = body->state == HTTP_CHUNK_TRAILERS;
	enum http_progress progress = read_unit(body, in, len, used, err);
	struct http_span unit = {(const char *)in, *used};

	if (progress == HTTP_WHOLE && trailers) {
		if (held->len > 0) {
			http_buf_add(held, in, *used);
			unit = (struct http_span){(const char *)held->bytes, held->len};
		}
		body->kind = HTTP_BODY_NONE;
		return judge_trailers(unit, err) ? HTTP_WHOLE : HTTP_BROKEN;
	}
	if (progress == HTTP_MORE || (progress == HTTP_WHOLE && held->len > 0))
		http_buf_add(held, in, *used);
	return progress;
}

/* As much data of the chunk as there is. */
static size_t take_data(struct http_body *body, size_t len)
{
	size_t used = body->left < len ? (size_t)body->left : len;

	body->left -= used;
	if (body->left == 0)
		body->state = HTTP_CHUNK_DATA_CR;
	return used;
}

static enum http_progress pass_chunked(struct http_body *body, struct http_buf *held, const unsigned char *in,
    size_t len, size_t *taken, struct http_piece *piece, struct error *err)
{
	const bool began = held->len > 0;
	enum http_progress progress;
	struct http_body before;
	size_t at = 0, used = 0;

	while (at < len && body->kind == HTTP_BODY_CHUNKED && !(began && at > 0)) {
		if (body->state == HTTP_CHUNK_DATA) {
			at += take_data(body, len - at);
			continue;
		}
		before = *body;
		progress = take_unit(body, held, in + at, len - at, &used, err);
		if (progress == HTTP_WHOLE) {
			at += used;
		} else if (at > 0) {
			/* What came before an unfinished or bad unit leaves first; the unit is read again. */
			*body = before;
			held->len = 0;
			break;
		} else if (progress == HTTP_BROKEN) {
			return HTTP_BROKEN;
		} else {
			*taken = used;
			return HTTP_MORE;
		}
	}
	*taken = at;
	*piece = began ? (struct http_piece){held->bytes, held->len} : (struct http_piece){in, at};
	return body->kind == HTTP_BODY_NONE ? HTTP_WHOLE : HTTP_MORE;
}

enum http_progress http_body_pass(struct http_body *body, struct http_buf *held, const unsigned char *in,
    size_t len, size_t *taken, struct http_piece *piece, struct error *err)
{
	if (body->kind == HTTP_BODY_CHUNKED)
		return pass_chunked(body, held, in, len, taken, piece, err);
	if (body->kind == HTTP_BODY_LENGTH && len > body->left)
		len = (size_t)body->left;
	*taken = len;
	*piece = (struct http_piece){in, len};
	if (body->kind != HTTP_BODY_LENGTH)
		return HTTP_MORE;
	body->left -= len;
	return body->left == 0 ? HTTP_WHOLE : HTTP_MORE;
}
