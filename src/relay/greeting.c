/*
 * greeting: see greeting.h.
 *
 * Answers for the handshake's deadline and for which diagnosis a failure is.
 */
#include "relay/greeting.h"

#include <stdlib.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/text.h"
#include "relay/pump.h"

struct greeting {
	struct loop *loop;
	const struct relay_route *route; /* borrowed */
	struct watch *client;
	struct stream *stream;
	struct event *timer;
	bool prefixed; /* bytes of the client's came with it */
	bool shaken; /* the handshake is done; its last bytes may still wait */
	void (*on_done)(void *arg, const struct greeting_result *result);
	void *arg;
};

/* A client's first line in the place of a ClientHello. */
static enum refusal_client spoke_plain(const struct stream *stream)
{
	unsigned char first[24];
	size_t len = stream_first_bytes(stream, first, sizeof(first));

	return pump_bytes_are_http(first, len) ? REFUSAL_CLIENT_HTTP : REFUSAL_CLIENT_OTHER;
}

/* The client's trust, or what it has to trust, is to be put right. */
static void tell_untrusted(const struct tls_fault *fault, const struct config_relay *relay,
    struct diagnosis *diagnosis)
{
	diagnosis_set(diagnosis, DIAGNOSIS_LOCAL_TLS, "%s", fault->sentence);
	if (!config_relay_makes_cert(relay)) {
		diagnosis_set_cause(diagnosis, DIAGNOSIS_CAUSE_LOCAL_UNTRUSTED);
		return;
	}
	diagnosis_append(diagnosis, ": import the local CA into its trust store (midrelay bundle show --local-ca "
	    "%s)", relay->target.host);
	diagnosis_set_cause(diagnosis, DIAGNOSIS_CAUSE_LOCAL_CA);
}

static void diagnose(const struct stream *stream, const struct config_relay *relay,
    struct diagnosis *diagnosis)
{
	const struct tls_fault *fault = stream_fault(stream);

	switch (fault->kind) {
	case TLS_FAULT_UNTRUSTED:
		diagnosis_set(diagnosis, DIAGNOSIS_LOCAL_DENIED, "%s", fault->sentence);
		diagnosis_set_cause(diagnosis, DIAGNOSIS_CAUSE_LOCAL_CERT);
		return;
	case TLS_FAULT_CERT_REJECTED:
		tell_untrusted(fault, relay, diagnosis);
		return;
	case TLS_FAULT_NOT_TLS:
		diagnosis_set(diagnosis, DIAGNOSIS_LOCAL_TLS, "%s", fault->sentence);
		diagnosis_set_cause(diagnosis, DIAGNOSIS_CAUSE_LOCAL_PLAIN);
		return;
	case TLS_FAULT_CLOSED:
		if (fault->detail == TLS_FAULT_AFTER_CERT) {
			tell_untrusted(fault, relay, diagnosis);
			return;
		}
		break;
	case TLS_FAULT_NONE:
	case TLS_FAULT_INSPECTED:
	case TLS_FAULT_HOSTNAME:
	case TLS_FAULT_EXPIRED:
	case TLS_FAULT_REVOKED:
	case TLS_FAULT_PIN:
	case TLS_FAULT_ISSUER:
	case TLS_FAULT_VERSION:
	case TLS_FAULT_ALERT:
	case TLS_FAULT_CERT_NOT_REQUESTED:
	case TLS_FAULT_CERT_UNUSABLE:
	case TLS_FAULT_OUTER:
		break;
	}
	diagnosis_set(diagnosis, DIAGNOSIS_LOCAL_TLS, "%s", fault->sentence);
}

/* Frees the greeting; what it has is in the result. */
static void finish(struct greeting *greeting, struct greeting_result *result)
{
	void (*on_done)(void *, const struct greeting_result *) = greeting->on_done;
	void *arg = greeting->arg;

	watch_want(greeting->client, false, false);
	result->client = greeting->client;
	event_free(greeting->timer);
	free(greeting);
	on_done(arg, result);
}

static void fail(struct greeting *greeting, struct greeting_result *result)
{
	stream_free(greeting->stream);
	finish(greeting, result);
}

/* What is sent in a handshake begins with the certificate. */
static void fail_to_send(struct greeting *greeting)
{
	static const struct tls_fault gone = {.sentence = "the client closed the connection when it was being "
		"shown the certificate of listen_cert, which it may not accept"};
	struct greeting_result result = {.refusal = REFUSAL_CLIENT_TOLD};

	tell_untrusted(&gone, greeting->route->config, &result.diagnosis);
	fail(greeting, &result);
}

