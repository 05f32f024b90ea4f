/*
 * bundle_key: decodes private keys with OpenSSL, and tells a missing passphrase from a wrong one, and both
 * from a cipher that this OpenSSL does not have.  OpenSSL is never given a chance to prompt.
 */
#include "tls/bundle_key.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/x509.h>
#include <string.h>

#include "base/text.h"
#include "tls/bundle.h"
#include "tls/bundle_pbe.h"

#define NEEDS_PASSPHRASE "the key is encrypted: set client_passphrase (for `midrelay bundle`: --passphrase)"
#define NOT_OPENED "the passphrase does not open the key (a wrong passphrase, or a damaged key)"
#define MAX_SIGNATURE_BYTES 4096

static bool refuse_cipher(const char *cipher, struct error *err)
{
	return error_set(err,
	    "the key is encrypted with %s, which OpenSSL has in its legacy provider at most; encrypt it anew "
	    "with: openssl pkcs8 -topk8 -provider legacy -provider default -v2 aes-256-cbc -in OLD -out NEW",
	    cipher);
}

static bool refuse_damaged(const char *reason, struct error *err)
{
	return error_set(err, "the key is damaged or of a kind that OpenSSL does not know%s%s%s",
	    reason[0] == '\0' ? "" : " (", reason, reason[0] == '\0' ? "" : ")");
}

static bool decode_pkcs8(const unsigned char *der, size_t len, EVP_PKEY **key)
{
	const unsigned char *at = der;
	PKCS8_PRIV_KEY_INFO *info = d2i_PKCS8_PRIV_KEY_INFO(NULL, &at, (long)len);

	if (info == NULL)
		return false;
	*key = EVP_PKCS82PKEY(info);
	PKCS8_PRIV_KEY_INFO_free(info);
	return *key != NULL;
}

static bool decode_pkcs8_encrypted(
    const unsigned char *der, size_t len, struct bundle_opening *opening, EVP_PKEY **key, struct error *err)
{
	const unsigned char *at = der;
	X509_SIG *sealed = d2i_X509_SIG(NULL, &at, (long)len);
	const X509_ALGOR *algorithm = NULL;
	PKCS8_PRIV_KEY_INFO *info = NULL;
	char reason[128], cipher[BUNDLE_PBE_NAME_BYTES];

	if (sealed == NULL) {
		bundle_pbe_drain_unsupported(reason, sizeof(reason));
		return refuse_damaged(reason, err);
	}
	if (opening->passphrase == NULL) {
		X509_SIG_free(sealed);
		return error_set(err, NEEDS_PASSPHRASE);
	}
	X509_SIG_get0(sealed, &algorithm, NULL);
	if (!bundle_pbe_spend(algorithm, &opening->budget, err)) {
		X509_SIG_free(sealed);
		return error_prefix(err, "the key");
	}
	bundle_pbe_cipher_name(algorithm, cipher);
	info = PKCS8_decrypt(sealed, secret_bytes(opening->passphrase), (int)secret_len(opening->passphrase));
	X509_SIG_free(sealed);
	if (info == NULL)
		return bundle_pbe_drain_unsupported(reason, sizeof(reason)) ? refuse_cipher(cipher, err)
								 : error_set(err, NOT_OPENED);
	*key = EVP_PKCS82PKEY(info);
	PKCS8_PRIV_KEY_INFO_free(info);
	if (*key == NULL) {
		bundle_pbe_drain_unsupported(reason, sizeof(reason));
		return refuse_damaged(reason, err);
	}
	return true;
}

bool bundle_key_decode(enum bundle_key_form form, const unsigned char *der, size_t len,
    struct bundle_opening *opening, EVP_PKEY **key, struct error *err)
{
	const unsigned char *at = der;
	char reason[128];

	*key = NULL;
	ERR_clear_error();
	switch (form) {
	case BUNDLE_KEY_PKCS8:
		decode_pkcs8(der, len, key);
		break;
	case BUNDLE_KEY_PKCS8_ENCRYPTED:
		return decode_pkcs8_encrypted(der, len, opening, key, err);
	case BUNDLE_KEY_PKCS1:
		*key = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &at, (long)len);
		break;
	case BUNDLE_KEY_SEC1:
		*key = d2i_PrivateKey(EVP_PKEY_EC, NULL, &at, (long)len);
		break;
	}
	if (*key == NULL) {
		bundle_pbe_drain_unsupported(reason, sizeof(reason));
		return refuse_damaged(reason, err);
	}
	return true;
}

