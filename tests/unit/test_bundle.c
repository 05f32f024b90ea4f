/* Proves that bundle reads what people have, puts it in order, and says of everything else what and where it
 * is. */
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/pkcs7.h>
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
#include "tls/bundle.h"
#include "tls/bundle_pbe.h"

/* Two roots, an intermediate that both signed, a leaf; a stranger. */
static EVP_PKEY *root_key, *other_root_key, *mid_key, *leaf_key, *rsa_key, *stranger_key;
static X509 *root, *other_root, *mid, *mid_cross, *leaf, *rsa_leaf, *stranger;

static int setup(void **state)
{
	(void)state;
	root_key = pki_key("p256");
	other_root_key = pki_key("p256");
	mid_key = pki_key("p384");
	leaf_key = pki_key("p256");
	rsa_key = pki_key("rsa2048");
	stranger_key = pki_key("ed25519");
	root = pki_cert(&(struct pki_cert){.cn = "root", .key = root_key, .ca = true});
	other_root = pki_cert(&(struct pki_cert){.cn = "other root", .key = other_root_key, .ca = true});
	mid = pki_cert(&(struct pki_cert){
	    .cn = "mid", .key = mid_key, .issuer_cn = "root", .issuer_key = root_key, .ca = true});
	mid_cross = pki_cert(&(struct pki_cert){.cn = "mid",
	    .key = mid_key,
	    .issuer_cn = "other root",
	    .issuer_key = other_root_key,
	    .ca = true});
	leaf = pki_cert(&(struct pki_cert){
	    .cn = "leaf", .key = leaf_key, .issuer_cn = "mid", .issuer_key = mid_key, .eku = "clientAuth"});
	rsa_leaf = pki_cert(&(struct pki_cert){.cn = "rsa leaf",
	    .key = rsa_key,
	    .issuer_cn = "mid",
	    .issuer_key = mid_key,
	    .eku = "clientAuth"});
	stranger = pki_cert(&(struct pki_cert){.cn = "stranger", .key = stranger_key});
	return 0;
}

static int teardown(void **state)
{
	EVP_PKEY *keys[] = {root_key, other_root_key, mid_key, leaf_key, rsa_key, stranger_key};
	X509 *certs[] = {root, other_root, mid, mid_cross, leaf, rsa_leaf, stranger};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		EVP_PKEY_free(keys[i]);
	for (i = 0; i < sizeof(certs) / sizeof(certs[0]); i++)
		X509_free(certs[i]);
	return 0;
}

static bool add_bytes(
    struct bundle *bundle, const void *bytes, size_t len, const char *passphrase, struct error *err)
{
	struct secret *secret = passphrase == NULL ? NULL : secret_new(passphrase, strlen(passphrase));
	bool ok = bundle_add_bytes(bundle, "b.pem", bytes, len, secret, err);

	secret_free(secret);
	return ok;
}

static bool add(struct bundle *bundle, const struct pki_text *text, const char *passphrase, struct error *err)
{
	return add_bytes(bundle, text->at, text->len, passphrase, err);
}

static void assert_says(const struct error *err, const char *words)
{
	if (strstr(err->text, words) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err->text, words);
}

/* Takes the text. */
static void assert_reads(struct pki_text *text, const char *passphrase, int certs, const EVP_PKEY *key)
{
	struct bundle *bundle = bundle_new();
	struct error err = {""};

	if (!add(bundle, text, passphrase, &err))
		fail_msg("refused: %s", err.text);
	assert_int_equal(sk_X509_num(bundle->certs), certs);
	if (key == NULL)
		assert_null(bundle->key);
	else
		assert_int_equal(EVP_PKEY_eq(bundle->key, key), 1);
	bundle_free(bundle);
	pki_text_free(text);
}

/* Takes the text; the bundle must stay as it was. */
static void assert_refuses(struct pki_text *text, const char *passphrase, const char *words)
{
	struct bundle *bundle = bundle_new();
	struct error err = {""};

	if (add(bundle, text, passphrase, &err))
		fail_msg("accepted, should say \"%s\"", words);
	assert_says(&err, words);
	assert_says(&err, "b.pem: ");
	assert_int_equal(sk_X509_num(bundle->certs), 0);
	assert_null(bundle->key);
	assert_null(bundle->key_file);
	bundle_free(bundle);
	pki_text_free(text);
}

static void add_pem_block(struct pki_text *text, const char *type, const void *der, size_t len)
{
	BIO *bio = BIO_new(BIO_s_mem());
	char *bytes = NULL;
	long pem_len;

	assert_true(PEM_write_bio(bio, type, "", der, (long)len) > 0);
	pem_len = BIO_get_mem_data(bio, &bytes);
	pki_text_add_bytes(text, bytes, (size_t)pem_len);
	BIO_free(bio);
}

