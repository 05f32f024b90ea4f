/* Proves what an identity presents, trusts and may use, and that every parameter that is wrong is named. */
#include <errno.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "pki.h"
#include "tls/identity.h"

static EVP_PKEY *root_key, *mid_key, *leaf_key, *server_key;
static X509 *root, *mid, *leaf, *server_cert;
static char *dir, *root_file, *bundle_file;

static int setup(void **state)
{
	struct pki_text text = {0};

	(void)state;
	root_key = pki_key("p256");
	mid_key = pki_key("p256");
	leaf_key = pki_key("p256");
	server_key = pki_key("p256");
	root = pki_cert(&(struct pki_cert){.cn = "root", .key = root_key, .ca = true});
	mid = pki_cert(&(struct pki_cert){
	    .cn = "mid", .key = mid_key, .issuer_cn = "root", .issuer_key = root_key, .ca = true});
	leaf = pki_cert(&(struct pki_cert){
	    .cn = "leaf", .key = leaf_key, .issuer_cn = "mid", .issuer_key = mid_key, .eku = "clientAuth"});
	server_cert = pki_cert(&(struct pki_cert){.cn = "server",
	    .key = server_key,
	    .issuer_cn = "mid",
	    .issuer_key = mid_key,
	    .eku = "serverAuth"});
	dir = pki_dir_new();
	pki_text_add_cert(&text, root);
	root_file = pki_dir_write_text(dir, "root.pem", &text, 0644);
	pki_text_add_key(&text, leaf_key, PKI_PKCS8, NULL);
	pki_text_add_cert(&text, mid);
	pki_text_add_cert(&text, leaf);
	bundle_file = pki_dir_write_text(dir, "bundle.pem", &text, 0600);
	pki_text_free(&text);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(root_file);
	free(bundle_file);
	pki_dir_remove(dir);
	X509_free(root);
	X509_free(mid);
	X509_free(leaf);
	X509_free(server_cert);
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(mid_key);
	EVP_PKEY_free(leaf_key);
	EVP_PKEY_free(server_key);
	return 0;
}

/* Notes, one a line: "key: text". */
static void on_note(void *arg, const char *key, const char *text)
{
	struct pki_text *notes = arg;

	pki_text_add(notes, key);
	pki_text_add(notes, ": ");
	pki_text_add(notes, text);
	pki_text_add(notes, "\n");
}

static struct identity_params params_new(void)
{
	return (struct identity_params){
	    .trust = root_file, .tls_min = TLS1_2_VERSION, .tls_max = TLS1_3_VERSION};
}

static struct identity *make(const struct identity_params *params, struct pki_text *notes)
{
	struct identity_faults faults;
	struct identity *identity = identity_new(params, on_note, notes, &faults);

	if (identity == NULL)
		fail_msg("refused: %s: %s", faults.items[0].key, faults.items[0].err.text);
	assert_int_equal(ERR_peek_error(), 0);
	return identity;
}

