/*
 * stream_fault: which fault a failed TLS step was, and the words for it.
 *
 * Answers for telling alerts, versions, plain text and closed connections apart.  The words for a server that
 * did not verify come from verify.c and take precedence.
 */
#include <openssl/err.h>
#include <openssl/tls1.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "tls/provider_key.h"
#include "tls/stream_internal.h"

void stream_note_first_bytes(struct stream *stream, const void *bytes, size_t len)
{
	if (len == 0 || stream->first_len == sizeof(stream->first) || stream->established)
		return;
	if (len > sizeof(stream->first) - stream->first_len)
		len = sizeof(stream->first) - stream->first_len;
	memcpy(stream->first + stream->first_len, bytes, len);
	stream->first_len += len;
}

struct tls_fault *stream_need_fault(struct stream *stream)
{
	if (stream->fault == NULL)
		stream->fault = mem_calloc(1, sizeof(*stream->fault));
	return stream->fault;
}

static enum stream_status PRINTF_LIKE(3, 4)
    fail(struct stream *stream, enum tls_fault_kind kind, const char *fmt, ...)
{
	struct tls_fault *fault = stream_need_fault(stream);
	va_list ap;

	fault->kind = kind;
	va_start(ap, fmt);
	vsnprintf(fault->sentence, sizeof(fault->sentence), fmt, ap);
	va_end(ap);
	return STREAM_FAILED;
}

bool stream_looks_like_tls(const struct stream *stream)
{
	return stream->first_len == 0 || (stream->first[0] >= 20 && stream->first[0] <= 23 &&
	    (stream->first_len == 1 || stream->first[1] == 3));
}

static enum stream_status with_detail(struct stream *stream, enum tls_fault_detail detail,
    enum stream_status status)
{
	stream_need_fault(stream)->detail = detail;
	return status;
}

static char first_visible(const char *s, size_t len)
{
	while (len > 1 && strchr(" \t\r\n", *s) != NULL) {
		s++;
		len--;
	}
	return *s;
}

static const char *kind_of_plain_text(const struct stream *stream, enum tls_fault_detail *detail)
{
	const char *first = (const char *)stream->first;
	size_t len = stream->first_len;

	*detail = TLS_FAULT_NO_DETAIL;
	if (len >= 5 && memcmp(first, "HTTP/", 5) == 0) {
		*detail = TLS_FAULT_PLAIN_HTTP;
		return "a plain HTTP response";
	}
	if (first_visible(first, len) == '<') {
		*detail = TLS_FAULT_PAGE;
		return "a web page (a block page or a login portal)";
	}
	if (len >= 4 && memcmp(first, "SSH-", 4) == 0)
		return "an SSH banner";
	if (len >= 3 && memcmp(first, "220", 3) == 0)
		return "an SMTP or FTP greeting";
	return "something else";
}

static enum stream_status fail_not_tls(struct stream *stream)
{
	enum tls_fault_detail detail;
	const char *kind = kind_of_plain_text(stream, &detail);
	char sample[160];

	return with_detail(stream, detail, fail(stream, TLS_FAULT_NOT_TLS,
	    "%s sent %s where TLS was expected: \"%s\"", stream->host, kind,
	    text_escape(stream->first, stream->first_len, sample, sizeof(sample))));
}

/* Alerts with which a server refuses a client's certificate, or the lack of one (RFC 8446 6.2). */
static bool alert_is_about_cert(const struct stream *stream, int alert)
{
	switch (alert) {
	case SSL_AD_BAD_CERTIFICATE:
	case SSL_AD_UNSUPPORTED_CERTIFICATE:
	case SSL_AD_CERTIFICATE_REVOKED:
	case SSL_AD_CERTIFICATE_EXPIRED:
	case SSL_AD_CERTIFICATE_UNKNOWN:
	case SSL_AD_UNKNOWN_CA:
	case SSL_AD_ACCESS_DENIED:
	case SSL_AD_DECRYPT_ERROR:
	case TLS13_AD_CERTIFICATE_REQUIRED:
		return stream->cert_requested || stream->established;
	case SSL_AD_HANDSHAKE_FAILURE: /* what TLS 1.2 servers say where 1.3 has certificate_required */
		return stream->cert_requested;
	default:
		return false;
	}
}

static enum tls_fault_detail detail_of_alert(int alert)
{
	switch (alert) {
	case SSL_AD_UNRECOGNIZED_NAME:
		return TLS_FAULT_UNRECOGNIZED_NAME;
	case SSL_AD_HANDSHAKE_FAILURE:
	case SSL_AD_INSUFFICIENT_SECURITY:
		return TLS_FAULT_HANDSHAKE_FAILURE;
	default:
		return TLS_FAULT_NO_DETAIL;
	}
}

static enum stream_status fail_alert(struct stream *stream, int alert)
{
	/* Which OpenSSL 3.0 has no words for. */
	const char *name = alert == TLS13_AD_CERTIFICATE_REQUIRED ? "certificate required"
	                                                          : SSL_alert_desc_string_long(alert);

