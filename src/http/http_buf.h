/*
 * http_buf: bytes that grow.  Zero-initialised: empty.  Keeps its memory when it is emptied.
 */
#ifndef MIDRELAY_HTTP_HTTP_BUF_H
#define MIDRELAY_HTTP_HTTP_BUF_H

#include <stddef.h>

#include "http/http_head.h"

struct http_buf {
	unsigned char *bytes;
	uint32_t len, size;
};

void http_buf_add(struct http_buf *buf, const void *bytes, size_t len);
void http_buf_add_span(struct http_buf *buf, struct http_span span);
void http_buf_add_text(struct http_buf *buf, const char *text);
void http_buf_clear(struct http_buf *buf); /* gives the memory back */

#endif
