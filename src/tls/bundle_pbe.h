/*
 * bundle_pbe: what it costs to open something that a passphrase protects, and the ciphers of former times.
 * Internal to bundle_key and bundle_pfx.
 */
#ifndef MIDRELAY_TLS_BUNDLE_PBE_H
#define MIDRELAY_TLS_BUNDLE_PBE_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/secret.h"

/*
 * A file names its own number of iterations.  What goes beyond this in all (some seconds of work) is refused:
 * it would hold up a start or a reload for as long as the file's maker likes.
 */
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define BUNDLE_PBE_BUDGET 10000
#else
#define BUNDLE_PBE_BUDGET 10000000
#endif

/* What opens the encrypted parts of one file, and the work that may still be spent on them. */
struct bundle_opening {
	const struct secret *passphrase; /* NULL: none */
	int64_t budget;                  /* begins as BUNDLE_PBE_BUDGET */
};

/* Takes what deriving the key by this algorithm costs from *budget; false, with a sentence, when that is too
 * much. */
bool bundle_pbe_spend(const X509_ALGOR *algorithm, int64_t *budget, struct error *err) MUST_CHECK;
/* The same for a plain count of iterations (a MAC's).  NULL counts as 1. */
bool bundle_pbe_spend_count(const ASN1_INTEGER *count, int64_t *budget, struct error *err) MUST_CHECK;

/* Its cipher by OpenSSL's name, "rc2-cbc" or "pbeWithMD5AndDES-CBC"; returns buf. */
#define BUNDLE_PBE_NAME_BYTES 80
const char *bundle_pbe_cipher_name(const X509_ALGOR *algorithm, char buf[BUNDLE_PBE_NAME_BYTES]);

/*
 * True when the error queue says that an algorithm, and not the passphrase, was the trouble; `reason` gets
 * OpenSSL's word for it.  Empties the queue.
 */
bool bundle_pbe_drain_unsupported(char *reason, size_t reason_bytes);

/*
 * OpenSSL's legacy provider (RC2, RC4, single DES) in a library context of its own, so that nothing else ever
 * gets those ciphers.  Zero-initialise; bundle_legacy_close() takes all of it away again.
 */
struct bundle_legacy {
	OSSL_LIB_CTX *ctx;
	OSSL_PROVIDER *usual, *legacy;
};
bool bundle_legacy_open(struct bundle_legacy *legacy, struct error *err) MUST_CHECK;
void bundle_legacy_close(struct bundle_legacy *legacy);

#endif
