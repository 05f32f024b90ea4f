/*
 * Feeds bytes as a bundle file: whatever they are, reading, ordering and judging end, and a fault has a sentence.  With
 * FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION the bound for deriving keys is low, and the MAC of a PFX is not asked.
 */
#include <openssl/x509.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/secret.h"
#include "tls/bundle.h"
#include "tls/bundle_report.h"

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
		const char *text = report->findings.items[i].text;

		midrelay_assert(*text != '\0' && *report->findings.items[i].remedy != '\0');
		for (; *text != '\0'; text++)
			midrelay_assert(*text >= 0x20 && *text <= 0x7e);
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
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct secret *passphrase;

	read_once(data, size, NULL);
	passphrase = secret_new("fuzz", 4);
	read_once(data, size, passphrase);
	secret_free(passphrase);
	return 0;
}