/* Leaf, intermediate, root in any order, whatever the key's place, end as leaf, [intermediate, root]. */
static void test_any_order(void **state)
{
	static const int orders[][4] = {{0, 1, 2, 3}, {3, 2, 1, 0}, {0, 3, 1, 2}, {2, 0, 3, 1}, {1, 3, 2, 0}};
	X509 *certs[] = {leaf, mid, root};
	size_t i, j, left_out;
	struct error err;

	(void)state;
	for (i = 0; i < sizeof(orders) / sizeof(orders[0]); i++) {
		struct bundle *bundle = bundle_new();
		struct pki_text text = {0};
		STACK_OF(X509) *chain = NULL;
		X509 *found = NULL;

		for (j = 0; j < 4; j++) {
			if (orders[i][j] == 3)
				pki_text_add_key(&text, leaf_key, PKI_PKCS8, NULL);
			else
				pki_text_add_cert(&text, certs[orders[i][j]]);
		}
		assert_true(add(bundle, &text, NULL, &err));
		assert_true(bundle_order(bundle, &found, &chain, &left_out, &err));
		assert_int_equal(X509_cmp(found, leaf), 0);
		assert_int_equal(sk_X509_num(chain), 2);
		assert_int_equal(X509_cmp(sk_X509_value(chain, 0), mid), 0);
		assert_int_equal(X509_cmp(sk_X509_value(chain, 1), root), 0);
		assert_int_equal(left_out, 0);
		sk_X509_free(chain);
		bundle_free(bundle);
		pki_text_free(&text);
	}
}

/* Rewrites line ends, and puts what Windows leaves behind before each block. */
static struct pki_text disfigure(
    const struct pki_text *plain, const char *line_end, const char *before, const char *after)
{
	struct pki_text text = {0};
	const char *p;

	for (p = plain->at; *p != '\0'; p++) {
		if (strncmp(p, "-----BEGIN", 10) == 0)
			pki_text_add(&text, before);
		if (*p == '\n') {
			pki_text_add(&text, after);
			pki_text_add(&text, line_end);
		} else {
			pki_text_add_bytes(&text, p, 1);
		}
	}
	return text;
}

/* CRLF, CR alone, byte-order marks, 0x1A, indentation, trailing blanks, bag attributes, lost final line ends.
 */
static void test_disfigured_text(void **state)
{
	static const struct {
		const char *line_end, *before, *after;
	} ways[] = {
	    {"\r\n", "", ""},
	    {"\r", "", ""},
	    {"\n", "\xef\xbb\xbf", ""},
	    {"\r\n", "\x1a", ""},
	    {"\r\n", "\x1a\xef\xbb\xbf\t ", " \t"},
	    {"\n\n", "", ""},
	    {"\n    ", "    ", ""},
	    {"\r\n",
		"Bag Attributes\r\n    localKeyID: 01 02\r\n    friendlyName: a: b\r\nsubject=CN = x\r\n"
		"Key Attributes: <No Attributes>\r\n",
		""},
	};
	struct pki_text plain = {0}, text;
	char *joint;
	size_t i;

	(void)state;
	pki_text_add_key(&plain, leaf_key, PKI_TRADITIONAL_ENCRYPTED, "secret");
	pki_text_add_cert(&plain, leaf);
	pki_text_add_cert(&plain, mid);
	for (i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		text = disfigure(&plain, ways[i].line_end, ways[i].before, ways[i].after);
		assert_reads(&text, "secret", 2, leaf_key);
	}
	/* "-----END CERTIFICATE----------BEGIN CERTIFICATE-----" */
	joint = strstr(plain.at, "-----\n-----");
	assert_non_null(joint);
	memmove(joint + 5, joint + 6, strlen(joint + 6) + 1);
	plain.len--;
	/* and no line end at the end of the file */
	plain.len--;
	assert_reads(&plain, "secret", 2, leaf_key);
}

/* A block whose base64 stands on one long line is read. */
static void test_long_lines(void **state)
{
	struct pki_text text = {0};
	unsigned char *der = NULL, *base64;
	int len = i2d_X509(leaf, &der);

	(void)state;
	base64 = calloc(2, (size_t)len + 4);
	EVP_EncodeBlock(base64, der, len);
	pki_text_add(&text, "-----BEGIN CERTIFICATE-----\n");
	pki_text_add(&text, (char *)base64);
	pki_text_add(&text, "\n-----END CERTIFICATE-----\n");
	free(base64);
	OPENSSL_free(der);
	assert_reads(&text, NULL, 1, NULL);
}

/* Every form of key, RSA and EC, plain and encrypted, and Ed25519. */
static void test_key_forms(void **state)
{
	static const enum pki_form forms[] = {
	    PKI_PKCS8, PKI_PKCS8_ENCRYPTED, PKI_TRADITIONAL, PKI_TRADITIONAL_ENCRYPTED};
	EVP_PKEY *keys[] = {rsa_key, leaf_key};
	struct pki_text text = {0};
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		for (j = 0; j < sizeof(keys) / sizeof(keys[0]); j++) {
			pki_text_add_key(&text, keys[j], forms[i], "p w");
			assert_reads(&text, "p w", 0, keys[j]);
		}
	}
	pki_text_add_key(&text, stranger_key, PKI_PKCS8, NULL);
	assert_reads(&text, NULL, 0, stranger_key);
	/* `openssl ecparam -genkey` writes the parameters first. */
	pki_text_add(&text, "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n");
	pki_text_add_key(&text, leaf_key, PKI_TRADITIONAL, NULL);
	assert_reads(&text, NULL, 0, leaf_key);
}

