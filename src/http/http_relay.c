/*
 * http_relay: the two directions of one connection.  The requests that wait for their responses are http_queue's.
 *
 * Why no library reads the bytes: Debian 12 has none that is kept, strict and fit for a relay.  http-parser 2.9 is
 * archived upstream (it takes "Transfer-Encoding-X" for Transfer-Encoding, and two equal lengths); llhttp is there
 * only as sources inside a Node module, and hands out fields, not the lines that must pass byte for byte; libhtp is
 * tolerant on purpose; evhttp, GNU libmicrohttpd and libsoup keep their parsers to themselves and own the sockets;
 * picohttpparser is not packaged.  The first two are oracles in the tests: what passes here must be framed the same
 * by them.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/http_internal.h"

struct http_relay *http_relay_new(const struct http_rules *rules, const char *own_host)
{
	struct http_relay *http = mem_calloc(1, sizeof(*http));

	http->rules = rules;
	http->own_host = own_host != NULL ? mem_strdup(own_host) : NULL;
	return http;
}

void http_relay_free(struct http_relay *http)
{
	if (http == NULL)
		return;
	http_queue_clear(&http->queue);
	http_buf_clear(&http->request.held);
	http_buf_clear(&http->request.out);
	http_buf_clear(&http->response.held);
	http_buf_clear(&http->response.out);
	free(http->own_host);
	free(http->fault);
	free(http);
}

/* ---- one side ---- */

static enum http_step side_bad(struct http_relay *http, struct http_side *side, const struct error *err)
{
	side->state = HTTP_SIDE_BAD;
	free(http->fault);
	http->fault = mem_strdup(err->text);
	return HTTP_BAD;
}

static bool side_between(const struct http_side *side)
{
	return side->state == HTTP_SIDE_HEAD && side->scan.bytes == 0;
}

/* What was passed on with the last call is done with. */
static void side_forget(struct http_side *side)
{
	if (side->given)
		side->held.len = 0;
	side->given = false;
	side->out.len = 0;
}

/* The bytes of a head; *head is what is whole. */
static enum http_progress side_gather(struct http_side *side, enum http_part part, const unsigned char *in,
    size_t len, size_t *taken, struct http_span *head, struct error *err)
{
	enum http_progress progress = http_head_scan(&side->scan, part, in, len, taken, err);
	size_t skipped = side->scan.skipped;

	if (progress == HTTP_BROKEN)
		return progress;
	if (progress == HTTP_WHOLE && side->held.len == 0) {
		*head = (struct http_span){(const char *)in + skipped, *taken - skipped};
		return progress;
	}
	http_buf_add(&side->held, in, *taken);
	if (progress == HTTP_WHOLE) {
		*head =
		    (struct http_span){(const char *)side->held.bytes + skipped, side->held.len - skipped};
	} else if (side->scan.bytes == 0) {
		side->held.len = 0;
		side->scan.skipped = 0;
	}
	return progress;
}

/* A head was passed on. */
static void side_begin_body(struct http_side *side, enum http_body_kind kind, uint64_t length)
{
	side->scan = (struct http_scan){0};
	side->held.len = 0;
	side->state = kind == HTTP_BODY_NONE ? HTTP_SIDE_HEAD : HTTP_SIDE_BODY;
	http_body_begin(&side->body, kind, length);
}

static enum http_body_kind framed_kind(const struct http_length *length)
{
	if (length->chunked)
		return HTTP_BODY_CHUNKED;
	return length->length > 0 ? HTTP_BODY_LENGTH : HTTP_BODY_NONE;
}

static void give_out(struct http_side *side, uint32_t len, struct http_piece *piece)
{
	*piece = (struct http_piece){side->out.bytes, len};
}

/* ---- requests ---- */

static bool method_is_safe(struct http_span method)
{
	static const char *const safe[] = {"GET", "HEAD", "OPTIONS", "TRACE"};
	size_t i;

	for (i = 0; i < sizeof(safe) / sizeof(safe[0]); i++) {
		if (method.len == strlen(safe[i]) && memcmp(method.at, safe[i], method.len) == 0)
			return true;
	}
	return false;
}

