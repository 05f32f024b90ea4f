/*
 * bundle_utf16: recognises UTF-16 and makes it ASCII.  That is all that PEM needs: what is outside ASCII can
 * only stand between blocks.
 */
#include "tls/bundle_utf16.h"

#include "base/mem.h"

#define BYTE_ORDER_MARK 0xfeffu

bool bundle_utf16_is(const unsigned char *bytes, size_t len)
{
	if (len < 4)
		return false;
	return (bytes[0] == 0xff && bytes[1] == 0xfe) || (bytes[0] == 0xfe && bytes[1] == 0xff) ||
	       (bytes[0] != 0 && bytes[1] == 0 && bytes[2] != 0 && bytes[3] == 0) ||
	       (bytes[0] == 0 && bytes[1] != 0 && bytes[2] == 0 && bytes[3] != 0);
}

void bundle_utf16_to_ascii(const unsigned char *bytes, size_t len, char **text, size_t *text_len)
{
	bool big = len >= 2 && (bytes[0] == 0xfe || bytes[0] == 0);
	size_t count = len / 2, i;
	char *to = mem_calloc(1, count + 1);

	for (i = 0; i < count; i++) {
		unsigned high = bytes[2 * i + (big ? 0 : 1)], low = bytes[2 * i + (big ? 1 : 0)];
		unsigned unit = high << 8 | low;

		to[i] = unit == BYTE_ORDER_MARK ? ' ' : unit < 0x80 ? (char)unit : '?';
	}
	*text = to;
	*text_len = count;
}
