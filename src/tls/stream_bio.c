/*
 * stream_bio: what stands between OpenSSL and a stream's descriptor.
 *
 * It reads straight into OpenSSL's buffer, and gathers what OpenSSL writes so that one step costs one send; a
 * stream inside another has the functions of stream_nested.c instead.
 *
 * OpenSSL 3.2 and later do not read ahead before the handshake is over, but ask for five bytes, then for the rest of that
 * record.  What has come is taken in one read all the same: it is a call less for each record, and the first bytes of a
 * peer that speaks something else are seen whole.
 */
#include <errno.h>
#include <openssl/bio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "tls/stream_internal.h"

/* More than one read can bring (stream.c), so that data never meets it; some 40 ms of work when they are KeyUpdates. */
#define FRUITLESS_MAX_BYTES (2 * WIRE_STEP_BYTES)

void stream_set_prefix(struct stream *stream, const void *bytes, size_t len)
{
	midrelay_assert(stream->prefix_off == stream->prefix_len);
	free(stream->prefix);
	stream->prefix = len > 0 ? mem_dup(bytes, len) : NULL;
	stream->prefix_len = len;
	stream->prefix_off = 0;
}

bool stream_take_prefix(struct stream *stream, void *buf, size_t len, size_t *got)
{
	*got = stream->prefix_len - stream->prefix_off;
	if (*got > len)
		*got = len;
	if (*got == 0)
		return false;
	memcpy(buf, stream->prefix + stream->prefix_off, *got);
	stream->prefix_off += *got;
	if (stream->prefix_off == stream->prefix_len)
		stream_set_prefix(stream, NULL, 0);
	return true;
}

bool stream_reads_ahead(const struct stream *stream, size_t len)
{
	return !stream->established && len < STREAM_AHEAD_BYTES;
}

size_t stream_hand_out(struct stream *stream, const unsigned char *ahead, size_t had, void *buf, size_t len)
{
	if (len > had)
		len = had;
	memcpy(buf, ahead, len);
	if (had > len)
		stream_set_prefix(stream, ahead + len, had - len);
	return len;
}

static int bio_read(BIO *bio, char *buf, size_t len, size_t *got)
{
	struct stream *stream = BIO_get_data(bio);
	unsigned char ahead[STREAM_AHEAD_BYTES];
	bool reads_ahead = stream_reads_ahead(stream, len);
	size_t room = reads_ahead ? sizeof(ahead) : len;
	ssize_t n;

	BIO_clear_retry_flags(bio);
	if (stream_take_prefix(stream, buf, len, got))
		return 1;
	if (stream->drained || stream->held) {
		BIO_set_retry_read(bio);
		return 0;
	}
	do {
		n = recv(stream->wire->fd, reads_ahead ? ahead : (unsigned char *)buf, room, 0);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) {
		stream->drained = true;
		BIO_set_retry_read(bio);
		return 0;
	}
	if (n <= 0) {
		stream->end = n == 0 ? STREAM_TRUNCATED : STREAM_RESET;
		return 0;
	}
	/*
	 * The descriptor is watched level-triggered: more bytes, or the FIN behind these, will be announced.  OpenSSL reads on
	 * until there is data: a peer that sends nothing but messages below it (KeyUpdate) would never let it return.
	 */
	stream->fruitless += (size_t)n;
	stream->drained = (size_t)n < room || stream->fruitless >= FRUITLESS_MAX_BYTES;
	stream->received += (uint64_t)n;
	*got = (size_t)n;
	stream_note_first_bytes(stream, reads_ahead ? ahead : (unsigned char *)buf, *got);
	if (reads_ahead)
		*got = stream_hand_out(stream, ahead, *got, buf, len);
	return 1;
}

static int bio_write(BIO *bio, const char *buf, size_t len, size_t *put)
{
	struct stream *stream = BIO_get_data(bio);
	struct wire_pool *pool = stream->wire->pool;
	bool fits;

	BIO_clear_retry_flags(bio);
	*put = 0;
	if (wire_pending(stream->wire)) {
		fits = wire_append(stream->wire, buf, len);
	} else {
		fits = len <= WIRE_BUF_BYTES - pool->gather_len;
		if (fits) {
			memcpy(pool->gather + pool->gather_len, buf, len);
			pool->gather_len += len;
		}
	}
	if (!fits) {
		BIO_set_retry_write(bio);
		return 0;
	}
	*put = len;
	return 1;
}

static long bio_ctrl(BIO *bio, int cmd, long num, void *ptr)
{
	const struct stream *stream = BIO_get_data(bio);

	switch (cmd) {
	case BIO_CTRL_EOF:
		return stream->end == STREAM_TRUNCATED;
	case BIO_CTRL_FLUSH: /* OpenSSL asks at the end of a flight; the step's end sends */
	case BIO_CTRL_DUP:
		return 1;
	default:
		return 0;
	}
}

/* On the descriptor, and inside another stream. */
static BIO_METHOD *bio_method, *nested_method;
static CRYPTO_ONCE bio_methods_once = CRYPTO_ONCE_STATIC_INIT;

static void bio_methods_free(void)
{
	BIO_meth_free(bio_method);
	BIO_meth_free(nested_method);
	bio_method = nested_method = NULL;
}

static BIO_METHOD *bio_method_make(const char *name, int (*read)(BIO *, char *, size_t, size_t *),
    int (*write)(BIO *, const char *, size_t, size_t *))
{
	BIO_METHOD *method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, name);

	if (method == NULL)
		return NULL;
	if (BIO_meth_set_read_ex(method, read) != 1 || BIO_meth_set_write_ex(method, write) != 1 ||
	    BIO_meth_set_ctrl(method, bio_ctrl) != 1) {
		BIO_meth_free(method);
		return NULL;
	}
	return method;
}

static void bio_methods_make(void)
{
	bio_method = bio_method_make("midrelay wire", bio_read, bio_write);
	nested_method = bio_method_make("midrelay nested", stream_nested_read, stream_nested_write);
	OPENSSL_atexit(bio_methods_free);
}

BIO *stream_bio_new(struct stream *stream)
{
	BIO_METHOD *method;
	BIO *bio;

	if (CRYPTO_THREAD_run_once(&bio_methods_once, bio_methods_make) != 1)
		return NULL;
	method = stream->outer == NULL ? bio_method : nested_method;
	bio = method != NULL ? BIO_new(method) : NULL;
	if (bio == NULL)
		return NULL;
	BIO_set_data(bio, stream);
	BIO_set_init(bio, 1);
	return bio;
}
