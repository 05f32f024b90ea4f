/*
 * handshake_words: TLS messages told in words, for people who must find out why a handshake failed.
 *
 * Pure: the bytes of whole handshake messages and alerts in, lines of text out.  The bytes come from outside:
 * lengths are checked, what is not what it says is called malformed and never an error.  A line is printable
 * ASCII, foreign text in it escaped, and shorter than HANDSHAKE_WORDS_LINE_BYTES; a message makes a bounded
 * number of lines.  Nothing secret is shown, and none of the random, key and signature bytes.
 *
 * Messages: RFC 8446 section 4 (TLS 1.3), RFC 5246 section 7.4 and RFC 8422 (TLS 1.2).
 */
#ifndef MIDRELAY_TLS_HANDSHAKE_WORDS_H
#define MIDRELAY_TLS_HANDSHAKE_WORDS_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stddef.h>

#define HANDSHAKE_WORDS_LINE_BYTES 1536
/* Of a chain, and of the CAs that a server accepts; the others are counted. */
#define HANDSHAKE_WORDS_MAX_CERTS 10
#define HANDSHAKE_WORDS_MAX_CAS 20

/*
 * One client's connection; what later messages need of earlier ones.  Zero-initialise, then set the first
 * four.
 */
struct handshake_words {
	SSL *ssl;            /* borrowed; asked for the names of cipher suites, not looked into */
	void (*line)(void *arg, const char *text);
	void *arg;
	bool offers_session; /* the ClientHello's session id is one that a server gave us, and not made up */

	bool tls13;
	unsigned char session_id[32]; /* the client's */
	size_t session_id_len;
	bool key_is_ecdhe;
	/* 0: not seen yet.  In the numbers of handshake_names.h */
	unsigned group, server_signature, client_signature;
	bool asked_for_cert;
	unsigned client_certs; /* that we sent */
};

/* A whole message with its 4 bytes of header. */
void handshake_words_message(struct handshake_words *words, bool sent, const void *bytes, size_t len);
void handshake_words_alert(struct handshake_words *words, bool sent, const void *bytes, size_t len);

/* `what` at place n (from 1) of `of`, in one line.  Empties OpenSSL's error queue. */
void handshake_words_cert(struct handshake_words *words, const char *what, size_t n, size_t of, X509 *cert);
/* Each of a chain; NULL is fine. */
void handshake_words_chain(struct handshake_words *words, const char *what, STACK_OF(X509) *chain);

/* A line of the caller's own. */
void handshake_words_say(struct handshake_words *words, const char *fmt, ...) __attribute__((format(printf, 2,
    3)));

#endif
