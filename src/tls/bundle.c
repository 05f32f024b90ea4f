/*
 * bundle: collects what one or more files hold, and shows names and times.
 *
 * Reading is in bundle_read.c (files, kinds of blocks), bundle_pem.c (PEM text) and bundle_key.c (keys);
 * which certificate belongs where is in bundle_order.c.
 */
#include "tls/bundle.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"
#include "tls/bundle_read.h"
#include "tls/provider_key.h"

#define ORIGIN_BYTES 512

struct bundle *bundle_new(void)
{
	struct bundle *bundle = mem_calloc(1, sizeof(*bundle));

	bundle->certs = sk_X509_new_null();
	return bundle;
}

void bundle_free(struct bundle *bundle)
{
	if (bundle == NULL)
		return;
	sk_X509_pop_free(bundle->certs, X509_free);
	EVP_PKEY_free(bundle->key);
	free(bundle->key_file);
	free(bundle->key_origin);
	free(bundle);
}

bool bundle_is_empty(const struct bundle *bundle)
{
	return sk_X509_num(bundle->certs) <= 0 && bundle->key == NULL;
}

static int origin_index;

static int on_origin_dup(
    CRYPTO_EX_DATA *to, const CRYPTO_EX_DATA *from, void **origin, int index, long argl, void *argp)
{
	(void)to;
	(void)from;
	(void)index;
	(void)argl;
	(void)argp;
	if (*origin != NULL)
		*origin = mem_strdup(*origin);
	return 1;
}

static void on_origin_free(void *parent, void *origin, CRYPTO_EX_DATA *data, int index, long argl, void *argp)
{
	(void)parent;
	(void)data;
	(void)index;
	(void)argl;
	(void)argp;
	free(origin);
}

static void make_origin_index(void)
{
	origin_index = X509_get_ex_new_index(0, NULL, NULL, on_origin_dup, on_origin_free);
}

/* The certificate carries its origin wherever it is moved to. */
static bool origin_ready(void)
{
	static CRYPTO_ONCE once = CRYPTO_ONCE_STATIC_INIT;

	return CRYPTO_THREAD_run_once(&once, make_origin_index) == 1 && origin_index >= 0;
}

const char *bundle_cert_origin(const X509 *cert)
{
	const char *origin = origin_ready() ? X509_get_ex_data(cert, origin_index) : NULL;

	return origin == NULL ? "" : origin;
}

void bundle_cert_set_origin(X509 *cert, const char *origin)
{
	char *copy;

	if (!origin_ready())
		return;
	free(X509_get_ex_data(cert, origin_index));
	copy = mem_strdup(origin);
	if (X509_set_ex_data(cert, origin_index, copy) != 1) {
		free(copy);
		ERR_clear_error();
	}
}

static bool has_cert(const struct bundle *bundle, const X509 *cert)
{
	int i;

	for (i = 0; i < sk_X509_num(bundle->certs); i++)
		if (X509_cmp(sk_X509_value(bundle->certs, i), cert) == 0)
			return true;
	return false;
}

/* Moves what was found into the bundle: all of it or nothing. */
static bool adopt(struct bundle *bundle, struct bundle *found, struct error *err)
{
	X509 *cert;
	int before = sk_X509_num(bundle->certs);

	if (found->key != NULL && bundle->key != NULL && EVP_PKEY_eq(found->key, bundle->key) != 1)
		return error_set(err,
		    "%s: holds a second private key (the first is in %s): leave in the one that "
		    "belongs to the certificate",
		    found->key_file, bundle->key_file);
	while ((cert = sk_X509_shift(found->certs)) != NULL) {
		if (has_cert(bundle, cert)) {
			X509_free(cert);
		} else if (sk_X509_push(bundle->certs, cert) <= 0) {
			X509_free(cert);
			while (sk_X509_num(bundle->certs) > before)
				X509_free(sk_X509_pop(bundle->certs));
			return error_set(err, "out of memory");
		}
	}
	bundle->key_exposed = bundle->key_exposed || found->key_exposed;
	if (found->key != NULL && bundle->key == NULL) {
		bundle->key = found->key;
		bundle->key_file = found->key_file;
		bundle->key_origin = found->key_origin;
		bundle->key_encrypted = found->key_encrypted;
		found->key = NULL;
		found->key_file = found->key_origin = NULL;
	}
	return true;
}

