/*
 * trusting: an identity that trusts one root.
 */
#ifndef MIDRELAY_TESTS_UNIT_TRUSTING_H
#define MIDRELAY_TESTS_UNIT_TRUSTING_H

#include <openssl/x509.h>

#include "tls/identity.h"

/* What `params` says, with `root` for its trust, ready for streams.  Fails the test where it cannot be.  The caller unrefs it. */
struct identity *trusting_identity(const struct identity_params *params, X509 *root);

#endif
