/*
 * local_ca: see local_ca.h.
 *
 * Answers for what the CA and its certificates say, and for their place.  When they are made and renewed is
 * dial/relay_local's and service/renewal's business.
 */
#include "tls/local_ca.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/replace.h"
#include "tls/bundle.h"

#define PREFIX "local-ca-"
#define SUFFIX ".pem"
#define CA_DAYS 3650
#define DAY_S 86400
/* The clock of a container's host may be a little ahead. */
#define BEFORE_S (-3600)

char *local_ca_directory(void)
{
	const char *named = secure_getenv("STATE_DIRECTORY");

	if (named == NULL || *named == '\0')
		return mem_strdup(MIDRELAY_STATE_DIRECTORY);
	return mem_strndup(named, strcspn(named, ":"));
}

/* A host was checked when it was read; this is for what a later rule may let through. */
static bool is_plain(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == '-' || c == '_' || c == ':';
}

char *local_ca_file(const char *host)
{
	char *directory = local_ca_directory(), *file, *at;

	file = mem_printf("%s/" PREFIX "%s" SUFFIX, directory, host);
	for (at = file + strlen(directory) + 1; *at != '\0'; at++)
		*at = is_plain(*at) ? (char)tolower((unsigned char)*at) : '_';
	free(directory);
	return file;
}

char *local_ca_host_of(const char *name)
{
	size_t len = strlen(name), extra = strlen(PREFIX) + strlen(SUFFIX);

	if (len <= extra || strncmp(name, PREFIX, strlen(PREFIX)) != 0 ||
	    strcmp(name + len - strlen(SUFFIX), SUFFIX) != 0)
		return NULL;
	return mem_strndup(name + strlen(PREFIX), len - extra);
}

bool local_ca_make_directory(uid_t uid, gid_t gid, struct error *err)
{
	char *directory = local_ca_directory();
	bool ok = true;

	if (mkdir(directory, 0700) == 0) {
		if ((uid != geteuid() || gid != getegid()) && lchown(directory, uid, gid) != 0) {
			ok = error_set_errno(err, errno, "the state directory %s cannot be given to the "
			    "user of midrelay", directory);
			(void)rmdir(directory);
		}
	} else if (errno != EEXIST) {
		ok = error_set_errno(err, errno, "the state directory %s cannot be made (StateDirectory= of "
		    "the systemd unit makes it; else make it, mode 0700, owned by the user of midrelay)",
		    directory);
	}
	free(directory);
	return ok;
}

/* ---- certificates ---- */

static bool add_extension(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509_EXTENSION *extension;
	X509V3_CTX ctx;
	bool ok;

	X509V3_set_ctx(&ctx, issuer, cert, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	ok = extension != NULL && X509_add_ext(cert, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return ok;
}

static bool set_serial(X509 *cert)
{
	/* RFC 5280 4.1.2.2: positive, at most 20 octets. */
	BIGNUM *number = BN_new();
	bool ok = number != NULL && BN_rand(number, 127, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) == 1 &&
	    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(cert)) != NULL;

	BN_free(number);
	return ok;
}

static bool add_name(X509 *cert, const char *common)
{
	X509_NAME *name = X509_get_subject_name(cert);

	return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC, (const unsigned char *)"midrelay", -1, -1,
	    0) == 1 && X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)common, -1,
	    -1, 0) == 1;
}

/* With everything but the extensions and the signature. */
static X509 *new_cert(EVP_PKEY *key, X509 *issuer, const char *common)
{
	X509 *cert = X509_new();

	if (cert != NULL && X509_set_version(cert, X509_VERSION_3) == 1 && set_serial(cert) &&
	    X509_gmtime_adj(X509_getm_notBefore(cert), BEFORE_S) != NULL && X509_set_pubkey(cert, key) == 1 &&
	    add_name(cert, common) &&
	    X509_set_issuer_name(cert, X509_get_subject_name(issuer != NULL ? issuer : cert)) == 1)
		return cert;
	X509_free(cert);
	return NULL;
}

/*
 * RFC 5280 4.2.1.10: what no constraint speaks of is permitted, so the other form of name is shut out, too: IP
 * addresses all, and names by a permission that fits none (RFC 6761 6.4: .invalid).
 */
