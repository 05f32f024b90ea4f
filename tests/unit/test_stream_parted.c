/*
 * Proves that a message of TLS 1.3 behind the handshake that comes in parts (RFC 8446 5.1: several records) holds
 * nothing up: what we write meanwhile waits for the rest of it, and every byte arrives; that one read ends however many
 * such messages come; and for how long the session of a ticket is offered.
 */
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "local_client.h"
#include "pki.h"
#include "tls/stream.h"
#include "trusting.h"

#define NAME "target.test"
#define FRAGMENT_BYTES 512
#define FLOOD_BYTES 300000
#define TURN_MAX_BYTES 140000
#define RECORD_MORE_BYTES 22 /* head, type and tag of a record of TLS 1.3 */

static EVP_PKEY *key;
static X509 *cert;
static struct identity *identity;

static int setup(void **state)
{
	const struct identity_params params = {.tls_min = TLS1_2_VERSION, .tls_max = TLS1_3_VERSION};

	(void)state;
	key = pki_key("p256");
	cert = pki_cert(&(struct pki_cert){.cn = NAME, .key = key, .eku = "serverAuth", .alt_names = "DNS:" NAME});
	identity = trusting_identity(&params, cert);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	identity_unref(identity);
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

/* Which any client of a tls:// listener can do: the head of a KeyUpdate (RFC 8446 4.6.3), whose last byte never comes. */
static void test_a_client_within_a_key_update(void **state)
{
	static const unsigned char head[] = {SSL3_MT_KEY_UPDATE, 0, 0, 1};
	struct local_client client;

	(void)state;
	local_client_open(&client, cert, key);
	local_client_send(&client, SSL3_RT_HANDSHAKE, head, sizeof(head));
	assert_int_equal(local_client_read(&client), STREAM_BLOCKED);
	assert_int_equal(stream_write(client.stream, "an answer", 9), STREAM_BLOCKED);
	assert_true(stream_busy(client.stream));
	assert_false(stream_pending(client.stream));
	assert_int_equal(stream_shutdown(client.stream), STREAM_BLOCKED);
	local_client_close(&client);
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
