/* status_text: see status_text.h. */
#include "status/status_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define LEAST_COLUMNS 40
#define BAR_COLUMNS 40
#define DAY_S 86400

enum ink { INK_PLAIN, INK_BOLD, INK_DIM, INK_GOOD, INK_WARN, INK_BAD };

struct sheet {
	FILE *out;
	const struct status_text_style *style;
	int64_t now_s;
	unsigned at; /* columns of the line so far */
};

static const char *ink_sequence(enum ink ink)
{
	switch (ink) {
	case INK_PLAIN:
		return "";
	case INK_BOLD:
		return "\033[1m";
	case INK_DIM:
		return "\033[2m";
	case INK_GOOD:
		return "\033[32m";
	case INK_WARN:
		return "\033[33m";
	case INK_BAD:
		return "\033[1;31m";
	}
	return "";
}

/* As in `midrelay check`. */
static const char *stage_sequence(enum status_stage stage)
{
	switch (stage) {
	case STATUS_RESOLVE:
		return "\033[30;47m";
	case STATUS_CONNECT:
		return "\033[30;46m";
	case STATUS_PROXY:
		return "\033[30;43m";
	case STATUS_TLS:
		return "\033[30;42m";
	case STATUS_STAGES:
		break;
	}
	return "";
}

static unsigned width(const char *text)
{
	unsigned columns = 0;

	for (; *text != '\0'; text++)
		columns += ((unsigned char)*text & 0xc0) != 0x80;
	return columns;
}

