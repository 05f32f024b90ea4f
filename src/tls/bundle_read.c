/*
 * bundle_read: tells what kind of file some bytes are, and turns its blocks into certificates and a key.
 *
 * It judges no content: which certificate belongs where is bundle_order's business.  Buffers that may have
 * held a key are wiped.
 */
#include "tls/bundle_read.h"

#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs7.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "tls/bundle_key.h"
#include "tls/bundle_pem.h"
#include "tls/bundle_pfx.h"
#include "tls/bundle_utf16.h"
#include "tls/provider_key.h"

#define MAX_BLOCKS_ALL 100
#define MAX_BLOCKS_CERTS 5000
#define MAX_CERTS_ALL 100 /* each may have to be tried as the issuer of every other */
#define ORIGIN_BYTES 512

#define IS_REQUEST                                                                                           \
	"is a certificate request, not a certificate: put in the certificate that the CA made from it"
#define IS_CRL "is a revocation list, which does not belong here"
#define IS_PKCS7 "is PKCS#7 with no certificate in it, or damaged: export the certificates again"
#define IS_PFX                                                                                               \
	"is PKCS#12 (PFX), which does not belong here; take the CA certificates out of it with: "            \
	"openssl pkcs12 -in FILE -cacerts -nokeys -out CA.pem"
#define IS_PUBLIC "is a public key only: the private key and the certificate are needed"

enum block_kind {
	BLOCK_CERT,
	BLOCK_TRUSTED_CERT, /* OpenSSL's own: a certificate with trust settings behind it */
	BLOCK_KEY,
	BLOCK_TSS2, /* a key that only the TPM that wrapped it can use */
	BLOCK_PFX,
	BLOCK_PKCS7, /* certificates without a key, as CAs on Windows hand them out */
	BLOCK_PUBLIC_KEY,
	BLOCK_PARAMETERS, /* `openssl ecparam` writes them beside keys, which carry their own */
	BLOCK_REFUSED,
};

struct block_type {
	const char *name;
	enum block_kind kind;
	enum bundle_key_form form; /* BLOCK_KEY */
	const char *why;           /* BLOCK_REFUSED */
};

static const struct block_type block_types[] = {
    {.name = "CERTIFICATE", .kind = BLOCK_CERT},
    {.name = "X509 CERTIFICATE", .kind = BLOCK_CERT},
    {.name = "TRUSTED CERTIFICATE", .kind = BLOCK_TRUSTED_CERT},
    {.name = "PRIVATE KEY", .kind = BLOCK_KEY, .form = BUNDLE_KEY_PKCS8},
    {.name = "ENCRYPTED PRIVATE KEY", .kind = BLOCK_KEY, .form = BUNDLE_KEY_PKCS8_ENCRYPTED},
    {.name = "RSA PRIVATE KEY", .kind = BLOCK_KEY, .form = BUNDLE_KEY_PKCS1},
    {.name = "EC PRIVATE KEY", .kind = BLOCK_KEY, .form = BUNDLE_KEY_SEC1},
    {.name = "TSS2 PRIVATE KEY", .kind = BLOCK_TSS2},
    {.name = "PUBLIC KEY", .kind = BLOCK_PUBLIC_KEY},
    {.name = "RSA PUBLIC KEY", .kind = BLOCK_PUBLIC_KEY},
    {.name = "EC PARAMETERS", .kind = BLOCK_PARAMETERS},
    {.name = "DH PARAMETERS", .kind = BLOCK_PARAMETERS},
    {.name = "X9.42 DH PARAMETERS", .kind = BLOCK_PARAMETERS},
    {.name = "CERTIFICATE REQUEST", .kind = BLOCK_REFUSED, .why = IS_REQUEST},
    {.name = "NEW CERTIFICATE REQUEST", .kind = BLOCK_REFUSED, .why = IS_REQUEST},
    {.name = "X509 CRL", .kind = BLOCK_REFUSED, .why = IS_CRL},
    {.name = "PKCS7", .kind = BLOCK_PKCS7},
    {.name = "PKCS12", .kind = BLOCK_PFX},
    {.name = "DSA PRIVATE KEY",
	.kind = BLOCK_REFUSED,
	.why = "is a DSA key, which is of no use in TLS: make a new key, RSA or ECDSA"},
    {.name = "OPENSSH PRIVATE KEY",
	.kind = BLOCK_REFUSED,
	.why = "is an OpenSSH key; convert a copy of it with: ssh-keygen -p -m PEM -f COPY"},
};

