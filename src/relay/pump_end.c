/* pump_end: which end it is, and when it comes; see pump_internal.h. */
#include <inttypes.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "relay/pump_internal.h"

/* How soon the client is looked at again, after a time in which it took nothing. */
#define LINGER_LOOK_MIN_MS 10
#define LINGER_LOOK_MAX_MS 1000

void pump_end_now(struct pump *pump)
{
	if (pump->over)
		return;
	pump->over = true;
	pump_stop(pump);
	pump->on_end(pump->arg);
}

/* What the client's kernel has not taken yet.  Of a connection that was reset SIOCOUTQ still tells what it was. */
static bool has_unsent(const struct pump *pump)
{
	int fd = watch_fd(pump->client.watch), unsent = 0, error = 0;
	socklen_t len = sizeof(error);

	return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) == 0 && error == 0 &&
	    ioctl(fd, SIOCOUTQ, &unsent) == 0 && unsent > 0;
}

/* A reset throws that away, so it waits until that is done. */
void pump_end_when_delivered(struct pump *pump)
{
	int64_t look_ms = (loop_now_ms() - pump->last_ms) / 4;

	if (!pump->client.broken && pump_side_pending(&pump->client))
		return;
	if (pump->client.broken || pump->client.bytes + pump->target.bytes == 0 || !has_unsent(pump)) {
		pump_end_now(pump);
		return;
	}
	if (look_ms < LINGER_LOOK_MIN_MS)
		look_ms = LINGER_LOOK_MIN_MS;
	else if (look_ms > LINGER_LOOK_MAX_MS)
		look_ms = LINGER_LOOK_MAX_MS;
	loop_timer_add(pump->linger, look_ms);
}

static void on_linger(evutil_socket_t fd, short what, void *arg)
{
	pump_end_when_delivered(arg);
}

void pump_begin_ending(struct pump *pump)
{
	pump->ending = true;
	pump->last_ms = loop_now_ms();
	if (pump->linger == NULL)
		pump->linger = evtimer_new(pump->loop->base, on_linger, pump);
	if (pump->linger == NULL)
		pump_end_now(pump);
	else
		pump->on_stir(pump->arg);
}

/*
 * A side that takes no more bytes: what it still has to say may say why, so its input is read to the end
 * first.
 */
void pump_side_broke(struct pump_side *side)
{
	side->broken = true;
	if (side->stream == NULL)
		wire_clear(&side->wire);
	else
		stream_set_readable(side->stream);
}

/* See pump.h: the client was done, had its answer, and got our close_notify sent for it. */
static bool is_late_end(const struct pump *pump, const struct pump_side *from, enum stream_status status)
{
	return from == &pump->target && (status == STREAM_TRUNCATED || status == STREAM_RESET) &&
	    pump->client.in_done && pump->target.out_shut && pump->answered;
}

/* See pump.h: nothing of a client was cut off that had its answer, or never said anything. */
static bool is_bare_end(const struct pump *pump, const struct pump_side *from, enum stream_status status)
{
	if (from != &pump->client || from->stream == NULL || !(pump->answered || from->bytes == 0))
		return false;
	/* A client that closes over our close_notify without having read it resets the connection (RFC 1122 4.2.2.13). */
	return status == STREAM_TRUNCATED || (status == STREAM_RESET && from->out_shut && !pump_side_pending(from));
}

/* See pump.h: by their framing all responses are whole. */
static bool is_complete_end(const struct pump *pump, const struct pump_side *from, enum stream_status status)
{
	return from == &pump->target && status == STREAM_TRUNCATED && pump->flow != NULL &&
	    http_flow_is_complete(pump->flow);
}

void pump_end_read(struct pump *pump, struct pump_side *from, enum stream_status status)
{
	if (is_late_end(pump, from, status) || is_bare_end(pump, from, status) ||
	    is_complete_end(pump, from, status)) {
		from->in_done = true;
		return;
	}
	switch (status) {
	case STREAM_TRUNCATED:
		diagnosis_set(diagnosis_need(&pump->diagnosis), DIAGNOSIS_RELAY_TRUNCATED,
		    "the %s closed the connection without close_notify after %" PRIu64 " bytes", from->name,
		    from->bytes);
		break;
	case STREAM_RESET:
		diagnosis_set(diagnosis_need(&pump->diagnosis), DIAGNOSIS_RELAY_RESET,
		    "the %s reset the connection after %" PRIu64 " bytes", from->name, from->bytes);
		break;
	case STREAM_FAILED:
		if (from == &pump->client)
			diagnosis_set(diagnosis_need(&pump->diagnosis), DIAGNOSIS_RELAY_RESET, "%s",
			    stream_fault(from->stream)->sentence);
		else
			dial_diagnose_stream(from->stream, diagnosis_need(&pump->diagnosis));
		break;
	case STREAM_OK:
	case STREAM_BLOCKED:
	case STREAM_CLOSED:
		return;
	}
	if (from == &pump->client)
		pump_side_broke(from);
	pump_begin_ending(pump);
}

void pump_judge_broken(struct pump *pump)
{
	struct pump_side *broken = pump->target.broken ? &pump->target : &pump->client;

	if (pump->ending || !broken->broken)
		return;
	/* Only our close_notify found nobody any more. */
	if (broken == &pump->target && broken->in_done && pump->client.in_done)
		return;
	diagnosis_set(diagnosis_need(&pump->diagnosis), DIAGNOSIS_RELAY_RESET, "the %s closed the connection while bytes "
	    "were on their way to it", broken->name);
	pump_begin_ending(pump);
}
