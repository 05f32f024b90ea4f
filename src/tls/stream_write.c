/*
 * stream_write: what leaves a stream, and what has to wait before it can.
 *
 * A step's records are gathered and sent at once (stream.c); what the kernel does not take waits in the wire.
 */
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <stdlib.h>

#include "base/mem.h"
#include "tls/stream_internal.h"

void stream_drop_unwritten(struct stream *stream)
{
	if (stream->unwritten != NULL)
		OPENSSL_cleanse(stream->unwritten, stream->unwritten_len);
	free(stream->unwritten);
	stream->unwritten = NULL;
	stream->unwritten_off = stream->unwritten_len = 0;
}

/* Gathers records of `len` bytes; *put is how far that went. */
static enum stream_status encrypt(struct stream *stream, const unsigned char *bytes, size_t len, size_t *put)
{
	enum stream_status status = STREAM_OK;
	int n;

	*put = 0;
	while (status == STREAM_OK && *put < len) {
		stream_forget_errors();
		n = SSL_write(stream->ssl, bytes + *put, (int)(len - *put));
		if (n > 0)
			*put += (size_t)n;
		else
			status = stream_judge_step(stream, n);
	}
	if (status == STREAM_OK || status == STREAM_BLOCKED)
		return status;
	stream->wire->pool->gather_len = 0;
	/* Records of the outer stream are lost with it: no other may follow them. */
	if (stream->outer != NULL)
		stream->outer->broken = true;
	return status == STREAM_FAILED ? STREAM_FAILED : STREAM_RESET;
}

/*
 * The gather buffer holds a whole step.  What may have to wait are the rest of a message behind the handshake that the
 * peer sends in parts (RFC 8446 5.1), before which OpenSSL writes nothing, and messages of ours that go before the bytes.
 */
static enum stream_status write_out(struct stream *stream, const unsigned char *bytes, size_t len, size_t *put)
{
	enum stream_status status, sent;
	bool gathered;
	size_t n;

	*put = 0;
	/* What OpenSSL would read here, the data behind that message, no event would tell of. */
	stream_at_descriptor(stream)->drained = true;
	do {
		status = encrypt(stream, bytes + *put, len - *put, &n);
		*put += n;
		if (status != STREAM_OK && status != STREAM_BLOCKED)
			return status;
		gathered = stream->wire->pool->gather_len > 0;
		sent = stream_send_gathered(stream);
	} while (status == STREAM_BLOCKED && sent == STREAM_OK && gathered);
	return sent == STREAM_OK ? status : sent;
}

enum stream_status stream_write(struct stream *stream, const void *buf, size_t len)
{
	enum stream_status status;
	size_t put;

	midrelay_assert(!stream_busy(stream) && stream->wire->pool->gather_len == 0);
	midrelay_assert(len <= WIRE_STEP_BYTES);
	status = write_out(stream, buf, len, &put);
	if (status == STREAM_BLOCKED && put < len) {
		stream->unwritten = mem_dup((const unsigned char *)buf + put, len - put);
		stream->unwritten_len = len - put;
		stream->unwritten_off = 0;
	}
	return status;
}

enum stream_status stream_write_unwritten(struct stream *stream)
{
	enum stream_status status = STREAM_OK;
	size_t put;

	if (stream->unwritten != NULL) {
		status = write_out(stream, stream->unwritten + stream->unwritten_off,
		    stream->unwritten_len - stream->unwritten_off, &put);
		stream->unwritten_off += put;
		if (stream->unwritten_off >= stream->unwritten_len)
			stream_drop_unwritten(stream);
	}
	return status == STREAM_OK && stream->shut_due ? stream_shutdown(stream) : status;
}

bool stream_busy(const struct stream *stream)
{
	return wire_pending(stream->wire) || stream->unwritten != NULL || stream->shut_due;
}

bool stream_pending(const struct stream *stream)
{
	return wire_pending(stream->wire);
}

enum stream_status stream_flush(struct stream *stream)
{
	enum stream_status status = stream_status_of_wire(wire_flush(stream->wire));

	return status == STREAM_OK && stream_busy(stream) ? stream_write_unwritten(stream) : status;
}

enum stream_status stream_shutdown(struct stream *stream)
{
	stream->shut_due = false;
	if (stream->broken || stream_sent_close_notify(stream))
		return STREAM_OK;
	if (stream->unwritten == NULL)
		stream_gather_close_notify(stream);
	if (!stream_sent_close_notify(stream)) {
		stream->shut_due = true;
		return STREAM_BLOCKED;
	}
	if ((SSL_get_shutdown(stream->ssl) & SSL_RECEIVED_SHUTDOWN) != 0)
		stream_end_outer(stream);
	return stream_send_gathered(stream);
}
