/*
 * bundle: certificates and keys out of the files that people have.
 *
 * Takes PEM with its blocks in any order, CRLF or LF, a UTF-8 BOM, blank lines, 0x1A, "Bag Attributes" or
 * other text between blocks, all that as UTF-16, too; keys as PKCS#1, PKCS#8, SEC1 (EC), encrypted PKCS#8 and
 * traditional encrypted PEM; keys that a TPM has wrapped (TSS2); a certificate or key as DER; PKCS#12 (PFX),
 * with RC2 through OpenSSL's legacy provider; certificates from PKCS#7.  A certificate or key that is there
 * twice counts once.  Bounded: a file above 1 MiB, with more than 100 blocks or 100 certificates is an error, and so is
 * one that asks for more than seconds of work to open it.
 *
 * Files are opened, checked (secret_check_file_mode when they hold a key) and read here; nothing is printed.
 * Errors name the file and the block ("block 3 (PRIVATE KEY, line 41)"), what is wrong, and what would be
 * right.
 */
#ifndef MIDRELAY_TLS_BUNDLE_H
#define MIDRELAY_TLS_BUNDLE_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/secret.h"

/* What was found, in file order; owned. */
struct bundle {
	STACK_OF(X509) *certs;
	EVP_PKEY *key; /* NULL: none found */
	char *key_file; /* where the key came from, for messages; NULL without key */
	char *key_origin; /* file and block of the key, escaped; NULL without key */
	bool key_exposed; /* others may read the file (bundle_add_file_exposed) */
	bool key_encrypted; /* a passphrase was needed for it */
};

struct bundle *bundle_new(void);
void bundle_free(struct bundle *bundle);

/*
 * Adds all that FILE holds; a URI stands for a key behind a provider (provider_key.h).  A second, different
 * key is an error.  `passphrase` opens an encrypted key; NULL with an encrypted key is an error that says to
 * set client_passphrase; OpenSSL never prompts.  On failure the bundle is as it was.
 */
bool bundle_add_file(struct bundle *bundle, const char *file, const struct secret *passphrase,
    struct error *err) MUST_CHECK;
/* The same, but a key that others may read is no error: bundle->key_exposed tells. */
bool bundle_add_file_exposed(struct bundle *bundle, const char *file, const struct secret *passphrase,
    struct error *err) MUST_CHECK;
/* The same from memory (unit tests, fuzzing); `name` stands for the file in messages. */
bool bundle_add_bytes(struct bundle *bundle, const char *name, const void *bytes, size_t len,
    const struct secret *passphrase, struct error *err) MUST_CHECK;

/*
 * Puts the pieces into order: the leaf is the certificate that the key belongs to; the chain follows issuer
 * by issuer (by name, key identifier and signature), self-signed root last if it is there.
 * Fails when there is no certificate, no key, or no certificate belongs to the key (says both fingerprints'
 * key ids).  Certificates that are not in the leaf's chain stay out; *left_out (may be NULL) counts them.
 * Borrowed: *leaf lives as long as the bundle; *chain (without the leaf) is a new stack of borrowed
 * certificates that the caller frees with sk_X509_free().
 */
bool bundle_order(const struct bundle *bundle, X509 **leaf, STACK_OF(X509) **chain, size_t *left_out,
    struct error *err) MUST_CHECK;

/* Neither certificate nor key. */
bool bundle_is_empty(const struct bundle *bundle);

/*
 * The chain above `leaf`, which is one of `certs`, by the rules of bundle_order(); a new stack of borrowed
 * certificates, or NULL when there is no memory.
 */
STACK_OF(X509) *bundle_chain(STACK_OF(X509) *certs, X509 *leaf);

/*
 * "FILE: block 2 (CERTIFICATE, line 23)", escaped, of a certificate that a bundle read; else "".  Borrowed.
 */
const char *bundle_cert_origin(const X509 *cert);
void bundle_cert_set_origin(X509 *cert, const char *origin);

/* Signs and verifies once: a key file whose private half is damaged still matches by its public half. */
bool bundle_key_signs(EVP_PKEY *key, X509 *cert);

/* "CN=…,O=…" (RFC 2253, escaped ASCII), bounded by buf_bytes; returns buf. */
const char *bundle_name_text(const X509_NAME *name, char *buf, size_t buf_bytes);
/* Seconds from now until notAfter (negative: over) and from notBefore until now (negative: not yet). */
bool bundle_validity(const X509 *cert, long long *seconds_left, long long *seconds_since_start);
/* "2026-11-21T10:00:00Z" */
const char *bundle_time_text(const ASN1_TIME *time, char *buf, size_t buf_bytes);
#define BUNDLE_FINGERPRINT_BYTES 96
/* SHA-256 of the certificate, as "XX:XX:…"; "" when it cannot be had. */
const char *bundle_fingerprint_text(const X509 *cert, char buf[BUNDLE_FINGERPRINT_BYTES]);

#endif
