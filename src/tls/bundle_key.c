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

#define NEEDS_PASSPHRASE "the key is encrypted: set client_passphrase"
#define NOT_OPENED "client_passphrase does not open the key (a wrong passphrase, or a damaged key)"

/* True when the error queue says that an algorithm, and not the passphrase, was the trouble.  Empties the
 * queue. */
static bool drain_unsupported(char *reason, size_t reason_bytes)
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

static bool refuse_cipher(struct error *err)
{
	return error_set(err,
	    "the key is encrypted in a way that this OpenSSL does not offer (often RC2 or single DES); "
	    "encrypt it anew with: openssl pkcs8 -topk8 -v2 aes-256-cbc");
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
    const unsigned char *der, size_t len, const struct secret *passphrase, EVP_PKEY **key, struct error *err)
{
	const unsigned char *at = der;
	X509_SIG *sealed = d2i_X509_SIG(NULL, &at, (long)len);
	PKCS8_PRIV_KEY_INFO *info = NULL;
	char reason[128];

	if (sealed == NULL) {
		drain_unsupported(reason, sizeof(reason));
		return refuse_damaged(reason, err);
	}
	if (passphrase == NULL) {
		X509_SIG_free(sealed);
		return error_set(err, NEEDS_PASSPHRASE);
	}
	info = PKCS8_decrypt(sealed, secret_bytes(passphrase), (int)secret_len(passphrase));
	X509_SIG_free(sealed);
	if (info == NULL)
		return drain_unsupported(reason, sizeof(reason)) ? refuse_cipher(err)
								 : error_set(err, NOT_OPENED);
	*key = EVP_PKCS82PKEY(info);
	PKCS8_PRIV_KEY_INFO_free(info);
	if (*key == NULL) {
		drain_unsupported(reason, sizeof(reason));
		return refuse_damaged(reason, err);
	}
	return true;
}

bool bundle_key_decode(enum bundle_key_form form, const unsigned char *der, size_t len,
    const struct secret *passphrase, EVP_PKEY **key, struct error *err)
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
		return decode_pkcs8_encrypted(der, len, passphrase, key, err);
	case BUNDLE_KEY_PKCS1:
		*key = d2i_PrivateKey(EVP_PKEY_RSA, NULL, &at, (long)len);
		break;
	case BUNDLE_KEY_SEC1:
		*key = d2i_PrivateKey(EVP_PKEY_EC, NULL, &at, (long)len);
		break;
	}
	if (*key == NULL) {
		drain_unsupported(reason, sizeof(reason));
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

/* Decrypts the block in place. */
static bool open_traditional(
    struct bundle_pem_block *block, const struct secret *passphrase, struct error *err)
{
	EVP_CIPHER_INFO info;
	long len = (long)block->der_len;
	char reason[128];
	union { /* OpenSSL's callback argument is not const; on_passphrase() reads only. */
		const struct secret *secret;
		void *arg;
	} borrowed = {.secret = passphrase};

	if (!PEM_get_EVP_CIPHER_INFO(block->header, &info) || info.cipher == NULL) {
		ERR_clear_error();
		return refuse_cipher(err);
	}
	if (passphrase == NULL)
		return error_set(err, NEEDS_PASSPHRASE);
	if (!PEM_do_header(&info, block->der, &len, on_passphrase, borrowed.arg)) {
		if (drain_unsupported(reason, sizeof(reason)))
			return refuse_cipher(err);
		return error_set(err, NOT_OPENED);
	}
	block->der_len = (size_t)len;
	return true;
}

bool bundle_key_decode_block(enum bundle_key_form form, struct bundle_pem_block *block,
    const struct secret *passphrase, bool *encrypted, EVP_PKEY **key, struct error *err)
{
	bool traditional = strstr(block->header, "ENCRYPTED") != NULL;

	*key = NULL;
	*encrypted = traditional || form == BUNDLE_KEY_PKCS8_ENCRYPTED;
	ERR_clear_error();
	if (traditional && !open_traditional(block, passphrase, err))
		return false;
	if (bundle_key_decode(form, block->der, block->der_len, passphrase, key, err))
		return true;
	/* One wrong passphrase in 256 leaves padding that looks right, and noise instead of a key. */
	return traditional ? error_set(err, NOT_OPENED) : false;
}