static const struct block_type unknown_type = {
    .kind = BLOCK_REFUSED,
    .why = "is of an unknown type: certificates and private keys are read",
};

static const struct block_type *block_type_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(block_types) / sizeof(block_types[0]); i++)
		if (strcmp(block_types[i].name, name) == 0)
			return &block_types[i];
	return &unknown_type;
}

/* Takes the certificate. */
static bool add_cert(struct bundle *found, X509 *cert, struct error *err)
{
	if (sk_X509_push(found->certs, cert) > 0)
		return true;
	X509_free(cert);
	return error_set(err, "out of memory");
}

static bool set_key(struct bundle *found, EVP_PKEY *key, bool encrypted, const char *file, struct error *err)
{
	if (found->key != NULL) {
		bool same = EVP_PKEY_eq(found->key, key) == 1;

		EVP_PKEY_free(key);
		ERR_clear_error();
		return same || error_set(err,
		    "is a second private key (the first is in %s): leave in the one that belongs to "
		    "the certificate",
		    found->key_file);
	}
	found->key = key;
	found->key_encrypted = encrypted;
	found->key_file = mem_strdup(file);
	return true;
}

static bool read_cert_block(
    const struct bundle_pem_block *block, bool trusted, struct bundle *found, struct error *err)
{
	const unsigned char *at = block->der;
	/* The settings stay with the certificate: the verification refuses an anchor that they rule out for its purpose. */
	X509 *cert = trusted ? d2i_X509_AUX(NULL, &at, (long)block->der_len)
			     : d2i_X509(NULL, &at, (long)block->der_len);

	ERR_clear_error();
	if (cert == NULL)
		return error_set(err, "is damaged or no certificate: copy the block again from its source");
	if (at != block->der + block->der_len) {
		X509_free(cert);
		return error_set(err, "has %zu more bytes behind the certificate",
		    block->der_len - (size_t)(at - block->der));
	}
	return add_cert(found, cert, err);
}

static bool read_key_block(const struct bundle_read *how, const struct block_type *type,
    struct bundle_pem_block *block, struct bundle *found, struct error *err)
{
	EVP_PKEY *key;
	bool encrypted;

	if (!bundle_key_decode_block(type->form, block, how->opening, &encrypted, &key, err))
		return false;
	return set_key(found, key, encrypted, how->name, err);
}

static bool read_tss2_block(const struct bundle_read *how, const struct bundle_pem_block *block,
    struct bundle *found, struct error *err)
{
	EVP_PKEY *key = provider_key_from_tss2(block->der, block->der_len, how->passphrase, err);

	return key != NULL && set_key(found, key, how->passphrase != NULL, how->name, err);
}

/* What a PFX hands over. */
struct pfx_target {
	const struct bundle_read *how;
	struct bundle *found;
};

static bool on_pfx_cert(void *arg, X509 *cert, unsigned number, struct error *err)
{
	struct pfx_target *target = arg;
	char name[ORIGIN_BYTES], *origin;

	origin = mem_printf("%s: entry %u (certificate)",
	    text_escape(target->how->name, strlen(target->how->name), name, sizeof(name)), number);
	bundle_cert_set_origin(cert, origin);
	free(origin);
	return add_cert(target->found, cert, err);
}

