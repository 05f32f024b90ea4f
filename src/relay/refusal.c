/* refusal: see refusal.h. */
#include "relay/refusal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "relay/pump.h"
#include "tls/stream.h"

#define FIRST_BYTES_MS 1000
/* How long a client may go on sending before the connection is closed under it, in all and in silence. */
#define DRAIN_MS 30000
#define DRAIN_SILENCE_MS 5000

enum refusal_state { REFUSAL_WAITS, REFUSAL_SENDS, REFUSAL_DRAINS, REFUSAL_DONE };

struct refusal {
	struct loop_job job; /* first: run() gets it */
	struct loop *loop;
	struct watch *watch;
	struct stream *stream; /* NULL: plain bytes */
	struct wire wire; /* without a stream, which has its own */
	struct event *timer;
	enum refusal_state state;
	enum refusal_client client;
	bool reset;
	int64_t drain_until_ms;
	struct diagnosis diagnosis;
	void (*on_done)(void *arg);
	void *arg;
};

/* RFC 8941 3.3.3: a quoted string; the sentence is printable ASCII already. */
static void quote(const char *from, char *to, size_t to_bytes)
{
	size_t used = 0;

	for (; *from != '\0' && used + 3 < to_bytes; from++) {
		if (*from == '"' || *from == '\\')
			to[used++] = '\\';
		to[used++] = *from;
	}
	to[used] = '\0';
}

static const char *status_name(int status)
{
	switch (status) {
	case 400:
		return "Bad Request";
	case 503:
		return "Service Unavailable";
	case 504:
		return "Gateway Timeout";
	default:
		return "Bad Gateway";
	}
}

char *refusal_http_answer(const struct diagnosis *diagnosis, size_t *len)
{
	const struct diagnosis_info *info = diagnosis_info(diagnosis->code);
	char details[2 * DIAGNOSIS_SENTENCE_BYTES + 64];
	char *body, *answer;

	quote(diagnosis->sentence, details, sizeof(details));
	body = mem_printf("midrelay: %d %s\n\n%s: %s\n\n%s\n", info->http_status,
	    status_name(info->http_status), info->name, diagnosis->sentence, diagnosis_remedy(diagnosis));
	answer = mem_printf("HTTP/1.1 %d midrelay: %s: %s\r\n"
	    "Proxy-Status: midrelay; error=%s; details=\"%s: %s\"\r\n"
	    "Content-Type: text/plain; charset=utf-8\r\n"
	    "Content-Length: %zu\r\n"
	    "Cache-Control: no-store\r\n"
	    "Connection: close\r\n"
	    "\r\n%s",
	    info->http_status, info->name, diagnosis->sentence, info->proxy_status, info->name, details,
	    strlen(body), body);
	free(body);
	*len = strlen(answer);
	return answer;
}

static void refusal_free(struct refusal *refusal)
{
	wire_clear(&refusal->wire);
	stream_free(refusal->stream);
	watch_free(refusal->watch, refusal->reset);
	event_free(refusal->timer);
	free(refusal);
}

static void run_done(struct loop_job *job)
{
	struct refusal *refusal = (struct refusal *)job;
	void (*on_done)(void *) = refusal->on_done;
	void *arg = refusal->arg;

	refusal_free(refusal);
	if (on_done != NULL)
		on_done(arg);
}

static void finish(struct refusal *refusal, bool reset)
{
	if (refusal->state == REFUSAL_DONE)
		return;
	refusal->state = REFUSAL_DONE;
	refusal->reset = reset;
	event_del(refusal->timer);
	watch_want(refusal->watch, false, false);
	loop_defer(refusal->loop, &refusal->job);
}

static void drain(struct refusal *refusal)
{
	unsigned char *scratch = refusal->loop->pool.scratch;
	int64_t left_ms = refusal->drain_until_ms - loop_now_ms();
	ssize_t n;

	n = recv(watch_fd(refusal->watch), scratch, WIRE_STEP_BYTES, 0);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
		return;
	if (n <= 0) {
		finish(refusal, false);
		return;
	}
	loop_timer_add(refusal->timer, left_ms < DRAIN_SILENCE_MS ? left_ms : DRAIN_SILENCE_MS);
}

static void start_drain(struct refusal *refusal)
{
	refusal->state = REFUSAL_DRAINS;
	shutdown(watch_fd(refusal->watch), SHUT_WR);
	refusal->drain_until_ms = loop_now_ms() + DRAIN_MS;
	loop_timer_add(refusal->timer, DRAIN_SILENCE_MS);
	watch_want(refusal->watch, true, false);
}

static enum wire_status wire_status_of(const struct refusal *refusal, enum stream_status status)
{
	switch (status) {
	case STREAM_OK:
		return WIRE_SENT;
	case STREAM_BLOCKED: /* a client in the middle of a message of its own is not waited for */
		return stream_pending(refusal->stream) ? WIRE_BLOCKED : WIRE_BROKEN;
	case STREAM_CLOSED:
	case STREAM_TRUNCATED:
	case STREAM_RESET:
	case STREAM_FAILED:
		break;
	}
	return WIRE_BROKEN;
}

/* In a stream, close_notify goes right behind: what follows on the descriptor is not looked at any more. */
static enum wire_status send_answer(struct refusal *refusal, const char *answer, size_t len)
{
	enum stream_status status;

	if (refusal->stream == NULL)
		return wire_send(&refusal->wire, answer, len);
	if (stream_busy(refusal->stream))
		return WIRE_BROKEN;
	status = stream_write(refusal->stream, answer, len);
	if (status == STREAM_OK || status == STREAM_BLOCKED)
		status = stream_shutdown(refusal->stream);
	return wire_status_of(refusal, status);
}

