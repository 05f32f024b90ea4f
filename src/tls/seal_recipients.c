/* seal_recipients: which certificates a secret is sealed to; see seal.h. */
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tls/bundle.h"
#include "tls/provider_key.h"
#include "tls/seal_internal.h"

#define SIGNS_ONLY "stays in its TPM or token and only signs: it would not open what is sealed to it"

static bool check_cert(X509 *cert, const char *name, struct error *err)
{
	EVP_PKEY *key = X509_get0_pubkey(cert);
	char subject[200];

	bundle_name_text(X509_get_subject_name(cert), subject, sizeof(subject));
	if (key == NULL)
		return error_set(err, "%s: the key of %s is of a kind that OpenSSL does not know", name,
		    subject);
	/* The key usage bits bind those who rely on the certificate; here its owner writes to himself. */
	if (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "EC"))
		return true;
	return error_set(err, "%s: a %s key (%s) can only sign, nothing can be encrypted to it: use one with "
	    "an RSA or EC key", name, EVP_PKEY_get0_type_name(key), subject);
}

struct seal_recipients *seal_recipients_new(void)
{
	struct seal_recipients *recipients = mem_calloc(1, sizeof(*recipients));

	recipients->certs = sk_X509_new_null();
	midrelay_assert(recipients->certs != NULL);
	return recipients;
}

void seal_recipients_free(struct seal_recipients *recipients)
{
	if (recipients == NULL)
		return;
	sk_X509_pop_free(recipients->certs, X509_free);
	free(recipients);
}

size_t seal_recipients_count(const struct seal_recipients *recipients)
{
	return (size_t)sk_X509_num(recipients->certs);
}

static bool has_key_of(const struct seal_recipients *recipients, X509 *cert)
{
	int i;

	for (i = 0; i < sk_X509_num(recipients->certs); i++) {
		if (EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(recipients->certs, i)),
		    X509_get0_pubkey(cert)) == 1)
			return true;
	}
	return false;
}

static bool add_cert(struct seal_recipients *recipients, X509 *cert, const char *name, struct error *err)
{
	if (has_key_of(recipients, cert))
		return true;
	if (!check_cert(cert, name, err))
		return false;
	return X509_add_cert(recipients->certs, cert, X509_ADD_FLAG_UP_REF) == 1 ||
	    error_set(err, "%s: out of memory", name);
}

bool seal_recipients_add_file(struct seal_recipients *recipients, const char *file, struct error *err)
{
	struct bundle *bundle = bundle_new();
	X509 *leaf = NULL;
	bool ok = bundle_add_file(bundle, file, NULL, err);
	int i;

	for (i = 0; ok && leaf == NULL && i < sk_X509_num(bundle->certs); i++) {
		X509 *cert = sk_X509_value(bundle->certs, i);

		if (bundle->key != NULL ? X509_check_private_key(cert, bundle->key) == 1 :
		    (X509_get_extension_flags(cert) & EXFLAG_CA) == 0)
			leaf = cert;
	}
	/* The words of the bundle are for those who need the key, and can tell its passphrase. */
	if (!ok && strstr(err->text, "client_passphrase") != NULL)
		error_set(err, "%s: the key in it is encrypted, and is not needed: name a file with the certificate alone "
		    "(midrelay bundle make --leaf OUT writes one)", file);
	if (ok && leaf == NULL)
		ok = error_set(err, "%s: there is no client certificate in it", file);
	if (ok && bundle->key != NULL && provider_key_is(bundle->key))
		ok = error_set(err, "%s: the key in it " SIGNS_ONLY, file);
	ok = ok && add_cert(recipients, leaf, file, err);
	bundle_free(bundle);
	return ok;
}

bool seal_recipients_add_identity(struct seal_recipients *recipients, const struct identity *identity,
    const char *name, struct error *err)
{
	X509 *cert = SSL_CTX_get0_certificate(identity_ctx(identity));
	EVP_PKEY *key = SSL_CTX_get0_privatekey(identity_ctx(identity));

	if (key != NULL && provider_key_is(key))
		return error_set(err, "%s: its client key " SIGNS_ONLY, name);
	return cert != NULL ? add_cert(recipients, cert, name, err) : error_set(err,
	    "%s has no client certificate", name);
}

bool seal_recipients_include(const struct seal_recipients *recipients, const struct identity *identity)
{
	X509 *cert = SSL_CTX_get0_certificate(identity_ctx(identity));

	return cert != NULL && has_key_of(recipients, cert);
}
