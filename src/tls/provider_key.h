/*
 * provider_key: a key that stays in its TPM or token, as an EVP_PKEY that the rest of the program uses like
 * any other.
 *
 * It signs, and nothing else: its private half cannot be exported, and nothing can be decrypted with it.  All
 * of TLS around the one signature is the default provider's.  From any thread.
 */
#ifndef MIDRELAY_TLS_PROVIDER_KEY_H
#define MIDRELAY_TLS_PROVIDER_KEY_H

#include <openssl/evp.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/secret.h"

/* The caller frees the key.  Errors do not repeat the URI. */
EVP_PKEY *provider_key_from_uri(const char *uri, const struct secret *passphrase,
    struct error *err) MUST_CHECK;
/* From the content of a "TSS2 PRIVATE KEY" block. */
EVP_PKEY *provider_key_from_tss2(const unsigned char *der, size_t len, const struct secret *passphrase,
    struct error *err) MUST_CHECK;

bool provider_key_is(const EVP_PKEY *key);

/* Why the last signature asked for in this thread failed; "" when it did not.  Forgotten by asking. */
void provider_key_take_fault(struct error *fault);

#endif
