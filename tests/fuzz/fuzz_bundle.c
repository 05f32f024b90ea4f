/*
 * Feeds bytes as a bundle file, as a file of trust and as one of revocation lists: whatever they are,
 * reading, ordering and judging end, and a fault has a sentence.  With
 * FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION the bound for deriving keys is low, and the MAC of a PFX is not
 * asked.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/secret.h"
#include "memory_file.h"
#include "printable.h"
#include "tls/bundle.h"
#include "tls/bundle_report.h"
#include "tls/revocation.h"
#include "tls/trust.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Whatever was read can be shown and judged, in printable ASCII. */
static void show(const struct bundle *bundle)
{
	struct bundle_report *report = bundle_report_new(bundle);
	size_t i;

	midrelay_assert(report->cert_count == (size_t)sk_X509_num(bundle->certs));
	for (i = 0; i < report->cert_count; i++)
		midrelay_assert(*report->certs[i].origin != '\0' && *report->certs[i].sha256 != '\0');
	for (i = 0; i < report->findings.count; i++) {
		assert_printable_text(report->findings.items[i].text, SIZE_MAX);
		assert_printable_text(report->findings.items[i].remedy, SIZE_MAX);
	}
	bundle_report_free(report);
}

static void read_once(const uint8_t *data, size_t size, const struct secret *passphrase)
{
	struct bundle *bundle = bundle_new();
	STACK_OF(X509) *chain = NULL;
	struct error err = {""};
	X509 *leaf = NULL;
	size_t left_out;

	if (!bundle_add_bytes(bundle, "fuzz", data, size, passphrase, &err)) {
		midrelay_assert(err.text[0] != '\0');
		midrelay_assert(sk_X509_num(bundle->certs) == 0 && bundle->key == NULL);
	} else {
		show(bundle);
		if (bundle_order(bundle, &leaf, &chain, &left_out, &err))
			midrelay_assert(leaf != NULL &&
					sk_X509_num(chain) + 1 + (int)left_out == sk_X509_num(bundle->certs));
		else
			midrelay_assert(err.text[0] != '\0');
	}
	sk_X509_free(chain);
	bundle_free(bundle);
	midrelay_assert(ERR_peek_error() == 0);
}

static void on_note(void *arg, const char *key, const char *text)
{
	assert_printable_text(text, SIZE_MAX);
}

/* Anchors and lists, each into a store of its own. */
static void load(const uint8_t *data, size_t size)
{
	static struct memory_file file;
	static SSL_CTX *ctx;
	struct error err = {""};

	if (ctx == NULL)
		ctx = SSL_CTX_new(TLS_client_method());
	memory_file_write(&file, data, size);
	SSL_CTX_set_cert_store(ctx, X509_STORE_new());
	if (!revocation_load_crl(ctx, file.path, on_note, NULL, &err))
		assert_printable_text(err.text, sizeof(err.text));
	SSL_CTX_set_cert_store(ctx, X509_STORE_new());
	err.text[0] = '\0';
	if (!trust_load(ctx, file.path, on_note, NULL, &err))
		assert_printable_text(err.text, sizeof(err.text));
	midrelay_assert(ERR_peek_error() == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct secret *passphrase;

	read_once(data, size, NULL);
	passphrase = secret_new("fuzz", 4);
	read_once(data, size, passphrase);
	secret_free(passphrase);
	load(data, size);
	return 0;
}
