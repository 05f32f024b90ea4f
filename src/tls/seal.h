/*
 * seal: a secret encrypted to certificates, so that a configuration alone gives nothing away.
 *
 * "sealed:BASE64" is a CMS message (RFC 5652; AES-256-GCM by RFC 5084) for one or more certificates, RSA (OAEP, RFC 4055)
 * or EC (ECDH, RFC 5753).  Whoever has the key of any of them opens it.  The recipient named in the message is not
 * matched when it is opened: the same key under a renewed certificate opens it, too.
 */
#ifndef MIDRELAY_TLS_SEAL_H
#define MIDRELAY_TLS_SEAL_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/secret.h"
#include "tls/identity.h"

#define SEAL_PREFIX "sealed:"

/* Whose keys will open it. */
struct seal_recipients;

struct seal_recipients *seal_recipients_new(void);
void seal_recipients_free(struct seal_recipients *recipients); /* NULL is fine */
/*
 * Both take a key once.  A key that cannot be sealed to (Ed25519: it only signs) is an error that names the certificate
 * and why.  Of a file that holds more, the end entity's certificate counts: the one of the key in it, or the first that is
 * no CA.
 */
bool seal_recipients_add_file(struct seal_recipients *recipients, const char *file, struct error *err) MUST_CHECK;
bool seal_recipients_add_identity(struct seal_recipients *recipients, const struct identity *identity, const char *name,
    struct error *err) MUST_CHECK;
bool seal_recipients_include(const struct seal_recipients *recipients, const struct identity *identity);
size_t seal_recipients_count(const struct seal_recipients *recipients);

/* The whole reference, "sealed:…", in one line.  The caller frees it; NULL on failure. */
char *seal_make(const struct secret *secret, const struct seal_recipients *recipients, struct error *err) MUST_CHECK;

/*
 * Opens a reference with the first of the keys that can.  False when none can, or when it is damaged; err says which.
 * The caller owns *secret.
 */
bool seal_open(const char *ref, EVP_PKEY *const *keys, size_t key_count, struct secret **secret,
    struct error *err) MUST_CHECK;
/* The same with the keys of identities; NULL ones and those without a key are passed over. */
bool seal_open_by(const char *ref, struct identity *const *identities, size_t count, struct secret **secret,
    struct error *err) MUST_CHECK;

#endif
