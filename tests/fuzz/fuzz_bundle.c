/* Feeds bytes as a bundle file: whatever they are, reading and ordering end, and a fault has a sentence. */
#include <openssl/x509.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"
#include "tls/bundle.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void show(const struct bundle *bundle)
{
	char text[128];
	long long left, since;
	int i;

	for (i = 0; i < sk_X509_num(bundle->certs); i++) {
		X509 *cert = sk_X509_value(bundle->certs, i);

		bundle_name_text(X509_get_subject_name(cert), text, sizeof(text));
		midrelay_assert(strlen(text) < sizeof(text));
		bundle_time_text(X509_get0_notAfter(cert), text, sizeof(text));
		(void)bundle_validity(cert, &left, &since);
	}
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
	static const char traditional[] = "DEK-Info:";
	struct secret *passphrase;

	read_once(data, size, NULL);
	/*
	 * With a passphrase only what derives the key in one step: PKCS#8 names its own iteration count, and
	 * a fuzzer finds large ones at once.
	 */
	if (size == 0 || memmem(data, size, traditional, strlen(traditional)) == NULL ||
	    memmem(data, size, "ENCRYPTED PRIVATE", 17) != NULL)
		return 0;
	passphrase = secret_new("fuzz", 4);
	read_once(data, size, passphrase);
	secret_free(passphrase);
	return 0;
}
