/*
 * pen: see pen.h.  It answers for the width: what is written through it is counted.
 */
#include "base/pen.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static const char *ink_sequence(enum pen_ink ink)
{
	switch (ink) {
	case PEN_PLAIN:
		return "";
	case PEN_BOLD:
		return "\033[1m";
	case PEN_DIM:
		return "\033[2m";
	case PEN_GOOD:
		return "\033[32m";
	case PEN_WARN:
		return "\033[33m";
	case PEN_BAD:
		return "\033[1;31m";
	}
	return "";
}

static const char *ground_sequence(enum pen_ground ground)
{
	switch (ground) {
	case PEN_WHITE:
		return "\033[30;47m";
	case PEN_CYAN:
		return "\033[30;46m";
	case PEN_YELLOW:
		return "\033[30;43m";
	case PEN_GREEN:
		return "\033[30;42m";
	case PEN_MAGENTA:
		return "\033[97;45m";
	case PEN_BLUE:
		return "\033[97;44m";
	}
	return "";
}

/* Only the first byte of a character counts. */
unsigned pen_width(const char *text)
{
	unsigned columns = 0;

	for (; *text != '\0'; text++)
		columns += ((unsigned char)*text & 0xc0) != 0x80;
	return columns;
}

static bool is_fit_to_show(const struct pen *pen, const char *text)
{
	const char *c = text;

	while (*c != '\0' && (unsigned char)*c < 0x80)
		c++;
	return !text_has_control(text) && (pen->utf8 || *c == '\0');
}

/* Takes `text`; the caller frees what is returned. */
static char *make_fit_to_show(const struct pen *pen, char *text)
{
	size_t len = strlen(text);
	char *escaped;

	if (is_fit_to_show(pen, text))
		return text;
	/* Four characters a byte at most; text_escape() wants room for its dots even where it needs none. */
	escaped = mem_calloc(len + 1, 4);
	text_escape(text, len, escaped, 4 * (len + 1));
	free(text);
	return escaped;
}

static void put(struct pen *pen, enum pen_ink ink, const char *text)
{
	const char *sequence = pen->colour ? ink_sequence(ink) : "";

	fprintf(pen->out, "%s%s%s", sequence, text, sequence[0] != '\0' ? "\033[0m" : "");
	pen->at += pen_width(text);
}

void pen_print(struct pen *pen, enum pen_ink ink, const char *fmt, ...)
{
	char *text;
	va_list ap;

	va_start(ap, fmt);
	text = make_fit_to_show(pen, mem_vprintf(fmt, ap));
	va_end(ap);
	put(pen, ink, text);
	free(text);
}

void pen_end_line(struct pen *pen)
{
	putc('\n', pen->out);
	pen->at = 0;
}

void pen_go_to(struct pen *pen, unsigned column)
{
	if (column > pen->at) {
		fprintf(pen->out, "%*s", (int)(column - pen->at), "");
		pen->at = column;
	}
}

void pen_wrap(struct pen *pen, enum pen_ink ink, unsigned indent, const char *text)
{
	unsigned gap = pen->at > indent;

	while (*(text += strspn(text, " ")) != '\0') {
		size_t len = strcspn(text, " ");
		char *word = make_fit_to_show(pen, mem_strndup(text, len));

		if (pen->at + gap + pen_width(word) > pen->text_columns && pen->at > indent) {
			pen_end_line(pen);
			pen_go_to(pen, indent);
			gap = 0;
		}
		pen_go_to(pen, pen->at + gap);
		put(pen, ink, word);
		free(word);
		gap = 1;
		text += len;
	}
	pen_end_line(pen);
}

void pen_bar(struct pen *pen, enum pen_ground ground, char letter, unsigned len)
{
	if (len == 0)
		return;
	if (pen->colour)
		fputs(ground_sequence(ground), pen->out);
	pen->at += len;
	for (; len > 0; len--)
		putc(letter, pen->out);
	if (pen->colour)
		fputs("\033[0m", pen->out);
}
