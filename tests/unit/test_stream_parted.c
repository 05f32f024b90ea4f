/*
 * Proves that a message of TLS 1.3 behind the handshake that comes in parts (RFC 8446 5.1: several records) holds
 * nothing up: what we write meanwhile waits for the rest of it, and every byte arrives; that one read ends however many
 * such messages come; and for how long the session of a ticket is offered.
 */
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/hmac.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "pki.h"
#include "tls/stream.h"

#define NAME "target.test"
#define FRAGMENT_BYTES 512
#define FLOOD_BYTES 600000
#define TURN_MAX_BYTES 140000
#define RECORD_MORE_BYTES 22 /* head, type and tag of a record of TLS 1.3 */

static EVP_PKEY *key;
static X509 *cert;
static char *dir, *trust_file;
static struct identity *identity;

static int setup(void **state)
{
	struct identity_params params = {.tls_min = TLS1_2_VERSION, .tls_max = TLS1_3_VERSION};
	struct identity_faults faults;
	struct pki_text text = {0};
	X509_EXTENSION *ext;

	(void)state;
	key = pki_key("p256");
	cert = pki_cert(&(struct pki_cert){.cn = NAME, .key = key, .eku = "serverAuth"});
	ext = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "DNS:" NAME);
	assert_int_equal(X509_add_ext(cert, ext, -1), 1);
	X509_EXTENSION_free(ext);
	assert_true(X509_sign(cert, key, EVP_sha256()) > 0);
	dir = pki_dir_new();
	pki_text_add_cert(&text, cert);
	trust_file = pki_dir_write_text(dir, "trust.pem", &text, 0644);
	pki_text_free(&text);
	params.trust = trust_file;
	identity = identity_new(&params, NULL, NULL, &faults);
	assert_non_null(identity);
	stream_prepare_identity(identity);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	identity_unref(identity);
	free(trust_file);
	pki_dir_remove(dir);
	X509_free(cert);
	EVP_PKEY_free(key);
	return 0;
}

/* ---- the far end, in memory, and the stream on a socket pair ---- */

struct rig {
	struct wire_pool pool;
	SSL_CTX *ctx;
	SSL *far;
	int fds[2];
	struct stream *stream;
	struct tls_session_slot slot;
};

/* A ticket that is larger than a record here. */
static int on_ticket(SSL *ssl, void *arg)
{
	static const char data[3000];

	(void)arg;
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), data, sizeof(data));
}