/* Texts for http_relay_request_head() stand behind the head that leaves. */
static void describe_request(struct http_relay *http, const struct http_request *request)
{
	struct http_buf *out = &http->request.out;
	uint32_t method = out->len, host;
	char *at;

	http_buf_add_span(out, request->method);
	http_buf_add(out, "", 1);
	host = out->len;
	if (request->connect)
		http_buf_add_span(out, request->url.authority.host);
	http_buf_add(out, "", 1);
	http->head.method = (const char *)out->bytes + method;
	http->head.host = (const char *)out->bytes + host;
	for (at = (char *)out->bytes + host; *at != '\0'; at++) {
		if (*at >= 'A' && *at <= 'Z')
			*at = (char)(*at + ('a' - 'A'));
	}
	http->head.port = request->connect ? request->url.authority.port : 0;
	http->head.safe_method =
	    method_is_safe(request->method) && !request->length.chunked && request->length.length == 0;
	http->head.keeps_connection = !request->closes;
	http->head.upgrade = request->upgrade;
}

static bool judge_order(const struct http_relay *http, struct error *err)
{
	return !http->client_ends || error_set(err, "a request came behind one that ends the connection");
}

static enum http_step pass_request_head(
    struct http_relay *http, const unsigned char *in, size_t len, size_t *taken, struct http_piece *piece)
{
	struct http_side *side = &http->request;
	const struct http_scan scan = side->scan;
	const uint32_t held = side->held.len;
	struct http_request request;
	struct http_head head;
	struct http_span bytes;
	enum http_progress progress;
	struct error err;
	uint32_t head_len;

	progress = side_gather(side, HTTP_PART_REQUEST, in, len, taken, &bytes, &err);
	if (progress == HTTP_MORE)
		return HTTP_PIECE;
	if (progress == HTTP_BROKEN || !judge_order(http, &err) ||
	    !http_head_read(&head, HTTP_PART_REQUEST, bytes, &err) ||
	    !http_request_read(http, &head, &request, &err)) {
		*taken = 0;
		return side_bad(http, side, &err);
	}
	if (request.connect && http->queue.count > 0) {
		side->scan = scan;
		side->held.len = held;
		*taken = 0;
		return HTTP_WAIT;
	}
	if (request.connect) {
		side->state = HTTP_SIDE_CONNECT;
		describe_request(http, &request);
		return HTTP_CONNECT;
	}
	http_request_write(http, &head, &request, &side->out);
	head_len = side->out.len;
	describe_request(http, &request);
	http_queue_add(&http->queue, &request);
	http->upgrade_waits = request.upgrade;
	http->client_ends = request.closes;
	http->bound = http->bound || request.binds;
	side_begin_body(side, framed_kind(&request.length), request.length.length);
	http->asking = side->state == HTTP_SIDE_BODY;
	give_out(side, head_len, piece);
	return HTTP_HEAD;
}

/* A body, either way: HTTP_WHOLE when it ended. */
static enum http_progress pass_body(struct http_side *side, const unsigned char *in, size_t len,
    size_t *taken, struct http_piece *piece, struct error *err)
{
	enum http_progress progress = http_body_pass(&side->body, &side->held, in, len, taken, piece, err);

	side->given = piece->len > 0 && piece->bytes == side->held.bytes;
	if (progress == HTTP_BROKEN)
		*taken = 0;
	if (progress == HTTP_WHOLE)
		side->state = HTTP_SIDE_HEAD;
	return progress;
}

enum http_step http_relay_request(
    struct http_relay *http, const unsigned char *in, size_t len, size_t *taken, struct http_piece *piece)
{
	struct http_side *side = &http->request;
	enum http_progress progress;
	struct error err;