static void assert_refuses(const struct identity_params *params, const char *key, const char *words)
{
	struct identity_faults faults;
	struct pki_text notes = {0};

	assert_null(identity_new(params, on_note, &notes, &faults));
	assert_int_equal(faults.count, 1);
	assert_string_equal(faults.items[0].key, key);
	if (strstr(faults.items[0].err.text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", faults.items[0].err.text, words);
	assert_int_equal(ERR_peek_error(), 0);
	pki_text_free(&notes);
}

static void assert_notes(const struct identity_params *params, const char *words)
{
	struct pki_text notes = {0};
	struct identity *identity = make(params, &notes);

	if (words == NULL)
		assert_null(notes.at);
	else if (notes.at == NULL || strstr(notes.at, words) == NULL)
		fail_msg("no note says \"%s\": %s", words, notes.at == NULL ? "(none)" : notes.at);
	pki_text_free(&notes);
	identity_unref(identity);
}

static int accept_any(int ok, X509_STORE_CTX *store)
{
	(void)ok;
	(void)store;
	return 1;
}

/* A handshake in memory with a server that asks for a certificate; true when the client is content. */
static bool handshake(struct identity *identity, X509 *with_mid, int server_max, STACK_OF(X509) **presented)
{
	SSL_CTX *server_ctx = SSL_CTX_new(TLS_server_method());
	SSL *server, *client;
	BIO *ends[2];
	int i, client_done = 0;

	SSL_CTX_set_verify(server_ctx, SSL_VERIFY_PEER, accept_any);
	assert_true(SSL_CTX_set_max_proto_version(server_ctx, server_max));
	assert_true(SSL_CTX_use_certificate(server_ctx, server_cert));
	assert_true(SSL_CTX_use_PrivateKey(server_ctx, server_key));
	if (with_mid != NULL)
		assert_true(SSL_CTX_add1_chain_cert(server_ctx, with_mid));
	server = SSL_new(server_ctx);
	client = SSL_new(identity_ctx(identity));
	assert_true(BIO_new_bio_pair(&ends[0], 65536, &ends[1], 65536));
	SSL_set_bio(server, ends[0], ends[0]);
	SSL_set_bio(client, ends[1], ends[1]);
	SSL_set_accept_state(server);
	SSL_set_connect_state(client);
	for (i = 0; i < 10; i++) {
		client_done = SSL_do_handshake(client);
		SSL_do_handshake(server);
	}
	if (presented != NULL)
		*presented = X509_chain_up_ref(SSL_get_peer_cert_chain(server));
	if (presented != NULL && SSL_get0_peer_certificate(server) != NULL) {
		X509_up_ref(SSL_get0_peer_certificate(server));
		sk_X509_unshift(*presented, SSL_get0_peer_certificate(server));
	}
	ERR_clear_error();
	SSL_free(server);
	SSL_free(client);
	SSL_CTX_free(server_ctx);
	return client_done == 1;
}

/* Leaf and intermediate are presented in order, the root is not, in TLS 1.2 and 1.3. */
static void test_presents_chain_without_root(void **state)
{
	static const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	struct identity_params params = params_new();
	struct pki_text notes = {0};
	struct identity *identity;
	STACK_OF(X509) *presented;
	size_t i;

	(void)state;
	params.bundle_file = bundle_file;
	identity = make(&params, &notes);
	assert_null(notes.at);
	assert_true(identity_has_cert(identity));
	assert_string_equal(identity_subject(identity), "CN=leaf");
	for (i = 0; i < 2; i++) {
		presented = NULL;
		assert_true(handshake(identity, mid, versions[i], &presented));
		assert_int_equal(sk_X509_num(presented), 2);
		assert_int_equal(X509_cmp(sk_X509_value(presented, 0), leaf), 0);
		assert_int_equal(X509_cmp(sk_X509_value(presented, 1), mid), 0);
		sk_X509_pop_free(presented, X509_free);
	}
	identity_unref(identity);
}

/* Without the intermediate in the file none is sent, although the trust store knows it. */
static void test_chain_is_not_completed_from_trust(void **state)
{
	struct identity_params params = params_new();
	struct pki_text text = {0}, notes = {0};
	STACK_OF(X509) *presented = NULL;
	struct identity *identity;
	char *leaf_file, *trust_file;

	(void)state;
	pki_text_add_cert(&text, root);
	pki_text_add_cert(&text, mid);
	trust_file = pki_dir_write_text(dir, "both.pem", &text, 0644);
	pki_text_free(&text);
	pki_text_add_cert(&text, leaf);
	pki_text_add_key(&text, leaf_key, PKI_PKCS8, NULL);
	leaf_file = pki_dir_write_text(dir, "leaf.pem", &text, 0600);
	params.bundle_file = leaf_file;
	params.trust = trust_file;
	identity = make(&params, &notes);
	assert_non_null(notes.at);
	assert_non_null(strstr(notes.at, "does not end in a root: the certificate of CN=mid is missing"));
	assert_true(handshake(identity, mid, TLS1_3_VERSION, &presented));
	assert_int_equal(sk_X509_num(presented), 1);
	sk_X509_pop_free(presented, X509_free);
	identity_unref(identity);
	unlink(leaf_file);
	unlink(trust_file);
	free(leaf_file);
	free(trust_file);
	pki_text_free(&text);
	pki_text_free(&notes);
}

/* A file under the name of a URI is a file, with all that is asked of one. */
static void test_a_key_by_file_uri(void **state)
{
	static const char *const starts[] = {"file:", "file://", "FILE://localhost"};
	struct identity_params params = params_new();
	struct pki_text text = {0};
	char *cert_file, *key_file, uri[300];
	size_t i;

	(void)state;
	pki_text_add_cert(&text, leaf);
	cert_file = pki_dir_write_text(dir, "leaf.crt", &text, 0644);
	pki_text_free(&text);
	pki_text_add_key(&text, leaf_key, PKI_PKCS8, NULL);
	key_file = pki_dir_write_text(dir, "leaf.key", &text, 0644);
	pki_text_free(&text);
	params.cert_file = cert_file;
	params.key_file = uri;
	for (i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
		snprintf(uri, sizeof(uri), "%s%s", starts[i], key_file);
		assert_refuses(&params, "client_key", "may be read by every user");
	}
	snprintf(uri, sizeof(uri), "file://%%2F%s", key_file);
	assert_refuses(&params, "client_key", "is no file of this host");
	unlink(cert_file);
	unlink(key_file);
	free(cert_file);
	free(key_file);
}

/* The split form: key apart, chain in the certificate's file or apart, each fault at its own key. */
static void test_split_form(void **state)
{
	struct identity_params params = params_new();
	struct pki_text text = {0};
	char *cert_file, *key_file, *chain_file, *other_key_file;
	EVP_PKEY *other = pki_key("ed25519");

	(void)state;
	pki_text_add_cert(&text, mid);
	pki_text_add_cert(&text, root);
	chain_file = pki_dir_write_text(dir, "chain.crt", &text, 0644);
	pki_text_free(&text);
	pki_text_add_cert(&text, leaf);
	cert_file = pki_dir_write_text(dir, "leaf.crt", &text, 0644);
	pki_text_free(&text);
	pki_text_add_key(&text, leaf_key, PKI_TRADITIONAL_ENCRYPTED, "pw");
	key_file = pki_dir_write_text(dir, "leaf.key", &text, 0600);
	pki_text_free(&text);
	pki_text_add_key(&text, other, PKI_PKCS8, NULL);
	other_key_file = pki_dir_write_text(dir, "other.key", &text, 0600);
	pki_text_free(&text);
	params.cert_file = cert_file;
	assert_refuses(&params, "client_key", "no private key");
	params.key_file = key_file;
	params.chain_file = chain_file;
	assert_refuses(&params, "client_key", "set client_passphrase");
	params.passphrase = secret_new("pw", 2);
	assert_notes(&params, NULL);
	params.key_file = other_key_file;
	assert_refuses(&params, "client_key", "belongs to none of the 3 certificates");
	params.key_file = "pkcs11:token=x";
	assert_refuses(&params, "client_key", "pkcs11:token=x: OpenSSL's provider \"pkcs11\"");
	params.key_file = key_file;
	params.chain_file = other_key_file;
	assert_refuses(&params, "client_chain", "second private key");
	params.chain_file = "/nonexistent/chain";
	assert_refuses(&params, "client_chain", "No such file");
	params.cert_file = NULL;
	params.chain_file = NULL;
	assert_refuses(&params, "client_cert", "there is no certificate");
	params.bundle_file = bundle_file;
	assert_refuses(&params, "client_bundle", "use one of them");
	params.key_file = NULL;
	assert_notes(&params, "client_passphrase: the key is not encrypted");
	assert_int_equal(chmod(key_file, 0644), 0);
	params.bundle_file = NULL;
	params.cert_file = cert_file;
	params.key_file = key_file;
	assert_refuses(&params, "client_key", key_file);
	secret_free((struct secret *)(uintptr_t)params.passphrase);
	unlink(chain_file);
	unlink(cert_file);
	free(cert_file);
	free(key_file);
	free(chain_file);
	free(other_key_file);
	EVP_PKEY_free(other);
}

/* An identity of one certificate, as `want` says, issued by mid unless self-signed; the caller unlinks and
 * frees. */
static char *write_single(const struct pki_cert *want)
{
	struct pki_text text = {0};
	X509 *cert = pki_cert(want);
	char *file;

	pki_text_add_cert(&text, cert);
	if (want->issuer_cn != NULL) {
		pki_text_add_cert(&text, mid);
		pki_text_add_cert(&text, root);
	}
	pki_text_add_key(&text, want->key, PKI_PKCS8, NULL);
	file = pki_dir_write_text(dir, "single.pem", &text, 0600);
	pki_text_free(&text);
	X509_free(cert);
	return file;
}

static void assert_single_notes(const struct pki_cert *want, const char *ciphers, const char *words)
{
	struct identity_params params = params_new();
	char *file = write_single(want);

	params.bundle_file = file;
	params.ciphers = ciphers;
	assert_notes(&params, words);
	unlink(file);
	free(file);
}

static void assert_single_refused(const struct pki_cert *want, const char *words)
{
	struct identity_params params = params_new();
	char *file = write_single(want);

	params.bundle_file = file;
	assert_refuses(&params, "client_bundle", words);
	unlink(file);
	free(file);
}

/* What works but will be refused further on is accepted with a note. */
static void test_notes(void **state)
{
	struct pki_cert want = {
	    .cn = "x", .key = leaf_key, .issuer_cn = "mid", .issuer_key = mid_key, .eku = "clientAuth"};

	(void)state;
	assert_single_notes(&want, NULL, NULL);
	want.eku = NULL;
	assert_single_notes(&want, NULL, "has no Extended Key Usage");
	want.eku = "serverAuth";
	assert_single_notes(&want, NULL, "not meant for Client Authentication");
	want.eku = "clientAuth";
	want.key_usage = "keyAgreement";
	assert_single_notes(&want, NULL, "digitalSignature is missing");
	want.key_usage = NULL;
	want.starts_s = -7200;
	want.ends_s = -3600;
	assert_single_notes(&want, NULL, "has expired at 20");
	want.starts_s = 3600;
	want.ends_s = 7200;
	assert_single_notes(&want, NULL, "is not valid before 20");
	want.starts_s = want.ends_s = 0;
	want.issuer_cn = NULL;
	assert_single_notes(&want, NULL, "is self-signed");
}

/* Certificates in the file that do not belong to the chain are counted. */
static void test_note_left_out(void **state)
{
	struct identity_params params = params_new();
	struct pki_text text = {0};
	char *file;

	(void)state;
	pki_text_add_cert(&text, server_cert);
	pki_text_add_cert(&text, leaf);
	pki_text_add_cert(&text, mid);
	pki_text_add_cert(&text, root);
	pki_text_add_key(&text, leaf_key, PKI_PKCS8, NULL);
	file = pki_dir_write_text(dir, "more.pem", &text, 0600);
	params.bundle_file = file;
	assert_notes(&params, "1 other certificate in the file, left out");
	unlink(file);
	free(file);
	pki_text_free(&text);
}

/* Weak keys and signatures: a clear fault at the usual security level, a note where it was lowered. */
static void test_weak(void **state)
{
	EVP_PKEY *weak = pki_key("rsa1024"), *curve = pki_key("secp256k1");
	struct pki_cert want = {
	    .cn = "x", .key = weak, .issuer_cn = "mid", .issuer_key = mid_key, .eku = "clientAuth"};

	(void)state;
	assert_single_notes(&want, "DEFAULT:!kRSA:@SECLEVEL=0", "RSA key of 1024 bits");
	want.key = leaf_key;
	want.digest = EVP_sha1();
	assert_single_notes(&want, "DEFAULT:!kRSA:@SECLEVEL=0", "is signed with SHA1");
	want.digest = NULL;
	want.key = curve;
	assert_single_notes(&want, NULL, "on the curve secp256k1");
	want.key = weak;
	assert_single_refused(&want, "the key of CN=x is too weak for OpenSSL's security level");
	want.key = leaf_key;
	want.digest = EVP_sha1();
	assert_single_refused(&want, "the signature on CN=x is too weak");
	EVP_PKEY_free(weak);
	EVP_PKEY_free(curve);
}

/* RSA, ECDSA and Ed25519 present themselves; a key that cannot sign is refused. */
static void test_key_types(void **state)
{
	static const char *const kinds[] = {"rsa2048", "p256", "p384", "p521", "ed25519"};
	struct identity_params params = params_new();
	struct pki_cert want = {.cn = "x", .issuer_cn = "mid", .issuer_key = mid_key, .eku = "clientAuth"};
	struct pki_text notes = {0};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		EVP_PKEY *key = pki_key(kinds[i]);
		STACK_OF(X509) *presented = NULL;
		struct identity *identity;
		char *file;

		want.key = key;
		file = write_single(&want);
		params.bundle_file = file;
		identity = make(&params, &notes);
		assert_null(notes.at);
		assert_true(handshake(identity, mid, TLS1_3_VERSION, &presented));
		assert_int_equal(sk_X509_num(presented), 2);
		sk_X509_pop_free(presented, X509_free);
		identity_unref(identity);
		unlink(file);
		free(file);
		EVP_PKEY_free(key);
	}
	want.key = pki_key("x25519");
	assert_single_refused(&want, "a key of type X25519 is of no use");
	EVP_PKEY_free(want.key);
}

/* A server under the named anchor passes, also by a named intermediate; under another it fails. */
static void test_trust_decides(void **state)
{
	struct identity_params params = params_new();
	struct pki_text text = {0}, notes = {0};
	EVP_PKEY *key = pki_key("p256");
	X509 *other = pki_cert(&(struct pki_cert){.cn = "root", .key = key, .ca = true});
	struct identity *identity;
	char *mid_file, *other_file;

	(void)state;
	identity = make(&params, &notes);
	assert_false(identity_has_cert(identity));
	assert_string_equal(identity_subject(identity), "");
	assert_true(handshake(identity, mid, TLS1_3_VERSION, NULL));
	assert_false(handshake(identity, NULL, TLS1_3_VERSION, NULL));
	identity_unref(identity);
	pki_text_add_cert(&text, mid);
	mid_file = pki_dir_write_text(dir, "mid.pem", &text, 0644);
	pki_text_free(&text);
	pki_text_add_cert(&text, other);
	other_file = pki_dir_write_text(dir, "other.pem", &text, 0644);
	pki_text_free(&text);
	params.trust = mid_file;
	identity = make(&params, &notes);
	assert_true(handshake(identity, NULL, TLS1_3_VERSION, NULL));
	identity_unref(identity);
	params.trust = other_file;
	identity = make(&params, &notes);
	assert_false(handshake(identity, mid, TLS1_2_VERSION, NULL));
	assert_false(handshake(identity, mid, TLS1_3_VERSION, NULL));
	identity_unref(identity);
	assert_null(notes.at);
	unlink(mid_file);
	unlink(other_file);
	free(mid_file);
	free(other_file);
	X509_free(other);
	EVP_PKEY_free(key);
}

/* As "BEGIN TRUSTED CERTIFICATE", with what it is trusted or not trusted for. */
static void write_trusted(const char *file, X509 *cert, int trust_nid, int reject_nid)
{
	BIO *bio = BIO_new_file(file, "w");
	X509 *copy = X509_dup(cert);

	assert_non_null(bio);
	if (trust_nid != NID_undef)
		assert_int_equal(X509_add1_trust_object(copy, OBJ_nid2obj(trust_nid)), 1);
	if (reject_nid != NID_undef)
		assert_int_equal(X509_add1_reject_object(copy, OBJ_nid2obj(reject_nid)), 1);
	assert_int_equal(PEM_write_bio_X509_AUX(bio, copy), 1);
	BIO_free(bio);
	X509_free(copy);
}

/* An anchor that its own settings rule out for servers vouches for none (p11-kit writes distrusted ones so). */
static void test_trust_settings_count(void **state)
{
	struct identity_params params = params_new();
	struct pki_text notes = {0};
	char *file = pki_dir_write(dir, "trusted.pem", "", 0, 0644);
	const struct {
		int trust_nid, reject_nid;
		bool ok;
	} cases[] = {
	    {NID_undef, NID_undef, true},
	    {NID_server_auth, NID_undef, true},
	    {NID_email_protect, NID_undef, false},
	    {NID_undef, NID_server_auth, false},
	};
	size_t i;

	(void)state;
	params.trust = file;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct identity *identity;

		write_trusted(file, root, cases[i].trust_nid, cases[i].reject_nid);
		identity = make(&params, &notes);
		assert_int_equal(handshake(identity, mid, TLS1_3_VERSION, NULL), cases[i].ok);
		identity_unref(identity);
	}
	assert_null(notes.at);
	unlink(file);
	free(file);
}

