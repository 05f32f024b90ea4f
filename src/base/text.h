/*
 * text: small pure functions on strings: durations, sizes, base64, escaping, nearest word.
 */
#ifndef MIDRELAY_BASE_TEXT_H
#define MIDRELAY_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* "500ms" "10s" "5m" "1h" "30d" (and plain "0") to milliseconds.  One number, one unit, no sign. */
bool text_parse_duration(const char *text, int64_t *ms);

/* The shortest exact form of a duration: 90000 → "90s", 3600000 → "1h".  buf: at least 32 bytes. */
const char *text_format_duration(int64_t ms, char *buf, size_t buf_bytes);

/* "512" "16k" "1m" (powers of 1024) to bytes. */
bool text_parse_size(const char *text, uint64_t *bytes);

/* A decimal number within [min, max]; nothing before or behind it. */
bool text_parse_uint(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* Bytes that text_base64_encode() writes for `len` input bytes, terminator included. */
#define TEXT_BASE64_BYTES(len) ((((len) + 2) / 3) * 4 + 1)
void text_base64_encode(const void *from, size_t len, char *to);

/*
 * Makes foreign bytes fit to be shown: everything outside printable ASCII becomes \xNN, a backslash
 * becomes \\, and past buf_bytes the text ends in "...".  Always terminated; returns buf.
 */
const char *text_escape(const void *from, size_t len, char *buf, size_t buf_bytes);

/*
 * "SCHEME:…" (RFC 3986) with a scheme of two characters or more.  A path with a ':' in it is told apart by a
 * '/' before that.
 */
bool text_is_uri(const char *text);
/*
 * The path behind "file:/…", "file:///…" or "file://localhost/…" (RFC 8089), in the same string; any other text as it is.
 */
const char *text_file_uri_path(const char *text);

/* A byte below space, or DEL. */
bool text_has_control(const char *text);

/* Cuts white space (space, tab, CR, LF) at both ends, in place; returns the new beginning. */
char *text_trim(char *text);

/*
 * The candidate nearest to `word` (Damerau-Levenshtein, case-insensitive), or NULL when none is within a
 * third of the word's length (at least 1, at most 3).  `candidates` ends in NULL; the result is borrowed.
 */
const char *text_nearest(const char *word, const char *const *candidates);

#endif
