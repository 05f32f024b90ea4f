/*
 * bundle_order: finds the leaf that the key belongs to, and the chain above it.
 *
 * It puts in order what is there; whether anybody trusts the result is not judged.
 */
#include "tls/bundle.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define NAME_TEXT_BYTES 256
#define FILE_TEXT_BYTES 256
#define KEY_ID_TEXT_BYTES (2 * 8 + 1)
#define NOT_REACHED UINT_MAX

/* The first bytes of SHA-256 over the public key: enough for a person to tell two keys apart. */
static const char *key_id_text(EVP_PKEY *key, char buf[KEY_ID_TEXT_BYTES])
{
	unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
	unsigned digest_len = 0;
	int len = key == NULL ? -1 : i2d_PUBKEY(key, &der);
	size_t i;

	snprintf(buf, KEY_ID_TEXT_BYTES, "unknown");
	if (len > 0 && EVP_Digest(der, (size_t)len, digest, &digest_len, EVP_sha256(), NULL))
		for (i = 0; i < 8 && i < digest_len; i++)
			snprintf(buf + 2 * i, 3, "%02x", digest[i]);
	OPENSSL_free(der);
	ERR_clear_error();
	return buf;
}

static bool is_valid_now(const X509 *cert)
{
	long long left, since;

	return bundle_validity(cert, &left, &since) && left >= 0 && since >= 0;
}

/* After a renewal with the same key both certificates may be in the file: one that is valid wins, then the
 * newer. */
static bool is_better_leaf(const X509 *cert, const X509 *than)
{
	bool valid = is_valid_now(cert), than_valid = is_valid_now(than);
	long long left, since, than_left, than_since;

	if (valid != than_valid)
		return valid;
	if (!bundle_validity(cert, &left, &since) || !bundle_validity(than, &than_left, &than_since))
		return false;
	return left > than_left;
}

static X509 *find_leaf(const struct bundle *bundle)
{
	X509 *best = NULL;
	int i;

	for (i = 0; i < sk_X509_num(bundle->certs); i++) {
		X509 *cert = sk_X509_value(bundle->certs, i);

		if (X509_check_private_key(cert, bundle->key) == 1 &&
		    (best == NULL || is_better_leaf(cert, best)))
			best = cert;
	}
	ERR_clear_error();
	return best;
}

static bool refuse_mismatch(const struct bundle *bundle, struct error *err)
{
	char name[NAME_TEXT_BYTES], file[FILE_TEXT_BYTES], key_id[KEY_ID_TEXT_BYTES],
	    cert_id[KEY_ID_TEXT_BYTES];
	X509 *shown = sk_X509_value(bundle->certs, 0);
	int i;

	for (i = sk_X509_num(bundle->certs) - 1; i >= 0; i--)
		if (X509_check_ca(sk_X509_value(bundle->certs, i)) == 0)
			shown = sk_X509_value(bundle->certs, i);
	bundle_name_text(X509_get_subject_name(shown), name, sizeof(name));
	key_id_text(bundle->key, key_id);
	key_id_text(X509_get0_pubkey(shown), cert_id);
	ERR_clear_error();
	return error_set(err,
	    "the private key in %s (public key SHA-256 %s...) belongs to none of the %d certificates; "
	    "%s has public key SHA-256 %s...",
	    text_escape(bundle->key_file, strlen(bundle->key_file), file, sizeof(file)), key_id,
	    sk_X509_num(bundle->certs), name, cert_id);
}

static bool is_issued_by(X509 *cert, X509 *issuer)
{
	EVP_PKEY *key = X509_get0_pubkey(issuer);
	bool ok;

	/* Name, key identifier and key usage; then the signature, since names and identifiers are only
	 * claims. */
	ok = key != NULL && X509_check_issued(issuer, cert) == X509_V_OK && X509_verify(cert, key) == 1;
	ERR_clear_error();
	return ok;
}

/*
 * For each certificate the steps to a self-signed one, NOT_REACHED where there is none.  Cross-signed
 * duplicates make the issuers a graph, with cycles; a breadth-first walk down from the roots finds the
 * shortest way up.
 */
