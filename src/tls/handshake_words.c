/*
 * handshake_words: see handshake_words.h.
 *
 * Answers for which message is told how; the hellos are handshake_hello.c's, reading within bounds
 * handshake_read.c's.
 */
#include "tls/handshake_words.h"

#include <openssl/err.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tls/bundle.h"
#include "tls/bundle_report.h"
#include "tls/handshake_internal.h"

#define HEADER_BYTES 4
#define EXTENSION_SIGNATURES 13
#define EXTENSION_CAS 47

/* ---- certificates ---- */

void handshake_words_cert(struct handshake_words *words, const char *what, size_t n, size_t of, X509 *cert)
{
	struct handshake_line line = {0};
	struct bundle_report_cert report = {0};

	bundle_report_describe(&report, cert, "");
	handshake_line_add(&line, "%s %zu of %zu: %.400s; issuer %.400s; valid %s to %s; key %s; signed with "
	    "%s; SHA-256 %s", what, n, of, report.subject, report.issuer, report.not_before, report.not_after,
	    report.key, report.signature, report.sha256);
	handshake_line_end(&line, words);
}

void handshake_words_chain(struct handshake_words *words, const char *what, STACK_OF(X509) *chain)
{
	int count = sk_X509_num(chain), i;

	for (i = 0; i < count && i < HANDSHAKE_WORDS_MAX_CERTS; i++)
		handshake_words_cert(words, what, (size_t)i + 1, (size_t)count, sk_X509_value(chain, i));
}

static struct handshake_reader next_cert(const struct handshake_words *words, struct handshake_reader *list)
{
	struct handshake_reader cert = handshake_read_vector(list, 3);

	if (words->tls13)
		handshake_read_vector(list, 2);
	return cert;
}

static void tell_received_cert(
    struct handshake_words *words, size_t n, size_t of, struct handshake_reader der,
    struct handshake_line *line)
{
	const unsigned char *at = der.at;
	X509 *cert = d2i_X509(NULL, &at, (long)der.left);

	if (cert != NULL) {
		handshake_words_cert(words, "the server's certificate", n, of, cert);
	} else {
		handshake_line_add(line, "the server's certificate %zu of %zu: %zu bytes that are no "
		    "certificate", n, of, der.left);
		handshake_line_end(line, words);
	}
	X509_free(cert);
	ERR_clear_error();
}

static void tell_certificate(
    struct handshake_words *words, bool sent, struct handshake_reader body, struct handshake_line *line)
{
	struct handshake_reader list, rest;
	size_t count = 0, n;

	if (words->tls13)
		handshake_read_vector(&body, 1);
	list = rest = handshake_read_vector(&body, 3);
	for (; rest.left > 0; count++)
		next_cert(words, &rest);
	handshake_line_add(line, ": %zu certificate%s", count, count == 1 ? "" : "s");
	if (sent) {
		words->client_certs = (unsigned)count;
		handshake_line_add(line, "%s", count == 0 ? ": the server asked, and gets none "
		    "of ours" : " of ours");
		return;
	}
	handshake_line_end(line, words);
	for (n = 1; n <= count && n <= HANDSHAKE_WORDS_MAX_CERTS; n++)
		tell_received_cert(words, n, count, next_cert(words, &list), line);
}

static void tell_accepted_cas(
    struct handshake_words *words, struct handshake_reader cas, struct handshake_line *line)
{
	struct handshake_reader rest = cas;
	size_t count = 0, n;

	for (; rest.left > 0; count++)
		handshake_read_vector(&rest, 2);
	if (count == 0)
		handshake_line_add(line, "CertificateRequest acceptable CAs: any");
	for (n = 1; n <= count && n <= HANDSHAKE_WORDS_MAX_CAS; n++) {
		struct handshake_reader der = handshake_read_vector(&cas, 2);
		const unsigned char *at = der.at;
		X509_NAME *name = d2i_X509_NAME(NULL, &at, (long)der.left);
		char text[512];

		handshake_line_end(line, words);
		handshake_line_add(line, "CertificateRequest acceptable CA %zu of %zu: %s", n, count,
		    name == NULL ? "not a name" : bundle_name_text(name, text, sizeof(text)));
		X509_NAME_free(name);
	}
	ERR_clear_error();
}

static void tell_certificate_request(
    struct handshake_words *words, struct handshake_reader body, struct handshake_line *line)
{
	struct handshake_reader signatures, cas, extensions;

	words->asked_for_cert = true;
	handshake_read_vector(&body, 1); /* TLS 1.2: types of certificates; 1.3: a context */
	if (words->tls13) {
		extensions = handshake_read_vector(&body, 2);
		if (handshake_find_extension(extensions, EXTENSION_SIGNATURES, &signatures))
			signatures = handshake_read_vector(&signatures, 2);
		if (handshake_find_extension(extensions, EXTENSION_CAS, &cas))
			cas = handshake_read_vector(&cas, 2);
	} else {
		signatures = handshake_read_vector(&body, 2);
		cas = handshake_read_vector(&body, 2);
	}
	handshake_line_add(line, ": the server asks for our certificate");
	handshake_line_end(line, words);
	handshake_line_add(line, "CertificateRequest signature algorithms:");
	handshake_line_add_names(line, signatures, handshake_signature_name);
	if (cas.left == 0)
		handshake_line_end(line, words);
	tell_accepted_cas(words, cas, line);
}

/* ---- the others ---- */

static void tell_signature(
    struct handshake_words *words, bool sent, struct handshake_reader *from, struct handshake_line *line)
{
	unsigned scheme = (unsigned)handshake_read_number(from, 2);
	char buf[HANDSHAKE_NAME_BYTES];