static void far_receive(struct rig *rig)
{
	unsigned char buf[16384];
	ssize_t n;

	while ((n = recv(rig->fds[1], buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		assert_int_equal(BIO_write(SSL_get_rbio(rig->far), buf, (int)n), n);
}

/* At most `max` bytes of what the far end has written. */
static void far_send(struct rig *rig, size_t max)
{
	unsigned char buf[32768];
	int n = BIO_read(SSL_get_wbio(rig->far), buf, (int)(max < sizeof(buf) ? max : sizeof(buf)));

	if (n > 0)
		assert_int_equal(send(rig->fds[1], buf, (size_t)n, 0), n);
}

static enum stream_status near_read(struct rig *rig, size_t *len)
{
	stream_set_readable(rig->stream);
	return stream_read(rig->stream, rig->pool.scratch, WIRE_STEP_BYTES, len);
}

static void rig_open(struct rig *rig)
{
	char name[] = NAME;
	struct stream_params params = {.identity = identity, .host = name, .pool = &rig->pool, .slot = &rig->slot};
	enum stream_status status = STREAM_BLOCKED;
	int turns;

	memset(rig, 0, sizeof(*rig));
	wire_pool_init(&rig->pool);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, rig->fds), 0);
	rig->ctx = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(rig->ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(rig->ctx, key), 1);
	assert_int_equal(SSL_CTX_set_max_send_fragment(rig->ctx, FRAGMENT_BYTES), 1);
	assert_int_equal(SSL_CTX_set_num_tickets(rig->ctx, 1), 1);
	SSL_CTX_set_session_ticket_cb(rig->ctx, on_ticket, NULL, NULL);
	rig->far = SSL_new(rig->ctx);
	SSL_set_bio(rig->far, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(rig->far), -1);
	BIO_set_mem_eof_return(SSL_get_wbio(rig->far), -1);
	SSL_set_accept_state(rig->far);
	params.fd = rig->fds[0];
	rig->stream = stream_new(&params);
	assert_non_null(rig->stream);
	for (turns = 0; status == STREAM_BLOCKED; turns++) {
		assert_true(turns < 10);
		stream_set_readable(rig->stream);
		status = stream_handshake(rig->stream);
		if (status != STREAM_BLOCKED)
			break;
		far_receive(rig);
		SSL_do_handshake(rig->far);
		ERR_clear_error();
		far_send(rig, SIZE_MAX);
	}
	assert_int_equal(status, STREAM_OK);
	/* The far end finishes, and writes its ticket. */
	far_receive(rig);
	assert_int_equal(SSL_do_handshake(rig->far), 1);
	assert_true(BIO_ctrl_pending(SSL_get_wbio(rig->far)) > 3000);
}

static void rig_close(struct rig *rig)
{
	stream_free(rig->stream);
	tls_session_slot_clear(&rig->slot);
	SSL_free(rig->far);
	SSL_CTX_free(rig->ctx);
	close(rig->fds[0]);
	close(rig->fds[1]);
	wire_pool_clear(&rig->pool);
}

static void test_what_is_written_within_a_ticket_waits(void **state)
{
	static const char said[] = "said in the middle of a ticket";
	char buf[100];
	struct rig rig;
	size_t len;

	(void)state;
	rig_open(&rig);
	far_send(&rig, FRAGMENT_BYTES + RECORD_MORE_BYTES);
	assert_int_equal(near_read(&rig, &len), STREAM_BLOCKED);
	assert_int_equal(stream_write(rig.stream, said, sizeof(said)), STREAM_BLOCKED);
	assert_true(stream_busy(rig.stream));
	assert_false(stream_pending(rig.stream)); /* to look for a writable descriptor would spin */
	assert_int_equal(stream_flush(rig.stream), STREAM_BLOCKED);
	assert_int_equal(stream_shutdown(rig.stream), STREAM_BLOCKED);
	far_send(&rig, SIZE_MAX);
	assert_int_equal(near_read(&rig, &len), STREAM_BLOCKED);
	assert_int_equal(stream_tickets(rig.stream), 1);
	assert_false(stream_busy(rig.stream));
	far_receive(&rig);
	assert_int_equal(SSL_read(rig.far, buf, sizeof(buf)), sizeof(said));
	assert_memory_equal(buf, said, sizeof(said));
	assert_int_equal(SSL_read(rig.far, buf, sizeof(buf)), 0);
	assert_int_equal(SSL_get_shutdown(rig.far), SSL_RECEIVED_SHUTDOWN);
	rig_close(&rig);
}

/* The data behind the ticket is left where an event tells of it. */
static void test_writing_reads_nothing(void **state)
{
	static const char said[] = "said in the middle of a ticket", told[] = "told behind it";
	struct rig rig;
	size_t len;

	(void)state;
	rig_open(&rig);
	assert_int_equal(SSL_write(rig.far, told, sizeof(told)), sizeof(told));
	far_send(&rig, FRAGMENT_BYTES + RECORD_MORE_BYTES);
	assert_int_equal(near_read(&rig, &len), STREAM_BLOCKED);
	far_send(&rig, SIZE_MAX);
	stream_set_readable(rig.stream);
	assert_int_equal(stream_write(rig.stream, said, sizeof(said)), STREAM_BLOCKED);
	assert_false(stream_buffered(rig.stream));
	assert_int_equal(near_read(&rig, &len), STREAM_BLOCKED);
	assert_int_equal(len, sizeof(told));
	assert_false(stream_busy(rig.stream));
	rig_close(&rig);
}

static void test_an_end_within_a_ticket_is_truncation(void **state)
{
	struct rig rig;
	size_t len;

	(void)state;
	rig_open(&rig);
	far_send(&rig, FRAGMENT_BYTES + RECORD_MORE_BYTES);
	assert_int_equal(near_read(&rig, &len), STREAM_BLOCKED);
	assert_int_equal(stream_write(rig.stream, "x", 1), STREAM_BLOCKED);
	assert_int_equal(shutdown(rig.fds[1], SHUT_WR), 0);
	assert_int_equal(near_read(&rig, &len), STREAM_TRUNCATED);
	assert_false(stream_busy(rig.stream));
	rig_close(&rig);
}

/* ---- a client of ours that sends what no library would ---- */

static unsigned char client_secret[32]; /* RFC 8446 7.1: client_application_traffic_secret_0 */

static void on_key(const SSL *ssl, const char *line)
{
	static const char label[] = "CLIENT_TRAFFIC_SECRET_0 ";
	const char *at;
	size_t i;

	(void)ssl;
	if (strncmp(line, label, strlen(label)) != 0)
		return;
	at = strchr(line + strlen(label), ' ') + 1;
	for (i = 0; i < sizeof(client_secret); i++)
		assert_int_equal(sscanf(at + 2 * i, "%2hhx", &client_secret[i]), 1);
}

/* RFC 8446 7.1: HKDF-Expand-Label with an empty context, of one block at most: an HMAC (RFC 5869). */
static void expand_label(const char *label, unsigned char *out, size_t len)
{
	unsigned char info[64] = {0, (unsigned char)len, (unsigned char)(6 + strlen(label))}, block[32];
	size_t at = 3;

	memcpy(info + at, "tls13 ", 6);
	memcpy(info + at + 6, label, strlen(label));
	at += 6 + strlen(label) + 1; /* the length of the context: 0 */
	info[at++] = 1;
	assert_non_null(HMAC(EVP_sha256(), client_secret, sizeof(client_secret), info, at, block, NULL));
	memcpy(out, block, len);
}

/* The client's first record behind the handshake (RFC 8446 5.2): the head of a KeyUpdate, whose last byte never comes. */
static void send_head_of_key_update(int fd)
{
	static const unsigned char inner[] = {24, 0, 0, 1, 22};
	unsigned char record[5 + sizeof(inner) + 16] = {23, 3, 3, 0, sizeof(inner) + 16}, key_bytes[16], iv[12];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len;

	expand_label("key", key_bytes, sizeof(key_bytes));
	expand_label("iv", iv, sizeof(iv));
	assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key_bytes, iv), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &len, record, 5), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, record + 5, &len, inner, sizeof(inner)), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, record + 5 + len, &len), 1);
	assert_int_equal(EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, 16, record + 5 + sizeof(inner)), 1);
	EVP_CIPHER_CTX_free(ctx);
	assert_int_equal(send(fd, record, sizeof(record), 0), sizeof(record));
}

