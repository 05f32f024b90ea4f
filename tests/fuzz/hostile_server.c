/* hostile_server: see hostile_server.h. */
#include "hostile_server.h"

#include <openssl/err.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

#define RECORD_HEAD_BYTES 5
#define MESSAGE_HEAD_BYTES 4
#define RECORD_MAX_BYTES 16384
#define SCT_CONTEXT (SSL_EXT_CLIENT_HELLO | SSL_EXT_TLS1_2_SERVER_HELLO | SSL_EXT_TLS1_3_CERTIFICATE)

static SSL_CTX *ctx;

static int on_status(SSL *ssl, void *arg)
{
	struct hostile_server *server = SSL_get_app_data(ssl);
	const struct hostile_part *staple = hostile_input_find(server->input, HOSTILE_PART_STAPLE);

	if (staple == NULL || staple->len == 0)
		return SSL_TLSEXT_ERR_NOACK;
	SSL_set_tlsext_status_ocsp_resp(ssl, OPENSSL_memdup(staple->bytes, staple->len), (long)staple->len);
	return SSL_TLSEXT_ERR_OK;
}

static int on_sct_add(SSL *ssl, unsigned type, unsigned context, const unsigned char **out, size_t *out_len,
    X509 *cert, size_t chain_index, int *alert, void *arg)
{
	struct hostile_server *server = SSL_get_app_data(ssl);
	const struct hostile_part *scts = hostile_input_find(server->input, HOSTILE_PART_SCTS);

	if (scts == NULL || (context == SSL_EXT_TLS1_3_CERTIFICATE && scts->how != chain_index))
		return 0;
	*out = scts->bytes;
	*out_len = scts->len;
	return 1;
}

static int on_sct_parse(SSL *ssl, unsigned type, unsigned context, const unsigned char *in, size_t in_len,
    X509 *cert, size_t chain_index, int *alert, void *arg)
{
	return 1;
}

static int on_verify(int ok, X509_STORE_CTX *store)
{
	return 1;
}

/* What the server has where its Certificate message is replaced. */
static X509 *make_own(void)
{
	X509 *cert = X509_new();

	X509_gmtime_adj(X509_getm_notBefore(cert), -3600);
	X509_gmtime_adj(X509_getm_notAfter(cert), 3600);
	X509_set_pubkey(cert, hostile_key(HOSTILE_SERVER_KEY));
	midrelay_assert(X509_sign(cert, hostile_key(HOSTILE_SERVER_KEY), EVP_sha256()) > 0);
	return cert;
}

static void make_ctx(void)
{
	X509 *own = make_own();

	ctx = SSL_CTX_new(TLS_server_method());
	midrelay_assert(ctx != NULL);
	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF); /* tickets it has */
	SSL_CTX_set_session_id_context(ctx, (const unsigned char *)"fuzz", 4);
	midrelay_assert(SSL_CTX_use_certificate(ctx, own) == 1);
	midrelay_assert(SSL_CTX_use_PrivateKey(ctx, hostile_key(HOSTILE_SERVER_KEY)) == 1);
	SSL_CTX_set_tlsext_status_cb(ctx, on_status);
	midrelay_assert(SSL_CTX_add_custom_ext(ctx, TLSEXT_TYPE_signed_certificate_timestamp, SCT_CONTEXT,
	    on_sct_add,
			    NULL, NULL, on_sct_parse, NULL) == 1);
	X509_free(own);
}

/* False: OpenSSL would not present them. */
static bool use_certs(SSL *ssl, const struct hostile_input *input)
{
	bool leaf = true, ok = true;
	size_t i;

	for (i = 0; i < input->count && ok; i++) {
		const unsigned char *at = input->parts[i].bytes;
		X509 *cert;

		if (input->parts[i].kind != HOSTILE_PART_CERT)
			continue;
		cert = d2i_X509(NULL, &at, (long)input->parts[i].len);
		if (cert == NULL)
			ok = false;
		else if (leaf)
			ok = SSL_use_certificate(ssl, cert) == 1 &&
			    SSL_use_PrivateKey(ssl, hostile_key(HOSTILE_SERVER_KEY)) == 1;
		else
			ok = SSL_add1_chain_cert(ssl, cert) == 1;
		X509_free(cert);
		leaf = false;
	}
	return ok && !leaf;
}

