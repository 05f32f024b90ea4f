/*
 * stream: see stream.h.
 *
 * Answers for driving OpenSSL on a descriptor and for telling the ends apart.  How bytes leave is stream_write.c's
 * business; what stands between OpenSSL and the descriptor is stream_bio.c; the server is judged in stream_judge.c; the
 * words for everything else that fails are stream_fault.c's.
 */
#include "tls/stream.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "base/mem.h"
#include "tls/stream_internal.h"
#include "tls/verify.h"

/* Four records and their heads in one read. */
#define READ_AHEAD_BYTES (WIRE_STEP_BYTES + 1024)

/* A session is kept only where its handshake proved all that a full one must prove. */
static int on_new_session(SSL *ssl, SSL_SESSION *session)
{
	struct stream *stream = SSL_get_app_data(ssl);
	struct tls_session_slot *slot = stream == NULL ? NULL : stream->slot;

	if (stream != NULL) {
		stream->got_ticket = true;
		stream->tickets++;
	}
	if (slot == NULL || !SSL_SESSION_is_resumable(session))
		return 0;
	if (!SSL_session_reused(ssl)) {
		if (identity_has_cert(stream->identity) && !stream->cert_requested)
			return 0;
		stream->verdict_end = verify_verdict_end(ssl);
	}
	tls_session_slot_clear(slot);
	slot->session = session;
	slot->not_after = stream->verdict_end;
	return 1;
}

void stream_prepare_identity(struct identity *identity)
{
	SSL_CTX_sess_set_new_cb(identity_ctx(identity), on_new_session);
	stream_prepare_judgement(identity);
}

void tls_session_slot_clear(struct tls_session_slot *slot)
{
	SSL_SESSION_free(slot->session);
	slot->session = NULL;
	slot->not_after = 0;
}

/*
 * A duplicate for each connection: a shared session stops being resumable when one of its connections fails.
 */
static void offer_session(struct stream *stream)
{
	struct tls_session_slot *slot = stream->slot;
	int64_t left_s;
	SSL_SESSION *copy;

	if (slot == NULL || slot->session == NULL)
		return;
	left_s = slot->not_after - (int64_t)time(NULL);
	/* A clock that was set back would make the verdict last longer than it may. */
	if (left_s <= 0 || left_s > VERIFY_VERDICT_MAX_S) {
		tls_session_slot_clear(slot);
		return;
	}
	copy = SSL_SESSION_dup(slot->session);
	if (copy != NULL && SSL_set_session(stream->ssl, copy) == 1)
		stream->verdict_end = slot->not_after;
	SSL_SESSION_free(copy);
}

bool stream_make_ssl(struct stream *stream, SSL_CTX *ctx)
{
	BIO *bio = stream_bio_new(stream);

	stream->ssl = SSL_new(ctx);
	if (stream->ssl == NULL || bio == NULL) {
		BIO_free(bio);
		return false;
	}
	SSL_set_bio(stream->ssl, bio, bio);
	SSL_set_app_data(stream->ssl, stream);
	SSL_set_mode(stream->ssl, SSL_MODE_RELEASE_BUFFERS);
	SSL_set_read_ahead(stream->ssl, 1);
	SSL_set_default_read_buffer_len(stream->ssl, READ_AHEAD_BYTES);
	return true;
}

static bool make_ssl(struct stream *stream, const struct stream_params *params)
{
	if (!stream_make_ssl(stream, identity_ctx(stream->identity)))
		return false;
	stream_set_judgement(stream);
	if (stream->outer != NULL)
		SSL_set_max_send_fragment(stream->ssl, STREAM_NESTED_FRAGMENT_BYTES);
	SSL_set_post_handshake_auth(stream->ssl, !params->require_cert_request);
	SSL_set_connect_state(stream->ssl);
	return verify_demand(stream->ssl, stream->host, params->host_is_ip);
}

