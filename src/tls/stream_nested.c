/*
 * stream_nested: the BIO of a stream that lives inside another one.
 *
 * What the inner stream reads is taken record by record out of the outer one, straight into OpenSSL's buffer; what it
 * writes is encrypted by the outer one at once and gathered there.  So there is one wire and one gather buffer, the
 * outer's, no copy that a single stream would not make, and nothing that sleeps between the two: the inner stream blocks
 * only when the outer one has been read to its end.
 */
#include <openssl/err.h>

#include "base/mem.h"
#include "tls/stream_internal.h"

int stream_nested_read(BIO *bio, char *buf, size_t len, size_t *got)
{
	struct stream *stream = BIO_get_data(bio);
	unsigned char ahead[STREAM_AHEAD_BYTES];
	bool reads_ahead = stream_reads_ahead(stream, len);
	struct tls_fault *fault;

	BIO_clear_retry_flags(bio);
	if (stream_take_prefix(stream, buf, len, got))
		return 1;
	if (stream->held) {
		BIO_set_retry_read(bio);
		return 0;
	}
	if (stream->end != STREAM_OK)
		return 0;
	/* A stream that reads has not failed: what the queue may hold is stale, and would be taken for the outer's. */
	ERR_clear_error();
	switch (reads_ahead ? stream_read_once(stream->outer, ahead, sizeof(ahead), got)
			    : stream_read_once(stream->outer, buf, len, got)) {
	case STREAM_OK:
		stream_note_first_bytes(stream, reads_ahead ? ahead : (unsigned char *)buf, *got);
		if (reads_ahead)
			*got = stream_hand_out(stream, ahead, *got, buf, len);
		return 1;
	case STREAM_BLOCKED:
		BIO_set_retry_read(bio);
		break;
	case STREAM_CLOSED: /* not by the target: the bytes before it may be all, or not */
	case STREAM_TRUNCATED:
		stream->end = STREAM_TRUNCATED;
		break;
	case STREAM_RESET:
		stream->end = STREAM_RESET;
		break;
	case STREAM_FAILED:
		stream->end = STREAM_RESET;
		fault = stream_need_fault(stream);
		*fault = *stream_fault(stream->outer);
		fault->kind = TLS_FAULT_OUTER;
		break;
	}
	return 0;
}

int stream_nested_write(BIO *bio, const char *buf, size_t len, size_t *put)
{
	struct stream *stream = BIO_get_data(bio);
	struct stream *outer = stream->outer;
	int n = -1;

	BIO_clear_retry_flags(bio);
	*put = 0;
	if (!outer->broken) {
		/* The inner stream's reason for the alert that it writes may stand in the queue, and stays there. */
		ERR_set_mark();
		n = SSL_write(outer->ssl, buf, (int)len);
		ERR_pop_to_mark();
	}
	if (n > 0) {
		*put = (size_t)n;
		return 1;
	}
	/* It may wait for the rest of a message that came in part; see stream_busy(). */
	if (!outer->broken && outer->end == STREAM_OK && (SSL_want_write(outer->ssl) || SSL_want_read(outer->ssl))) {
		BIO_set_retry_write(bio);
		return 0;
	}
	outer->broken = true;
	if (stream->end == STREAM_OK)
		stream->end = STREAM_RESET;
	/* OpenSSL 3.2 and later take 0 without a retry for a success. */
	return -1;
}
