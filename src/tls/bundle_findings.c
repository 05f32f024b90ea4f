/*
 * bundle_findings: judges certificates, chain and key, and says of each fault what is wrong and what to do.
 *
 * Whether a chain is trusted by anybody is not its business, and neither is what cannot be read at all.
 */
#include "tls/bundle_findings.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tls/provider_key.h"

#define NAME_TEXT_BYTES 256

static const struct {
	const char *name, *remedy;
	enum bundle_severity severity;
} table[] = {
    [BUNDLE_NO_CERTIFICATE] = {"no-certificate", "add the file with the certificate that the CA issued",
	BUNDLE_SEVERITY_REFUSED},
    [BUNDLE_NO_KEY] = {"no-key",
	"add the file with the private key: it was made together with the request, often on another machine",
	BUNDLE_SEVERITY_REFUSED},
    [BUNDLE_KEY_MISMATCH] = {"key-mismatch",
	"find the key that was made with the request of this certificate, or request a new certificate",
	BUNDLE_SEVERITY_REFUSED},
    [BUNDLE_KEY_DAMAGED] = {"key-damaged", "take the key from its source again, or request a new certificate",
	BUNDLE_SEVERITY_REFUSED},
    [BUNDLE_KEY_EXPOSED] = {"key-exposed",
	"use chmod o= on it, and if others may have read it, request a certificate for a new key",
	BUNDLE_SEVERITY_WARNING},
    [BUNDLE_SELF_SIGNED] = {"self-signed",
	"have a CA issue the certificate: midrelay bundle request makes the request",
	BUNDLE_SEVERITY_REFUSED},
    [BUNDLE_CA_AS_LEAF] = {"ca-as-leaf", "use a certificate that was issued to the client",
	BUNDLE_SEVERITY_WARNING},
    [BUNDLE_NO_CLIENT_AUTH] = {"no-client-auth",
	"ask the CA for a certificate with Client Authentication in its Extended Key Usage",
	BUNDLE_SEVERITY_REFUSED},
    [BUNDLE_NO_SIGNING] = {"no-signing",
	"ask the CA for a certificate with digitalSignature in its Key Usage", BUNDLE_SEVERITY_WARNING},
    [BUNDLE_CHAIN_INCOMPLETE] = {"chain-incomplete",
	"ask the CA for the missing certificate and add its file", BUNDLE_SEVERITY_REFUSED},
    [BUNDLE_CHAIN_ORDER] = {"chain-order", "nothing needs to be done: midrelay puts them into order",
	BUNDLE_SEVERITY_NOTE},
    [BUNDLE_SEVERAL_LEAVES] = {"several-leaves", "leave out those that this client does not use",
	BUNDLE_SEVERITY_NOTE},
    [BUNDLE_LEFT_OUT] = {"left-out", "it may stay: it is not sent", BUNDLE_SEVERITY_NOTE},
    [BUNDLE_EXPIRED] = {"expired", "renew it", BUNDLE_SEVERITY_REFUSED},
    [BUNDLE_NOT_YET_VALID] = {"not-yet-valid", "wait until then, or set this host's clock right",
	BUNDLE_SEVERITY_REFUSED},
    [BUNDLE_VALIDITY_UNREADABLE] = {"validity-unreadable", "have the CA issue it again",
	BUNDLE_SEVERITY_REFUSED},
    [BUNDLE_WEAK_KEY] = {"weak-key", "have it issued for a new key: RSA of 2048 bits or more, or P-256",
	BUNDLE_SEVERITY_REFUSED},
    [BUNDLE_WEAK_HASH] = {"weak-hash", "have the CA issue it again, signed with SHA-256 or better",
	BUNDLE_SEVERITY_REFUSED},
    [BUNDLE_UNUSUAL_CURVE] = {"unusual-curve", "have it issued for a key on P-256", BUNDLE_SEVERITY_WARNING},
};
_Static_assert(sizeof(table) / sizeof(table[0]) == BUNDLE_FINDING_CODE_COUNT, "one row for each code");

const char *bundle_finding_name(enum bundle_finding_code code)
{
	return table[code].name;
}

