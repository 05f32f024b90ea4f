/*
 * Proves that the messages of real handshakes are told as what they are, and that cut, padded or garbled ones
 * are told within bounds and never read past.
 */
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pki.h"
#include "tls/handshake_words.h"

#define MAX_MESSAGES 64
#define MAX_LINES (HANDSHAKE_WORDS_MAX_CERTS + HANDSHAKE_WORDS_MAX_CAS + 8)

struct message {
	bool sent, alert;
	unsigned char *bytes;
	size_t len;
};

/* One connection, and what was told of it. */
struct talk {
	SSL_CTX *client_ctx, *server_ctx;
	SSL *client, *server;
	struct message messages[MAX_MESSAGES];
	size_t count;
	struct handshake_words words;
	struct pki_text told;
	unsigned lines;
};

static EVP_PKEY *ca_key, *server_key, *client_key;
static X509 *ca, *server_cert, *client_cert;

static int setup(void **state)
{
	(void)state;
	ca_key = pki_key("p256");
	server_key = pki_key("rsa2048");
	client_key = pki_key("p384");
	ca = pki_cert(&(struct pki_cert){.cn = "the \"CA\"", .key = ca_key, .ca = true});
	server_cert = pki_cert(
	    &(struct pki_cert){.cn = "server", .key = server_key, .issuer_cn = "the \"CA\"",
	    .issuer_key = ca_key});
	client_cert = pki_cert(
	    &(struct pki_cert){.cn = "client", .key = client_key, .issuer_cn = "the \"CA\"",
	    .issuer_key = ca_key});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	X509_free(ca);
	X509_free(server_cert);
	X509_free(client_cert);
	EVP_PKEY_free(ca_key);
	EVP_PKEY_free(server_key);
	EVP_PKEY_free(client_key);
	return 0;
}

/* ---- a connection in memory ---- */

static void on_line(void *arg, const char *text)
{
	struct talk *talk = arg;
	const char *at;

	assert_true(strlen(text) < HANDSHAKE_WORDS_LINE_BYTES);
	for (at = text; *at != '\0'; at++)
		assert_in_range(*at, 0x20, 0x7e);
	assert_true(++talk->lines <= MAX_LINES);
	pki_text_add(&talk->told, text);
	pki_text_add(&talk->told, "\n");
}

static void on_message(int sent, int version, int type, const void *bytes, size_t len, SSL *ssl, void *arg)
{
	struct talk *talk = arg;
	struct message *message = &talk->messages[talk->count];

	if (type != SSL3_RT_HANDSHAKE && type != SSL3_RT_ALERT)
		return;
	assert_true(talk->count++ < MAX_MESSAGES);
	*message = (struct message){sent != 0, type == SSL3_RT_ALERT, malloc(len), len};
	assert_non_null(message->bytes);
	memcpy(message->bytes, bytes, len);
	talk->lines = 0;
	if (message->alert)
		handshake_words_alert(&talk->words, message->sent, message->bytes, len);
	else
		handshake_words_message(&talk->words, message->sent, message->bytes, len);
}

