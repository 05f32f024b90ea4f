/*
 * expiry: warns before certificates end: those of the client's chain, those of local listeners, and those of servers as
 * dials saw them last.
 *
 * A certificate with less than `expiry_warning` left is told of at once, then daily, hourly in its last day, and once
 * when it is over.  All of it belongs to the main thread.
 */
#ifndef MIDRELAY_SERVICE_EXPIRY_H
#define MIDRELAY_SERVICE_EXPIRY_H

#include <stdbool.h>
#include <stdint.h>

#include "dial/relay_route.h"

/* What is due for one certificate (wall clock, s). */
struct expiry_due {
	bool warn;
	bool over;      /* its validity has ended */
	int64_t next_s; /* nothing is due before this; INT64_MAX: never again */
};

/*
 * Pure.  `warned_s`: when it was warned of last, 0 for never; one in the future (the clock was put back) counts as never.
 * `next_s` takes it that the warning which is due has been given.
 */
struct expiry_due expiry_judge(int64_t now_s, int64_t not_after_s, int64_t warning_s, int64_t warned_s);

/* The longest time between two looks: the clock may be put forward, and the machine may sleep. */
#define EXPIRY_LOOK_MAX_S 3600

struct expiry; /* opaque */

struct expiry *expiry_new(void);
void expiry_free(struct expiry *expiry); /* NULL is fine */

/* Starts over with the own certificates of this set, which is borrowed until the next call. */
void expiry_set_relays(struct expiry *expiry, struct relay_set *set);
/* Takes what dials have left at the set's paths since. */
void expiry_take_servers(struct expiry *expiry);
/* Logs what is due; returns in how many seconds (1 to EXPIRY_LOOK_MAX_S) to look again. */
int64_t expiry_look(struct expiry *expiry, int64_t now_s);

/* "; CN=x of relay a ends in 12 days", of the client certificate that ends first; "" when there is none. */
void expiry_describe_worst(const struct expiry *expiry, int64_t now_s, char *text, size_t text_bytes);

#endif