const char *bundle_severity_name(enum bundle_severity severity)
{
	static const char *const names[] = {"note", "warning", "refused"};

	return names[severity];
}

const char *bundle_purpose_name(enum bundle_purpose purpose)
{
	static const char *const names[] = {"client", "server", "ca"};

	return names[purpose];
}

void bundle_findings_clear(struct bundle_findings *findings)
{
	free(findings->items);
	*findings = (struct bundle_findings){0};
}

enum bundle_severity bundle_findings_worst(const struct bundle_findings *findings)
{
	enum bundle_severity worst = BUNDLE_SEVERITY_NOTE;
	size_t i;

	for (i = 0; i < findings->count; i++)
		if (findings->items[i].severity > worst)
			worst = findings->items[i].severity;
	return worst;
}

/* The returned finding may be changed until the next is added. */
static struct bundle_finding *__attribute__((format(printf, 4, 0))) add_text(struct bundle_findings *findings,
    enum bundle_finding_code code, const char *where, const char *fmt, va_list ap)
{
	struct bundle_finding *finding;

	findings->items = mem_realloc(findings->items, (findings->count + 1) * sizeof(*findings->items));
	finding = &findings->items[findings->count++];
	finding->code = code;
	finding->severity = table[code].severity;
	finding->remedy = table[code].remedy;
	snprintf(finding->where, sizeof(finding->where), "%s", where == NULL ? "" : where);
	vsnprintf(finding->text, sizeof(finding->text), fmt, ap);
	return finding;
}

static void PRINTF_LIKE(4, 5) add(
    struct bundle_findings *findings, enum bundle_finding_code code, const char *where, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_text(findings, code, where, fmt, ap);
	va_end(ap);
}

/* "certificate NAME SENTENCE" */
static struct bundle_finding *PRINTF_LIKE(4, 5) add_cert(
    struct bundle_findings *findings, enum bundle_finding_code code, const X509 *cert, const char *fmt, ...)
{
	char name[NAME_TEXT_BYTES], sentence[320];
	struct bundle_finding *finding;
	va_list ap;

	va_start(ap, fmt);
	finding = add_text(findings, code, bundle_cert_origin(cert), fmt, ap);
	va_end(ap);
	snprintf(sentence, sizeof(sentence), "%.*s", (int)sizeof(sentence) - 1, finding->text);
	bundle_name_text(X509_get_subject_name(cert), name, sizeof(name));
	snprintf(finding->text, sizeof(finding->text), "certificate %s %s", name, sentence);
	return finding;
}

