/*
 * status_collect: the relays of a set, as a report shows them.
 */
#ifndef MIDRELAY_STATUS_STATUS_COLLECT_H
#define MIDRELAY_STATUS_STATUS_COLLECT_H

#include "dial/relay_route.h"
#include "status/status_report.h"

/*
 * Adds the set's relays to a report that has none yet; any thread, while the caller counts on the set.  Dials nothing,
 * opens nothing.
 */
void status_collect_relays(struct status_report *report, const struct relay_set *set);

#endif
