/*
 * dial_proxy: the PROXY stage of a dial: TLS with an https:// proxy, the CONNECT sent, its answer awaited.
 *
 * What an answer means is http_connect's to say; when the stage begins and how long it may take is dial.c's.
 * The TLS session with the proxy has an identity and sessions of its own: our certificate for the target is
 * never shown here.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "dial/dial_internal.h"

/* A reply head is usually below this. */
#define REPLY_FIRST_BYTES 1024

/* ---- the answer ---- */

/* "http://proxy:3128", and behind a name the address that it led to. */
#define PROXY_NAME_BYTES 192

static void make_context(const struct dial *dial, struct http_connect_context *context,
    char name[PROXY_NAME_BYTES])
{
	char addr[ADDR_TEXT_BYTES];

	if (dial->peer->is_ip)
		snprintf(name, PROXY_NAME_BYTES, "%s", dial_path(dial)->name);
	else
		snprintf(name, PROXY_NAME_BYTES, "%s at %s", dial_path(dial)->name,
		    addr_format(&dial->peer_addr, addr));
	context->proxy_name = name;
	context->target = dial_target_text(dial);
	context->sent_credentials = dial_path(dial)->user != NULL;
}

static void proxy_closed(struct dial *dial, bool reset)
{
	struct http_connect_context context;
	char name[PROXY_NAME_BYTES];

	make_context(dial, &context, name);
	http_connect_closed(dial->reply, dial->reply_len, reset, &context, &dial->result.diagnosis);
	dial_finish(dial);
}

/* Room for at least `bytes` more. */
static void make_room(struct dial *dial, size_t bytes)
{
	size_t size = dial->reply_size == 0 ? REPLY_FIRST_BYTES : dial->reply_size;

	while (size - dial->reply_len < bytes)
		size *= 2;
	if (size == dial->reply_size)
		return;
	dial->reply_size = size;
	dial->reply = mem_realloc(dial->reply, size);
}

/* False when more of it has to come. */
static bool judge_reply(struct dial *dial)
{
	const struct dial_observer *observer = dial->params.observer;
	struct http_connect_context context;
	char name[PROXY_NAME_BYTES];
	size_t consumed = 0;

	make_context(dial, &context, name);
	switch (http_connect_parse(&dial->parser, dial->reply, dial->reply_len, &context, &consumed,
	    &dial->result.diagnosis)) {
	case HTTP_CONNECT_MORE:
		return false;
	case HTTP_CONNECT_OPEN:
		if (observer != NULL && observer->on_opened != NULL)
			observer->on_opened(observer->arg, dial->reply, consumed);
		dial_start_tls(dial, dial->reply + consumed, dial->reply_len - consumed);
		break;
	case HTTP_CONNECT_REFUSED:
	case HTTP_CONNECT_BROKEN:
		dial_finish(dial);
		break;
	}
	return true;
}

/* ---- http:// ---- */

/* The CONNECT and the ClientHello; inside the TLS with an https:// proxy, where there is one. */
static void send_with_hello(struct dial *dial)
{
	const struct secret *request = dial->params.path->request;

	dial->stream = dial_new_stream(dial, NULL, 0);
	if (dial->stream == NULL)
		return;
	dial->hello_sent = true;
	stream_send_hello_behind(dial->stream, secret_bytes(request), secret_len(request));
	watch_want(dial->watch, true, stream_pending(dial->stream));
}

static void start_plain(struct dial *dial)
{
	const struct secret *request = dial_request(dial);

	wire_init(&dial->wire, watch_fd(dial->watch), &dial->params.loop->pool);
	if (dial_is_pipelined(dial)) {
		send_with_hello(dial);
		return;
	}
	/* A failed send is told by the read that follows: a proxy may have said why before it closed. */
	(void)wire_send(&dial->wire, secret_bytes(request), secret_len(request));
	watch_want(dial->watch, true, wire_pending(&dial->wire));
}

