/*
 * provider_vault: counts keys, has them sign, and does so again when a device has come back.  How a provider is opened
 * and a key fetched is provider_device.c's business, how TLS gets to use such a key provider_key.c's.
 */
#include "tls/provider_vault.h"

#include <openssl/err.h>
#include <openssl/rsa.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/mem.h"
#include "tls/provider_device.h"

#define REST_NS 1000000000LL

/* A provider, and all keys behind it. */
struct vault {
	struct provider_device device;
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
    {.device = {.provider = "tpm2", .query = "?provider=tpm2",
	.install = "tpm2-openssl (Debian, Ubuntu and Fedora have a package of that name)"}},
    {.device = {.provider = "pkcs11", .query = "?provider=pkcs11",
	.install = "pkcs11-provider (Debian from 13 on and Fedora have a package of that name)"}},
    {.device = {.provider = NULL}},
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

/* Keys of a provider end before it does. */
static void vault_close(struct vault *vault)
{
	struct vault_key *key;

	for (key = vault->keys; key != NULL; key = key->next) {
		EVP_PKEY_free(key->real);
		key->real = NULL;
	}
	provider_device_close(&vault->device);
}

/* Under the lock.  A key that came back as another is no key. */
static bool fetch(struct vault_key *key, struct error *err)
{
	const struct vault_source source = {key->uri, key->der, key->der_len, key->passphrase};
	EVP_PKEY *found, *public;

	if (key->real != NULL)
		return true;
	found = provider_device_fetch(&key->vault->device, &source, err);
	if (found == NULL)
		return false;
	public = provider_device_public(found);
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
	const struct provider_device *device = &key->vault->device;
	EVP_PKEY_CTX *ctx;
	EVP_MD *digest;
	char reason[PROVIDER_REASON_BYTES];
	bool ok;

	if (!fetch(key, err))
		return false;
	ERR_clear_error();
	ctx = EVP_PKEY_CTX_new_from_pkey(device->ctx, key->real, device->query);
	digest = EVP_MD_fetch(device->ctx, what->digest_name, "provider=default");
	ok = ctx != NULL && digest != NULL && EVP_PKEY_sign_init(ctx) == 1 && set_padding(key, ctx,
	    what->padding) &&
	     EVP_PKEY_CTX_set_signature_md(ctx, digest) == 1 &&
	     EVP_PKEY_sign(ctx, signature, len, what->hash, what->hash_len) == 1;
	if (!ok)
		error_set(err, "the key does not sign (%s)", provider_device_reason(reason));
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