static unsigned *steps_to_root(STACK_OF(X509) *certs)
{
	int count = sk_X509_num(certs), i, j;
	unsigned *steps = mem_calloc((size_t)count, sizeof(*steps)), step;
	bool more = true;

	for (i = 0; i < count; i++)
		steps[i] = X509_self_signed(sk_X509_value(certs, i), 1) == 1 ? 0 : NOT_REACHED;
	ERR_clear_error();
	for (step = 0; more; step++) {
		more = false;
		for (i = 0; i < count; i++) {
			for (j = 0; steps[i] == step && j < count; j++) {
				if (steps[j] == NOT_REACHED &&
				    is_issued_by(sk_X509_value(certs, j), sk_X509_value(certs, i))) {
					steps[j] = step + 1;
					more = true;
				}
			}
		}
	}
	return steps;
}

/*
 * Valid beats expired, which fails everywhere; then what leads to a root, by the shorter way (NOT_REACHED is
 * the longest of all); among equals the first in the file.
 */
static bool is_better_issuer(STACK_OF(X509) *certs, const unsigned *steps, int i, int than)
{
	bool valid = is_valid_now(sk_X509_value(certs, i)),
	     than_valid = is_valid_now(sk_X509_value(certs, than));

	if (valid != than_valid)
		return valid;
	return steps[i] < steps[than];
}

static int find_issuer(STACK_OF(X509) *certs, const unsigned *steps, const bool *used, X509 *cert)
{
	int best = -1, i;

	for (i = 0; i < sk_X509_num(certs); i++) {
		if (!used[i] && is_issued_by(cert, sk_X509_value(certs, i)) &&
		    (best < 0 || is_better_issuer(certs, steps, i, best)))
			best = i;
	}
	return best;
}

/* Fills the chain above the leaf. */
static bool build_chain(STACK_OF(X509) *certs, X509 *leaf, STACK_OF(X509) * chain)
{
	unsigned *steps = steps_to_root(certs);
	bool *used = mem_calloc((size_t)sk_X509_num(certs), sizeof(*used)), ok = true;
	int at = sk_X509_find(certs, leaf);
	X509 *cert = leaf;

	while (ok && at >= 0 && steps[at] != 0) {
		used[at] = true;
		at = find_issuer(certs, steps, used, cert);
		if (at >= 0) {
			cert = sk_X509_value(certs, at);
			ok = sk_X509_push(chain, cert) > 0;
		}
	}
	free(steps);
	free(used);
	return ok;
}

STACK_OF(X509) *bundle_chain(STACK_OF(X509) *certs, X509 *leaf)
{
	STACK_OF(X509) *chain = sk_X509_new_null();

	if (chain != NULL && !build_chain(certs, leaf, chain)) {
		sk_X509_free(chain);
		chain = NULL;
	}
	return chain;
}

bool bundle_order(
    const struct bundle *bundle, X509 **leaf, STACK_OF(X509) **chain, size_t *left_out, struct error *err)
{
	STACK_OF(X509) *above;
	X509 *found;

	if (sk_X509_num(bundle->certs) <= 0)
		return error_set(err, "there is no certificate%s%s",
		    bundle->key == NULL ? "" : ", only the private key in ",
		    bundle->key == NULL ? "" : bundle->key_file);
	if (bundle->key == NULL)
		return error_set(err, "there is no private key, only %d certificate%s",
		    sk_X509_num(bundle->certs), sk_X509_num(bundle->certs) == 1 ? "" : "s");
	found = find_leaf(bundle);
	if (found == NULL)
		return refuse_mismatch(bundle, err);
	above = bundle_chain(bundle->certs, found);
	if (above == NULL)
		return error_set(err, "out of memory");
	*leaf = found;
	*chain = above;
	if (left_out != NULL)
		*left_out = (size_t)sk_X509_num(bundle->certs) - 1 - (size_t)sk_X509_num(above);
	return true;
}
