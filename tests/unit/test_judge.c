/*
 * Proves the rules by which a server is judged, from made-up evidence; the table of products; which anchors
 * count as added locally; and what is taken of an OCSP staple.
 */
#include <openssl/ct.h>
#include <openssl/ocsp.h>
#include <openssl/pem.h>
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

#include "base/mem.h"
#include "pki.h"
#include "tls/anchor_origin.h"
#include "tls/evidence.h"
#include "tls/inspection_products.h"
#include "tls/judge.h"
#include "tls/revocation.h"

/* A server of a public CA, by the system's store. */
static struct judge_evidence good(void)
{
	struct judge_evidence evidence = {
	    .trust_system = true,
	    .subject = "CN=t.example",
	    .issuer = "CN=Public CA",
	    .anchor = "CN=Public Root",
	    .sct = JUDGE_SCT_CERT,
	    .origin = JUDGE_ORIGIN_DISTRIBUTION,
	    .cert_requested = true,
	};

	return evidence;
}

static enum tls_fault_kind judge(
    struct judge_evidence *evidence, enum judge_inspection inspection, struct tls_fault *fault)
{
	struct judge_rules rules = {.inspection = inspection, .trust_system = evidence->trust_system};
	bool may = judge_server(&rules, "t.example", evidence, fault);

	assert_int_equal(may, fault->kind == TLS_FAULT_NONE);
	assert_int_equal(may, fault->sentence[0] == '\0');
	return fault->kind;
}

/* Refused as inspected, and taken with warn and ignore. */
static void assert_inspected(struct judge_evidence evidence, unsigned reasons, const char *text)
{
	struct tls_fault fault;

	assert_int_equal(judge(&evidence, JUDGE_INSPECTION_REFUSE, &fault), TLS_FAULT_INSPECTED);
	assert_int_equal(evidence.reasons, reasons);
	if (strstr(fault.sentence, text) == NULL)
		fail_msg("no \"%s\" in: %s", text, fault.sentence);
	assert_int_equal(judge(&evidence, JUDGE_INSPECTION_WARN, &fault), TLS_FAULT_NONE);
	assert_int_equal(evidence.reasons, reasons);
	assert_int_equal(judge(&evidence, JUDGE_INSPECTION_IGNORE, &fault), TLS_FAULT_NONE);
	assert_int_equal(judge(&evidence, JUDGE_INSPECTION_OFF, &fault), TLS_FAULT_NONE);
	assert_int_equal(evidence.reasons, 0);
}

static void assert_clean(struct judge_evidence evidence)
{
	struct tls_fault fault;

	assert_int_equal(judge(&evidence, JUDGE_INSPECTION_REFUSE, &fault), TLS_FAULT_NONE);
	assert_int_equal(evidence.reasons, 0);
}

static void assert_refused(struct judge_evidence evidence, enum tls_fault_kind kind)
{
	struct tls_fault fault;

	assert_int_equal(judge(&evidence, JUDGE_INSPECTION_REFUSE, &fault), kind);
	assert_int_equal(judge(&evidence, JUDGE_INSPECTION_WARN, &fault), kind);
	assert_int_equal(judge(&evidence, JUDGE_INSPECTION_IGNORE, &fault), kind);
}

static void test_scts(void **state)
{
	struct judge_evidence e = good();

	(void)state;
	assert_clean(e);
	e.sct = JUDGE_SCT_TLS;
	assert_clean(e);
	e.sct = JUDGE_SCT_STAPLE;
	assert_clean(e);
	e.sct = 0;
	assert_inspected(e, JUDGE_REASON_NO_SCT, "no SCT");
	e.expect_issuer = JUDGE_MATCHED;
	assert_inspected(e, JUDGE_REASON_NO_SCT, "no SCT");
	e.pin = JUDGE_MATCHED;
	assert_clean(e);
	e = good();
	e.sct = 0;
	e.trust_system = false;
	assert_clean(e);
	/* Not asking is evidence, and no verdict. */
	e = good();
	e.cert_requested = false;
	assert_clean(e);
	e.sct = 0;
	assert_inspected(e, JUDGE_REASON_NO_SCT, "did not ask for a client certificate");
}

