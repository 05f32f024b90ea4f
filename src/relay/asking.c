/* asking: see asking.h. */
#include "relay/asking.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/text.h"
#include "relay/pump.h"

/* As much as tells a ClientHello. */
#define FIRST_BYTES 6

struct asking {
	struct asking_params params;
	struct event *timer;
	unsigned char first[FIRST_BYTES];
	struct asking_result result;
};

static void asking_free(struct asking *asking)
{
	event_free(asking->timer);
	http_flow_free(asking->result.flow);
	free(asking);
}

static void finish(struct asking *asking, enum asking_end end)
{
	struct asking_result result = asking->result;
	struct asking_params params = asking->params;

	result.end = end;
	asking->result.flow = NULL;
	watch_want(params.watch, false, false);
	asking_free(asking);
	params.on_done(params.arg, &result);
}

static void refuse(struct asking *asking)
{
	struct diagnosis *diagnosis = &asking->result.diagnosis;
	size_t len = asking->result.bytes < FIRST_BYTES ? (size_t)asking->result.bytes : FIRST_BYTES;

	if (pump_bytes_are_tls(asking->first, len))
		diagnosis_set(diagnosis, DIAGNOSIS_LOCAL_SPOKE_TLS,
		    "the client began with a TLS ClientHello, where plain bytes are expected");
	else
		diagnosis_set(diagnosis, DIAGNOSIS_LOCAL_BAD_REQUEST, "%s",
		    http_relay_fault(asking->result.flow->http));
	finish(asking, ASKING_REFUSED);
}

static void take(struct asking *asking, const unsigned char *bytes, size_t len)
{
	uint64_t before = asking->result.bytes;

	if (before == 0)
		loop_timer_add(asking->timer, asking->params.route->config->setup_timeout_ms);
	if (before < FIRST_BYTES)
		memcpy(asking->first + before, bytes, len < FIRST_BYTES - before ? len : FIRST_BYTES - before);
	asking->result.bytes += len;
	switch (http_flow_ask(asking->result.flow, bytes, len)) {
	case HTTP_FLOW_MORE:
		break;
	case HTTP_FLOW_REQUEST:
		finish(asking, ASKING_REQUEST);
		break;
	case HTTP_FLOW_CONNECT:
		finish(asking, ASKING_CONNECT);
		break;
	case HTTP_FLOW_REFUSED:
		refuse(asking);
		break;
	}
}

static void on_ready(void *arg, bool readable, bool writable)
{
	struct asking *asking = arg;
	struct diagnosis *diagnosis = &asking->result.diagnosis;
	unsigned char *scratch = asking->params.loop->pool.scratch;
	ssize_t n = recv(watch_fd(asking->params.watch), scratch, WIRE_STEP_BYTES, 0);

	if (n > 0) {
		take(asking, scratch, (size_t)n);
	} else if (n == 0 && asking->result.bytes == 0) {
		finish(asking, ASKING_LEFT);
	} else if (n == 0) {
		diagnosis_set(diagnosis, DIAGNOSIS_LOCAL_BAD_REQUEST,
		    "the client was done after %" PRIu64 " bytes, in the middle of a request's head",
		    asking->result.bytes);
		finish(asking, ASKING_REFUSED);
	} else if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR) {
		diagnosis_set(diagnosis, DIAGNOSIS_RELAY_RESET,
		    "the client reset the connection after %" PRIu64 " bytes", asking->result.bytes);
		finish(asking, ASKING_LEFT);
	}
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct asking *asking = arg;
	const struct config_relay *config = asking->params.route->config;
	char text[32];

	if (asking->result.bytes == 0) {
		diagnosis_set(&asking->result.diagnosis, DIAGNOSIS_RELAY_IDLE,
		    "no byte of a request for %s (idle_timeout)",
		    text_format_duration(config->idle_timeout_ms, text, sizeof(text)));
		finish(asking, ASKING_LEFT);
		return;
	}
	diagnosis_set(&asking->result.diagnosis, DIAGNOSIS_LOCAL_BAD_REQUEST,
	    "the head of the request was not whole in time (setup_timeout, %s; %" PRIu64 " bytes came)",
	    text_format_duration(config->setup_timeout_ms, text, sizeof(text)), asking->result.bytes);
	finish(asking, ASKING_REFUSED);
}

/* The address that the client has connected to, which a wildcard listener has many of. */
static const char *own_host(const struct watch *watch, char buf[INET6_ADDRSTRLEN])
{
	struct addr own = {.len = sizeof(own.u)};

	if (getsockname(watch_fd(watch), &own.u.sa, &own.len) != 0)
		return NULL;
	return addr_format_host(&own, buf);
}

struct asking *asking_start(const struct asking_params *params)
{
	struct asking *asking = mem_calloc(1, sizeof(*asking));
	char own[INET6_ADDRSTRLEN];

	asking->timer = evtimer_new(params->loop->base, on_timer, asking);
	if (asking->timer == NULL) {
		free(asking);
		return NULL;
	}
	asking->params = *params;
	asking->result.flow =
	    http_flow_new(http_relay_new(&params->route->http_rules, own_host(params->watch, own)));
	if (params->route->config->idle_timeout_ms > 0)
		loop_timer_add(asking->timer, params->route->config->idle_timeout_ms);
	watch_set_owner(params->watch, on_ready, asking);
	watch_want(params->watch, true, false);
	return asking;
}

void asking_cancel(struct asking *asking)
{
	if (asking == NULL)
		return;
	watch_want(asking->params.watch, false, false);
	asking_free(asking);
}
