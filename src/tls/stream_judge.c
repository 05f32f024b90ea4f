/*
 * stream_judge: the judgement of the server at its places in the handshake.
 *
 * Answers for when; what is seen is evidence.c's, what it leads to judge.c's.  The verify call-back is too
 * early for the last word (in TLS 1.2 the staple comes later); the certificate call-back comes when the
 * server has asked for our certificate and nothing of ours has been sent.
 */
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "tls/evidence.h"
#include "tls/revocation.h"
#include "tls/stream_internal.h"
#include "tls/verify.h"

#define SCT_CONTEXT (SSL_EXT_CLIENT_HELLO | SSL_EXT_TLS1_2_SERVER_HELLO | SSL_EXT_TLS1_3_CERTIFICATE)

/* RFC 6962 section 3.3.1: empty in the ClientHello. */
static int on_sct_add(SSL *ssl, unsigned type, unsigned context, const unsigned char **out, size_t *out_len,
    X509 *cert, size_t chain_index, int *alert, void *arg)
{
	*out = NULL;
	*out_len = 0;
	return 1;
}

static int on_sct_parse(SSL *ssl, unsigned type, unsigned context, const unsigned char *in, size_t in_len,
    X509 *cert, size_t chain_index, int *alert, void *arg)
{
	struct stream *stream = SSL_get_app_data(ssl);

	if (stream != NULL && chain_index == 0 && evidence_has_sct(in, in_len))
		stream->sct_in_tls = true;
	return 1;
}

void stream_prepare_judgement(struct identity *identity)
{
	/* With explicit trust the administrator's word decides, and servers need not be asked. */
	if (identity_rules(identity)->trust_system &&
	    identity_rules(identity)->inspection != JUDGE_INSPECTION_OFF)
		(void)SSL_CTX_add_custom_ext(identity_ctx(identity), TLSEXT_TYPE_signed_certificate_timestamp,
		    SCT_CONTEXT, on_sct_add, NULL, NULL, on_sct_parse, NULL);
	ERR_clear_error();
}

static struct judge_evidence *new_evidence(struct stream *stream)
{
	free(stream->evidence);
	stream->evidence = mem_calloc(1, sizeof(*stream->evidence));
	return stream->evidence;
}

static int on_verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct stream *stream = SSL_get_app_data(ssl);
	struct judge_evidence *evidence;

	if (ok || stream_fault(stream)->kind != TLS_FAULT_NONE)
		return ok;
	if (revocation_is_excused(store)) {
		X509_STORE_CTX_set_error(store, X509_V_OK);
		return 1;
	}
	evidence = new_evidence(stream);
	verify_describe(store, stream->host, &evidence->chain);
	evidence_collect_failed(store, evidence);
	if (stream->trace != NULL)
		stream_trace_unverified(stream, store);
	(void)judge_server(identity_rules(stream->identity), stream->host, evidence, stream_need_fault(stream));
	return 0;
}

bool stream_judge_server(struct stream *stream)
{
	const struct judge_rules *rules = identity_rules(stream->identity);
	struct judge_evidence *evidence;
	bool accepted = true;

	if (stream->judged)
		return stream_fault(stream)->kind == TLS_FAULT_NONE;
	stream->judged = true;
	evidence = new_evidence(stream);
	evidence->cert_requested = stream->cert_requested;
	if (SSL_session_reused(stream->ssl) == 1) {
		evidence->resumed = true;
	} else {
		evidence_collect(stream->ssl, rules, identity_anchor_origin(stream->identity), evidence);
		if (stream->sct_in_tls)
			evidence->sct |= JUDGE_SCT_TLS;
		accepted = judge_server(rules, stream->host, evidence, stream_need_fault(stream));
		if (accepted) {
			free(stream->fault);
			stream->fault = NULL;
		}
	}
	if (stream->trace != NULL)
		stream_trace_judged(stream, accepted);
	return accepted;
}

static int on_cert_requested(SSL *ssl, void *arg)
{
	struct stream *stream = arg;

	stream->cert_requested = true;
	/* Should OpenSSL ever get here without the verify call-back's consent, nothing leaves. */
	if (SSL_get_verify_result(ssl) != X509_V_OK || SSL_get0_peer_certificate(ssl) == NULL ||
	    !stream_judge_server(stream))
		return 0;
	stream->cert_sent = identity_has_cert(stream->identity);
	return 1;
}

void stream_set_judgement(struct stream *stream)
{
	const struct judge_rules *rules = identity_rules(stream->identity);

	SSL_set_verify(stream->ssl, SSL_VERIFY_PEER, on_verify);
	SSL_set_cert_cb(stream->ssl, on_cert_requested, stream);
	evidence_ask(stream->ssl, rules);
	if (rules->crl)
		revocation_demand_crl(stream->ssl);
}

struct judge_evidence *stream_take_evidence(struct stream *stream)
{
	struct judge_evidence *evidence = stream->evidence;

	stream->evidence = NULL;
	return evidence;
}