/* Bytes read, 0: none now, or the dial is finished. */
static size_t read_plain(struct dial *dial)
{
	ssize_t n;

	make_room(dial, 1);
	do {
		n = recv(watch_fd(dial->watch), dial->reply + dial->reply_len,
		    dial->reply_size - dial->reply_len, 0);
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

static void step_plain(struct dial *dial)
{
	if (dial->hello_sent) {
		(void)stream_flush(dial->stream);
		watch_want(dial->watch, true, stream_pending(dial->stream));
	} else {
		(void)wire_flush(&dial->wire);
		watch_want(dial->watch, true, wire_pending(&dial->wire));
	}
	if (read_plain(dial) > 0)
		(void)judge_reply(dial);
}

/* ---- https:// ---- */

static void tls_failed(struct dial *dial)
{
	const struct tls_fault *fault = stream_fault(dial->outer);
	char peer[192];

	diagnosis_set(&dial->result.diagnosis, DIAGNOSIS_PROXY_TLS, "TLS with %s: %s",
	    dial_peer_text(dial, peer, sizeof(peer)),
	    fault->kind == TLS_FAULT_NONE ? "the session ended within its handshake" : fault->sentence);
	dial_set_fault_cause(&dial->result.diagnosis, fault);
	dial_finish(dial);
}

static bool cert_is_usable(struct dial *dial)
{
	const struct identity *identity = dial->params.path->proxy_identity;
	enum identity_validity validity;
	char peer[192], when[64];

	validity = identity_validity(identity, when, sizeof(when));
	if (validity == IDENTITY_NO_CERT || validity == IDENTITY_VALID)
		return true;
	diagnosis_set(&dial->result.diagnosis, DIAGNOSIS_PROXY_TLS, "the client certificate %s for %s %s %s",
	    identity_subject(identity), dial_peer_text(dial, peer, sizeof(peer)),
	    validity == IDENTITY_EXPIRED ? "expired at" : "is not valid before", when);
	diagnosis_set_cause(&dial->result.diagnosis, DIAGNOSIS_CAUSE_PROXY_OWN_CERT);
	return false;
}

static void step_tls(struct dial *dial);

static void start_tls(struct dial *dial)
{
	const struct relay_path *path = dial->params.path;
	struct stream_params params = {
	    .identity = path->proxy_identity,
	    .host = path->config->proxy.host,
	    .host_is_ip = path->config->proxy.is_ip,
	    .slot = &path->proxy_slots[dial->params.loop->index],
	    .fd = watch_fd(dial->watch),
	    .pool = &dial->params.loop->pool,
	    .trace = dial->params.trace,
	    .trace_arg = dial->params.trace_arg,
	    .trace_peer = "proxy",
	};

	if (!cert_is_usable(dial)) {
		dial_finish(dial);
		return;
	}
	dial->outer = stream_new(&params);
	if (dial->outer == NULL) {
		diagnosis_set(&dial->result.diagnosis, DIAGNOSIS_LOCAL_LIMIT,
		    "OpenSSL could not make a TLS session");
		dial_finish(dial);
		return;
	}
	step_tls(dial);
}

/* False: not yet, or the dial is finished. */
static bool shake_hands(struct dial *dial)
{
	enum stream_status status;

	if (dial->outer_ready)
		return true;
	if (stream_pending(dial->outer)) {
		watch_want(dial->watch, true, true);
		return false;
	}
	status = stream_handshake(dial->outer);
	if (status == STREAM_BLOCKED)
		watch_want(dial->watch, true, stream_pending(dial->outer));
	else if (status != STREAM_OK)
		tls_failed(dial);
	dial->outer_ready = status == STREAM_OK;
	return dial->outer_ready;
}

static void send_request(struct dial *dial)
{
	const struct secret *request = dial_request(dial);
	const char *bytes = secret_bytes(request);

	while (dial->request_off < secret_len(request) && !stream_busy(dial->outer)) {
		size_t len = secret_len(request) - dial->request_off;

		if (len > WIRE_STEP_BYTES)
			len = WIRE_STEP_BYTES;
		/* What failed is told by the read that follows. */
		(void)stream_write(dial->outer, bytes + dial->request_off, len);
		dial->request_off += len;
	}
}

static void read_tls(struct dial *dial)
{
	unsigned char *scratch = dial->params.loop->pool.scratch;
	enum stream_status status;
	size_t len;

	status = stream_read(dial->outer, scratch, WIRE_STEP_BYTES, &len);
	if (len > 0) {
		make_room(dial, len);
		memcpy(dial->reply + dial->reply_len, scratch, len);
		dial->reply_len += len;
		if (judge_reply(dial))
			return;
	}
	switch (status) {
	case STREAM_OK: /* there may be more that no event will tell of */
		watch_again(dial->watch);
		break;
	case STREAM_BLOCKED:
		watch_want(dial->watch, true, stream_pending(dial->outer));
		break;
	case STREAM_CLOSED:
	case STREAM_TRUNCATED:
	case STREAM_RESET:
		proxy_closed(dial, status == STREAM_RESET);
		break;
	case STREAM_FAILED:
		tls_failed(dial);
		break;
	}
}

static void step_tls(struct dial *dial)
{
	if (stream_pending(dial->outer) && stream_flush(dial->outer) == STREAM_RESET) {
		proxy_closed(dial, true);
		return;
	}
	if (!shake_hands(dial))
		return;
	if (!dial_is_pipelined(dial))
		send_request(dial);
	else if (!dial->hello_sent && !stream_busy(dial->outer))
		send_with_hello(dial);
	if (dial->phase == DIAL_PROXY)
		read_tls(dial);
}

void dial_start_proxy(struct dial *dial)
{
	int64_t stage_ms = dial_relay(dial)->proxy_timeout_ms;

	dial_pipeline_choose(dial);
	dial_enter(dial, DIAL_PROXY, dial_pipeline_patience(dial, DIAL_PROXY, stage_ms));
	if (dial_path(dial)->tls)
		start_tls(dial);
	else
		start_plain(dial);
}

void dial_step_proxy(struct dial *dial, bool readable)
{
	if (!dial_path(dial)->tls) {
		step_plain(dial);
		return;
	}
	if (readable)
		stream_set_readable(dial->outer);
	step_tls(dial);
}
