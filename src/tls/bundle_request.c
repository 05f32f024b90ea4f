/* bundle_request: makes keys, and requests for client certificates (PKCS#10, RFC 2986). */
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/replace.h"
#include "base/text.h"
#include "tls/bundle_write.h"

struct bundle_key_kind {
	const char *name, *group; /* group: NULL for RSA */
	unsigned bits;
	const char *digest, *key_usage;
};

static const struct bundle_key_kind kinds[] = {
    {"rsa:2048", NULL, 2048, "SHA256", "critical,digitalSignature,keyEncipherment"},
    {"rsa:3072", NULL, 3072, "SHA256", "critical,digitalSignature,keyEncipherment"},
    {"rsa:4096", NULL, 4096, "SHA256", "critical,digitalSignature,keyEncipherment"},
    {"p256", "P-256", 0, "SHA256", "critical,digitalSignature"},
    {"p384", "P-384", 0, "SHA384", "critical,digitalSignature"},
};

const struct bundle_key_kind *bundle_key_kind_find(const char *kind)
{
	size_t i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (strcmp(kinds[i].name, kind) == 0)
			return &kinds[i];
	return NULL;
}

/* Cuts the next "TYPE=VALUE" off *at, which stands behind a '/'; unescapes it in place. */
static char *next_part(char **at)
{
	char *part = *at, *from = *at, *to = *at;

	while (*from != '\0' && *from != '/') {
		if (*from == '\\' && from[1] != '\0')
			from++;
		*to++ = *from++;
	}
	*at = *from == '/' ? from + 1 : from;
	*to = '\0';
	return part;
}

static bool add_part(X509_NAME *name, char *part, struct error *err)
{
	char *value = strchr(part, '='), shown[128];
	bool ok;

	if (value == NULL || value == part || value[1] == '\0')
		return error_set(err,
		    "'%s' is not TYPE=VALUE, as in /CN=mid-01/O=Example (a / in a value is written \\/)",
		    text_escape(part, strlen(part), shown, sizeof(shown)));
	*value++ = '\0';
	if (OBJ_txt2nid(part) == NID_undef) {
		ERR_clear_error();
		return error_set(err,
		    "there is no '%s' in a subject; CN, OU, O, L, ST, C, emailAddress, UID, DC are usual",
		    text_escape(part, strlen(part), shown, sizeof(shown)));
	}
	ok = X509_NAME_add_entry_by_txt(name, part, MBSTRING_UTF8, (const unsigned char *)value, -1, -1, 0) ==
	     1;
	ERR_clear_error();
	return ok ? true
		  : error_set(err,
			"%s cannot be '%s': too long, too short, or with characters that it cannot have",
			part, text_escape(value, strlen(value), shown, sizeof(shown)));
}

static X509_NAME *parse_subject(const char *subject, struct error *err)
{
	X509_NAME *name = X509_NAME_new();
	char *copy = mem_strdup(subject), *at = copy + 1;
	bool ok = name != NULL && *copy == '/';

	if (!ok)
		error_set(err, "the subject must begin with '/', as in /CN=mid-01/O=Example");
	while (ok && *at != '\0')
		ok = add_part(name, next_part(&at), err);
	if (ok && X509_NAME_get_index_by_NID(name, NID_commonName, -1) < 0)
		ok = error_set(err, "the subject needs a CN, as in /CN=mid-01/O=Example");
	free(copy);
	if (ok)
		return name;
	X509_NAME_free(name);
	return NULL;
}

bool bundle_subject_check(const char *subject, struct error *err)
{
	X509_NAME *name = parse_subject(subject, err);

	X509_NAME_free(name);
	return name != NULL;
}

static EVP_PKEY *make_key(const struct bundle_key_kind *kind)
{
	return kind->group == NULL ? EVP_PKEY_Q_keygen(NULL, NULL, "RSA", (size_t)kind->bits)
				   : EVP_PKEY_Q_keygen(NULL, NULL, "EC", kind->group);
}

static bool add_extension(STACK_OF(X509_EXTENSION) *extensions, int nid, const char *value)
{
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	if (extension != NULL && sk_X509_EXTENSION_push(extensions, extension) > 0)
		return true;
	X509_EXTENSION_free(extension);
	return false;
}

static X509_REQ *make_request(const X509_NAME *subject, const struct bundle_key_kind *kind, EVP_PKEY *key)
{
	STACK_OF(X509_EXTENSION) *extensions = sk_X509_EXTENSION_new_null();
	X509_REQ *request = X509_REQ_new();
	bool ok =
	    request != NULL && extensions != NULL && X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
	    X509_REQ_set_subject_name(request, subject) == 1 && X509_REQ_set_pubkey(request, key) == 1 &&
	    add_extension(extensions, NID_key_usage, kind->key_usage) &&
	    add_extension(extensions, NID_ext_key_usage, "clientAuth") &&
	    X509_REQ_add_extensions(request, extensions) == 1 &&
	    X509_REQ_sign(request, key, EVP_get_digestbyname(kind->digest)) > 0;

	sk_X509_EXTENSION_pop_free(extensions, X509_EXTENSION_free);
	if (ok)
		return request;
	X509_REQ_free(request);
	return NULL;
}

static bool create(const char *file, BIO *bio, mode_t mode, struct error *err)
{
	char *bytes = NULL;
	long len = BIO_get_mem_data(bio, &bytes);

	return replace_create_file(file, bytes, (size_t)len, mode, err);
}

static bool write_both(
    const char *key_file, BIO *key, const char *request_file, BIO *request, struct error *err)
{
	if (access(request_file, F_OK) == 0)
		return error_set(err, "%s: is there already, and is not overwritten", request_file);
	if (!create(key_file, key, 0600, err))
		return false;
	if (create(request_file, request, 0644, err))
		return true;
	(void)unlink(key_file);
	return false;
}

bool bundle_request(const char *subject, const struct bundle_key_kind *kind, const char *key_file,
    const char *request_file, struct error *err)
{
	BIO *key_bio = BIO_new(BIO_s_mem()), *request_bio = BIO_new(BIO_s_mem());
	X509_NAME *name = parse_subject(subject, err);
	EVP_PKEY *key = name == NULL ? NULL : make_key(kind);
	X509_REQ *request = key == NULL ? NULL : make_request(name, kind, key);
	bool ok = name != NULL;

	if (ok && (request == NULL || key_bio == NULL || request_bio == NULL ||
		      PEM_write_bio_PKCS8PrivateKey(key_bio, key, NULL, NULL, 0, NULL, NULL) != 1 ||
		      PEM_write_bio_X509_REQ(request_bio, request) != 1))
		ok = error_set(err, "OpenSSL cannot make the key or the request");
	ok = ok && write_both(key_file, key_bio, request_file, request_bio, err);
	X509_REQ_free(request);
	EVP_PKEY_free(key);
	X509_NAME_free(name);
	BIO_free(key_bio);
	BIO_free(request_bio);
	ERR_clear_error();
	return ok;
}
