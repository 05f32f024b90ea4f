/*
 * Proves that a chain which comes again is verified without its signatures, and that nothing else is taken for granted
 * with it: not a byte of it, not its time, not its name, not its anchor.
 *
 * OpenSSL's own function calls the verify call-back for each certificate that it finds in order: that is counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/x509v3.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <time.h>

#include "pki.h"
#include "tls/chain_memory.h"

#define DAY_S (24 * 3600L)

static _Thread_local unsigned looked_at; /* certificates whose signature and time were looked at by OpenSSL */

struct rig {
	EVP_PKEY *root_key, *inter_key, *leaf_key;
	X509 *root, *inter, *leaf;
	STACK_OF(X509) *sent; /* behind the leaf */
	X509_STORE *store;
};

static X509_STORE *new_store(X509 *anchor)
{
	X509_STORE *store = X509_STORE_new();

	chain_memory_attach(store);
	if (anchor != NULL)
		assert_int_equal(X509_STORE_add_cert(store, anchor), 1);
	return store;
}

static X509 *new_leaf(const struct rig *rig, const char *name)
{
	return pki_cert(&(struct pki_cert){.cn = name, .key = rig->leaf_key, .issuer_cn = "Inter", .issuer_key =
	    rig->inter_key, .eku = "serverAuth", .starts_s = -DAY_S, .ends_s = 10 * DAY_S});
}

static int set_up(void **state)
{
	static struct rig rig;

	rig.root_key = pki_key("p256");
	rig.inter_key = pki_key("p256");
	rig.leaf_key = pki_key("p256");
	rig.root = pki_cert(&(struct pki_cert){.cn = "Root", .key = rig.root_key, .ca = true, .starts_s = -DAY_S,
	    .ends_s = 100 * DAY_S});
	rig.inter = pki_cert(&(struct pki_cert){.cn = "Inter", .key = rig.inter_key, .issuer_cn = "Root",
	    .issuer_key = rig.root_key, .ca = true, .starts_s = -DAY_S, .ends_s = 5 * DAY_S});
	rig.leaf = new_leaf(&rig, "server.test");
	rig.sent = sk_X509_new_null();
	sk_X509_push(rig.sent, rig.inter);
	rig.store = new_store(rig.root);
	*state = &rig;
	return 0;
}

static int tear_down(void **state)
{
	struct rig *rig = *state;

	X509_STORE_free(rig->store);
	sk_X509_free(rig->sent);
	X509_free(rig->leaf);
	X509_free(rig->inter);
	X509_free(rig->root);
	EVP_PKEY_free(rig->leaf_key);
	EVP_PKEY_free(rig->inter_key);
	EVP_PKEY_free(rig->root_key);
	return 0;
}

static int on_each(int ok, X509_STORE_CTX *ctx)
{
	looked_at += ok == 1;
	return ok;
}

struct demand {
	X509_STORE *store;
	X509 *leaf;
	long at_s;        /* from now */
	const char *host; /* NULL: none */
	bool excuse;      /* the call-back lets everything pass */
};

static int excuse_all(int ok, X509_STORE_CTX *ctx)
{
	return 1;
}

/* X509_V_OK, or what is wrong. */
static int verify(const struct rig *rig, const struct demand *demand)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	X509_VERIFY_PARAM *param;
	int error;

	assert_int_equal(X509_STORE_CTX_init(ctx, demand->store, demand->leaf, rig->sent), 1);
	X509_STORE_CTX_set_verify_cb(ctx, demand->excuse ? excuse_all : on_each);
	param = X509_STORE_CTX_get0_param(ctx);
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
	if (demand->at_s != 0)
		X509_VERIFY_PARAM_set_time(param, time(NULL) + demand->at_s);
	if (demand->host != NULL)
		X509_VERIFY_PARAM_set1_host(param, demand->host, 0);
	looked_at = 0;
	error = X509_verify_cert(ctx) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(ctx);
	X509_STORE_CTX_free(ctx);
	return error;
}

static void test_once(void **state)
{
	const struct rig *rig = *state;
	const struct demand plain = {.store = rig->store, .leaf = rig->leaf};

	assert_int_equal(verify(rig, &plain), X509_V_OK);
	assert_int_equal(looked_at, 3);
	assert_int_equal(verify(rig, &plain), X509_V_OK);
	assert_int_equal(looked_at, 0);
}

static void test_each_byte_counts(void **state)
{
	const struct rig *rig = *state;
	struct demand demand = {.store = rig->store, .leaf = rig->leaf};
	unsigned char *der = NULL;
	const unsigned char *at;
	int len = i2d_X509(rig->leaf, &der);

	assert_int_equal(verify(rig, &demand), X509_V_OK);
	/* The last byte is the signature's. */
	der[len - 1] ^= 1;
	at = der;
	demand.leaf = d2i_X509(NULL, &at, len);
	assert_non_null(demand.leaf);
	assert_int_equal(verify(rig, &demand), X509_V_ERR_CERT_SIGNATURE_FAILURE);
	assert_int_equal(verify(rig, &demand), X509_V_ERR_CERT_SIGNATURE_FAILURE);
	X509_free(demand.leaf);
	OPENSSL_free(der);
}

