/*
 * local_client: a stream accepted from a client on this host (stream_accept_new()), and that client at the other end of
 * a socket pair.
 *
 * The client is OpenSSL's as far as the handshake; behind it the test makes its records, which no library would send.
 * Everything fails the test (assert) rather than returning an error.
 */
#ifndef MIDRELAY_TESTS_UNIT_LOCAL_CLIENT_H
#define MIDRELAY_TESTS_UNIT_LOCAL_CLIENT_H

#include <openssl/ssl.h>
#include <stddef.h>

#include "tls/stream.h"

#define LOCAL_CLIENT_SECRET_BYTES 32

struct local_client {
	struct wire_pool pool;
	SSL_CTX *ctx, *far_ctx;
	SSL *far;
	struct stream *stream; /* over fds[0], its handshake done */
	int fds[2];            /* the client's is fds[1] */
	unsigned char secret[LOCAL_CLIENT_SECRET_BYTES]; /* RFC 8446 7.1: client_application_traffic_secret_0 */
	unsigned char sent;                              /* records under it */
};

/* The server shows `cert`, which stays the caller's as its key does. */
void local_client_open(struct local_client *client, X509 *cert, EVP_PKEY *key);
void local_client_close(struct local_client *client);

/* One record of TLS 1.3 (RFC 8446 5.2) of that content type. */
void local_client_send(struct local_client *client, unsigned char type, const void *message, size_t len);

/* stream_read() of what has come, which is no data. */
enum stream_status local_client_read(struct local_client *client);

#endif
