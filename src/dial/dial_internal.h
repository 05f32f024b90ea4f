/* dial_internal: what dial.c and the files of its stages (dial_proxy.c, dial_tls.c …) share; for nobody else. */
#ifndef MIDRELAY_DIAL_DIAL_INTERNAL_H
#define MIDRELAY_DIAL_DIAL_INTERNAL_H

#include "dial/connect.h"
#include "dial/dial.h"
#include "dial/http_connect.h"

/* Whether the ClientHello goes with the CONNECT; see dial_pipeline.c. */
enum dial_pipeline {
	DIAL_PLAIN,
	DIAL_PIPELINED,
	DIAL_PIPELINE_TRIAL, /* the first on this path, and the only one until it is over */
	DIAL_PLAIN_AGAIN,    /* after a pipelined attempt that came to nothing */
};

struct dial {
	struct loop_job job; /* first: run() gets it */
	struct dial_params params;
	dial_done_fn *done;
	void *arg;
	enum dial_phase phase;
	int64_t phase_began_us;
	struct event *timer;
	bool ends_by_setup;       /* the timer now set is setup_timeout's, not the stage's */
	bool tries_stale;         /* the timer now set looks for the last good answer */
	int64_t connect_began_ms;

	const struct hostport *peer; /* whose address we connect to: the proxy, or the target */
	struct resolver_query *query;
	struct connector *connector;
	struct addr peer_addr;

	struct watch *watch;
	struct wire wire;     /* for the CONNECT to an http:// proxy */
	struct stream *outer; /* TLS with an https:// proxy, until the stream inside it takes it over */
	bool outer_ready;     /* its handshake is done */
	size_t request_off;   /* how much of the CONNECT it has taken */
	char *reply;
	size_t reply_len, reply_size;
	struct http_connect_parser parser;
	struct stream *stream;
	struct dial_result result;

	enum dial_pipeline pipeline;
	bool hello_sent;      /* with the CONNECT: the stream is there before the proxy's answer, and owns `outer` */
	bool answered;        /* the target, to the ClientHello */
	bool waits_for_hello; /* the timer now set is the patience with a proxy that may have lost our ClientHello */
	char *other_text;             /* with connect_only: "host:port", else NULL */
	struct secret *other_request; /* the CONNECT for it; NULL for direct */
};

static inline const struct config_relay *dial_relay(const struct dial *dial)
{
	return dial->params.route->config;
}

static inline const struct config_path *dial_path(const struct dial *dial)
{
	return dial->params.path->config;
}

/* "host:port" of whom the tunnel is for, and the CONNECT for it. */
static inline const char *dial_target_text(const struct dial *dial)
{
	return dial->other_text != NULL ? dial->other_text : dial->params.route->target_text;
}

static inline const struct secret *dial_request(const struct dial *dial)
{
	return dial->other_request != NULL ? dial->other_request : dial->params.path->request;
}

/* Ends the stage before it and sets the deadline of this one. */
void dial_enter(struct dial *dial, enum dial_phase phase, int64_t stage_ms);
/* Sets the timer to the end of this stage, or of the whole set-up where that comes first. */
void dial_set_deadline(struct dial *dial, int64_t stage_ms);
/* The dial is over; what it yields, or its diagnosis, stands in the result.  Any number of times. */
void dial_finish(struct dial *dial);
/* "the proxy NAME" or "the target NAME", for sentences; once connected, with the address if NAME is none. */
const char *dial_peer_text(const struct dial *dial, char *buf, size_t buf_bytes);

/* Why the name did not resolve, no connection came about, a TLS session failed. */
void dial_diagnose_resolve(struct dial *dial, int gai_error);
void dial_diagnose_connect(struct dial *dial, const struct connect_result *result);
void dial_set_fault_cause(struct diagnosis *diagnosis, const struct tls_fault *fault);

/* PROXY: on the connected watch. */
void dial_start_proxy(struct dial *dial);
/* The descriptor is ready. */
void dial_step_proxy(struct dial *dial, bool readable);

/* Before the CONNECT is sent: does the ClientHello go with it? */
void dial_pipeline_choose(struct dial *dial);
static inline bool dial_is_pipelined(const struct dial *dial)
{
	return dial->pipeline == DIAL_PIPELINED || dial->pipeline == DIAL_PIPELINE_TRIAL;
}
/*
 * How long to wait, at most, in the phase that is about to begin: for the proxy's answer, or for the target's
 * first byte, before it is done again without.
 */
int64_t dial_pipeline_patience(struct dial *dial, enum dial_phase phase, int64_t stage_ms);
/* The target has answered the ClientHello. */
void dial_pipeline_answered(struct dial *dial);
/* The target is verified. */
void dial_pipeline_worked(struct dial *dial);
/* The attempt failed: completes its diagnosis, and remembers.  True when it is to be done again without. */
bool dial_pipeline_falls_back(struct dial *dial);
/* Whatever it was that ended the dial; the path is not looked at behind the first call. */
void dial_pipeline_end(struct dial *dial);

/* The stream to the target, not begun; NULL when the dial is finished for want of one. */
struct stream *dial_new_stream(struct dial *dial, const char *prefix, size_t prefix_len);
/* TLS: behind the proxy's answer, or on the connected watch.  With connect_only the dial is done instead. */
void dial_start_tls(struct dial *dial, const char *prefix, size_t prefix_len);
/* The descriptor is ready. */
void dial_step_tls(struct dial *dial, bool readable);

#endif
