/*
 * check_exchange: one request on a tunnel, and its answer: bounded, under one deadline, then the tunnel is
 * closed.
 */
#ifndef MIDRELAY_CHECK_CHECK_EXCHANGE_H
#define MIDRELAY_CHECK_CHECK_EXCHANGE_H

#include "check/check_answer.h"
#include "dial/dial.h"

struct check_exchange_params {
	struct loop *loop;
	const char *target; /* "host:port", for sentences; borrowed */
	const char *asked;  /* "GET /adcv2/server", for sentences; borrowed */
	const char *request;
	size_t request_len; /* borrowed during the call; at most WIRE_STEP_BYTES */
	int64_t timeout_ms;
	/* our certificate went over this tunnel and nothing has proven yet that it was accepted */
	bool cert_sent;
};

struct check_exchange_result {
	bool answered;              /* an HTTP answer came; its status and head stand in `answer` */
	struct check_answer answer; /* its body is borrowed from `bytes` */
	char *bytes;                /* the receiver's to free(); may be NULL */
	/* Not answered, or cut: why; DIAGNOSIS_OK for an answer that is whole, or more than is looked at. */
	struct diagnosis diagnosis;
	int64_t us;
};

struct check_exchange;

/*
 * Called once, never from inside check_exchange_start, never after check_exchange_cancel; the exchange is
 * gone then.
 */
typedef void check_exchange_done_fn(void *arg, struct check_exchange_result *result);

/* Takes the tunnel. */
struct check_exchange *check_exchange_start(const struct check_exchange_params *params, struct tunnel *tunnel,
    check_exchange_done_fn *done, void *arg);
void check_exchange_cancel(struct check_exchange *exchange); /* NULL is fine */

#endif