static void make_contexts(struct talk *talk)
{
	static const unsigned char alpn[] = "\x08http/1.1";

	talk->client_ctx = SSL_CTX_new(TLS_client_method());
	talk->server_ctx = SSL_CTX_new(TLS_server_method());
#ifdef SSL_OP_NO_TX_CERTIFICATE_COMPRESSION
	/* As an identity has it. */
	SSL_CTX_set_options(talk->client_ctx, SSL_OP_NO_RX_CERTIFICATE_COMPRESSION | SSL_OP_NO_TX_CERTIFICATE_COMPRESSION);
#endif
	assert_int_equal(SSL_CTX_use_certificate(talk->server_ctx, server_cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(talk->server_ctx, server_key), 1);
	assert_int_equal(SSL_CTX_use_certificate(talk->client_ctx, client_cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(talk->client_ctx, client_key), 1);
	SSL_CTX_set_alpn_protos(talk->client_ctx, alpn, sizeof(alpn) - 1);
	X509_STORE_add_cert(SSL_CTX_get_cert_store(talk->server_ctx), ca);
	SSL_CTX_add_client_CA(talk->server_ctx, ca);
	SSL_CTX_set_verify(talk->server_ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_session_id_context(talk->server_ctx, (const unsigned char *)"t", 1);
}

static void connect_ends(struct talk *talk, SSL_SESSION *session)
{
	BIO *up = BIO_new(BIO_s_mem()), *down = BIO_new(BIO_s_mem());
	char name[] = "server.test"; /* OpenSSL's macros drop const */

	BIO_set_mem_eof_return(up, -1);
	BIO_set_mem_eof_return(down, -1);
	talk->client = SSL_new(talk->client_ctx);
	talk->server = SSL_new(talk->server_ctx);
	BIO_up_ref(up);
	BIO_up_ref(down);
	SSL_set_bio(talk->client, down, up);
	SSL_set_bio(talk->server, up, down);
	SSL_set_connect_state(talk->client);
	SSL_set_accept_state(talk->server);
	SSL_set_tlsext_host_name(talk->client, name);
	if (session != NULL)
		assert_int_equal(SSL_set_session(talk->client, session), 1);
	talk->words =
	    (struct handshake_words){.ssl = talk->client, .line = on_line, .arg = talk,
	    .offers_session = session != NULL};
	SSL_set_msg_callback(talk->client, on_message);
	SSL_set_msg_callback_arg(talk->client, talk);
}

static void shake_hands(struct talk *talk)
{
	unsigned char byte;
	int i;

	for (i = 0; i < 8; i++) {
		SSL_do_handshake(talk->client);
		SSL_do_handshake(talk->server);
	}
	/* Tickets, and what comes behind the handshake. */
	SSL_write(talk->client, "x", 1);
	SSL_read(talk->server, &byte, 1);
	SSL_read(talk->client, &byte, 1);
	ERR_clear_error();
}

static void disconnect(struct talk *talk)
{
	SSL_free(talk->client);
	SSL_free(talk->server);
	talk->client = talk->server = NULL;
}

static void end_talk(struct talk *talk)
{
	size_t i;

	disconnect(talk);
	SSL_CTX_free(talk->client_ctx);
	SSL_CTX_free(talk->server_ctx);
	for (i = 0; i < talk->count; i++)
		free(talk->messages[i].bytes);
	pki_text_free(&talk->told);
}

static void says(const struct talk *talk, const char *what)
{
	if (strstr(talk->told.at, what) == NULL)
		fail_msg("\"%s\" is not in:\n%s", what, talk->told.at);
}

static void says_not(const struct talk *talk, const char *what)
{
	if (strstr(talk->told.at, what) != NULL)
		fail_msg("\"%s\" is in:\n%s", what, talk->told.at);
}

/* ---- what is said ---- */

static void test_tls13(void **state)
{
	struct talk talk = {0};

	make_contexts(&talk);
	/* OpenSSL's own list changes with its versions, as that of algorithms does. */
	assert_int_equal(SSL_CTX_set1_groups_list(talk.client_ctx, "X25519:P-256:P-384"), 1);
	connect_ends(&talk, NULL);
	shake_hands(&talk);
	says(&talk, "legacy version TLSv1.2; versions: TLSv1.3 TLSv1.2");
	says(&talk, "; SNI: server.test; ALPN: http/1.1; session offered: none\n");
	says(&talk, "ClientHello cipher suites: TLS_AES_256_GCM_SHA384 ");
	says(&talk, "ClientHello groups: x25519 secp256r1 ");
	says(&talk, "; key shares: x25519\n");
	says(&talk, "ClientHello signature algorithms: ");
	says(&talk, " ecdsa_secp384r1_sha384 ");
	says(&talk, " bytes: TLSv1.3 (legacy version TLSv1.2); cipher TLS_AES_256_GCM_SHA384; group x25519; "
	    "a new session; extensions: supported_versions key_share\n");
	says(&talk, " bytes: ALPN: none; extensions: ");
	says(&talk, ": the server asks for our certificate\nCertificateRequest signature algorithms: ");
	says(&talk, "\nCertificateRequest acceptable CA 1 of 1: CN=the \\\"CA\\\"\n");
	says(&talk, ": 2 certificates\nthe server's certificate 1 of 2: CN=server; issuer CN=the \\\"CA\\\"; "
	    "valid 20");
	says(&talk, "; key RSA 2048; signed with ecdsa-with-SHA256; SHA-256 ");
	says(&talk, "received CertificateVerify, 264 bytes: signed with rsa_pss_rsae_sha256\n");
	says(&talk, "received Finished, 52 bytes\n");
	says(&talk, " bytes: 1 certificate of ours\n");
	says(&talk, " bytes: signed with ecdsa_secp384r1_sha384\n");
	says(&talk, "received NewSessionTicket, ");
	says(&talk, " bytes for 7200 s\n");
	says_not(&talk, "malformed");
	assert_int_equal(talk.words.group, 29);
	assert_int_equal(talk.words.server_signature, 0x0804);
	assert_int_equal(talk.words.client_signature, 0x0503);
	assert_int_equal(talk.words.client_certs, 1);
	end_talk(&talk);
}

static void test_tls12(void **state)
{
	static const struct {
		const char *ciphers, *exchange;
	} cases[] = {{"ECDHE-RSA-AES128-GCM-SHA256", "group x25519; signed with rsa_pss_rsae_sha256\n"},
	    {"DHE-RSA-AES128-GCM-SHA256", "Diffie-Hellman, 2048 bits; signed with rsa_pss_rsae_sha256\n"}};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct talk talk = {0};

		make_contexts(&talk);
		SSL_CTX_set_dh_auto(talk.server_ctx, 1);
		SSL_CTX_set_max_proto_version(talk.client_ctx, TLS1_2_VERSION);
		assert_int_equal(SSL_CTX_set_cipher_list(talk.client_ctx, cases[i].ciphers), 1);
		connect_ends(&talk, NULL);
		shake_hands(&talk);
		says(&talk, cases[i].exchange);
		says(&talk, cases[i].ciphers);
		says(&talk, " bytes: TLSv1.2; cipher ");
		says(&talk, "; a new session; ");
		says(&talk, "acceptable CA 1 of 1: CN=the ");
		says(&talk, "the server's certificate 1 of 2: CN=server; ");
		says(&talk, "received ServerHelloDone, 4 bytes\n");
		says(&talk, "sent ClientKeyExchange, ");
		/* TLS 1.2: any curve, and the peer's first hash */
		says(&talk, "signed with ecdsa_secp256r1_sha256\n");
		says_not(&talk, "TLSv1.3");
		says_not(&talk, "malformed");
		end_talk(&talk);
	}
}

static void test_resumption(void **state)
{
	static const struct {
		int version;
		bool ticket;
		const char *offer;
	} cases[] = {{TLS1_3_VERSION, true, "a TLS 1.3 ticket"}, {TLS1_2_VERSION, true, "a TLS 1.2 ticket"},
	    {TLS1_2_VERSION, false, "a TLS 1.2 session id"}};
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct talk talk = {0};
		SSL_SESSION *session;

		make_contexts(&talk);
		SSL_CTX_set_max_proto_version(talk.server_ctx, cases[i].version);
		if (!cases[i].ticket)
			SSL_CTX_set_options(talk.server_ctx, SSL_OP_NO_TICKET);
		connect_ends(&talk, NULL);
		shake_hands(&talk);
		session = SSL_get1_session(talk.client);
		says(&talk, "session offered: none\n");
		says_not(&talk, "is resumed");
		SSL_set_shutdown(talk.client, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		SSL_set_shutdown(talk.server, SSL_SENT_SHUTDOWN | SSL_RECEIVED_SHUTDOWN);
		disconnect(&talk);
		connect_ends(&talk, session);
		shake_hands(&talk);
		assert_int_equal(SSL_session_reused(talk.client), 1);
		says(&talk, cases[i].offer);
		says(&talk, "; the session that was offered is resumed; ");
		SSL_SESSION_free(session);
		end_talk(&talk);
	}
}

static void test_retry_request_and_key_update(void **state)
{
	struct talk talk = {0};
	char groups[] = "P-384";

	make_contexts(&talk);
	assert_int_equal(SSL_CTX_set1_groups_list(talk.server_ctx, groups), 1);
	connect_ends(&talk, NULL);
	shake_hands(&talk);
	says(&talk, "received HelloRetryRequest, 88 bytes: TLSv1.3 (legacy version TLSv1.2); cipher "
	    "TLS_AES_256_GCM_SHA384; group secp384r1; extensions: ");
	says(&talk, "; key shares: secp384r1\n");
	says(&talk, "; group secp384r1; a new session; ");
	assert_int_equal(SSL_key_update(talk.client, SSL_KEY_UPDATE_REQUESTED), 1);
	shake_hands(&talk);
	says(&talk, "sent KeyUpdate, 5 bytes: and asks for one in return\n");
	end_talk(&talk);
}

static void test_alerts(void **state)
{
	struct talk talk = {0};
	unsigned char bytes[] = {2, 116};

	make_contexts(&talk);
	SSL_CTX_set_min_proto_version(talk.client_ctx, TLS1_3_VERSION);
	SSL_CTX_set_max_proto_version(talk.server_ctx, TLS1_2_VERSION);
	connect_ends(&talk, NULL);
	shake_hands(&talk);
	says(&talk, "received alert: protocol_version (70), fatal\n");
	handshake_words_alert(&talk.words, false, bytes, 2);
	says(&talk, "received alert: certificate_required (116), fatal\n");
	handshake_words_alert(&talk.words, true, bytes, 1);
	says(&talk, "sent an alert of 1 bytes, which is malformed\n");
	bytes[1] = 200;
	handshake_words_alert(&talk.words, true, bytes, 2);
	says(&talk, "sent alert: alert 200 (200), fatal\n");
	end_talk(&talk);
}

static void test_no_certificate_of_ours(void **state)
{
	struct talk talk = {0};

	make_contexts(&talk);
	SSL_CTX_free(talk.client_ctx);
	talk.client_ctx = SSL_CTX_new(TLS_client_method());
	connect_ends(&talk, NULL);
	shake_hands(&talk);
	says(&talk, "sent Certificate, 8 bytes: 0 certificates: the server asked, and gets none of ours\n");
	says(&talk, "received alert: certificate_required (116), fatal\n");
	end_talk(&talk);
}

/* ---- what should not come ---- */

/* A copy as long as its bytes, so that a sanitizer sees a read behind it. */
static void tell_exactly(struct talk *talk, const struct message *message, const unsigned char *bytes,
    size_t len)
{
	unsigned char *exact = malloc(len > 0 ? len : 1);

	assert_non_null(exact);
	memcpy(exact, bytes, len);
	pki_text_free(&talk->told);
	talk->lines = 0;
	if (message->alert)
		handshake_words_alert(&talk->words, message->sent, exact, len);
	else
		handshake_words_message(&talk->words, message->sent, exact, len);
	assert_true(talk->lines > 0);
	free(exact);
}

static void record(struct talk *talk, int version)
{
	make_contexts(talk);
	SSL_CTX_set_max_proto_version(talk->server_ctx, version);
	connect_ends(talk, NULL);
	shake_hands(talk);
	assert_true(talk->count > 8);
}

static void test_cut_anywhere(void **state)
{
	const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	size_t v, i, len;

	for (v = 0; v < 2; v++) {
		struct talk talk = {0};

		record(&talk, versions[v]);
		for (i = 0; i < talk.count; i++) {
			const struct message *message = &talk.messages[i];

			for (len = 0; len < message->len; len++) {
				tell_exactly(&talk, message, message->bytes, len);
				says(&talk, "malformed");
			}
		}
		end_talk(&talk);
	}
}

static void test_garbled(void **state)
{
	const int versions[] = {TLS1_2_VERSION, TLS1_3_VERSION};
	unsigned seed = 7, turn;
	size_t v, i;

	for (v = 0; v < 2; v++) {
		struct talk talk = {0};

		record(&talk, versions[v]);
		for (turn = 0; turn < 6000; turn++) {
			const struct message *message = &talk.messages[turn % talk.count];
			unsigned char bytes[4096];

			assert_true(message->len <= sizeof(bytes));
			memcpy(bytes, message->bytes, message->len);
			for (i = 0; i < 1 + turn % 4; i++) {
				seed = seed * 1103515245 + 12345;
				bytes[(seed >> 8) % message->len] = (unsigned char)(seed >> 24);
			}
			tell_exactly(&talk, message, bytes, message->len);
		}
		end_talk(&talk);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tls13),
	    cmocka_unit_test(test_tls12),
	    cmocka_unit_test(test_resumption),
	    cmocka_unit_test(test_retry_request_and_key_update),
	    cmocka_unit_test(test_alerts),
	    cmocka_unit_test(test_no_certificate_of_ours),
	    cmocka_unit_test(test_cut_anywhere),
	    cmocka_unit_test(test_garbled),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
