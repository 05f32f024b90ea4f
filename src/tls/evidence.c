/*
 * evidence: see evidence.h.
 *
 * Looks, and does not judge.  Names are compared as they are printed, and by each part's own text, so that a
 * comma or an umlaut in `expect_issuer` need not be escaped.
 */
#include "tls/evidence.h"

#include <openssl/ct.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ocsp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "tls/bundle.h"
#include "tls/inspection_products.h"
#include "tls/revocation.h"

#define PIN_PREFIX "sha256//"
#define PIN_BYTES (sizeof(PIN_PREFIX) + 4 * ((SHA256_DIGEST_LENGTH + 2) / 3))
#define LONG_NAME_BYTES 1024

void evidence_ask(SSL *ssl, const struct judge_rules *rules)
{
	if ((rules->trust_system && rules->inspection != JUDGE_INSPECTION_OFF) || rules->staple)
		SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
}

bool evidence_has_sct(const unsigned char *list, size_t len)
{
	STACK_OF(SCT) *scts = o2i_SCT_LIST(NULL, &list, len);
	bool any = sk_SCT_num(scts) > 0;

	SCT_LIST_free(scts);
	ERR_clear_error();
	return any;
}

static bool cert_has_sct(const X509 *cert)
{
	STACK_OF(SCT) *scts = X509_get_ext_d2i(cert, NID_ct_precert_scts, NULL, NULL);
	bool any = sk_SCT_num(scts) > 0;

	SCT_LIST_free(scts);
	ERR_clear_error();
	return any;
}

bool evidence_staple_has_sct(const unsigned char *der, long len)
{
	OCSP_RESPONSE *response = der == NULL || len <= 0 ? NULL : d2i_OCSP_RESPONSE(NULL, &der, len);
	OCSP_BASICRESP *basic = response == NULL ? NULL : OCSP_response_get1_basic(response);
	bool any = false;
	int i;

	for (i = 0; basic != NULL && i < OCSP_resp_count(basic); i++) {
		STACK_OF(SCT) *scts =
		    OCSP_SINGLERESP_get1_ext_d2i(OCSP_resp_get0(basic, i), NID_ct_cert_scts, NULL, NULL);

		any = any || sk_SCT_num(scts) > 0;
		SCT_LIST_free(scts);
	}
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
	return any;
}

/* curl's form of a public key's hash. */
static bool pin_of(const X509 *cert, char pin[PIN_BYTES])
{
	unsigned char *der = NULL, hash[SHA256_DIGEST_LENGTH];
	int len = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(cert), &der);
	bool ok = len > 0 && EVP_Digest(der, (size_t)len, hash, NULL, EVP_sha256(), NULL) == 1;

	OPENSSL_free(der);
	if (!ok)
		return false;
	memcpy(pin, PIN_PREFIX, sizeof(PIN_PREFIX));
	EVP_EncodeBlock((unsigned char *)pin + strlen(PIN_PREFIX), hash, sizeof(hash));
	return true;
}

static void match_pins(STACK_OF(X509) *chain, const struct judge_rules *rules,
    struct judge_evidence *evidence)
{
	char pin[PIN_BYTES];
	bool leaf = false, other = false;
	size_t j;
	int i;

	if (rules->pin_count == 0)
		return;
	for (i = 0; i < sk_X509_num(chain); i++) {
		bool ok = pin_of(sk_X509_value(chain, i), pin);

		for (j = 0; ok && j < rules->pin_count; j++)
			if (strcmp(rules->pins[j], pin) == 0)
				*(i == 0 ? &leaf : &other) = true;
	}
	evidence->pin = leaf || other ? JUDGE_MATCHED : JUDGE_NOT_MATCHED;
	evidence->pin_on_leaf = leaf && !other;
}

/* Any part's text as UTF-8, up to a NUL, if somebody put one there. */
static bool part_contains(const X509_NAME_ENTRY *part, const char *text)
{
	unsigned char *utf8 = NULL;
	int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(part));
	bool found = len >= 0 && strcasestr((const char *)utf8, text) != NULL;

	if (len >= 0)
		OPENSSL_free(utf8);
	ERR_clear_error();
	return found;
}

static bool name_contains(const X509_NAME *name, const char *text)
{
	char printed[LONG_NAME_BYTES];
	int i;

	if (strcasestr(bundle_name_text(name, printed, sizeof(printed)), text) != NULL)
		return true;
	for (i = 0; i < X509_NAME_entry_count(name); i++)
		if (part_contains(X509_NAME_get_entry(name, i), text))
			return true;
	return false;
}

