/*
 * bundle_arrange: finds leaf, chain and purpose in whatever is there, with a key or without.  bundle_order()
 * does it for those who cannot go on without a key.
 */
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include "tls/bundle_findings.h"

static bool issued_another(STACK_OF(X509) *certs, X509 *cert)
{
	int i;

	for (i = 0; i < sk_X509_num(certs); i++)
		if (sk_X509_value(certs, i) != cert &&
		    X509_check_issued(cert, sk_X509_value(certs, i)) == X509_V_OK)
			return true;
	return false;
}

static X509 *guess_leaf(STACK_OF(X509) *certs)
{
	X509 *best = NULL;
	int i;

	for (i = 0; i < sk_X509_num(certs); i++)
		if (X509_check_ca(sk_X509_value(certs, i)) == 0)
			return sk_X509_value(certs, i);
	for (i = 0; best == NULL && i < sk_X509_num(certs); i++)
		if (!issued_another(certs, sk_X509_value(certs, i)))
			best = sk_X509_value(certs, i);
	return best != NULL ? best : sk_X509_value(certs, 0);
}

enum bundle_purpose bundle_purpose_of(const struct bundle *bundle)
{
	X509 *leaf;

	if (bundle->key != NULL || sk_X509_num(bundle->certs) <= 0)
		return BUNDLE_PURPOSE_CLIENT;
	leaf = guess_leaf(bundle->certs);
	if (X509_check_ca(leaf) > 0)
		return BUNDLE_PURPOSE_CA;
	if ((X509_get_extension_flags(leaf) & EXFLAG_XKUSAGE) != 0 &&
	    (X509_get_extended_key_usage(leaf) & XKU_SSL_SERVER) != 0)
		return BUNDLE_PURPOSE_SERVER;
	return BUNDLE_PURPOSE_CLIENT;
}

static void fill(const struct bundle *bundle, X509 *leaf, struct bundle_arranged *arranged)
{
	int i;

	arranged->leaf = leaf;
	arranged->left_out = sk_X509_new_null();
	for (i = 0; i < sk_X509_num(bundle->certs); i++) {
		X509 *cert = sk_X509_value(bundle->certs, i);

		if (cert != leaf && sk_X509_find(arranged->chain, cert) < 0)
			(void)sk_X509_push(arranged->left_out, cert);
	}
}

void bundle_arrange(const struct bundle *bundle, struct bundle_arranged *arranged)
{
	struct error err;
	X509 *leaf = NULL;

	*arranged = (struct bundle_arranged){0};
	if (bundle->key != NULL) {
		if (!bundle_order(bundle, &leaf, &arranged->chain, NULL, &err))
			leaf = NULL;
	} else if (sk_X509_num(bundle->certs) > 0) {
		leaf = guess_leaf(bundle->certs);
		arranged->chain = bundle_chain(bundle->certs, leaf);
	}
	fill(bundle, leaf, arranged);
	ERR_clear_error();
}

void bundle_arranged_clear(struct bundle_arranged *arranged)
{
	sk_X509_free(arranged->chain);
	sk_X509_free(arranged->left_out);
	*arranged = (struct bundle_arranged){0};
}