/* A missing passphrase, a wrong one, and one that is not needed are three different things. */
static void test_passphrases(void **state)
{
	static const enum pki_form forms[] = {PKI_PKCS8_ENCRYPTED, PKI_TRADITIONAL_ENCRYPTED};
	struct pki_text text = {0};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		pki_text_add_key(&text, rsa_key, forms[i], "right");
		assert_refuses(&text, NULL, "the key is encrypted: set client_passphrase");
		pki_text_add_key(&text, rsa_key, forms[i], "right");
		assert_refuses(&text, "wrong", "the passphrase does not open the key");
	}
	pki_text_add_key(&text, rsa_key, PKI_PKCS8, NULL);
	assert_reads(&text, "not needed", 0, rsa_key);
}

/* With the traditional form one wrong passphrase in 256 looks right to the padding: the sentence stays the
 * same. */
static void test_wrong_passphrase_by_chance(void **state)
{
	struct pki_text text = {0};
	char wrong[16];
	int i;

	(void)state;
	pki_text_add_key(&text, leaf_key, PKI_TRADITIONAL_ENCRYPTED, "right");
	for (i = 0; i < 2000; i++) {
		struct bundle *bundle = bundle_new();
		struct error err = {""};

		snprintf(wrong, sizeof(wrong), "wrong%d", i);
		assert_false(add(bundle, &text, wrong, &err));
		assert_says(&err, "the passphrase does not open the key");
		bundle_free(bundle);
	}
	pki_text_free(&text);
}

/* A cipher that OpenSSL has only in its legacy provider is not called a wrong passphrase. */
static void test_unsupported_cipher(void **state)
{
	struct pki_text text = {0};

	(void)state;
	pki_text_add(&text, "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
			    "DEK-Info: NO-SUCH-CIPHER,0102030405060708\n\nAAAAAAAAAAAAAAAAAAAAAA==\n"
			    "-----END RSA PRIVATE KEY-----\n");
	assert_refuses(&text, "any", "is encrypted with NO-SUCH-CIPHER, ");
	pki_text_add(&text, "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
			    "DEK-Info: DES-CBC,0102030405060708\n\nAAAAAAAAAAAAAAAAAAAAAA==\n"
			    "-----END RSA PRIVATE KEY-----\n");
	assert_refuses(&text, "any", "is encrypted with DES-CBC, ");
}

/* DER certificates and keys, without a passphrase and with one. */
static void test_der(void **state)
{
	EVP_PKEY *keys[] = {rsa_key, leaf_key, stranger_key};
	struct pki_text text = {0};
	unsigned char *der = NULL;
	PKCS8_PRIV_KEY_INFO *info;
	X509_SIG *sealed;
	int len;
	size_t i;

	(void)state;
	len = i2d_X509(leaf, &der);
	pki_text_add_bytes(&text, der, (size_t)len);
	assert_reads(&text, NULL, 1, NULL);
	pki_text_add_bytes(&text, der, (size_t)len / 2);
	assert_refuses(&text, NULL, "damaged or cut short");
	OPENSSL_free(der);
	for (i = 0; i < 3; i++) {
		info = EVP_PKEY2PKCS8(keys[i]);
		der = NULL;
		len = i2d_PKCS8_PRIV_KEY_INFO(info, &der);
		pki_text_add_bytes(&text, der, (size_t)len);
		assert_reads(&text, NULL, 0, keys[i]);
		OPENSSL_free(der);
		sealed = PKCS8_encrypt(-1, EVP_aes_256_cbc(), "pw", 2, NULL, 0, 0, info);
		der = NULL;
		len = i2d_X509_SIG(sealed, &der);
		pki_text_add_bytes(&text, der, (size_t)len);
		assert_reads(&text, "pw", 0, keys[i]);
		pki_text_add_bytes(&text, der, (size_t)len);
		assert_refuses(&text, NULL, "set client_passphrase");
		OPENSSL_free(der);
		X509_SIG_free(sealed);
		PKCS8_PRIV_KEY_INFO_free(info);
		if (i == 2)
			continue; /* Ed25519 has no form but PKCS#8 */
		der = NULL;
		len = i2d_PrivateKey(keys[i], &der);
		pki_text_add_bytes(&text, der, (size_t)len);
		assert_reads(&text, NULL, 0, keys[i]);
		OPENSSL_free(der);
	}
}

static void add_pfx(struct pki_text *text, const char *passphrase, int key_nid, int cert_nid, int iterations)
{
	STACK_OF(X509) *others = sk_X509_new_null();
	unsigned char *der = NULL;
	PKCS12 *pfx;
	int len;

	sk_X509_push(others, mid);
	sk_X509_push(others, root);
	pfx = PKCS12_create(passphrase, "name", leaf_key, leaf, others, key_nid, cert_nid, iterations,
	    iterations, 0);
	assert_non_null(pfx);
	len = i2d_PKCS12(pfx, &der);
	pki_text_add_bytes(text, der, (size_t)len);
	OPENSSL_free(der);
	PKCS12_free(pfx);
	sk_X509_free(others);
}