static bool fetch_key(const struct bundle_read *how, struct bundle *found, struct error *err)
{
	char uri[ORIGIN_BYTES];

	text_escape(how->name, strlen(how->name), uri, sizeof(uri));
	if (strcasestr(how->name, "pin-value=") != NULL)
		return error_set(err, "a PIN does not belong into the URI of a key, which is shown to many: "
		    "set client_passphrase (for `midrelay bundle`: --passphrase)");
	/* OpenSSL would read the file, and ask nobody who else may. */
	if (strncasecmp(how->name, "file:", strlen("file:")) == 0)
		return error_set(err, "%s: is no file of this host: write its path as it is", uri);
	found->key = provider_key_from_uri(how->name, how->passphrase, err);
	if (found->key == NULL)
		return error_prefix(err, "%s", uri);
	found->key_encrypted = how->passphrase != NULL;
	found->key_file = mem_strdup(how->name);
	found->key_origin = mem_strdup(uri);
	return true;
}

static bool add_file(struct bundle *bundle, const struct bundle_read *named, struct error *err)
{
	struct bundle *found = bundle_new();
	struct bundle_read how = *named;
	bool ok;

	how.name = text_file_uri_path(named->name);
	ok = (text_is_uri(how.name) ? fetch_key(&how, found, err) : bundle_read_file(&how, found, err)) &&
	     adopt(bundle, found, err);

	bundle_free(found);
	return ok;
}

bool bundle_add_file(
    struct bundle *bundle, const char *file, const struct secret *passphrase, struct error *err)
{
	return add_file(bundle,
	    &(struct bundle_read){.name = file, .mode = BUNDLE_READ_ALL, .passphrase = passphrase}, err);
}

bool bundle_add_file_exposed(
    struct bundle *bundle, const char *file, const struct secret *passphrase, struct error *err)
{
	return add_file(bundle,
	    &(struct bundle_read){
		.name = file, .mode = BUNDLE_READ_ALL, .passphrase = passphrase, .allow_exposed_key = true},
	    err);
}

bool bundle_add_bytes(struct bundle *bundle, const char *name, const void *bytes, size_t len,
    const struct secret *passphrase, struct error *err)
{
	struct bundle_read how = {.name = name, .mode = BUNDLE_READ_ALL, .passphrase = passphrase};
	struct bundle *found = bundle_new();
	bool ok = bundle_read_bytes(&how, bytes, len, found, err) && adopt(bundle, found, err);

	bundle_free(found);
	return ok;
}

const char *bundle_name_text(const X509_NAME *name, char *buf, size_t buf_bytes)
{
	static const char cut[] = "...";
	BIO *bio = BIO_new(BIO_s_mem());
	char *text = NULL;
	long len = 0;
	size_t i;

	/* XN_FLAG_RFC2253 escapes control characters and everything outside ASCII by itself. */
	if (name == NULL || bio == NULL || X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) < 0 ||
	    (len = BIO_get_mem_data(bio, &text)) < 0) {
		snprintf(buf, buf_bytes, "(unreadable name)");
		ERR_clear_error();
	} else if (len == 0) {
		snprintf(buf, buf_bytes, "(empty name)");
	} else {
		snprintf(buf, buf_bytes, "%.*s", (int)len, text);
		for (i = 0; buf[i] != '\0'; i++)
			if (buf[i] < 0x20 || buf[i] > 0x7e)
				buf[i] = '?';
		if ((size_t)len >= buf_bytes && buf_bytes > sizeof(cut))
			memcpy(buf + buf_bytes - sizeof(cut), cut, sizeof(cut));
	}
	BIO_free(bio);
	return buf;
}

static bool seconds_between(const ASN1_TIME *from, const ASN1_TIME *to, long long *seconds)
{
	int days, rest;

	if (!ASN1_TIME_diff(&days, &rest, from, to)) {
		ERR_clear_error();
		return false;
	}
	*seconds = (long long)days * 86400 + rest;
	return true;
}

bool bundle_validity(const X509 *cert, long long *seconds_left, long long *seconds_since_start)
{
	/* NULL stands for now. */
	return seconds_between(NULL, X509_get0_notAfter(cert), seconds_left) &&
	       seconds_between(X509_get0_notBefore(cert), NULL, seconds_since_start);
}

const char *bundle_fingerprint_text(const X509 *cert, char buf[BUNDLE_FINGERPRINT_BYTES])
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned len = 0;

	if (X509_digest(cert, EVP_sha256(), digest, &len) != 1 ||
	    OPENSSL_buf2hexstr_ex(buf, BUNDLE_FINGERPRINT_BYTES, NULL, digest, len, ':') != 1)
		buf[0] = '\0';
	ERR_clear_error();
	return buf;
}

const char *bundle_time_text(const ASN1_TIME *time, char *buf, size_t buf_bytes)
{
	struct tm tm;

	if (time == NULL || !ASN1_TIME_to_tm(time, &tm) ||
	    strftime(buf, buf_bytes, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0) {
		snprintf(buf, buf_bytes, "(invalid time)");
		ERR_clear_error();
	}
	return buf;
}
