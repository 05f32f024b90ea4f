/*
 * bundle_pfx: certificates and keys out of PKCS#12 (PFX, RFC 7292).  Pure.  Internal to bundle_read.
 */
#ifndef MIDRELAY_TLS_BUNDLE_PFX_H
#define MIDRELAY_TLS_BUNDLE_PFX_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "tls/bundle_pbe.h"

#define BUNDLE_PFX_MAX_ENTRIES 100

/* Where the entries go, in file order; numbers count certificates and keys from 1.  The call-back takes the
 * object. */
struct bundle_pfx_sink {
	bool (*on_cert)(void *arg, X509 *cert, unsigned number, struct error *err);
	bool (*on_key)(void *arg, EVP_PKEY *key, unsigned number, struct error *err);
	void *arg;
};

bool bundle_pfx_is(const unsigned char *der, size_t len);

/*
 * Without a passphrase the two ways to have none are tried (Windows writes both).  A file that needs RC2 is
 * opened through OpenSSL's legacy provider, in a library context of its own.  Sentences say what is wrong
 * with the file; the caller puts its name before them.
 */
bool bundle_pfx_read(const unsigned char *der, size_t len, struct bundle_opening *opening,
    const struct bundle_pfx_sink *sink, struct error *err) MUST_CHECK;

#endif