/* PFX gives key and certificates; its passphrase may be missing, wrong, empty or none at all. */
static void test_pfx(void **state)
{
	struct pki_text text = {0};

	(void)state;
	add_pfx(&text, "pw", 0, 0, 2048);
	assert_reads(&text, "pw", 3, leaf_key);
	add_pfx(&text, "pw", NID_pbe_WithSHA1And3_Key_TripleDES_CBC, NID_pbe_WithSHA1And3_Key_TripleDES_CBC,
	    1);
	assert_reads(&text, "pw", 3, leaf_key);
	add_pfx(&text, "", 0, 0, 2048);
	assert_reads(&text, NULL, 3, leaf_key);
	add_pfx(&text, NULL, -1, -1, 1);
	assert_reads(&text, NULL, 3, leaf_key);
	add_pfx(&text, "pw", 0, 0, 2048);
	assert_refuses(&text, NULL, "with a passphrase: set client_passphrase");
	add_pfx(&text, "pw", 0, 0, 2048);
	assert_refuses(&text, "wrong", "the passphrase does not open");
	add_pfx(&text, "pw", 0, 0, 2048);
	text.len -= 10;
	assert_refuses(&text, "pw", "damaged or cut short");
}

/* A file that wants hours of work to be opened is refused at once. */
static void test_pfx_work(void **state)
{
	int64_t budget = 1000;
	ASN1_INTEGER *count = ASN1_INTEGER_new();
	struct error err = {""};

	(void)state;
	ASN1_INTEGER_set_int64(count, 900);
	assert_true(bundle_pbe_spend_count(count, &budget, &err));
	assert_false(bundle_pbe_spend_count(count, &budget, &err));
	assert_says(&err, "more work");
	ASN1_INTEGER_free(count);
}

/* A PBMAC1 (OpenSSL 3.4 and later) has its count in its parameters, not where it was. */
static void test_pfx_work_of_pbmac1(void **state)
{
	X509_ALGOR *algorithm = X509_ALGOR_new();
	PBE2PARAM *params = PBE2PARAM_new();
	int64_t budget = 1000;
	struct error err = {""};

	(void)state;
	X509_ALGOR_free(params->keyfunc);
	params->keyfunc = PKCS5_pbkdf2_set(900, NULL, 0, NID_hmacWithSHA256, 32);
	assert_int_equal(X509_ALGOR_set0(params->encryption, OBJ_nid2obj(NID_hmacWithSHA256), V_ASN1_NULL, NULL), 1);
	assert_non_null(ASN1_TYPE_pack_sequence(ASN1_ITEM_rptr(PBE2PARAM), params, &algorithm->parameter));
	ASN1_OBJECT_free(algorithm->algorithm);
	algorithm->algorithm = OBJ_nid2obj(NID_pbmac1);
	assert_true(bundle_pbe_spend(algorithm, &budget, &err));
	assert_int_equal(budget, 100);
	assert_false(bundle_pbe_spend(algorithm, &budget, &err));
	assert_says(&err, "more work");
	PBE2PARAM_free(params);
	X509_ALGOR_free(algorithm);
}

/* Each block may be opened at a price that is sensible for one alone. */
static void test_work_is_bounded_for_a_file(void **state)
{
	const char *preload = getenv("LD_PRELOAD");
	PKCS8_PRIV_KEY_INFO *info;
	struct pki_text text = {0};
	unsigned char *der = NULL;
	EVP_CIPHER *cipher;
	X509_SIG *sealed;
	int len;

	(void)state;
	if (preload != NULL && strstr(preload, "vgpreload") != NULL)
		skip(); /* valgrind takes minutes for what takes a second */
	cipher = EVP_CIPHER_fetch(NULL, "AES-256-CBC", NULL);
	info = EVP_PKEY2PKCS8(leaf_key);
	sealed = PKCS8_encrypt(-1, cipher, "pw", 2, NULL, 0, BUNDLE_PBE_BUDGET / 2 + 1, info);
	assert_non_null(sealed);
	len = i2d_X509_SIG(sealed, &der);
	add_pem_block(&text, "ENCRYPTED PRIVATE KEY", der, (size_t)len);
	assert_reads(&text, "pw", 0, leaf_key);
	add_pem_block(&text, "ENCRYPTED PRIVATE KEY", der, (size_t)len);
	add_pem_block(&text, "ENCRYPTED PRIVATE KEY", der, (size_t)len);
	assert_refuses(&text, "pw", "block 2 (ENCRYPTED PRIVATE KEY, line ");
	OPENSSL_free(der);
	X509_SIG_free(sealed);
	PKCS8_PRIV_KEY_INFO_free(info);
	EVP_CIPHER_free(cipher);
}

/* Every entry of a PFX and every block of PEM is known by its place. */
static void test_origins(void **state)
{
	struct bundle *bundle = bundle_new();
	struct pki_text text = {0};
	struct error err = {""};

	(void)state;
	pki_text_add_cert(&text, leaf);
	pki_text_add_cert(&text, root);
	assert_true(add(bundle, &text, NULL, &err));
	pki_text_free(&text);
	add_pfx(&text, "pw", 0, 0, 2048);
	assert_true(add(bundle, &text, "pw", &err));
	assert_int_equal(sk_X509_num(bundle->certs), 3);
	assert_string_equal(
	    bundle_cert_origin(sk_X509_value(bundle->certs, 0)), "b.pem: block 1 (CERTIFICATE, line 1)");
	assert_non_null(strstr(bundle_cert_origin(sk_X509_value(bundle->certs, 1)), "b.pem: block 2 ("));
	assert_string_equal(bundle_cert_origin(sk_X509_value(bundle->certs, 2)),
	    "b.pem: entry 2 (certificate)");
	assert_string_equal(bundle->key_origin, "b.pem: entry 4 (key)");
	assert_string_equal(bundle_cert_origin(leaf), "");
	pki_text_free(&text);
	bundle_free(bundle);
}