struct stream *stream_new(const struct stream_params *params)
{
	struct stream *stream = mem_calloc(1, sizeof(*stream));

	ERR_clear_error();
	stream->identity = identity_ref(params->identity);
	stream->host = mem_strdup(params->host);
	stream->require_cert_request = params->require_cert_request;
	stream->slot = params->slot;
	stream->outer = params->outer;
	stream->wire = stream->outer == NULL ? &stream->own_wire : &stream->outer->own_wire;
	if (stream->outer == NULL)
		wire_init(stream->wire, params->fd, params->pool);
	/* A server speaks second: before the descriptor is told to be readable, a read would be in vain. */
	stream->drained = true;
	stream_set_prefix(stream, params->prefix, params->prefix_len);
	stream_note_first_bytes(stream, params->prefix, params->prefix_len);
	if (!make_ssl(stream, params)) {
		ERR_clear_error();
		stream->outer = NULL; /* stays the caller's */
		stream_free(stream);
		return NULL;
	}
	if (params->trace != NULL)
		stream_trace_begin(stream, params);
	offer_session(stream);
	return stream;
}

void stream_free(struct stream *stream)
{
	if (stream == NULL)
		return;
	stream_end_trace(stream);
	if (stream->ssl != NULL) {
		/* Call-backs look at the stream through this pointer. */
		SSL_set_app_data(stream->ssl, NULL);
		SSL_free(stream->ssl);
	}
	stream_drop_unwritten(stream);
	wire_clear(&stream->own_wire);
	stream_free(stream->outer);
	identity_unref(stream->identity);
	free(stream->evidence);
	free(stream->fault);
	free(stream->prefix);
	free(stream->host);
	free(stream);
}

/*
 * Gives OpenSSL's buffers back (see record_buffers.h), unless they hold something.  Data leaves none behind it
 * (SSL_MODE_RELEASE_BUFFERS), but each message of a handshake, and a ticket, takes both.  Whether they hold something
 * is asked here, because some versions of SSL_free_buffers() overlook a record of which only the head has come, or that
 * was not read to its end (CVE-2024-4741).
 */
static void rest(struct stream *stream)
{
	stream->got_ticket = false;
	for (; stream != NULL; stream = stream->outer) {
		if (SSL_has_pending(stream->ssl) == 0 && strcmp(SSL_rstate_string(stream->ssl), "RH") == 0)
			SSL_free_buffers(stream->ssl);
	}
}

enum stream_status stream_send_gathered(struct stream *stream)
{
	struct wire_pool *pool = stream->wire->pool;
	size_t len = pool->gather_len;

	pool->gather_len = 0;
	if (len > 0 && wire_send(stream->wire, pool->gather, len) == WIRE_BROKEN)
		return STREAM_RESET;
	return wire_pending(stream->wire) ? STREAM_BLOCKED : STREAM_OK;
}

enum stream_status stream_judge_step(struct stream *stream, int ret)
{
	int error = SSL_get_error(stream->ssl, ret);
	enum stream_status status;

	switch (error) {
	case SSL_ERROR_WANT_READ:
	case SSL_ERROR_WANT_WRITE:
		return STREAM_BLOCKED;
	case SSL_ERROR_ZERO_RETURN:
		return STREAM_CLOSED;
	default:
		/*
		 * A peer that sends user_canceled before its close_notify (RFC 8446 6.1; Java does) has closed all the same, which
		 * SSL_get_error() of newer versions (seen with 3.5) does not tell in TLS 1.3.
		 */
		if (stream->established && stream->end == STREAM_OK && ERR_peek_error() == 0 &&
		    (SSL_get_shutdown(stream->ssl) & SSL_RECEIVED_SHUTDOWN) != 0)
			return STREAM_CLOSED;
		stream->broken = true;
		stream_drop_unwritten(stream);
		stream->shut_due = false;
		status = stream->accepting ? stream_accept_failure(stream) : stream_judge_failure(stream);
		if (stream->slot != NULL && SSL_session_reused(stream->ssl) && status == STREAM_FAILED)
			tls_session_slot_clear(stream->slot);
		return status;
	}
}