static void test_local_anchor(void **state)
{
	struct judge_evidence e = good();

	(void)state;
	e.origin = JUDGE_ORIGIN_LOCAL;
	assert_inspected(e, JUDGE_REASON_LOCAL_ANCHOR, "CN=Public Root was added");
	e.pin = JUDGE_MATCHED;
	assert_inspected(e, JUDGE_REASON_LOCAL_ANCHOR, "CN=Public Root was added");
	e.sct = 0;
	e.pin = JUDGE_NOT_DEMANDED;
	assert_inspected(e, JUDGE_REASON_LOCAL_ANCHOR | JUDGE_REASON_NO_SCT, "locally, no SCT");
	e.trust_system = false;
	assert_clean(e);
	e = good();
	e.origin = JUDGE_ORIGIN_UNKNOWN;
	assert_clean(e);
}

static void test_product(void **state)
{
	struct judge_evidence e = good();
	struct tls_fault fault;

	(void)state;
	e.product = "Zscaler";
	e.trust_system = false;
	e.pin = JUDGE_MATCHED;
	e.expect_issuer = JUDGE_MATCHED;
	assert_inspected(e, JUDGE_REASON_PRODUCT, "the issuer names Zscaler; it was issued by CN=Public CA");
	/* A chain that fails is not for `inspection` to excuse. */
	e.chain.kind = TLS_FAULT_UNTRUSTED;
	snprintf(e.chain.sentence, sizeof(e.chain.sentence), "does not verify");
	assert_refused(e, TLS_FAULT_INSPECTED);
	assert_int_equal(judge(&e, JUDGE_INSPECTION_OFF, &fault), TLS_FAULT_UNTRUSTED);
}

static void test_always_refused(void **state)
{
	static const enum tls_fault_kind kinds[] = {
	    TLS_FAULT_UNTRUSTED, TLS_FAULT_HOSTNAME, TLS_FAULT_EXPIRED, TLS_FAULT_REVOKED};
	struct judge_evidence e = good();
	struct tls_fault fault;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		e.chain.kind = kinds[i];
		snprintf(e.chain.sentence, sizeof(e.chain.sentence), "does not verify");
		e.sct = 0;
		assert_refused(e, kinds[i]);
	}
	e = good();
	e.pin = JUDGE_NOT_MATCHED;
	assert_refused(e, TLS_FAULT_PIN);
	e.staple = JUDGE_STAPLE_REFUSED;
	assert_refused(e, TLS_FAULT_REVOKED);
	e = good();
	e.expect_issuer = JUDGE_NOT_MATCHED;
	assert_refused(e, TLS_FAULT_ISSUER);
	/* Inspection is the better word where it is the cause; ignored, the rest still refuses. */
	e.sct = 0;
	assert_int_equal(judge(&e, JUDGE_INSPECTION_REFUSE, &fault), TLS_FAULT_INSPECTED);
	assert_non_null(strstr(fault.sentence, "no issuer is an expected one"));
	assert_int_equal(judge(&e, JUDGE_INSPECTION_IGNORE, &fault), TLS_FAULT_ISSUER);
}

static void test_pieces(void **state)
{
	struct judge_evidence e = good();
	struct tls_fault fault;
	char text[2048];

	(void)state;
	e.sct = 0;
	e.pin = JUDGE_NOT_MATCHED;
	e.expect_issuer = JUDGE_MATCHED;
	e.staple = JUDGE_STAPLE_REFUSED;
	e.crl = true;
	e.product = "Zscaler";
	judge(&e, JUDGE_INSPECTION_REFUSE, &fault);
	judge_evidence_text(&e, text, sizeof(text));
	assert_non_null(strstr(text, "chain: verified by CN=Public Root, of the distribution (as "
	    "demanded); "));
	assert_non_null(strstr(text, "issuer: CN=Public CA, naming Zscaler (inspected); "));
	assert_non_null(strstr(text, "pin: does not match (refuses); "));
	assert_non_null(strstr(text, "sct: none (inspected); "));
	assert_non_null(strstr(text, "client-cert: asked for"));
	assert_int_equal(strlen(judge_evidence_text(&e, text, 40)), 39);
	e = (struct judge_evidence){.resumed = true};
	assert_string_equal(judge_evidence_text(&e, text, sizeof(text)),
	    "session: resumed (the verdict of that session holds)");
}

