/*
 * provider_vault: private keys that stay where they are, in a TPM or a PKCS#11 token, behind a provider of
 * OpenSSL's.
 *
 * The provider lives in a library context of its own.  There it can be loaded, lost and loaded again while
 * the rest of the process goes on with the default provider: once in the default context, it would be offered
 * every digest and every random number, and loading it by name would put the default provider out.
 *
 * One lock covers all of it: Debian 12's tpm2-openssl has one conversation with the TPM and no lock of its
 * own.  What is held under it are single commands to the device.
 *
 * A key that failed is tried again at most once a second; in between, what is asked of it fails at once.
 */
#ifndef MIDRELAY_TLS_PROVIDER_VAULT_H
#define MIDRELAY_TLS_PROVIDER_VAULT_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/secret.h"

struct vault_key; /* counted */

/* Where a key is: a URI, or the DER of a "TSS2 PRIVATE KEY" block. */
struct vault_source {
	const char *uri; /* NULL: der */
	const unsigned char *der;
	size_t der_len;
	const struct secret *passphrase; /* or PIN; NULL: none */
};

/* The sentence says what was tried, which provider is missing, and what to install. */
struct vault_key *vault_key_new(const struct vault_source *source, struct error *err) MUST_CHECK;
struct vault_key *vault_key_ref(struct vault_key *key); /* any thread */
void vault_key_unref(struct vault_key *key);            /* any thread */

/* A key of a TPM is in use. */
bool vault_tpm_in_use(void);

/* Of the default provider; borrowed. */
EVP_PKEY *vault_key_public(const struct vault_key *key);

struct vault_signing {
	const char *digest_name; /* of what `hash` is */
	int padding;             /* RSA_…_PADDING; 0: no RSA key */
	const unsigned char *hash;
	size_t hash_len;
};

/* *len: room, then what is used of it.  From any thread. */
bool vault_key_sign(struct vault_key *key, const struct vault_signing *what, unsigned char *signature,
    size_t *len, struct error *err) MUST_CHECK;

#endif
