/*
 * http_flow: see http_flow.h.
 *
 * Answers for what is copied and what is not: pieces that stand side by side in what was read leave from
 * there; those that http_relay made are gathered with their neighbours.
 */
#include "relay/http_flow.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* Less than a step, and behind it one piece: a head with what was put right in it, or a read. */
_Static_assert(WIRE_PIECES_BYTES >= 2 * WIRE_STEP_BYTES + HTTP_HEAD_BYTES, "no room for a head");

/* What leaves with the next write. */
struct batch {
	struct wire_pool *pool;
	const unsigned char *bytes;
	size_t len;
	bool copied; /* into the pool's room */
};

struct http_flow *http_flow_new(struct http_relay *http)
{
	struct http_flow *flow = mem_calloc(1, sizeof(*flow));

	flow->http = http;
	return flow;
}

void http_flow_free(struct http_flow *flow)
{
	unsigned i;

	if (flow == NULL)
		return;
	for (i = 0; i < 2; i++) {
		free(flow->lanes[i].in);
		free(flow->lanes[i].out);
	}
	http_relay_free(flow->http);
	free(flow);
}

/* ---- what waits ---- */

static unsigned char *copy_of(const void *bytes, size_t len)
{
	unsigned char *copy;

	if (len == 0)
		return NULL;
	copy = mem_realloc(NULL, len);
	memcpy(copy, bytes, len);
	return copy;
}

static void set_in(struct http_lane *lane, const unsigned char *bytes, size_t len)
{
	unsigned char *before = lane->in;

	if (before != NULL && len > 0) {
		lane->in_off = (size_t)(bytes - before);
		return;
	}
	lane->in = copy_of(bytes, len);
	lane->in_off = 0;
	lane->in_len = len;
	free(before);
}

static void set_out(struct http_lane *lane, const unsigned char *bytes, size_t len)
{
	unsigned char *before = lane->out;

	lane->out = copy_of(bytes, len);
	lane->out_off = 0;
	lane->out_len = len;
	free(before);
}

/* ---- the first request ---- */

enum http_flow_asked http_flow_ask(struct http_flow *flow, const unsigned char *bytes, size_t len)
{
	struct http_lane *lane = &flow->lanes[HTTP_FLOW_UP];
	struct http_piece piece;
	enum http_step step;
	size_t taken;

	while (len > 0) {
		step = http_relay_request(flow->http, bytes, len, &taken, &piece);
		bytes += taken;
		len -= taken;
		switch (step) {
		case HTTP_PIECE:
			break;
		case HTTP_HEAD:
			flow->requests++;
			set_out(lane, piece.bytes, piece.len);
			set_in(lane, bytes, len);
			return HTTP_FLOW_REQUEST;
		case HTTP_CONNECT:
			set_in(lane, bytes, len);
			return HTTP_FLOW_CONNECT;
		case HTTP_WAIT: /* for what?  Nothing was passed on */
		case HTTP_BAD:
			return HTTP_FLOW_REFUSED;
		}
	}
	return HTTP_FLOW_MORE;
}

void http_flow_become_raw(struct http_flow *flow, const char *answer, const void *first, size_t first_len)
{
	struct http_lane *lane = &flow->lanes[HTTP_FLOW_DOWN];
	size_t answer_len = strlen(answer);

	http_relay_free(flow->http);
	flow->http = NULL;
	lane->out = mem_realloc(NULL, answer_len + first_len);
	memcpy(lane->out, answer, answer_len);
	if (first_len > 0)
		memcpy(lane->out + answer_len, first, first_len);
	lane->out_off = 0;
	lane->out_len = answer_len + first_len;
}

/* ---- passing on ---- */

/* `lasting`: the bytes stay where they are until the batch has left. */
static void batch_add(struct batch *batch, const unsigned char *bytes, size_t len, bool lasting)
{
	unsigned char *room;

	if (len == 0)
		return;
	if (lasting && batch->len == 0) {
		batch->bytes = bytes;
		batch->len = len;
		return;
	}
	if (lasting && !batch->copied && batch->bytes + batch->len == bytes) {
		batch->len += len;
		return;
	}
	room = wire_pool_pieces(batch->pool);
	midrelay_assert(batch->len + len <= WIRE_PIECES_BYTES);
	if (!batch->copied && batch->len > 0)
		memcpy(room, batch->bytes, batch->len);
	memcpy(room + batch->len, bytes, len);
	batch->bytes = room;
	batch->len += len;
	batch->copied = true;
}

/* One step of http_relay; false: it takes nothing now. */
static bool take_piece(struct http_flow *flow, enum http_flow_way way, const unsigned char **in, size_t *left,
    struct batch *batch)
{
	const unsigned char *from = *in, *end = *in + *left;
	struct http_piece piece;
	enum http_step step;
	size_t taken;

