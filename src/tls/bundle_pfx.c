/*
 * bundle_pfx: walks a PFX: authenticated safes, their bags, and what is in those.
 *
 * Walked here and not by PKCS12_parse(), which takes the first key and drops a second one silently, cannot
 * tell a wrong passphrase from an unknown cipher, and pays any number of iterations that the file asks for.
 */
#include "tls/bundle_pfx.h"

#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs7.h>
#include <string.h>


#define MAX_DEPTH 4
#define IS_DAMAGED "is PKCS#12 (PFX), but damaged or cut short"

/* One walk. */
struct walk {
	const struct bundle_pfx_sink *sink;
	OSSL_LIB_CTX *ctx; /* NULL: the usual one */
	const char *pass;  /* NULL: none at all, which is not the same as an empty one (RFC 7292 B.1) */
	int pass_len;
	int64_t budget;
	unsigned entries;
	bool unsupported; /* it failed for want of a cipher */
	struct error *err;
};

bool bundle_pfx_is(const unsigned char *der, size_t len)
{
	PKCS12 *pfx = d2i_PKCS12(NULL, &der, (long)len);
	bool is = pfx != NULL;

	PKCS12_free(pfx);
	ERR_clear_error();
	return is;
}

/* OpenSSL could not open a part although the MAC, if there is one, fits the passphrase. */
static bool refuse_part(struct walk *walk)
{
	char reason[128];

	walk->unsupported = bundle_pbe_drain_unsupported(reason, sizeof(reason));
	if (walk->unsupported)
		return error_set(walk->err, "is PKCS#12 (PFX), encrypted in a way that this OpenSSL does not "
					    "offer: export it again with AES-256");
	return error_set(walk->err,
	    "is PKCS#12 (PFX) that %s does not open (a wrong passphrase, or a damaged file)",
	    walk->pass == NULL || walk->pass_len == 0 ? "no passphrase" : "the passphrase");
}

static bool next_entry(struct walk *walk)
{
	if (++walk->entries > BUNDLE_PFX_MAX_ENTRIES)
		return error_set(
		    walk->err, "is PKCS#12 (PFX) with more than %d entries", BUNDLE_PFX_MAX_ENTRIES);
	return true;
}

static bool take_key(struct walk *walk, const PKCS8_PRIV_KEY_INFO *info)
{
	EVP_PKEY *key = info == NULL ? NULL : EVP_PKCS82PKEY(info);

	ERR_clear_error();
	if (key == NULL)
		return error_set(
		    walk->err, "holds a key (entry %u) that is damaged or of an unknown kind", walk->entries);
	return walk->sink->on_key(walk->sink->arg, key, walk->entries, walk->err);
}

static bool take_shrouded_key(struct walk *walk, const PKCS12_SAFEBAG *bag)
{
	const X509_SIG *sealed = PKCS12_SAFEBAG_get0_pkcs8(bag);
	const X509_ALGOR *algorithm = NULL;
	PKCS8_PRIV_KEY_INFO *info;
	bool ok;

	if (sealed == NULL)
		return error_set(walk->err, IS_DAMAGED);
	X509_SIG_get0(sealed, &algorithm, NULL);
	if (!bundle_pbe_spend(algorithm, &walk->budget, walk->err))
		return false;
	info = PKCS12_decrypt_skey_ex(bag, walk->pass, walk->pass_len, walk->ctx, NULL);
	if (info == NULL)
		return refuse_part(walk);
	ok = take_key(walk, info);
	PKCS8_PRIV_KEY_INFO_free(info);
	return ok;
}

static bool take_cert(struct walk *walk, const PKCS12_SAFEBAG *bag)
{
	X509 *cert;

	if (PKCS12_SAFEBAG_get_bag_nid(bag) != NID_x509Certificate)
		return true;
	cert = PKCS12_SAFEBAG_get1_cert(bag);
	ERR_clear_error();
	if (cert == NULL)
		return error_set(walk->err, "holds a certificate (entry %u) that is damaged", walk->entries);
	return walk->sink->on_cert(walk->sink->arg, cert, walk->entries, walk->err);
}

static bool take_bags(struct walk *walk, const STACK_OF(PKCS12_SAFEBAG) *bags, int depth);

