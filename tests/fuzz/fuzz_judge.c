/*
 * Fuzzes the judgement of servers: a whole handshake, in memory, with a server whose certificates, OCSP
 * staple and SCTs are the input's, under rules, anchors and revocation lists that are the input's too
 * (hostile_input.h).
 *
 * What a server is given by then must follow from an independent look: a chain that OpenSSL verifies by
 * itself for this host, the pinned key in it, a staple, SCTs, no list that revokes; an issuer that names a
 * product is always said.  All texts are printable and bounded.
 */
#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "hostile_identity.h"
#include "hostile_input.h"
#include "hostile_server.h"
#include "printable.h"
#include "tls/evidence.h"
#include "tls/stream.h"

#define MAX_TURNS 16
#define HOST "instance.lab.test"
#define HOST_IP "127.0.0.1"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- an independent look ---- */

static bool lists_failed;

/* With lists demanded, what may be missing is the anchor's. */
static int on_verify(int ok, X509_STORE_CTX *store)
{
	bool anchor =
	    X509_STORE_CTX_get_error_depth(store) + 1 == sk_X509_num(X509_STORE_CTX_get0_chain(store));

	if (!ok && !(X509_STORE_CTX_get_error(store) == X509_V_ERR_UNABLE_TO_GET_CRL && anchor))
		lists_failed = true;
	return 1;
}

static STACK_OF(X509) *presented_certs(const struct hostile_input *input)
{
	STACK_OF(X509) *certs = sk_X509_new_null();
	size_t i;

	for (i = 0; i < input->count; i++) {
		const unsigned char *at = input->parts[i].bytes;
		X509 *cert = NULL;

		if (input->parts[i].kind == HOSTILE_PART_CERT)
			cert = d2i_X509(NULL, &at, (long)input->parts[i].len);
		if (cert != NULL)
			sk_X509_push(certs, cert);
	}
	ERR_clear_error();
	return certs;
}

static void demand(X509_STORE_CTX *ctx, const struct hostile_input *input)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);

	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	X509_VERIFY_PARAM_set_purpose(param, X509_PURPOSE_SSL_SERVER);
	if ((input->rules & HOSTILE_HOST_IS_IP) != 0)
		midrelay_assert(X509_VERIFY_PARAM_set1_ip_asc(param, HOST_IP) == 1);
	else
		midrelay_assert(X509_VERIFY_PARAM_set1_host(param, HOST, 0) == 1);
	if ((input->rules & HOSTILE_CRL) != 0) {
		X509_VERIFY_PARAM_set_flags(param, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
		X509_STORE_CTX_set_verify_cb(ctx, on_verify);
	}
}

static bool key_in_chain(STACK_OF(X509) *chain, EVP_PKEY *key)
{
	int i;

	for (i = 0; i < sk_X509_num(chain); i++)
		if (EVP_PKEY_eq(X509_get0_pubkey(sk_X509_value(chain, i)), key) == 1)
			return true;
	return false;
}

/* Whether a part of the name says so in plain words. */
static bool names_product(const X509_NAME *name)
{
	static const char product[] = "zscaler";
	bool found = false;
	int i, j;

	for (i = 0; i < X509_NAME_entry_count(name) && !found; i++) {
		unsigned char *utf8 = NULL;
		int len = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, i)));

		for (j = 0; j + (int)sizeof(product) - 1 <= len && !found; j++)
			found = strncasecmp((const char *)utf8 + j, product, sizeof(product) - 1) == 0;
		if (len >= 0)
			OPENSSL_free(utf8);
	}
	ERR_clear_error();
	return found;
}

static bool signed_by(OCSP_BASICRESP *basic, EVP_PKEY *key)
{
	return key != NULL && ASN1_item_verify(ASN1_ITEM_rptr(OCSP_RESPDATA),
	    OCSP_resp_get0_tbs_sigalg(basic),
			OCSP_resp_get0_signature(basic), OCSP_resp_get0_respdata(basic), key) == 1;
}

