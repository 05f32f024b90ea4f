/* hostile_identity: see hostile_identity.h. */
#include "hostile_identity.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "memory_file.h"
#include "printable.h"
#include "tls/chain_memory.h"
#include "tls/revocation.h"
#include "tls/stream.h"

#define RULE_BITS (HOSTILE_INSPECTION | HOSTILE_TRUST_SYSTEM | HOSTILE_STAPLE | HOSTILE_CRL | \
	HOSTILE_LOCAL_ANCHOR)
#define SERVER_BITS (HOSTILE_PIN | HOSTILE_ISSUERS | HOSTILE_HAS_CERT)

static void write_bio(struct memory_file *file, BIO *bio)
{
	char *bytes = NULL;
	long len = BIO_get_mem_data(bio, &bytes);

	memory_file_write(file, bytes, (size_t)len);
	BIO_free(bio);
}

static X509 *make_cert(EVP_PKEY *key)
{
	X509 *cert = X509_new();

	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 365L * 86400);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(cert), "CN", MBSTRING_ASC,
	    (const unsigned char *)"ours", -1, -1, 0);
	X509_set_issuer_name(cert, X509_get_subject_name(cert));
	X509_set_pubkey(cert, key);
	midrelay_assert(X509_sign(cert, key, EVP_sha256()) > 0);
	return cert;
}

static X509_CRL *make_list(const X509 *issuer, EVP_PKEY *key)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *when = X509_gmtime_adj(NULL, 0);

	X509_CRL_set_issuer_name(crl, X509_get_subject_name(issuer));
	X509_CRL_set1_lastUpdate(crl, when);
	X509_CRL_set1_nextUpdate(crl, X509_gmtime_adj(when, 86400));
	midrelay_assert(X509_CRL_sign(crl, key, EVP_sha256()) > 0);
	ASN1_TIME_free(when);
	return crl;
}

/* What identity_new() wants to read: our certificate, an anchor and a list, which are not looked at again. */
struct own_files {
	struct memory_file bundle, trust, crl;
};

static const struct own_files *own_files(void)
{
	static struct own_files files;
	EVP_PKEY *key = hostile_key(HOSTILE_SERVER_KEY);
	BIO *bundle, *trust, *crl;
	X509_CRL *list;
	X509 *cert;

	if (files.bundle.path[0] != '\0')
		return &files;
	cert = make_cert(key);
	list = make_list(cert, key);
	bundle = BIO_new(BIO_s_mem());
	trust = BIO_new(BIO_s_mem());
	crl = BIO_new(BIO_s_mem());
	midrelay_assert(PEM_write_bio_X509(bundle, cert) == 1 &&
	    PEM_write_bio_PKCS8PrivateKey(bundle, key, NULL, NULL, 0, NULL, NULL) == 1);
	midrelay_assert(PEM_write_bio_X509(trust, cert) == 1 && PEM_write_bio_X509_CRL(crl, list) == 1);
	write_bio(&files.bundle, bundle);
	write_bio(&files.trust, trust);
	write_bio(&files.crl, crl);
	X509_free(cert);
	X509_CRL_free(list);
	return &files;
}

/* "sha256//" and the hash of the public key. */
static char *pin_of(EVP_PKEY *key)
{
	unsigned char hash[SHA256_DIGEST_LENGTH], *der = NULL;
	char text[64];
	int len = i2d_PUBKEY(key, &der);

	midrelay_assert(len > 0 && EVP_Digest(der, (size_t)len, hash, NULL, EVP_sha256(), NULL) == 1);
	OPENSSL_free(der);
	EVP_EncodeBlock((unsigned char *)text, hash, sizeof(hash));
	return mem_printf("sha256//%s", text);
}