/* UTF-16 in both byte orders, with and without a mark, and joined from two such files. */
static void test_utf16(void **state)
{
	struct pki_text text = {0}, plain = {0};
	int form;
	size_t i;

	(void)state;
	pki_text_add_cert(&plain, leaf);
	pki_text_add(&plain, "\r\nBag \xc3\x84ttributes\r\n");
	pki_text_add_key(&plain, leaf_key, PKI_PKCS8, NULL);
	for (form = 0; form < 4; form++) {
		if (form < 2)
			pki_text_add_bytes(&text, form == 0 ? "\xff\xfe" : "\xfe\xff", 2);
		for (i = 0; i < plain.len; i++)
			pki_text_add_bytes(&text,
			    (form & 1) == 0 ? (char[]){plain.at[i], '\0'} : (char[]){'\0', plain.at[i]}, 2);
		assert_reads(&text, NULL, 1, leaf_key);
	}
	for (form = 0; form < 2; form++) {
		pki_text_add_bytes(&text, "\xff\xfe", 2);
		for (i = 0; i < plain.len; i++)
			pki_text_add_bytes(&text, (char[]){plain.at[i], '\0'}, 2);
	}
	pki_text_add_bytes(&text, "\x1a", 1);
	assert_reads(&text, NULL, 1, leaf_key);
	pki_text_add_bytes(&text, "\xff\xfe-\0-\0", 6);
	assert_refuses(&text, NULL, "is neither PEM");
	pki_text_free(&plain);
}

/* What is no certificate and no private key is named by block, type and line. */
static void test_foreign_blocks(void **state)
{
	struct pki_text text = {0};
	unsigned char *der = NULL;
	int len = i2d_PUBKEY(leaf_key, &der);

	(void)state;
	add_pem_block(&text, "PUBLIC KEY", der, (size_t)len);
	assert_refuses(&text, NULL, "public key only");
	add_pem_block(&text, "PUBLIC KEY", der, (size_t)len);
	pki_text_add_cert(&text, leaf);
	assert_reads(&text, NULL, 1, NULL);
	OPENSSL_free(der);
	pki_text_add(&text, "hello\n");
	add_pem_block(&text, "CERTIFICATE REQUEST", "abc", 3);
	assert_refuses(&text, NULL, "block 1 (CERTIFICATE REQUEST, line 2): is a certificate request");
	pki_text_add_cert(&text, leaf);
	add_pem_block(&text, "X509 CRL", "abc", 3);
	assert_refuses(&text, NULL, "block 2 (X509 CRL, line ");
	add_pem_block(&text, "OPENSSH PRIVATE KEY", "abc", 3);
	assert_refuses(&text, NULL, "ssh-keygen");
	add_pem_block(&text, "POEM", "abc", 3);
	assert_refuses(&text, NULL, "block 1 (POEM, line 1): is of an unknown type");
	add_pem_block(&text, "DH PARAMETERS", "abc", 3);
	pki_text_add_cert(&text, leaf);
	assert_reads(&text, NULL, 1, NULL);
}

/* OpenSSL's certificate with trust settings counts as the certificate. */
static void test_trusted_certificate(void **state)
{
	struct pki_text text = {0};
	BIO *bio = BIO_new(BIO_s_mem());
	X509 *trusted = X509_dup(leaf);
	ASN1_OBJECT *usage = OBJ_txt2obj("clientAuth", 0);
	char *bytes = NULL;
	long len;

	(void)state;
	assert_true(X509_add1_trust_object(trusted, usage));
	assert_true(PEM_write_bio_X509_AUX(bio, trusted));
	len = BIO_get_mem_data(bio, &bytes);
	pki_text_add_bytes(&text, bytes, (size_t)len);
	pki_text_add_cert(&text, leaf);
	assert_reads(&text, NULL, 1, NULL);
	ASN1_OBJECT_free(usage);
	X509_free(trusted);
	BIO_free(bio);
}

