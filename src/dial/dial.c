/*
 * dial: see dial.h.
 *
 * Answers for the order of the stages and for their deadlines; this is the only file that knows both.  How
 * each stage is done stands in resolver, connect, dial_proxy and dial_tls; which path is dialled is reach's
 * business.
 */
#include "dial/dial.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "dial/dial_internal.h"

void tunnel_free(struct tunnel *tunnel, bool reset)
{
	if (tunnel == NULL)
		return;
	stream_free(tunnel->stream);
	watch_free(tunnel->watch, reset);
	free(tunnel->prefix);
	free(tunnel);
}

static void hang_up(struct dial *dial)
{
	/* A refused CONNECT is no reason to cut the TLS session around it. */
	if (dial->outer_ready && dial->outer != NULL)
		(void)stream_shutdown(dial->outer);
	if (!dial->hello_sent)
		stream_free(dial->outer);
	stream_free(dial->stream);
	wire_clear(&dial->wire);
	watch_free(dial->watch, false);
	dial->outer = dial->stream = NULL;
	dial->watch = NULL;
}

static void dial_free(struct dial *dial)
{
	dial_pipeline_end(dial);
	resolver_query_cancel(dial->query);
	connector_cancel(dial->connector);
	hang_up(dial);
	event_free(dial->timer);
	free(dial->result.evidence);
	free(dial->reply);
	free(dial->other_text);
	secret_free(dial->other_request);
	free(dial);
}

static void start_connect(struct dial *dial, struct addr *addrs, size_t count);

/* Over a new connection to the same address. */
static void dial_again(struct dial *dial)
{
	int64_t resolve_us = dial->result.times.resolve_us;
	struct addr addr = dial->peer_addr;

	hang_up(dial);
	free(dial->result.evidence);
	dial->result = (struct dial_result){.times = {resolve_us, -1, -1, -1}};
	dial->parser = (struct http_connect_parser){0};
	dial->reply_len = dial->request_off = 0;
	dial->outer_ready = dial->hello_sent = false;
	dial->connect_began_ms = loop_now_ms();
	start_connect(dial, &addr, 1);
}

static void run_done(struct loop_job *job)
{
	struct dial *dial = (struct dial *)job;
	struct dial_result result;
	dial_done_fn *done = dial->done;
	void *arg = dial->arg;

	if (done != NULL && dial_pipeline_falls_back(dial)) {
		dial_again(dial);
		return;
	}
	result = dial->result;
	dial->result.evidence = NULL;
	dial_free(dial);
	if (done != NULL) {
		done(arg, &result);
		return;
	}
	free(result.evidence);
	tunnel_free(result.tunnel, false);
}

static int64_t *phase_time(struct dial *dial)
{
	struct dial_times *times = &dial->result.times;

	switch (dial->phase) {
	case DIAL_RESOLVE:
		return &times->resolve_us;
	case DIAL_CONNECT:
		return &times->connect_us;
	case DIAL_PROXY:
		return &times->proxy_us;
	case DIAL_TLS:
		return &times->tls_us;
	case DIAL_DONE:
		break;
	}
	return NULL;
}

static void end_phase(struct dial *dial)
{
	int64_t now = loop_clock_us();
	int64_t *spent = phase_time(dial);

	if (spent != NULL)
		*spent = now - dial->phase_began_us;
	dial->phase_began_us = now;
}

void dial_finish(struct dial *dial)
{
	if (dial->phase == DIAL_DONE)
		return;
	end_phase(dial);
	dial->result.nothing_sent = dial->stream == NULL || !stream_cert_sent(dial->stream);
	if (dial->stream != NULL) {
		dial->result.evidence = stream_take_evidence(dial->stream);
		dial->result.cert_in_clear = stream_cert_in_clear(dial->stream);
	}
	dial->result.peer = dial->peer_addr;
	dial->phase = DIAL_DONE;
	event_del(dial->timer);
	loop_defer(dial->params.loop, &dial->job);
}

void dial_set_deadline(struct dial *dial, int64_t stage_ms)
{
	int64_t setup_ms = dial->params.deadline_ms - loop_now_ms();

	dial->ends_by_setup = setup_ms < stage_ms;
	loop_timer_add(dial->timer, dial->ends_by_setup ? setup_ms : stage_ms);
}

static void tell_phase(const struct dial *dial)
{
	const struct dial_observer *observer = dial->params.observer;

	if (observer != NULL && observer->on_phase != NULL)
		observer->on_phase(observer->arg, dial->phase);
}

void dial_enter(struct dial *dial, enum dial_phase phase, int64_t stage_ms)
{
	end_phase(dial);
	dial->phase = phase;
	dial_set_deadline(dial, stage_ms);
	tell_phase(dial);
}