static void test_longest_sentence(void **state)
{
	struct judge_evidence e = good();
	struct tls_fault fault;
	char host[300];

	(void)state;
	memset(host, 'h', sizeof(host) - 1);
	host[sizeof(host) - 1] = '\0';
	memset(e.issuer, 'i', sizeof(e.issuer) - 1);
	memset(e.anchor, 'a', sizeof(e.anchor) - 1);
	memset(e.staple_text, 's', sizeof(e.staple_text) - 1);
	e.sct = 0;
	e.origin = JUDGE_ORIGIN_LOCAL;
	e.product = "Zscaler";
	e.staple = JUDGE_STAPLE_REFUSED;
	e.pin = e.expect_issuer = JUDGE_NOT_MATCHED;
	assert_false(judge_server(&(struct judge_rules){.inspection = JUDGE_INSPECTION_REFUSE}, host, &e,
	    &fault));
	assert_true(strlen(fault.sentence) < sizeof(fault.sentence));
}

static void test_products(void **state)
{
	static const struct {
		const char *issuer, *product;
	} cases[] = {
	    {"CN=Zscaler Intermediate Root CA (zscalerthree.net) (t),OU=Zscaler Inc.,O=Zscaler Inc.",
	     "Zscaler"},
	    {"emailAddress=certadmin@netskope.com,CN=ca.acme.goskope.com,O=ACME", "Netskope"},
	    {"CN=Cisco Umbrella Secondary SubCA fra-SG,O=Cisco", "Cisco Umbrella"},
	    {"CN=FG100E,OU=Certificate Authority,O=Fortinet", "Fortinet"},
	    {"CN=PAN-FW", "Palo Alto Networks"},
	    {"CN=Forcepoint Cloud CA", "Forcepoint"},
	    {"CN=Sophos SSL CA_C1234", "Sophos"},
	    {"CN=SonicWALL Firewall DPI-SSL", "SonicWall"},
	    {"CN=Fireware HTTPS Proxy", "WatchGuard"},
	    {"CN=Gateway CA - Cloudflare Managed G1 abc", "Cloudflare Gateway"},
	    {"CN=mitmproxy,O=mitmproxy", "mitmproxy"},
	    /* Public CAs. */
	    {"CN=Cloudflare Inc ECC CA-3,O=Cloudflare\\, Inc.,C=US", NULL},
	    {"CN=DigiCert TLS RSA SHA256 2020 CA1,O=DigiCert Inc,C=US", NULL},
	    {"CN=R11,O=Let's Encrypt,C=US", NULL},
	    {"CN=Entrust Certification Authority - L1K,O=Entrust\\, Inc.", NULL},
	    {"CN=Symantec Class 3 Secure Server CA - G4,O=Symantec Corporation", NULL},
	    {"", NULL},
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *product = inspection_product(cases[i].issuer);

		if (cases[i].product == NULL)
			assert_null(product);
		else
			assert_string_equal(product, cases[i].product);
	}
}

static const char *product_of_issuer(const X509_NAME *issuer)
{
	X509_STORE_CTX *failed = X509_STORE_CTX_new();
	struct judge_evidence evidence = {0};
	X509 *cert = X509_new();
	STACK_OF(X509) *presented = sk_X509_new_null();

	assert_int_equal(X509_set_issuer_name(cert, issuer), 1);
	sk_X509_push(presented, cert);
	assert_int_equal(X509_STORE_CTX_init(failed, NULL, cert, presented), 1);
	evidence_collect_failed(failed, &evidence);
	X509_STORE_CTX_free(failed);
	sk_X509_free(presented);
	X509_free(cert);
	return evidence.product;
}

static void add_to_name(X509_NAME *name, const char *what, const char *text, int len)
{
	ASN1_OBJECT *object = OBJ_txt2obj(what, 0);

	assert_int_equal(
	    X509_NAME_add_entry_by_OBJ(name, object, V_ASN1_UTF8STRING, (const unsigned char *)text, len, -1,
	    0), 1);
	ASN1_OBJECT_free(object);
}

/* What is printed of a name is cut, hides attributes without a name, and ends for nobody at a NUL. */
static void test_product_anywhere_in_the_name(void **state)
{
	X509_NAME *name = X509_NAME_new();
	int i;

	(void)state;
	add_to_name(name, "O", "Zscaler Inc.", -1);
	for (i = 0; i < 40; i++)
		add_to_name(name, "OU", "a unit with a name that is rather long, but not too long", -1);
	assert_string_equal(product_of_issuer(name), "Zscaler");
	X509_NAME_free(name);
	name = X509_NAME_new();
	add_to_name(name, "1.2.3.4.5", "Netskope", -1);
	assert_string_equal(product_of_issuer(name), "Netskope");
	X509_NAME_free(name);
	name = X509_NAME_new();
	add_to_name(name, "CN", "a\0mitmproxy", 11);
	assert_string_equal(product_of_issuer(name), "mitmproxy");
	X509_NAME_free(name);
}

