/*
 * check_pen: see check_pen.h.  It answers for the width: what is written through it is counted.
 */
#include "check/check_pen.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

/* Lines of text beyond this are hard to read, however wide the terminal. */
#define TEXT_COLUMNS 100

static const char *ink_sequence(enum check_ink ink)
{
	switch (ink) {
	case CHECK_INK_PLAIN:
		return "";
	case CHECK_INK_BOLD:
		return "\033[1m";
	case CHECK_INK_DIM:
		return "\033[2m";
	case CHECK_INK_GOOD:
		return "\033[32m";
	case CHECK_INK_WARN:
		return "\033[33m";
	case CHECK_INK_BAD:
		return "\033[1;31m";
	}
	return "";
}

/* Black or white letters on a ground; red is left to what failed. */
static const char *stage_sequence(enum check_stage stage)
{
	switch (stage) {
	case CHECK_RESOLVE:
		return "\033[30;47m";
	case CHECK_CONNECT:
		return "\033[30;46m";
	case CHECK_PROXY:
		return "\033[30;43m";
	case CHECK_TLS:
		return "\033[30;42m";
	case CHECK_CERT:
		return "\033[97;45m";
	case CHECK_INSTANCE:
		return "\033[97;44m";
	case CHECK_STAGE_COUNT:
		break;
	}
	return "";
}

char check_pen_letter(enum check_stage stage)
{
	/* "e" for the certificate, as "c" is taken. */
	static const char letters[CHECK_STAGE_COUNT] = {'r', 'c', 'p', 't', 'e', 'i'};

	midrelay_assert(stage < CHECK_STAGE_COUNT);
	return letters[stage];
}

/* Only the first byte of a character counts. */
static unsigned columns_in(const char *text, size_t len)
{
	unsigned columns = 0;
	size_t i;

	for (i = 0; i < len; i++)
		columns += ((unsigned char)text[i] & 0xc0) != 0x80;
	return columns;
}

unsigned check_pen_width(const char *text)
{
	return columns_in(text, strlen(text));
}

static void put(struct check_pen *pen, enum check_ink ink, const char *text, size_t len)
{
	const char *sequence = pen->colour ? ink_sequence(ink) : "";

	fprintf(pen->out, "%s%.*s%s", sequence, (int)len, text, sequence[0] != '\0' ? "\033[0m" : "");
	pen->at += columns_in(text, len);
}

void check_pen_print(struct check_pen *pen, enum check_ink ink, const char *fmt, ...)
{
	char *text = NULL;
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	midrelay_assert(len >= 0);
	text = mem_calloc((size_t)len + 1, 1);
	va_start(ap, fmt);
	vsnprintf(text, (size_t)len + 1, fmt, ap);
	va_end(ap);
	put(pen, ink, text, (size_t)len);
	free(text);
}

void check_pen_end_line(struct check_pen *pen)
{
	putc('\n', pen->out);
	pen->at = 0;
}

void check_pen_go_to(struct check_pen *pen, unsigned column)
{
	if (column > pen->at) {
		fprintf(pen->out, "%*s", (int)(column - pen->at), "");
		pen->at = column;
	}
}

void check_pen_wrap(struct check_pen *pen, enum check_ink ink, unsigned indent, const char *text)
{
	unsigned limit = pen->columns < TEXT_COLUMNS ? pen->columns : TEXT_COLUMNS;
	bool first = true;

	text += strspn(text, " ");
	while (*text != '\0') {
		size_t len = strcspn(text, " ");
		unsigned gap = first ? 0 : 1;

		if (pen->at + gap + columns_in(text, len) > limit && pen->at > indent) {
			check_pen_end_line(pen);
			check_pen_go_to(pen, indent);
			gap = 0;
		}
		check_pen_go_to(pen, pen->at + gap);
		put(pen, ink, text, len);
		first = false;
		text += len;
		text += strspn(text, " ");
	}
	check_pen_end_line(pen);
}

