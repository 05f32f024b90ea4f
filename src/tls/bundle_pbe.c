/*
 * bundle_pbe: judges the cost of password-based encryption (RFC 8018, RFC 7914) before it is paid, reads
 * OpenSSL's complaints about it, and opens the legacy provider.  It decrypts nothing itself.
 */
#include "tls/bundle_pbe.h"

#include <openssl/asn1.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/provider.h>
#include <openssl/x509.h>
#include <stdio.h>

static bool spend(int64_t count, int64_t *budget, struct error *err)
{
	if (count < 0 || count > *budget)
		return error_set(err, "asks for more work to derive its key from the passphrase than any "
				      "sensible file does: have it "
				      "exported again with the usual number of iterations");
	*budget -= count;
	return true;
}

/* -1: no number that fits. */
static int64_t integer_value(const ASN1_INTEGER *integer)
{
	int64_t value = -1;

	if (integer == NULL || ASN1_INTEGER_get_int64(&value, integer) != 1) {
		ERR_clear_error();
		return -1;
	}
	return value;
}

bool bundle_pbe_spend_count(const ASN1_INTEGER *count, int64_t *budget, struct error *err)
{
	return spend(count == NULL ? 1 : integer_value(count), budget, err);
}

/* N, r and p multiply; each is bounded first so that the product fits. */
static int64_t scrypt_cost(const SCRYPT_PARAMS *params)
{
	int64_t n = integer_value(params->costParameter), r = integer_value(params->blockSize);
	int64_t p = integer_value(params->parallelizationParameter);

	if (n < 0 || r < 0 || p < 0 || n > BUNDLE_PBE_BUDGET || r > 1024 || p > 1024)
		return -1;
	return n * r * p;
}

/* What is not understood costs nothing: OpenSSL will not understand it either. */
static int64_t pbes2_cost(const ASN1_TYPE *parameter)
{
	PBE2PARAM *params = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), parameter);
	PBKDF2PARAM *pbkdf2 = NULL;
	SCRYPT_PARAMS *scrypt = NULL;
	int64_t cost = 0;

	if (params != NULL && OBJ_obj2nid(params->keyfunc->algorithm) == NID_id_pbkdf2) {
		pbkdf2 = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBKDF2PARAM), params->keyfunc->parameter);
		cost = pbkdf2 == NULL ? 0 : integer_value(pbkdf2->iter);
	} else if (params != NULL && OBJ_obj2nid(params->keyfunc->algorithm) == NID_id_scrypt) {
		scrypt = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(SCRYPT_PARAMS), params->keyfunc->parameter);
		cost = scrypt == NULL ? 0 : scrypt_cost(scrypt);
	}
	PBKDF2PARAM_free(pbkdf2);
	SCRYPT_PARAMS_free(scrypt);
	PBE2PARAM_free(params);
	return cost;
}

bool bundle_pbe_spend(const X509_ALGOR *algorithm, int64_t *budget, struct error *err)
{
	const ASN1_OBJECT *object = NULL;
	PBEPARAM *params;
	int64_t cost = 0;

	X509_ALGOR_get0(&object, NULL, NULL, algorithm);
	/* RFC 9579: a PBMAC1 says by the same two algorithms how its key is derived, and what for. */
	if (OBJ_obj2nid(object) == NID_pbes2 || OBJ_obj2nid(object) == NID_pbmac1) {
		cost = pbes2_cost(algorithm->parameter);
	} else {
		params = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBEPARAM), algorithm->parameter);
		if (params != NULL)
			cost = integer_value(params->iter);
		PBEPARAM_free(params);
	}
	ERR_clear_error();
	return spend(cost, budget, err);
}

const char *bundle_pbe_cipher_name(const X509_ALGOR *algorithm, char buf[BUNDLE_PBE_NAME_BYTES])
{
	PBE2PARAM *params = NULL;
	const ASN1_OBJECT *object = NULL;

	X509_ALGOR_get0(&object, NULL, NULL, algorithm);
	if (OBJ_obj2nid(object) == NID_pbes2) {
		params = ASN1_TYPE_unpack_sequence(ASN1_ITEM_rptr(PBE2PARAM), algorithm->parameter);
		if (params != NULL)
			X509_ALGOR_get0(&object, NULL, NULL, params->encryption);
	}
	if (OBJ_obj2txt(buf, BUNDLE_PBE_NAME_BYTES, object, 0) <= 0)
		snprintf(buf, BUNDLE_PBE_NAME_BYTES, "an unknown cipher");
	PBE2PARAM_free(params);
	ERR_clear_error();
	return buf;
}

bool bundle_pbe_drain_unsupported(char *reason, size_t reason_bytes)
{
	bool unsupported = false;
	unsigned long code;

	reason[0] = '\0';
	while ((code = ERR_get_error()) != 0) {
		int lib = ERR_GET_LIB(code), why = ERR_GET_REASON(code);

		if (why == ERR_R_UNSUPPORTED ||
		    (lib == ERR_LIB_EVP &&
			(why == EVP_R_UNSUPPORTED_ALGORITHM || why == EVP_R_UNKNOWN_PBE_ALGORITHM ||
			    why == EVP_R_UNSUPPORTED_CIPHER || why == EVP_R_UNSUPPORTED_PRF ||
			    why == EVP_R_UNKNOWN_CIPHER))) {
			unsupported = true;
			snprintf(reason, reason_bytes, "%s", ERR_reason_error_string(code));
		} else if (!unsupported && ERR_reason_error_string(code) != NULL) {
			snprintf(reason, reason_bytes, "%s", ERR_reason_error_string(code));
		}
	}
	return unsupported;
}

bool bundle_legacy_open(struct bundle_legacy *legacy, struct error *err)
{
	legacy->ctx = OSSL_LIB_CTX_new();
	if (legacy->ctx != NULL) {
		legacy->usual = OSSL_PROVIDER_load(legacy->ctx, "default");
		legacy->legacy = OSSL_PROVIDER_load(legacy->ctx, "legacy");
	}
	ERR_clear_error();
	if (legacy->usual != NULL && legacy->legacy != NULL)
		return true;
	bundle_legacy_close(legacy);
	return error_set(err, "is encrypted with a cipher of former times (RC2, as older Windows exports), "
			      "for which OpenSSL's legacy "
			      "provider is needed, and this system has none: export it again with AES-256, "
			      "or install that provider");
}

void bundle_legacy_close(struct bundle_legacy *legacy)
{
	if (legacy->legacy != NULL)
		OSSL_PROVIDER_unload(legacy->legacy);
	if (legacy->usual != NULL)
		OSSL_PROVIDER_unload(legacy->usual);
	OSSL_LIB_CTX_free(legacy->ctx);
	*legacy = (struct bundle_legacy){0};
}