/* Cut, stuck together and garbled blocks are faults, never passed over. */
static void test_damage(void **state)
{
	struct pki_text plain = {0}, text = {0};
	char *line2;

	(void)state;
	pki_text_add_cert(&plain, leaf);
	pki_text_add_bytes(&text, plain.at, plain.len / 2);
	assert_refuses(&text, NULL, "block 1 (CERTIFICATE, line 1): is cut short");
	pki_text_add_bytes(&text, plain.at, plain.len / 2);
	pki_text_add(&text, "\n");
	pki_text_add(&text, plain.at);
	assert_refuses(&text, NULL, "has no END line");
	pki_text_add(&text, strchr(plain.at, '\n') + 1);
	assert_refuses(&text, NULL, "ends a block that was not begun");
	pki_text_add_bytes(&text, plain.at, plain.len - strlen("-----END CERTIFICATE-----\n"));
	pki_text_add(&text, "-----END PRIVATE KEY-----\n");
	assert_refuses(&text, NULL, "ends as PRIVATE KEY in line ");
	pki_text_add(&text, plain.at);
	line2 = strchr(text.at, '\n') + 1;
	line2[5] = '*';
	assert_refuses(&text, NULL, "line 2 has a character that is not base64 (*)");
	pki_text_add(&text, plain.at);
	line2 = strchr(text.at, '\n') + 1;
	memmove(line2, line2 + 1, strlen(line2));
	text.len--;
	assert_refuses(&text, NULL, "base64 text is damaged or cut");
	pki_text_add(&text, plain.at);
	line2 = strchr(text.at, '\n') + 1;
	memmove(line2, line2 + 4, strlen(line2 + 3));
	text.len -= 4;
	assert_refuses(&text, NULL, "is damaged or no certificate");
	pki_text_add(&text, "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n");
	assert_refuses(&text, NULL, "is empty");
	pki_text_add(&text, "-----BEGIN CERTIFICATE--\nAAAA\n-----END CERTIFICATE-----\n");
	assert_refuses(&text, NULL, "line 1, a BEGIN line, is damaged");
	pki_text_add(&text,
	    "-----BEGIN PRIVATE KEY-----\na: -----bbbbbbbbbbbbbbbbbbbbbbb\n-----END PRIVATE KEY-----\n");
	assert_refuses(&text, NULL, "not base64");
	pki_text_add(&text, "0123 just words, no block\n");
	assert_refuses(&text, NULL, "neither PEM");
	pki_text_add(&text, "");
	assert_refuses(&text, NULL, "is empty");
	pki_text_free(&plain);
}

/* Bounds: 100 blocks, 1 MiB. */
static void test_bounds(void **state)
{
	struct pki_text text = {0};
	char *large = calloc(1, 1024 * 1024 + 1);
	int i;

	(void)state;
	for (i = 0; i < 100; i++)
		pki_text_add_cert(&text, leaf);
	assert_reads(&text, NULL, 1, NULL);
	for (i = 0; i < 101; i++)
		pki_text_add_cert(&text, leaf);
	assert_refuses(&text, NULL, "block 101 ");
	pki_text_add_bytes(&text, large, 1024 * 1024 + 1);
	assert_refuses(&text, NULL, "larger than 1 MiB");
	free(large);
}

static void add_pkcs7(struct pki_text *text, int count)
{
	PKCS7 *pkcs7 = PKCS7_new();
	unsigned char *der = NULL;
	int i, len;

	assert_int_equal(PKCS7_set_type(pkcs7, NID_pkcs7_signed), 1);
	assert_int_equal(PKCS7_content_new(pkcs7, NID_pkcs7_data), 1);
	for (i = 0; i < count; i++)
		assert_int_equal(PKCS7_add_certificate(pkcs7, leaf), 1);
	len = i2d_PKCS7(pkcs7, &der);
	add_pem_block(text, "PKCS7", der, (size_t)len);
	OPENSSL_free(der);
	PKCS7_free(pkcs7);
}

/* One block can hold any number; to put thousands into order takes minutes. */
static void test_certificates_are_bounded(void **state)
{
	struct pki_text text = {0};

	(void)state;
	add_pkcs7(&text, 100);
	assert_reads(&text, NULL, 1, NULL);
	add_pkcs7(&text, 101);
	assert_refuses(&text, NULL, "holds 101 certificates: at most 100 are read");
	add_pkcs7(&text, 60);
	add_pkcs7(&text, 60);
	assert_refuses(&text, NULL, "holds 120 certificates");
}

/* A second, different key is refused, in one file or in two, and the bundle stays as it was. */
static void test_two_keys(void **state)
{
	struct bundle *bundle = bundle_new();
	struct pki_text text = {0};
	struct error err = {""};

	(void)state;
	pki_text_add_key(&text, leaf_key, PKI_PKCS8, NULL);
	pki_text_add_key(&text, rsa_key, PKI_PKCS8, NULL);
	assert_refuses(&text, NULL, "block 2 (PRIVATE KEY, line 6): is a second private key");
	pki_text_add_key(&text, leaf_key, PKI_PKCS8, NULL);
	assert_true(add(bundle, &text, NULL, &err));
	assert_true(add(bundle, &text, NULL, &err)); /* the same once more is none */
	pki_text_free(&text);
	pki_text_add_key(&text, rsa_key, PKI_PKCS8, NULL);
	pki_text_add_cert(&text, leaf);
	assert_false(add(bundle, &text, NULL, &err));
	assert_says(&err, "second private key");
	assert_int_equal(sk_X509_num(bundle->certs), 0);
	pki_text_free(&text);
	bundle_free(bundle);
}

static void assert_order_fails(const struct pki_text *text, const char *words)
{
	struct bundle *bundle = bundle_new();
	STACK_OF(X509) *chain = NULL;
	struct error err = {""};
	X509 *found = NULL;

	assert_true(add(bundle, text, NULL, &err));
	assert_false(bundle_order(bundle, &found, &chain, NULL, &err));
	assert_says(&err, words);
	bundle_free(bundle);
}

