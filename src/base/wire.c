/* wire: see wire.h. */
#include "base/wire.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/mem.h"

/* Free buffers kept at hand: enough for a busy loop, little enough for an idle one. */
#define POOL_KEEP 16

struct wire_buf {
	struct wire_buf *next;
	size_t off, len; /* what waits: bytes[off, len) */
	unsigned char bytes[WIRE_BUF_BYTES];
};

void wire_pool_init(struct wire_pool *pool)
{
	memset(pool, 0, sizeof(*pool));
	pool->scratch = mem_calloc(1, WIRE_STEP_BYTES);
	pool->gather = mem_calloc(1, WIRE_BUF_BYTES);
}

unsigned char *wire_pool_pieces(struct wire_pool *pool)
{
	if (pool->pieces == NULL)
		pool->pieces = mem_realloc(NULL, WIRE_PIECES_BYTES);
	return pool->pieces;
}

void wire_pool_clear(struct wire_pool *pool)
{
	struct wire_buf *buf;

	midrelay_assert(pool->borrowed == 0);
	while ((buf = pool->free_list) != NULL) {
		pool->free_list = buf->next;
		free(buf);
	}
	/* They held a client's plain text. */
	explicit_bzero(pool->scratch, WIRE_STEP_BYTES);
	if (pool->pieces != NULL)
		explicit_bzero(pool->pieces, WIRE_PIECES_BYTES);
	free(pool->scratch);
	free(pool->gather);
	free(pool->pieces);
	memset(pool, 0, sizeof(*pool));
}

static struct wire_buf *borrow(struct wire_pool *pool)
{
	struct wire_buf *buf = pool->free_list;

	if (buf != NULL) {
		pool->free_list = buf->next;
		pool->free_count--;
	} else {
		/* Not mem_calloc: zeroing 68 kB would cost more than using them. */
		buf = mem_realloc(NULL, sizeof(*buf));
	}
	buf->next = NULL;
	buf->off = buf->len = 0;
	pool->borrowed++;
	return buf;
}

static void give_back(struct wire_pool *pool, struct wire_buf *buf)
{
	pool->borrowed--;
	if (pool->free_count >= POOL_KEEP) {
		free(buf);
		return;
	}
	buf->next = pool->free_list;
	pool->free_list = buf;
	pool->free_count++;
}

void wire_init(struct wire *wire, int fd, struct wire_pool *pool)
{
	wire->fd = fd;
	wire->pool = pool;
	wire->rest = NULL;
}

void wire_clear(struct wire *wire)
{
	if (wire->rest != NULL) {
		give_back(wire->pool, wire->rest);
		wire->rest = NULL;
	}
}

bool wire_pending(const struct wire *wire)
{
	return wire->rest != NULL;
}

/* Bytes taken, 0 when the descriptor is full, -1 with errno. */
static ssize_t push(int fd, const unsigned char *bytes, size_t len)
{
	ssize_t n;

	do {
		n = send(fd, bytes, len, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	return n;
}

enum wire_status wire_send(struct wire *wire, const void *bytes, size_t len)
{
	ssize_t n;

	midrelay_assert(wire->rest == NULL && len <= WIRE_BUF_BYTES);
	if (len == 0)
		return WIRE_SENT;
	n = push(wire->fd, bytes, len);
	if (n < 0)
		return WIRE_BROKEN;
	if ((size_t)n == len)
		return WIRE_SENT;
	wire->rest = borrow(wire->pool);
	wire->rest->len = len - (size_t)n;
	memcpy(wire->rest->bytes, (const unsigned char *)bytes + n, wire->rest->len);
	return WIRE_BLOCKED;
}

bool wire_append(struct wire *wire, const void *bytes, size_t len)
{
	struct wire_buf *rest = wire->rest;

	midrelay_assert(rest != NULL);
	if (len > sizeof(rest->bytes) - rest->len) {
		memmove(rest->bytes, rest->bytes + rest->off, rest->len - rest->off);
		rest->len -= rest->off;
		rest->off = 0;
		if (len > sizeof(rest->bytes) - rest->len)
			return false;
	}
	memcpy(rest->bytes + rest->len, bytes, len);
	rest->len += len;
	return true;
}

enum wire_status wire_flush(struct wire *wire)
{
	struct wire_buf *rest = wire->rest;
	ssize_t n;

	if (rest == NULL)
		return WIRE_SENT;
	n = push(wire->fd, rest->bytes + rest->off, rest->len - rest->off);
	if (n < 0)
		return WIRE_BROKEN;
	rest->off += (size_t)n;
	if (rest->off < rest->len)
		return WIRE_BLOCKED;
	wire_clear(wire);
	return WIRE_SENT;
}