static enum wire_status flush(struct refusal *refusal)
{
	if (refusal->stream == NULL)
		return wire_flush(&refusal->wire);
	return wire_status_of(refusal, stream_flush(refusal->stream));
}

static void start_send(struct refusal *refusal)
{
	/*
	 * RFC 8446 6.2: a fatal alert, handshake_failure, in a record of the oldest version that all clients
	 * read.
	 */
	static const unsigned char alert[] = {21, 3, 1, 0, 2, 2, 40};
	enum wire_status status = WIRE_BROKEN;
	size_t len;
	char *answer;

	refusal->state = REFUSAL_SENDS;
	loop_timer_add(refusal->timer, DRAIN_SILENCE_MS);
	switch (refusal->client) {
	case REFUSAL_CLIENT_HTTP:
		answer = refusal_http_answer(&refusal->diagnosis, &len);
		status = send_answer(refusal, answer, len);
		free(answer);
		break;
	case REFUSAL_CLIENT_TLS:
		status = wire_send(&refusal->wire, alert, sizeof(alert));
		break;
	case REFUSAL_CLIENT_TOLD:
		status = WIRE_SENT;
		break;
	case REFUSAL_CLIENT_UNKNOWN:
	case REFUSAL_CLIENT_OTHER:
		break;
	}
	if (status == WIRE_SENT)
		start_drain(refusal);
	else if (status == WIRE_BLOCKED)
		watch_want(refusal->watch, false, true);
	else
		finish(refusal, true);
}

/* The same inside a stream, whose bytes can only be taken; what was taken is not missed. */
static void look_inside(struct refusal *refusal, bool last)
{
	unsigned char *scratch = refusal->loop->pool.scratch;
	enum stream_status status;
	size_t len;

	stream_set_readable(refusal->stream);
	status = stream_read(refusal->stream, scratch, WIRE_STEP_BYTES, &len);
	if (len == 0 && status == STREAM_BLOCKED && !last)
		return;
	refusal->client = pump_bytes_are_http(scratch, len) ? REFUSAL_CLIENT_HTTP : REFUSAL_CLIENT_OTHER;
	start_send(refusal);
}

/* Looks at what the client has sent so far without taking it; `last`: no more will be waited for. */
static void look(struct refusal *refusal, bool last)
{
	unsigned char first[32];
	ssize_t n;
	size_t len;

	if (refusal->stream != NULL) {
		look_inside(refusal, last);
		return;
	}
	n = recv(watch_fd(refusal->watch), first, sizeof(first), MSG_PEEK);
	len = n > 0 ? (size_t)n : 0;
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) && !last)
		return;
	if (pump_bytes_are_tls(first, len))
		refusal->client = REFUSAL_CLIENT_TLS;
	else if (pump_bytes_are_http(first, len))
		refusal->client = REFUSAL_CLIENT_HTTP;
	else
		refusal->client = REFUSAL_CLIENT_OTHER;
	start_send(refusal);
}

static void on_ready(void *arg, bool readable, bool writable)
{
	struct refusal *refusal = arg;

	switch (refusal->state) {
	case REFUSAL_WAITS:
		look(refusal, false);
		break;
	case REFUSAL_SENDS:
		switch (flush(refusal)) {
		case WIRE_SENT:
			start_drain(refusal);
			break;
		case WIRE_BLOCKED:
			break;
		case WIRE_BROKEN:
			finish(refusal, true);
			break;
		}
		break;
	case REFUSAL_DRAINS:
		drain(refusal);
		break;
	case REFUSAL_DONE:
		break;
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct refusal *refusal = arg;

	if (refusal->state == REFUSAL_WAITS)
		look(refusal, true);
	else
		finish(refusal, refusal->state == REFUSAL_SENDS);
}

struct refusal *refusal_start(const struct refusal_params *params)
{
	struct refusal *refusal = mem_calloc(1, sizeof(*refusal));

	refusal->job.run = run_done;
	refusal->loop = params->loop;
	refusal->watch = params->watch;
	refusal->stream = params->stream;
	refusal->client = params->client;
	refusal->diagnosis = *params->diagnosis;
	refusal->on_done = params->on_done;
	refusal->arg = params->arg;
	wire_init(&refusal->wire, watch_fd(params->watch), &params->loop->pool);
	watch_set_owner(refusal->watch, on_ready, refusal);
	refusal->timer = evtimer_new(params->loop->base, on_timer, refusal);
	if (refusal->timer == NULL) {
		stream_free(refusal->stream);
		watch_free(refusal->watch, true);
		free(refusal);
		return NULL;
	}
	if (!params->explain && params->client != REFUSAL_CLIENT_TOLD) {
		finish(refusal, true);
	} else if (params->client != REFUSAL_CLIENT_UNKNOWN) {
		start_send(refusal);
	} else {
		loop_timer_add(refusal->timer, FIRST_BYTES_MS);
		watch_want(refusal->watch, true, false);
		if (refusal->stream != NULL) /* no event tells of what came with the handshake */
			watch_again(refusal->watch);
	}
	return refusal;
}

void refusal_cancel(struct refusal *refusal)
{
	if (refusal == NULL)
		return;
	if (refusal->state == REFUSAL_DONE) {
		/* The job is on the loop's list already and frees it. */
		refusal->on_done = NULL;
		return;
	}
	refusal->reset = true;
	refusal_free(refusal);
}
