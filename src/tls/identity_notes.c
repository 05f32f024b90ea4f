/*
 * identity_notes: warnings about a client certificate that is accepted.  What cannot work anywhere is refused
 * by identity.c and is not looked at here.
 */
#include "tls/identity_notes.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <string.h>

#include "tls/bundle.h"

#define NAME_TEXT_BYTES 256
#define NOTE_TEXT_BYTES 1024

struct notes {
	const char *key;
	identity_note_fn *note;
	void *arg;
};

static void PRINTF_LIKE(3, 4) add_note(const struct notes *notes, X509 *cert, const char *fmt, ...)
{
	char name[NAME_TEXT_BYTES], sentence[NOTE_TEXT_BYTES / 2], text[NOTE_TEXT_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(sentence, sizeof(sentence), fmt, ap);
	va_end(ap);
	bundle_name_text(X509_get_subject_name(cert), name, sizeof(name));
	snprintf(text, sizeof(text), "certificate %s %s", name, sentence);
	notes->note(notes->arg, notes->key, text);
}

static void note_usage(const struct notes *notes, X509 *leaf)
{
	uint32_t flags = X509_get_extension_flags(leaf);

	if ((flags & EXFLAG_XKUSAGE) == 0)
		add_note(notes, leaf,
		    "has no Extended Key Usage: the instance wants Client Authentication "
		    "(1.3.6.1.5.5.7.3.2) in it");
	else if ((X509_get_extended_key_usage(leaf) & XKU_SSL_CLIENT) == 0)
		add_note(notes, leaf,
		    "is not meant for Client Authentication (1.3.6.1.5.5.7.3.2 is missing from its "
		    "Extended Key Usage): servers refuse it");
	if ((flags & EXFLAG_KUSAGE) != 0 && (X509_get_key_usage(leaf) & KU_DIGITAL_SIGNATURE) == 0)
		add_note(notes, leaf,
		    "may not sign (digitalSignature is missing from its Key Usage), which TLS clients do");
}

static void note_validity(const struct notes *notes, X509 *cert)
{
	long long left, since;
	char when[64];

	if (!bundle_validity(cert, &left, &since))
		add_note(notes, cert, "has an unreadable validity");
	else if (left < 0)
		add_note(notes, cert, "has expired at %s",
		    bundle_time_text(X509_get0_notAfter(cert), when, sizeof(when)));
	else if (since < 0)
		add_note(notes, cert, "is not valid before %s",
		    bundle_time_text(X509_get0_notBefore(cert), when, sizeof(when)));
}

static void note_strength(const struct notes *notes, X509 *cert)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	int digest = NID_undef, bits = key == NULL ? 0 : EVP_PKEY_get_bits(key);

	if (key != NULL && (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "RSA-PSS")) && bits < 2048)
		add_note(notes, cert,
		    "has an RSA key of %d bits only: 2048 is the least that is accepted widely", bits);
	/* A root's own signature is looked at by nobody. */
	if (X509_self_signed(cert, 0) != 1 && X509_get_signature_info(cert, &digest, NULL, NULL, NULL) == 1 &&
	    (digest == NID_sha1 || digest == NID_md5))
		add_note(notes, cert, "is signed with %s, which is widely refused", OBJ_nid2sn(digest));
}

static void note_curve(const struct notes *notes, X509 *leaf)
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
		add_note(
		    notes, leaf, "has a key on the curve %s: TLS 1.3 has only P-256, P-384 and P-521", group);
}

static void note_chain(const struct notes *notes, X509 *leaf, STACK_OF(X509) *chain, size_t left_out)
{
	int count = sk_X509_num(chain);
	X509 *last = count > 0 ? sk_X509_value(chain, count - 1) : leaf;
	char issuer[NAME_TEXT_BYTES];

	if (X509_self_signed(leaf, 0) == 1) {
		add_note(notes, leaf, "is self-signed: the instance wants one that a CA issued");
	} else if (X509_self_signed(last, 0) != 1) {
		bundle_name_text(X509_get_issuer_name(last), issuer, sizeof(issuer));
		add_note(notes, leaf,
		    "comes with a chain that does not end in a root: the certificate of %s is missing",
		    issuer);
	}
	if (left_out > 0)
		add_note(notes, leaf, "does not need %zu other certificate%s in the file%s, left out",
		    left_out, left_out == 1 ? "" : "s", left_out == 1 ? "" : "s");
}

void identity_notes(
    X509 *leaf, STACK_OF(X509) *chain, size_t left_out, const char *key, identity_note_fn *note, void *arg)
{
	struct notes notes = {.key = key, .note = note, .arg = arg};
	int i;

	note_usage(&notes, leaf);
	note_curve(&notes, leaf);
	note_chain(&notes, leaf, chain, left_out);
	note_validity(&notes, leaf);
	note_strength(&notes, leaf);
	for (i = 0; i < sk_X509_num(chain); i++) {
		note_validity(&notes, sk_X509_value(chain, i));
		note_strength(&notes, sk_X509_value(chain, i));
	}
	ERR_clear_error();
}
