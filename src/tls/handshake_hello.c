/*
 * handshake_hello: ClientHello, ServerHello and HelloRetryRequest in words (RFC 8446 section 4.1, RFC 5246
 * 7.4.1).
 */
#include <string.h>

#include "tls/handshake_internal.h"

#define RANDOM_BYTES 32

enum extension_type {
	EXTENSION_SERVER_NAME = 0,
	EXTENSION_GROUPS = 10,
	EXTENSION_SIGNATURES = 13,
	EXTENSION_TICKET = 35,
	EXTENSION_PSK = 41,
	EXTENSION_VERSIONS = 43,
	EXTENSION_KEY_SHARE = 51,
};

/* RFC 8446 4.1.3: the random of a ServerHello that is a HelloRetryRequest. */
static const unsigned char retry_random[RANDOM_BYTES] = {0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe,
    0x1d, 0x8c, 0x02, 0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e,
    0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c};

static const SSL_CIPHER *find_cipher(struct handshake_words *words, unsigned number)
{
	unsigned char bytes[2] = {(unsigned char)(number >> 8), (unsigned char)number};

	return SSL_CIPHER_find(words->ssl, bytes);
}

static void add_cipher(struct handshake_words *words, unsigned number, struct handshake_line *line)
{
	const SSL_CIPHER *cipher = find_cipher(words, number);

	if (cipher != NULL)
		handshake_line_add(line, " %s", SSL_CIPHER_get_name(cipher));
	else if (number == 0x00ff) /* RFC 5746: no suite, but a word for "no renegotiation yet" */
		handshake_line_add(line, " TLS_EMPTY_RENEGOTIATION_INFO_SCSV");
	else
		handshake_line_add(line, " 0x%04x", number);
}

static void add_server_name(struct handshake_line *line, struct handshake_reader extensions)
{
	struct handshake_reader body, list;

	handshake_line_add(line, "; SNI: ");
	if (!handshake_find_extension(extensions, EXTENSION_SERVER_NAME, &body)) {
		handshake_line_add(line, "none");
		return;
	}
	list = handshake_read_vector(&body, 2);
	handshake_read_number(&list, 1);
	handshake_line_add_escaped(line, handshake_read_vector(&list, 2));
}

static void add_session_offer(
    struct handshake_words *words, struct handshake_reader extensions, struct handshake_line *line)
{
	struct handshake_reader body;

	handshake_line_add(line, "; session offered: ");
	if (handshake_find_extension(extensions, EXTENSION_PSK, &body))
		handshake_line_add(line, "a TLS 1.3 ticket");
	else if (handshake_find_extension(extensions, EXTENSION_TICKET, &body) && body.left > 0)
		handshake_line_add(line, "a TLS 1.2 ticket");
	else if (words->offers_session && words->session_id_len > 0)
		handshake_line_add(line, "a TLS 1.2 session id");
	else
		handshake_line_add(line, "none");
}

static void tell_key_exchange(
    struct handshake_words *words, struct handshake_reader extensions, struct handshake_line *line)
{
	struct handshake_reader body, shares;
	char buf[HANDSHAKE_NAME_BYTES];

	handshake_line_add(line, "ClientHello groups:");
	handshake_find_extension(extensions, EXTENSION_GROUPS, &body);
	handshake_line_add_names(line, body.left > 0 ? handshake_read_vector(&body, 2) : body,
	    handshake_group_name);
	handshake_line_add(line, "; key shares:");
	if (handshake_find_extension(extensions, EXTENSION_KEY_SHARE, &body)) {
		shares = handshake_read_vector(&body, 2);
		while (shares.left > 0) {
			handshake_line_add(
			    line, " %s", handshake_group_name((unsigned)handshake_read_number(&shares, 2),
			    buf));
			handshake_read_vector(&shares, 2);
		}
	} else {
		handshake_line_add(line, " none");
	}
	handshake_line_end(line, words);
	handshake_line_add(line, "ClientHello signature algorithms:");
	handshake_find_extension(extensions, EXTENSION_SIGNATURES, &body);
	handshake_line_add_names(
	    line, body.left > 0 ? handshake_read_vector(&body, 2) : body, handshake_signature_name);
}

void handshake_tell_client_hello(struct handshake_words *words, struct handshake_reader body,
    struct handshake_line *line)
{
	struct handshake_reader id, ciphers, extensions, versions;
	unsigned legacy = (unsigned)handshake_read_number(&body, 2);
	char buf[HANDSHAKE_NAME_BYTES];