static bool on_pfx_key(void *arg, EVP_PKEY *key, unsigned number, struct error *err)
{
	struct pfx_target *target = arg;
	char name[ORIGIN_BYTES];

	if (!set_key(target->found, key, target->how->passphrase != NULL, target->how->name, err))
		return error_prefix(err, "entry %u (key)", number);
	if (target->found->key_origin == NULL)
		target->found->key_origin = mem_printf("%s: entry %u (key)",
		    text_escape(target->how->name, strlen(target->how->name), name, sizeof(name)), number);
	return true;
}

static bool read_pfx(const struct bundle_read *how, const unsigned char *der, size_t len,
    struct bundle *found, struct error *err)
{
	struct pfx_target target = {how, found};
	const struct bundle_pfx_sink sink = {on_pfx_cert, on_pfx_key, &target};

	return bundle_pfx_read(der, len, how->opening, &sink, err);
}

static bool read_pkcs7(const unsigned char *der, size_t len, struct bundle *found, struct error *err)
{
	const unsigned char *at = der;
	PKCS7 *pkcs7 = d2i_PKCS7(NULL, &at, (long)len);
	STACK_OF(X509) *certs =
	    pkcs7 != NULL && PKCS7_type_is_signed(pkcs7) && pkcs7->d.sign != NULL ?
	    pkcs7->d.sign->cert : NULL;
	bool ok = sk_X509_num(certs) > 0;
	int i;

	ERR_clear_error();
	if (!ok)
		error_set(err, IS_PKCS7);
	for (i = 0; ok && i < sk_X509_num(certs); i++) {
		X509 *cert = sk_X509_value(certs, i);

		X509_up_ref(cert);
		ok = add_cert(found, cert, err);
	}
	PKCS7_free(pkcs7);
	return ok;
}

/* What the certificate-only modes make of a block that is none. */
static bool read_foreign_block(const struct bundle_read *how, struct error *err)
{
	if (how->mode == BUNDLE_READ_CERTS_AMONG)
		return true;
	return error_set(err, "is not a certificate: only CA certificates belong here");
}

/* Says of what was just found where it was; `what` is the block or the kind of file. */
static void mark_origin(const struct bundle_read *how, const char *what, struct bundle *found)
{
	char name[ORIGIN_BYTES], *origin;
	int i;

	text_escape(how->name, strlen(how->name), name, sizeof(name));
	origin = mem_printf("%s: %s", name, what);
	for (i = sk_X509_num(found->certs) - 1;
	     i >= 0 && *bundle_cert_origin(sk_X509_value(found->certs, i)) == '\0'; i--)
		bundle_cert_set_origin(sk_X509_value(found->certs, i), origin);
	if (found->key != NULL && found->key_origin == NULL)
		found->key_origin = mem_strdup(origin);
	free(origin);
}

static void mark_block(
    const struct bundle_read *how, const struct bundle_pem_block *block, struct bundle *found)
{
	char what[BUNDLE_PEM_TYPE_BYTES + 64];

	snprintf(what, sizeof(what), "block %u (%s, line %u)", block->number, block->type, block->line);
	mark_origin(how, what, found);
}

static bool read_block(const struct bundle_read *how, struct bundle_pem_block *block, struct bundle *found,
    bool *saw_public_key, struct error *err)
{
	const struct block_type *type = block_type_find(block->type);
	bool certs_only = how->mode != BUNDLE_READ_ALL;

	switch (type->kind) {
	case BLOCK_CERT:
		return read_cert_block(block, false, found, err);
	case BLOCK_TRUSTED_CERT:
		return read_cert_block(block, true, found, err);
	case BLOCK_KEY:
		return certs_only ? read_foreign_block(how, err)
				  : read_key_block(how, type, block, found, err);
	case BLOCK_TSS2:
		return certs_only ? read_foreign_block(how, err) : read_tss2_block(how, block, found, err);
	case BLOCK_PFX:
		return certs_only ? read_foreign_block(how, err)
				  : read_pfx(how, block->der, block->der_len, found, err);
	case BLOCK_PKCS7:
		return read_pkcs7(block->der, block->der_len, found, err) ||
		       how->mode == BUNDLE_READ_CERTS_AMONG;
	case BLOCK_PUBLIC_KEY:
		*saw_public_key = true;
		return certs_only ? read_foreign_block(how, err) : true;
	case BLOCK_PARAMETERS:
		return true;
	case BLOCK_REFUSED:
		return how->mode == BUNDLE_READ_CERTS_AMONG ? true : error_set(err, "%s", type->why);
	}
	return false;
}

