/*
 * dial_tls: the TLS stage of a dial: the stream to the target, and the tunnel that comes of it; with
 * connect_only the tunnel without it.
 *
 * How the server is judged is tls/stream's business; when the stage begins and how long it may take is
 * dial.c's.
 */
#include <string.h>

#include "base/mem.h"
#include "dial/dial_internal.h"

struct stream *dial_new_stream(struct dial *dial, const char *prefix, size_t prefix_len)
{
	struct stream *stream;
	const struct config_relay *relay = dial_relay(dial);
	const struct identity_use *use = dial->params.use;
	struct stream_params params = {
	    .identity = use != NULL ? use->identity : dial->params.route->identity,
	    .host = relay->target.host,
	    .host_is_ip = relay->target.is_ip,
	    .require_cert_request = relay->require_client_cert_request,
	    .slot = relay_path_slot(dial->params.path, dial->params.loop->index, use),
	    .outer = dial->outer,
	    .fd = watch_fd(dial->watch),
	    .pool = &dial->params.loop->pool,
	    .prefix = prefix,
	    .prefix_len = prefix_len,
	    .trace = dial->params.trace,
	    .trace_arg = dial->params.trace_arg,
	    .trace_peer = "target",
	};

	stream = stream_new(&params);
	if (stream == NULL) {
		diagnosis_set(&dial->result.diagnosis, DIAGNOSIS_LOCAL_LIMIT,
		    "OpenSSL could not make a TLS session");
		dial_finish(dial);
	}
	return stream;
}

static void open_tunnel(struct dial *dial)
{
	struct tunnel *tunnel = mem_calloc(1, sizeof(*tunnel));

	dial_finish(dial);
	dial->result.nothing_sent = false;
	tunnel->watch = dial->watch;
	tunnel->stream = dial->stream;
	dial->watch = NULL;
	dial->stream = NULL;
	dial->result.tunnel = tunnel;
}

/* The stream with an https:// proxy is part of the tunnel. */
static void open_plain(struct dial *dial, const char *prefix, size_t prefix_len)
{
	wire_clear(&dial->wire);
	dial_finish(dial); /* what the proxy's TLS showed is nobody's evidence of a target */
	dial->stream = dial->outer;
	dial->outer = NULL;
	open_tunnel(dial);
	if (prefix_len > 0) {
		dial->result.tunnel->prefix = mem_realloc(NULL, prefix_len);
		memcpy(dial->result.tunnel->prefix, prefix, prefix_len);
		dial->result.tunnel->prefix_len = prefix_len;
	}
}

static void go_on(struct dial *dial)
{
	char peer[192], addr[ADDR_TEXT_BYTES];
	enum stream_status status;

	if (stream_pending(dial->stream) && stream_flush(dial->stream) == STREAM_BLOCKED) {
		watch_want(dial->watch, true, true);
		return;
	}
	status = stream_handshake(dial->stream);
	if (!dial->answered && stream_was_answered(dial->stream)) {
		if (dial->waits_for_hello)
			dial_set_deadline(dial, dial_relay(dial)->tls_timeout_ms - (loop_clock_us() -
			    dial->phase_began_us) / 1000);
		dial_pipeline_answered(dial);
	}
	if (status == STREAM_OK) {
		dial_pipeline_worked(dial);
		relay_path_saw_server(dial->params.route->set, dial->params.path, dial->stream);
		open_tunnel(dial);
		return;
	}
	if (status == STREAM_BLOCKED) {
		watch_want(dial->watch, true, stream_pending(dial->stream));
		return;
	}
	dial_diagnose_stream(dial->stream, &dial->result.diagnosis);
	if (dial_path(dial)->direct)
		diagnosis_append(&dial->result.diagnosis, " (at %s)", addr_format(&dial->peer_addr, addr));
	else
		diagnosis_append(&dial->result.diagnosis, " (through %s)", dial_peer_text(dial, peer,
		    sizeof(peer)));
	dial_finish(dial);
}

void dial_start_tls(struct dial *dial, const char *prefix, size_t prefix_len)
{
	if (dial->params.connect_only != NULL) {
		open_plain(dial, prefix, prefix_len);
		return;
	}
	dial_enter(dial, DIAL_TLS, dial_pipeline_patience(dial, DIAL_TLS, dial_relay(dial)->tls_timeout_ms));
	wire_clear(&dial->wire);
	if (dial->hello_sent)
		stream_begin_reading(dial->stream, prefix, prefix_len);
	else
		dial->stream = dial_new_stream(dial, prefix, prefix_len);
	if (dial->stream == NULL)
		return;
	dial->outer = NULL; /* the stream's now */
	go_on(dial);
}

void dial_step_tls(struct dial *dial, bool readable)
{
	if (readable)
		stream_set_readable(dial->stream);
	go_on(dial);
}
