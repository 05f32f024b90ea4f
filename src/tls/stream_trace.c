/*
 * stream_trace: the handshake of one stream told to whoever asked for it.
 *
 * Answers for when something is told and for what OpenSSL alone knows (the verified chain, the verdict, the
 * end); the words for messages are handshake_words.c's.  Without a `trace` in stream_params nothing of this
 * exists.
 */
#include <openssl/err.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tls/handshake_names.h"
#include "tls/handshake_words.h"
#include "tls/stream_internal.h"

struct stream_trace {
	struct handshake_words words;
	void (*trace)(void *arg, const char *text);
	void *arg;
	const char *peer; /* static */
};

static void on_line(void *arg, const char *text)
{
	struct stream_trace *trace = arg;
	char line[STREAM_TRACE_BYTES];

	snprintf(line, sizeof(line), "%s: %s", trace->peer, text);
	trace->trace(trace->arg, line);
}

static void on_message(int sent, int version, int type, const void *bytes, size_t len, SSL *ssl, void *arg)
{
	struct stream *stream = arg;
	struct handshake_words *words = &stream->trace->words;

	switch (type) {
	case SSL3_RT_HANDSHAKE:
		words->offers_session = stream->verdict_end != 0;
		handshake_words_message(words, sent != 0, bytes, len);
		break;
	case SSL3_RT_ALERT:
		handshake_words_alert(words, sent != 0, bytes, len);
		break;
	case SSL3_RT_CHANGE_CIPHER_SPEC:
		handshake_words_say(words, "%s ChangeCipherSpec", sent ? "sent" : "received");
		break;
	default: /* heads of records, and what is inside those of TLS 1.3 */
		break;
	}
}

static void tell_our_chain(struct stream *stream)
{
	struct handshake_words *words = &stream->trace->words;
	STACK_OF(X509) *chain = NULL;
	X509 *leaf = SSL_get_certificate(stream->ssl);
	size_t count;
	int i;

	if (leaf == NULL) {
		handshake_words_say(words, "our certificate: none is configured");
		return;
	}
	SSL_get0_chain_certs(stream->ssl, &chain);
	count = 1 + (size_t)(chain == NULL ? 0 : sk_X509_num(chain));
	handshake_words_cert(words, "our certificate", 1, count, leaf);
	for (i = 0; chain != NULL && i < sk_X509_num(chain) && i < HANDSHAKE_WORDS_MAX_CERTS; i++)
		handshake_words_cert(words, "our certificate", (size_t)i + 2, count, sk_X509_value(chain, i));
}

void stream_trace_begin(struct stream *stream, const struct stream_params *params)
{
	struct stream_trace *trace = mem_calloc(1, sizeof(*trace));

	trace->words.ssl = stream->ssl;
	trace->words.line = on_line;
	trace->words.arg = trace;
	trace->trace = params->trace;
	trace->arg = params->trace_arg;
	trace->peer = params->trace_peer;
	stream->trace = trace;
	SSL_set_msg_callback(stream->ssl, on_message);
	SSL_set_msg_callback_arg(stream->ssl, stream);
	tell_our_chain(stream);
}

static void end_trace(struct stream *stream)
{
	if (stream->trace == NULL)
		return;
	SSL_set_msg_callback(stream->ssl, NULL);
	free(stream->trace);
	stream->trace = NULL;
}

void stream_end_trace(struct stream *stream)
{
	for (; stream != NULL; stream = stream->outer)
		end_trace(stream);
}

void stream_trace_unverified(struct stream *stream, X509_STORE_CTX *store)
{
	struct handshake_words *words = &stream->trace->words;

	handshake_words_chain(words, "chain as far as it was built", X509_STORE_CTX_get0_chain(store));
	handshake_words_say(words, "the server's chain does not verify: %s (at certificate %d)",
	    X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)),
	    X509_STORE_CTX_get_error_depth(store) + 1);
}

void stream_trace_judged(struct stream *stream, bool accepted)
{
	struct handshake_words *words = &stream->trace->words;

	if (SSL_session_reused(stream->ssl) == 1)
		handshake_words_say(words, "no chain to verify: the session inherits the verdict of the one "
		    "it resumes");
	else
		handshake_words_chain(words, "verified chain", SSL_get0_verified_chain(stream->ssl));
	if (!accepted)
		handshake_words_say(words, "the server is refused: %s", stream_fault(stream)->sentence);
}

static const char *cert_fate(const struct stream *stream)
{
	const struct handshake_words *words = &stream->trace->words;

	if (words->client_certs > 0)
		return "sent";
	if (SSL_session_reused(stream->ssl) == 1 && identity_has_cert(stream->identity))
		return "shown when the session was made";
	return words->asked_for_cert ? "asked for, not sent" : "not asked for, not sent";
}

static void tell_done(struct stream *stream)
{
	struct handshake_words *words = &stream->trace->words;
	char group[HANDSHAKE_NAME_BYTES], theirs[HANDSHAKE_NAME_BYTES], ours[HANDSHAKE_NAME_BYTES];

	handshake_words_say(words, "handshake done: %s; cipher %s; group %s; %s; server signature %s; our "
	    "certificate %s; our signature %s",
	    SSL_get_version(stream->ssl), SSL_get_cipher_name(stream->ssl),
	    words->group == 0 ? "none" : handshake_group_name(words->group, group),
	    SSL_session_reused(stream->ssl) == 1 ? "session resumed" : "new session",
	    words->server_signature == 0 ? "none" : handshake_signature_name(words->server_signature, theirs),
	    cert_fate(stream),
	    words->client_signature == 0 ? "none" : handshake_signature_name(words->client_signature, ours));
}

void stream_trace_handshake_end(struct stream *stream, enum stream_status status)
{
	struct handshake_words *words = &stream->trace->words;

	switch (status) {
	case STREAM_OK:
		tell_done(stream);
		break;
	case STREAM_BLOCKED:
		break;
	case STREAM_CLOSED:
	case STREAM_TRUNCATED:
	case STREAM_RESET:
		handshake_words_say(words, "handshake failed: the connection ended; our certificate %s",
		    cert_fate(stream));
		break;
	case STREAM_FAILED:
		handshake_words_say(
		    words, "handshake failed: %s; our certificate %s", stream_fault(stream)->sentence,
		    cert_fate(stream));
		break;
	}
}
