/*
 * relay_local: what a relay shows to local clients that make TLS with it (tls://), from its configuration.
 */
#ifndef MIDRELAY_DIAL_RELAY_LOCAL_H
#define MIDRELAY_DIAL_RELAY_LOCAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "config/config.h"
#include "tls/local_identity.h"

struct relay_set;

/*
 * For `run` alone, before relay_set_new(): what `listen_cert = auto` needs and is not there yet.  The directory
 * is made first, as who started us, for the user that we become; the local CAs as that user.  Faults are in
 * the report, at the line of listen_cert; false: there are some.
 */
bool relay_local_make_directory(const struct config *config, uid_t uid, gid_t gid,
    struct config_report *report) MUST_CHECK;
bool relay_local_make_cas(const struct config *config, struct config_report *report) MUST_CHECK;

/*
 * NULL when the relay has no listen_cert, when the fault is in the report, or when the local CA was not made
 * yet (`check` and `config` make nothing).
 */
struct local_identity *relay_local_build(const struct config_relay *relay, struct config_report *report);

/* When (wall clock, s) the first certificate that we issued ourselves has to be issued anew: by a reload. */
int64_t relay_local_renew_at(const struct relay_set *set);

#endif
