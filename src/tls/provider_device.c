/*
 * provider_device: see provider_device.h.
 *
 * Keys come through OSSL_STORE (URIs) or a decoder (blocks of PEM), each preferring the provider and not demanding it:
 * decoders and stores of the default provider serve, too.
 */
#include "tls/provider_device.h"

#include <openssl/conf.h>
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

#define TSS2_PEM_NAME "TSS2 PRIVATE KEY"
#define MAX_STORE_OBJECTS 64

const char *provider_device_reason(char buf[PROVIDER_REASON_BYTES])
{
	char text[PROVIDER_REASON_BYTES];
	const char *data, *reason;
	int flags;
	unsigned long code;
	bool found = false;

	snprintf(buf, PROVIDER_REASON_BYTES, "no reason given");
	while ((code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)) != 0) {
		/* What EVP of newer versions adds behind it, "provider signature failure", says less. */
		if (ERR_GET_REASON(code) == ERR_R_INTERNAL_ERROR || (found && ERR_GET_LIB(code) == ERR_LIB_EVP))
			continue;
		found = true;
		reason = ERR_reason_error_string(code);
		snprintf(text, sizeof(text), "%s%s%s", reason == NULL ? "error" : reason,
		    (flags & ERR_TXT_STRING) != 0 && data[0] != '\0' ? ": " : "",
		    (flags & ERR_TXT_STRING) != 0 ? data : "");
		text_escape(text, strlen(text), buf, PROVIDER_REASON_BYTES);
	}
	return buf;
}

void provider_device_close(struct provider_device *device)
{
	if (device->own != NULL)
		OSSL_PROVIDER_unload(device->own);
	if (device->usual != NULL)
		OSSL_PROVIDER_unload(device->usual);
	OSSL_LIB_CTX_free(device->ctx);
	device->own = device->usual = NULL;
	device->ctx = NULL;
}

static bool is_installed(const char *provider)
{
	const char *named = secure_getenv("OPENSSL_MODULES");
	char *file = mem_printf("%s/%s.so", named != NULL ? named : OPENSSL_info(OPENSSL_INFO_MODULES_DIR),
	    provider);
	bool there = access(file, F_OK) == 0;

	free(file);
	return there;
}

static bool refuse_provider(const struct provider_device *device, struct error *err)
{
	char reason[PROVIDER_REASON_BYTES];

	provider_device_reason(reason);
	if (!is_installed(device->provider))
		return error_set(err, "OpenSSL's provider \"%s\", which such a key needs, is not installed: "
		    "install %s", device->provider, device->install);
	if (strcmp(device->provider, "tpm2") == 0)
		return error_set(err, "OpenSSL's provider \"tpm2\" cannot reach the TPM (%s): it takes "
		    "/dev/tpmrm0 unless the environment variable TPM2OPENSSL_TCTI says otherwise, and "
		    "midrelay's account must be in the group of that device (tss)", reason);
	return error_set(err, "OpenSSL's provider \"%s\" does not start (%s): see its section in "
	    "openssl.cnf, which also names the PKCS#11 module", device->provider, reason);
}

/* openssl.cnf counts here, too: pkcs11-provider finds the name of its module there. */
static bool open_device(struct provider_device *device, struct error *err)
{
	char *file;

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	return error_set(err, "no device is asked while files are fuzzed");
#endif
	if (device->ctx != NULL)
		return true;
	ERR_clear_error();
	device->ctx = OSSL_LIB_CTX_new();
	if (device->ctx == NULL)
		return error_set(err, "OpenSSL has no memory for a library context");
	file = CONF_get1_default_config_file();
	if (file != NULL && access(file, R_OK) == 0)
		(void)OSSL_LIB_CTX_load_config(device->ctx, file);
	OPENSSL_free(file);
	ERR_clear_error();
	device->usual = OSSL_PROVIDER_load(device->ctx, "default");
	if (device->provider != NULL)
		device->own = OSSL_PROVIDER_load(device->ctx, device->provider);
	if (device->usual != NULL && (device->provider == NULL || device->own != NULL))
		return true;
	if (device->provider == NULL)
		error_set(err, "OpenSSL has no default provider");
	else
		refuse_provider(device, err);
	provider_device_close(device);
	return false;
}

struct asking {
	const struct secret *passphrase;
	bool asked;
};