	if (sent)
		words->client_signature = scheme;
	else
		words->server_signature = scheme;
	handshake_line_add(line, "signed with %s", handshake_signature_name(scheme, buf));
	handshake_read_vector(from, 2);
}

/* RFC 8422 5.4; RFC 5246 7.4.3. */
static void tell_server_key_exchange(
    struct handshake_words *words, struct handshake_reader body, struct handshake_line *line)
{
	char buf[HANDSHAKE_NAME_BYTES];
	size_t prime_bytes;

	if (words->key_is_ecdhe) {
		handshake_read_number(&body, 1);
		words->group = (unsigned)handshake_read_number(&body, 2);
		handshake_read_vector(&body, 1);
		handshake_line_add(line, ": group %s; ", handshake_group_name(words->group, buf));
	} else {
		prime_bytes = handshake_read_vector(&body, 2).left;
		handshake_read_vector(&body, 2);
		handshake_read_vector(&body, 2);
		handshake_line_add(line, ": Diffie-Hellman, %zu bits; ", prime_bytes * 8);
	}
	tell_signature(words, false, &body, line);
}

static void tell_ticket(struct handshake_words *words, struct handshake_reader body,
    struct handshake_line *line)
{
	unsigned long lifetime_s = handshake_read_number(&body, 4);

	if (words->tls13) {
		handshake_read_number(&body, 4);
		handshake_read_vector(&body, 1);
	}
	handshake_line_add(line, ": a ticket of %zu bytes for %lu s", handshake_read_vector(&body, 2).left,
	    lifetime_s);
}

static void tell_encrypted_extensions(struct handshake_reader body, struct handshake_line *line)
{
	struct handshake_reader extensions = handshake_read_vector(&body, 2);

	handshake_line_add(line, ": ");
	handshake_line_add_alpn(line, extensions);
	handshake_line_add(line, "; ");
	handshake_line_add_extensions(line, extensions);
}

static void tell_body(struct handshake_words *words, bool sent, unsigned type, struct handshake_reader body,
    struct handshake_line *line)
{
	switch (type) {
	case SSL3_MT_CLIENT_HELLO:
		handshake_tell_client_hello(words, body, line);
		break;
	case SSL3_MT_SERVER_HELLO:
		handshake_tell_server_hello(words, body, line);
		break;
	case SSL3_MT_NEWSESSION_TICKET:
		tell_ticket(words, body, line);
		break;
	case SSL3_MT_ENCRYPTED_EXTENSIONS:
		tell_encrypted_extensions(body, line);
		break;
	case SSL3_MT_CERTIFICATE:
		tell_certificate(words, sent, body, line);
		break;
	case SSL3_MT_SERVER_KEY_EXCHANGE:
		tell_server_key_exchange(words, body, line);
		break;
	case SSL3_MT_CERTIFICATE_REQUEST:
		tell_certificate_request(words, body, line);
		break;
	case SSL3_MT_CERTIFICATE_VERIFY:
		handshake_line_add(line, ": ");
		tell_signature(words, sent, &body, line);
		break;
	case SSL3_MT_CERTIFICATE_STATUS:
		handshake_read_number(&body, 1);
		handshake_line_add(line, ": an OCSP staple of %zu bytes", handshake_read_vector(&body,
		    3).left);
		break;
	case SSL3_MT_KEY_UPDATE:
		if (handshake_read_number(&body, 1) == 1)
			handshake_line_add(line, ": and asks for one in return");
		break;
	default: /* a number from outside; its name and length say enough */
		break;
	}
}

void handshake_words_message(struct handshake_words *words, bool sent, const void *bytes, size_t len)
{
	bool broken = false;
	struct handshake_reader all = {bytes, len, &broken}, body;
	unsigned type = (unsigned)handshake_read_number(&all, 1);
	struct handshake_line line = {0};
	char buf[HANDSHAKE_NAME_BYTES];
	bool retry;

	body = handshake_read_vector(&all, 3);
	retry = type == SSL3_MT_SERVER_HELLO && handshake_is_retry_request(body);
	handshake_line_add(&line, "%s %s, %zu bytes", sent ? "sent" : "received",
	    retry ? "HelloRetryRequest" : handshake_message_name(type, buf), len);
	if (len >= HEADER_BYTES && !broken)
		tell_body(words, sent, type, body, &line);
	if (broken || all.left > 0)
		handshake_line_add(&line, "%sthe message is malformed", line.len > 0 ? "; " : "");
	if (line.len > 0)
		handshake_line_end(&line, words);
}

void handshake_words_alert(struct handshake_words *words, bool sent, const void *bytes, size_t len)
{
	bool broken = false;
	struct handshake_reader all = {bytes, len, &broken};
	unsigned level = (unsigned)handshake_read_number(&all, 1),
	    alert = (unsigned)handshake_read_number(&all, 1);
	char buf[HANDSHAKE_NAME_BYTES];

	if (broken)
		handshake_words_say(words, "%s an alert of %zu bytes, which is malformed", sent ?
		    "sent" : "received", len);
	else
		handshake_words_say(words, "%s alert: %s (%u), %s", sent ? "sent" : "received",
		    handshake_alert_name(alert, buf), alert, level == SSL3_AL_FATAL ? "fatal"
		    : level == SSL3_AL_WARNING                                      ? "warning"
										     : "of no known level");
}

void handshake_words_say(struct handshake_words *words, const char *fmt, ...)
{
	struct handshake_line line = {0};
	char text[HANDSHAKE_WORDS_LINE_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	handshake_line_add(&line, "%s", text);
	handshake_line_end(&line, words);
}
