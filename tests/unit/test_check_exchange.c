/*
 * Proves, over a socket pair with small buffers, when a check's request leaves, and that a cancelled one tells nothing
 * more.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "check/check_exchange.h"
#include "pki.h"
#include "trusting.h"

#define NAME "target.test"
#define REQUEST "GET / HTTP/1.1\r\n\r\n"
#define ANSWER "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"

static EVP_PKEY *root_key, *key;
static X509 *root, *server_cert;
static char *dir, *bundle_file;
static struct identity *identity;

struct rig {
	struct loop *loop;
	struct tunnel *tunnel;
	struct check_exchange *exchange;
	SSL_CTX *far_ctx;
	SSL *far;
	struct event *far_event;
	int far_fd;
	char heard[256];
	size_t heard_len;
	unsigned traced;
	const char *stops_at; /* a line with this ends the turn, and the loop */
	unsigned done;
	int status;
};

/* A certificate of many kilobytes: more than a socket takes at once. */
static X509 *large_cert(const char *cn, const char *eku, unsigned names)
{
	struct pki_text alt_names = {0};
	char name[64];
	X509 *cert;
	unsigned i;

	pki_text_add(&alt_names, "DNS:" NAME);
	for (i = 0; i < names; i++) {
		snprintf(name, sizeof(name), ",DNS:name-number-%06u.of-many.example.test", i);
		pki_text_add(&alt_names, name);
	}
	cert = pki_cert(&(struct pki_cert){.cn = cn, .key = key, .issuer_cn = "root", .issuer_key = root_key, .eku = eku,
	    .alt_names = alt_names.at});
	pki_text_free(&alt_names);
	return cert;
}

static int setup(void **state)
{
	struct identity_params params = {.tls_min = TLS1_3_VERSION, .tls_max = TLS1_3_VERSION};
	struct pki_text text = {0};
	X509 *client_cert;

	root_key = pki_key("p256");
	key = pki_key("p256");
	root = pki_cert(&(struct pki_cert){.cn = "root", .key = root_key, .ca = true});
	server_cert = large_cert("server", "serverAuth", 0);
	client_cert = large_cert("client", "clientAuth", 500);
	dir = pki_dir_new();
	pki_text_add_cert(&text, root);
	pki_text_add_cert(&text, client_cert);
	pki_text_add_key(&text, key, PKI_PKCS8, NULL);
	bundle_file = pki_dir_write_text(dir, "bundle.pem", &text, 0600);
	pki_text_free(&text);
	X509_free(client_cert);
	params.bundle_file = bundle_file;
	identity = trusting_identity(&params, root);
	return 0;
}

static int teardown(void **state)
{
	identity_unref(identity);
	free(bundle_file);
	pki_dir_remove(dir);
	X509_free(root);
	X509_free(server_cert);
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(key);
	return 0;
}

/* ---- the far end ---- */

static int take_any(int preverified, X509_STORE_CTX *store)
{
	return 1;
}

/* The handshake, then the request, then an answer to it. */
static void far_turn(struct rig *rig)
{
	int n;

	ERR_clear_error();
	if (!SSL_is_init_finished(rig->far) && SSL_do_handshake(rig->far) != 1)
		return;
	n = SSL_read(rig->far, rig->heard + rig->heard_len, (int)(sizeof(rig->heard) - rig->heard_len));
	if (n <= 0)
		return;
	rig->heard_len += (size_t)n;
	if (rig->heard_len < strlen(REQUEST))
		return;
	/* Ahead of the answer, and read with it. */
	assert_int_equal(SSL_key_update(rig->far, SSL_KEY_UPDATE_NOT_REQUESTED), 1);
	assert_true(SSL_write(rig->far, ANSWER, (int)strlen(ANSWER)) > 0);
}

static void on_far(evutil_socket_t fd, short what, void *arg)
{
	far_turn(arg);
}

/* ---- the rig ---- */

static void on_nothing(void *arg, bool readable, bool writable)
{
}

static void on_trace(void *arg, const char *text)
{
	struct rig *rig = arg;

	rig->traced++;
	if (rig->stops_at != NULL && strstr(text, rig->stops_at) != NULL)
		loop_stop(rig->loop);
}

