/*
 * bundle_write: the files that the MID Server's own tools and midrelay take, and requests for certificates.
 */
#ifndef MIDRELAY_TLS_BUNDLE_WRITE_H
#define MIDRELAY_TLS_BUNDLE_WRITE_H

#include <stdbool.h>

#include "base/error.h"
#include "tls/bundle.h"
#include "tls/bundle_findings.h"

/* NULL: not wanted. */
struct bundle_outputs {
	const char *full;  /* leaf, intermediates, root, key (PKCS#8); mode 0600 */
	const char *leaf;  /* the leaf alone, to be uploaded; mode 0644 */
	const char *chain; /* intermediates and root, to be uploaded; mode 0644 */
};

/*
 * Adds what there is to say to `findings` and writes the files, each whole or not at all; when a finding is
 * REFUSED, none (and err says so).
 */
bool bundle_make(const struct bundle *bundle, const struct bundle_outputs *outputs,
    struct bundle_findings *findings, struct error *err) MUST_CHECK;

/* NULL when `kind` is none of rsa:2048 rsa:3072 rsa:4096 p256 p384. */
struct bundle_key_kind;
const struct bundle_key_kind *bundle_key_kind_find(const char *kind);

/* Whether "/CN=…/O=…" can be a subject: types that OpenSSL knows, a CN among them; a `/` in a value is
 * written `\/`. */
bool bundle_subject_check(const char *subject, struct error *err) MUST_CHECK;

/*
 * A new key (PKCS#8, mode 0600) and a request with Client Authentication for it.  Neither file may be there;
 * on failure none of ours stays.
 */
bool bundle_request(const char *subject, const struct bundle_key_kind *kind, const char *key_file,
    const char *request_file, struct error *err) MUST_CHECK;

#endif