/* OpenSSL's passphrase callback: the length, or -1, which ends the attempt (0 would be an empty passphrase).
 */
static int on_passphrase(char *buf, int buf_bytes, int writing, void *arg)
{
	const struct secret *passphrase = arg;

	if (writing != 0 || passphrase == NULL || secret_len(passphrase) > (size_t)buf_bytes)
		return -1;
	memcpy(buf, secret_bytes(passphrase), secret_len(passphrase));
	return (int)secret_len(passphrase);
}

/* "DES-CBC" out of "DEK-Info: DES-CBC,36055DA9…" (RFC 1421 4.6.1.3). */
static const char *traditional_cipher(const char *header, char buf[BUNDLE_PBE_NAME_BYTES])
{
	static const char label[] = "DEK-Info: ";
	const char *at = strstr(header, label);

	at = at == NULL ? "" : at + strlen(label);
	return text_escape(at, strcspn(at, ",\n"), buf, BUNDLE_PBE_NAME_BYTES);
}

/* Decrypts the block in place. */
static bool open_traditional(
    struct bundle_pem_block *block, const struct secret *passphrase, struct error *err)
{
	EVP_CIPHER_INFO info;
	long len = (long)block->der_len;
	char reason[128], cipher[BUNDLE_PBE_NAME_BYTES];
	union { /* OpenSSL's callback argument is not const; on_passphrase() reads only. */
		const struct secret *secret;
		void *arg;
	} borrowed = {.secret = passphrase};

	traditional_cipher(block->header, cipher);
	if (!PEM_get_EVP_CIPHER_INFO(block->header, &info) || info.cipher == NULL) {
		ERR_clear_error();
		return refuse_cipher(cipher, err);
	}
	if (passphrase == NULL)
		return error_set(err, NEEDS_PASSPHRASE);
	if (!PEM_do_header(&info, block->der, &len, on_passphrase, borrowed.arg)) {
		if (bundle_pbe_drain_unsupported(reason, sizeof(reason)))
			return refuse_cipher(cipher, err);
		return error_set(err, NOT_OPENED);
	}
	block->der_len = (size_t)len;
	return true;
}

bool bundle_key_decode_block(enum bundle_key_form form, struct bundle_pem_block *block,
    struct bundle_opening *opening, bool *encrypted, EVP_PKEY **key, struct error *err)
{
	bool traditional = strstr(block->header, "ENCRYPTED") != NULL;

	*key = NULL;
	*encrypted = traditional || form == BUNDLE_KEY_PKCS8_ENCRYPTED;
	ERR_clear_error();
	if (traditional && !open_traditional(block, opening->passphrase, err))
		return false;
	if (bundle_key_decode(form, block->der, block->der_len, opening, key, err))
		return true;
	/* One wrong passphrase in 256 leaves padding that looks right, and noise instead of a key. */
	return traditional ? error_set(err, NOT_OPENED) : false;
}

bool bundle_key_signs(EVP_PKEY *key, X509 *cert)
{
	static const unsigned char message[] = "midrelay";
	const EVP_MD *digest =
	    EVP_PKEY_is_a(key, "ED25519") || EVP_PKEY_is_a(key, "ED448") ? NULL : EVP_sha256();
	unsigned char signature[MAX_SIGNATURE_BYTES];
	size_t len = sizeof(signature);
	EVP_MD_CTX *signer = EVP_MD_CTX_new(), *verifier = EVP_MD_CTX_new();
	bool ok = signer != NULL && verifier != NULL &&
		  EVP_DigestSignInit(signer, NULL, digest, NULL, key) == 1 &&
		  EVP_DigestSign(signer, signature, &len, message, sizeof(message)) == 1 &&
		  EVP_DigestVerifyInit(verifier, NULL, digest, NULL, X509_get0_pubkey(cert)) == 1 &&
		  EVP_DigestVerify(verifier, signature, len, message, sizeof(message)) == 1;

	EVP_MD_CTX_free(signer);
	EVP_MD_CTX_free(verifier);
	ERR_clear_error();
	return ok;
}