static void on_done(void *arg, struct check_exchange_result *result)
{
	struct rig *rig = arg;

	rig->exchange = NULL;
	rig->done++;
	rig->status = result->answered ? result->answer.status : 0;
	free(result->bytes);
	loop_stop(rig->loop);
}

/* A tunnel whose handshake is done here, and our last flight not all sent. */
static void rig_open(struct rig *rig)
{
	static char host[] = NAME;
	struct stream_params params = {
	    .identity = identity, .host = host, .trace = on_trace, .trace_arg = rig, .trace_peer = "target"};
	enum stream_status status;
	int fds[2], small = 4096;
	struct error err;

	memset(rig, 0, sizeof(*rig));
	rig->loop = loop_new(0, &err);
	assert_non_null(rig->loop);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	rig->far_fd = fds[1];
	rig->far_ctx = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(rig->far_ctx, server_cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(rig->far_ctx, key), 1);
	SSL_CTX_set_verify(rig->far_ctx, SSL_VERIFY_PEER, take_any);
	rig->far = SSL_new(rig->far_ctx);
	SSL_set_fd(rig->far, rig->far_fd);
	SSL_set_accept_state(rig->far);
	rig->tunnel = mem_calloc(1, sizeof(*rig->tunnel));
	rig->tunnel->watch = watch_new(rig->loop, fds[0], on_nothing, NULL);
	params.fd = fds[0];
	params.pool = &rig->loop->pool;
	rig->tunnel->stream = stream_new(&params);
	assert_non_null(rig->tunnel->stream);
	assert_int_equal(stream_handshake(rig->tunnel->stream), STREAM_BLOCKED);
	far_turn(rig);
	stream_set_readable(rig->tunnel->stream);
	status = stream_handshake(rig->tunnel->stream);
	assert_int_equal(status, STREAM_OK);
	assert_true(stream_pending(rig->tunnel->stream));
	rig->far_event = event_new(rig->loop->base, rig->far_fd, EV_READ | EV_PERSIST, on_far, rig);
	assert_int_equal(event_add(rig->far_event, NULL), 0);
}

static void rig_close(struct rig *rig)
{
	event_free(rig->far_event);
	loop_free(rig->loop);
	SSL_free(rig->far);
	SSL_CTX_free(rig->far_ctx);
	close(rig->far_fd);
}

static void ask(struct rig *rig)
{
	char request[] = REQUEST;
	struct check_exchange_params params = {.loop = rig->loop,
	    .target = NAME,
	    .asked = "GET /",
	    .request = request,
	    .request_len = strlen(request),
	    .timeout_ms = 10000};

	rig->exchange = check_exchange_start(&params, rig->tunnel, on_done, rig);
	memset(request, 0, sizeof(request)); /* the caller's again */
}

static void test_request_waits_for_our_last_flight(void **state)
{
	struct rig rig;

	rig_open(&rig);
	ask(&rig);
	loop_run(rig.loop);
	assert_int_equal(rig.done, 1);
	assert_int_equal(rig.status, 200);
	assert_int_equal(rig.heard_len, strlen(REQUEST));
	assert_memory_equal(rig.heard, REQUEST, strlen(REQUEST));
	rig_close(&rig);
}

/* What is freed by the loop afterwards says good-bye to the target; whoever listened may be gone. */
static void test_cancelled_exchange_traces_nothing(void **state)
{
	struct rig rig;
	unsigned before;

	rig_open(&rig);
	rig.stops_at = "KeyUpdate";
	ask(&rig);
	loop_run(rig.loop); /* until the call-back is due that has read the answer */
	assert_int_equal(rig.heard_len, strlen(REQUEST));
	assert_int_equal(rig.done, 0);
	before = rig.traced;
	check_exchange_cancel(rig.exchange);
	rig_close(&rig);
	assert_int_equal(rig.done, 0);
	assert_int_equal(rig.traced, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_request_waits_for_our_last_flight),
	    cmocka_unit_test(test_cancelled_exchange_traces_nothing),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