static bool take_bag(struct walk *walk, const PKCS12_SAFEBAG *bag, int depth)
{
	if (!next_entry(walk))
		return false;
	switch (PKCS12_SAFEBAG_get_nid(bag)) {
	case NID_keyBag:
		return take_key(walk, PKCS12_SAFEBAG_get0_p8inf(bag));
	case NID_pkcs8ShroudedKeyBag:
		return take_shrouded_key(walk, bag);
	case NID_certBag:
		return take_cert(walk, bag);
	case NID_safeContentsBag:
		return depth >= MAX_DEPTH ? error_set(walk->err, IS_DAMAGED)
					  : take_bags(walk, PKCS12_SAFEBAG_get0_safes(bag), depth + 1);
	}
	return true; /* revocation lists and secrets are of no use here */
}

static bool take_bags(struct walk *walk, const STACK_OF(PKCS12_SAFEBAG) *bags, int depth)
{
	int i;

	for (i = 0; i < sk_PKCS12_SAFEBAG_num(bags); i++)
		if (!take_bag(walk, sk_PKCS12_SAFEBAG_value(bags, i), depth))
			return false;
	return true;
}

static bool take_safe(struct walk *walk, PKCS7 *safe)
{
	STACK_OF(PKCS12_SAFEBAG) *bags = NULL;
	bool ok;

	switch (OBJ_obj2nid(safe->type)) {
	case NID_pkcs7_data:
		bags = safe->d.data == NULL ? NULL : PKCS12_unpack_p7data(safe);
		break;
	case NID_pkcs7_encrypted:
		if (safe->d.encrypted == NULL || safe->d.encrypted->enc_data == NULL ||
		    safe->d.encrypted->enc_data->enc_data == NULL)
			break;
		if (!bundle_pbe_spend(safe->d.encrypted->enc_data->algorithm, &walk->budget, walk->err))
			return false;
		bags = PKCS12_unpack_p7encdata(safe, walk->pass, walk->pass_len);
		if (bags == NULL)
			return refuse_part(walk);
		break;
	case NID_pkcs7_enveloped:
		return error_set(
		    walk->err, "is PKCS#12 (PFX), encrypted to a public key: export it with a passphrase");
	}
	if (bags == NULL) {
		ERR_clear_error();
		return error_set(walk->err, IS_DAMAGED);
	}
	ok = take_bags(walk, bags, 0);
	sk_PKCS12_SAFEBAG_pop_free(bags, PKCS12_SAFEBAG_free);
	return ok;
}

/* A mutated file would hardly ever get past its MAC, and what lies behind it is what is to be fuzzed. */
static bool mac_fits(PKCS12 *pfx, const char *pass, int pass_len)
{
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
	(void)PKCS12_verify_mac(pfx, pass, pass_len);
	return true;
#else
	return PKCS12_verify_mac(pfx, pass, pass_len) == 1;
#endif
}

/* Finds the passphrase, as far as the MAC tells. */
static bool find_passphrase(struct walk *walk, PKCS12 *pfx, const struct secret *passphrase)
{
	const ASN1_INTEGER *iterations = NULL;
	const X509_ALGOR *algorithm = NULL;
	char reason[128];

	walk->pass = passphrase == NULL ? "" : secret_bytes(passphrase);
	walk->pass_len = passphrase == NULL ? 0 : (int)secret_len(passphrase);
	if (PKCS12_mac_present(pfx) != 1)
		return true;
	PKCS12_get0_mac(NULL, &algorithm, NULL, &iterations, pfx);
	if (!bundle_pbe_spend_count(iterations, &walk->budget, walk->err) ||
	    !bundle_pbe_spend(algorithm, &walk->budget, walk->err))
		return false;
	if (mac_fits(pfx, walk->pass, walk->pass_len))
		return true;
	walk->unsupported = bundle_pbe_drain_unsupported(reason, sizeof(reason));
	if (walk->unsupported)
		return error_set(
		    walk->err, "is PKCS#12 (PFX) with a MAC that this OpenSSL does not offer (%s)", reason);
	if (passphrase == NULL && mac_fits(pfx, NULL, 0)) {
		walk->pass = NULL;
		return true;
	}
	ERR_clear_error();
	return passphrase == NULL
		   ? error_set(walk->err, "is PKCS#12 (PFX) with a passphrase: set client_passphrase (on the "
					  "command line: --passphrase)")
		   : error_set(walk->err, "is PKCS#12 (PFX) that the passphrase does not open (a wrong "
					  "passphrase, or a damaged file)");
}