static struct identity *make_identity(unsigned rules, unsigned server)
{
	static char lab[] = "Lab", comma[] = "Fuzz, Z\xc3\xbcrich", product[] = "zscaler",
	    nobody[] = "Nobody CA";
	static char *const issuers[][2] = {{NULL, NULL}, {lab, comma}, {product, lab}, {nobody, comma}};
	char *names[2], *pin = (server & HOSTILE_PIN) == 0 ? NULL : pin_of(hostile_key(server & HOSTILE_PIN));
	unsigned which = (server & HOSTILE_ISSUERS) >> HOSTILE_ISSUERS_SHIFT;
	const struct own_files *files = own_files();
	bool trust_system = (rules & HOSTILE_TRUST_SYSTEM) != 0;
	struct identity_params params = {
	    .bundle_file = (server & HOSTILE_HAS_CERT) != 0 ? files->bundle.path : NULL,
	    .trust = trust_system ? NULL : files->trust.path,
	    .tls_min = TLS1_2_VERSION,
	    .tls_max = TLS1_3_VERSION,
	    .crl_file = files->crl.path,
	    .rules = {.inspection = rules & HOSTILE_INSPECTION,
		.staple = (rules & HOSTILE_STAPLE) != 0,
		.crl = (rules & HOSTILE_CRL) != 0,
		.pins = &pin,
		.pin_count = pin == NULL ? 0 : 1,
		.issuers = names,
		.issuer_count = issuers[which][0] == NULL ? 0 : 2}};
	struct identity_faults faults;
	struct identity *identity;

	memcpy(names, issuers[which], sizeof(names));
	/* A store that is named does not tell where an anchor comes from. */
	unsetenv(X509_get_default_cert_dir_env());
	if ((rules & HOSTILE_LOCAL_ANCHOR) != 0)
		unsetenv(X509_get_default_cert_file_env());
	else
		setenv(X509_get_default_cert_file_env(), files->trust.path, 1);
	identity = identity_new(&params, NULL, NULL, &faults);
	midrelay_assert(identity != NULL && identity_rules(identity)->trust_system == trust_system);
	stream_prepare_identity(identity);
	free(pin);
	return identity;
}

static void on_note(void *arg, const char *key, const char *text)
{
	assert_printable(text, SIZE_MAX);
}

static void load_lists(SSL_CTX *ctx, const struct hostile_part *part)
{
	static struct memory_file file;
	struct error err = {""};

	memory_file_write(&file, part->bytes, part->len);
	if (!revocation_load_crl(ctx, file.path, on_note, NULL, &err))
		assert_printable_text(err.text, sizeof(err.text));
	midrelay_assert(ERR_peek_error() == 0);
}

static void load_anchor(X509_STORE *store, const struct hostile_part *part)
{
	const unsigned char *at = part->bytes;
	X509 *anchor = d2i_X509(NULL, &at, (long)part->len);

	if (anchor != NULL) {
		(void)X509_check_purpose(anchor, -1, 0);
		(void)X509_STORE_add_cert(store, anchor);
	}
	X509_free(anchor);
	ERR_clear_error();
}

struct identity *hostile_identity(const struct hostile_input *input)
{
	static struct identity *made[RULE_BITS + 1][SERVER_BITS + 1];
	struct identity **identity = &made[input->rules & RULE_BITS][input->server & SERVER_BITS];
	X509_STORE *store = X509_STORE_new();
	SSL_CTX *ctx;
	size_t i;

	if (*identity == NULL)
		*identity = make_identity(input->rules, input->server);
	ctx = identity_ctx(*identity);
	/* As trust_load() does. */
	chain_memory_attach(store);
	if ((input->rules & HOSTILE_TRUST_SYSTEM) == 0)
		X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
	SSL_CTX_set_cert_store(ctx, store);
	for (i = 0; i < input->count; i++) {
		if (input->parts[i].kind == HOSTILE_PART_ANCHOR)
			load_anchor(store, &input->parts[i]);
		else if (input->parts[i].kind == HOSTILE_PART_CRL)
			load_lists(ctx, &input->parts[i]);
	}
	return *identity;
}