/* The server's side, before a local client. */
static void rig_accept(struct rig *rig, SSL_CTX *own)
{
	struct stream_accept_params params = {.ctx = own, .pool = &rig->pool};
	enum stream_status status = STREAM_BLOCKED;
	int turns;

	memset(rig, 0, sizeof(*rig));
	wire_pool_init(&rig->pool);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, rig->fds), 0);
	rig->ctx = SSL_CTX_new(TLS_client_method());
	assert_int_equal(SSL_CTX_set_ciphersuites(rig->ctx, "TLS_AES_128_GCM_SHA256"), 1);
	SSL_CTX_set_keylog_callback(rig->ctx, on_key);
	rig->far = SSL_new(rig->ctx);
	SSL_set_bio(rig->far, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(rig->far), -1);
	BIO_set_mem_eof_return(SSL_get_wbio(rig->far), -1);
	SSL_set_connect_state(rig->far);
	params.fd = rig->fds[0];
	rig->stream = stream_accept_new(&params);
	assert_non_null(rig->stream);
	for (turns = 0; status == STREAM_BLOCKED; turns++) {
		assert_true(turns < 10);
		SSL_do_handshake(rig->far);
		ERR_clear_error();
		far_send(rig, SIZE_MAX);
		stream_set_readable(rig->stream);
		status = stream_handshake(rig->stream);
		far_receive(rig);
	}
	assert_int_equal(status, STREAM_OK);
}

