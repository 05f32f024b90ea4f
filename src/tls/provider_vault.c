/*
 * provider_vault: opens providers, fetches keys through OSSL_STORE or a decoder, signs, and does all that
 * again when a device has come back.  How TLS gets to use such a key is provider_key.c's business.
 */
#include "tls/provider_vault.h"

#include <openssl/conf.h>
#include <openssl/core_names.h>
#include <openssl/decoder.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

#define TSS2_PEM_NAME "TSS2 PRIVATE KEY"
#define REASON_BYTES 200
#define MAX_STORE_OBJECTS 64
#define REST_NS 1000000000LL

/* A provider, and all keys behind it. */
struct vault {
	const char *provider; /* NULL: what openssl.cnf activates */
	/* preferred, not demanded: decoders and stores of the default provider serve, too */
	const char *query;
	const char *install;
	OSSL_LIB_CTX *ctx; /* NULL: closed */
	OSSL_PROVIDER *usual, *own;
	struct vault_key *keys;
};

struct vault_key {
	unsigned holders;
	struct vault *vault;
	char *uri;
	unsigned char *der;
	size_t der_len;
	struct secret *passphrase;
	EVP_PKEY *real;   /* NULL: its provider was closed */
	EVP_PKEY *public; /* of the default provider */
	bool proven;      /* has signed */
	long long rest_until_ns;
	struct error fault; /* why it rests */
	struct vault_key *next;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static struct vault vaults[] = {
    {.provider = "tpm2", .query = "?provider=tpm2",
	.install = "tpm2-openssl (Debian, Ubuntu and Fedora have a package of that name)"},
    {.provider = "pkcs11", .query = "?provider=pkcs11",
	.install = "pkcs11-provider (Debian from 13 on and Fedora have a package of that name)"},
    {.provider = NULL},
};
#define TPM2 (&vaults[0])
#define PKCS11 (&vaults[1])
#define CONFIGURED (&vaults[2])

static struct vault *vault_of(const struct vault_source *source)
{
	static const char handle[] = "handle:", object[] = "object:", pkcs11[] = "pkcs11:";

	if (source->uri == NULL || strncasecmp(source->uri, handle, strlen(handle)) == 0 ||
	    strncasecmp(source->uri, object, strlen(object)) == 0)
		return TPM2;
	return strncasecmp(source->uri, pkcs11, strlen(pkcs11)) == 0 ? PKCS11 : CONFIGURED;
}

static long long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000LL + now.tv_nsec;
}

/* What the provider said last; most have the device's own words in the data.  Empties the queue. */
static const char *take_reason(char buf[REASON_BYTES])
{
	char text[REASON_BYTES];
	const char *data, *reason;
	int flags;
	unsigned long code;

	snprintf(buf, REASON_BYTES, "no reason given");
	while ((code = ERR_get_error_all(NULL, NULL, NULL, &data, &flags)) != 0) {
		if (ERR_GET_REASON(code) == ERR_R_INTERNAL_ERROR)
			continue;
		reason = ERR_reason_error_string(code);
		snprintf(text, sizeof(text), "%s%s%s", reason == NULL ? "error" : reason,
		    (flags & ERR_TXT_STRING) != 0 && data[0] != '\0' ? ": " : "",
		    (flags & ERR_TXT_STRING) != 0 ? data : "");
		text_escape(text, strlen(text), buf, REASON_BYTES);
	}
	return buf;
}

