/*
 * handshake_internal: what handshake_words.c, handshake_hello.c and handshake_read.c share; for nobody else.
 */
#ifndef MIDRELAY_TLS_HANDSHAKE_INTERNAL_H
#define MIDRELAY_TLS_HANDSHAKE_INTERNAL_H

#include "base/error.h"
#include "tls/handshake_names.h"
#include "tls/handshake_words.h"

/* Bytes still to be read.  Past their end it yields zeros and says so, to all readers of the same message. */
struct handshake_reader {
	const unsigned char *at;
	size_t left;
	bool *broken;
};

unsigned long handshake_read_number(struct handshake_reader *from, unsigned bytes);
/* The next `len` bytes; empty when there are fewer. */
struct handshake_reader handshake_read_bytes(struct handshake_reader *from, size_t len);
/* A vector whose length stands before it in `length_bytes` bytes. */
struct handshake_reader handshake_read_vector(struct handshake_reader *from, unsigned length_bytes);
/* The extension of that type out of a list of them; an empty one when false. */
bool handshake_find_extension(struct handshake_reader list, unsigned type, struct handshake_reader *body);

struct handshake_line {
	size_t len;
	bool full;
	char text[HANDSHAKE_WORDS_LINE_BYTES];
};

/* What does not fit ends in "...". */
void handshake_line_add(struct handshake_line *line, const char *fmt, ...) PRINTF_LIKE(2, 3);
void handshake_line_add_escaped(struct handshake_line *line, struct handshake_reader bytes);
typedef const char *handshake_name_fn(unsigned number, char buf[HANDSHAKE_NAME_BYTES]);
/* A list of 16 bit numbers by name; "none" when it is empty. */
void handshake_line_add_names(struct handshake_line *line, struct handshake_reader list,
    handshake_name_fn *name);
/* ALPN's list of names, or the names of all extensions. */
void handshake_line_add_alpn(struct handshake_line *line, struct handshake_reader extensions);
void handshake_line_add_extensions(struct handshake_line *line, struct handshake_reader extensions);
/* Hands it out. */
void handshake_line_end(struct handshake_line *line, struct handshake_words *words);

/* ---- handshake_hello.c: what stands behind "sent ClientHello, 300 bytes", and the lines that follow ---- */

void handshake_tell_client_hello(struct handshake_words *words, struct handshake_reader body,
    struct handshake_line *line);
void handshake_tell_server_hello(struct handshake_words *words, struct handshake_reader body,
    struct handshake_line *line);
bool handshake_is_retry_request(struct handshake_reader server_hello);

#endif
