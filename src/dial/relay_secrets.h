/*
 * relay_secrets: the secrets that a set of relays needs, sealed ones included.
 *
 * A sealed secret is opened with the client keys of the configuration, whichever can.  What was opened is kept: when, after
 * a renewal, no key opens it any more, the value stays in use for the running process, and `stale` says so.
 */
#ifndef MIDRELAY_DIAL_RELAY_SECRETS_H
#define MIDRELAY_DIAL_RELAY_SECRETS_H

#include "base/secret.h"
#include "config/config.h"
#include "tls/identity.h"

struct relay_opened {
	char *ref;
	struct secret *secret;
};

/* Zero-initialise. */
struct relay_secrets {
	struct relay_opened *opened; /* each sealed reference once */
	size_t count;
	const struct relay_secrets *previous; /* borrowed while the set is built; NULL later */
	unsigned stale;              /* references that only an earlier key could open */
};

void relay_secrets_clear(struct relay_secrets *secrets);

/* What resolving a reference needs; identities are those built so far, NULL where there is none yet. */
struct relay_secret_request {
	const char *ref;
	const char *key;  /* the configuration key, for the fault */
	unsigned line;
	struct identity *const *identities;
	size_t identity_count;
};

/* The caller owns the result.  NULL: the fault is in the report. */
struct secret *relay_secrets_get(struct relay_secrets *secrets, const struct relay_secret_request *request,
    struct config_report *report);

#endif
