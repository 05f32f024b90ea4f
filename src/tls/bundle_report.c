/* bundle_report: certificates and keys to texts.  What is wrong with them is said by bundle_findings. */
#include "tls/bundle_report.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

static void key_text(EVP_PKEY *key, char *buf, size_t buf_bytes)
{
	const char *type = key == NULL ? NULL : EVP_PKEY_get0_type_name(key);
	char group[48] = "";
	size_t len;

	if (type == NULL)
		snprintf(buf, buf_bytes, "unknown");
	else if (EVP_PKEY_is_a(key, "EC") && EVP_PKEY_get_group_name(key, group, sizeof(group), &len) == 1)
		snprintf(buf, buf_bytes, "EC %s", group);
	else if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS"))
		snprintf(buf, buf_bytes, "%s %d", type, EVP_PKEY_get_bits(key));
	else
		snprintf(buf, buf_bytes, "%s", type);
	ERR_clear_error();
}

static void pin_text(EVP_PKEY *key, char buf[BUNDLE_PIN_BYTES])
{
	unsigned char *der = NULL, digest[EVP_MAX_MD_SIZE];
	char base64[TEXT_BASE64_BYTES(EVP_MAX_MD_SIZE)];
	unsigned digest_len = 0;
	int len = key == NULL ? -1 : i2d_PUBKEY(key, &der);

	buf[0] = '\0';
	if (len > 0 && EVP_Digest(der, (size_t)len, digest, &digest_len, EVP_sha256(), NULL) == 1) {
		text_base64_encode(digest, digest_len, base64);
		snprintf(buf, BUNDLE_PIN_BYTES, "sha256//%.50s", base64);
	}
	OPENSSL_free(der);
	ERR_clear_error();
}

static void serial_text(const X509 *cert, char *buf, size_t buf_bytes)
{
	BIGNUM *number = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	char *hex = number == NULL ? NULL : BN_bn2hex(number);

	snprintf(buf, buf_bytes, "%s", hex == NULL ? "unreadable" : hex);
	OPENSSL_free(hex);
	BN_free(number);
	ERR_clear_error();
}

static void usages_text(const X509 *cert, char *buf, size_t buf_bytes)
{
	EXTENDED_KEY_USAGE *usages = X509_get_ext_d2i(cert, NID_ext_key_usage, NULL, NULL);
	char name[80];
	size_t at = 0;
	int i;

	buf[0] = '\0';
	for (i = 0; i < sk_ASN1_OBJECT_num(usages); i++) {
		const ASN1_OBJECT *usage = sk_ASN1_OBJECT_value(usages, i);
		int nid = OBJ_obj2nid(usage), wrote;

		if (nid == NID_undef)
			OBJ_obj2txt(name, sizeof(name), usage, 1);
		else
			snprintf(name, sizeof(name), "%s", OBJ_nid2sn(nid));
		wrote = snprintf(buf + at, buf_bytes - at, "%s%s", at == 0 ? "" : ",", name);
		if (wrote < 0 || (size_t)wrote >= buf_bytes - at)
			break;
		at += (size_t)wrote;
	}
	EXTENDED_KEY_USAGE_free(usages);
	ERR_clear_error();
}

static void names_text(const X509 *cert, char *buf, size_t buf_bytes)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long len;
	int i;

	buf[0] = '\0';
	for (i = 0; bio != NULL && i < sk_GENERAL_NAME_num(names); i++) {
		if (i > 0)
			BIO_puts(bio, ",");
		GENERAL_NAME_print(bio, sk_GENERAL_NAME_value(names, i));
	}
	len = bio == NULL ? 0 : BIO_get_mem_data(bio, &text);
	if (len > 0)
		text_escape(text, (size_t)len, buf, buf_bytes);
	BIO_free(bio);
	GENERAL_NAMES_free(names);
	ERR_clear_error();
}

void bundle_report_describe(struct bundle_report_cert *to, X509 *cert, const char *role)
{
	long long since;

	to->role = role;
	to->origin = bundle_cert_origin(cert);
	bundle_name_text(X509_get_subject_name(cert), to->subject, sizeof(to->subject));
	bundle_name_text(X509_get_issuer_name(cert), to->issuer, sizeof(to->issuer));
	serial_text(cert, to->serial, sizeof(to->serial));
	bundle_time_text(X509_get0_notBefore(cert), to->not_before, sizeof(to->not_before));
	bundle_time_text(X509_get0_notAfter(cert), to->not_after, sizeof(to->not_after));
	if (!bundle_validity(cert, &to->seconds_left, &since))
		to->seconds_left = 0;
	key_text(X509_get0_pubkey(cert), to->key, sizeof(to->key));
	snprintf(to->signature, sizeof(to->signature), "%s", OBJ_nid2sn(X509_get_signature_nid(cert)));
	usages_text(cert, to->usages, sizeof(to->usages));
	names_text(cert, to->names, sizeof(to->names));
	bundle_fingerprint_text(cert, to->sha256);
	pin_text(X509_get0_pubkey(cert), to->pin);
	ERR_clear_error();
}

static void fill_certs(struct bundle_report *report, const struct bundle_arranged *arranged)
{
	int i;

	if (arranged->leaf != NULL) {
		bool ca = report->purpose == BUNDLE_PURPOSE_CA;

		bundle_report_describe(&report->certs[report->cert_count++], arranged->leaf,
		    !ca                                        ? "leaf"
		    : X509_self_signed(arranged->leaf, 0) == 1 ? "root"
							       : "intermediate");
	}
	for (i = 0; i < sk_X509_num(arranged->chain); i++) {
		X509 *cert = sk_X509_value(arranged->chain, i);

		bundle_report_describe(&report->certs[report->cert_count++], cert,
		    X509_self_signed(cert, 0) == 1 ? "root" : "intermediate");
	}
	for (i = 0; i < sk_X509_num(arranged->left_out); i++)
		bundle_report_describe(
		    &report->certs[report->cert_count++], sk_X509_value(arranged->left_out, i), "other");
}

struct bundle_report *bundle_report_new(const struct bundle *bundle)
{
	struct bundle_report *report = mem_calloc(1, sizeof(*report));
	int count = sk_X509_num(bundle->certs);
	struct bundle_arranged arranged;

	report->purpose = bundle_purpose_of(bundle);
	report->certs = mem_calloc(count > 0 ? (size_t)count : 1, sizeof(*report->certs));
	bundle_arrange(bundle, &arranged);
	fill_certs(report, &arranged);
	if (bundle->key != NULL) {
		report->has_key = true;
		report->key_encrypted = bundle->key_encrypted;
		report->key_matches = arranged.leaf != NULL;
		report->key_origin = bundle->key_origin;
		key_text(bundle->key, report->key, sizeof(report->key));
		pin_text(bundle->key, report->key_pin);
	}
	bundle_examine(bundle, &arranged, report->purpose, &report->findings);
	bundle_arranged_clear(&arranged);
	return report;
}

void bundle_report_free(struct bundle_report *report)
{
	if (report == NULL)
		return;
	bundle_findings_clear(&report->findings);
	free(report->certs);
	free(report);
}