	if (alert == SSL_AD_PROTOCOL_VERSION)
		return fail(stream, TLS_FAULT_VERSION,
		    "%s refused the TLS versions offered (alert: %s)", stream->host, name);
	if (!stream->got_data && alert_is_about_cert(stream, alert)) {
		if (!identity_has_cert(stream->identity))
			return with_detail(stream, TLS_FAULT_NO_CERT, fail(stream, TLS_FAULT_CERT_REJECTED,
			    "%s demands a client certificate and none is configured (alert: %s)",
			    stream->host, name));
		return fail(stream, TLS_FAULT_CERT_REJECTED, "%s refused the client certificate %s "
		    "(alert: %s)", stream->host, identity_subject(stream->identity), name);
	}
	return with_detail(stream, detail_of_alert(alert),
	    fail(stream, TLS_FAULT_ALERT, "%s sent the TLS alert: %s", stream->host, name));
}

static bool reason_is_version(int reason)
{
	return reason == SSL_R_UNSUPPORTED_PROTOCOL || reason == SSL_R_VERSION_TOO_LOW ||
	    reason == SSL_R_VERSION_TOO_HIGH || reason == SSL_R_NO_PROTOCOLS_AVAILABLE ||
	    reason == SSL_R_WRONG_SSL_VERSION || reason == SSL_R_UNKNOWN_SSL_VERSION;
}

int stream_take_reason(char *text, size_t text_bytes)
{
	unsigned long error;
	int reason = 0;

	snprintf(text, text_bytes, "no reason given");
	while ((error = ERR_get_error()) != 0) {
		if (reason != 0 || ERR_GET_LIB(error) != ERR_LIB_SSL)
			continue;
		reason = ERR_GET_REASON(error);
		if (ERR_reason_error_string(error) != NULL)
			snprintf(text, text_bytes, "%s", ERR_reason_error_string(error));
	}
	return reason;
}

static enum stream_status fail_ended(struct stream *stream)
{
	const char *how = stream->end == STREAM_RESET ? "reset" : "closed";

	if (stream->first_len == 0)
		return with_detail(stream, TLS_FAULT_NO_ANSWER, fail(stream, TLS_FAULT_CLOSED,
		    "%s: the connection was %s without an answer to the TLS ClientHello", stream->host, how));
	if (stream->cert_sent)
		return with_detail(stream, TLS_FAULT_AFTER_CERT, fail(stream, TLS_FAULT_CLOSED,
		    "%s: the connection was %s in the middle of the TLS handshake, after the client "
		    "certificate %s had been sent", stream->host, how, identity_subject(stream->identity)));
	return fail(stream, TLS_FAULT_CLOSED, "%s: the connection was %s in the middle of the TLS handshake",
	    stream->host, how);
}

enum stream_status stream_judge_failure(struct stream *stream)
{
	char text[128];
	int reason = stream_take_reason(text, sizeof(text));
	struct error key_fault;

	provider_key_take_fault(&key_fault);
	if (stream_fault(stream)->kind != TLS_FAULT_NONE)
		return STREAM_FAILED;
	if (key_fault.text[0] != '\0')
		return fail(stream, TLS_FAULT_CERT_UNUSABLE, "the key of %.120s cannot be used: %s",
		    identity_subject(stream->identity), key_fault.text);
	if (reason > STREAM_ALERT_REASON && reason <= STREAM_ALERT_REASON + 255)
		return fail_alert(stream, reason - STREAM_ALERT_REASON);
	if (!stream->established && !stream_looks_like_tls(stream))
		return fail_not_tls(stream);
	if (stream->end != STREAM_OK)
		return stream->established ? stream->end : fail_ended(stream);
	if (!stream->established && reason_is_version(reason))
		return fail(stream, TLS_FAULT_VERSION, "%s answered with a TLS version that is not allowed "
		    "here (%s)", stream->host, text);
	return with_detail(stream, TLS_FAULT_ENDED_HERE,
	    fail(stream, TLS_FAULT_ALERT, "TLS with %s was ended here: %s", stream->host, text));
}

enum stream_status stream_judge_established(struct stream *stream)
{
	int key_type = NID_undef;

	if (SSL_get_verify_result(stream->ssl) != X509_V_OK)
		return fail(stream, TLS_FAULT_UNTRUSTED, "the server's certificate was not verified");
	/* It has been judged already if it asked for our certificate. */
	if (!stream_judge_server(stream))
		return STREAM_FAILED;
	if (SSL_session_reused(stream->ssl) == 1) /* inherits the verdict of the session it resumes */
		return STREAM_OK;
	if (!identity_has_cert(stream->identity))
		return STREAM_OK;
	if (!stream->cert_requested) {
		if (!stream->require_cert_request)
			return STREAM_OK;
		return fail(stream, TLS_FAULT_CERT_NOT_REQUESTED,
		    "%s did not ask for a client certificate; nothing was sent to it", stream->host);
	}
	/* Without a signature of ours the Certificate message was an empty one. */
	if (SSL_get_signature_type_nid(stream->ssl, &key_type) != 1 || key_type == NID_undef)
		return fail(stream, TLS_FAULT_CERT_UNUSABLE,
		    "%s takes no signature that the key of %s can make", stream->host,
		    identity_subject(stream->identity));
	return STREAM_OK;
}