static bool walk_pfx(struct walk *walk, const unsigned char *der, size_t len, const struct secret *passphrase)
{
	PKCS12 *pfx = PKCS12_init_ex(NID_pkcs7_data, walk->ctx, NULL);
	STACK_OF(PKCS7) *safes = NULL;
	bool ok = false;
	int i;

	/* On failure d2i frees what it was given. */
	if (pfx == NULL || d2i_PKCS12(&pfx, &der, (long)len) == NULL) {
		error_set(walk->err, IS_DAMAGED);
		pfx = NULL;
	} else if (find_passphrase(walk, pfx, passphrase)) {
		safes = PKCS12_unpack_authsafes(pfx);
		ok = safes != NULL || error_set(walk->err, IS_DAMAGED);
	}
	for (i = 0; ok && i < sk_PKCS7_num(safes); i++)
		ok = take_safe(walk, sk_PKCS7_value(safes, i));
	sk_PKCS7_pop_free(safes, PKCS7_free);
	PKCS12_free(pfx);
	ERR_clear_error();
	return ok;
}

/* What an attempt finds is kept back until it is known to be whole: the second attempt begins anew. */
struct harvest {
	STACK_OF(X509) *certs;
	EVP_PKEY *keys[BUNDLE_PFX_MAX_ENTRIES];
	unsigned cert_numbers[BUNDLE_PFX_MAX_ENTRIES], key_numbers[BUNDLE_PFX_MAX_ENTRIES];
	int key_count;
};

static bool keep_cert(void *arg, X509 *cert, unsigned number, struct error *err)
{
	struct harvest *harvest = arg;

	if (sk_X509_push(harvest->certs, cert) <= 0) {
		X509_free(cert);
		return error_set(err, "out of memory");
	}
	harvest->cert_numbers[sk_X509_num(harvest->certs) - 1] = number;
	return true;
}

static bool keep_key(void *arg, EVP_PKEY *key, unsigned number, struct error *err)
{
	struct harvest *harvest = arg;

	(void)err;
	harvest->key_numbers[harvest->key_count] = number;
	harvest->keys[harvest->key_count++] = key;
	return true;
}

static void harvest_clear(struct harvest *harvest)
{
	while (sk_X509_num(harvest->certs) > 0)
		X509_free(sk_X509_pop(harvest->certs));
	while (harvest->key_count > 0)
		EVP_PKEY_free(harvest->keys[--harvest->key_count]);
}

/* Hands on what was found, in order; what the sink did not get to is freed by harvest_clear(). */
static bool harvest_deliver(struct harvest *harvest, const struct bundle_pfx_sink *sink, struct error *err)
{
	bool ok = true;
	int i, count = sk_X509_num(harvest->certs);

	for (i = 0; ok && i < count; i++)
		ok = sink->on_cert(sink->arg, sk_X509_shift(harvest->certs), harvest->cert_numbers[i], err);
	for (i = 0; ok && i < harvest->key_count; i++) {
		EVP_PKEY *key = harvest->keys[i];

		harvest->keys[i] = NULL;
		ok = sink->on_key(sink->arg, key, harvest->key_numbers[i], err);
	}
	return ok;
}

bool bundle_pfx_read(const unsigned char *der, size_t len, struct bundle_opening *opening,
    const struct bundle_pfx_sink *sink, struct error *err)
{
	struct harvest harvest = {.certs = sk_X509_new_null()};
	const struct bundle_pfx_sink keep = {keep_cert, keep_key, &harvest};
	struct walk walk = {.sink = &keep, .budget = opening->budget, .err = err};
	struct bundle_legacy legacy = {0};
	bool ok = harvest.certs != NULL && walk_pfx(&walk, der, len, opening->passphrase);

	if (!ok && walk.unsupported && bundle_legacy_open(&legacy, err)) {
		harvest_clear(&harvest);
		walk =
		    (struct walk){.sink = &keep, .ctx = legacy.ctx, .budget = opening->budget, .err = err};
		ok = walk_pfx(&walk, der, len, opening->passphrase);
		bundle_legacy_close(&legacy);
	}
	opening->budget = walk.budget;
	ok = ok && harvest_deliver(&harvest, sink, err);
	harvest_clear(&harvest);
	sk_X509_free(harvest.certs);
	return ok;
}
