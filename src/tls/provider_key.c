/*
 * provider_key: a built-in OpenSSL provider with two operations, made of a vault_key: to be a key, and to
 * sign.
 *
 * An EVP_PKEY of a foreign provider does not serve as it is: Debian 12's tpm2-openssl claims to export
 * private keys and hands over the public half, with which OpenSSL then tries to sign; preferring that
 * provider instead would send every digest of the session to the TPM.  Here the digest is made by the default
 * provider, and only the signature of it is asked of the device.  (provider-keymgmt(7),
 * provider-signature(7))
 */
#include "tls/provider_key.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "tls/provider_vault.h"

#define NAME "midrelay"
#define PARAM_KEY "midrelay-key"
#define DIGEST_NAME_BYTES 32

/* The keymgmt's keydata: filled by import, which is handed the vault key. */
struct held_key {
	struct vault_key *key;
};

struct signing {
	struct vault_key *key;
	char digest[DIGEST_NAME_BYTES];
	int padding;
};

static _Thread_local struct error last_fault;

void provider_key_take_fault(struct error *fault)
{
	*fault = last_fault;
	last_fault.text[0] = '\0';
}

/* ---- keymgmt ---- */

static void *key_new(void *provider)
{
	(void)provider;
	return mem_calloc(1, sizeof(struct held_key));
}

static void key_free(void *data)
{
	struct held_key *held = data;

	if (held != NULL)
		vault_key_unref(held->key);
	free(held);
}

static int key_has(const void *data, int selection)
{
	const struct held_key *held = data;

	(void)selection;
	return held != NULL && held->key != NULL;
}

static int key_match(const void *a, const void *b, int selection)
{
	const struct held_key *first = a, *second = b;

	(void)selection;
	return EVP_PKEY_eq(vault_key_public(first->key), vault_key_public(second->key)) == 1;
}

static const OSSL_PARAM *key_import_types(int selection)
{
	static const OSSL_PARAM types[] = {OSSL_PARAM_octet_ptr(PARAM_KEY, NULL, 0), OSSL_PARAM_END};

	(void)selection;
	return types;
}

static int key_import(void *data, int selection, const OSSL_PARAM params[])
{
	struct held_key *held = data;
	const OSSL_PARAM *param = OSSL_PARAM_locate_const(params, PARAM_KEY);
	const void *pointer;
	size_t len;

	(void)selection;
	if (param == NULL || held->key != NULL || OSSL_PARAM_get_octet_ptr(param, &pointer, &len) != 1 ||
	    len != sizeof(pointer))
		return 0;
	held->key = vault_key_ref(*(struct vault_key *const *)pointer);
	return 1;
}

static int key_export(void *data, int selection, OSSL_CALLBACK *cb, void *arg)
{
	const struct held_key *held = data;

	if ((selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0)
		return 0;
	return EVP_PKEY_export(vault_key_public(held->key), EVP_PKEY_PUBLIC_KEY, cb, arg);
}

static const OSSL_PARAM *key_export_types(int selection)
{
	static const OSSL_PARAM types[] = {OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
	    OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0), OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME,
	    NULL, 0), OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0), OSSL_PARAM_END};

	return (selection & OSSL_KEYMGMT_SELECT_PRIVATE_KEY) != 0 ? NULL : types;
}

static int key_get_params(void *data, OSSL_PARAM params[])
{
	const struct held_key *held = data;

	return EVP_PKEY_get_params(vault_key_public(held->key), params);
}

static const OSSL_PARAM *key_gettable(void *provider)
{
	static const OSSL_PARAM gettable[] = {OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
	    OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL), OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE,
	    NULL), OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_DEFAULT_DIGEST, NULL, 0),
	    OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0), OSSL_PARAM_END};

	(void)provider;
	return gettable;
}

