/* Proves that a sealed secret opens with any key it was sealed to and no other, and that damage is told from that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tls/seal.h"

static char directory[64];

static int set_up(void **state)
{
	snprintf(directory, sizeof(directory), "/tmp/midrelay-test-XXXXXX");
	return mkdtemp(directory) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	return rmdir(directory);
}

static X509 *self_signed(EVP_PKEY *key, const char *name)
{
	X509 *cert = X509_new();
	X509_NAME *subject = X509_get_subject_name(cert);

	X509_set_version(cert, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(cert), 7);
	X509_gmtime_adj(X509_getm_notBefore(cert), 0);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_ASC, (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(cert, subject);
	X509_set_pubkey(cert, key);
	assert_true(X509_sign(cert, key, EVP_PKEY_is_a(key, "ED25519") ? NULL : EVP_sha256()) > 0);
	return cert;
}

static bool add(struct seal_recipients *to, EVP_PKEY *key, const char *name, struct error *err)
{
	X509 *cert = self_signed(key, name);
	char path[128];
	FILE *file;
	bool ok;

	snprintf(path, sizeof(path), "%s/cert.pem", directory);
	file = fopen(path, "w");
	assert_non_null(file);
	PEM_write_X509(file, cert);
	fclose(file);
	ok = seal_recipients_add_file(to, path, err);
	unlink(path);
	X509_free(cert);
	return ok;
}

static void assert_opens(const char *ref, EVP_PKEY *const *keys, size_t count, const char *expected)
{
	struct secret *secret = NULL;
	struct error err;

	if (!seal_open(ref, keys, count, &secret, &err))
		fail_msg("%s", err.text);
	assert_string_equal(secret_bytes(secret), expected);
	secret_free(secret);
}

static void assert_stays_shut(const char *ref, EVP_PKEY *const *keys, size_t count, const char *words)
{
	struct secret *secret = NULL;
	struct error err;

	assert_false(seal_open(ref, keys, count, &secret, &err));
	assert_null(secret);
	assert_non_null(strstr(err.text, words));
}

static void test_each_recipient_opens_and_nobody_else(void **state)
{
	EVP_PKEY *rsa = EVP_RSA_gen(2048), *ec = EVP_EC_gen("P-256"), *p384 = EVP_EC_gen("P-384");
	EVP_PKEY *other_rsa = EVP_RSA_gen(2048), *other_ec = EVP_EC_gen("P-256"), *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	EVP_PKEY *strangers[] = {other_rsa, other_ec, ed}, *last[] = {other_ec, ed, other_rsa, ec};
	struct seal_recipients *to = seal_recipients_new();
	struct secret *secret = secret_new("p\xc3\xa4ss word", 10);
	struct error err;
	char *ref;

	assert_true(add(to, rsa, "rsa", &err) && add(to, ec, "ec", &err) && add(to, p384, "p384", &err));
	assert_true(add(to, ec, "the same key under a renewed certificate", &err));
	assert_int_equal(seal_recipients_count(to), 3);
	ref = seal_make(secret, to, &err);
	assert_non_null(ref);
	assert_int_equal(strncmp(ref, "sealed:", 7), 0);
	assert_null(strpbrk(ref, " \n\r"));
	assert_opens(ref, &rsa, 1, "p\xc3\xa4ss word");
	assert_opens(ref, &ec, 1, "p\xc3\xa4ss word");
	assert_opens(ref, &p384, 1, "p\xc3\xa4ss word");
	assert_opens(ref, last, 4, "p\xc3\xa4ss word");
	assert_stays_shut(ref, strangers, 3, "none of the configured client keys");
	assert_stays_shut(ref, NULL, 0, "no client key");
	free(ref);
	secret_free(secret);
	seal_recipients_free(to);
	EVP_PKEY_free(rsa);
	EVP_PKEY_free(ec);
	EVP_PKEY_free(p384);
	EVP_PKEY_free(other_rsa);
	EVP_PKEY_free(other_ec);
	EVP_PKEY_free(ed);
}

static void test_a_key_that_only_signs_is_refused(void **state)
{
	EVP_PKEY *ed = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	struct seal_recipients *to = seal_recipients_new();
	struct error err;

	assert_false(add(to, ed, "edward", &err));
	assert_non_null(strstr(err.text, "CN=edward"));
	assert_non_null(strstr(err.text, "can only sign"));
	seal_recipients_free(to);
	EVP_PKEY_free(ed);
}

static void test_damage_is_told(void **state)
{
	EVP_PKEY *ec = EVP_EC_gen("P-256");
	struct seal_recipients *to = seal_recipients_new();
	struct secret *secret = secret_new("x", 1);
	struct error err;
	size_t len, i;
	char *ref;

	assert_true(add(to, ec, "ec", &err));
	ref = seal_make(secret, to, &err);
	assert_non_null(ref);
	len = strlen(ref);
	/* Any changed character keeps it shut: the message is authenticated, or no message at all. */
	for (i = 7; i < len; i += 13) {
		struct secret *opened = NULL;
		char kept = ref[i];

		ref[i] = kept == 'A' ? 'B' : 'A';
		if (seal_open(ref, &ec, 1, &opened, &err)) {
			/* The name of the recipient is no part of what is authenticated, and is not matched. */
			assert_string_equal(secret_bytes(opened), "x");
			secret_free(opened);
		}
		ref[i] = kept;
	}
	ref[len - 8] = '\0';
	assert_stays_shut(ref, &ec, 1, "damaged");
	assert_stays_shut("sealed:AAAA", &ec, 1, "damaged");
	assert_stays_shut("sealed:", &ec, 1, "damaged");
	assert_stays_shut("sealed:!!!!", &ec, 1, "damaged");
	free(ref);
	secret_free(secret);
	seal_recipients_free(to);
	EVP_PKEY_free(ec);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_recipient_opens_and_nobody_else),
	    cmocka_unit_test(test_a_key_that_only_signs_is_refused),
	    cmocka_unit_test(test_damage_is_told),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
