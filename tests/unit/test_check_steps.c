/* Proves what `check` notes of the client's certificates once a server has taken them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "check/check_steps.h"
#include "pki.h"

#define DAY_S (24L * 60 * 60)

/* A bundle whose intermediate ends so many seconds from now. */
static char *write_bundle(const char *dir, long ends_s)
{
	EVP_PKEY *root_key = pki_key("p256"), *ca_key = pki_key("p256"), *key = pki_key("p256");
	X509 *root = pki_cert(&(struct pki_cert){.cn = "Root", .key = root_key, .ca = true});
	X509 *ca = pki_cert(&(struct pki_cert){.cn = "Middle", .key = ca_key, .issuer_cn = "Root",
	    .issuer_key = root_key, .ca = true, .starts_s = -60 * DAY_S, .ends_s = ends_s});
	X509 *leaf = pki_cert(&(struct pki_cert){.cn = "mid", .key = key, .issuer_cn = "Middle",
	    .issuer_key = ca_key, .eku = "clientAuth"});
	struct pki_text text = {0};
	char *file;

	pki_text_add_cert(&text, leaf);
	pki_text_add_cert(&text, ca);
	pki_text_add_cert(&text, root);
	pki_text_add_key(&text, key, PKI_PKCS8, NULL);
	file = pki_dir_write_text(dir, "bundle.pem", &text, 0600);
	pki_text_free(&text);
	X509_free(leaf);
	X509_free(ca);
	X509_free(root);
	EVP_PKEY_free(key);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(root_key);
	return file;
}

/* The note of a path over which such a bundle was accepted. */
static void note_of(long ends_s, char note[CHECK_TEXT_BYTES])
{
	char *dir = pki_dir_new(), *file = write_bundle(dir, ends_s);
	struct config config = {.process = {.expiry_warning_ms = 30 * DAY_S * 1000}};
	struct relay_set set = {.config = &config};
	struct config_relay relay = {0};
	struct identity_params params = {
	    .bundle_file = file, .tls_min = TLS1_2_VERSION, .tls_max = TLS1_3_VERSION, .ciphers = "DEFAULT"};
	struct identity_faults faults = {0};
	struct relay_route route = {.set = &set, .config = &relay};
	struct check_path path = {.steps = {[CHECK_CERT] = {.outcome = CHECK_UNDER_WAY}}};

	route.identity = identity_new(&params, NULL, NULL, &faults);
	assert_non_null(route.identity);
	check_steps_proven(&path, &route, true, "accepted");
	assert_int_equal(path.note_count, 1);
	assert_int_equal(path.steps[CHECK_CERT].outcome, CHECK_WARNED);
	memcpy(note, path.notes[0], CHECK_TEXT_BYTES);
	identity_unref(route.identity);
	free(file);
	pki_dir_remove(dir);
}

static void test_an_intermediate_that_ends_soon(void **state)
{
	char note[CHECK_TEXT_BYTES];

	note_of(10 * DAY_S + 100, note);
	assert_non_null(strstr(note, "the client's certificate (intermediate) ends in 10 days, at 2"));
}

static void test_an_intermediate_that_has_ended(void **state)
{
	char note[CHECK_TEXT_BYTES];

	note_of(-3 * DAY_S, note);
	assert_non_null(strstr(note, "the client's certificate (intermediate) ended at 2"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_an_intermediate_that_ends_soon),
	    cmocka_unit_test(test_an_intermediate_that_has_ended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
