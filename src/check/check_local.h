/*
 * check_local: what a relay needs on this host: its certificate, trust and CRL files, and its listen
 * addresses.
 *
 * Nothing is connected to: a running midrelay would dial its target for that.
 */
#ifndef MIDRELAY_CHECK_CHECK_LOCAL_H
#define MIDRELAY_CHECK_CHECK_LOCAL_H

#include "check/check_report.h"
#include "config/config.h"
#include "dial/relay_route.h"

/*
 * Adds an item for each thing.  `loaded` has the notes that were taken while the set was built; they become
 * warnings of the items they are about.  Without a file in the report (a draft) there are no listen
 * addresses.
 */
void check_local(struct check_report *report, const struct relay_set *set, const struct config_report *loaded,
    char *const *relays, size_t relay_count);

#endif
