/*
 * relay_user: a configuration's files, opened as the user of [midrelay], for those who look before `run` does.
 */
#ifndef MIDRELAY_DIAL_RELAY_USER_H
#define MIDRELAY_DIAL_RELAY_USER_H

#include "dial/relay_route.h"

/*
 * relay_set_new() for one loop; root becomes that user meanwhile, since what only root can read starts nothing.  Who is not
 * root reads as who they are.  Only before a loop runs.  May return a set and report a fault.
 */
struct relay_set *relay_user_set_new(struct config *config, const struct relay_set *previous,
    struct config_report *report);

/* Whether the report's file can be read as who we are now; else that is a fault. */
bool relay_user_check_file(struct config_report *report);

#endif