static SSL *make_ssl(struct hostile_server *server, int version)
{
	SSL *ssl = SSL_new(ctx);

	midrelay_assert(ssl != NULL);
	midrelay_assert(SSL_set_max_proto_version(ssl, version) == 1);
	SSL_set_app_data(ssl, server);
	if ((server->input->server & HOSTILE_ASKS) != 0)
		SSL_set_verify(ssl, SSL_VERIFY_PEER, on_verify);
	SSL_set_bio(ssl, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
	BIO_set_mem_eof_return(SSL_get_rbio(ssl), -1);
	SSL_set_accept_state(ssl);
	return ssl;
}

void hostile_server_start(struct hostile_server *server, const struct hostile_input *input, int fd)
{
	bool tls12 = (input->rules & HOSTILE_TLS12) != 0;

	*server = (struct hostile_server){.input = input, .fd = fd};
	if (ctx == NULL)
		make_ctx();
	server->ssl = make_ssl(server, tls12 ? TLS1_2_VERSION : TLS1_3_VERSION);
	if (!tls12 && use_certs(server->ssl, input))
		return;
	server->replaces_certs = true;
	SSL_free(server->ssl);
	server->ssl = make_ssl(server, TLS1_2_VERSION);
}

void hostile_server_end(struct hostile_server *server)
{
	SSL_free(server->ssl);
	ERR_clear_error();
}

/* ---- the Certificate message ---- */

struct bytes {
	unsigned char *at;
	size_t len;
};

static void append(struct bytes *bytes, const void *more, size_t len)
{
	bytes->at = mem_realloc(bytes->at, bytes->len + len + 1);
	if (len > 0)
		memcpy(bytes->at + bytes->len, more, len);
	bytes->len += len;
}

static void put24(unsigned char *at, size_t value)
{
	at[0] = (unsigned char)(value >> 16);
	at[1] = (unsigned char)(value >> 8);
	at[2] = (unsigned char)value;
}

static size_t get24(const unsigned char *at)
{
	return (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
}

/* RFC 5246 section 7.4.2 */
static void append_certs(struct bytes *out, const struct hostile_input *input)
{
	unsigned char head[7] = {SSL3_MT_CERTIFICATE}, len[3];
	size_t begin = out->len, i;

	append(out, head, sizeof(head));
	for (i = 0; i < input->count; i++) {
		if (input->parts[i].kind != HOSTILE_PART_CERT)
			continue;
		put24(len, input->parts[i].len);
		append(out, len, sizeof(len));
		append(out, input->parts[i].bytes, input->parts[i].len);
	}
	put24(out->at + begin + 1, out->len - begin - 4);
	put24(out->at + begin + 4, out->len - begin - 7);
}

/*
 * The handshake messages of a flight in the clear, out of their records; false when there is anything else.
 */
static bool take_messages(struct bytes *messages, const unsigned char *flight, size_t len)
{
	while (len >= RECORD_HEAD_BYTES && flight[0] == SSL3_RT_HANDSHAKE) {
		size_t record = (size_t)flight[3] << 8 | flight[4];

		midrelay_assert(len >= RECORD_HEAD_BYTES + record);
		append(messages, flight + RECORD_HEAD_BYTES, record);
		flight += RECORD_HEAD_BYTES + record;
		len -= RECORD_HEAD_BYTES + record;
	}
	return len == 0;
}

static void append_records(struct bytes *out, const unsigned char *from, size_t len)
{
	while (len > 0) {
		size_t record = len < RECORD_MAX_BYTES ? len : RECORD_MAX_BYTES;
		unsigned char head[RECORD_HEAD_BYTES] = {
		    SSL3_RT_HANDSHAKE, 3, 3, (unsigned char)(record >> 8), (unsigned char)record};

		append(out, head, sizeof(head));
		append(out, from, record);
		from += record;
		len -= record;
	}
}

static void replace_certs(const struct hostile_input *input, struct bytes *flight)
{
	struct bytes messages = {NULL, 0}, changed = {NULL, 0}, out = {NULL, 0};
	size_t at, len;

	if (take_messages(&messages, flight->at, flight->len)) {
		for (at = 0; at + MESSAGE_HEAD_BYTES <= messages.len; at += len) {
			len = MESSAGE_HEAD_BYTES + get24(messages.at + at + 1);
			if (messages.at[at] == SSL3_MT_CERTIFICATE)
				append_certs(&changed, input);
			else
				append(&changed, messages.at + at, len);
		}
		append_records(&out, changed.at, changed.len);
		free(flight->at);
		*flight = out;
	}
	free(messages.at);
	free(changed.at);
}

/* ---- */

bool hostile_server_turn(struct hostile_server *server)
{
	unsigned char buf[16384];
	struct bytes flight = {NULL, 0};
	bool sent = false;
	int n;

	while ((n = (int)recv(server->fd, buf, sizeof(buf), MSG_DONTWAIT)) > 0)
		BIO_write(SSL_get_rbio(server->ssl), buf, n);
	ERR_clear_error();
	if (!SSL_is_init_finished(server->ssl))
		SSL_do_handshake(server->ssl);
	ERR_clear_error();
	while ((n = BIO_read(SSL_get_wbio(server->ssl), buf, sizeof(buf))) > 0)
		append(&flight, buf, (size_t)n);
	if (flight.len > 0 && server->replaces_certs && !server->flight_sent)
		replace_certs(server->input, &flight);
	server->flight_sent = server->flight_sent || flight.len > 0;
	if (flight.len > 0)
		sent = send(server->fd, flight.at, flight.len, MSG_DONTWAIT | MSG_NOSIGNAL) > 0;
	free(flight.at);
	return sent;
}