/* By the issuer, or by whom the issuer has named for that (RFC 6960 section 4.2.2.2). */
static bool signed_by_right(OCSP_BASICRESP *basic, EVP_PKEY *issuer)
{
	const STACK_OF(X509) *certs = OCSP_resp_get0_certs(basic);
	bool right = signed_by(basic, issuer);
	int i;

	for (i = 0; i < sk_X509_num(certs) && !right; i++) {
		X509 *cert = sk_X509_value(certs, i);

		right = X509_verify(cert, issuer) == 1 &&
		    (X509_get_extended_key_usage(cert) & XKU_OCSP_SIGN) != 0 && signed_by(basic,
		    X509_get0_pubkey(cert));
	}
	return right;
}

static void assert_staple_good(const struct hostile_part *staple, STACK_OF(X509) *chain)
{
	const unsigned char *at = staple == NULL ? NULL : staple->bytes;
	OCSP_RESPONSE *response = at == NULL ? NULL : d2i_OCSP_RESPONSE(NULL, &at, (long)staple->len);
	OCSP_BASICRESP *basic = response == NULL ? NULL : OCSP_response_get1_basic(response);
	bool good = false;
	int i;

	midrelay_assert(basic != NULL && sk_X509_num(chain) > 1);
	for (i = 0; i < OCSP_resp_count(basic); i++)
		good = good || OCSP_single_get0_status(OCSP_resp_get0(basic, i), NULL, NULL, NULL, NULL) ==
			V_OCSP_CERTSTATUS_GOOD;
	midrelay_assert(good && signed_by_right(basic, X509_get0_pubkey(sk_X509_value(chain, 1))));
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
}

static void assert_verifies(const struct hostile_input *input, struct identity *identity,
    STACK_OF(X509) *certs)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();
	unsigned pin = input->server & HOSTILE_PIN;

	midrelay_assert(sk_X509_num(certs) > 0);
	midrelay_assert(X509_STORE_CTX_init(ctx, SSL_CTX_get_cert_store(identity_ctx(identity)),
			    sk_X509_value(certs, 0), certs) == 1);
	demand(ctx, input);
	lists_failed = false;
	midrelay_assert(X509_verify_cert(ctx) == 1 && !lists_failed);
	if (pin != 0)
		midrelay_assert(key_in_chain(X509_STORE_CTX_get0_chain(ctx), hostile_key(pin)));
	if ((input->rules & HOSTILE_STAPLE) != 0)
		assert_staple_good(hostile_input_find(input, HOSTILE_PART_STAPLE),
		    X509_STORE_CTX_get0_chain(ctx));
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
}

/* ---- what must hold ---- */

static void assert_pieces(const struct judge_evidence *evidence)
{
	static const size_t sizes[] = {1, 2, 40, 300, 4096};
	struct judge_piece pieces[JUDGE_MAX_PIECES];
	size_t count = judge_pieces(evidence, pieces), i;

	midrelay_assert(count > 0 && count <= JUDGE_MAX_PIECES);
	for (i = 0; i < count; i++) {
		assert_printable_text(pieces[i].name, 32);
		assert_printable_text(pieces[i].seen, sizeof(pieces[i].seen));
		assert_printable(pieces[i].says, 64);
	}
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		char *text = mem_calloc(1, sizes[i]);

		assert_printable(judge_evidence_text(evidence, text, sizes[i]), sizes[i]);
		free(text);
	}
}

static void assert_texts(const struct judge_evidence *evidence)
{
	assert_printable(evidence->chain.sentence, sizeof(evidence->chain.sentence));
	assert_printable(evidence->subject, sizeof(evidence->subject));
	assert_printable(evidence->issuer, sizeof(evidence->issuer));
	assert_printable(evidence->anchor, sizeof(evidence->anchor));
	assert_printable(evidence->not_after, sizeof(evidence->not_after));
	assert_printable(evidence->staple_text, sizeof(evidence->staple_text));
}

static void assert_product_said(const struct hostile_input *input, const struct judge_evidence *evidence,
    const struct tls_fault *fault, STACK_OF(X509) *certs)
{
	bool failed = evidence->chain.kind != TLS_FAULT_NONE;
	enum judge_inspection inspection = input->rules & HOSTILE_INSPECTION;
	int i;

	/* Of a chain that verified, certificates that are not in it say nothing. */
	for (i = 0; i < (failed ? sk_X509_num(certs) : 1); i++)
		if (names_product(X509_get_issuer_name(sk_X509_value(certs, i))))
			midrelay_assert(evidence->product != NULL);
	midrelay_assert(((evidence->reasons & JUDGE_REASON_PRODUCT) != 0) ==
	    (evidence->product != NULL && inspection != JUDGE_INSPECTION_OFF));
	if (evidence->reasons != 0 && (failed || inspection == JUDGE_INSPECTION_REFUSE))
		midrelay_assert(fault->kind == TLS_FAULT_INSPECTED);
}