static bool read_pem(
    const struct bundle_read *how, const char *bytes, size_t len, struct bundle *found, struct error *err)
{
	unsigned max_blocks = how->mode == BUNDLE_READ_ALL ? MAX_BLOCKS_ALL : MAX_BLOCKS_CERTS;
	bool saw_public_key = false, ok;
	int certs_before = sk_X509_num(found->certs);
	struct bundle_pem pem;
	struct bundle_pem_block block;
	enum bundle_pem_result result;

	bundle_pem_start(&pem, bytes, len);
	while ((result = bundle_pem_next(&pem, &block, err)) == BUNDLE_PEM_BLOCK) {
		ok = pem.count <= max_blocks;
		if (!ok)
			error_set(err, "is one block too many: at most %u are read", max_blocks);
		else
			ok = read_block(how, &block, found, &saw_public_key, err);
		if (!ok)
			bundle_pem_prefix(&block, err);
		else if (how->mode == BUNDLE_READ_ALL)
			mark_block(how, &block, found);
		bundle_pem_block_clear(&block);
		if (!ok)
			return false;
	}
	if (result == BUNDLE_PEM_FAULT)
		return false;
	if (pem.count == 0)
		return error_set(
		    err, "is neither PEM (no \"-----BEGIN CERTIFICATE-----\" or the like in it) nor DER");
	if (saw_public_key && found->key == NULL && sk_X509_num(found->certs) == certs_before)
		return error_set(err, IS_PUBLIC);
	return true;
}

/*
 * DER begins with a SEQUENCE.  0x30 is also the digit '0', so the length behind it must be in the long form,
 * which is no text, or fit the file.
 */
static bool looks_like_der(const unsigned char *bytes, size_t len)
{
	return len > 2 && bytes[0] == 0x30 && (bytes[1] >= 0x80 || (size_t)bytes[1] + 2 == len);
}

/* Names what a DER file is when it is neither a certificate nor a key. */
static bool refuse_der(const unsigned char *bytes, size_t len, struct error *err)
{
	const unsigned char *at = bytes;
	PKCS12 *pfx = d2i_PKCS12(NULL, &at, (long)len);
	X509_REQ *request = d2i_X509_REQ(NULL, (at = bytes, &at), (long)len);
	X509_CRL *crl = d2i_X509_CRL(NULL, (at = bytes, &at), (long)len);
	PKCS7 *pkcs7 = d2i_PKCS7(NULL, (at = bytes, &at), (long)len);
	EVP_PKEY *public_key = d2i_PUBKEY(NULL, (at = bytes, &at), (long)len);
	const char *why =
	    pfx != NULL       ? IS_PFX
	    : request != NULL ? IS_REQUEST
	    : crl != NULL     ? IS_CRL
	    : pkcs7 != NULL   ? IS_PKCS7
	    : public_key != NULL
		? IS_PUBLIC
		: "is DER, but neither a certificate nor a private key, or it is damaged or cut short";

	PKCS12_free(pfx);
	X509_REQ_free(request);
	X509_CRL_free(crl);
	PKCS7_free(pkcs7);
	EVP_PKEY_free(public_key);
	ERR_clear_error();
	return error_set(err, "%s", why);
}

static bool read_der_key(const struct bundle_read *how, const unsigned char *bytes, size_t len,
    struct bundle *found, struct error *err)
{
	static const enum bundle_key_form plain[] = {BUNDLE_KEY_PKCS8, BUNDLE_KEY_PKCS1, BUNDLE_KEY_SEC1};
	const unsigned char *at = bytes;
	EVP_PKEY *key;
	X509_SIG *sealed;
	size_t i;

