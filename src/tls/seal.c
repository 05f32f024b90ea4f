/* seal: see seal.h. */
#include "tls/seal.h"

#include <openssl/bio.h>
#include <openssl/cms.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tls/provider_key.h"
#include "tls/seal_internal.h"

/* Longer than any message for a sensible number of certificates; the reader's line is bounded as well. */
#define MESSAGE_MAX_BYTES 49152

/* RSA by OAEP instead of PKCS #1 v1.5, EC with a key derivation by SHA-256 instead of SHA-1. */
static bool add_recipient(CMS_ContentInfo *cms, X509 *cert)
{
	CMS_RecipientInfo *info = CMS_add1_recipient_cert(cms, cert, CMS_KEY_PARAM);
	EVP_PKEY_CTX *ctx;

	if (info == NULL)
		return false;
	ctx = CMS_RecipientInfo_get0_pkey_ctx(info);
	if (ctx == NULL)
		return false;
	if (!EVP_PKEY_is_a(X509_get0_pubkey(cert), "RSA"))
		return EVP_PKEY_CTX_set_ecdh_kdf_md(ctx, EVP_sha256()) == 1;
	return EVP_PKEY_CTX_set_rsa_padding(ctx, RSA_PKCS1_OAEP_PADDING) == 1 &&
	    EVP_PKEY_CTX_set_rsa_oaep_md(ctx, EVP_sha256()) == 1;
}

static char *to_text(CMS_ContentInfo *cms)
{
	unsigned char *der = NULL;
	int len = i2d_CMS_ContentInfo(cms, &der);
	char *text = NULL;

	if (len > 0 && len <= MESSAGE_MAX_BYTES) {
		size_t prefix = strlen(SEAL_PREFIX);

		text = mem_calloc(1, prefix + ((size_t)len + 2) / 3 * 4 + 1);
		memcpy(text, SEAL_PREFIX, prefix);
		EVP_EncodeBlock((unsigned char *)text + prefix, der, len);
	}
	OPENSSL_free(der);
	return text;
}

char *seal_make(const struct secret *secret, const struct seal_recipients *recipients, struct error *err)
{
	STACK_OF(X509) *certs = recipients->certs;
	BIO *plain = BIO_new_mem_buf(secret_bytes(secret), (int)secret_len(secret));
	CMS_ContentInfo *cms = CMS_encrypt(NULL, NULL, EVP_aes_256_gcm(), CMS_BINARY | CMS_PARTIAL);
	char *text = NULL;
	bool ok = plain != NULL && cms != NULL && sk_X509_num(certs) > 0;
	int i;

	for (i = 0; ok && i < sk_X509_num(certs); i++)
		ok = add_recipient(cms, sk_X509_value(certs, i));
	ok = ok && CMS_final(cms, plain, NULL, CMS_BINARY) == 1;
	if (ok)
		text = to_text(cms);
	if (text == NULL)
		error_set(err, "the secret cannot be sealed: %s",
		    ok ? "too long, or for too many certificates" : ERR_reason_error_string(ERR_peek_last_error()));
	ERR_clear_error();
	CMS_ContentInfo_free(cms);
	BIO_free(plain);
	return text;
}

static CMS_ContentInfo *from_text(const char *ref)
{
	const char *text = ref + strlen(SEAL_PREFIX);
	size_t len = strlen(text);
	unsigned char *der;
	const unsigned char *at;
	CMS_ContentInfo *cms = NULL;
	int decoded;

	if (len == 0 || len % 4 != 0 || len > MESSAGE_MAX_BYTES / 3 * 4 + 4)
		return NULL;
	der = mem_calloc(1, len / 4 * 3);
	decoded = EVP_DecodeBlock(der, (const unsigned char *)text, (int)len);
	if (decoded > 0) {
		at = der;
		/* EVP_DecodeBlock counts the padding as zeros; DER knows its own length. */
		cms = d2i_CMS_ContentInfo(NULL, &at, decoded);
		if (cms != NULL && der + decoded - at > 2) {
			CMS_ContentInfo_free(cms);
			cms = NULL;
		}
	}
	free(der);
	return cms;
}

/* Only what this program makes is opened: authenticated, so that a wrong key is no garbage but a failure. */
static bool is_ours(CMS_ContentInfo *cms)
{
	return cms != NULL && OBJ_obj2nid(CMS_get0_type(cms)) == NID_id_smime_ct_authEnvelopedData;
}

/* A CMS_ContentInfo is spent by an attempt, so each key gets its own. */
static struct secret *open_with(const char *ref, EVP_PKEY *key)
{
	CMS_ContentInfo *cms = from_text(ref);
	BIO *plain = BIO_new(BIO_s_secmem());
	struct secret *secret = NULL;
	char *bytes;
	long len;

	if (plain != NULL && is_ours(cms) && CMS_decrypt_set1_pkey(cms, key, NULL) == 1 &&
	    CMS_decrypt(cms, NULL, NULL, NULL, plain, CMS_BINARY) == 1) {
		len = BIO_get_mem_data(plain, &bytes);
		if (len > 0 && memchr(bytes, '\0', (size_t)len) == NULL)
			secret = secret_new(bytes, (size_t)len);
	}
	ERR_clear_error();
	BIO_free(plain);
	CMS_ContentInfo_free(cms);
	return secret;
}

bool seal_open_by(const char *ref, struct identity *const *identities, size_t count, struct secret **secret,
    struct error *err)
{
	EVP_PKEY **keys = mem_calloc(count, sizeof(*keys));
	size_t key_count = 0, i;
	bool ok;

	for (i = 0; i < count; i++) {
		EVP_PKEY *key = identities[i] == NULL ?
		    NULL : SSL_CTX_get0_privatekey(identity_ctx(identities[i]));

		if (key != NULL)
			keys[key_count++] = key;
	}
	ok = seal_open(ref, keys, key_count, secret, err);
	free(keys);
	return ok;
}

bool seal_open(const char *ref, EVP_PKEY *const *keys, size_t key_count, struct secret **secret,
    struct error *err)
{
	CMS_ContentInfo *cms;
	bool ours;
	size_t i;

	*secret = NULL;
	if (strncmp(ref, SEAL_PREFIX, strlen(SEAL_PREFIX)) != 0)
		return error_set(err, "not a sealed secret");
	cms = from_text(ref);
	ours = is_ours(cms);
	CMS_ContentInfo_free(cms);
	ERR_clear_error();
	if (!ours)
		return error_set(err, "the sealed secret is damaged: copy the line of `midrelay seal` again, "
		    "or seal it again");
	for (i = 0; i < key_count; i++) {
		*secret = provider_key_is(keys[i]) ? NULL : open_with(ref, keys[i]);
		if (*secret != NULL)
			return true;
	}
	for (i = 0; i < key_count; i++) {
		if (provider_key_is(keys[i]))
			return error_set(err, "the client key stays in its TPM or token and only signs: it "
			    "opens no sealed secret; use file: or cred: (systemd-creds can bind a credential "
			    "to the TPM)");
	}
	if (key_count == 0)
		return error_set(err, "there is no client key to open the sealed secret with");
	return error_set(err, "none of the configured client keys opens the sealed secret: "
	    "seal it again, `midrelay seal --cert CERTIFICATE`");
}
