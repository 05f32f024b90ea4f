/*
 * check_visit: one path walked to its end: the dial, and what the target is asked over it.
 */
#ifndef MIDRELAY_CHECK_CHECK_VISIT_H
#define MIDRELAY_CHECK_CHECK_VISIT_H

#include "check/check_instance.h"
#include "check/check_report.h"
#include "dial/dial.h"

struct check_visit_params {
	struct loop *loop;
	struct resolver *resolver;
	struct relay_route *route; /* borrowed until done or cancelled, as is the rest */
	struct relay_path *path;
	struct check_path *seen;   /* filled as it goes */
	enum check_probing probing;
	int64_t probe_timeout_ms;  /* of one request */
	/*
	 * As in dial_params, for the visit's dial, and the first request on its tunnel; `arg` is the one
	 * below.  May be NULL.
	 */
	void (*trace)(void *arg, const char *text);
	/* what is seen has changed; from the loop, and from inside check_visit_start */
	void (*on_change)(void *arg);
	/*
	 * Called once, never from inside check_visit_start, never after check_visit_cancel; the visit is gone
	 * then.
	 */
	void (*on_done)(void *arg);
	void *arg;
};

struct check_visit;

struct check_visit *check_visit_start(const struct check_visit_params *params);
void check_visit_cancel(struct check_visit *visit); /* NULL is fine */

#endif
