/*
 * Proves, over a socket pair with small buffers, that a stream inside another moves every byte both ways
 * whatever the sizes and however often either layer changes its keys, and how its ends are told apart.
 */
#include <errno.h>
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

#include "pki.h"
#include "tls/stream.h"
#include "trusting.h"

#define OUTER_NAME "proxy.test"
#define INNER_NAME "target.test"
#define TURNS 100000

static EVP_PKEY *root_key, *server_key;
static X509 *root, *outer_cert, *inner_cert;
static struct identity *identity;

/* The far end: two servers, one inside the other, in memory. */
struct far_end {
	SSL_CTX *outer_ctx, *inner_ctx;
	SSL *outer, *inner;
	int fd;
	unsigned char unsent[32768];
	size_t unsent_len;
};

struct rig {
	struct wire_pool pool;
	struct far_end far;
	struct stream *stream;
	int fd;
};

static X509 *server_cert(const char *alt_names)
{
	return pki_cert(&(struct pki_cert){.cn = "server", .key = server_key, .issuer_cn = "root", .issuer_key = root_key,
	    .eku = "serverAuth", .alt_names = alt_names});
}

static int setup(void **state)
{
	const struct identity_params params = {.tls_min = TLS1_2_VERSION, .tls_max = TLS1_3_VERSION};

	(void)state;
	root_key = pki_key("p256");
	server_key = pki_key("p256");
	root = pki_cert(&(struct pki_cert){.cn = "root", .key = root_key, .ca = true});
	outer_cert = server_cert("DNS:" OUTER_NAME);
	inner_cert = server_cert("DNS:" INNER_NAME);
	identity = trusting_identity(&params, root);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	identity_unref(identity);
	X509_free(root);
	X509_free(outer_cert);
	X509_free(inner_cert);
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(server_key);
	return 0;
}

/* ---- the far end ---- */

static SSL *server(SSL_CTX **ctx, X509 *cert, int version)
{
	SSL *ssl;

	*ctx = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(*ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(*ctx, server_key), 1);
	assert_int_equal(SSL_CTX_set_max_proto_version(*ctx, version), 1);
	ssl = SSL_new(*ctx);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(ssl), -1);
	BIO_set_mem_eof_return(SSL_get_wbio(ssl), -1);
	SSL_set_accept_state(ssl);
	return ssl;
}

