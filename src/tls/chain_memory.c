/*
 * chain_memory: see chain_memory.h.
 *
 * Answers for OpenSSL's place for this, the "chain verification function" of a store (X509_STORE_set_verify(3)): it is
 * called when the chain is built and has passed all that does not need arithmetic, for signatures and times.
 */
#include "tls/chain_memory.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define HASH_BYTES 32

struct chain_memory {
	X509_STORE_CTX_verify_fn verify; /* OpenSSL's own */
	EVP_MD *sha256;
	pthread_mutex_t lock; /* over what follows */
	unsigned char known[CHAIN_MEMORY_CHAINS][HASH_BYTES];
	size_t count; /* of all that ever were known; the next takes the place of the oldest */
};

static pthread_once_t once = PTHREAD_ONCE_INIT;
static int store_index = -1;

static void free_memory(void *parent, void *ptr, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
	struct chain_memory *memory = ptr;

	if (memory == NULL)
		return;
	EVP_MD_free(memory->sha256);
	pthread_mutex_destroy(&memory->lock);
	free(memory);
}

static void get_index(void)
{
	store_index = CRYPTO_get_ex_new_index(CRYPTO_EX_INDEX_X509_STORE, 0, NULL, NULL, NULL, free_memory);
}

/* What decides about signatures: every byte of every certificate, and the flags, but for the one that names a time. */
static bool hash_chain(
    const struct chain_memory *memory, X509_STORE_CTX *ctx, STACK_OF(X509) *chain, unsigned char hash[HASH_BYTES])
{
	unsigned long flags =
	    X509_VERIFY_PARAM_get_flags(X509_STORE_CTX_get0_param(ctx)) & ~(unsigned long)X509_V_FLAG_USE_CHECK_TIME;
	EVP_MD_CTX *digest = EVP_MD_CTX_new();
	unsigned char cert[EVP_MAX_MD_SIZE];
	unsigned len;
	bool ok;
	int i;

	ok = digest != NULL && EVP_DigestInit_ex2(digest, memory->sha256, NULL) == 1 &&
	     EVP_DigestUpdate(digest, &flags, sizeof(flags)) == 1;
	for (i = 0; ok && i < sk_X509_num(chain); i++)
		ok = X509_digest(sk_X509_value(chain, i), memory->sha256, cert, &len) == 1 &&
		     EVP_DigestUpdate(digest, cert, len) == 1;
	ok = ok && EVP_DigestFinal_ex(digest, hash, NULL) == 1;
	EVP_MD_CTX_free(digest);
	return ok;
}

static bool is_known(struct chain_memory *memory, const unsigned char hash[HASH_BYTES])
{
	size_t i;
	bool found = false;

	pthread_mutex_lock(&memory->lock);
	for (i = 0; !found && i < memory->count && i < CHAIN_MEMORY_CHAINS; i++)
		found = memcmp(memory->known[i], hash, HASH_BYTES) == 0;
	pthread_mutex_unlock(&memory->lock);
	return found;
}

static void remember(struct chain_memory *memory, const unsigned char hash[HASH_BYTES])
{
	pthread_mutex_lock(&memory->lock);
	memcpy(memory->known[memory->count++ % CHAIN_MEMORY_CHAINS], hash, HASH_BYTES);
	pthread_mutex_unlock(&memory->lock);
}

/* That the times can be read at all, OpenSSL found when the chain became known. */
static bool is_its_time(X509_STORE_CTX *ctx, STACK_OF(X509) *chain)
{
	const X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	int i;

	for (i = 0; i < sk_X509_num(chain); i++) {
		const X509 *cert = sk_X509_value(chain, i);

		if (X509_cmp_timeframe(param, X509_get0_notBefore(cert), X509_get0_notAfter(cert)) != 0)
			return false;
	}
	return true;
}

static int on_verify_chain(X509_STORE_CTX *ctx)
{
	struct chain_memory *memory = X509_STORE_get_ex_data(X509_STORE_CTX_get0_store(ctx), store_index);
	STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(ctx);
	unsigned char hash[HASH_BYTES];
	bool hashed = hash_chain(memory, ctx, chain, hash);
	int ok;

	/* A chain that is out of its time goes OpenSSL's way, which has the words for it. */
	if (hashed && is_known(memory, hash) && is_its_time(ctx, chain))
		return 1;
	ok = memory->verify(ctx);
	if (ok == 1 && hashed && X509_STORE_CTX_get_error(ctx) == X509_V_OK)
		remember(memory, hash);
	return ok;
}

/* OpenSSL has no name for it; an X509_STORE_CTX of no store has it. */
static X509_STORE_CTX_verify_fn openssl_verify(void)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_STORE_CTX_verify_fn verify = NULL;

	if (ctx != NULL && X509_STORE_CTX_init(ctx, NULL, NULL, NULL) == 1)
		verify = X509_STORE_CTX_get_verify(ctx);
	X509_STORE_CTX_free(ctx);
	return verify;
}

void chain_memory_attach(X509_STORE *store)
{
	struct chain_memory *memory = mem_calloc(1, sizeof(*memory));

	pthread_once(&once, get_index);
	pthread_mutex_init(&memory->lock, NULL);
	memory->verify = openssl_verify();
	memory->sha256 = EVP_MD_fetch(NULL, "SHA2-256", NULL);
	if (memory->verify == NULL || memory->sha256 == NULL || store_index < 0 ||
	    X509_STORE_set_ex_data(store, store_index, memory) != 1) {
		/* It goes without. */
		free_memory(store, memory, NULL, 0, 0, NULL);
		ERR_clear_error();
		return;
	}
	X509_STORE_set_verify(store, on_verify_chain);
}
