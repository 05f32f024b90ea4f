/*
 * pki: throw-away keys and certificates for unit tests, and a directory to put them in.
 *
 * Everything fails the test (assert) rather than returning an error.
 */
#ifndef MIDRELAY_TESTS_UNIT_PKI_H
#define MIDRELAY_TESTS_UNIT_PKI_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* "rsa1024" "rsa2048" "p256" "p384" "p521" "secp256k1" "ed25519" "x25519".  The caller frees it. */
EVP_PKEY *pki_key(const char *kind);

struct pki_cert {
	const char *cn;
	EVP_PKEY *key;         /* the subject's */
	const char *issuer_cn; /* NULL: self-signed */
	EVP_PKEY *issuer_key;  /* with issuer_cn */
	bool ca;
	const char *eku;       /* "clientAuth", "serverAuth"; NULL: none */
	const char *alt_names; /* "DNS:a,DNS:b"; NULL: none */
	const char *key_usage; /* NULL: keyCertSign for a CA, none else */
	long starts_s, ends_s; /* from now; both 0: from an hour ago for a year */
	const EVP_MD *digest;  /* NULL: SHA-256, or none for Ed25519 */
};
X509 *pki_cert(const struct pki_cert *want); /* the caller frees it */

/* A growing text, NUL-terminated; zero-initialise, pki_text_free(). */
struct pki_text {
	char *at;
	size_t len;
};
void pki_text_add(struct pki_text *text, const char *more);
void pki_text_add_bytes(struct pki_text *text, const void *more, size_t len);
void pki_text_free(struct pki_text *text);

enum pki_form {
	PKI_PKCS8,
	PKI_PKCS8_ENCRYPTED,
	PKI_TRADITIONAL, /* PKCS#1 or SEC1 */
	PKI_TRADITIONAL_ENCRYPTED,
};
void pki_text_add_cert(struct pki_text *text, X509 *cert);
void pki_text_add_key(struct pki_text *text, EVP_PKEY *key, enum pki_form form, const char *passphrase);

/* A directory of its own, and files in it.  Paths are the caller's to free. */
char *pki_dir_new(void);
char *pki_dir_write(const char *dir, const char *name, const void *bytes, size_t len, mode_t mode);
char *pki_dir_write_text(const char *dir, const char *name, const struct pki_text *text, mode_t mode);
void pki_dir_remove(char *dir); /* with the files in it; frees the path */

#endif