/* Which any client of a tls:// listener can do. */
static void test_a_client_within_a_key_update(void **state)
{
	SSL_CTX *own = SSL_CTX_new(TLS_server_method());
	struct rig rig;
	size_t len;

	(void)state;
	assert_int_equal(SSL_CTX_use_certificate(own, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(own, key), 1);
	SSL_CTX_set_num_tickets(own, 0);
	SSL_CTX_set_mode(own, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	rig_accept(&rig, own);
	send_head_of_key_update(rig.fds[1]);
	assert_int_equal(near_read(&rig, &len), STREAM_BLOCKED);
	assert_int_equal(stream_write(rig.stream, "an answer", 9), STREAM_BLOCKED);
	assert_true(stream_busy(rig.stream));
	assert_false(stream_pending(rig.stream));
	assert_int_equal(stream_shutdown(rig.stream), STREAM_BLOCKED);
	rig_close(&rig);
	SSL_CTX_free(own);
}

/* The session of a ticket is offered for an hour at most, by a clock that was set back as well. */
static void test_a_session_ends_by_any_clock(void **state)
{
	static const struct {
		int later_s;
		bool offered;
	} cases[] = {{0, true}, {3600, false}, {-3600, false}};
	char name[] = NAME;
	struct rig rig;
	size_t len, i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct stream *next;

		rig_open(&rig);
		far_send(&rig, SIZE_MAX);
		assert_int_equal(near_read(&rig, &len), STREAM_BLOCKED);
		assert_non_null(rig.slot.session);
		rig.slot.not_after += cases[i].later_s - 10;
		next = stream_new(&(struct stream_params){
		    .identity = identity, .host = name, .pool = &rig.pool, .slot = &rig.slot, .fd = -1});
		assert_int_equal(rig.slot.session != NULL, cases[i].offered);
		stream_free(next);
		rig_close(&rig);
	}
}

static void test_a_flood_of_messages_takes_turns(void **state)
{
	static const char told[] = "told behind it";
	unsigned char *flood = malloc(FLOOD_BYTES);
	int room = 4 * FLOOD_BYTES, len, i;
	uint64_t before, turn;
	unsigned turns = 0;
	struct rig rig;
	size_t got = 0;

	(void)state;
	rig_open(&rig);
	far_send(&rig, SIZE_MAX);
	assert_int_equal(near_read(&rig, &got), STREAM_BLOCKED);
	for (i = 0; i < FLOOD_BYTES / 30; i++) {
		assert_int_equal(SSL_key_update(rig.far, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
		assert_int_equal(SSL_do_handshake(rig.far), 1);
	}
	assert_int_equal(SSL_write(rig.far, told, sizeof(told)), sizeof(told));
	len = BIO_read(SSL_get_wbio(rig.far), flood, FLOOD_BYTES);
	assert_int_equal(BIO_ctrl_pending(SSL_get_wbio(rig.far)), 0);
	assert_int_equal(setsockopt(rig.fds[1], SOL_SOCKET, SO_SNDBUF, &room, sizeof(room)), 0);
	i = 0;
	for (before = stream_received(rig.stream); got == 0; turns++) {
		ssize_t sent = send(rig.fds[1], flood + i, (size_t)(len - i), MSG_DONTWAIT);

		i += sent > 0 ? (int)sent : 0;
		turn = stream_received(rig.stream);
		assert_int_equal(near_read(&rig, &got), STREAM_BLOCKED);
		assert_in_range(stream_received(rig.stream) - turn, 1, TURN_MAX_BYTES);
	}
	assert_int_equal(got, sizeof(told));
	assert_int_equal(stream_received(rig.stream) - before, len);
	assert_in_range(turns, len / TURN_MAX_BYTES, len);
	free(flood);
	rig_close(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_what_is_written_within_a_ticket_waits),
	    cmocka_unit_test(test_writing_reads_nothing),
	    cmocka_unit_test(test_an_end_within_a_ticket_is_truncation),
	    cmocka_unit_test(test_a_client_within_a_key_update),
	    cmocka_unit_test(test_a_session_ends_by_any_clock),
	    cmocka_unit_test(test_a_flood_of_messages_takes_turns),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