static void assert_scts(const struct hostile_input *input, const struct judge_evidence *evidence, X509 *leaf)
{
	if ((evidence->sct & JUDGE_SCT_CERT) != 0)
		midrelay_assert(X509_get_ext_by_NID(leaf, NID_ct_precert_scts, -1) >= 0);
	if ((evidence->sct & JUDGE_SCT_TLS) != 0)
		midrelay_assert(hostile_input_find(input, HOSTILE_PART_SCTS) != NULL);
	if ((evidence->sct & JUDGE_SCT_STAPLE) != 0)
		midrelay_assert(hostile_input_find(input, HOSTILE_PART_STAPLE) != NULL);
}

/* The server has our certificate, or a stream of data. */
static void assert_deserved(const struct hostile_input *input, struct identity *identity,
    const struct judge_evidence *evidence, STACK_OF(X509) *certs)
{
	const struct judge_rules *rules = identity_rules(identity);

	midrelay_assert(evidence != NULL && !evidence->resumed && evidence->chain.kind == TLS_FAULT_NONE);
	assert_verifies(input, identity, certs);
	midrelay_assert(evidence->pin == (rules->pin_count > 0 ? JUDGE_MATCHED : JUDGE_NOT_DEMANDED));
	midrelay_assert(evidence->expect_issuer == (rules->issuer_count > 0 ?
	    JUDGE_MATCHED : JUDGE_NOT_DEMANDED));
	midrelay_assert(evidence->staple == (rules->staple ? JUDGE_STAPLE_GOOD : JUDGE_STAPLE_NOT_DEMANDED));
	if (rules->inspection != JUDGE_INSPECTION_REFUSE)
		return;
	midrelay_assert(evidence->reasons == 0 && evidence->product == NULL);
	if (rules->trust_system)
		midrelay_assert(evidence->origin != JUDGE_ORIGIN_LOCAL && (rules->pin_count > 0 ||
		    evidence->sct != 0));
}

static bool is_judgement(enum tls_fault_kind kind)
{
	return kind >= TLS_FAULT_INSPECTED && kind <= TLS_FAULT_ISSUER;
}

static void assert_resumed(struct stream *stream, const struct judge_evidence *evidence,
    const struct tls_session_slot *slot)
{
	midrelay_assert(evidence != NULL && evidence->resumed && evidence->reasons == 0);
	midrelay_assert(slot->session != NULL && slot->not_after > 0);
	midrelay_assert(stream_server_end(stream, NULL) == 0);
	assert_pieces(evidence);
}

static void assert_judged(const struct hostile_input *input, struct identity *identity, struct stream *stream,
    enum stream_status status, const struct judge_evidence *evidence)
{
	const struct tls_fault *fault = stream_fault(stream);
	STACK_OF(X509) *certs = presented_certs(input);

	midrelay_assert(evidence != NULL || !is_judgement(fault->kind));
	if (evidence != NULL) {
		assert_texts(evidence);
		assert_pieces(evidence);
		assert_product_said(input, evidence, fault, certs);
		assert_scts(input, evidence, sk_X509_value(certs, 0));
	}
	if (is_judgement(fault->kind))
		midrelay_assert(!stream_cert_sent(stream) && status == STREAM_FAILED);
	if (status == STREAM_OK || stream_cert_sent(stream))
		assert_deserved(input, identity, evidence, certs);
	if (status == STREAM_OK && (input->server & HOSTILE_REQUIRES) != 0 && identity_has_cert(identity))
		midrelay_assert(stream_cert_requested(stream));
	sk_X509_pop_free(certs, X509_free);
}

static void assert_sound(const struct hostile_input *input, struct identity *identity, struct stream *stream,
    enum stream_status status, const struct tls_session_slot *slot)
{
	const struct tls_fault *fault = stream_fault(stream);
	struct judge_evidence *evidence = stream_take_evidence(stream);

