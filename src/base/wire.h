/*
 * wire: bytes on their way to a non-blocking descriptor.
 *
 * What the kernel takes at once is never copied; only an unsent rest moves into a buffer that is borrowed from
 * the loop's pool and given back as soon as it is empty, so that an idle session holds none.  Whoever writes
 * reads nothing more for this wire while it is pending: that is the back-pressure, and the bound on memory.
 */
#ifndef MIDRELAY_BASE_WIRE_H
#define MIDRELAY_BASE_WIRE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Plain text that one step moves, and what it becomes on the wire: four TLS records of 16 kB with their heads and
 * tags, and room for an alert or a KeyUpdate.
 */
#define WIRE_STEP_BYTES 65536
#define WIRE_BUF_BYTES (WIRE_STEP_BYTES + 4096)
/* Room to put plain text together from several places before it leaves in steps. */
#define WIRE_PIECES_BYTES (4 * WIRE_STEP_BYTES)

struct wire_buf;

/* One loop's buffers; not shared between threads. */
struct wire_pool {
	struct wire_buf *free_list;
	unsigned free_count;
	unsigned borrowed;
	unsigned char *scratch; /* WIRE_STEP_BYTES of plain text, valid within one call-back */
	unsigned char *gather;  /* WIRE_BUF_BYTES: TLS records gathered for one send */
	size_t gather_len;
	unsigned char *pieces;  /* WIRE_PIECES_BYTES, valid within one call-back; see wire_pool_pieces() */
};

void wire_pool_init(struct wire_pool *pool);
unsigned char *wire_pool_pieces(struct wire_pool *pool); /* made when first asked for */
void wire_pool_clear(struct wire_pool *pool); /* every buffer has come back */

struct wire {
	int fd;                 /* borrowed */
	struct wire_pool *pool; /* borrowed */
	struct wire_buf *rest;  /* NULL: nothing waits */
};

enum wire_status {
	WIRE_SENT,    /* nothing waits any more */
	WIRE_BLOCKED, /* a rest waits for the descriptor to take it */
	WIRE_BROKEN,  /* the descriptor failed; errno says how */
};

void wire_init(struct wire *wire, int fd, struct wire_pool *pool);
void wire_clear(struct wire *wire); /* drops what waits */
bool wire_pending(const struct wire *wire);

/* Takes all of `len` (at most WIRE_BUF_BYTES) bytes.  Nothing may be pending. */
enum wire_status wire_send(struct wire *wire, const void *bytes, size_t len);

/* Puts bytes behind what is pending, without sending; false when they do not fit. */
bool wire_append(struct wire *wire, const void *bytes, size_t len);

/* Sends what is pending. */
enum wire_status wire_flush(struct wire *wire);

#endif