	handshake_read_bytes(&body, RANDOM_BYTES);
	id = handshake_read_vector(&body, 1);
	words->session_id_len = id.left <= sizeof(words->session_id) ? id.left : 0;
	memcpy(words->session_id, id.at, words->session_id_len);
	ciphers = handshake_read_vector(&body, 2);
	handshake_read_vector(&body, 1);
	extensions = body.left > 0 ? handshake_read_vector(&body, 2) : body;

	handshake_line_add(line, ": legacy version %s", handshake_version_name(legacy, buf));
	if (handshake_find_extension(extensions, EXTENSION_VERSIONS, &versions)) {
		handshake_line_add(line, "; versions:");
		handshake_line_add_names(line, handshake_read_vector(&versions, 1), handshake_version_name);
	}
	add_server_name(line, extensions);
	handshake_line_add(line, "; ");
	handshake_line_add_alpn(line, extensions);
	add_session_offer(words, extensions, line);
	handshake_line_end(line, words);

	handshake_line_add(line, "ClientHello cipher suites:");
	while (ciphers.left > 0)
		add_cipher(words, (unsigned)handshake_read_number(&ciphers, 2), line);
	handshake_line_end(line, words);
	tell_key_exchange(words, extensions, line);
	handshake_line_end(line, words);
	handshake_line_add(line, "ClientHello ");
	handshake_line_add_extensions(line, extensions);
}

bool handshake_is_retry_request(struct handshake_reader server_hello)
{
	return server_hello.left >= 2 + RANDOM_BYTES &&
	    memcmp(server_hello.at + 2, retry_random, sizeof(retry_random)) == 0;
}

static void add_group(struct handshake_words *words, struct handshake_reader extensions,
    struct handshake_line *line)
{
	struct handshake_reader body;
	char buf[HANDSHAKE_NAME_BYTES];

	if (!handshake_find_extension(extensions, EXTENSION_KEY_SHARE, &body))
		return;
	words->group = (unsigned)handshake_read_number(&body, 2);
	handshake_line_add(line, "; group %s", handshake_group_name(words->group, buf));
}

static bool resumes(const struct handshake_words *words, struct handshake_reader id,
    struct handshake_reader extensions)
{
	struct handshake_reader body;

	if (words->tls13)
		return handshake_find_extension(extensions, EXTENSION_PSK, &body);
	return id.left > 0 && id.left == words->session_id_len && memcmp(id.at, words->session_id,
	    id.left) == 0;
}

void handshake_tell_server_hello(struct handshake_words *words, struct handshake_reader body,
    struct handshake_line *line)
{
	bool retry = handshake_is_retry_request(body);
	struct handshake_reader id, extensions, version;
	unsigned legacy = (unsigned)handshake_read_number(&body, 2), cipher;
	const SSL_CIPHER *known;
	char buf[HANDSHAKE_NAME_BYTES], legacy_buf[HANDSHAKE_NAME_BYTES];

	handshake_read_bytes(&body, RANDOM_BYTES);
	id = handshake_read_vector(&body, 1);
	cipher = (unsigned)handshake_read_number(&body, 2);
	handshake_read_number(&body, 1);
	extensions = body.left > 0 ? handshake_read_vector(&body, 2) : body;

	if (handshake_find_extension(extensions, EXTENSION_VERSIONS, &version)) {
		unsigned chosen = (unsigned)handshake_read_number(&version, 2);

		words->tls13 = chosen == TLS1_3_VERSION;
		handshake_line_add(line, ": %s (legacy version %s)", handshake_version_name(chosen, buf),
		    handshake_version_name(legacy, legacy_buf));
	} else {
		handshake_line_add(line, ": %s", handshake_version_name(legacy, buf));
	}
	handshake_line_add(line, "; cipher");
	add_cipher(words, cipher, line);
	known = find_cipher(words, cipher);
	words->key_is_ecdhe = known != NULL && SSL_CIPHER_get_kx_nid(known) == NID_kx_ecdhe;
	add_group(words, extensions, line);
	if (!retry)
		handshake_line_add(line, "; %s",
		    resumes(words, id, extensions) ? "the session that was offered is "
		    "resumed" : "a new session");
	handshake_line_add(line, "; ");
	handshake_line_add_extensions(line, extensions);
}