/* One SCT of version 1: its identifier, time and signature are nobody's business here. */
static const unsigned char sct_list[2 + 2 + 1 + 32 + 8 + 2 + 4 + 64] = {
    [1] = sizeof(sct_list) - 2, [3] = sizeof(sct_list) - 4, [4 + 43] = 4, [4 + 44] = 3, [4 + 46] = 64};

static void test_sct_lists(void **state)
{
	static const unsigned char zeros[sizeof(sct_list)];

	(void)state;
	assert_true(evidence_has_sct(sct_list, sizeof(sct_list)));
	assert_false(evidence_has_sct(sct_list, sizeof(sct_list) - 1));
	assert_false(evidence_has_sct(sct_list, 0));
	assert_false(evidence_has_sct(zeros, 2));
	assert_false(evidence_has_sct(zeros, sizeof(zeros)));
}

/* ---- anchors ---- */

static void make_dirs(const char *root, const char *path)
{
	char *whole = mem_printf("%s%s", root, path);
	char *at;

	for (at = strchr(whole + strlen(root) + 1, '/'); at != NULL; at = strchr(at + 1, '/')) {
		*at = '\0';
		mkdir(whole, 0700);
		*at = '/';
	}
	free(whole);
}

static void write_file(const char *root, const char *path, const void *bytes, size_t len)
{
	char *whole = mem_printf("%s%s", root, path);
	FILE *file;

	make_dirs(root, path);
	file = fopen(whole, "we");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
	free(whole);
}

static void write_pem(const char *root, const char *path, X509 *cert)
{
	struct pki_text text = {0};

	pki_text_add_cert(&text, cert);
	write_file(root, path, text.at, text.len);
	pki_text_free(&text);
}

static void remove_tree(char *root)
{
	char *command = mem_printf("rm -rf -- '%s'", root);

	assert_int_equal(system(command), 0);
	free(command);
	free(root);
}

struct anchors {
	EVP_PKEY *key;
	X509 *theirs, *ours;
};

static struct anchors make_anchors(void)
{
	struct anchors anchors = {.key = pki_key("p256")};

	anchors.theirs = pki_cert(&(struct pki_cert){.cn = "theirs", .key = anchors.key, .ca = true});
	anchors.ours = pki_cert(&(struct pki_cert){.cn = "ours", .key = anchors.key, .ca = true});
	return anchors;
}

static void free_anchors(struct anchors *anchors)
{
	X509_free(anchors->theirs);
	X509_free(anchors->ours);
	EVP_PKEY_free(anchors->key);
}

static void test_debian_anchors(void **state)
{
	static const char list[] = "/.\n/usr/share/ca-certificates/mozilla\n"
				   "/usr/share/ca-certificates/mozilla/Theirs.crt\n"
				   "/usr/share/ca-certificates/mozilla/Gone.crt\n"
				   "/usr/sbin/update-ca-certificates";
	struct anchors anchors = make_anchors();
	char *root = pki_dir_new();
	struct anchor_origin *origin;

	(void)state;
	assert_null(anchor_origin_new(root));
	assert_int_equal(anchor_origin_of(NULL, anchors.ours), JUDGE_ORIGIN_UNKNOWN);
	write_file(root, "/var/lib/dpkg/info/ca-certificates.list", list, sizeof(list) - 1);
	assert_null(anchor_origin_new(root));
	write_pem(root, "/usr/share/ca-certificates/mozilla/Theirs.crt", anchors.theirs);
	/* Beside the package's files, which is not to be of the package. */
	write_pem(root, "/usr/share/ca-certificates/mozilla/Ours.crt", anchors.ours);
	origin = anchor_origin_new(root);
	assert_non_null(origin);
	assert_int_equal(anchor_origin_of(origin, anchors.theirs), JUDGE_ORIGIN_DISTRIBUTION);
	assert_int_equal(anchor_origin_of(origin, anchors.ours), JUDGE_ORIGIN_LOCAL);
	anchor_origin_free(origin);
	free_anchors(&anchors);
	remove_tree(root);
}