static const char *ec_operation_name(int operation)
{
	return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

#define KEY_FUNCTIONS                                                                                        \
	{OSSL_FUNC_KEYMGMT_NEW, (void (*)(void))key_new},                                                    \
	    {OSSL_FUNC_KEYMGMT_FREE, (void (*)(void))key_free},                                              \
	    {OSSL_FUNC_KEYMGMT_HAS, (void (*)(void))key_has},                                                \
	    {OSSL_FUNC_KEYMGMT_MATCH, (void (*)(void))key_match},                                            \
	    {OSSL_FUNC_KEYMGMT_IMPORT, (void (*)(void))key_import},                                          \
	    {OSSL_FUNC_KEYMGMT_IMPORT_TYPES, (void (*)(void))key_import_types},                              \
	    {OSSL_FUNC_KEYMGMT_EXPORT, (void (*)(void))key_export},                                          \
	    {OSSL_FUNC_KEYMGMT_EXPORT_TYPES, (void (*)(void))key_export_types},                              \
	    {OSSL_FUNC_KEYMGMT_GET_PARAMS, (void (*)(void))key_get_params},                                  \
	{                                                                                                    \
		OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, (void (*)(void))key_gettable                              \
	}

static const OSSL_DISPATCH rsa_key_functions[] = {KEY_FUNCTIONS, {0, NULL}};
static const OSSL_DISPATCH ec_key_functions[] = {
    KEY_FUNCTIONS, {OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, (void (*)(void))ec_operation_name}, {0, NULL}};

/* ---- signature ---- */

static void *signing_new(void *provider, const char *query)
{
	(void)provider;
	(void)query;
	return mem_calloc(1, sizeof(struct signing));
}

static void signing_free(void *ctx)
{
	struct signing *signing = ctx;

	if (signing != NULL)
		vault_key_unref(signing->key);
	free(signing);
}

static void *signing_dup(void *ctx)
{
	struct signing *copy = mem_dup(ctx, sizeof(struct signing));

	if (copy->key != NULL)
		vault_key_ref(copy->key);
	return copy;
}

/* The padding comes by number (EVP_PKEY_CTX_set_rsa_padding) or by name. */
static bool set_padding(struct signing *signing, const OSSL_PARAM *param)
{
	if (param->data_type == OSSL_PARAM_UTF8_STRING)
		signing->padding = strcasecmp(param->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0 ?
		    RSA_PKCS1_PSS_PADDING
		                 : strcasecmp(param->data, OSSL_PKEY_RSA_PAD_MODE_PKCSV15) == 0 ?
		                 RSA_PKCS1_PADDING : 0;
	else if (OSSL_PARAM_get_int(param, &signing->padding) != 1)
		return false;
	return signing->padding == RSA_PKCS1_PADDING || signing->padding == RSA_PKCS1_PSS_PADDING;
}

/* The length of a PSS salt is taken without a look: TLS knows one only, that of the digest. */
static int signing_set_params(void *ctx, const OSSL_PARAM params[])
{
	struct signing *signing = ctx;
	const OSSL_PARAM *param;

	if (params == NULL)
		return 1;
	param = OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE);
	return param == NULL || set_padding(signing, param);
}

static const OSSL_PARAM *signing_settable(void *ctx, void *provider)
{
	static const OSSL_PARAM settable[] = {OSSL_PARAM_int(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL),
	    OSSL_PARAM_int(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL), OSSL_PARAM_END};

	(void)ctx;
	(void)provider;
	return settable;
}

static int signing_init(void *ctx, const char *digest, void *data, const OSSL_PARAM params[])
{
	struct signing *signing = ctx;
	const struct held_key *held = data;

	if (digest == NULL || strlen(digest) >= sizeof(signing->digest))
		return 0;
	memcpy(signing->digest, digest, strlen(digest) + 1);
	if (held != NULL) {
		vault_key_unref(signing->key);
		signing->key = vault_key_ref(held->key);
		signing->padding = EVP_PKEY_is_a(vault_key_public(held->key), "RSA") ? RSA_PKCS1_PADDING : 0;
	}
	return signing->key != NULL && signing_set_params(signing, params);
}

static int sign(void *ctx, unsigned char *signature, size_t *len, size_t room, const unsigned char *text,
    size_t text_len)
{
	struct signing *signing = ctx;
	unsigned char hash[EVP_MAX_MD_SIZE];
	struct vault_signing what = {.digest_name = signing->digest, .padding = signing->padding,
	    .hash = hash};

	*len = (size_t)EVP_PKEY_get_size(vault_key_public(signing->key));
	if (signature == NULL)
		return 1;
	last_fault.text[0] = '\0';
	if (room < *len || EVP_Q_digest(NULL, signing->digest, NULL, text, text_len, hash,
	    &what.hash_len) != 1)
		return 0;
	if (vault_key_sign(signing->key, &what, signature, len, &last_fault))
		return 1;
	return 0;
}

static const OSSL_DISPATCH signature_functions[] = {{OSSL_FUNC_SIGNATURE_NEWCTX, (void (*)(void))signing_new},
    {OSSL_FUNC_SIGNATURE_FREECTX, (void (*)(void))signing_free}, {OSSL_FUNC_SIGNATURE_DUPCTX,
     (void (*)(void))signing_dup},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, (void (*)(void))signing_init},
    {OSSL_FUNC_SIGNATURE_DIGEST_SIGN, (void (*)(void))sign},
    {OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, (void (*)(void))signing_set_params},
    {OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, (void (*)(void))signing_settable}, {0, NULL}};

