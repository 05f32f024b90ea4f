/*
 * identity_policy: protocol versions, ciphers and groups of an SSL_CTX.  Internal to identity.
 */
#ifndef MIDRELAY_TLS_IDENTITY_POLICY_H
#define MIDRELAY_TLS_IDENTITY_POLICY_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "tls/identity.h"

/* Sets everything that does not depend on certificates; on failure *fault names the parameter. */
bool identity_policy_set(SSL_CTX *ctx, const struct identity_params *params, identity_note_fn *note,
    void *note_arg, struct identity_fault *fault) MUST_CHECK;

/*
 * RFC 8879, which OpenSSL 3.2 and later speak by themselves: a peer that is not known yet would have us decompress
 * what it likes, and the trace would not see a certificate of ours leave.
 */
void identity_policy_no_compressed_certs(SSL_CTX *ctx);

/* Names the parameter and what is wrong with it; empties OpenSSL's error queue.  Returns false. */
bool identity_fault_set(struct identity_fault *fault, const char *key, const char *fmt, ...)
    PRINTF_LIKE(3, 4);

#endif