static void test_time_is_looked_at_each_time(void **state)
{
	const struct rig *rig = *state;
	struct demand demand = {.store = rig->store, .leaf = rig->leaf};

	assert_int_equal(verify(rig, &demand), X509_V_OK);
	demand.at_s = 6 * DAY_S; /* the intermediate has expired, the leaf has not */
	assert_int_equal(verify(rig, &demand), X509_V_ERR_CERT_HAS_EXPIRED);
	demand.at_s = -2 * DAY_S;
	assert_int_equal(verify(rig, &demand), X509_V_ERR_CERT_NOT_YET_VALID);
	demand.at_s = 4 * DAY_S;
	assert_int_equal(verify(rig, &demand), X509_V_OK);
	assert_int_equal(looked_at, 0);
}

static void test_name_is_looked_at_each_time(void **state)
{
	const struct rig *rig = *state;
	struct demand demand = {.store = rig->store, .leaf = rig->leaf, .host = "server.test"};

	assert_int_equal(verify(rig, &demand), X509_V_OK);
	demand.host = "other.test";
	assert_int_equal(verify(rig, &demand), X509_V_ERR_HOSTNAME_MISMATCH);
}

static void test_each_store_for_itself(void **state)
{
	const struct rig *rig = *state;
	struct demand demand = {.store = rig->store, .leaf = rig->leaf};

	assert_int_equal(verify(rig, &demand), X509_V_OK);
	demand.store = new_store(NULL);
	assert_int_equal(verify(rig, &demand), X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY);
	assert_int_equal(X509_STORE_add_cert(demand.store, rig->root), 1);
	assert_int_equal(verify(rig, &demand), X509_V_OK);
	assert_int_equal(looked_at, 3);
	X509_STORE_free(demand.store);
}

/* What a call-back let pass was not found in order. */
static void test_what_was_excused_is_not_known(void **state)
{
	const struct rig *rig = *state;
	struct demand demand = {.store = new_store(rig->root), .leaf = rig->leaf, .excuse = true, .at_s = 6 * DAY_S};

	assert_int_equal(verify(rig, &demand), X509_V_OK);
	demand.excuse = false;
	demand.at_s = 0;
	assert_int_equal(verify(rig, &demand), X509_V_OK);
	assert_int_equal(looked_at, 3);
	X509_STORE_free(demand.store);
}

static void test_bounded(void **state)
{
	const struct rig *rig = *state;
	struct demand demand = {.store = new_store(rig->root), .leaf = rig->leaf};
	X509 *others[CHAIN_MEMORY_CHAINS];
	size_t i;

	assert_int_equal(verify(rig, &demand), X509_V_OK);
	for (i = 0; i < CHAIN_MEMORY_CHAINS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "server%zu.test", i);
		demand.leaf = others[i] = new_leaf(rig, name);
		assert_int_equal(verify(rig, &demand), X509_V_OK);
		assert_int_equal(looked_at, 3);
	}
	for (i = 0; i < CHAIN_MEMORY_CHAINS; i++) {
		demand.leaf = others[i];
		assert_int_equal(verify(rig, &demand), X509_V_OK);
		assert_int_equal(looked_at, 0);
		X509_free(others[i]);
	}
	demand.leaf = rig->leaf;
	assert_int_equal(verify(rig, &demand), X509_V_OK);
	assert_int_equal(looked_at, 3);
	X509_STORE_free(demand.store);
}

static void *verify_often(void *arg)
{
	const struct rig *rig = arg;
	const struct demand demand = {.store = rig->store, .leaf = rig->leaf};
	intptr_t wrong = 0;
	int i;

	for (i = 0; i < 50; i++)
		wrong += verify(rig, &demand) != X509_V_OK;
	return (void *)wrong;
}

static void test_threads(void **state)
{
	struct rig rig = *(struct rig *)*state;
	pthread_t threads[4];
	void *wrong;
	size_t i;

	rig.store = new_store(rig.root);
	for (i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, verify_often, &rig), 0);
	for (i = 0; i < 4; i++) {
		pthread_join(threads[i], &wrong);
		assert_null(wrong);
	}
	X509_STORE_free(rig.store);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_once),
	    cmocka_unit_test(test_each_byte_counts),
	    cmocka_unit_test(test_time_is_looked_at_each_time),
	    cmocka_unit_test(test_name_is_looked_at_each_time),
	    cmocka_unit_test(test_each_store_for_itself),
	    cmocka_unit_test(test_what_was_excused_is_not_known),
	    cmocka_unit_test(test_bounded),
	    cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
