/*
 * dial: reaching a target over one path: RESOLVE, CONNECT, PROXY, TLS; one deadline, one done-callback.
 */
#ifndef MIDRELAY_DIAL_DIAL_H
#define MIDRELAY_DIAL_DIAL_H

#include "dial/diagnosis.h"
#include "dial/relay_route.h"
#include "dial/resolver.h"
#include "loop/loop.h"
#include "tls/stream.h"

/* What a dial yields: a verified TLS stream to the target, or bytes as they are with `connect_only`. */
struct tunnel {
	struct watch *watch;
	struct stream *stream; /* on the watch's descriptor; NULL: plain bytes */
	/* with connect_only: what came behind the proxy's answer, the tunnel's first bytes */
	unsigned char *prefix;
	size_t prefix_len;
};
/* Frees both and the tunnel; with `reset` the peer gets a RST. */
void tunnel_free(struct tunnel *tunnel, bool reset);

/* The diagnosis for a stream that FAILED. */
void dial_diagnose_stream(const struct stream *stream, struct diagnosis *diagnosis);

/* How long each stage took, in µs; -1: not reached. */
struct dial_times {
	int64_t resolve_us, connect_us, proxy_us, tls_us;
};

enum dial_phase { DIAL_RESOLVE, DIAL_CONNECT, DIAL_PROXY, DIAL_TLS, DIAL_DONE };

/* Follows a dial as it goes; called from the loop, and from inside dial_start too.  Each may be NULL. */
struct dial_observer {
	void (*on_phase)(void *arg, enum dial_phase phase);            /* it begins */
	/* the proxy's answer that opened the tunnel */
	void (*on_opened)(void *arg, const char *head, size_t len);
	void *arg;
};

struct dial_params {
	struct loop *loop;
	struct resolver *resolver;
	struct relay_route *route; /* borrowed: the caller keeps a count on its set until done or cancelled */
	struct relay_path *path;   /* of this route */
	/* Under which certificate; borrowed until done or cancelled.  NULL: the configured one. */
	const struct identity_use *use;
	int64_t deadline_ms;       /* loop_now_ms() at which setup_timeout ends */
	bool may_pipeline;         /* the ClientHello may go with the CONNECT, as `proxy_pipeline` says */
	const struct dial_observer *observer; /* borrowed until done or cancelled; NULL: nobody */
	/*
	 * Told of the TLS with an https:// proxy and with the target, as in stream_params: each line begins
	 * with "proxy: " or "target: ".  As long as the dial, and then its tunnel, lives, or until
	 * stream_end_trace(); never after dial_cancel().  May be NULL.
	 */
	void (*trace)(void *arg, const char *text);
	void *trace_arg;
	/*
	 * Reach this host instead of the target, and stop before TLS: the tunnel is the client's own to use,
	 * and the certificate for the target stays out of it.  Borrowed until done or cancelled; NULL: the
	 * target.
	 */
	const struct hostport *connect_only;
};

struct dial_result {
	struct tunnel *tunnel; /* the receiver's; NULL: see the diagnosis */
	struct diagnosis diagnosis;
	struct dial_times times;
	struct addr peer;                /* that was connected to, or tried last; len 0: none */
	struct judge_evidence *evidence; /* the receiver's to free(); NULL: no server was judged */
	bool cert_in_clear;              /* our certificate left under TLS 1.2 */
	/*
	 * Nothing of ours was shown to a server: another path may be tried.  See reach.c for what else
	 * decides.
	 */
	bool nothing_sent;
	bool pipeline_refused; /* it was found that this proxy loses a ClientHello behind the CONNECT */
};

struct dial;

/* Called once, never from inside dial_start, never after dial_cancel; the dial is gone then. */
typedef void dial_done_fn(void *arg, struct dial_result *result);

struct dial *dial_start(const struct dial_params *params, dial_done_fn *done, void *arg);
void dial_cancel(struct dial *dial); /* NULL is fine */

#endif