	*taken = 0;
	*piece = (struct http_piece){in, 0};
	side_forget(side);
	switch (side->state) {
	case HTTP_SIDE_HEAD:
		if (len == 0)
			return HTTP_PIECE;
		if (http->target_ends ||
		    (side_between(side) && (http->upgrade_waits || http->queue.count == HTTP_PIPELINE_MAX ||
					       (http->waits_for_first && !http->answered && http->queue.count > 0))))
			return HTTP_WAIT;
		return pass_request_head(http, in, len, taken, piece);
	case HTTP_SIDE_BODY:
		if (len == 0)
			return HTTP_PIECE;
		progress = pass_body(side, in, len, taken, piece, &err);
		if (progress == HTTP_BROKEN)
			return side_bad(http, side, &err);
		http->asking = progress != HTTP_WHOLE;
		return HTTP_PIECE;
	case HTTP_SIDE_RAW:
		*piece = (struct http_piece){in, len};
		*taken = len;
		return HTTP_PIECE;
	case HTTP_SIDE_CONNECT:
		return HTTP_CONNECT;
	case HTTP_SIDE_BAD:
		return HTTP_BAD;
	}
	return HTTP_BAD;
}

/* ---- responses ---- */

static bool judge_response(
    const struct http_relay *http, const struct http_response *response, struct error *err)
{
	if (response->status == 101 && !side_between(&http->request))
		return error_set(err, "the response is a 101 to a request that is not whole");
	return true;
}

static enum http_body_kind response_kind(const struct http_asked *asked, const struct http_response *response)
{
	if (asked->head || response->status == 204 || response->status == 304)
		return HTTP_BODY_NONE;
	if (response->length.chunked || response->length.has_length)
		return framed_kind(&response->length);
	return HTTP_BODY_UNTIL_END;
}

/* The target says that it did not read, or not understand, the request as it was sent. */
static bool is_misread(unsigned status)
{
	return status == 400 || status == 408 || status == 413 || status == 414 || status == 421 || status == 431;
}

/* What makes a connection unfit for another client, although its framing is in order. */
static bool response_binds(const struct http_relay *http, const struct http_response *response)
{
	/* Of the request that is being sent: the target may not read the rest of it. */
	bool early = http->asking && http->queue.count == 1 && response->status >= 200;

	return response->binds || response->old_version || early || is_misread(response->status);
}

/* The first request in the queue has its whole response. */
static void end_response(struct http_relay *http)
{
	http_queue_remove(&http->queue);
	http->answering = false;
	http->answered = true;
}

/* The head has left; what comes behind it? */
static void begin_response(struct http_relay *http, const struct http_response *response)
{
	const struct http_asked *asked = http_queue_first(&http->queue);
	struct http_side *side = &http->response;
	enum http_body_kind kind;

	http->status = response->status;
	http->bound = http->bound || response_binds(http, response);
	side_begin_body(side, HTTP_BODY_NONE, 0);
	if (response->status == 101) {
		end_response(http);
		http->upgrade_waits = false;
		http->request.state = side->state = HTTP_SIDE_RAW;
	}
	if (response->status < 200)
		return;
	http->answering = true;
	kind = response_kind(asked, response);
	if (asked->upgrade)
		http->upgrade_waits = false;
	http->target_ends = response->closes || kind == HTTP_BODY_UNTIL_END;
	side_begin_body(side, kind, response->length.length);
	if (kind == HTTP_BODY_NONE)
		end_response(http);
}

static enum http_step pass_response_head(
    struct http_relay *http, const unsigned char *in, size_t len, size_t *taken, struct http_piece *piece)
{
	struct http_side *side = &http->response;
	const struct http_asked *asked = http_queue_first(&http->queue);
	struct http_response response;
	struct http_head head;
	struct http_span bytes;
	enum http_progress progress = HTTP_BROKEN;
	struct error err;