static void test_anchors_elsewhere(void **state)
{
	struct anchors anchors = make_anchors();
	char *root = pki_dir_new();
	struct anchor_origin *origin;
	unsigned char *der = NULL;
	int len = i2d_X509(anchors.ours, &der);

	(void)state;
	write_file(root, "/etc/pki/ca-trust/source/anchors/README", "nothing", 7);
	assert_null(anchor_origin_new(root));
	write_file(root, "/etc/pki/ca-trust/source/anchors/corp.der", der, (size_t)len);
	origin = anchor_origin_new(root);
	assert_non_null(origin);
	assert_int_equal(anchor_origin_of(origin, anchors.ours), JUDGE_ORIGIN_LOCAL);
	assert_int_equal(anchor_origin_of(origin, anchors.theirs), JUDGE_ORIGIN_UNKNOWN);
	anchor_origin_free(origin);
	OPENSSL_free(der);
	free_anchors(&anchors);
	remove_tree(root);
}

/* ---- staples ---- */

struct staple {
	int status;
	long from_s, until_s; /* from now; until 0: not said */
	const EVP_MD *hash;
	X509 *cert, *issuer, *signer;
	bool with_sct;
	EVP_PKEY *signer_key;
};

static EVP_PKEY *root_key, *leaf_key, *other_key;
static X509 *root, *leaf, *sibling, *other_root;
static STACK_OF(X509) *chain;
static X509_STORE *store;

static int setup_staples(void **state)
{
	(void)state;
	root_key = pki_key("p256");
	leaf_key = pki_key("p256");
	other_key = pki_key("p256");
	root = pki_cert(&(struct pki_cert){.cn = "root", .key = root_key, .ca = true});
	other_root = pki_cert(&(struct pki_cert){.cn = "root", .key = other_key, .ca = true});
	leaf = pki_cert(&(struct pki_cert){
	    .cn = "leaf", .key = leaf_key, .issuer_cn = "root", .issuer_key = root_key, .eku = "serverAuth"});
	sibling = pki_cert(&(struct pki_cert){
	    .cn = "sibling", .key = leaf_key, .issuer_cn = "root", .issuer_key = root_key,
	    .eku = "serverAuth"});
	chain = sk_X509_new_null();
	sk_X509_push(chain, leaf);
	sk_X509_push(chain, root);
	store = X509_STORE_new();
	return X509_STORE_add_cert(store, root) == 1 ? 0 : -1;
}

static int teardown_staples(void **state)
{
	(void)state;
	X509_STORE_free(store);
	sk_X509_free(chain);
	X509_free(root);
	X509_free(other_root);
	X509_free(leaf);
	X509_free(sibling);
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(leaf_key);
	EVP_PKEY_free(other_key);
	return 0;
}

static struct staple good_staple(void)
{
	struct staple staple = {.status = V_OCSP_CERTSTATUS_GOOD,
	    .from_s = -3600,
	    .until_s = 3600,
	    .hash = EVP_sha1(),
	    .cert = leaf,
	    .issuer = root,
	    .signer = root,
	    .signer_key = root_key};

	return staple;
}

static void add_sct(OCSP_SINGLERESP *single)
{
	const unsigned char *at = sct_list;
	STACK_OF(SCT) *scts = o2i_SCT_LIST(NULL, &at, sizeof(sct_list));

	assert_int_equal(OCSP_SINGLERESP_add1_ext_i2d(single, NID_ct_cert_scts, scts, 0, 0), 1);
	SCT_LIST_free(scts);
}

static int make_staple(const struct staple *staple, unsigned char **der)
{
	OCSP_BASICRESP *basic = OCSP_BASICRESP_new();
	OCSP_CERTID *id = OCSP_cert_to_id(staple->hash, staple->cert, staple->issuer);
	ASN1_TIME *from = X509_gmtime_adj(NULL, staple->from_s);
	ASN1_TIME *until = staple->until_s == 0 ? NULL : X509_gmtime_adj(NULL, staple->until_s);
	ASN1_TIME *revoked = X509_gmtime_adj(NULL, -7200);
	OCSP_RESPONSE *response;
	OCSP_SINGLERESP *single;
	int len;

	single = OCSP_basic_add1_status(basic, id, staple->status, 0,
	    staple->status == V_OCSP_CERTSTATUS_REVOKED ? revoked : NULL, from, until);
	assert_non_null(single);
	if (staple->with_sct)
		add_sct(single);
	assert_int_equal(OCSP_basic_sign(basic, staple->signer, staple->signer_key, EVP_sha256(), NULL, 0),
	    1);
	response = OCSP_response_create(OCSP_RESPONSE_STATUS_SUCCESSFUL, basic);
	*der = NULL;
	len = i2d_OCSP_RESPONSE(response, der);
	assert_true(len > 0);
	OCSP_RESPONSE_free(response);
	OCSP_BASICRESP_free(basic);
	OCSP_CERTID_free(id);
	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	ASN1_TIME_free(revoked);
	return len;
}