static int on_passphrase(char *buf, int buf_bytes, int writing, void *arg)
{
	struct asking *asking = arg;

	asking->asked = true;
	if (writing != 0 || asking->passphrase == NULL || secret_len(asking->passphrase) > (size_t)buf_bytes)
		return -1;
	memcpy(buf, secret_bytes(asking->passphrase), secret_len(asking->passphrase));
	return (int)secret_len(asking->passphrase);
}

static EVP_PKEY *fetch_from_store(const struct provider_device *device, const char *uri, struct asking *asking)
{
	UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(on_passphrase, 0);
	OSSL_STORE_CTX *store = OSSL_STORE_open_ex(uri, device->ctx, device->query, ui, asking, NULL, NULL, NULL);
	EVP_PKEY *found = NULL;
	int objects;

	if (store != NULL)
		(void)OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY);
	for (objects = 0; store != NULL && found == NULL && objects < MAX_STORE_OBJECTS &&
	    !OSSL_STORE_eof(store); objects++) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);

		if (info != NULL && OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
			found = OSSL_STORE_INFO_get1_PKEY(info);
		OSSL_STORE_INFO_free(info);
	}
	OSSL_STORE_close(store);
	UI_destroy_method(ui);
	return found;
}

static EVP_PKEY *fetch_from_block(const struct provider_device *device, const struct vault_source *source,
    struct asking *asking)
{
	EVP_PKEY *found = NULL;
	OSSL_DECODER_CTX *decoder =
	    OSSL_DECODER_CTX_new_for_pkey(&found, "PEM", NULL, NULL, EVP_PKEY_KEYPAIR, device->ctx,
	    device->query);
	BIO *pem = BIO_new(BIO_s_mem());

	if (decoder == NULL || pem == NULL || PEM_write_bio(pem, TSS2_PEM_NAME, "", source->der,
	    (long)source->der_len) <= 0 || OSSL_DECODER_CTX_set_pem_password_cb(decoder, on_passphrase,
	    asking) != 1 || OSSL_DECODER_from_bio(decoder, pem) != 1) {
		EVP_PKEY_free(found);
		found = NULL;
	}
	BIO_free(pem);
	OSSL_DECODER_CTX_free(decoder);
	return found;
}

static bool refuse_key(const struct provider_device *device, const struct vault_source *source,
    const struct asking *asking, struct error *err)
{
	char reason[PROVIDER_REASON_BYTES];

	provider_device_reason(reason);
	if (asking->asked && asking->passphrase == NULL)
		return error_set(err, "the key has a passphrase or PIN: set client_passphrase (on the "
		    "command line: --passphrase)");
	if (source->uri == NULL)
		return error_set(err, "the TPM does not load the key (%s): it must have been made in this "
		    "very TPM, and its parent must be there%s", reason, asking->asked ?
		    "; or client_passphrase is wrong" : "");
	if (device->provider == NULL)
		return error_set(err, "no provider that openssl.cnf activates has a key there (%s): known "
		    "here are handle: (TPM 2), pkcs11: and what openssl.cnf adds", reason);
	return error_set(err, "OpenSSL's provider \"%s\" finds no private key there (%s)%s",
	    device->provider, reason, asking->asked ? "; or client_passphrase is wrong" : "");
}

EVP_PKEY *provider_device_fetch(struct provider_device *device, const struct vault_source *source, struct error *err)
{
	struct asking asking = {.passphrase = source->passphrase};
	EVP_PKEY *found;

	if (!open_device(device, err))
		return NULL;
	ERR_clear_error();
	found = source->uri != NULL ? fetch_from_store(device, source->uri, &asking)
				    : fetch_from_block(device, source, &asking);
	if (found == NULL)
		refuse_key(device, source, &asking, err);
	return found;
}

EVP_PKEY *provider_device_public(EVP_PKEY *key)
{
	OSSL_PARAM *params = NULL;
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_name(NULL, EVP_PKEY_get0_type_name(key), NULL);
	EVP_PKEY *copy = NULL;

	if (ctx == NULL || EVP_PKEY_todata(key, EVP_PKEY_PUBLIC_KEY, &params) != 1 ||
	    EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &copy, EVP_PKEY_PUBLIC_KEY,
	    params) != 1)
		copy = NULL;
	OSSL_PARAM_free(params);
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return copy;
}