static void examine_usage(X509 *leaf, struct bundle_findings *findings)
{
	uint32_t flags = X509_get_extension_flags(leaf);

	if ((flags & EXFLAG_XKUSAGE) == 0)
		add_cert(findings, BUNDLE_NO_CLIENT_AUTH, leaf,
		    "has no Extended Key Usage: the instance wants Client Authentication (1.3.6.1.5.5.7.3.2) "
		    "in it");
	else if ((X509_get_extended_key_usage(leaf) & XKU_SSL_CLIENT) == 0)
		add_cert(findings, BUNDLE_NO_CLIENT_AUTH, leaf,
		    "is not meant for Client Authentication (1.3.6.1.5.5.7.3.2 is missing from its "
		    "Extended Key Usage): servers refuse it");
	if ((flags & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0)
		add_cert(findings, BUNDLE_NO_SIGNING, leaf,
		    "may not sign (digitalSignature is missing from its Key Usage), which TLS clients do");
	if (X509_check_ca(leaf) > 0 && X509_self_signed(leaf, 0) != 1)
		add_cert(findings, BUNDLE_CA_AS_LEAF, leaf, "is a CA's own, not one issued to a client");
}

static void examine_validity(X509 *cert, struct bundle_findings *findings)
{
	long long left, since;
	char when[64];

	if (!bundle_validity(cert, &left, &since))
		add_cert(findings, BUNDLE_VALIDITY_UNREADABLE, cert, "has an unreadable validity");
	else if (left < 0)
		add_cert(findings, BUNDLE_EXPIRED, cert, "has expired at %s",
		    bundle_time_text(X509_get0_notAfter(cert), when, sizeof(when)));
	else if (since < 0)
		add_cert(findings, BUNDLE_NOT_YET_VALID, cert, "is not valid before %s",
		    bundle_time_text(X509_get0_notBefore(cert), when, sizeof(when)));
}

static void examine_strength(X509 *cert, struct bundle_findings *findings)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	int digest = NID_undef, bits = key == NULL ? 0 : EVP_PKEY_get_bits(key);

	if (key != NULL && (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS")) && bits < 2048)
		add_cert(findings, BUNDLE_WEAK_KEY, cert,
		    "has an RSA key of %d bits only: 2048 is the least that is accepted widely", bits);
	else if (key != NULL && EVP_PKEY_is_a(key, "EC") && bits < 224)
		add_cert(findings, BUNDLE_WEAK_KEY, cert, "has an elliptic-curve key of %d bits only", bits);
	/* A root's own signature is looked at by nobody. */
	if (X509_self_signed(cert, 0) != 1 && X509_get_signature_info(cert, &digest, NULL, NULL, NULL) == 1 &&
	    (digest == NID_sha1 || digest == NID_md5))
		add_cert(findings, BUNDLE_WEAK_HASH, cert, "is signed with %s, which is widely refused",
		    OBJ_nid2sn(digest));
}

static void examine_curve(X509 *leaf, struct bundle_findings *findings)
{
	EVP_PKEY *key = X509_get0_pubkey(leaf);
	char group[64] = "without a name";
	size_t len;
	int nid;

	if (key == NULL || !EVP_PKEY_is_a(key, "EC"))
		return;
	EVP_PKEY_get_group_name(key, group, sizeof(group), &len);
	nid = OBJ_sn2nid(group);
	if (nid != NID_X9_62_prime256v1 && nid != NID_secp384r1 && nid != NID_secp521r1)
		add_cert(findings, BUNDLE_UNUSUAL_CURVE, leaf,
		    "has a key on the curve %s: TLS 1.3 has only P-256, P-384 and P-521", group);
}

/* A server does not send its root, and a self-signed one is a matter of its clients' trust. */
static void examine_end(
    X509 *leaf, STACK_OF(X509) *chain, enum bundle_purpose purpose, struct bundle_findings *findings)
{
	int count = sk_X509_num(chain);
	X509 *last = count > 0 ? sk_X509_value(chain, count - 1) : leaf;
	char issuer[NAME_TEXT_BYTES];
	struct bundle_finding *finding = NULL;

	if (X509_self_signed(leaf, 0) == 1) {
		if (purpose == BUNDLE_PURPOSE_CLIENT)
			add_cert(findings, BUNDLE_SELF_SIGNED, leaf,
			    "is self-signed: the instance wants one that a CA issued");
	} else if (X509_self_signed(last, 0) != 1) {
		bundle_name_text(X509_get_issuer_name(last), issuer, sizeof(issuer));
		finding = add_cert(findings, BUNDLE_CHAIN_INCOMPLETE, leaf,
		    "comes with a chain that does not end in a root: the certificate of %s is missing",
		    issuer);
	}
	if (finding != NULL && purpose != BUNDLE_PURPOSE_CLIENT) {
		finding->severity = BUNDLE_SEVERITY_NOTE;
		finding->remedy =
		    "that is usual for what a server sends, as long as only the root is missing";
	}
}

void bundle_examine_chain(X509 *leaf, STACK_OF(X509) *chain, size_t left_out, enum bundle_purpose purpose,
    struct bundle_findings *findings)
{
	int i;

	if (purpose == BUNDLE_PURPOSE_CLIENT)
		examine_usage(leaf, findings);
	examine_curve(leaf, findings);
	examine_end(leaf, chain, purpose, findings);
	if (left_out > 0)
		add_cert(findings, BUNDLE_LEFT_OUT, leaf,
		    "does not need %zu other certificate%s in the file%s, left out", left_out,
		    left_out == 1 ? "" : "s", left_out == 1 ? "" : "s");
	examine_validity(leaf, findings);
	examine_strength(leaf, findings);
	for (i = 0; i < sk_X509_num(chain); i++) {
		examine_validity(sk_X509_value(chain, i), findings);
		examine_strength(sk_X509_value(chain, i), findings);
	}
	ERR_clear_error();
}

/* Leaf, then its chain, is how every program wants them. */
static void examine_order(
    const struct bundle *bundle, const struct bundle_arranged *arranged, struct bundle_findings *findings)
{
	int before = sk_X509_find(bundle->certs, arranged->leaf), at, i;
	X509 *cert;

	for (i = 0; i < sk_X509_num(arranged->chain); i++) {
		cert = sk_X509_value(arranged->chain, i);
		at = sk_X509_find(bundle->certs, cert);
		if (at < before) {
			add_cert(
			    findings, BUNDLE_CHAIN_ORDER, cert, "stands before a certificate that it issued");
			return;
		}
		before = at;
	}
}

static void examine_left_out(
    const struct bundle *bundle, const struct bundle_arranged *arranged, struct bundle_findings *findings)
{
	int i;

	for (i = 0; i < sk_X509_num(arranged->left_out); i++) {
		X509 *cert = sk_X509_value(arranged->left_out, i);

		if (X509_check_ca(cert) > 0)
			add_cert(findings, BUNDLE_LEFT_OUT, cert, "is not in the chain and is left out");
		else if (bundle->key == NULL)
			add_cert(findings, BUNDLE_SEVERAL_LEAVES, cert,
			    "is one more that is no CA's: without the key nobody can say which one is meant");
		else
			add_cert(findings, BUNDLE_SEVERAL_LEAVES, cert,
			    "is one more that is no CA's, and is left out for the one that %s",
			    X509_check_private_key(cert, bundle->key) == 1
				? "is valid longer with the same key"
				: "belongs to the key");
	}
	ERR_clear_error();
}

static void examine_key(const struct bundle *bundle, const struct bundle_arranged *arranged,
    enum bundle_purpose purpose, struct bundle_findings *findings)
{
	struct error err = {""};
	STACK_OF(X509) *chain = NULL;
	X509 *leaf;

	if (bundle->key == NULL) {
		if (purpose == BUNDLE_PURPOSE_CLIENT)
			add(findings, BUNDLE_NO_KEY, NULL, "there is no private key");
		return;
	}
	if (bundle->key_exposed)
		add(findings, BUNDLE_KEY_EXPOSED, bundle->key_origin,
		    "the file with the private key may be read by every user of this host");
	if (sk_X509_num(bundle->certs) > 0 && arranged->leaf == NULL) {
		if (!bundle_order(bundle, &leaf, &chain, NULL, &err))
			add(findings, BUNDLE_KEY_MISMATCH, bundle->key_origin, "%.*s", 600, err.text);
		sk_X509_free(chain);
	} else if (arranged->leaf != NULL && !bundle_key_signs(bundle->key, arranged->leaf)) {
		provider_key_take_fault(&err);
		add(findings, BUNDLE_KEY_DAMAGED, bundle->key_origin, "%.*s", 600,
		    err.text[0] != '\0' ? err.text : "what the private key signs does not verify with the "
		    "certificate, or it cannot sign at all");
	}
}

void bundle_examine(const struct bundle *bundle, const struct bundle_arranged *arranged,
    enum bundle_purpose purpose, struct bundle_findings *findings)
{
	int i;

	if (sk_X509_num(bundle->certs) <= 0)
		add(findings, BUNDLE_NO_CERTIFICATE, NULL, "there is no certificate");
	examine_key(bundle, arranged, purpose, findings);
	if (arranged->leaf != NULL) {
		bundle_examine_chain(arranged->leaf, arranged->chain, 0, purpose, findings);
		examine_order(bundle, arranged, findings);
		examine_left_out(bundle, arranged, findings);
	} else {
		for (i = 0; i < sk_X509_num(bundle->certs); i++) {
			examine_validity(sk_X509_value(bundle->certs, i), findings);
			examine_strength(sk_X509_value(bundle->certs, i), findings);
		}
	}
	ERR_clear_error();
}