	for (i = 0; i < sizeof(plain) / sizeof(plain[0]); i++)
		if (bundle_key_decode(plain[i], bytes, len, how->opening, &key, err))
			return set_key(found, key, false, how->name, err);
	sealed = d2i_X509_SIG(NULL, &at, (long)len);
	X509_SIG_free(sealed);
	if (sealed == NULL)
		return refuse_der(bytes, len, err);
	if (!bundle_key_decode(BUNDLE_KEY_PKCS8_ENCRYPTED, bytes, len, how->opening, &key, err))
		return false;
	return set_key(found, key, true, how->name, err);
}

static bool is_signed_data(const unsigned char *bytes, size_t len)
{
	PKCS7 *pkcs7 = d2i_PKCS7(NULL, &bytes, (long)len);
	bool is = pkcs7 != NULL && PKCS7_type_is_signed(pkcs7);

	PKCS7_free(pkcs7);
	ERR_clear_error();
	return is;
}

static bool read_der(const struct bundle_read *how, const unsigned char *bytes, size_t len,
    struct bundle *found, struct error *err)
{
	const unsigned char *at = bytes;
	X509 *cert = d2i_X509(NULL, &at, (long)len);

	ERR_clear_error();
	if (cert != NULL && at != bytes + len) {
		error_set(err, "has %zu more bytes behind the certificate", len - (size_t)(at - bytes));
		X509_free(cert);
		return false;
	}
	if (cert != NULL)
		return add_cert(found, cert, err);
	if (is_signed_data(bytes, len))
		return read_pkcs7(bytes, len, found, err) || how->mode == BUNDLE_READ_CERTS_AMONG;
	if (how->mode == BUNDLE_READ_ALL && bundle_pfx_is(bytes, len))
		return read_pfx(how, bytes, len, found, err);
	if (how->mode == BUNDLE_READ_ALL)
		return read_der_key(how, bytes, len, found, err);
	return how->mode == BUNDLE_READ_CERTS_AMONG ? true : refuse_der(bytes, len, err);
}

static bool read_content_of(
    const struct bundle_read *how, const char *bytes, size_t len, struct bundle *found, struct error *err)
{
	const unsigned char *raw = (const unsigned char *)bytes;
	char *text;
	size_t text_len;
	bool ok;

	if (looks_like_der(raw, len)) {
		ok = read_der(how, raw, len, found, err);
		if (ok && how->mode == BUNDLE_READ_ALL)
			mark_origin(how, "DER", found);
		return ok;
	}
	if (!bundle_utf16_is(raw, len))
		return read_pem(how, bytes, len, found, err);
	bundle_utf16_to_ascii(raw, len, &text, &text_len);
	ok = read_pem(how, text, text_len, found, err);
	OPENSSL_cleanse(text, text_len);
	free(text);
	return ok;
}

bool bundle_read_bytes(
    const struct bundle_read *named, const char *bytes, size_t len, struct bundle *found, struct error *err)
{
	struct bundle_opening opening = {.passphrase = named->passphrase, .budget = BUNDLE_PBE_BUDGET};
	struct bundle_read how = *named;
	bool ok;

	how.opening = &opening;
	if (len > BUNDLE_MAX_FILE_BYTES)
		ok = error_set(err, "is larger than 1 MiB");
	else if (len == 0)
		ok = error_set(err, "is empty");
	else
		ok = read_content_of(&how, bytes, len, found, err);
	if (ok && how.mode == BUNDLE_READ_ALL && sk_X509_num(found->certs) > MAX_CERTS_ALL)
		ok = error_set(err, "holds %d certificates: at most %d are read", sk_X509_num(found->certs), MAX_CERTS_ALL);
	return ok ? true : error_prefix(err, "%s", how.name);
}
