/*
 * ready_demand: how many tunnels `ready_tunnels = auto` keeps ready; pure.
 *
 * What a MID does is recurring: every few seconds it polls, and opens a handful of connections at once.  A tunnel
 * that was dialled ahead is of use only if clients come again before it is too old, and as many of them are of use
 * as clients come together.  So: clients that come within READY_GROUP_MS of the first of them are a group; of the
 * groups within `window_ms` before the last client, the second largest says how many have come together at least
 * twice, and that many are kept until `window_ms` after the last client.
 *
 * A single client, or a burst that does not come again, makes none; and none is kept when it is quiet.
 */
#ifndef MIDRELAY_RELAY_READY_DEMAND_H
#define MIDRELAY_RELAY_READY_DEMAND_H

#include <stdint.h>

#define READY_GROUP_MS 1000
/* The most that is kept for one route by one loop: a larger burst is served by dialling. */
#define READY_AUTO_MAX 16
/* Groups that are remembered; where more of them fit into the window, the latest. */
#define READY_GROUPS 32

struct ready_group {
	int64_t began_ms;
	unsigned size;
};

/* Zero-initialise. */
struct ready_demand {
	struct ready_group groups[READY_GROUPS];
	unsigned next;   /* where the next group goes; the latest is before it */
	unsigned wanted; /* as of the last client */
	int64_t last_ms;
};

/* A client came. */
void ready_demand_note(struct ready_demand *demand, int64_t now_ms, int64_t window_ms);
/* How many tunnels to keep now. */
unsigned ready_demand_wanted(const struct ready_demand *demand, int64_t now_ms, int64_t window_ms);

#endif