	midrelay_assert((status == STREAM_FAILED) == (fault->kind != TLS_FAULT_NONE));
	assert_printable(fault->sentence, sizeof(fault->sentence));
	midrelay_assert((fault->kind == TLS_FAULT_NONE) == (fault->sentence[0] == '\0'));
	if (status == STREAM_OK && stream_resumed(stream))
		assert_resumed(stream, evidence, slot);
	else
		assert_judged(input, identity, stream, status, evidence);
	free(evidence);
}

/* Behind the handshake: the session that is kept, and when the server's chain ends. */
static void assert_kept(struct stream *stream, struct wire_pool *pool, const struct tls_session_slot *slot)
{
	struct cert_end end = {0};
	size_t len;

	(void)stream_read(stream, pool->scratch, WIRE_STEP_BYTES, &len);
	midrelay_assert(len == 0);
	midrelay_assert(slot->session == NULL || slot->not_after <= (int64_t)time(NULL) + 3600);
	if (stream_server_end(stream, &end) != 0)
		assert_printable_text(end.subject, sizeof(end.subject));
}

/* One handshake; what it leaves is in the slot. */
static void shake_hands(const struct hostile_input *input, struct identity *identity,
    struct tls_session_slot *slot)
{
	static struct wire_pool pool;
	bool is_ip = (input->rules & HOSTILE_HOST_IS_IP) != 0;
	struct stream_params params = {.identity = identity,
	    .host = is_ip ? HOST_IP : HOST,
	    .host_is_ip = is_ip,
	    .require_cert_request = (input->server & HOSTILE_REQUIRES) != 0,
	    .slot = slot,
	    .pool = &pool};
	enum stream_status status = STREAM_BLOCKED;
	struct hostile_server server;
	struct stream *stream;
	int fds[2], turn;

	if (pool.scratch == NULL)
		wire_pool_init(&pool);
	midrelay_assert(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	params.fd = fds[0];
	stream = stream_new(&params);
	midrelay_assert(stream != NULL);
	hostile_server_start(&server, input, fds[1]);
	for (turn = 0; turn < MAX_TURNS && status == STREAM_BLOCKED; turn++) {
		status = stream_handshake(stream);
		if (status == STREAM_BLOCKED && !hostile_server_turn(&server))
			break;
		stream_set_readable(stream);
	}
	assert_sound(input, identity, stream, status, slot);
	(void)hostile_server_turn(&server);
	if (status == STREAM_OK) {
		stream_set_readable(stream);
		assert_kept(stream, &pool, slot);
		/* Without, OpenSSL takes the session for a failed one. */
		(void)stream_shutdown(stream);
	}
	stream_free(stream);
	hostile_server_end(&server);
	close(fds[0]);
	close(fds[1]);
	midrelay_assert(pool.borrowed == 0);
}

static void judge_server_of(const struct hostile_input *input)
{
	struct identity *identity = hostile_identity(input);
	struct tls_session_slot slot = {0};

	shake_hands(input, identity, &slot);
	if ((input->server & HOSTILE_AGAIN) != 0 && slot.session != NULL) {
		/* A session is left only where our certificate had been asked for. */
		midrelay_assert(!identity_has_cert(identity) || (input->server & HOSTILE_ASKS) != 0);
		shake_hands(input, identity, &slot);
	}
	tls_session_slot_clear(&slot);
}

/* What the handshake asks for under some rules only. */
static void look_at_parts(const struct hostile_input *input)
{
	const struct hostile_part *staple = hostile_input_find(input, HOSTILE_PART_STAPLE);
	const struct hostile_part *scts = hostile_input_find(input, HOSTILE_PART_SCTS);

	if (staple != NULL)
		(void)evidence_staple_has_sct(staple->bytes, (long)staple->len);
	if (scts != NULL)
		midrelay_assert(!evidence_has_sct(scts->bytes, scts->len) || scts->len > 4);
	midrelay_assert(ERR_peek_error() == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hostile_input input;

	if (hostile_input_take(&input, data, size)) {
		look_at_parts(&input);
		judge_server_of(&input);
	}
	hostile_input_clear(&input);
	return 0;
}
