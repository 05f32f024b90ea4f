/*
 * check_walk: every path of every relay at once, through the production dial, into a report.
 */
#ifndef MIDRELAY_CHECK_CHECK_WALK_H
#define MIDRELAY_CHECK_CHECK_WALK_H

#include "check/check_instance.h"
#include "check/check_report.h"
#include "dial/relay_route.h"
#include "dial/resolver.h"
#include "loop/loop.h"

struct check_walk_params {
	struct loop *loop;
	struct resolver *resolver;
	struct relay_set *set; /* the walk takes a count */
	struct check_report *report; /* borrowed; gets the paths, in the order of the configuration */
	char *const *relays;   /* their names; only these are walked */
	size_t relay_count;    /* 0: all of them */
	enum check_probing probing;
	int64_t timeout_ms;    /* no request waits longer; 0: setup_timeout of its relay */
	/*
	 * As in dial_params, for every path's dial, and the first request on its tunnel; `arg` is the one
	 * below.  May be NULL.
	 */
	void (*trace)(void *arg, const char *text);
	void (*on_change)(void *arg); /* may be NULL */
	/*
	 * Called once, never from inside check_walk_start, never after check_walk_cancel; the walk is gone
	 * then.
	 */
	void (*on_done)(void *arg);
	void *arg;
};

struct check_walk;

/* The paths that would be walked, of `set`, `relays` and `relay_count`, into the report. */
void check_walk_list(const struct check_walk_params *params, struct check_report *report);

struct check_walk *check_walk_start(const struct check_walk_params *params);
void check_walk_cancel(struct check_walk *walk); /* NULL is fine */

#endif
