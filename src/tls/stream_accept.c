/*
 * stream_accept: the server's side of a stream, for local clients.
 *
 * Answers for making one and for the words when it fails.  What is shown and demanded is the SSL_CTX's business
 * (local_identity.c), what follows from a fault the caller's.
 */
#include <openssl/err.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "tls/bundle.h"
#include "tls/stream_internal.h"

static enum stream_status PRINTF_LIKE(4, 5) fail(struct stream *stream, enum tls_fault_kind kind,
    enum tls_fault_detail detail, const char *fmt, ...)
{
	struct tls_fault *fault = stream_need_fault(stream);
	va_list ap;

	fault->kind = kind;
	fault->detail = detail;
	va_start(ap, fmt);
	vsnprintf(fault->sentence, sizeof(fault->sentence), fmt, ap);
	va_end(ap);
	return STREAM_FAILED;
}

static int on_verify(int ok, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct stream *stream = SSL_get_app_data(ssl);
	char name[160];

	if (ok || stream_fault(stream)->kind != TLS_FAULT_NONE)
		return ok;
	bundle_name_text(X509_get_subject_name(X509_STORE_CTX_get0_cert(store)), name, sizeof(name));
	(void)fail(stream, TLS_FAULT_UNTRUSTED, TLS_FAULT_NO_DETAIL,
	    "the client's certificate %s does not verify with listen_client_ca: %s", name,
	    X509_verify_cert_error_string(X509_STORE_CTX_get_error(store)));
	return 0;
}

struct stream *stream_accept_new(const struct stream_accept_params *params)
{
	struct stream *stream = mem_calloc(1, sizeof(*stream));

	ERR_clear_error();
	stream->accepting = true;
	stream->wire = &stream->own_wire;
	wire_init(stream->wire, params->fd, params->pool);
	stream_set_prefix(stream, params->prefix, params->prefix_len);
	stream_note_first_bytes(stream, params->prefix, params->prefix_len);
	if (!stream_make_ssl(stream, params->ctx)) {
		ERR_clear_error();
		stream_free(stream);
		return NULL;
	}
	SSL_set_verify(stream->ssl, SSL_get_verify_mode(stream->ssl), on_verify);
	SSL_set_accept_state(stream->ssl);
	return stream;
}

size_t stream_first_bytes(const struct stream *stream, void *buf, size_t buf_bytes)
{
	size_t len = stream->first_len < buf_bytes ? stream->first_len : buf_bytes;

	memcpy(buf, stream->first, len);
	return len;
}

/* RFC 8446 5.1: a handshake record (22) or an alert (21), major version 3. */
static bool looks_like_tls(const struct stream *stream)
{
	return stream->first_len == 0 || ((stream->first[0] == 22 || stream->first[0] == 21) &&
	    (stream->first_len == 1 || stream->first[1] == 3));
}

/* Alerts with which a client refuses a server's certificate (RFC 8446 6.2). */
static bool alert_is_about_cert(int alert)
{
	switch (alert) {
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN: /* what Java says of any chain that it cannot build */
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_ACCESS_DENIED:
		return true;
	default:
		return false;
	}
}

static enum stream_status fail_alert(struct stream *stream, int alert)
{
	const char *name = SSL_alert_desc_string_long(alert);

	if (!stream->established && alert_is_about_cert(alert))
		return fail(stream, TLS_FAULT_CERT_REJECTED, TLS_FAULT_NO_DETAIL,
		    "the client does not accept the certificate of listen_cert (alert: %s)", name);
	if (!stream->established && alert == SSL_AD_PROTOCOL_VERSION)
		return fail(stream, TLS_FAULT_VERSION, TLS_FAULT_NO_DETAIL,
		    "the client refused the TLS version (alert: %s)", name);
	return fail(stream, TLS_FAULT_ALERT, TLS_FAULT_NO_DETAIL, "the client sent the TLS alert: %s", name);
}

static enum stream_status fail_not_tls(struct stream *stream)
{
	char sample[160];

	return fail(stream, TLS_FAULT_NOT_TLS, TLS_FAULT_NO_DETAIL, "the client sent no TLS to a tls:// "
	    "listener: \"%s\"", text_escape(stream->first, stream->first_len, sample, sizeof(sample)));
}

/* The connection ended under the handshake.  Who has not begun one has not failed at it. */
static enum stream_status ended(struct stream *stream)
{
	const char *how = stream->end == STREAM_RESET ? "reset" : "closed";

	if (stream->established || stream->first_len == 0)
		return stream->end;
	switch (SSL_get_state(stream->ssl)) {
	case TLS_ST_BEFORE:
	case TLS_ST_SR_CLNT_HELLO:
		return fail(stream, TLS_FAULT_CLOSED, TLS_FAULT_NO_DETAIL,
		    "the client %s the connection in the middle of the TLS handshake", how);
	default: /* Java's HttpClient goes so, without an alert */
		return fail(stream, TLS_FAULT_CLOSED, TLS_FAULT_AFTER_CERT, "the client %s the connection when "
		    "it had been shown the certificate of listen_cert, which it may not accept", how);
	}
}

enum stream_status stream_accept_failure(struct stream *stream)
{
	char text[128];
	int reason = stream_take_reason(text, sizeof(text));

	if (stream_fault(stream)->kind != TLS_FAULT_NONE)
		return STREAM_FAILED;
	if (!stream->established && !looks_like_tls(stream))
		return fail_not_tls(stream);
	if (reason > STREAM_ALERT_REASON && reason <= STREAM_ALERT_REASON + 255)
		return fail_alert(stream, reason - STREAM_ALERT_REASON);
	if (reason == SSL_R_PEER_DID_NOT_RETURN_A_CERTIFICATE)
		return fail(stream, TLS_FAULT_UNTRUSTED, TLS_FAULT_NO_CERT,
		    "the client showed no certificate, and listen_client_ca demands one");
	if (stream->end != STREAM_OK)
		return ended(stream);
	if (!stream->established && (reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_VERSION_TOO_LOW))
		return fail(stream, TLS_FAULT_VERSION, TLS_FAULT_NO_DETAIL, "the client offers only TLS "
		    "versions below 1.2");
	return fail(stream, TLS_FAULT_ALERT, TLS_FAULT_ENDED_HERE, "TLS with the client was ended here: %s",
	    text);
}
