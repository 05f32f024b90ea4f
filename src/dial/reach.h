/*
 * reach: a tunnel for one client, over the first path that works.
 *
 * Paths are dialled one after the other in the order of the configuration, those that rest last, all within
 * setup_timeout.  Moves on after every failure before TLS but a 403 (an answer, not a failure), and after a
 * server judged wrong: as long as nothing of ours was shown to a server.
 *
 * How many of one relay dial at once is bounded (dial_gate); those who wait have their deadline all the same.
 */
#ifndef MIDRELAY_DIAL_REACH_H
#define MIDRELAY_DIAL_REACH_H

#include "dial/dial.h"

struct reach_result {
	struct tunnel *tunnel;         /* the receiver's; NULL: see the diagnosis */
	const struct relay_path *path; /* of the tunnel, or of the diagnosis; NULL: none was dialled */
	struct diagnosis diagnosis;
	struct dial_times times;       /* of that path */
	int64_t wait_us;               /* until its turn came; -1: it did not have to wait */
	/* the receiver's to clear: what was dialled under, for the outcome to be told */
	struct identity_use use;
};

struct reach_params {
	struct loop *loop;
	struct resolver *resolver;
	struct relay_route *route; /* borrowed until done or cancelled */
	/*
	 * A path changed its state: OK after failures, or a failure that is news.  Called from the loop.
	 * `evidence` is what was seen of the server, or NULL.
	 */
	void (*on_path)(void *arg, const struct relay_path *path, const struct diagnosis *diagnosis,
	    const struct judge_evidence *evidence);
	/* A dial over this path showed what has not been told yet.  Called from the loop; may be NULL. */
	void (*on_notice)(void *arg, const struct relay_path *path, enum relay_path_notice notice,
	    const struct judge_evidence *evidence);
	/* As in dial_params, for every dial; never after reach_cancel.  `arg` is the one below. */
	void (*trace)(void *arg, const char *text);
	/* Called once, never from inside reach_start, never after reach_cancel; the reach is gone then. */
	void (*on_done)(void *arg, struct reach_result *result);
	void *arg;
	/*
	 * As in dial_params; copied.  What comes of it says nothing of the paths to the target, and changes
	 * nothing in their state.
	 */
	const struct hostport *connect_only;
};

struct reach;

struct reach *reach_start(const struct reach_params *params);
void reach_cancel(struct reach *reach); /* NULL is fine */
/* The path that is being dialled, or was last. */
const struct relay_path *reach_path(const struct reach *reach);

#endif
