/*
 * identity: client certificate, key, trust anchors and TLS policy as one SSL_CTX.  Immutable, counted.
 */
#ifndef MIDRELAY_TLS_IDENTITY_H
#define MIDRELAY_TLS_IDENTITY_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/error.h"
#include "base/secret.h"
#include "tls/cert_end.h"
#include "tls/anchor_origin.h"
#include "tls/judge.h"

struct identity; /* opaque */

/* What it is made of; all borrowed, NULL: not given. */
struct identity_params {
	const char *bundle_file;
	const char *cert_file, *key_file, *chain_file;
	const struct secret *passphrase;
	const char *trust; /* NULL: the system's store; a file or a directory (hashed, or of PEM files) */
	int tls_min, tls_max; /* TLS1_2_VERSION, TLS1_3_VERSION */
	const char *ciphers, *ciphersuites, *groups;
	struct judge_rules rules; /* trust_system is set by identity_new() */
	const char *crl_file;     /* with rules.crl */
	const struct identity *cert_of; /* certificate, key and chain are this one's instead of a file's; NULL: no */
	/*
	 * The anchors, and the revocation lists beside them, are this one's, which was made for the same `trust`; NULL: they
	 * are loaded.
	 */
	const struct identity *trust_of;
};

/* Which parameter a fault belongs to: the configuration key, for the line. */
struct identity_fault {
	const char *key; /* "client_bundle", "trust", "tls_ciphers", … static */
	struct error err;
};

/* All that is wrong: at most one for the policy, one for the client's certificate, one for the trust, one for
 * the revocation lists. */
struct identity_faults {
	unsigned count;
	struct identity_fault items[4];
};

/* What `run` warns of but accepts; `add` is called for each while identity_new runs. */
typedef void identity_note_fn(void *arg, const char *key, const char *text);

enum identity_validity { IDENTITY_NO_CERT, IDENTITY_VALID, IDENTITY_NOT_YET_VALID, IDENTITY_EXPIRED };

/*
 * Builds all, or says which parameters are at fault.  An expired or not yet valid client certificate is no
 * fault here (it stops its relay alone, at run time): see identity_validity().
 */
struct identity *identity_new(const struct identity_params *params, identity_note_fn *note, void *note_arg,
    struct identity_faults *faults);
struct identity *identity_ref(struct identity *identity);   /* any thread */
void identity_unref(struct identity *identity);             /* any thread; NULL is fine */

SSL_CTX *identity_ctx(const struct identity *identity); /* borrowed */
const struct judge_rules *identity_rules(const struct identity *identity);           /* borrowed */
/* borrowed; may be NULL */
const struct anchor_origin *identity_anchor_origin(const struct identity *identity);
bool identity_has_cert(const struct identity *identity);
/* Judged now; *when (may be NULL) gets the decisive notAfter/notBefore as text. */
enum identity_validity identity_validity(const struct identity *identity, char *when, size_t when_bytes);
/* Subject of the leaf, escaped; "" without certificate.  Borrowed. */
const char *identity_subject(const struct identity *identity);
/* SHA-256 of the leaf, XX:XX:…; "" without certificate.  Borrowed. */
const char *identity_fingerprint(const struct identity *identity);
/* Both have the same leaf, or both none. */
bool identity_same_leaf(const struct identity *a, const struct identity *b);
/* The version of OpenSSL that is in use, "3.0.15".  Static. */
const char *identity_library_version(void);
/* When each certificate of the client's chain ends, leaf first; *count 0 without certificate.  Borrowed. */
const struct cert_end *identity_ends(const struct identity *identity, size_t *count);

#endif
