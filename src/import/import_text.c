/* import_text: see import_text.h.  UTF-16 and UTF-8, without a loss either way. */
#include "import/import_text.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static enum import_encoding find_encoding(const unsigned char *bytes, size_t len)
{
	if (len >= 2 && ((bytes[0] == 0xff && bytes[1] == 0xfe) || (bytes[0] == '<' && bytes[1] == 0)))
		return IMPORT_ENCODING_UTF16LE;
	if (len >= 2 && ((bytes[0] == 0xfe && bytes[1] == 0xff) || (bytes[0] == 0 && bytes[1] == '<')))
		return IMPORT_ENCODING_UTF16BE;
	return IMPORT_ENCODING_BYTES;
}

static uint32_t unit_at(const unsigned char *bytes, size_t at, bool big)
{
	return big ? (uint32_t)bytes[at] << 8 | bytes[at + 1] : (uint32_t)bytes[at + 1] << 8 | bytes[at];
}

static bool is_high(uint32_t unit)
{
	return unit >= 0xd800 && unit <= 0xdbff;
}

static bool is_low(uint32_t unit)
{
	return unit >= 0xdc00 && unit <= 0xdfff;
}

static unsigned char *put_utf8(unsigned char *to, uint32_t code)
{
	if (code < 0x80) {
		*to++ = (unsigned char)code;
		return to;
	}
	if (code < 0x800) {
		*to++ = (unsigned char)(0xc0 | code >> 6);
	} else {
		if (code < 0x10000) {
			*to++ = (unsigned char)(0xe0 | code >> 12);
		} else {
			*to++ = (unsigned char)(0xf0 | code >> 18);
			*to++ = (unsigned char)(0x80 | (code >> 12 & 0x3f));
		}
		*to++ = (unsigned char)(0x80 | (code >> 6 & 0x3f));
	}
	*to++ = (unsigned char)(0x80 | (code & 0x3f));
	return to;
}

bool import_text_decode(const char *bytes, size_t len, char **text, size_t *text_len,
    enum import_encoding *encoding, struct error *err)
{
	const unsigned char *from = (const unsigned char *)bytes;
	unsigned char *out, *to;
	bool big, ok = true;
	size_t i;

	*encoding = find_encoding(from, len);
	/* Three bytes for each two are the most that there can be; and a terminator. */
	out = to = mem_calloc(1, len / 2 * 3 + len + 1);
	big = *encoding == IMPORT_ENCODING_UTF16BE;
	if (*encoding == IMPORT_ENCODING_BYTES)
		to = mempcpy(to, bytes, len);
	else if (len % 2 != 0)
		ok = error_set(err, "this is UTF-16, cut in the middle of a character");
	for (i = 0; ok && *encoding != IMPORT_ENCODING_BYTES && i < len; i += 2) {
		uint32_t code = unit_at(from, i, big);

		if (is_high(code) && i + 4 <= len && is_low(unit_at(from, i + 2, big))) {
			code = 0x10000 + ((code - 0xd800) << 10) + (unit_at(from, i + 2, big) - 0xdc00);
			i += 2;
		} else if (is_high(code) || is_low(code)) {
			ok = error_set(err, "this is UTF-16 with half a character in it");
		}
		to = put_utf8(to, code);
	}
	if (!ok) {
		explicit_bzero(out, (size_t)(to - out));
		free(out);
		return false;
	}
	*text = (char *)out;
	*text_len = (size_t)(to - out);
	return true;
}

static unsigned char *put_unit(unsigned char *to, uint32_t unit, bool big)
{
	*to++ = (unsigned char)(big ? unit >> 8 : unit & 0xff);
	*to++ = (unsigned char)(big ? unit & 0xff : unit >> 8);
	return to;
}

/* One character of UTF-8 that import_text_decode() or expat has found to be sound. */
static uint32_t take_utf8(const unsigned char *text, size_t len, size_t *at)
{
	uint32_t code = text[(*at)++];
	unsigned more = code >= 0xf0 ? 3 : code >= 0xe0 ? 2 : code >= 0xc0 ? 1 : 0;

	if (more > 0)
		code &= 0x3fu >> more;
	while (more-- > 0 && *at < len)
		code = code << 6 | (text[(*at)++] & 0x3fu);
	return code;
}

void import_text_encode(
    const char *text, size_t text_len, enum import_encoding encoding, char **bytes, size_t *len)
{
	bool big = encoding == IMPORT_ENCODING_UTF16BE;
	unsigned char *out, *to;
	size_t at = 0;

	out = to = mem_calloc(1, 2 * text_len + 1);
	if (encoding == IMPORT_ENCODING_BYTES)
		to = mempcpy(to, text, text_len);
	while (encoding != IMPORT_ENCODING_BYTES && at < text_len) {
		uint32_t code = take_utf8((const unsigned char *)text, text_len, &at);

		if (code >= 0x10000) {
			to = put_unit(to, 0xd800 + ((code - 0x10000) >> 10), big);
			code = 0xdc00 + ((code - 0x10000) & 0x3ff);
		}
		to = put_unit(to, code, big);
	}
	*bytes = (char *)out;
	*len = (size_t)(to - out);
}