static char *constraints(const char *host, bool host_is_ip)
{
	if (!host_is_ip)
		return mem_printf("critical,permitted;DNS:%s,excluded;IP:0.0.0.0/0.0.0.0,excluded;IP:::/::",
		    host);
	return mem_printf("critical,permitted;IP:%s/%s,permitted;DNS:invalid", host,
	    strchr(host, ':') == NULL ? "255.255.255.255" : "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
}

static X509 *make_ca_cert(EVP_PKEY *key, const char *host, bool host_is_ip)
{
	char *permitted = constraints(host, host_is_ip);
	/* RFC 5280 appendix A.1, ub-common-name: 64. */
	char *common = mem_printf("local CA for %.50s", host);
	X509 *cert = new_cert(key, NULL, common);
	bool ok = cert != NULL &&
	    X509_time_adj_ex(X509_getm_notAfter(cert), CA_DAYS, 0, NULL) != NULL &&
	    add_extension(cert, cert, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	    add_extension(cert, cert, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	    add_extension(cert, cert, NID_ext_key_usage, "serverAuth") &&
	    add_extension(cert, cert, NID_name_constraints, permitted) &&
	    add_extension(cert, cert, NID_subject_key_identifier, "hash") &&
	    X509_sign(cert, key, EVP_sha256()) > 0;

	free(permitted);
	free(common);
	if (ok)
		return cert;
	X509_free(cert);
	return NULL;
}

static bool write_ca(const char *host, bool host_is_ip, BIO *bio)
{
	EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *cert = key == NULL ? NULL : make_ca_cert(key, host, host_is_ip);
	bool ok = cert != NULL && bio != NULL && PEM_write_bio_X509(bio, cert) == 1 &&
	    PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1;

	X509_free(cert);
	EVP_PKEY_free(key);
	return ok;
}

bool local_ca_make(const char *host, bool host_is_ip, struct error *err)
{
	char *file = local_ca_file(host), *bytes = NULL;
	BIO *bio = NULL;
	bool ok = true;
	long len;

	if (access(file, F_OK) != 0) {
		bio = BIO_new(BIO_s_secmem());
		if (!write_ca(host, host_is_ip, bio)) {
			ok = error_set(err, "OpenSSL cannot make a local CA for %s", host);
		} else {
			len = BIO_get_mem_data(bio, &bytes);
			ok = replace_none(file, bytes, (size_t)len, 0600, err);
		}
	}
	BIO_free(bio);
	ERR_clear_error();
	free(file);
	return ok;
}

/* ---- use ---- */

void local_ca_clear(struct local_ca *ca)
{
	X509_free(ca->cert);
	EVP_PKEY_free(ca->key);
	memset(ca, 0, sizeof(*ca));
}

static bool check_ca(const char *file, X509 *cert, struct error *err)
{
	char when[64];

	if (X509_check_ca(cert) != 1)
		return error_set(err, "%s: holds no CA; remove it, and another is made", file);
	if (X509_cmp_current_time(X509_get0_notAfter(cert)) <= 0)
		return error_set(err, "%s: the local CA ended at %s: remove the file, have another made by a "
		    "restart, and import that one into the client's trust store", file,
		    bundle_time_text(X509_get0_notAfter(cert), when, sizeof(when)));
	return true;
}

bool local_ca_load(const char *host, struct local_ca *ca, bool *there, struct error *err)
{
	char *file = local_ca_file(host);
	struct bundle *bundle = bundle_new();
	STACK_OF(X509) *chain = NULL;
	X509 *cert = NULL;
	bool ok = true;

	memset(ca, 0, sizeof(*ca));
	*there = access(file, F_OK) == 0 || errno != ENOENT;
	if (*there) {
		ok = bundle_add_file(bundle, file, NULL, err);
		if (ok && !bundle_order(bundle, &cert, &chain, NULL, err)) {
			error_prefix(err, "%s", file);
			ok = false;
		}
		ok = ok && check_ca(file, cert, err);
	}
	if (ok && *there) {
		X509_up_ref(cert);
		ca->cert = cert;
		EVP_PKEY_up_ref(bundle->key);
		ca->key = bundle->key;
	}
	sk_X509_free(chain);
	bundle_free(bundle);
	free(file);
	return ok;
}

char *local_ca_pem(const char *host, struct error *err)
{
	struct local_ca ca;
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes = NULL, *pem = NULL;
	bool there;
	long len;

	if (!local_ca_load(host, &ca, &there, err)) {
		BIO_free(bio);
		return NULL;
	}
	if (!there) {
		char *directory = local_ca_directory();

		error_set(err, "there is no local CA for %s in %s: `midrelay run` makes it where a relay with "
		    "that target has listen_cert = auto", host, directory);
		free(directory);
	} else if (bio == NULL || PEM_write_bio_X509(bio, ca.cert) != 1) {
		error_set(err, "OpenSSL cannot write the certificate");
	} else {
		len = BIO_get_mem_data(bio, &bytes);
		pem = mem_strndup(bytes, (size_t)len);
	}
	BIO_free(bio);
	local_ca_clear(&ca);
	return pem;
}

static bool set_leaf_end(X509 *leaf, const X509 *ca)
{
	/* A certificate lasts from notBefore through notAfter, both included (RFC 5280 4.1.2.5). */
	if (X509_gmtime_adj(X509_getm_notAfter(leaf), (long)LOCAL_CA_LEAF_DAYS * DAY_S + BEFORE_S - 1) == NULL)
		return false;
	return ASN1_TIME_compare(X509_get0_notAfter(leaf), X509_get0_notAfter(ca)) <= 0 ||
	    X509_set1_notAfter(leaf, X509_get0_notAfter(ca)) == 1;
}

static X509 *make_leaf(const struct local_ca *ca, const char *host, bool host_is_ip, EVP_PKEY *key)
{
	char *names = mem_printf("%s:%s", host_is_ip ? "IP" : "DNS", host);
	/* With a space, so that nobody takes it for a host's name. */
	X509 *leaf = new_cert(key, ca->cert, "local listener");
	bool ok = leaf != NULL && set_leaf_end(leaf, ca->cert) &&
	    add_extension(leaf, ca->cert, NID_basic_constraints, "critical,CA:FALSE") &&
	    add_extension(leaf, ca->cert, NID_key_usage, "critical,digitalSignature") &&
	    add_extension(leaf, ca->cert, NID_ext_key_usage, "serverAuth") &&
	    add_extension(leaf, ca->cert, NID_subject_alt_name, names) &&
	    add_extension(leaf, ca->cert, NID_authority_key_identifier, "keyid:always") &&
	    X509_sign(leaf, ca->key, EVP_sha256()) > 0;

	free(names);
	if (ok)
		return leaf;
	X509_free(leaf);
	return NULL;
}

/* As a client will: a CA that was made for another host permits no certificate for this one. */
static bool check_leaf(const struct local_ca *ca, X509 *leaf, struct error *err)
{
	X509_STORE *store = X509_STORE_new();
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	bool ok;

	if (store == NULL || ctx == NULL || X509_STORE_add_cert(store, ca->cert) != 1 ||
	    X509_STORE_CTX_init(ctx, store, leaf, NULL) != 1 ||
	    X509_STORE_CTX_set_default(ctx, "ssl_server") != 1)
		ok = error_set(err, "OpenSSL cannot verify what it has issued");
	else
		ok = X509_verify_cert(ctx) == 1 ? true : error_set(err, "the local CA is of no use for this "
		    "target: %s; remove its file, and another is made",
		    X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
	X509_STORE_CTX_free(ctx);
	X509_STORE_free(store);
	return ok;
}

bool local_ca_issue(const struct local_ca *ca, const char *host, bool host_is_ip, X509 **leaf,
    EVP_PKEY **key, struct error *err)
{
	EVP_PKEY *own = EVP_PKEY_Q_keygen(NULL, NULL, "EC", "P-256");
	X509 *cert = own == NULL ? NULL : make_leaf(ca, host, host_is_ip, own);
	bool ok = cert != NULL ? check_leaf(ca, cert, err)
			       : error_set(err, "OpenSSL cannot make a certificate for %s", host);

	ERR_clear_error();
	if (!ok) {
		X509_free(cert);
		EVP_PKEY_free(own);
		return false;
	}
	*leaf = cert;
	*key = own;
	return true;
}