const char *dial_peer_text(const struct dial *dial, char *buf, size_t buf_bytes)
{
	bool direct = dial_path(dial)->direct, with_addr = dial->watch != NULL && !dial->peer->is_ip;
	char addr[ADDR_TEXT_BYTES];

	snprintf(buf, buf_bytes, "%s %s%s%s", direct ? "the target" : "the proxy",
	    direct ? dial_target_text(dial) : dial_path(dial)->name, with_addr ? " at " : "",
	    with_addr ? addr_format(&dial->peer_addr, addr) : "");
	return buf;
}

/* ---- RESOLVE ---- */

static void on_resolved(void *arg, const struct resolver_answer *answer)
{
	struct dial *dial = arg;
	struct addr addrs[RESOLVER_MAX_ADDRS];

	dial->query = NULL;
	if (answer->gai_error != 0) {
		dial_diagnose_resolve(dial, answer->gai_error);
		dial_finish(dial);
		return;
	}
	memcpy(addrs, answer->addrs, sizeof(addrs));
	start_connect(dial, addrs, answer->count);
}

static void start_resolve(struct dial *dial)
{
	struct addr addr;

	if (dial_path(dial)->direct && dial->params.connect_only == NULL &&
	    dial->params.route->target_address.len != 0) {
		addr = dial->params.route->target_address;
		start_connect(dial, &addr, 1);
	} else if (dial->peer->is_ip) {
		if (!addr_parse_ip(dial->peer->host, dial->peer->port, &addr)) {
			diagnosis_set(&dial->result.diagnosis, DIAGNOSIS_RESOLVE_FAILED,
			    "%s is not an address", dial->peer->host);
			dial_finish(dial);
			return;
		}
		start_connect(dial, &addr, 1);
	} else {
		/*
		 * A name server that is silent for half of the time is not waited for where an older answer
		 * is known.
		 */
		dial->tries_stale = true;
		dial_set_deadline(dial, dial_relay(dial)->connect_timeout_ms / 2);
		dial->query =
		    resolver_ask(dial->params.resolver, dial->params.loop, dial->peer->host, on_resolved,
		    dial);
	}
}

/* ---- CONNECT ---- */

static void on_ready(void *arg, bool readable, bool writable)
{
	struct dial *dial = arg;

	switch (dial->phase) {
	case DIAL_PROXY:
		dial_step_proxy(dial, readable);
		break;
	case DIAL_TLS:
		dial_step_tls(dial, readable);
		break;
	case DIAL_RESOLVE:
	case DIAL_CONNECT:
	case DIAL_DONE:
		break;
	}
}

static void on_connected(void *arg, const struct connect_result *result)
{
	struct dial *dial = arg;

	dial->connector = NULL;
	dial->peer_addr = result->addr;
	if (result->watch == NULL) {
		dial_diagnose_connect(dial, result);
		dial_finish(dial);
		return;
	}
	dial->watch = result->watch;
	watch_set_owner(dial->watch, on_ready, dial);
	if (dial_path(dial)->direct)
		dial_start_tls(dial, NULL, 0);
	else
		dial_start_proxy(dial);
}

static void start_connect(struct dial *dial, struct addr *addrs, size_t count)
{
	const struct relay_route *route = dial->params.route;
	int64_t spent_ms = loop_now_ms() - dial->connect_began_ms;
	struct connect_params params = {
	    .loop = dial->params.loop,
	    .addrs = addrs,
	    .count = count,
	    .source = route->source.len != 0 ? &route->source : NULL,
	};
	char peer[192], addr[ADDR_TEXT_BYTES];
	size_t i;

	dial->tries_stale = false;
	dial_enter(dial, DIAL_CONNECT, route->config->connect_timeout_ms - spent_ms);
	for (i = 0; i < count; i++) {
		addr_set_port(&addrs[i], dial->peer->port);
		if (!relay_set_listens_at(route->set, &addrs[i]))
			continue;
		diagnosis_set(&dial->result.diagnosis, DIAGNOSIS_CONNECT_LOOP,
		    "%s resolves to %s, where midrelay itself listens", dial_peer_text(dial, peer,
		    sizeof(peer)), addr_format(&addrs[i], addr));
		dial_finish(dial);
		return;
	}
	dial->peer_addr = addrs[0];
	dial->connector = connector_start(&params, on_connected, dial);
	if (dial->connector == NULL) {
		diagnosis_set(&dial->result.diagnosis, DIAGNOSIS_LOCAL_LIMIT,
		    "no timer for a connection attempt");
		dial_finish(dial);
	}
}

/* ---- deadlines, start, cancel ---- */

static const char *deadline_text(const struct dial *dial, const char *stage_key, int64_t stage_ms, char *buf,
    size_t buf_bytes)
{
	char ms[32];

	if (dial->ends_by_setup)
		snprintf(buf, buf_bytes, "setup_timeout, %s",
		    text_format_duration(dial_relay(dial)->setup_timeout_ms, ms, sizeof(ms)));
	else
		snprintf(buf, buf_bytes, "%s, %s", stage_key, text_format_duration(stage_ms, ms, sizeof(ms)));
	return buf;
}

