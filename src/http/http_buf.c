/*
 * http_buf: the bytes of a head that waits or that was rewritten.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "http/http_buf.h"

#define FIRST_BYTES 512

void http_buf_add(struct http_buf *buf, const void *bytes, size_t len)
{
	size_t need = buf->len + len, size = buf->size > 0 ? buf->size : FIRST_BYTES;

	if (need > buf->size) {
		while (size < need)
			size *= 2;
		buf->bytes = mem_realloc(buf->bytes, size);
		buf->size = (uint32_t)size;
	}
	if (len > 0)
		memcpy(buf->bytes + buf->len, bytes, len);
	buf->len += (uint32_t)len;
}

void http_buf_add_span(struct http_buf *buf, struct http_span span)
{
	http_buf_add(buf, span.at, span.len);
}

void http_buf_add_text(struct http_buf *buf, const char *text)
{
	http_buf_add(buf, text, strlen(text));
}

void http_buf_clear(struct http_buf *buf)
{
	free(buf->bytes);
	*buf = (struct http_buf){0};
}
