/*
 * status_html: see status_html.h.
 */
#include "status/status_html.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#define KIB 1024.0

void status_html_put(struct status_html *html, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vfprintf(html->out, fmt, args);
	va_end(args);
}

/* Of the character that begins at `text`, in bytes (RFC 3629, the shortest form alone); 0: there is none. */
static size_t character_len(const char *text, size_t len)
{
	const unsigned char *in = (const unsigned char *)text;
	size_t need = in[0] < 0xc2 ? 0 : in[0] < 0xe0 ? 2 : in[0] < 0xf0 ? 3 : in[0] < 0xf5 ? 4 : 0, i;

	if (in[0] >= 0x20 && in[0] < 0x7f)
		return 1;
	if (need == 0 || need > len)
		return 0;
	for (i = 1; i < need; i++)
		if ((in[i] & 0xc0) != 0x80)
			return 0;
	/* Second forms of shorter ones, surrogates, past U+10FFFF, C1 controls. */
	if ((in[0] == 0xe0 && in[1] < 0xa0) || (in[0] == 0xed && in[1] > 0x9f) ||
	    (in[0] == 0xf0 && in[1] < 0x90) || (in[0] == 0xf4 && in[1] > 0x8f) ||
	    (in[0] == 0xc2 && in[1] < 0xa0))
		return 0;
	return need;
}

static const char *entity(char c)
{
	return c == '&' ? "&amp;" : c == '<' ? "&lt;" : c == '>' ? "&gt;" : c == '"' ? "&quot;" : "&#39;";
}

void status_html_text(struct status_html *html, const char *text)
{
	size_t len = text != NULL ? strlen(text) : 0, at = 0, n;

	while (at < len) {
		n = character_len(text + at, len - at);
		if (at + (n > 0 ? n : 1) > STATUS_HTML_TEXT_BYTES) {
			fputs("...", html->out);
			return;
		}
		if (n == 0)
			fputc('?', html->out);
		else if (n == 1 && strchr("&<>\"'", text[at]) != NULL)
			fputs(entity(text[at]), html->out);
		else
			fwrite(text + at, 1, n, html->out);
		at += n > 0 ? n : 1;
	}
}

void status_html_time(struct status_html *html, int64_t at_s)
{
	time_t at = (time_t)at_s;
	struct tm tm;
	char machine[64] = "", human[64] = "";

	if (gmtime_r(&at, &tm) != NULL) {
		strftime(machine, sizeof(machine), "%Y-%m-%dT%H:%M:%SZ", &tm);
		strftime(human, sizeof(human), "%Y-%m-%d %H:%M:%S UTC", &tm);
	}
	fprintf(html->out, "<time datetime=\"%s\">%s</time>", machine, human);
}

void status_html_ago(struct status_html *html, int64_t at_s)
{
	char span[STATUS_SPAN_BYTES];

	fprintf(html->out, "%s ago, ", status_verdict_span(html->report->now_s - at_s, span));
	status_html_time(html, at_s);
}

void status_html_since(struct status_html *html, int64_t since_s)
{
	char span[STATUS_SPAN_BYTES];

	fprintf(html->out, "for %s, since ", status_verdict_span(html->report->now_s - since_s, span));
	status_html_time(html, since_s);
}

void status_html_count(struct status_html *html, uint64_t count)
{
	char digits[32];
	int len = snprintf(digits, sizeof(digits), "%" PRIu64, count), i;

	for (i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			fputc(',', html->out);
		fputc(digits[i], html->out);
	}
}

void status_html_bytes(struct status_html *html, uint64_t bytes)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	double value = (double)bytes / KIB;
	size_t unit = 0;

	if (bytes < KIB) {
		fprintf(html->out, "%" PRIu64 " bytes", bytes);
		return;
	}
	for (; value >= KIB; unit++)
		value /= KIB;
	fprintf(html->out, value < 100 ? "%.1f %s" : "%.0f %s", value, units[unit]);
}

const char *status_html_ms(int64_t us, char buf[STATUS_HTML_MS_BYTES])
{
	if (us < 50)
		snprintf(buf, STATUS_HTML_MS_BYTES, "0 ms");
	else if (us < 1000)
		snprintf(buf, STATUS_HTML_MS_BYTES, "%.1f ms", (double)us / 1000);
	else if (us < 10000000)
		snprintf(buf, STATUS_HTML_MS_BYTES, "%" PRId64 " ms", us / 1000);
	else
		snprintf(buf, STATUS_HTML_MS_BYTES, "%" PRId64 " s", us / 1000000);
	return buf;
}

const char *status_html_class(enum status_level level)
{
	switch (level) {
	case STATUS_GOOD:
		return "good";
	case STATUS_IDLE:
		return "idle";
	case STATUS_WARN:
		return "warn";
	case STATUS_BAD:
		return "bad";
	}
	return "";
}

const char *status_html_mark(enum status_level level)
{
	switch (level) {
	case STATUS_GOOD:
		return "\u2713";
	case STATUS_IDLE:
		return "\u25cb";
	case STATUS_WARN:
		return "!";
	case STATUS_BAD:
		return "\u2717";
	}
	return "";
}

void status_html_tag(struct status_html *html, enum status_level level, const char *words)
{
	fprintf(html->out, "<span class=\"tag %s\"><b aria-hidden=\"true\">%s</b> ", status_html_class(level),
	    status_html_mark(level));
	status_html_text(html, words);
	fputs("</span>", html->out);
}