/* ---- the provider ---- */

static const OSSL_ALGORITHM *on_query(void *provider, int operation, int *no_cache)
{
	static const OSSL_ALGORITHM keys[] = {{"RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=" NAME,
	    rsa_key_functions, NULL},
	    {"EC:id-ecPublicKey:1.2.840.10045.2.1", "provider=" NAME, ec_key_functions, NULL}, {NULL, NULL,
	     NULL, NULL}};
	static const OSSL_ALGORITHM signatures[] = {
	    {"RSA:rsaEncryption:1.2.840.113549.1.1.1", "provider=" NAME, signature_functions, NULL},
	    {"ECDSA", "provider=" NAME, signature_functions, NULL}, {NULL, NULL, NULL, NULL}};

	(void)provider;
	*no_cache = 0;
	return operation == OSSL_OP_KEYMGMT ? keys : operation == OSSL_OP_SIGNATURE ? signatures : NULL;
}

static int on_start(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *in, const OSSL_DISPATCH **out,
    void **provider)
{
	static const OSSL_DISPATCH functions[] = {{OSSL_FUNC_PROVIDER_QUERY_OPERATION,
	    (void (*)(void))on_query}, {0, NULL}};
	static char context; /* OpenSSL wants one */

	(void)handle;
	(void)in;
	*out = functions;
	*provider = &context;
	return 1;
}

/* A context of its own, where no search for "RSA" on anybody else's behalf ever comes by. */
static OSSL_LIB_CTX *own_ctx;

static void make_own_ctx(void)
{
	own_ctx = OSSL_LIB_CTX_new();
	if (own_ctx == NULL)
		return;
	/* The default provider is for the public half: it has the encoders. */
	if (OSSL_PROVIDER_add_builtin(own_ctx, NAME, on_start) != 1 || OSSL_PROVIDER_load(own_ctx,
	    NAME) == NULL || OSSL_PROVIDER_load(own_ctx, "default") == NULL) {
		OSSL_LIB_CTX_free(own_ctx);
		own_ctx = NULL;
	}
}

static EVP_PKEY *wrap(struct vault_key *held, struct error *err)
{
	static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;
	void *pointer = &held;
	OSSL_PARAM params[] = {
	    OSSL_PARAM_construct_octet_ptr(PARAM_KEY, &pointer, sizeof(held)), OSSL_PARAM_construct_end()};
	EVP_PKEY_CTX *ctx = NULL;
	EVP_PKEY *key = NULL;

	if (CRYPTO_THREAD_run_once(&once, make_own_ctx) == 1 && own_ctx != NULL)
		ctx = EVP_PKEY_CTX_new_from_name(own_ctx, EVP_PKEY_is_a(vault_key_public(held), "EC") ?
		    "EC" : "RSA", "provider=" NAME);
	if (ctx == NULL || EVP_PKEY_fromdata_init(ctx) != 1 || EVP_PKEY_fromdata(ctx, &key, EVP_PKEY_KEYPAIR,
	    params) != 1) {
		error_set(err, "OpenSSL does not take the key in");
		key = NULL;
	}
	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return key;
}

static EVP_PKEY *make(const struct vault_source *source, struct error *err)
{
	struct vault_key *held = vault_key_new(source, err);
	EVP_PKEY *key = NULL;

	if (held == NULL)
		return NULL;
	if (EVP_PKEY_is_a(vault_key_public(held), "RSA") || EVP_PKEY_is_a(vault_key_public(held), "EC"))
		key = wrap(held, err);
	else
		error_set(err, "keys behind a provider are taken when they are RSA or EC, not %s",
		    EVP_PKEY_get0_type_name(vault_key_public(held)));
	vault_key_unref(held);
	return key;
}

EVP_PKEY *provider_key_from_uri(const char *uri, const struct secret *passphrase, struct error *err)
{
	const struct vault_source source = {.uri = uri, .passphrase = passphrase};

	return make(&source, err);
}

EVP_PKEY *provider_key_from_tss2(
    const unsigned char *der, size_t len, const struct secret *passphrase, struct error *err)
{
	const struct vault_source source = {.der = der, .der_len = len, .passphrase = passphrase};

	return make(&source, err);
}

bool provider_key_is(const EVP_PKEY *key)
{
	const OSSL_PROVIDER *provider = EVP_PKEY_get0_provider(key);

	return provider != NULL && strcmp(OSSL_PROVIDER_get0_name(provider), NAME) == 0;
}
