/* pki: see pki.h. */
#include "pki.h"

#include <dirent.h>
#include <fcntl.h>
#include <openssl/asn1.h>
#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

EVP_PKEY *pki_key(const char *kind)
{
	EVP_PKEY *key;

	if (strcmp(kind, "rsa1024") == 0)
		key = EVP_RSA_gen(1024);
	else if (strcmp(kind, "rsa2048") == 0)
		key = EVP_RSA_gen(2048);
	else if (strcmp(kind, "p256") == 0)
		key = EVP_EC_gen("P-256");
	else if (strcmp(kind, "p384") == 0)
		key = EVP_EC_gen("P-384");
	else if (strcmp(kind, "p521") == 0)
		key = EVP_EC_gen("P-521");
	else if (strcmp(kind, "secp256k1") == 0)
		key = EVP_EC_gen("secp256k1");
	else if (strcmp(kind, "ed25519") == 0)
		key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	else
		key = EVP_PKEY_Q_keygen(NULL, NULL, "X25519");
	assert_non_null(key);
	return key;
}

static void set_cn(X509_NAME *name, const char *cn)
{
	assert_true(
	    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0));
}

static void add_extension(X509 *cert, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	assert_non_null(extension);
	assert_true(X509_add_ext(cert, extension, -1));
	X509_EXTENSION_free(extension);
}

X509 *pki_cert(const struct pki_cert *want)
{
	static long serial;
	X509 *cert = X509_new();
	EVP_PKEY *signer = want->issuer_cn == NULL ? want->key : want->issuer_key;
	X509_NAME *issuer = X509_NAME_new();
	long starts = want->starts_s == 0 && want->ends_s == 0 ? -3600 : want->starts_s;
	long ends = want->starts_s == 0 && want->ends_s == 0 ? 365L * 86400 : want->ends_s;
	const EVP_MD *digest = want->digest != NULL ? want->digest : EVP_sha256();

	assert_non_null(cert);
	assert_true(X509_set_version(cert, X509_VERSION_3));
	assert_true(ASN1_INTEGER_set(X509_get_serialNumber(cert), ++serial));
	assert_non_null(X509_gmtime_adj(X509_getm_notBefore(cert), starts));
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(cert), ends));
	set_cn(X509_get_subject_name(cert), want->cn);
	set_cn(issuer, want->issuer_cn == NULL ? want->cn : want->issuer_cn);
	assert_true(X509_set_issuer_name(cert, issuer));
	X509_NAME_free(issuer);
	assert_true(X509_set_pubkey(cert, want->key));
	add_extension(cert, NID_basic_constraints, want->ca ? "critical,CA:TRUE" : "critical,CA:FALSE");
	if (want->key_usage != NULL || want->ca)
		add_extension(
		    cert, NID_key_usage, want->key_usage != NULL ? want->key_usage : "critical,keyCertSign");
	if (want->eku != NULL)
		add_extension(cert, NID_ext_key_usage, want->eku);
	if (want->alt_names != NULL)
		add_extension(cert, NID_subject_alt_name, want->alt_names);
	/* X25519 cannot sign: such a certificate is always issued. */
	assert_true(X509_sign(cert, signer, EVP_PKEY_is_a(signer, "ED25519") ? NULL : digest) > 0);
	return cert;
}

void pki_text_add_bytes(struct pki_text *text, const void *more, size_t len)
{
	text->at = realloc(text->at, text->len + len + 1);
	assert_non_null(text->at);
	memcpy(text->at + text->len, more, len);
	text->len += len;
	text->at[text->len] = '\0';
}

void pki_text_add(struct pki_text *text, const char *more)
{
	pki_text_add_bytes(text, more, strlen(more));
}

void pki_text_free(struct pki_text *text)
{
	free(text->at);
	text->at = NULL;
	text->len = 0;
}

static void add_bio(struct pki_text *text, BIO *bio)
{
	char *bytes = NULL;
	long len = BIO_get_mem_data(bio, &bytes);

	pki_text_add_bytes(text, bytes, (size_t)len);
	BIO_free(bio);
}

void pki_text_add_cert(struct pki_text *text, X509 *cert)
{
	BIO *bio = BIO_new(BIO_s_mem());

	assert_true(PEM_write_bio_X509(bio, cert));
	add_bio(text, bio);
}

void pki_text_add_key(struct pki_text *text, EVP_PKEY *key, enum pki_form form, const char *passphrase)
{
	BIO *bio = BIO_new(BIO_s_mem());
	int len = passphrase == NULL ? 0 : (int)strlen(passphrase), ok = 0;

	switch (form) {
	case PKI_PKCS8:
		ok = PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL);
		break;
	case PKI_PKCS8_ENCRYPTED:
		ok = PEM_write_bio_PKCS8PrivateKey(bio, key, EVP_aes_256_cbc(), passphrase, len, NULL, NULL);
		break;
	case PKI_TRADITIONAL:
		ok = PEM_write_bio_PrivateKey_traditional(bio, key, NULL, NULL, 0, NULL, NULL);
		break;
	case PKI_TRADITIONAL_ENCRYPTED:
		ok = PEM_write_bio_PrivateKey_traditional(
		    bio, key, EVP_aes_128_cbc(), (const unsigned char *)passphrase, len, NULL, NULL);
		break;
	}
	assert_true(ok);
	add_bio(text, bio);
}

char *pki_dir_new(void)
{
	const char *tmp = getenv("TMPDIR");
	char *dir = NULL;

	assert_true(asprintf(&dir, "%s/midrelay-test-XXXXXX", tmp == NULL ? "/tmp" : tmp) > 0);
	assert_non_null(mkdtemp(dir));
	return dir;
}

char *pki_dir_write(const char *dir, const char *name, const void *bytes, size_t len, mode_t mode)
{
	char *file = NULL;
	int fd;

	assert_true(asprintf(&file, "%s/%s", dir, name) > 0);
	fd = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	return file;
}

char *pki_dir_write_text(const char *dir, const char *name, const struct pki_text *text, mode_t mode)
{
	return pki_dir_write(dir, name, text->at, text->len, mode);
}

void pki_dir_remove(char *dir)
{
	DIR *handle = opendir(dir);
	struct dirent *entry;

	assert_non_null(handle);
	while ((entry = readdir(handle)) != NULL)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			unlinkat(dirfd(handle), entry->d_name, 0);
	closedir(handle);
	rmdir(dir);
	free(dir);
}