/* A pool's spare connection, or a port check: a client that has not sent a byte of TLS may go. */
static void leave(struct greeting *greeting, enum stream_status status)
{
	struct greeting_result result = {.left = true};

	if (status == STREAM_RESET)
		diagnosis_set(&result.diagnosis, DIAGNOSIS_RELAY_RESET,
		    "the client reset the connection before the TLS handshake began");
	fail(greeting, &result);
}

static void fail_handshake(struct greeting *greeting)
{
	struct greeting_result result = {.refusal = REFUSAL_CLIENT_TOLD};

	diagnose(greeting->stream, greeting->route->config, &result.diagnosis);
	if (stream_fault(greeting->stream)->kind == TLS_FAULT_NOT_TLS)
		result.refusal = spoke_plain(greeting->stream);
	fail(greeting, &result);
}

static void succeed(struct greeting *greeting)
{
	struct greeting_result result = {.stream = greeting->stream};

	finish(greeting, &result);
}

/* The end of our last flight may have to wait for the descriptor. */
static void flush(struct greeting *greeting)
{
	switch (stream_flush(greeting->stream)) {
	case STREAM_OK:
		if (greeting->shaken)
			succeed(greeting);
		else
			watch_want(greeting->client, true, false);
		break;
	case STREAM_BLOCKED:
		watch_want(greeting->client, !greeting->shaken, true);
		break;
	case STREAM_CLOSED:
	case STREAM_TRUNCATED:
	case STREAM_RESET:
	case STREAM_FAILED:
		fail_to_send(greeting);
		break;
	}
}

static void on_ready(void *arg, bool readable, bool writable)
{
	struct greeting *greeting = arg;
	enum stream_status status = STREAM_BLOCKED;

	if (readable && !greeting->shaken) {
		stream_set_readable(greeting->stream);
		status = stream_handshake(greeting->stream);
		greeting->shaken = status == STREAM_OK;
	}
	switch (status) {
	case STREAM_OK:
	case STREAM_BLOCKED:
		flush(greeting);
		break;
	case STREAM_CLOSED:
	case STREAM_TRUNCATED:
	case STREAM_RESET:
		leave(greeting, status);
		break;
	case STREAM_FAILED:
		fail_handshake(greeting);
		break;
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct greeting *greeting = arg;
	struct greeting_result result = {.refusal = REFUSAL_CLIENT_OTHER};
	char text[32];

	diagnosis_set(&result.diagnosis, DIAGNOSIS_LOCAL_TLS, "the client did not finish the TLS handshake "
	    "within %s (tls_timeout)", text_format_duration(greeting->route->config->tls_timeout_ms, text,
	    sizeof(text)));
	stream_free(greeting->stream);
	finish(greeting, &result);
}

struct greeting *greeting_start(const struct greeting_params *params)
{
	struct greeting *greeting = mem_calloc(1, sizeof(*greeting));
	struct stream_accept_params stream = {
	    .ctx = local_identity_ctx(params->route->local),
	    .fd = watch_fd(params->client),
	    .pool = &params->loop->pool,
	    .prefix = params->prefix,
	    .prefix_len = params->prefix_len,
	};

	greeting->loop = params->loop;
	greeting->route = params->route;
	greeting->on_done = params->on_done;
	greeting->arg = params->arg;
	greeting->timer = evtimer_new(params->loop->base, on_timer, greeting);
	greeting->stream = stream_accept_new(&stream);
	if (greeting->timer == NULL || greeting->stream == NULL) {
		if (greeting->timer != NULL)
			event_free(greeting->timer);
		stream_free(greeting->stream);
		free(greeting);
		return NULL;
	}
	greeting->client = params->client;
	greeting->prefixed = params->prefix_len > 0;
	watch_set_owner(greeting->client, on_ready, greeting);
	watch_want(greeting->client, true, false);
	if (params->prefix_len > 0)
		watch_again(greeting->client);
	loop_timer_add(greeting->timer, params->route->config->tls_timeout_ms);
	return greeting;
}

void greeting_cancel(struct greeting *greeting, bool reset)
{
	if (greeting == NULL)
		return;
	event_free(greeting->timer);
	stream_free(greeting->stream);
	watch_free(greeting->client, reset);
	free(greeting);
}

bool greeting_is_silent(const struct greeting *greeting)
{
	char byte;

	return !greeting->prefixed && stream_received(greeting->stream) == 0 &&
	    recv(watch_fd(greeting->client), &byte, 1, MSG_PEEK | MSG_DONTWAIT) <= 0;
}