static void match_issuers(STACK_OF(X509) *chain, const struct judge_rules *rules,
    struct judge_evidence *evidence)
{
	size_t j;
	int i;

	if (rules->issuer_count == 0)
		return;
	evidence->expect_issuer = JUDGE_NOT_MATCHED;
	for (i = 0; i < sk_X509_num(chain); i++)
		for (j = 0; j < rules->issuer_count; j++)
			if (name_contains(X509_get_issuer_name(sk_X509_value(chain, i)), rules->issuers[j]))
				evidence->expect_issuer = JUDGE_MATCHED;
}

/* Part by part and whole: a printed name is cut, and writes attributes that OpenSSL does not know in hex. */
static const char *product_in_part(const X509_NAME_ENTRY *part)
{
	unsigned char *utf8 = NULL;
	int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(part)), at;
	const char *product = NULL;

	for (at = 0; at < len && product == NULL; at += (int)strlen((const char *)utf8 + at) + 1)
		product = inspection_product((const char *)utf8 + at);
	if (len >= 0)
		OPENSSL_free(utf8);
	ERR_clear_error();
	return product;
}

static void find_product(STACK_OF(X509) *chain, struct judge_evidence *evidence)
{
	int i, j;

	for (i = 0; i < sk_X509_num(chain); i++) {
		const X509_NAME *issuer = X509_get_issuer_name(sk_X509_value(chain, i));

		for (j = 0; j < X509_NAME_entry_count(issuer) && evidence->product == NULL; j++)
			evidence->product = product_in_part(X509_NAME_get_entry(issuer, j));
	}
}

static void name_leaf(const X509 *leaf, struct judge_evidence *evidence)
{
	bundle_name_text(X509_get_subject_name(leaf), evidence->subject, sizeof(evidence->subject));
	bundle_name_text(X509_get_issuer_name(leaf), evidence->issuer, sizeof(evidence->issuer));
	bundle_time_text(X509_get0_notAfter(leaf), evidence->not_after, sizeof(evidence->not_after));
	_Static_assert(sizeof(evidence->sha256) == BUNDLE_FINGERPRINT_BYTES, "room for a fingerprint");
	bundle_fingerprint_text(leaf, evidence->sha256);
}

void evidence_collect(SSL *ssl, const struct judge_rules *rules, const struct anchor_origin *origin,
    struct judge_evidence *evidence)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
	X509 *leaf = SSL_get0_peer_certificate(ssl);
	X509 *anchor;
	const unsigned char *staple = NULL;
	long staple_len = SSL_get_tlsext_status_ocsp_resp(ssl, &staple);

	evidence->trust_system = rules->trust_system;
	if (SSL_get_verify_result(ssl) != X509_V_OK || leaf == NULL || sk_X509_num(chain) < 1) {
		evidence->chain.kind = TLS_FAULT_UNTRUSTED;
		snprintf(evidence->chain.sentence, sizeof(evidence->chain.sentence),
		    "the server's certificate was not verified");
		return;
	}
	name_leaf(leaf, evidence);
	anchor = sk_X509_value(chain, sk_X509_num(chain) - 1);
	bundle_name_text(X509_get_subject_name(anchor), evidence->anchor, sizeof(evidence->anchor));
	evidence->origin = anchor_origin_of(origin, anchor);
	evidence->crl = rules->crl;
	find_product(chain, evidence);
	match_pins(chain, rules, evidence);
	match_issuers(chain, rules, evidence);
	if (rules->staple)
		evidence->staple = revocation_check_staple(ssl, evidence->staple_text,
		    sizeof(evidence->staple_text)) ? JUDGE_STAPLE_GOOD
		    : JUDGE_STAPLE_REFUSED;
	if (cert_has_sct(leaf))
		evidence->sct |= JUDGE_SCT_CERT;
	if (evidence_staple_has_sct(staple, staple_len))
		evidence->sct |= JUDGE_SCT_STAPLE;
}

void evidence_collect_failed(X509_STORE_CTX *store, struct judge_evidence *evidence)
{
	X509 *leaf = X509_STORE_CTX_get0_cert(store);

	if (leaf != NULL)
		name_leaf(leaf, evidence);
	find_product(X509_STORE_CTX_get0_chain(store), evidence);
	/* What could not be built into a chain tells as much. */
	find_product(X509_STORE_CTX_get0_untrusted(store), evidence);
}
