/*
 * dial_proxy: the PROXY stage of a dial: the CONNECT sent, its answer awaited.
 *
 * What an answer means is http_connect's to say; when the stage begins and how long it may take is dial.c's.
 */
#include <errno.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "dial/dial_internal.h"

/* A reply head is usually below this. */
#define REPLY_FIRST_BYTES 1024

void dial_start_proxy(struct dial *dial)
{
	const struct secret *request = dial->params.path->request;

	dial_enter(dial, DIAL_PROXY, dial_relay(dial)->proxy_timeout_ms);
	wire_init(&dial->wire, watch_fd(dial->watch), &dial->params.loop->pool);
	/* A failed send is told by the read that follows: a proxy may have said why before it closed. */
	(void)wire_send(&dial->wire, secret_bytes(request), secret_len(request));
	watch_want(dial->watch, true, wire_pending(&dial->wire));
}

static void make_context(const struct dial *dial, struct http_connect_context *context)
{
	context->proxy_name = dial_path(dial)->name;
	context->target = dial->params.route->target_text;
	context->sent_credentials = dial_path(dial)->user != NULL;
}

static void proxy_closed(struct dial *dial, bool reset)
{
	struct http_connect_context context;

	make_context(dial, &context);
	http_connect_closed(dial->reply, dial->reply_len, reset, &context, &dial->result.diagnosis);
	dial_finish(dial);
}

/* Bytes read, 0: none now, or the dial is finished. */
static size_t read_reply(struct dial *dial)
{
	ssize_t n;

	if (dial->reply_len == dial->reply_size) {
		dial->reply_size = dial->reply_size == 0 ? REPLY_FIRST_BYTES : dial->reply_size * 2;
		dial->reply = mem_realloc(dial->reply, dial->reply_size);
	}
	do {
		n = recv(watch_fd(dial->watch), dial->reply + dial->reply_len, dial->reply_size - dial->reply_len, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	if (n <= 0) {
		proxy_closed(dial, n < 0);
		return 0;
	}
	dial->reply_len += (size_t)n;
	return (size_t)n;
}

void dial_step_proxy(struct dial *dial)
{
	struct http_connect_context context;
	size_t consumed = 0;

	(void)wire_flush(&dial->wire);
	watch_want(dial->watch, true, wire_pending(&dial->wire));
	if (read_reply(dial) == 0)
		return;
	make_context(dial, &context);
	switch (http_connect_parse(&dial->parser, dial->reply, dial->reply_len, &context, &consumed,
	    &dial->result.diagnosis)) {
	case HTTP_CONNECT_MORE:
		break;
	case HTTP_CONNECT_OPEN:
		dial_start_tls(dial, dial->reply + consumed, dial->reply_len - consumed);
		break;
	case HTTP_CONNECT_REFUSED:
	case HTTP_CONNECT_BROKEN:
		dial_finish(dial);
		break;
	}
}