static void assert_staple(const struct staple *staple, bool ok, const char *says)
{
	unsigned char *der;
	char text[128];
	int len = make_staple(staple, &der);

	assert_int_equal(revocation_judge_staple(der, len, chain, store, text, sizeof(text)), ok);
	if (strstr(text, says) == NULL)
		fail_msg("no \"%s\" in: %s", says, text);
	OPENSSL_free(der);
}

static void test_staple_good(void **state)
{
	struct staple staple = good_staple();

	(void)state;
	assert_staple(&staple, true, "good");
	staple.hash = EVP_sha256();
	assert_staple(&staple, true, "good");
	staple.until_s = 0;
	assert_staple(&staple, true, "good");
}

static void test_staple_refused(void **state)
{
	struct staple staple = good_staple();
	STACK_OF(X509) *leaf_alone = sk_X509_new_null();
	unsigned char *der;
	char text[128];
	int len;

	(void)state;
	staple.status = V_OCSP_CERTSTATUS_REVOKED;
	assert_staple(&staple, false, "the certificate was revoked at 20");
	staple.status = V_OCSP_CERTSTATUS_UNKNOWN;
	assert_staple(&staple, false, "does not know");
	staple = good_staple();
	staple.from_s = -7200;
	staple.until_s = -3600;
	assert_staple(&staple, false, "out of date");
	staple.from_s = 3600;
	staple.until_s = 7200;
	assert_staple(&staple, false, "not valid yet");
	staple.from_s = -2 * 86400;
	staple.until_s = 0;
	assert_staple(&staple, false, "out of date");
	staple = good_staple();
	staple.cert = sibling;
	assert_staple(&staple, false, "another certificate");
	staple = good_staple();
	staple.signer = other_root;
	staple.signer_key = other_key;
	assert_staple(&staple, false, "not signed by");
	/* The server itself is no responder. */
	staple.signer = leaf;
	staple.signer_key = leaf_key;
	assert_staple(&staple, false, "not signed by");
	staple = good_staple();
	len = make_staple(&staple, &der);
	sk_X509_push(leaf_alone, leaf);
	assert_false(revocation_judge_staple(der, len, leaf_alone, store, text, sizeof(text)));
	assert_false(revocation_judge_staple(der, len - 1, chain, store, text, sizeof(text)));
	assert_non_null(strstr(text, "holds no answer"));
	assert_false(revocation_judge_staple(NULL, -1, chain, store, text, sizeof(text)));
	assert_non_null(strstr(text, "no OCSP staple"));
	sk_X509_free(leaf_alone);
	OPENSSL_free(der);
}

static void test_sct_in_staple(void **state)
{
	struct staple staple = good_staple();
	unsigned char *der;
	int len = make_staple(&staple, &der);

	(void)state;
	assert_false(evidence_staple_has_sct(der, len));
	OPENSSL_free(der);
	staple.with_sct = true;
	len = make_staple(&staple, &der);
	assert_true(evidence_staple_has_sct(der, len));
	assert_false(evidence_staple_has_sct(der, len - 1));
	assert_false(evidence_staple_has_sct(NULL, -1));
	OPENSSL_free(der);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_scts),
	    cmocka_unit_test(test_local_anchor),
	    cmocka_unit_test(test_product),
	    cmocka_unit_test(test_always_refused),
	    cmocka_unit_test(test_pieces),
	    cmocka_unit_test(test_longest_sentence),
	    cmocka_unit_test(test_products),
	    cmocka_unit_test(test_product_anywhere_in_the_name),
	    cmocka_unit_test(test_sct_lists),
	    cmocka_unit_test(test_debian_anchors),
	    cmocka_unit_test(test_anchors_elsewhere),
	    cmocka_unit_test_setup_teardown(test_staple_good, setup_staples, teardown_staples),
	    cmocka_unit_test_setup_teardown(test_staple_refused, setup_staples, teardown_staples),
	    cmocka_unit_test_setup_teardown(test_sct_in_staple, setup_staples, teardown_staples),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
