/* check_pen: see check_pen.h. */
#include "check/check_pen.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

static enum pen_ground stage_ground(enum check_stage stage)
{
	switch (stage) {
	case CHECK_RESOLVE:
		return PEN_WHITE;
	case CHECK_CONNECT:
		return PEN_CYAN;
	case CHECK_PROXY:
		return PEN_YELLOW;
	case CHECK_TLS:
		return PEN_GREEN;
	case CHECK_CERT:
		return PEN_MAGENTA;
	case CHECK_INSTANCE:
		return PEN_BLUE;
	case CHECK_STAGE_COUNT:
		break;
	}
	return PEN_WHITE;
}

char check_pen_letter(enum check_stage stage)
{
	/* "e" for the certificate, as "c" is taken. */
	static const char letters[CHECK_STAGE_COUNT] = {'r', 'c', 'p', 't', 'e', 'i'};

	midrelay_assert(stage < CHECK_STAGE_COUNT);
	return letters[stage];
}

void check_pen_bar(struct pen *pen, enum check_stage stage, unsigned len)
{
	pen_bar(pen, stage_ground(stage), check_pen_letter(stage), len);
}

static const char *mark_text(enum check_outcome outcome, bool utf8)
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

static enum pen_ink mark_ink(enum check_outcome outcome)
{
	switch (outcome) {
	case CHECK_NOT_REACHED:
	case CHECK_NOT_APPLICABLE:
		return PEN_DIM;
	case CHECK_UNDER_WAY:
		return PEN_PLAIN;
	case CHECK_PASSED:
		return PEN_GOOD;
	case CHECK_WARNED:
		return PEN_WARN;
	case CHECK_FAILED:
		return PEN_BAD;
	}
	return PEN_PLAIN;
}

void check_pen_mark(struct pen *pen, enum check_outcome outcome)
{
	pen_print(pen, mark_ink(outcome), "%s", mark_text(outcome, pen->utf8));
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