/* A trust file must hold certificates, and nothing else; the fault names file and block. */
static void test_trust_file_faults(void **state)
{
	struct identity_params params = params_new();
	struct pki_text text = {0};
	char *file;

	(void)state;
	params.trust = "/nonexistent/ca.pem";
	assert_refuses(&params, "trust", "/nonexistent/ca.pem: No such file");
	file = pki_dir_write(dir, "bad.pem", "", 0, 0644);
	params.trust = file;
	assert_refuses(&params, "trust", "is empty");
	free(pki_dir_write(dir, "bad.pem", "words\n", 6, 0644));
	assert_refuses(&params, "trust", "neither PEM");
	pki_text_add_cert(&text, root);
	pki_text_add(&text, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
	free(pki_dir_write_text(dir, "bad.pem", &text, 0644));
	assert_refuses(&params, "trust", "bad.pem: block 2 (CERTIFICATE, line ");
	pki_text_free(&text);
	pki_text_add_cert(&text, root);
	pki_text_add_key(&text, root_key, PKI_PKCS8, NULL);
	free(pki_dir_write_text(dir, "bad.pem", &text, 0600));
	assert_refuses(&params, "trust", "(PRIVATE KEY, line ");
	unlink(file);
	free(file);
	pki_text_free(&text);
}

/* Not even what would hold up the start is waited for. */
static void test_crl_file_faults(void **state)
{
	struct identity_params params = params_new();
	char path[256];

	(void)state;
	params.rules.crl = true;
	params.crl_file = "/nonexistent/list.pem";
	assert_refuses(&params, "crl_file", "/nonexistent/list.pem: No such file");
	params.crl_file = dir;
	assert_refuses(&params, "crl_file", "is not a file");
	params.crl_file = root_file;
	assert_refuses(&params, "crl_file", "holds no revocation list");
	snprintf(path, sizeof(path), "%s/fifo", dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	params.crl_file = path;
	alarm(30);
	assert_refuses(&params, "crl_file", "is not a file");
	alarm(0);
	unlink(path);
}

/* A directory of plain files, hashed names, keys and readmes: the certificates count, and only those. */
static void test_trust_directory(void **state)
{
	struct identity_params params = params_new();
	char *trust_dir = pki_dir_new();
	struct pki_text text = {0}, notes = {0};
	struct identity *identity;
	unsigned char *der = NULL;
	int len = i2d_X509(root, &der), i;
	static const char *const names[] = {"plain.crt", "0123abcd.0", "der.cer"};

	(void)state;
	params.trust = trust_dir;
	assert_refuses(&params, "trust", "holds no certificate");
	free(pki_dir_write(trust_dir, "README", "-----BEGIN CERTIFICATE-----", 27, 0644));
	pki_text_add_key(&text, root_key, PKI_PKCS8, NULL);
	free(pki_dir_write_text(trust_dir, "root.key.pem", &text, 0600));
	pki_text_free(&text);
	assert_refuses(&params, "trust", "holds no certificate");
	pki_text_add_cert(&text, root);
	for (i = 0; i < 3; i++) {
		char *file = i == 2 ? pki_dir_write(trust_dir, names[i], der, (size_t)len, 0644)
				    : pki_dir_write_text(trust_dir, names[i], &text, 0644);

		identity = make(&params, &notes);
		assert_true(handshake(identity, mid, TLS1_3_VERSION, NULL));
		identity_unref(identity);
		unlink(file);
		free(file);
	}
	free(pki_dir_write(trust_dir, "broken.pem", text.at, text.len / 2, 0644));
	assert_refuses(&params, "trust", "broken.pem: block 1 (CERTIFICATE, line 1): is cut short");
	OPENSSL_free(der);
	pki_text_free(&text);
	pki_text_free(&notes);
	pki_dir_remove(trust_dir);
}

/* The system's store can be taken, and one that is empty is noted. */
static void test_trust_system(void **state)
{
	struct identity_params params = params_new();
	char *empty = pki_dir_new();

	(void)state;
	params.trust = NULL;
	assert_int_equal(setenv("SSL_CERT_FILE", root_file, 1), 0);
	assert_notes(&params, NULL);
	assert_int_equal(setenv("SSL_CERT_FILE", "/nonexistent", 1), 0);
	assert_int_equal(setenv("SSL_CERT_DIR", empty, 1), 0);
	assert_notes(&params, "trust: the system has no CA certificates");
	unsetenv("SSL_CERT_FILE");
	unsetenv("SSL_CERT_DIR");
	pki_dir_remove(empty);
}

/* Lists that OpenSSL refuses, or of which nothing is left, name their parameter. */
static void test_bad_lists(void **state)
{
	struct identity_params params = params_new();

	(void)state;
	params.ciphers = "NO-SUCH-CIPHER";
	assert_refuses(&params, "tls_ciphers", "no cipher");
	params.ciphers = " : ";
	assert_refuses(&params, "tls_ciphers", "no cipher");
	params.ciphers = "";
	assert_refuses(&params, "tls_ciphers", "no cipher");
	params.ciphers = "AES128-SHA256:!ALL";
	assert_refuses(&params, "tls_ciphers", "no cipher");
	params.ciphers = "ADH-AES128-SHA256:ECDHE-ECDSA-AES128-SHA:@SECLEVEL=0";
	assert_refuses(&params, "tls_ciphers", "add !aNULL");
	params.ciphers = "ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0";
	assert_refuses(&params, "tls_ciphers", "does not encrypt");
	/* Left by the list, but not by the security level. */
	params.ciphers = "ADH-AES128-SHA256";
	assert_refuses(&params, "tls_ciphers", "leaves no cipher for TLS 1.2");
	params.ciphers = NULL;
	params.ciphersuites = "TLS_NO_SUCH_SUITE";
	assert_refuses(&params, "tls_ciphersuites", "");
	params.ciphersuites = "";
	assert_refuses(&params, "tls_ciphersuites", "");
	params.ciphersuites = NULL;
	params.groups = "NO-SUCH-GROUP";
	assert_refuses(&params, "tls_groups", "X25519:P-256");
	params.groups = "";
	assert_refuses(&params, "tls_groups", "X25519:P-256");
	params.groups = NULL;
	params.tls_min = TLS1_3_VERSION;
	params.tls_max = TLS1_2_VERSION;
	assert_refuses(&params, "tls_min", "above tls_max");
}

/* Good lists are taken and are what is offered; static RSA is warned of. */
static void test_good_lists(void **state)
{
	struct identity_params params = params_new();
	struct pki_text notes = {0};
	struct identity *identity;

	(void)state;
	assert_notes(&params, NULL);
	params.ciphers = "DEFAULT:!kRSA";
	params.ciphersuites = "TLS_AES_256_GCM_SHA384";
	params.groups = "P-384:X25519";
	assert_notes(&params, NULL);
	params.ciphers = "DEFAULT";
	assert_notes(&params, "tls_ciphers: the list allows static RSA");
	params.ciphers = "ECDHE-ECDSA-AES128-GCM-SHA256";
	params.tls_min = TLS1_3_VERSION;
	identity = make(&params, &notes);
	assert_true(handshake(identity, mid, TLS1_3_VERSION, NULL));
	assert_false(handshake(identity, mid, TLS1_2_VERSION, NULL));
	identity_unref(identity);
	params.tls_min = params.tls_max = TLS1_2_VERSION;
	params.ciphersuites = NULL;
	assert_notes(&params, NULL);
	pki_text_free(&notes);
}

/* The options that the data path and the judgement rely on. */
static void test_policy(void **state)
{
	struct identity_params params = params_new();
	struct pki_text notes = {0};
	struct identity *identity = make(&params, &notes);
	SSL_CTX *ctx = identity_ctx(identity);
	uint64_t on = SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION;
	uint64_t off = SSL_OP_IGNORE_UNEXPECTED_EOF | SSL_OP_LEGACY_SERVER_CONNECT |
		       SSL_OP_ALLOW_UNSAFE_LEGACY_RENEGOTIATION;
#ifdef SSL_OP_NO_RX_CERTIFICATE_COMPRESSION
	uint64_t plain_certs = SSL_OP_NO_RX_CERTIFICATE_COMPRESSION | SSL_OP_NO_TX_CERTIFICATE_COMPRESSION;
#else
	uint64_t plain_certs = 0;
#endif
	long modes =
	    SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_NO_AUTO_CHAIN;

	(void)state;
	assert_true((SSL_CTX_get_options(ctx) & on) == on);
	assert_true((SSL_CTX_get_options(ctx) & plain_certs) == plain_certs);
	assert_true((SSL_CTX_get_options(ctx) & off) == 0);
	assert_true((SSL_CTX_get_mode(ctx) & modes) == modes);
	assert_int_equal(SSL_CTX_get_verify_mode(ctx), SSL_VERIFY_PEER);
	assert_int_equal(
	    SSL_CTX_get_session_cache_mode(ctx), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	identity_unref(identity);
}

static void assert_validity(long starts_s, long ends_s, enum identity_validity expected)
{
	struct identity_params params = params_new();
	struct pki_text notes = {0};
	struct identity *identity;
	char *file = write_single(&(struct pki_cert){.cn = "x",
	    .key = leaf_key,
	    .issuer_cn = "mid",
	    .issuer_key = mid_key,
	    .starts_s = starts_s,
	    .ends_s = ends_s});
	char when[32] = "";

	params.bundle_file = file;
	identity = make(&params, &notes);
	assert_int_equal(identity_validity(identity, when, sizeof(when)), expected);
	assert_int_equal(strlen(when), strlen("2026-11-21T10:00:00Z"));
	assert_int_equal(identity_validity(identity, NULL, 0), expected);
	identity_unref(identity);
	pki_text_free(&notes);
	unlink(file);
	free(file);
}

/* Validity is judged when asked, and an expired certificate stops nothing here. */
static void test_validity(void **state)
{
	struct identity_params params = params_new();
	struct pki_text notes = {0};
	struct identity *identity = make(&params, &notes);
	char when[32] = "x";

	(void)state;
	assert_int_equal(identity_validity(identity, when, sizeof(when)), IDENTITY_NO_CERT);
	assert_string_equal(when, "");
	identity_unref(identity);
	assert_validity(-60, 600, IDENTITY_VALID);
	assert_validity(-600, -60, IDENTITY_EXPIRED);
	assert_validity(600, 6000, IDENTITY_NOT_YET_VALID);
}

/* A key file whose public half matches but whose private half is another's is found out. */
static void test_damaged_private_half(void **state)
{
	struct identity_params params = params_new();
	struct pki_text text = {0};
	EVP_PKEY *other = pki_key("p256");
	unsigned char *der = NULL, *other_der = NULL;
	char *file;
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes = NULL;
	int len = i2d_PrivateKey(leaf_key, &der);
	long pem_len;

	(void)state;
	/* RFC 5915: SEQUENCE, version, OCTET STRING of 32 bytes, at offset 7. */
	assert_true(i2d_PrivateKey(other, &other_der) > 0);
	memcpy(der + 7, other_der + 7, 32);
	assert_true(PEM_write_bio(bio, "EC PRIVATE KEY", "", der, len) > 0);
	pem_len = BIO_get_mem_data(bio, &bytes);
	pki_text_add_bytes(&text, bytes, (size_t)pem_len);
	pki_text_add_cert(&text, leaf);
	file = pki_dir_write_text(dir, "damaged.pem", &text, 0600);
	params.bundle_file = file;
	assert_refuses(&params, "client_bundle", "damaged");
	BIO_free(bio);
	OPENSSL_free(der);
	OPENSSL_free(other_der);
	EVP_PKEY_free(other);
	unlink(file);
	free(file);
	pki_text_free(&text);
}

/* The last of several holders frees it, and a missing note callback is fine. */
static void test_holders(void **state)
{
	struct identity_params params = params_new();
	struct identity_faults faults;
	struct identity *identity;

	(void)state;
	params.bundle_file = bundle_file;
	identity = identity_new(&params, NULL, NULL, &faults);
	assert_non_null(identity);
	assert_ptr_equal(identity_ref(identity), identity);
	identity_unref(identity);
	assert_string_equal(identity_subject(identity), "CN=leaf");
	identity_unref(identity);
	identity_unref(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_presents_chain_without_root),
	    cmocka_unit_test(test_chain_is_not_completed_from_trust),
	    cmocka_unit_test(test_a_key_by_file_uri),
	    cmocka_unit_test(test_split_form),
	    cmocka_unit_test(test_notes),
	    cmocka_unit_test(test_note_left_out),
	    cmocka_unit_test(test_weak),
	    cmocka_unit_test(test_key_types),
	    cmocka_unit_test(test_trust_decides),
	    cmocka_unit_test(test_trust_settings_count),
	    cmocka_unit_test(test_trust_file_faults),
	    cmocka_unit_test(test_crl_file_faults),
	    cmocka_unit_test(test_trust_directory),
	    cmocka_unit_test(test_trust_system),
	    cmocka_unit_test(test_bad_lists),
	    cmocka_unit_test(test_good_lists),
	    cmocka_unit_test(test_policy),
	    cmocka_unit_test(test_validity),
	    cmocka_unit_test(test_damaged_private_half),
	    cmocka_unit_test(test_holders),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
