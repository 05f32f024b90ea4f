/*
 * provider_device: a provider of OpenSSL's in a library context of its own, and the keys behind it; for provider_vault
 * alone, under its lock.
 */
#ifndef MIDRELAY_TLS_PROVIDER_DEVICE_H
#define MIDRELAY_TLS_PROVIDER_DEVICE_H

#include <openssl/provider.h>

#include "tls/provider_vault.h"

struct provider_device {
	const char *provider; /* NULL: what openssl.cnf activates */
	const char *query;    /* that prefers it */
	const char *install;  /* what to install where it is missing */
	OSSL_LIB_CTX *ctx;    /* NULL: closed */
	OSSL_PROVIDER *usual, *own;
};

/* The caller's key, of the device's context; opens that where it is closed.  NULL: the sentence says what is missing. */
EVP_PKEY *provider_device_fetch(struct provider_device *device, const struct vault_source *source,
    struct error *err) MUST_CHECK;
/* None of its keys is held any more. */
void provider_device_close(struct provider_device *device);

/*
 * The public half as the default provider's, so that nothing but signing goes to the device; its own provider's word on
 * whether two keys are the same is not taken either (tpm2-openssl 1.1.1 finds different EC keys equal).  The caller's;
 * NULL: it cannot be read.
 */
EVP_PKEY *provider_device_public(EVP_PKEY *key);

#define PROVIDER_REASON_BYTES 200
/* What the provider said last; most have the device's own words in the data.  Empties the queue. */
const char *provider_device_reason(char buf[PROVIDER_REASON_BYTES]);

#endif