	if (asked == NULL)
		error_set(&err, "the target sent bytes that no request asked for");
	else if (http->target_ends)
		error_set(&err, "the target sent bytes behind a response that ends the connection");
	else
		progress = side_gather(side, HTTP_PART_RESPONSE, in, len, taken, &bytes, &err);
	if (progress == HTTP_MORE)
		return HTTP_PIECE;
	if (progress == HTTP_BROKEN || !http_head_read(&head, HTTP_PART_RESPONSE, bytes, &err) ||
	    !http_response_read(&head, asked, &response, &err) || !judge_response(http, &response, &err)) {
		*taken = 0;
		return side_bad(http, side, &err);
	}
	http_response_write(http, &head, asked->base, &side->out);
	begin_response(http, &response);
	give_out(side, side->out.len, piece);
	return HTTP_HEAD;
}

enum http_step http_relay_response(
    struct http_relay *http, const unsigned char *in, size_t len, size_t *taken, struct http_piece *piece)
{
	struct http_side *side = &http->response;
	enum http_progress progress;
	struct error err;

	*taken = 0;
	*piece = (struct http_piece){in, 0};
	side_forget(side);
	switch (side->state) {
	case HTTP_SIDE_HEAD:
		return len > 0 ? pass_response_head(http, in, len, taken, piece) : HTTP_PIECE;
	case HTTP_SIDE_BODY:
		if (len == 0)
			return HTTP_PIECE;
		progress = pass_body(side, in, len, taken, piece, &err);
		if (progress == HTTP_BROKEN)
			return side_bad(http, side, &err);
		if (progress == HTTP_WHOLE)
			end_response(http);
		return HTTP_PIECE;
	case HTTP_SIDE_RAW:
		*piece = (struct http_piece){in, len};
		*taken = len;
		return HTTP_PIECE;
	case HTTP_SIDE_CONNECT:
	case HTTP_SIDE_BAD:
		break;
	}
	return HTTP_BAD;
}

bool http_relay_response_end(struct http_relay *http)
{
	struct http_side *side = &http->response;

	http->target_ends = true;
	if (side->state == HTTP_SIDE_BODY && side->body.kind == HTTP_BODY_UNTIL_END) {
		side->state = HTTP_SIDE_HEAD;
		end_response(http);
	}
	return side->state == HTTP_SIDE_RAW || side_between(side);
}

/* ---- questions ---- */

const struct http_request_head *http_relay_request_head(const struct http_relay *http)
{
	return &http->head;
}

unsigned http_relay_status(const struct http_relay *http)
{
	return http->status;
}

const char *http_relay_fault(const struct http_relay *http)
{
	return http->fault != NULL ? http->fault : "";
}

unsigned http_relay_outstanding(const struct http_relay *http)
{
	return http->queue.count;
}

bool http_relay_request_is_whole(const struct http_relay *http)
{
	return !http->asking;
}

bool http_relay_response_began(const struct http_relay *http)
{
	return http->answering || http->response.state == HTTP_SIDE_RAW;
}

bool http_relay_is_answered(const struct http_relay *http)
{
	return side_between(&http->response) && http->queue.count == 0 && http->answered;
}

bool http_relay_is_idle(const struct http_relay *http)
{
	return side_between(&http->request) && http_relay_is_answered(http);
}

bool http_relay_is_clean(const struct http_relay *http)
{
	return http_relay_is_idle(http) && !http->client_ends && !http->target_ends && !http->bound;
}

void http_relay_wait_for_first(struct http_relay *http)
{
	http->waits_for_first = true;
}

bool http_relay_is_over(const struct http_relay *http)
{
	return side_between(&http->response) &&
	       (http->target_ends ||
		   (http->client_ends && side_between(&http->request) && http->queue.count == 0));
}

bool http_relay_is_raw(const struct http_relay *http)
{
	return http->response.state == HTTP_SIDE_RAW;
}

void http_relay_rest(struct http_relay *http)
{
	struct http_side *side;
	unsigned i;

	for (i = 0; i < 2; i++) {
		side = i == 0 ? &http->request : &http->response;
		side_forget(side);
		http_buf_clear(&side->out);
		if (side->held.len == 0)
			http_buf_clear(&side->held);
	}
	http->head.method = http->head.host = "";
}