/* No certificate, no key, and a key that belongs to none of the certificates. */
static void test_order_faults(void **state)
{
	struct pki_text text = {0};

	(void)state;
	pki_text_add_cert(&text, mid);
	pki_text_add_cert(&text, leaf);
	assert_order_fails(&text, "there is no private key, only 2 certificates");
	pki_text_add_key(&text, stranger_key, PKI_PKCS8, NULL);
	assert_order_fails(&text, "belongs to none of the 2 certificates; CN=leaf has public key SHA-256 ");
	pki_text_free(&text);
	pki_text_add_key(&text, stranger_key, PKI_PKCS8, NULL);
	assert_order_fails(&text, "there is no certificate, only the private key in b.pem");
	pki_text_free(&text);
}

static void assert_chain(X509 *const *certs, EVP_PKEY *key, X509 *const *expected, size_t expected_left_out)
{
	struct bundle *bundle = bundle_new();
	struct pki_text text = {0};
	STACK_OF(X509) *chain = NULL;
	struct error err = {""};
	X509 *found = NULL;
	size_t left_out = 99;
	int i;

	for (i = 0; certs[i] != NULL; i++)
		pki_text_add_cert(&text, certs[i]);
	pki_text_add_key(&text, key, PKI_PKCS8, NULL);
	assert_true(add(bundle, &text, NULL, &err));
	assert_true(bundle_order(bundle, &found, &chain, &left_out, &err));
	assert_int_equal(X509_cmp(found, expected[0]), 0);
	for (i = 1; expected[i] != NULL; i++) {
		assert_true(i <= sk_X509_num(chain));
		assert_int_equal(X509_cmp(sk_X509_value(chain, i - 1), expected[i]), 0);
	}
	assert_int_equal(sk_X509_num(chain), i - 1);
	assert_int_equal(left_out, expected_left_out);
	sk_X509_free(chain);
	bundle_free(bundle);
	pki_text_free(&text);
}

/* Of two certificates for the same intermediate the one that leads to a root in the file is taken. */
static void test_cross_signed(void **state)
{
	(void)state;
	assert_chain(
	    (X509 *[]){mid_cross, mid, root, leaf, NULL}, leaf_key, (X509 *[]){leaf, mid, root, NULL}, 1);
	assert_chain((X509 *[]){mid, mid_cross, other_root, leaf, NULL}, leaf_key,
	    (X509 *[]){leaf, mid_cross, other_root, NULL}, 1);
	assert_chain((X509 *[]){leaf, mid, mid_cross, NULL}, leaf_key, (X509 *[]){leaf, mid, NULL}, 1);
	assert_chain((X509 *[]){leaf, leaf, mid, mid, NULL}, leaf_key, (X509 *[]){leaf, mid, NULL}, 0);
}

/* An expired intermediate is passed over for a valid one, even where only the expired one leads to a root. */
static void test_expired_issuer(void **state)
{
	X509 *old = pki_cert(&(struct pki_cert){.cn = "mid",
	    .key = mid_key,
	    .issuer_cn = "root",
	    .issuer_key = root_key,
	    .ca = true,
	    .starts_s = -7200,
	    .ends_s = -3600});

	(void)state;
	assert_chain((X509 *[]){old, mid_cross, root, leaf, NULL}, leaf_key, (X509 *[]){leaf, mid_cross,
	    NULL}, 2);
	assert_chain((X509 *[]){old, root, leaf, NULL}, leaf_key, (X509 *[]){leaf, old, root, NULL}, 0);
	X509_free(old);
}

/* CAs that signed each other, without a root, end the chain instead of going round. */
static void test_issuer_cycle(void **state)
{
	X509 *a = pki_cert(&(struct pki_cert){.cn = "root",
	    .key = root_key,
	    .issuer_cn = "other root",
	    .issuer_key = other_root_key,
	    .ca = true});
	X509 *b = pki_cert(&(struct pki_cert){.cn = "other root",
	    .key = other_root_key,
	    .issuer_cn = "root",
	    .issuer_key = root_key,
	    .ca = true});

	(void)state;
	assert_chain((X509 *[]){b, a, mid, leaf, NULL}, leaf_key, (X509 *[]){leaf, mid, a, b, NULL}, 0);
	X509_free(a);
	X509_free(b);
}

/* A name alone makes no issuer: an impostor with the right name and another key stays out. */
static void test_impostor_issuer(void **state)
{
	X509 *impostor = pki_cert(&(struct pki_cert){.cn = "mid", .key = root_key, .ca = true});

	(void)state;
	assert_chain((X509 *[]){impostor, mid, leaf, NULL}, leaf_key, (X509 *[]){leaf, mid, NULL}, 1);
	assert_chain((X509 *[]){impostor, leaf, NULL}, leaf_key, (X509 *[]){leaf, NULL}, 1);
	X509_free(impostor);
}