/* Moves ciphertext between descriptor, outer and inner as far as it goes. */
static void far_turn(struct far_end *far)
{
	unsigned char buf[16384];
	ssize_t sent;
	int n;

	while ((n = (int)recv(far->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		assert_int_equal(BIO_write(SSL_get_rbio(far->outer), buf, n), n);
	ERR_clear_error();
	while ((n = SSL_read(far->outer, buf, sizeof(buf))) > 0)
		assert_int_equal(BIO_write(SSL_get_rbio(far->inner), buf, n), n);
	ERR_clear_error();
	if (!SSL_is_init_finished(far->inner))
		SSL_do_handshake(far->inner);
	ERR_clear_error();
	while (SSL_is_init_finished(far->outer) && (n = BIO_read(SSL_get_wbio(far->inner), buf,
	    sizeof(buf))) > 0)
		assert_int_equal(SSL_write(far->outer, buf, n), n);
	for (;;) {
		if (far->unsent_len == 0) {
			n = BIO_read(SSL_get_wbio(far->outer), far->unsent, sizeof(far->unsent));
			far->unsent_len = n > 0 ? (size_t)n : 0;
		}
		if (far->unsent_len == 0)
			return;
		sent = send(far->fd, far->unsent, far->unsent_len, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (sent <= 0)
			return;
		far->unsent_len -= (size_t)sent;
		memmove(far->unsent, far->unsent + sent, far->unsent_len);
	}
}

/* ---- the rig ---- */

static void shake_hands(struct rig *rig, struct stream *stream)
{
	enum stream_status status = STREAM_BLOCKED;
	int turns = 0;

	while (status == STREAM_BLOCKED || stream_pending(stream)) {
		assert_true(++turns < TURNS);
		far_turn(&rig->far);
		stream_set_readable(stream);
		if (stream_pending(stream) && stream_flush(stream) == STREAM_BLOCKED)
			continue;
		if (status == STREAM_BLOCKED)
			status = stream_handshake(stream);
	}
	assert_int_equal(status, STREAM_OK);
}

/* Byte i of a direction; the seed tells the two apart. */
static unsigned char pattern(size_t i, unsigned seed)
{
	return (unsigned char)((i * 2654435761u) >> 13 ^ seed);
}

static void fill(unsigned char *buf, size_t len, size_t at, unsigned seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = pattern(at + i, seed);
}

static void compare(const unsigned char *buf, size_t len, size_t at, unsigned seed)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (buf[i] != pattern(at + i, seed))
			fail_msg("byte %zu differs", at + i);
	}
}

/* Reads what is there now; *at counts. */
static enum stream_status near_read(struct rig *rig, size_t *at)
{
	enum stream_status status;
	size_t len;

	stream_set_readable(rig->stream);
	status = stream_read(rig->stream, rig->pool.scratch, WIRE_STEP_BYTES, &len);
	compare(rig->pool.scratch, len, *at, 1);
	*at += len;
	return status;
}

/* How many lines were told of either layer. */
static struct {
	bool on;
	unsigned proxy, target;
} traced;

static void on_trace(void *arg, const char *text)
{
	assert_ptr_equal(arg, &traced);
	assert_true(strlen(text) < STREAM_TRACE_BYTES);
	if (strncmp(text, "proxy: ", strlen("proxy: ")) == 0)
		traced.proxy++;
	else if (strncmp(text, "target: ", strlen("target: ")) == 0)
		traced.target++;
	else
		fail_msg("of whom is this: %s", text);
}

static void rig_open(struct rig *rig, int outer_version, int inner_version)
{
	char outer_name[] = OUTER_NAME, inner_name[] = INNER_NAME;
	struct stream_params params = {.identity = identity,
	    .host = outer_name,
	    .pool = &rig->pool,
	    .trace = traced.on ? on_trace : NULL,
	    .trace_arg = &traced,
	    .trace_peer = "proxy"};
	struct stream *outer;
	int fds[2], small = 4096, turns;
	size_t at = 0;

	memset(rig, 0, sizeof(*rig));
	wire_pool_init(&rig->pool);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	setsockopt(fds[1], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	rig->fd = params.fd = fds[0];
	rig->far.fd = fds[1];
	rig->far.outer = server(&rig->far.outer_ctx, outer_cert, outer_version);
	rig->far.inner = server(&rig->far.inner_ctx, inner_cert, inner_version);
	outer = stream_new(&params);
	assert_non_null(outer);
	shake_hands(rig, outer);
	params.host = inner_name;
	params.trace_peer = "target";
	params.outer = outer;
	rig->stream = stream_new(&params);
	assert_non_null(rig->stream);
	shake_hands(rig, rig->stream);
	for (turns = 0; !SSL_is_init_finished(rig->far.inner) || rig->far.unsent_len > 0; turns++) {
		assert_true(turns < TURNS);
		far_turn(&rig->far);
		(void)near_read(rig, &at);
	}
	assert_int_equal(rig->pool.borrowed, 0);
}

static void rig_close(struct rig *rig)
{
	stream_free(rig->stream);
	SSL_free(rig->far.outer);
	SSL_free(rig->far.inner);
	SSL_CTX_free(rig->far.outer_ctx);
	SSL_CTX_free(rig->far.inner_ctx);
	close(rig->fd);
	close(rig->far.fd);
	wire_pool_clear(&rig->pool);
}

static void far_read(struct rig *rig, size_t *at)
{
	unsigned char buf[4096];
	int n;

	ERR_clear_error();
	while ((n = SSL_read(rig->far.inner, buf, sizeof(buf))) > 0) {
		compare(buf, (size_t)n, *at, 2);
		*at += (size_t)n;
	}
}

static void move_both_ways(int outer_version, int inner_version)
{
	size_t up_sent = 0, up_got = 0, down_sent = 0, down_got = 0, total = 3000000, len;
	unsigned char *buf = malloc(WIRE_STEP_BYTES);
	unsigned waited = 0;
	struct rig rig;
	int turn;

	rig_open(&rig, outer_version, inner_version);
	srand(7);
	for (turn = 0; up_got < total || down_got < total; turn++) {
		enum stream_status status;

		assert_true(turn < TURNS);
		waited += stream_pending(rig.stream);
		(void)stream_flush(rig.stream);
		if (!stream_pending(rig.stream) && up_sent < total) {
			len = 1 + (size_t)rand() % (turn % 3 == 0 ? WIRE_STEP_BYTES : 300);
			fill(buf, len, up_sent, 2);
			status = stream_write(rig.stream, buf, len);
			assert_true(status == STREAM_OK || status == STREAM_BLOCKED);
			up_sent += len;
		}
		/* Everything of the far end has left: what it sends next is not mixed with a rest. */
		if (rig.far.unsent_len == 0 && down_sent < total) {
			len = 1 + (size_t)rand() % (turn % 5 == 0 ? 40000 : 300);
			fill(buf, len, down_sent, 1);
			assert_int_equal(SSL_write(rig.far.inner, buf, (int)len), (int)len);
			down_sent += len;
			if (inner_version == TLS1_3_VERSION && turn % 7 == 0)
				assert_int_equal(SSL_key_update(rig.far.inner, SSL_KEY_UPDATE_REQUESTED), 1);
			if (outer_version == TLS1_3_VERSION && turn % 11 == 0)
				assert_int_equal(SSL_key_update(rig.far.outer, SSL_KEY_UPDATE_REQUESTED), 1);
		}
		far_turn(&rig.far);
		assert_int_equal(near_read(&rig, &down_got), STREAM_BLOCKED);
		far_read(&rig, &up_got);
	}
	assert_true(waited > 20); /* answers to key updates went behind bytes that were waiting */
	assert_int_equal(up_got, up_sent);
	assert_int_equal(down_got, down_sent);
	assert_false(stream_pending(rig.stream));
	assert_int_equal(rig.pool.borrowed, 0);
	assert_true(stream_received(rig.stream) > down_got);
	free(buf);
	rig_close(&rig);
}

static void test_moves_both_ways(void **state)
{
	(void)state;
	move_both_ways(TLS1_3_VERSION, TLS1_3_VERSION);
	move_both_ways(TLS1_2_VERSION, TLS1_3_VERSION);
	move_both_ways(TLS1_3_VERSION, TLS1_2_VERSION);
}

static enum stream_status read_to_end(struct rig *rig)
{
	enum stream_status status = STREAM_BLOCKED;
	size_t at = 0;
	int turns;

	for (turns = 0; turns < 100 && (status == STREAM_BLOCKED || status == STREAM_OK); turns++) {
		far_turn(&rig->far);
		status = near_read(rig, &at);
	}
	return status;
}

/* A far end that asks for new keys without end while our bytes wait. */
static void flood_key_updates(bool inner_too)
{
	unsigned char *buf = malloc(WIRE_STEP_BYTES);
	enum stream_status status = STREAM_BLOCKED;
	size_t up_got = 0, down_got = 0;
	struct rig rig;
	int i;

	rig_open(&rig, TLS1_3_VERSION, TLS1_3_VERSION);
	fill(buf, WIRE_STEP_BYTES, 0, 2);
	assert_int_equal(stream_write(rig.stream, buf, WIRE_STEP_BYTES), STREAM_BLOCKED);
	for (i = 0; i < 600; i++) {
		SSL *ssl = inner_too && i % 2 == 0 ? rig.far.inner : rig.far.outer;

		SSL_key_update(ssl, SSL_KEY_UPDATE_REQUESTED);
		SSL_do_handshake(ssl);
		ERR_clear_error();
	}
	for (i = 0; i < 200 && status == STREAM_BLOCKED; i++) {
		status = near_read(&rig, &down_got);
		far_turn(&rig.far);
		far_read(&rig, &up_got);
		if (status == STREAM_BLOCKED && i > 20 && stream_flush(rig.stream) == STREAM_OK)
			break;
	}
	/* It may be given up, but only in order. */
	if (status == STREAM_BLOCKED) {
		assert_int_equal(up_got, WIRE_STEP_BYTES);
		(void)stream_write(rig.stream, buf, 1000);
		(void)near_read(&rig, &down_got);
	}
	free(buf);
	rig_close(&rig);
}

static void test_key_update_floods(void **state)
{
	(void)state;
	flood_key_updates(false);
	flood_key_updates(true);
}

/* A ticket that is larger than a record. */
static int on_ticket(SSL *ssl, void *arg)
{
	static const char data[3000];

	(void)arg;
	return SSL_SESSION_set1_ticket_appdata(SSL_get_session(ssl), data, sizeof(data));
}

/* While a message of the outer session has come in part, what the inner one writes waits, and nothing of it is lost. */
static void test_a_message_in_parts_holds_writing(void **state)
{
	unsigned char part[600], *buf = malloc(WIRE_STEP_BYTES);
	size_t up_got = 0, down_got = 0;
	struct rig rig;
	int turns;

	(void)state;
	rig_open(&rig, TLS1_3_VERSION, TLS1_3_VERSION);
	SSL_CTX_set_session_ticket_cb(rig.far.outer_ctx, on_ticket, NULL, NULL);
	assert_int_equal(SSL_set_max_send_fragment(rig.far.outer, 512), 1);
	assert_int_equal(SSL_new_session_ticket(rig.far.outer), 1);
	assert_int_equal(SSL_do_handshake(rig.far.outer), 1);
	assert_int_equal(BIO_read(SSL_get_wbio(rig.far.outer), part, sizeof(part)), sizeof(part));
	assert_int_equal(send(rig.far.fd, part, sizeof(part), 0), sizeof(part));
	assert_int_equal(near_read(&rig, &down_got), STREAM_BLOCKED);
	fill(buf, WIRE_STEP_BYTES, 0, 2);
	assert_int_equal(stream_write(rig.stream, buf, WIRE_STEP_BYTES), STREAM_BLOCKED);
	assert_true(stream_busy(rig.stream));
	assert_false(stream_pending(rig.stream));
	assert_int_equal(near_read(&rig, &down_got), STREAM_BLOCKED);
	for (turns = 0; up_got < WIRE_STEP_BYTES; turns++) {
		assert_true(turns < TURNS);
		far_turn(&rig.far);
		assert_int_equal(near_read(&rig, &down_got), STREAM_BLOCKED);
		(void)stream_flush(rig.stream);
		far_turn(&rig.far);
		far_read(&rig, &up_got);
	}
	assert_false(stream_busy(rig.stream));
	free(buf);
	rig_close(&rig);
}

static bool far_has_close_notify(SSL *ssl)
{
	return (SSL_get_shutdown(ssl) & SSL_RECEIVED_SHUTDOWN) != 0;
}

static void test_ends_in_order(void **state)
{
	struct rig rig;
	size_t at = 0;

	(void)state;
	rig_open(&rig, TLS1_3_VERSION, TLS1_3_VERSION);
	assert_int_equal(stream_shutdown(rig.stream), STREAM_OK);
	far_turn(&rig.far);
	far_read(&rig, &at);
	assert_true(far_has_close_notify(rig.far.inner));
	assert_false(far_has_close_notify(rig.far.outer)); /* the target may still send */
	SSL_shutdown(rig.far.inner);
	assert_int_equal(read_to_end(&rig), STREAM_CLOSED);
	far_turn(&rig.far);
	assert_true(far_has_close_notify(rig.far.outer));
	assert_int_equal(stream_shutdown(rig.stream), STREAM_OK);
	rig_close(&rig);
}

static void test_target_ends_first(void **state)
{
	unsigned char buf[1000];
	struct rig rig;
	size_t at = 0;

	(void)state;
	rig_open(&rig, TLS1_3_VERSION, TLS1_2_VERSION);
	SSL_shutdown(rig.far.inner);
	assert_int_equal(read_to_end(&rig), STREAM_CLOSED);
	fill(buf, sizeof(buf), 0, 2);
	assert_int_equal(stream_write(rig.stream, buf, sizeof(buf)), STREAM_OK);
	far_turn(&rig.far);
	assert_false(far_has_close_notify(rig.far.outer));
	far_read(&rig, &at);
	assert_int_equal(at, sizeof(buf));
	assert_int_equal(stream_shutdown(rig.stream), STREAM_OK);
	far_turn(&rig.far);
	far_read(&rig, &at);
	assert_true(far_has_close_notify(rig.far.inner));
	assert_true(far_has_close_notify(rig.far.outer));
	rig_close(&rig);
}

static void test_outer_end_is_truncation(void **state)
{
	unsigned char buf[100];
	struct rig rig;

	(void)state;
	rig_open(&rig, TLS1_3_VERSION, TLS1_3_VERSION);
	fill(buf, sizeof(buf), 0, 1);
	SSL_write(rig.far.inner, buf, sizeof(buf));
	far_turn(&rig.far);
	SSL_shutdown(rig.far.outer);
	assert_int_equal(read_to_end(&rig), STREAM_TRUNCATED);
	rig_close(&rig);

	rig_open(&rig, TLS1_3_VERSION, TLS1_3_VERSION);
	shutdown(rig.far.fd, SHUT_WR);
	assert_int_equal(read_to_end(&rig), STREAM_TRUNCATED);
	rig_close(&rig);
}

static void test_outer_fault_is_named(void **state)
{
	static const char garbage[] = "\x17\x03\x03\x00\x20 this is no record of the session...";
	unsigned char buf[100] = {0};
	struct rig rig;

	(void)state;
	rig_open(&rig, TLS1_3_VERSION, TLS1_3_VERSION);
	assert_true(send(rig.far.fd, garbage, sizeof(garbage), 0) > 0);
	assert_int_equal(read_to_end(&rig), STREAM_FAILED);
	assert_int_equal(stream_fault(rig.stream)->kind, TLS_FAULT_OUTER);
	assert_non_null(strstr(stream_fault(rig.stream)->sentence, OUTER_NAME));
	/* Nothing more can be said through it, and nothing asserts. */
	assert_int_equal(stream_shutdown(rig.stream), STREAM_OK);
	assert_int_not_equal(stream_write(rig.stream, buf, sizeof(buf)), STREAM_OK);
	rig_close(&rig);
}

static void test_failed_construction_leaves_the_outer(void **state)
{
	char bad[] = "not a name\n", outer_name[] = OUTER_NAME;
	struct stream_params params = {.identity = identity, .host = outer_name, .fd = -1};
	struct wire_pool pool;
	struct stream *outer;

	(void)state;
	wire_pool_init(&pool);
	params.pool = &pool;
	outer = stream_new(&params);
	assert_non_null(outer);
	params.outer = outer;
	params.host = bad;
	params.host_is_ip = true;
	assert_null(stream_new(&params));
	stream_free(outer);
	wire_pool_clear(&pool);
}

/* Of both layers, past the handshake; then of neither, so that who was told may go. */
static void test_trace_lasts_until_it_is_ended(void **state)
{
	unsigned proxy, target;
	struct rig rig;
	int ended;

	(void)state;
	for (ended = 0; ended < 2; ended++) {
		memset(&traced, 0, sizeof(traced));
		traced.on = true;
		rig_open(&rig, TLS1_3_VERSION, TLS1_3_VERSION);
		proxy = traced.proxy;
		target = traced.target;
		assert_true(proxy > 8 && target > 8);
		if (ended)
			stream_end_trace(rig.stream);
		assert_int_equal(stream_shutdown(rig.stream), STREAM_OK);
		assert_int_equal(SSL_shutdown(rig.far.inner), 0);
		far_turn(&rig.far);
		(void)read_to_end(&rig);
		assert_int_equal(traced.target > target, !ended);
		assert_int_equal(traced.proxy > proxy, !ended);
		rig_close(&rig);
	}
	traced.on = false;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_moves_both_ways),
	    cmocka_unit_test(test_key_update_floods),
	    cmocka_unit_test(test_a_message_in_parts_holds_writing),
	    cmocka_unit_test(test_ends_in_order),
	    cmocka_unit_test(test_target_ends_first),
	    cmocka_unit_test(test_outer_end_is_truncation),
	    cmocka_unit_test(test_outer_fault_is_named),
	    cmocka_unit_test(test_failed_construction_leaves_the_outer),
	    cmocka_unit_test(test_trace_lasts_until_it_is_ended),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
