/* handshake_read: taking TLS messages apart within their bounds, and putting lines together within theirs. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "tls/handshake_internal.h"

#define EXTENSION_ALPN 16
#define CUT "..."

unsigned long handshake_read_number(struct handshake_reader *from, unsigned bytes)
{
	unsigned long number = 0;

	if (from->left < bytes) {
		*from->broken = true;
		from->left = 0;
		return 0;
	}
	from->left -= bytes;
	while (bytes-- > 0)
		number = number << 8 | *from->at++;
	return number;
}

struct handshake_reader handshake_read_bytes(struct handshake_reader *from, size_t len)
{
	struct handshake_reader part = {from->at, len, from->broken};

	if (from->left < len) {
		*from->broken = true;
		part.left = 0;
		len = from->left;
	}
	from->at += len;
	from->left -= len;
	return part;
}

struct handshake_reader handshake_read_vector(struct handshake_reader *from, unsigned length_bytes)
{
	return handshake_read_bytes(from, handshake_read_number(from, length_bytes));
}

bool handshake_find_extension(struct handshake_reader list, unsigned type, struct handshake_reader *body)
{
	while (list.left > 0) {
		unsigned long number = handshake_read_number(&list, 2);

		*body = handshake_read_vector(&list, 2);
		if (number == type && !*list.broken)
			return true;
	}
	*body = handshake_read_bytes(&list, 0);
	return false;
}

void handshake_line_add(struct handshake_line *line, const char *fmt, ...)
{
	size_t room = sizeof(line->text) - line->len;
	va_list ap;
	int len;

	if (line->full)
		return;
	va_start(ap, fmt);
	len = vsnprintf(line->text + line->len, room, fmt, ap);
	va_end(ap);
	if (len >= 0 && (size_t)len < room) {
		line->len += (size_t)len;
		return;
	}
	line->full = true;
	line->len = sizeof(line->text) - 1;
	memcpy(line->text + sizeof(line->text) - sizeof(CUT), CUT, sizeof(CUT));
}

void handshake_line_add_escaped(struct handshake_line *line, struct handshake_reader bytes)
{
	char text[300];

	handshake_line_add(line, "%s", text_escape(bytes.at, bytes.left, text, sizeof(text)));
}

void handshake_line_add_names(struct handshake_line *line, struct handshake_reader list,
    handshake_name_fn *name)
{
	char buf[HANDSHAKE_NAME_BYTES];

	if (list.left == 0)
		handshake_line_add(line, " none");
	while (list.left > 0)
		handshake_line_add(line, " %s", name((unsigned)handshake_read_number(&list, 2), buf));
}

void handshake_line_add_alpn(struct handshake_line *line, struct handshake_reader extensions)
{
	struct handshake_reader body, list;

	handshake_line_add(line, "ALPN:");
	if (!handshake_find_extension(extensions, EXTENSION_ALPN, &body)) {
		handshake_line_add(line, " none");
		return;
	}
	list = handshake_read_vector(&body, 2);
	while (list.left > 0) {
		handshake_line_add(line, " ");
		handshake_line_add_escaped(line, handshake_read_vector(&list, 1));
	}
}

void handshake_line_add_extensions(struct handshake_line *line, struct handshake_reader extensions)
{
	char buf[HANDSHAKE_NAME_BYTES];

	handshake_line_add(line, "extensions:");
	if (extensions.left == 0)
		handshake_line_add(line, " none");
	while (extensions.left > 0) {
		unsigned type = (unsigned)handshake_read_number(&extensions, 2);

		handshake_line_add(line, " %s", handshake_extension_name(type, buf));
		handshake_read_vector(&extensions, 2);
	}
}

void handshake_line_end(struct handshake_line *line, struct handshake_words *words)
{
	words->line(words->arg, line->text);
	line->len = 0;
	line->full = false;
	line->text[0] = '\0';
}
