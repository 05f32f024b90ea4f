/*
 * pump: moving bytes between a client and a tunnel until both sides are done.
 *
 * Two symmetric sides and one function for both directions.  What the kernel or TLS does not take at once
 * waits in that side's wire (a buffer borrowed from the loop), and nothing more is read for it meanwhile: a
 * slow reader stops the fast writer, and an idle pump holds no buffer.
 *
 * Ends: the client's FIN becomes close_notify, the target's close_notify becomes a FIN, each behind the bytes
 * before it; the other direction goes on.  A target that is gone without close_notify is no clean end: what
 * was decrypted is delivered, then the owner is told to reset the client.  One exception, because nginx and
 * others never answer a close_notify: when the client has ended first, after an answer, and the target sent
 * nothing more, nothing can have been cut off that the client waited for.
 *
 * With a flow (mode = http, and a client's CONNECT) bytes go through it on their way: where it finds what is
 * not to be passed on, the pump comes to its end once what is before that has been delivered.  The target may
 * then be a plain descriptor too.
 *
 * A client that makes TLS with us (tls://) ends by close_notify, and so do we towards it.  One that is gone
 * without has ended, as many programs do it, when the last byte that moved was the target's, or none moved at
 * all; else an upload may have been cut off, and the target is reset.
 */
#ifndef MIDRELAY_RELAY_PUMP_H
#define MIDRELAY_RELAY_PUMP_H

#include <stdbool.h>
#include <stdint.h>

#include "dial/dial.h"
#include "dial/diagnosis.h"
#include "dial/first_answer.h"
#include "loop/loop.h"
#include "relay/http_flow.h"

struct pump_side {
	const char *name;      /* "client", "target" */
	struct watch *watch;
	struct stream *stream; /* NULL: plain bytes */
	struct wire wire;      /* for plain bytes; a stream has its own */
	uint64_t bytes;        /* read from this side */
	bool in_done;          /* its input came to a clean end */
	bool out_shut;         /* the other side's end was passed on to it */
	bool broken;           /* it takes no more bytes */
};

struct pump {
	struct loop *loop;
	struct pump_side client, target;
	bool answered;        /* the last byte that moved came from the target, before the client's end */
	int64_t last_ms;      /* loop_now_ms() of the last byte or end */
	bool began;           /* the client's first bytes were seen */
	bool answer_known;    /* the target's first answer was decided on, see on_answer */
	struct first_answer answer;
	bool spoke_http;      /* and they were the beginning of an HTTP/1.x request */
	bool ending;          /* the end is known; what the client is owed goes out first */
	bool over;            /* on_end was called */
	unsigned idle_turns;  /* turns without progress, for the watchdog */
	struct diagnosis *diagnosis; /* how it ended; NULL: well */
	struct event *linger; /* looks whether the client has got its last bytes; made when needed */
	/* Called once, from the loop or from pump_start: the pump is at its end; see pump.diagnosis. */
	void (*on_end)(void *arg);
	/* One side came to its end: deadlines have to be set anew. */
	void (*on_stir)(void *arg);
	/*
	 * Called at most once: what the target's first answer is; its bytes go on to the client all the same.
	 */
	void (*on_answer)(void *arg, enum first_answer_verdict verdict, const struct diagnosis *diagnosis);
	void *arg;
	struct http_flow *flow; /* borrowed; NULL: bytes pass untouched */
	/* at the end: nothing of an answer is on its way to the client, so it can be given one */
	bool answerable;
};

struct pump_params {
	struct loop *loop;
	struct watch *client;
	struct stream *client_stream; /* NULL: the client's bytes are plain */
	struct tunnel *tunnel;
	void (*on_end)(void *arg);
	void (*on_stir)(void *arg);
	void (*on_answer)(void *arg, enum first_answer_verdict verdict, const struct diagnosis *diagnosis);
	void *arg;
	struct http_flow *flow; /* borrowed, outlives the pump; may be NULL.  Its first bytes count as read */
	uint64_t client_bytes;  /* read from the client so far */
};

/* Takes client and tunnel, and moves what is there. */
void pump_start(struct pump *pump, const struct pump_params *params);
/* One side is done, the other is not; or nothing more is taken from the client. */
bool pump_half_closed(const struct pump *pump);
/* Nothing moves any more; the owner frees with pump_clear() later, from the loop. */
void pump_stop(struct pump *pump);
/* Gives back what the pump still owns, closing descriptors; with `reset` by RST. */
void pump_clear(struct pump *pump, bool reset);
/*
 * The client's descriptor, and *stream if it has one, for an answer to it: the caller owns both now; nothing
 * may be pending for it.
 */
struct watch *pump_release_client(struct pump *pump, struct stream **stream);

/* Gives back what the flow holds between messages, while nothing moves. */
void pump_rest(struct pump *pump);

/* The first bytes of a TLS ClientHello record, and of an HTTP/1.x request (as far as they go). */
bool pump_bytes_are_tls(const unsigned char *bytes, size_t len);
bool pump_bytes_are_http(const unsigned char *bytes, size_t len);

#endif
