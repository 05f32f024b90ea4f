/*
 * bundle_utf16: text that an editor or PowerShell on Windows saved as UTF-16, to ASCII.  Pure.  Internal to
 * bundle_read.
 */
#ifndef MIDRELAY_TLS_BUNDLE_UTF16_H
#define MIDRELAY_TLS_BUNDLE_UTF16_H

#include <stdbool.h>
#include <stddef.h>

/* By a byte-order mark, or by every other one of the first four bytes being NUL.  Never true of DER. */
bool bundle_utf16_is(const unsigned char *bytes, size_t len);

/*
 * Every code unit becomes one byte: those outside ASCII '?', which PEM has none of, byte-order marks a blank
 * (they also stand where files were joined).  Half a unit at the end is dropped.  *text is owned by the
 * caller, who wipes *text_len bytes of it.
 */
void bundle_utf16_to_ascii(const unsigned char *bytes, size_t len, char **text, size_t *text_len);

#endif
