/*
 * bundle_make: writes an ordered bundle, and the parts of it that are uploaded.  It refuses what
 * bundle_findings says would not work.
 */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include "base/replace.h"
#include "tls/bundle_write.h"
#include "tls/provider_key.h"

/* Memory BIOs wipe what they held when they are freed or grow. */
static bool write_bio(const char *file, BIO *bio, bool filled, mode_t mode, struct error *err)
{
	char *bytes = NULL;
	long len = bio == NULL ? 0 : BIO_get_mem_data(bio, &bytes);
	bool ok;

	ERR_clear_error();
	if (filled && len > 0)
		ok = replace_file(file, bytes, (size_t)len, mode, err);
	else
		ok = error_set(err, "%s: OpenSSL cannot write it as PEM", file);
	BIO_free(bio);
	return ok;
}

static bool add_chain(BIO *bio, STACK_OF(X509) *chain)
{
	int i;

	for (i = 0; i < sk_X509_num(chain); i++)
		if (PEM_write_bio_X509(bio, sk_X509_value(chain, i)) != 1)
			return false;
	return true;
}

static bool write_full(
    const char *file, const struct bundle *bundle, const struct bundle_arranged *arranged, struct error *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	bool filled = bio != NULL && PEM_write_bio_X509(bio, arranged->leaf) == 1 &&
		      add_chain(bio, arranged->chain) &&
		      PEM_write_bio_PKCS8PrivateKey(bio, bundle->key, NULL, NULL, 0, NULL, NULL) == 1;

	return write_bio(file, bio, filled, 0600, err);
}

static bool write_leaf(const char *file, const struct bundle_arranged *arranged, struct error *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	bool filled = bio != NULL && PEM_write_bio_X509(bio, arranged->leaf) == 1;

	return write_bio(file, bio, filled, 0644, err);
}

static bool write_chain(const char *file, const struct bundle_arranged *arranged, struct error *err)
{
	BIO *bio = BIO_new(BIO_s_mem());
	bool filled = bio != NULL && add_chain(bio, arranged->chain);

	return write_bio(file, bio, filled, 0644, err);
}

bool bundle_make(const struct bundle *bundle, const struct bundle_outputs *outputs,
    struct bundle_findings *findings, struct error *err)
{
	struct bundle_arranged arranged;
	bool ok;

	bundle_arrange(bundle, &arranged);
	bundle_examine(bundle, &arranged, BUNDLE_PURPOSE_CLIENT, findings);
	if (bundle_findings_worst(findings) == BUNDLE_SEVERITY_REFUSED || arranged.leaf == NULL)
		ok = error_set(err, "nothing was written: this would not work");
	else if (outputs->full != NULL && bundle->key != NULL && provider_key_is(bundle->key))
		ok = error_set(err, "nothing was written: the key (%.600s) cannot leave its TPM or token, so "
		    "it cannot be put into a bundle; leave out -o and write the parts to upload by --leaf "
		    "and --chain, and name the key itself by client_key beside client_cert and client_chain",
		    bundle->key_origin);
	else
		ok = (outputs->full == NULL || write_full(outputs->full, bundle, &arranged, err)) &&
		     (outputs->leaf == NULL || write_leaf(outputs->leaf, &arranged, err)) &&
		     (outputs->chain == NULL || write_chain(outputs->chain, &arranged, err));
	bundle_arranged_clear(&arranged);
	return ok;
}
