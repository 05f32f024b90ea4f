/*
 * Proves that a peer which says user_canceled before its close_notify has closed (RFC 8446 section 6.1), and that one which
 * says user_canceled alone has not.
 *
 * OpenSSL does not send that alert: the peer's records are made here, with the key that it logs.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "pki.h"
#include "tls/stream.h"

#define SECRET_BYTES 32
#define KEY_BYTES 16
#define NONCE_BYTES 12
#define TAG_BYTES 16
#define ALERT_RECORD_BYTES (5 + 3 + TAG_BYTES)
#define WARNING 1
#define CLOSE_NOTIFY 0
#define USER_CANCELED 90

struct rig {
	struct wire_pool pool;
	EVP_PKEY *key;
	X509 *cert;
	SSL_CTX *ctx, *far_ctx;
	SSL *far;
	struct stream *stream;
	int fds[2];
	unsigned char secret[SECRET_BYTES];
	unsigned char sent; /* records under that secret */
};

static void on_key(const SSL *ssl, const char *line)
{
	static const char label[] = "CLIENT_TRAFFIC_SECRET_0 ";
	struct rig *rig = SSL_get_app_data(ssl);
	const char *hex = strrchr(line, ' ') + 1;
	size_t i;

	if (strncmp(line, label, strlen(label)) != 0)
		return;
	for (i = 0; i < SECRET_BYTES; i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &rig->secret[i]), 1);
}

static void open_rig(struct rig *rig)
{
	struct stream_accept_params params = {0};
	enum stream_status status = STREAM_BLOCKED;
	int i;

	memset(rig, 0, sizeof(*rig));
	wire_pool_init(&rig->pool);
	rig->key = pki_key("p256");
	rig->cert = pki_cert(&(struct pki_cert){.cn = "here", .key = rig->key});
	rig->ctx = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(rig->ctx, rig->cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(rig->ctx, rig->key), 1);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, rig->fds), 0);
	params.ctx = rig->ctx;
	params.fd = rig->fds[0];
	params.pool = &rig->pool;
	rig->stream = stream_accept_new(&params);
	assert_non_null(rig->stream);

	rig->far_ctx = SSL_CTX_new(TLS_client_method());
	assert_int_equal(SSL_CTX_set_ciphersuites(rig->far_ctx, "TLS_AES_128_GCM_SHA256"), 1);
	SSL_CTX_set_keylog_callback(rig->far_ctx, on_key);
	rig->far = SSL_new(rig->far_ctx);
	SSL_set_app_data(rig->far, rig);
	SSL_set_fd(rig->far, rig->fds[1]);
	SSL_set_connect_state(rig->far);
	for (i = 0; i < 10 && (status != STREAM_OK || !SSL_is_init_finished(rig->far)); i++) {
		SSL_do_handshake(rig->far);
		stream_set_readable(rig->stream);
		if (status == STREAM_BLOCKED)
			status = stream_handshake(rig->stream);
	}
	assert_int_equal(status, STREAM_OK);
}

static void close_rig(struct rig *rig)
{
	stream_free(rig->stream);
	SSL_free(rig->far);
	SSL_CTX_free(rig->far_ctx);
	SSL_CTX_free(rig->ctx);
	X509_free(rig->cert);
	EVP_PKEY_free(rig->key);
	wire_pool_clear(&rig->pool);
	close(rig->fds[0]);
	close(rig->fds[1]);
}

/* HKDF-Expand-Label (RFC 8446 section 7.1) without a context. */
static void expand(struct rig *rig, const char *label, unsigned char *out, size_t len)
{
	EVP_KDF *hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(hkdf);
	unsigned char info[32];
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	size_t label_len = strlen(label);
	OSSL_PARAM params[5];

	info[0] = 0;
	info[1] = (unsigned char)len;
	info[2] = (unsigned char)(6 + label_len);
	memcpy(info + 3, "tls13 ", 6);
	memcpy(info + 9, label, label_len);
	info[9 + label_len] = 0;
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char[]){"SHA256"}, 0);
	params[1] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
	params[2] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, rig->secret, SECRET_BYTES);
	params[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, 10 + label_len);
	params[4] = OSSL_PARAM_construct_end();
	assert_int_equal(EVP_KDF_derive(ctx, out, len, params), 1);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(hkdf);
}

/* RFC 8446 section 5.2. */
static void send_alert(struct rig *rig, unsigned char alert)
{
	const unsigned char inner[] = {WARNING, alert, SSL3_RT_ALERT};
	unsigned char record[ALERT_RECORD_BYTES] = {SSL3_RT_APPLICATION_DATA, 3, 3, 0, sizeof(inner) + TAG_BYTES};
	unsigned char key[KEY_BYTES], nonce[NONCE_BYTES];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len;

	expand(rig, "key", key, sizeof(key));
	expand(rig, "iv", nonce, sizeof(nonce));
	nonce[NONCE_BYTES - 1] ^= rig->sent++;
	assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, nonce), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &len, record, 5), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, record + 5, &len, inner, sizeof(inner)), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, record + 5 + len, &len), 1);
	assert_int_equal(
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, record + 5 + sizeof(inner)), 1);
	EVP_CIPHER_CTX_free(ctx);
	assert_int_equal(send(rig->fds[1], record, sizeof(record), 0), sizeof(record));
}

static enum stream_status read_some(struct rig *rig)
{
	unsigned char buf[100];
	size_t len;

	stream_set_readable(rig->stream);
	return stream_read(rig->stream, buf, sizeof(buf), &len);
}

static void test_close_notify(void **state)
{
	struct rig rig;

	open_rig(&rig);
	send_alert(&rig, CLOSE_NOTIFY);
	assert_int_equal(read_some(&rig), STREAM_CLOSED);
	close_rig(&rig);
}

static void test_user_canceled_before_it(void **state)
{
	struct rig rig;

	open_rig(&rig);
	send_alert(&rig, USER_CANCELED);
	send_alert(&rig, CLOSE_NOTIFY);
	assert_int_equal(read_some(&rig), STREAM_CLOSED);
	assert_int_equal(stream_shutdown(rig.stream), STREAM_OK);
	close_rig(&rig);
}

static void test_user_canceled_alone(void **state)
{
	struct rig rig;

	open_rig(&rig);
	send_alert(&rig, USER_CANCELED);
	assert_int_equal(read_some(&rig), STREAM_BLOCKED);
	shutdown(rig.fds[1], SHUT_WR);
	assert_int_equal(read_some(&rig), STREAM_TRUNCATED);
	close_rig(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_close_notify),
	    cmocka_unit_test(test_user_canceled_before_it),
	    cmocka_unit_test(test_user_canceled_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