bool stream_sent_close_notify(const struct stream *stream)
{
	return (SSL_get_shutdown(stream->ssl) & SSL_SENT_SHUTDOWN) != 0;
}

void stream_gather_close_notify(struct stream *stream)
{
	if (stream->broken || stream_sent_close_notify(stream))
		return;
	ERR_clear_error();
	if (SSL_shutdown(stream->ssl) < 0)
		ERR_clear_error();
}

void stream_end_outer(struct stream *stream)
{
	if (stream->outer != NULL)
		stream_gather_close_notify(stream->outer);
}

enum stream_status stream_handshake(struct stream *stream)
{
	enum stream_status status;
	int ret;

	midrelay_assert(stream->wire->pool->gather_len == 0);
	ERR_clear_error();
	ret = SSL_do_handshake(stream->ssl);
	if (ret == 1) {
		status = stream->accepting ? STREAM_OK : stream_judge_established(stream);
		stream->established = status == STREAM_OK;
		/* A TLS 1.2 session was kept before this last word. */
		if (status != STREAM_OK && stream->slot != NULL)
			tls_session_slot_clear(stream->slot);
	} else {
		status = stream_judge_step(stream, ret);
	}
	rest(stream);
	if (stream->trace != NULL)
		stream_trace_handshake_end(stream, status);
	if (status != STREAM_OK && status != STREAM_BLOCKED)
		stream_end_outer(stream);
	/* Who did not speak TLS is answered in the clear. */
	if (stream->accepting && stream_fault(stream)->kind == TLS_FAULT_NOT_TLS)
		stream->wire->pool->gather_len = 0;
	/* Our alert goes out even when the handshake failed; whether it arrives is no matter. */
	if (stream_send_gathered(stream) == STREAM_RESET && status == STREAM_OK)
		return STREAM_RESET;
	return status;
}

void stream_send_hello_behind(struct stream *stream, const void *head, size_t len)
{
	struct wire_pool *pool = stream->wire->pool;
	int ret;

	midrelay_assert(!wire_pending(stream->wire) && pool->gather_len == 0 && len <= STREAM_HEAD_BYTES);
	stream->held = true;
	ERR_clear_error();
	if (stream->outer == NULL) {
		memcpy(pool->gather, head, len);
		pool->gather_len = len;
	} else if (SSL_write(stream->outer->ssl, head, (int)len) <= 0) {
		stream->outer->broken = true; /* as the caller's next read will tell */
		ERR_clear_error();
	}
	ret = SSL_do_handshake(stream->ssl);
	/* What fails here leaves its fault for stream_handshake() to tell, once the proxy has spoken. */
	if (ret <= 0)
		(void)stream_judge_step(stream, ret);
	(void)stream_send_gathered(stream);
	/* It may hold a password. */
	if (stream->outer == NULL)
		OPENSSL_cleanse(pool->gather, len);
}

void stream_begin_reading(struct stream *stream, const void *prefix, size_t prefix_len)
{
	stream->held = false;
	stream_set_prefix(stream, prefix, prefix_len);
	stream_note_first_bytes(stream, prefix, prefix_len);
}

bool stream_was_answered(const struct stream *stream)
{
	return stream->first_len > 0 && stream_looks_like_tls(stream);
}

enum stream_status stream_read_once(struct stream *stream, void *buf, size_t len, size_t *got)
{
	int n = SSL_read(stream->ssl, buf, (int)len);

	*got = 0;
	if (n <= 0)
		return stream_judge_step(stream, n);
	*got = (size_t)n;
	stream->got_data = true;
	return STREAM_OK;
}