/* After a renewal with the same key the certificate that is valid is the leaf, wherever it stands. */
static void test_renewed_leaf(void **state)
{
	X509 *old = pki_cert(&(struct pki_cert){.cn = "leaf",
	    .key = leaf_key,
	    .issuer_cn = "mid",
	    .issuer_key = mid_key,
	    .starts_s = -86400,
	    .ends_s = -60});
	X509 *future = pki_cert(&(struct pki_cert){.cn = "leaf",
	    .key = leaf_key,
	    .issuer_cn = "mid",
	    .issuer_key = mid_key,
	    .starts_s = 86400,
	    .ends_s = 86400L * 800});

	(void)state;
	assert_chain((X509 *[]){old, future, leaf, mid, NULL}, leaf_key, (X509 *[]){leaf, mid, NULL}, 2);
	assert_chain((X509 *[]){leaf, old, NULL}, leaf_key, (X509 *[]){leaf, NULL}, 1);
	X509_free(old);
	X509_free(future);
}

/* Files: read, named in faults; a key that others may read is refused, a certificate is not; a FIFO does not
 * hang. */
static void test_files(void **state)
{
	char *dir = pki_dir_new(), *file, *fifo;
	struct bundle *bundle = bundle_new();
	struct pki_text text = {0};
	struct error err = {""};

	(void)state;
	pki_text_add_cert(&text, leaf);
	file = pki_dir_write_text(dir, "cert.pem", &text, 0644);
	assert_true(bundle_add_file(bundle, file, NULL, &err));
	free(file);
	pki_text_add_key(&text, leaf_key, PKI_PKCS8, NULL);
	file = pki_dir_write_text(dir, "open.pem", &text, 0644);
	assert_false(bundle_add_file(bundle, file, NULL, &err));
	assert_says(&err, file);
	assert_null(bundle->key);
	assert_int_equal(chmod(file, 0640), 0);
	assert_true(bundle_add_file(bundle, file, NULL, &err));
	assert_non_null(bundle->key);
	assert_string_equal(bundle->key_file, file);
	assert_int_equal(sk_X509_num(bundle->certs), 1);
	free(file);
	assert_false(bundle_add_file(bundle, dir, NULL, &err));
	assert_says(&err, "directory");
	assert_true(asprintf(&fifo, "%s/fifo", dir) > 0);
	assert_int_equal(mkfifo(fifo, 0600), 0);
	assert_false(bundle_add_file(bundle, fifo, NULL, &err));
	assert_says(&err, "is not a file");
	unlink(fifo);
	assert_false(bundle_add_file(bundle, fifo, NULL, &err));
	assert_says(&err, "No such file");
	free(fifo);
	pki_text_free(&text);
	bundle_free(bundle);
	pki_dir_remove(dir);
}

/* Names come out in RFC 2253 form, escaped and bounded; times in ISO 8601. */
static void test_texts(void **state)
{
	X509_NAME *name = X509_NAME_new();
	ASN1_TIME *time = ASN1_TIME_new();
	char buf[64], small[8];
	long long left, since;

	(void)state;
	X509_NAME_add_entry_by_txt(name, "O", MBSTRING_UTF8, (const unsigned char *)"A, B\n\x1b", -1, -1, 0);
	X509_NAME_add_entry_by_txt(
	    name, "CN", MBSTRING_UTF8, (const unsigned char *)"caf\xc3\xa9", -1, -1, 0);
	assert_string_equal(bundle_name_text(name, buf, sizeof(buf)), "CN=caf\\C3\\A9,O=A\\, B\\0A\\1B");
	assert_string_equal(bundle_name_text(name, small, sizeof(small)), "CN=c...");
	ASN1_TIME_set_string(time, "20261121100000Z");
	assert_string_equal(bundle_time_text(time, buf, sizeof(buf)), "2026-11-21T10:00:00Z");
	assert_string_equal(bundle_time_text(NULL, buf, sizeof(buf)), "(invalid time)");
	assert_true(bundle_validity(leaf, &left, &since));
	assert_in_range(left, 364LL * 86400, 365LL * 86400);
	assert_in_range(since, 3600, 7200);
	X509_NAME_free(name);
	ASN1_TIME_free(time);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_any_order),
	    cmocka_unit_test(test_disfigured_text),
	    cmocka_unit_test(test_long_lines),
	    cmocka_unit_test(test_key_forms),
	    cmocka_unit_test(test_passphrases),
	    cmocka_unit_test(test_wrong_passphrase_by_chance),
	    cmocka_unit_test(test_unsupported_cipher),
	    cmocka_unit_test(test_der),
	    cmocka_unit_test(test_pfx),
	    cmocka_unit_test(test_pfx_work),
	    cmocka_unit_test(test_pfx_work_of_pbmac1),
	    cmocka_unit_test(test_work_is_bounded_for_a_file),
	    cmocka_unit_test(test_origins),
	    cmocka_unit_test(test_utf16),
	    cmocka_unit_test(test_foreign_blocks),
	    cmocka_unit_test(test_trusted_certificate),
	    cmocka_unit_test(test_damage),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_certificates_are_bounded),
	    cmocka_unit_test(test_two_keys),
	    cmocka_unit_test(test_order_faults),
	    cmocka_unit_test(test_cross_signed),
	    cmocka_unit_test(test_expired_issuer),
	    cmocka_unit_test(test_issuer_cycle),
	    cmocka_unit_test(test_impostor_issuer),
	    cmocka_unit_test(test_renewed_leaf),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_texts),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
