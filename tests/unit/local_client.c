/* local_client: see local_client.h. */
#include "local_client.h"

#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

/* Of TLS_AES_128_GCM_SHA256. */
#define SUITE "TLS_AES_128_GCM_SHA256"
#define DIGEST "SHA256"
#define KEY_BYTES 16
#define NONCE_BYTES 12
#define TAG_BYTES 16

#define HEAD_BYTES 5
#define MESSAGE_MAX_BYTES 16
#define TURNS 10

static void on_key(const SSL *ssl, const char *line)
{
	static const char label[] = "CLIENT_TRAFFIC_SECRET_0 ";
	struct local_client *client = SSL_get_app_data(ssl);
	const char *hex = strrchr(line, ' ') + 1;
	size_t i;

	if (strncmp(line, label, strlen(label)) != 0)
		return;
	for (i = 0; i < sizeof(client->secret); i++)
		assert_int_equal(sscanf(hex + 2 * i, "%2hhx", &client->secret[i]), 1);
}

static void open_server(struct local_client *client, X509 *cert, EVP_PKEY *key)
{
	struct stream_accept_params params = {.pool = &client->pool, .fd = client->fds[0]};

	client->ctx = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(client->ctx, cert), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(client->ctx, key), 1);
	assert_int_equal(SSL_CTX_set_num_tickets(client->ctx, 0), 1);
	SSL_CTX_set_mode(client->ctx, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
	params.ctx = client->ctx;
	client->stream = stream_accept_new(&params);
	assert_non_null(client->stream);
}

static void open_client(struct local_client *client)
{
	client->far_ctx = SSL_CTX_new(TLS_client_method());
	assert_int_equal(SSL_CTX_set_ciphersuites(client->far_ctx, SUITE), 1);
	SSL_CTX_set_keylog_callback(client->far_ctx, on_key);
	client->far = SSL_new(client->far_ctx);
	SSL_set_app_data(client->far, client);
	SSL_set_fd(client->far, client->fds[1]);
	SSL_set_connect_state(client->far);
}

void local_client_open(struct local_client *client, X509 *cert, EVP_PKEY *key)
{
	enum stream_status status = STREAM_BLOCKED;
	int i;

	memset(client, 0, sizeof(*client));
	wire_pool_init(&client->pool);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, client->fds), 0);
	open_server(client, cert, key);
	open_client(client);
	for (i = 0; i < TURNS && (status != STREAM_OK || !SSL_is_init_finished(client->far)); i++) {
		SSL_do_handshake(client->far);
		stream_set_readable(client->stream);
		if (status == STREAM_BLOCKED)
			status = stream_handshake(client->stream);
	}
	assert_int_equal(status, STREAM_OK);
}

void local_client_close(struct local_client *client)
{
	stream_free(client->stream);
	SSL_free(client->far);
	SSL_CTX_free(client->far_ctx);
	SSL_CTX_free(client->ctx);
	wire_pool_clear(&client->pool);
	close(client->fds[0]);
	close(client->fds[1]);
}

/* HKDF-Expand-Label (RFC 8446 7.1) without a context. */
static void expand(struct local_client *client, const char *label, unsigned char *out, size_t len)
{
	EVP_KDF *hkdf = EVP_KDF_fetch(NULL, "HKDF", NULL);
	EVP_KDF_CTX *ctx = EVP_KDF_CTX_new(hkdf);
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	size_t label_len = strlen(label);
	unsigned char info[32];
	OSSL_PARAM params[5];

	info[0] = 0;
	info[1] = (unsigned char)len;
	info[2] = (unsigned char)(6 + label_len);
	memcpy(info + 3, "tls13 ", 6);
	memcpy(info + 9, label, label_len);
	info[9 + label_len] = 0;
	params[0] = OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, (char[]){DIGEST}, 0);
	params[1] = OSSL_PARAM_construct_int(OSSL_KDF_PARAM_MODE, &mode);
	params[2] =
	    OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_KEY, client->secret, sizeof(client->secret));
	params[3] = OSSL_PARAM_construct_octet_string(OSSL_KDF_PARAM_INFO, info, 10 + label_len);
	params[4] = OSSL_PARAM_construct_end();
	assert_int_equal(EVP_KDF_derive(ctx, out, len, params), 1);
	EVP_KDF_CTX_free(ctx);
	EVP_KDF_free(hkdf);
}

void local_client_send(
    struct local_client *client, unsigned char type, const void *message, size_t message_len)
{
	size_t inner_len = message_len + 1, record_len = HEAD_BYTES + inner_len + TAG_BYTES;
	unsigned char record[HEAD_BYTES + MESSAGE_MAX_BYTES + 1 + TAG_BYTES] = {
	    SSL3_RT_APPLICATION_DATA, 3, 3, 0, (unsigned char)(inner_len + TAG_BYTES)};
	unsigned char inner[MESSAGE_MAX_BYTES + 1], key[KEY_BYTES], nonce[NONCE_BYTES];
	EVP_CIPHER_CTX *ctx = EVP_CIPHER_CTX_new();
	int len;

	assert_true(message_len <= MESSAGE_MAX_BYTES);
	memcpy(inner, message, message_len);
	inner[message_len] = type;
	expand(client, "key", key, sizeof(key));
	expand(client, "iv", nonce, sizeof(nonce));
	nonce[NONCE_BYTES - 1] ^= client->sent++;
	assert_int_equal(EVP_EncryptInit_ex(ctx, EVP_aes_128_gcm(), NULL, key, nonce), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, NULL, &len, record, HEAD_BYTES), 1);
	assert_int_equal(EVP_EncryptUpdate(ctx, record + HEAD_BYTES, &len, inner, (int)inner_len), 1);
	assert_int_equal(EVP_EncryptFinal_ex(ctx, record + HEAD_BYTES + len, &len), 1);
	assert_int_equal(
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, TAG_BYTES, record + HEAD_BYTES + inner_len), 1);
	EVP_CIPHER_CTX_free(ctx);
	assert_int_equal(send(client->fds[1], record, record_len, 0), record_len);
}

enum stream_status local_client_read(struct local_client *client)
{
	unsigned char buf[100];
	size_t len;

	stream_set_readable(client->stream);
	return stream_read(client->stream, buf, sizeof(buf), &len);
}