static void vault_close(struct vault *vault)
{
	struct vault_key *key;

	for (key = vault->keys; key != NULL; key = key->next) {
		EVP_PKEY_free(key->real);
		key->real = NULL;
	}
	if (vault->own != NULL)
		OSSL_PROVIDER_unload(vault->own);
	if (vault->usual != NULL)
		OSSL_PROVIDER_unload(vault->usual);
	OSSL_LIB_CTX_free(vault->ctx);
	vault->own = vault->usual = NULL;
	vault->ctx = NULL;
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

static bool refuse_provider(const struct vault *vault, struct error *err)
{
	char reason[REASON_BYTES];

	take_reason(reason);
	if (!is_installed(vault->provider))
		return error_set(err, "OpenSSL's provider \"%s\", which such a key needs, is not installed: "
		    "install %s", vault->provider, vault->install);
	if (vault == TPM2)
		return error_set(err, "OpenSSL's provider \"tpm2\" cannot reach the TPM (%s): it takes "
		    "/dev/tpmrm0 unless the environment variable TPM2OPENSSL_TCTI says otherwise, and "
		    "midrelay's account must be in the group of that device (tss)", reason);
	return error_set(err, "OpenSSL's provider \"%s\" does not start (%s): see its section in "
	    "openssl.cnf, which also names the PKCS#11 module", vault->provider, reason);
}

/* openssl.cnf counts here, too: pkcs11-provider finds the name of its module there. */
static bool vault_open(struct vault *vault, struct error *err)
{
	char *file;

#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	return error_set(err, "no device is asked while files are fuzzed");
#endif
	if (vault->ctx != NULL)
		return true;
	ERR_clear_error();
	vault->ctx = OSSL_LIB_CTX_new();
	if (vault->ctx == NULL)
		return error_set(err, "OpenSSL has no memory for a library context");
	file = CONF_get1_default_config_file();
	if (file != NULL && access(file, R_OK) == 0)
		(void)OSSL_LIB_CTX_load_config(vault->ctx, file);
	OPENSSL_free(file);
	ERR_clear_error();
	vault->usual = OSSL_PROVIDER_load(vault->ctx, "default");
	if (vault->provider != NULL)
		vault->own = OSSL_PROVIDER_load(vault->ctx, vault->provider);
	if (vault->usual != NULL && (vault->provider == NULL || vault->own != NULL))
		return true;
	if (vault->provider == NULL)
		error_set(err, "OpenSSL has no default provider");
	else
		refuse_provider(vault, err);
	vault_close(vault);
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

static EVP_PKEY *fetch_from_store(const struct vault_key *key, struct asking *asking)
{
	UI_METHOD *ui = UI_UTIL_wrap_read_pem_callback(on_passphrase, 0);
	OSSL_STORE_CTX *store = OSSL_STORE_open_ex(key->uri, key->vault->ctx, key->vault->query, ui, asking,
	    NULL, NULL, NULL);
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

static EVP_PKEY *fetch_from_block(const struct vault_key *key, struct asking *asking)
{
	EVP_PKEY *found = NULL;
	OSSL_DECODER_CTX *decoder =
	    OSSL_DECODER_CTX_new_for_pkey(&found, "PEM", NULL, NULL, EVP_PKEY_KEYPAIR, key->vault->ctx,
	    key->vault->query);
	BIO *pem = BIO_new(BIO_s_mem());

	if (decoder == NULL || pem == NULL || PEM_write_bio(pem, TSS2_PEM_NAME, "", key->der,
	    (long)key->der_len) <= 0 || OSSL_DECODER_CTX_set_pem_password_cb(decoder, on_passphrase,
	    asking) != 1 || OSSL_DECODER_from_bio(decoder, pem) != 1) {
		EVP_PKEY_free(found);
		found = NULL;
	}
	BIO_free(pem);
	OSSL_DECODER_CTX_free(decoder);
	return found;
}

static bool refuse_key(const struct vault_key *key, const struct asking *asking, struct error *err)
{
	char reason[REASON_BYTES];

	take_reason(reason);
	if (asking->asked && asking->passphrase == NULL)
		return error_set(err, "the key has a passphrase or PIN: set client_passphrase (on the "
		    "command line: --passphrase)");
	if (key->uri == NULL)
		return error_set(err, "the TPM does not load the key (%s): it must have been made in this "
		    "very TPM, and its parent must be there%s", reason, asking->asked ?
		    "; or client_passphrase is wrong" : "");
	if (key->vault->provider == NULL)
		return error_set(err, "no provider that openssl.cnf activates has a key there (%s): known "
		    "here are handle: (TPM 2), pkcs11: and what openssl.cnf adds", reason);
	return error_set(err, "OpenSSL's provider \"%s\" finds no private key there (%s)%s",
	    key->vault->provider, reason, asking->asked ? "; or client_passphrase is wrong" : "");
}

/*
 * The public half as the default provider's, so that nothing but signing goes to the device; its own
 * provider's word on whether two keys are the same is not taken either (tpm2-openssl 1.1.1 finds different EC
 * keys equal).
 */
static EVP_PKEY *copy_public(EVP_PKEY *key)
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

/* Under the lock.  A key that came back as another is no key. */
static bool fetch(struct vault_key *key, struct error *err)
{
	struct asking asking = {.passphrase = key->passphrase};
	EVP_PKEY *found, *public;

	if (key->real != NULL)
		return true;
	if (!vault_open(key->vault, err))
		return false;
	ERR_clear_error();
	found = key->uri != NULL ? fetch_from_store(key, &asking) : fetch_from_block(key, &asking);
	if (found == NULL)
		return refuse_key(key, &asking, err);
	public = copy_public(found);
	if (public == NULL || (key->public != NULL && EVP_PKEY_eq(key->public, public) != 1)) {
		error_set(err, public == NULL ? "its public half cannot be read: RSA and EC keys are taken"
		                              : "another key is there now than at the start");
		EVP_PKEY_free(public);
		EVP_PKEY_free(found);
		ERR_clear_error();
		return false;
	}
	if (key->public == NULL)
		key->public = public;
	else
		EVP_PKEY_free(public);
	key->real = found;
	return true;
}

/*
 * What the TPM has wrapped takes one of its few places while it is loaded, so the same content is loaded
 * once: sessions keep the key of their time through any number of reloads.  A URI is asked anew what it
 * stands for.
 */
static struct vault_key *find_same(const struct vault *vault, const struct vault_source *source)
{
	struct vault_key *key;

	if (source->uri != NULL)
		return NULL;
	for (key = vault->keys; key != NULL; key = key->next)
		if (key->uri == NULL && key->der_len == source->der_len &&
		    memcmp(key->der, source->der, source->der_len) == 0 && secret_equal(key->passphrase,
		    source->passphrase))
			return key;
	return NULL;
}

static struct vault_key *key_new(struct vault *vault, const struct vault_source *source)
{
	struct vault_key *key = mem_calloc(1, sizeof(*key));

	key->vault = vault;
	key->uri = source->uri == NULL ? NULL : mem_strdup(source->uri);
	key->der = source->uri == NULL ? mem_dup(source->der, source->der_len) : NULL;
	key->der_len = source->der_len;
	key->passphrase = source->passphrase == NULL ? NULL : secret_dup(source->passphrase);
	key->next = vault->keys;
	vault->keys = key;
	return key;
}

struct vault_key *vault_key_new(const struct vault_source *source, struct error *err)
{
	struct vault *vault = vault_of(source);
	struct vault_key *key;
	bool ok;

	pthread_mutex_lock(&lock);
	key = find_same(vault, source);
	if (key == NULL)
		key = key_new(vault, source);
	key->holders++;
	ok = fetch(key, err);
	pthread_mutex_unlock(&lock);
	if (ok)
		return key;
	vault_key_unref(key);
	return NULL;
}

struct vault_key *vault_key_ref(struct vault_key *key)
{
	pthread_mutex_lock(&lock);
	key->holders++;
	pthread_mutex_unlock(&lock);
	return key;
}

static void key_free(struct vault_key *key)
{
	EVP_PKEY_free(key->real);
	EVP_PKEY_free(key->public);
	secret_free(key->passphrase);
	free(key->uri);
	free(key->der);
	free(key);
}

void vault_key_unref(struct vault_key *key)
{
	struct vault_key **at;
	struct vault *vault;

	if (key == NULL)
		return;
	vault = key->vault;
	pthread_mutex_lock(&lock);
	if (--key->holders == 0) {
		for (at = &vault->keys; *at != key; at = &(*at)->next)
			;
		*at = key->next;
		key_free(key);
		if (vault->keys == NULL)
			vault_close(vault);
	}
	pthread_mutex_unlock(&lock);
}

EVP_PKEY *vault_key_public(const struct vault_key *key)
{
	return key->public;
}

/* TLS wants a salt as long as the digest (RFC 8446 4.2.3).  A TPM has its own rule and takes no wish. */
static bool set_padding(const struct vault_key *key, EVP_PKEY_CTX *ctx, int padding)
{
	if (padding == 0)
		return true;
	if (EVP_PKEY_CTX_set_rsa_padding(ctx, padding) != 1)
		return false;
	return padding != RSA_PKCS1_PSS_PADDING || key->vault == TPM2 ||
	    EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1;
}

/*
 * Cheap beside what it follows.  A handle may hold another key than it did, which the device does not mind;
 * and old TPMs take a longer PSS salt.  Either would look as if the server refused the certificate.
 */
static bool verifies(const struct vault_key *key, const struct vault_signing *what,
    const unsigned char *signature, size_t len)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_from_pkey(NULL, key->public, NULL);
	bool ok = ctx != NULL && EVP_PKEY_verify_init(ctx) == 1 &&
	    (what->padding == 0 || EVP_PKEY_CTX_set_rsa_padding(ctx, what->padding) == 1) &&
	    (what->padding != RSA_PKCS1_PSS_PADDING ||
		EVP_PKEY_CTX_set_rsa_pss_saltlen(ctx, RSA_PSS_SALTLEN_DIGEST) == 1) &&
	    EVP_PKEY_CTX_set_signature_md(ctx, EVP_get_digestbyname(what->digest_name)) == 1 &&
	    EVP_PKEY_verify(ctx, signature, len, what->hash, what->hash_len) == 1;

	EVP_PKEY_CTX_free(ctx);
	ERR_clear_error();
	return ok;
}

static bool sign_once(struct vault_key *key, const struct vault_signing *what, unsigned char *signature,
    size_t *len, struct error *err)
{
	EVP_PKEY_CTX *ctx;
	EVP_MD *digest;
	char reason[REASON_BYTES];
	bool ok;

	if (!fetch(key, err))
		return false;
	ERR_clear_error();
	ctx = EVP_PKEY_CTX_new_from_pkey(key->vault->ctx, key->real, key->vault->query);
	digest = EVP_MD_fetch(key->vault->ctx, what->digest_name, "provider=default");
	ok = ctx != NULL && digest != NULL && EVP_PKEY_sign_init(ctx) == 1 && set_padding(key, ctx,
	    what->padding) &&
	     EVP_PKEY_CTX_set_signature_md(ctx, digest) == 1 &&
	     EVP_PKEY_sign(ctx, signature, len, what->hash, what->hash_len) == 1;
	if (!ok)
		error_set(err, "the key does not sign (%s)", take_reason(reason));
	else if (!verifies(key, what, signature, *len))
		ok = error_set(err, "what it signs does not verify%s", what->padding == RSA_PKCS1_PSS_PADDING
			? ": some TPMs make RSA-PSS signatures with a salt that TLS does not take; use an EC "
			    "key, or tls_max = 1.2" : "");
	EVP_MD_free(digest);
	EVP_PKEY_CTX_free(ctx);
	return ok;
}

bool vault_tpm_in_use(void)
{
	bool used;

	pthread_mutex_lock(&lock);
	used = TPM2->keys != NULL;
	pthread_mutex_unlock(&lock);
	return used;
}

/*
 * Once more, with all opened anew: the device may have come back as another one, and what was open of the old
 * one is of no use.  Other keys are fetched again when they are asked.
 */
static bool sign_again(struct vault_key *key, const struct vault_signing *what, unsigned char *signature,
    size_t *len, struct error *err)
{
	vault_close(key->vault);
	if (sign_once(key, what, signature, len, err))
		return true;
	EVP_PKEY_free(key->real);
	key->real = NULL;
	key->fault = *err;
	key->rest_until_ns = now_ns() + REST_NS;
	return false;
}

/*
 * A key that never signed is not asked twice: it may have the wrong passphrase, and devices count such
 * attempts.
 */
bool vault_key_sign(struct vault_key *key, const struct vault_signing *what, unsigned char *signature,
    size_t *len, struct error *err)
{
	size_t room = *len;
	bool ok;

	pthread_mutex_lock(&lock);
	if (now_ns() < key->rest_until_ns) {
		ok = error_set(err, "%s", key->fault.text);
	} else {
		ok = sign_once(key, what, signature, len, err);
		if (!ok && key->proven) {
			*len = room;
			ok = sign_again(key, what, signature, len, err);
		}
		key->proven = key->proven || ok;
	}
	pthread_mutex_unlock(&lock);
	return ok;
}