const char *check_pen_mark_text(enum check_outcome outcome, bool utf8)
{
	switch (outcome) {
	case CHECK_NOT_REACHED:
		return " ";
	case CHECK_UNDER_WAY:
		return utf8 ? "…" : "~";
	case CHECK_PASSED:
		return utf8 ? "✓" : "+";
	case CHECK_WARNED:
		return "!";
	case CHECK_FAILED:
		return utf8 ? "✗" : "X";
	case CHECK_NOT_APPLICABLE:
		return utf8 ? "–" : "-";
	}
	return "?";
}

enum check_ink check_pen_mark_ink(enum check_outcome outcome)
{
	switch (outcome) {
	case CHECK_NOT_REACHED:
	case CHECK_NOT_APPLICABLE:
		return CHECK_INK_DIM;
	case CHECK_UNDER_WAY:
		return CHECK_INK_PLAIN;
	case CHECK_PASSED:
		return CHECK_INK_GOOD;
	case CHECK_WARNED:
		return CHECK_INK_WARN;
	case CHECK_FAILED:
		return CHECK_INK_BAD;
	}
	return CHECK_INK_PLAIN;
}

void check_pen_mark(struct check_pen *pen, enum check_outcome outcome)
{
	const char *text = check_pen_mark_text(outcome, pen->utf8);

	put(pen, check_pen_mark_ink(outcome), text, strlen(text));
}

void check_pen_bar(struct check_pen *pen, enum check_stage stage, unsigned len)
{
	unsigned i;

	if (len == 0)
		return;
	if (pen->colour)
		fputs(stage_sequence(stage), pen->out);
	for (i = 0; i < len; i++)
		putc(check_pen_letter(stage), pen->out);
	if (pen->colour)
		fputs("\033[0m", pen->out);
	pen->at += len;
}

const char *check_pen_time(int64_t us, char buf[CHECK_PEN_TIME_BYTES])
{
	int64_t ms = (us + 500) / 1000;

	if (us < 0)
		buf[0] = '\0';
	else if (ms == 0)
		snprintf(buf, CHECK_PEN_TIME_BYTES, "<1");
	else if (ms <= 9999)
		snprintf(buf, CHECK_PEN_TIME_BYTES, "%d", (int)ms);
	else
		snprintf(buf, CHECK_PEN_TIME_BYTES, "%llds", (long long)((ms + 500) / 1000));
	return buf;
}

int64_t check_pen_total_us(const struct check_path *path)
{
	int64_t us = 0;
	int stage;

	for (stage = 0; stage < CHECK_STAGE_COUNT; stage++)
		if (path->steps[stage].us > 0)
			us += path->steps[stage].us;
	return us;
}

bool check_pen_same_group(const struct check_path *a, const struct check_path *b)
{
	return strcmp(a->relay, b->relay) == 0 && strcmp(a->target, b->target) == 0;
}

char *check_pen_group(const struct check_path *path, bool utf8)
{
	size_t len = strlen(path->relay);

	if (strncmp(path->relay, path->target, len) == 0 &&
	    (path->target[len] == '\0' || path->target[len] == ':'))
		return mem_strdup(path->target);
	return mem_printf("%s %s %s", path->relay, utf8 ? "→" : "->", path->target);
}

char *check_pen_label(const struct check_report *report, const struct check_path *path)
{
	size_t i;

	for (i = 0; i < report->path_count; i++)
		if (!check_pen_same_group(&report->paths[i], path))
			return mem_printf("%s (%s)", path->name, path->relay);
	return mem_strdup(path->name);
}

char *check_pen_clean(const char *text)
{
	size_t len = strlen(text), i;
	char *escaped;

	for (i = 0; i < len; i++)
		if (text[i] < 0x20 || text[i] > 0x7e)
			break;
	if (i == len)
		return mem_strdup(text);
	/* Each byte takes four characters at most, and the terminator has room. */
	escaped = mem_calloc(4 * len + 4, 1);
	text_escape(text, len, escaped, 4 * len + 4);
	return escaped;
}