static void put(struct sheet *sheet, enum ink ink, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Nothing is foreign here that has not been escaped, but a terminal does what control characters say. */
static bool has_control(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	return false;
}

/* A terminal without UTF-8 gets what is beyond ASCII escaped. */
static void put(struct sheet *sheet, enum ink ink, const char *fmt, ...)
{
	const char *sequence = sheet->style->colour ? ink_sequence(ink) : "";
	char *text = NULL, *clean;
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
	if (has_control(text) || (!sheet->style->utf8 && width(text) != (unsigned)len)) {
		clean = mem_calloc((size_t)len + 1, 4);
		text_escape(text, (size_t)len, clean, 4 * ((size_t)len + 1));
		free(text);
		text = clean;
	}
	fprintf(sheet->out, "%s%s%s", sequence, text, sequence[0] != '\0' ? "\033[0m" : "");
	sheet->at += width(text);
	free(text);
}

static void go_to(struct sheet *sheet, unsigned column)
{
	if (column > sheet->at) {
		fprintf(sheet->out, "%*s", (int)(column - sheet->at), "");
		sheet->at = column;
	}
}

static void end_line(struct sheet *sheet)
{
	putc('\n', sheet->out);
	sheet->at = 0;
}

/* Words from where the sheet is, further lines from `indent` on, and the end of the last line. */
static void wrap(struct sheet *sheet, enum ink ink, unsigned indent, const char *text)
{
	unsigned columns = sheet->style->columns > LEAST_COLUMNS ? sheet->style->columns : LEAST_COLUMNS;

	while (*(text += strspn(text, " ")) != '\0') {
		size_t len = strcspn(text, " ");
		char *word = mem_strndup(text, len);

		if (sheet->at + 1 + width(word) > columns && sheet->at > indent) {
			end_line(sheet);
			go_to(sheet, indent);
		} else if (sheet->at > indent) {
			putc(' ', sheet->out);
			sheet->at++;
		}
		put(sheet, ink, "%s", word);
		free(word);
		text += len;
	}
	end_line(sheet);
}

/* "12s", "5m", "3h", "9d": how long ago, at most two units would be more than one wants. */
static const char *span(int64_t s, char buf[32])
{
	if (s < 0)
		s = 0;
	if (s < 120)
		snprintf(buf, 32, "%" PRId64 "s", s);
	else if (s < 7200)
		snprintf(buf, 32, "%" PRId64 "m", s / 60);
	else if (s < 2 * DAY_S)
		snprintf(buf, 32, "%" PRId64 "h", s / 3600);
	else
		snprintf(buf, 32, "%" PRId64 "d", s / DAY_S);
	return buf;
}

static const char *bytes_text(uint64_t bytes, char buf[32])
{
	static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
	double value = (double)bytes;
	unsigned unit = 0;

	while (value >= 1000 && unit < 4) {
		value /= 1000;
		unit++;
	}
	snprintf(buf, 32, unit == 0 || value >= 100 ? "%.0f %s" : "%.1f %s", value, units[unit]);
	return buf;
}

/* ---- the head ---- */

static const char *plural(uint64_t count)
{
	return count == 1 ? "" : "s";
}

static void put_reload(struct sheet *sheet, const struct status_report *report)
{
	char ago[32];

	if (report->last_reload_s == 0 || report->last_reload_ok)
		return;
	put(sheet, INK_BAD, "reload failed %s ago; the state before it stays:",
	    span(sheet->now_s - report->last_reload_s, ago));
	wrap(sheet, INK_PLAIN, 2, report->last_reload_error != NULL ? report->last_reload_error : "see the log");
}

static void put_head(struct sheet *sheet, const struct status_report *report)
{
	char up[32];
	size_t unready = 0, i;

	for (i = 0; i < report->relay_count; i++)
		unready += !report->relays[i].ready;
	put(sheet, INK_BOLD, "midrelay %s", report->version);
	put(sheet, INK_PLAIN, "  up %s  ", span(report->now_s - report->started_s, up));
	if (report->draining)
		put(sheet, INK_WARN, "DRAINING");
	else if (unready > 0)
		put(sheet, INK_BAD, "NOT READY: %zu of %zu relay%s", unready, report->relay_count,
		    plural(report->relay_count));
	else
		put(sheet, INK_GOOD, "ready");
	end_line(sheet);
	put(sheet, INK_DIM, "%s, generation %u; %u of %u connections open; %u of %u descriptors", report->file,
	    report->generation, report->open, report->max_connections, report->descriptors, report->descriptor_limit);
	end_line(sheet);
	if (report->sandbox != NULL)
		wrap(sheet, INK_DIM, 2, report->sandbox);
	put_reload(sheet, report);
}

/* ---- paths ---- */

static void put_bar(struct sheet *sheet, const struct status_path *path)
{
	static const char letters[STATUS_STAGES] = {'r', 'c', 'p', 't'};
	int64_t total_us = 0;
	int stage;

	for (stage = 0; stage < STATUS_STAGES; stage++)
		if (path->last_us[stage] > 0)
			total_us += path->last_us[stage];
	if (total_us == 0)
		return;
	go_to(sheet, 4);
	for (stage = 0; stage < STATUS_STAGES; stage++) {
		int64_t us = path->last_us[stage];
		unsigned len = us <= 0 ? 0 : (unsigned)((us * BAR_COLUMNS + total_us / 2) / total_us);

		if (us > 0 && len == 0)
			len = 1;
		if (len > 0 && sheet->style->colour)
			fputs(stage_sequence((enum status_stage)stage), sheet->out);
		for (sheet->at += len; len > 0; len--)
			putc(letters[stage], sheet->out);
		if (us > 0 && sheet->style->colour)
			fputs("\033[0m", sheet->out);
	}
	for (stage = 0; stage < STATUS_STAGES; stage++)
		if (path->last_us[stage] >= 0)
			put(sheet, INK_DIM, "  %s %" PRId64 " ms", status_stage_name((enum status_stage)stage),
			    (path->last_us[stage] + 500) / 1000);
	end_line(sheet);
}

static void put_mark(struct sheet *sheet, const struct status_path *path)
{
	bool utf8 = sheet->style->utf8;

	switch (path->state) {
	case STATUS_PATH_UNTRIED:
		put(sheet, INK_DIM, "  %s ", utf8 ? "–" : "-");
		break;
	case STATUS_PATH_OK:
		put(sheet, INK_GOOD, "  %s ", utf8 ? "✓" : "+");
		break;
	case STATUS_PATH_FAILED:
		put(sheet, INK_BAD, "  %s ", utf8 ? "✗" : "X");
		break;
	}
}

static void put_path(struct sheet *sheet, const struct status_path *path)
{
	uint64_t tunnels = 0, failed = 0;
	char ago[32];
	size_t i;

	for (i = 0; i < path->dial_count; i++)
		*(path->dials[i].code == DIAGNOSIS_OK ? &tunnels : &failed) += path->dials[i].count;
	put_mark(sheet, path);
	put(sheet, INK_BOLD, "%s", path->name);
	put(sheet, INK_PLAIN, "  %s", status_path_state_name(path->state));
	if (path->since_s != 0)
		put(sheet, INK_DIM, " for %s", span(sheet->now_s - path->since_s, ago));
	if (tunnels + failed > 0)
		put(sheet, INK_DIM, "; %" PRIu64 " tunnel%s, %" PRIu64 " resumed, %" PRIu64 " failed", tunnels,
		    plural(tunnels), path->resumed, failed);
	end_line(sheet);
	if (path->inspected) {
		put(sheet, INK_WARN, "    INSPECTED, and used all the same");
		end_line(sheet);
	}
	if (path->state == STATUS_PATH_FAILED) {
		put(sheet, INK_BAD, "    %s:", diagnosis_name(path->diagnosis.code));
		wrap(sheet, INK_PLAIN, 4, path->diagnosis.sentence);
		go_to(sheet, 4);
		wrap(sheet, INK_DIM, 4, diagnosis_remedy(&path->diagnosis));
	}
	put_bar(sheet, path);
}

/* ---- certificates, numbers, failures ---- */

static void put_cert(struct sheet *sheet, const struct status_report *report, const struct status_cert *cert)
{
	int64_t left_s = cert->not_after_s - sheet->now_s;
	enum ink ink = INK_GOOD;

	if (left_s < 0)
		ink = INK_BAD;
	else if (left_s < report->expiry_warning_s)
		ink = INK_WARN;
	put(sheet, INK_PLAIN, "  %-12s ", cert->what);
	if (cert->not_after_s == INT64_MAX)
		put(sheet, INK_WARN, "its end cannot be read");
	else if (left_s < 0)
		put(sheet, ink, "EXPIRED %" PRId64 " day%s ago", -left_s / DAY_S, plural((uint64_t)(-left_s / DAY_S)));
	else
		put(sheet, ink, "%" PRId64 " day%s left", left_s / DAY_S, plural((uint64_t)(left_s / DAY_S)));
	go_to(sheet, 30);
	wrap(sheet, INK_PLAIN, 30, cert->subject);
	if (cert->path != NULL) {
		go_to(sheet, 30);
		put(sheet, INK_DIM, "over %s", cert->path);
		end_line(sheet);
	}
}

static void put_numbers(struct sheet *sheet, const struct status_relay *relay)
{
	char up[32], down[32];
	char *text = mem_printf("%u open, %" PRIu64 " connection%s, %" PRIu64 " denied; up %s, down %s", relay->open,
	    relay->sessions, plural(relay->sessions), relay->denied, bytes_text(relay->bytes_up, up),
	    bytes_text(relay->bytes_down, down));

	go_to(sheet, 2);
	wrap(sheet, INK_PLAIN, 2, text);
	free(text);
	if (relay->ready_tunnels > 0 || relay->ready_made > 0) {
		text = mem_printf("%u ready tunnel%s; %" PRIu64 " client%s got one, %" PRIu64 " did not",
		    relay->ready_tunnels, plural(relay->ready_tunnels), relay->ready_hits,
		    plural(relay->ready_hits), relay->ready_misses);
		go_to(sheet, 2);
		wrap(sheet, INK_PLAIN, 2, text);
		free(text);
	}
	if (relay->certs_refused > 0) {
		put(sheet, INK_BAD, "  the target refused the client certificate %" PRIu64 " time%s",
		    relay->certs_refused, plural(relay->certs_refused));
		end_line(sheet);
	}
}

static void put_failure(struct sheet *sheet, const struct status_failure *failure)
{
	char ago[32], *count = failure->count > 1 ? mem_printf(" (%" PRIu64 " times)", failure->count) : mem_strdup("");

	put(sheet, INK_DIM, "  %4s ago ", span(sheet->now_s - failure->at_s, ago));
	put(sheet, INK_PLAIN, "%s%s%s%s:", failure->path != NULL ? failure->path : "", failure->path != NULL ? " " : "",
	    diagnosis_name(failure->code), count);
	wrap(sheet, INK_DIM, 11, failure->sentence);
	free(count);
}

static void put_relay(struct sheet *sheet, const struct status_report *report, const struct status_relay *relay)
{
	size_t i;

	end_line(sheet);
	put(sheet, INK_BOLD, "%s", relay->name);
	put(sheet, INK_PLAIN, " %s %s (%s)", sheet->style->utf8 ? "→" : "->", relay->target, relay->mode);
	for (i = 0; i < relay->listen_count; i++)
		put(sheet, INK_DIM, "%s%s", i == 0 ? "  at " : ", ", relay->listens[i]);
	end_line(sheet);
	if (!relay->ready) {
		put(sheet, INK_BAD, "  NOT READY:");
		wrap(sheet, INK_PLAIN, 4, relay->unready);
	}
	put_numbers(sheet, relay);
	for (i = 0; i < relay->path_count; i++)
		put_path(sheet, &relay->paths[i]);
	for (i = 0; i < relay->cert_count; i++)
		put_cert(sheet, report, &relay->certs[i]);
	for (i = 0; i < relay->failure_count; i++)
		put_failure(sheet, &relay->failures[i]);
}

char *status_text(const struct status_report *report, const struct status_text_style *style, size_t *len)
{
	struct sheet sheet = {.style = style, .now_s = report->now_s};
	char *text = NULL;
	size_t i;

	sheet.out = open_memstream(&text, len);
	midrelay_assert(sheet.out != NULL);
	put_head(&sheet, report);
	for (i = 0; i < report->relay_count; i++)
		put_relay(&sheet, report, &report->relays[i]);
	fclose(sheet.out);
	midrelay_assert(text != NULL);
	return text;
}
