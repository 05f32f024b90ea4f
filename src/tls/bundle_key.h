/*
 * bundle_key: private keys in all the encodings they come in, plain or encrypted.  Internal to bundle_read.
 *
 * Sentences say what is wrong with the key; the caller puts file and block before them.
 */
#ifndef MIDRELAY_TLS_BUNDLE_KEY_H
#define MIDRELAY_TLS_BUNDLE_KEY_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "tls/bundle_pbe.h"
#include "tls/bundle_pem.h"

enum bundle_key_form {
	BUNDLE_KEY_PKCS8,           /* PRIVATE KEY, RFC 5958 */
	BUNDLE_KEY_PKCS8_ENCRYPTED, /* ENCRYPTED PRIVATE KEY */
	BUNDLE_KEY_PKCS1,           /* RSA PRIVATE KEY, RFC 8017 */
	BUNDLE_KEY_SEC1,            /* EC PRIVATE KEY, RFC 5915 */
};

/*
 * A key from its DER.  A passphrase that is not needed is ignored; a missing or wrong one is an error.  The
 * caller owns *key.
 */
bool bundle_key_decode(enum bundle_key_form form, const unsigned char *der, size_t len,
    struct bundle_opening *opening, EVP_PKEY **key, struct error *err) MUST_CHECK;

/* The same for a PEM block, which may be encrypted in the traditional way (Proc-Type and DEK-Info headers).
 */
bool bundle_key_decode_block(enum bundle_key_form form, struct bundle_pem_block *block,
    struct bundle_opening *opening, bool *encrypted, EVP_PKEY **key, struct error *err) MUST_CHECK;

#endif