static void time_out(struct dial *dial)
{
	const struct config_relay *relay = dial_relay(dial);
	struct diagnosis *d = &dial->result.diagnosis;
	char peer[192], addr[ADDR_TEXT_BYTES], limit[64];

	dial_peer_text(dial, peer, sizeof(peer));
	switch (dial->phase) {
	case DIAL_RESOLVE:
		deadline_text(dial, "connect_timeout", relay->connect_timeout_ms, limit, sizeof(limit));
		diagnosis_set(d, DIAGNOSIS_RESOLVE_TIMEOUT, "%s was not resolved in time (%s)",
		    dial->peer->host, limit);
		break;
	case DIAL_CONNECT:
		deadline_text(dial, "connect_timeout", relay->connect_timeout_ms, limit, sizeof(limit));
		diagnosis_set(d, DIAGNOSIS_CONNECT_TIMEOUT, "%s at %s did not take the connection in "
		    "time (%s)", peer, addr_format(&dial->peer_addr, addr), limit);
		break;
	case DIAL_PROXY:
		deadline_text(dial, "proxy_timeout", relay->proxy_timeout_ms, limit, sizeof(limit));
		if (dial_path(dial)->tls && !dial->outer_ready) {
			diagnosis_set(d, DIAGNOSIS_PROXY_TIMEOUT, "%s did not end the TLS handshake in "
			    "time (%s)", peer, limit);
			diagnosis_set_cause(d, DIAGNOSIS_CAUSE_PROXY_HANDSHAKE);
		} else {
			diagnosis_set(d, DIAGNOSIS_PROXY_TIMEOUT, "%s did not answer CONNECT %s in time (%s; "
			    "%zu bytes came; %s credentials were sent)", peer,
			    dial_target_text(dial), limit, dial->reply_len,
			    dial_path(dial)->user != NULL ? "our" : "no");
		}
		break;
	case DIAL_TLS:
		deadline_text(dial, "tls_timeout", relay->tls_timeout_ms, limit, sizeof(limit));
		diagnosis_set(d, DIAGNOSIS_TLS_TIMEOUT, "the TLS handshake with %s did not end in time "
		    "(%s%s%s)", dial->params.route->target_text, limit, dial_path(dial)->direct ?
		    "; at " : "; through ", dial_path(dial)->direct ? addr_format(&dial->peer_addr,
		    addr) : peer);
		break;
	case DIAL_DONE:
		return;
	}
	dial_finish(dial);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct dial *dial = arg;
	struct resolver_answer answer;
	int64_t spent_ms = loop_now_ms() - dial->connect_began_ms;

	if (dial->phase == DIAL_RESOLVE && dial->tries_stale && !dial->ends_by_setup) {
		dial->tries_stale = false;
		if (resolver_last_good(dial->params.resolver, dial->peer->host, &answer)) {
			resolver_query_cancel(dial->query);
			dial->query = NULL;
			start_connect(dial, answer.addrs, answer.count);
			return;
		}
		dial_set_deadline(dial, dial_relay(dial)->connect_timeout_ms - spent_ms);
		return;
	}
	time_out(dial);
}

struct dial *dial_start(const struct dial_params *params, dial_done_fn *done, void *arg)
{
	struct dial *dial = mem_calloc(1, sizeof(*dial));

	dial->job.run = run_done;
	dial->params = *params;
	dial->done = done;
	dial->arg = arg;
	dial->result.times = (struct dial_times){-1, -1, -1, -1};
	dial->phase = DIAL_RESOLVE;
	dial->phase_began_us = loop_clock_us();
	dial->connect_began_ms = loop_now_ms();
	if (!dial_path(dial)->direct)
		dial->peer = &dial_path(dial)->proxy;
	else
		dial->peer = params->connect_only != NULL ? params->connect_only : &dial_relay(dial)->target;
	dial->timer = evtimer_new(params->loop->base, on_timer, dial);
	if (dial->timer == NULL) {
		free(dial);
		return NULL;
	}
	if (params->connect_only != NULL) {
		dial->other_text = hostport_format(params->connect_only);
		if (!dial_path(dial)->direct)
			dial->other_request = http_connect_redirect(params->path->request,
			    params->connect_only);
	}
	tell_phase(dial);
	start_resolve(dial);
	return dial;
}

void dial_cancel(struct dial *dial)
{
	if (dial == NULL)
		return;
	stream_end_trace(dial->stream);
	stream_end_trace(dial->outer);
	if (dial->phase == DIAL_DONE) {
		if (dial->result.tunnel != NULL)
			stream_end_trace(dial->result.tunnel->stream);
		/* The job is on the loop's list already and frees it, when the route may be gone. */
		dial_pipeline_end(dial);
		dial->done = NULL;
		return;
	}
	dial_free(dial);
}