	if (way == HTTP_FLOW_UP)
		step = http_relay_request(flow->http, from, *left, &taken, &piece);
	else
		step = http_relay_response(flow->http, from, *left, &taken, &piece);
	*in += taken;
	*left -= taken;
	switch (step) {
	case HTTP_HEAD:
		if (way == HTTP_FLOW_UP)
			flow->requests++;
		break;
	case HTTP_PIECE:
		break;
	case HTTP_WAIT:
		return false;
	case HTTP_CONNECT:
		flow->connect_came = true;
		flow->lanes[way].bad = true;
		break;
	case HTTP_BAD:
		flow->lanes[way].bad = true;
		break;
	}
	if (flow->lanes[way].bad) {
		*left = 0;
		return false;
	}
	batch_add(batch, piece.bytes, piece.len, piece.bytes >= from && piece.bytes < end);
	return true;
}

static void take_raw(const unsigned char **in, size_t *left, struct batch *batch)
{
	size_t len = *left < WIRE_STEP_BYTES ? *left : WIRE_STEP_BYTES;

	batch_add(batch, *in, len, true);
	*in += len;
	*left -= len;
}

/* In writes of at most a step; what is not taken any more is held. */
static bool send_batch(struct http_lane *lane, const struct batch *batch, http_flow_write_fn *write, void *arg)
{
	size_t off = 0, len;
	bool more = true;

	while (more && off < batch->len) {
		len = batch->len - off < WIRE_STEP_BYTES ? batch->len - off : WIRE_STEP_BYTES;
		more = write(arg, batch->bytes + off, len);
		off += len;
	}
	if (off < batch->len || lane->out != NULL)
		set_out(lane, batch->bytes + off, batch->len - off);
	return more && off == batch->len;
}

void http_flow_pass(struct http_flow *flow, enum http_flow_way way, struct wire_pool *pool,
    const unsigned char *bytes, size_t len, http_flow_write_fn *write, void *arg)
{
	struct http_lane *lane = &flow->lanes[way];
	const unsigned char *in = lane->in != NULL ? lane->in + lane->in_off : bytes;
	size_t left = lane->in != NULL ? lane->in_len - lane->in_off : len;
	bool more = true, takes = true;

	if (lane->bad || (way == HTTP_FLOW_UP && flow->drops))
		left = 0;
	while (more && (lane->out != NULL || (takes && left > 0))) {
		struct batch batch = {.pool = pool};

		if (lane->out != NULL)
			batch_add(&batch, lane->out + lane->out_off, lane->out_len - lane->out_off, true);
		while (takes && left > 0 && batch.len < WIRE_STEP_BYTES) {
			if (flow->http == NULL)
				take_raw(&in, &left, &batch);
			else
				takes = take_piece(flow, way, &in, &left, &batch);
		}
		more = send_batch(lane, &batch, write, arg);
	}
	if (lane->in != NULL || left > 0)
		set_in(lane, in, left);
}

/* ---- what is known ---- */

bool http_flow_holds(const struct http_flow *flow, enum http_flow_way way)
{
	return flow->lanes[way].in != NULL || flow->lanes[way].out != NULL;
}

bool http_flow_is_bad(const struct http_flow *flow, enum http_flow_way way)
{
	return flow->lanes[way].bad;
}

bool http_flow_is_answered(const struct http_flow *flow)
{
	unsigned cut;

	if (flow->http == NULL)
		return true;
	/* One whose body was broken would be waited for in vain. */
	cut = http_relay_request_is_whole(flow->http) ? 0 : 1;
	return http_relay_outstanding(flow->http) <= cut;
}

bool http_flow_is_over(const struct http_flow *flow)
{
	return flow->http != NULL && !http_relay_is_raw(flow->http) && http_relay_is_over(flow->http);
}

void http_flow_drop_requests(struct http_flow *flow)
{
	if (flow->http == NULL || http_relay_is_raw(flow->http))
		return;
	flow->drops = true;
	set_in(&flow->lanes[HTTP_FLOW_UP], NULL, 0);
}

void http_flow_rest(struct http_flow *flow)
{
	if (flow->http != NULL)
		http_relay_rest(flow->http);
}

bool http_flow_is_answerable(const struct http_flow *flow)
{
	/* Who waits for none would take it for the answer to what it asks next. */
	if (flow->http != NULL && !flow->lanes[HTTP_FLOW_UP].bad && http_relay_outstanding(flow->http) == 0)
		return false;
	/* A request whose body was broken may have had its answer before. */
	return flow->http != NULL && !http_relay_is_raw(flow->http) && !http_relay_response_began(flow->http) &&
	    (http_relay_request_is_whole(flow->http) || http_relay_outstanding(flow->http) > 0);
}

bool http_flow_was_cut(struct http_flow *flow)
{
	if (flow->http == NULL || http_relay_response_end(flow->http))
		return false;
	return http_relay_response_began(flow->http);
}

bool http_flow_is_idle(const struct http_flow *flow)
{
	return flow->http != NULL && !http_flow_holds(flow, HTTP_FLOW_UP) && !http_flow_holds(flow, HTTP_FLOW_DOWN) &&
	    http_relay_is_idle(flow->http);
}

bool http_flow_is_clean(const struct http_flow *flow)
{
	return http_flow_is_idle(flow) && http_relay_is_clean(flow->http);
}

bool http_flow_is_complete(const struct http_flow *flow)
{
	return flow->http != NULL && !http_flow_holds(flow, HTTP_FLOW_DOWN) && http_relay_is_answered(flow->http);
}

void http_flow_wait_for_first(struct http_flow *flow)
{
	http_relay_wait_for_first(flow->http);
}
