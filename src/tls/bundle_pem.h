/*
 * bundle_pem: PEM text to blocks (RFC 7468, and RFC 1421 headers).  Pure: bytes in, blocks out; it knows
 * nothing of certificates or keys.  Internal to bundle.
 *
 * Lines may end in LF, CRLF or CR, be indented, carry trailing blanks, a UTF-8 BOM or 0x1A, and be of any
 * length; an END and a BEGIN may have been joined on one line.  Text between blocks is skipped.
 */
#ifndef MIDRELAY_TLS_BUNDLE_PEM_H
#define MIDRELAY_TLS_BUNDLE_PEM_H

#include <stddef.h>

#include "base/error.h"

#define BUNDLE_PEM_TYPE_BYTES 64

/* Where the walk stands.  Set with bundle_pem_start(); borrows the text. */
struct bundle_pem {
	const char *at, *end;
	unsigned line;  /* number of the line at `at`, from 1 */
	unsigned count; /* blocks begun so far */
};

/* One block; what it holds is owned and wiped by bundle_pem_block_clear(). */
struct bundle_pem_block {
	unsigned number, line;            /* from 1 */
	char type[BUNDLE_PEM_TYPE_BYTES]; /* printable ASCII */
	char *header;                     /* RFC 1421 header lines, each ended by LF; "" without */
	unsigned char *der;
	size_t der_len;
	size_t held_bytes; /* what was allocated, for wiping */
};

enum bundle_pem_result {
	BUNDLE_PEM_BLOCK, /* *block is set */
	BUNDLE_PEM_END,   /* no further block */
	BUNDLE_PEM_FAULT, /* *err is set, with the block's number, type and line */
};

void bundle_pem_start(struct bundle_pem *pem, const char *text, size_t len);
enum bundle_pem_result bundle_pem_next(
    struct bundle_pem *pem, struct bundle_pem_block *block, struct error *err);
void bundle_pem_block_clear(struct bundle_pem_block *block);

/* Puts "block 3 (PRIVATE KEY, line 41)" before the sentence.  Returns false. */
bool bundle_pem_prefix(const struct bundle_pem_block *block, struct error *err);

#endif