enum stream_status stream_read(struct stream *stream, void *buf, size_t buf_bytes, size_t *len)
{
	enum stream_status status = STREAM_OK, written;
	size_t got;

	*len = 0;
	midrelay_assert(stream->wire->pool->gather_len == 0);
	while (status == STREAM_OK && *len < buf_bytes) {
		stream_forget_errors();
		status = stream_read_once(stream, (unsigned char *)buf + *len, buf_bytes - *len, &got);
		*len += got;
		if (got > 0)
			stream_at_descriptor(stream)->fruitless = 0;
	}
	if (status != STREAM_OK && status != STREAM_BLOCKED && stream_sent_close_notify(stream))
		stream_end_outer(stream);
	if (*len == 0 || stream->got_ticket)
		rest(stream);
	/* A KeyUpdate was answered, or an alert is due. */
	stream_send_gathered(stream);
	if (stream_busy(stream) && !wire_pending(stream->wire)) {
		written = stream_write_unwritten(stream);
		if (written == STREAM_RESET || written == STREAM_FAILED)
			return written;
	}
	return status;
}

void stream_set_readable(struct stream *stream)
{
	stream_at_descriptor(stream)->drained = false;
	stream_at_descriptor(stream)->fruitless = 0;
}

enum stream_status stream_status_of_wire(enum wire_status status)
{
	switch (status) {
	case WIRE_SENT:
		return STREAM_OK;
	case WIRE_BLOCKED:
		return STREAM_BLOCKED;
	case WIRE_BROKEN:
		break;
	}
	return STREAM_RESET;
}

void stream_leave(struct stream *stream)
{
	stream_gather_close_notify(stream);
	stream_end_outer(stream);
	(void)stream_send_gathered(stream);
}

bool stream_buffered(const struct stream *stream)
{
	return stream->prefix_off < stream->prefix_len || SSL_has_pending(stream->ssl) == 1 ||
	    (stream->outer != NULL && stream_buffered(stream->outer));
}

const struct tls_fault *stream_fault(const struct stream *stream)
{
	static const struct tls_fault none = {.kind = TLS_FAULT_NONE};

	return stream->fault != NULL ? stream->fault : &none;
}

const char *stream_version(const struct stream *stream)
{
	return SSL_get_version(stream->ssl);
}

const char *stream_cipher(const struct stream *stream)
{
	return SSL_get_cipher_name(stream->ssl);
}

const char *stream_group(const struct stream *stream)
{
	long group = SSL_get_negotiated_group(stream->ssl);
	const char *name = group > 0 ? SSL_group_to_name(stream->ssl, (int)group) : NULL;

	return name != NULL ? name : "";
}

bool stream_resumed(const struct stream *stream)
{
	return SSL_session_reused(stream->ssl) == 1;
}

bool stream_cert_in_clear(const struct stream *stream)
{
	return stream->cert_sent && SSL_version(stream->ssl) < TLS1_3_VERSION;
}

bool stream_cert_requested(const struct stream *stream)
{
	return stream->cert_requested;
}

bool stream_is_tls13(const struct stream *stream)
{
	return SSL_version(stream->ssl) >= TLS1_3_VERSION;
}

unsigned stream_tickets(const struct stream *stream)
{
	return stream->tickets;
}

bool stream_cert_sent(const struct stream *stream)
{
	return stream->cert_sent || stream->established;
}

uint64_t stream_received(const struct stream *stream)
{
	return stream->outer == NULL ? stream->received : stream->outer->received;
}

int64_t stream_server_end(const struct stream *stream, struct cert_end *end)
{
	STACK_OF(X509) *chain = SSL_get0_verified_chain(stream->ssl);
	int64_t not_after;
	int first = stream_resumed(stream) ? -1 : cert_end_first(chain, &not_after);

	if (first < 0)
		return 0;
	if (end != NULL)
		cert_end_set(end, sk_X509_value(chain, first), first);
	return not_after;
}
