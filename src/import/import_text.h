/*
 * import_text: the bytes of a config.xml as text that can be edited in place, and back to the same bytes.  Pure.
 */
#ifndef MIDRELAY_IMPORT_IMPORT_TEXT_H
#define MIDRELAY_IMPORT_IMPORT_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum import_encoding {
	IMPORT_ENCODING_BYTES, /* UTF-8 or one byte a character: the text is the bytes */
	IMPORT_ENCODING_UTF16LE,
	IMPORT_ENCODING_UTF16BE,
};

/*
 * UTF-16 (by its byte-order mark, or by '<' with a NUL beside it) becomes UTF-8, the mark included, so that
 * import_text_encode() gives the same bytes back; anything else stays as it is.  Half a pair is an error.  *text is
 * the caller's, who wipes *text_len bytes of it: it holds passwords.
 */
bool import_text_decode(const char *bytes, size_t len, char **text, size_t *text_len,
    enum import_encoding *encoding, struct error *err) MUST_CHECK;

/* *bytes is the caller's, to be wiped, too.  The text must be UTF-8 where the encoding is UTF-16. */
void import_text_encode(
    const char *text, size_t text_len, enum import_encoding encoding, char **bytes, size_t *len);

#endif
