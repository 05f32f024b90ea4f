/*
 * relay_identity: under whom a relay reaches its target and its https:// proxies, out of the configuration,
 * and the secrets that this takes; for relay_route.
 *
 * What fails is a fault in the report, at the line of the key that names the file.
 */
#ifndef MIDRELAY_DIAL_RELAY_IDENTITY_H
#define MIDRELAY_DIAL_RELAY_IDENTITY_H

#include "dial/relay_route.h"

/*
 * A secret by its reference, `key` and `line` being where that stands; one that is sealed is opened with the
 * keys of the routes that have their identity already.  The caller's; NULL: see the report.
 */
struct secret *relay_identity_secret(struct relay_set *set, const char *ref, const char *key, unsigned line,
    struct config_report *report);

/*
 * The identity of the set's route `at`, and its choice, which follows on that of the same relay in `previous`
 * (may be NULL).
 */
void relay_identity_build(struct relay_set *set, size_t at, const struct relay_set *previous,
    struct config_report *report);

/* For an https:// proxy of one of the set's routes; counted. */
struct identity *relay_identity_build_proxy(const struct relay_set *set, const struct config_path *config,
    struct config_report *report);

#endif
