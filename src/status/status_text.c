/* status_text: see status_text.h. */
#include "status/status_text.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/pen.h"

#define LEAST_COLUMNS 40
#define BAR_COLUMNS 40
#define DAY_S 86400

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

static void put_reload(struct pen *pen, const struct status_report *report)
{
	char ago[32];

	if (report->last_reload_s == 0 || report->last_reload_ok)
		return;
	pen_print(pen, PEN_BAD, "reload failed %s ago; the state before it stays:",
	    span(report->now_s - report->last_reload_s, ago));
	pen_wrap(
	    pen, PEN_PLAIN, 2, report->last_reload_error != NULL ? report->last_reload_error : "see the log");
}

static void put_head(struct pen *pen, const struct status_report *report)
{
	char up[32];
	size_t unready = 0, i;

	for (i = 0; i < report->relay_count; i++)
		unready += !report->relays[i].ready;
	pen_print(pen, PEN_BOLD, "midrelay %s", report->version);
	pen_print(pen, PEN_PLAIN, "  up %s  ", span(report->now_s - report->started_s, up));
	if (report->draining)
		pen_print(pen, PEN_WARN, "DRAINING");
	else if (unready > 0)
		pen_print(pen, PEN_BAD, "NOT READY: %zu of %zu relay%s", unready, report->relay_count,
		    plural(report->relay_count));
	else
		pen_print(pen, PEN_GOOD, "ready");
	pen_end_line(pen);
	pen_print(pen, PEN_DIM, "%s, generation %u; %u of %u connections open; %u of %u descriptors",
	    report->file, report->generation, report->open, report->max_connections, report->descriptors,
	    report->descriptor_limit);
	pen_end_line(pen);
	if (report->sandbox != NULL)
		pen_wrap(pen, PEN_DIM, 2, report->sandbox);
	put_reload(pen, report);
}

/* ---- paths ---- */

/* Letters and grounds as in `midrelay check`. */
static void put_stage(struct pen *pen, enum status_stage stage, unsigned len)
{
	switch (stage) {
	case STATUS_RESOLVE:
		pen_bar(pen, PEN_WHITE, 'r', len);
		break;
	case STATUS_CONNECT:
		pen_bar(pen, PEN_CYAN, 'c', len);
		break;
	case STATUS_PROXY:
		pen_bar(pen, PEN_YELLOW, 'p', len);
		break;
	case STATUS_TLS:
		pen_bar(pen, PEN_GREEN, 't', len);
		break;
	case STATUS_STAGES:
		break;
	}
}

static void put_bar(struct pen *pen, const struct status_path *path)
{
	int64_t total_us = 0;
	int stage;

	for (stage = 0; stage < STATUS_STAGES; stage++)
		if (path->last_us[stage] > 0)
			total_us += path->last_us[stage];
	if (total_us == 0)
		return;
	pen_go_to(pen, 4);
	for (stage = 0; stage < STATUS_STAGES; stage++) {
		int64_t us = path->last_us[stage];
		unsigned len = us <= 0 ? 0 : (unsigned)((us * BAR_COLUMNS + total_us / 2) / total_us);

		if (us > 0 && len == 0)
			len = 1;
		put_stage(pen, (enum status_stage)stage, len);
	}
	for (stage = 0; stage < STATUS_STAGES; stage++)
		if (path->last_us[stage] >= 0)
			pen_print(pen, PEN_DIM, "  %s %" PRId64 " ms",
			    status_stage_name((enum status_stage)stage), (path->last_us[stage] + 500) / 1000);
	pen_end_line(pen);
}

static void put_mark(struct pen *pen, const struct status_path *path)
{
	bool utf8 = pen->utf8;

	switch (path->state) {
	case STATUS_PATH_UNTRIED:
		pen_print(pen, PEN_DIM, "  %s ", utf8 ? "–" : "-");
		break;
	case STATUS_PATH_OK:
		pen_print(pen, PEN_GOOD, "  %s ", utf8 ? "✓" : "+");
		break;
	case STATUS_PATH_FAILED:
		pen_print(pen, PEN_BAD, "  %s ", utf8 ? "✗" : "X");
		break;
	}
}

static void put_path(struct pen *pen, const struct status_path *path, int64_t now_s)
{
	uint64_t tunnels = 0, failed = 0;
	char ago[32];
	size_t i;

	for (i = 0; i < path->dial_count; i++)
		*(path->dials[i].code == DIAGNOSIS_OK ? &tunnels : &failed) += path->dials[i].count;
	put_mark(pen, path);
	pen_print(pen, PEN_BOLD, "%s", path->name);
	pen_print(pen, PEN_PLAIN, "  %s", status_path_state_name(path->state));
	if (path->since_s != 0)
		pen_print(pen, PEN_DIM, " for %s", span(now_s - path->since_s, ago));
	if (tunnels + failed > 0)
		pen_print(pen, PEN_DIM, "; %" PRIu64 " tunnel%s, %" PRIu64 " resumed, %" PRIu64 " failed",
		    tunnels, plural(tunnels), path->resumed, failed);
	pen_end_line(pen);
	if (path->inspected) {
		pen_print(pen, PEN_WARN, "    INSPECTED, and used all the same");
		pen_end_line(pen);
	}
	if (path->state == STATUS_PATH_FAILED) {
		pen_print(pen, PEN_BAD, "    %s:", diagnosis_name(path->diagnosis.code));
		pen_wrap(pen, PEN_PLAIN, 4, path->diagnosis.sentence);
		pen_go_to(pen, 4);
		pen_wrap(pen, PEN_DIM, 4, diagnosis_remedy(&path->diagnosis));
	}
	put_bar(pen, path);
}

/* ---- certificates, numbers, failures ---- */

static void put_cert(struct pen *pen, const struct status_report *report, const struct status_cert *cert)
{
	int64_t left_s = cert->not_after_s - report->now_s;
	enum pen_ink ink = PEN_GOOD;

	if (left_s < 0)
		ink = PEN_BAD;
	else if (left_s < report->expiry_warning_s)
		ink = PEN_WARN;
	pen_print(pen, PEN_PLAIN, "  %-12s ", cert->what);
	if (cert->not_after_s == INT64_MAX)
		pen_print(pen, PEN_WARN, "its end cannot be read");
	else if (left_s < 0)
		pen_print(pen, ink, "EXPIRED %" PRId64 " day%s ago", -left_s / DAY_S,
		    plural((uint64_t)(-left_s / DAY_S)));
	else
		pen_print(
		    pen, ink, "%" PRId64 " day%s left", left_s / DAY_S, plural((uint64_t)(left_s / DAY_S)));
	pen_go_to(pen, 30);
	pen_wrap(pen, PEN_PLAIN, 30, cert->subject);
	if (cert->path != NULL) {
		pen_go_to(pen, 30);
		pen_print(pen, PEN_DIM, "over %s", cert->path);
		pen_end_line(pen);
	}
}

static void put_numbers(struct pen *pen, const struct status_relay *relay)
{
	char up[32], down[32];
	char *text = mem_printf("%u open, %" PRIu64 " connection%s, %" PRIu64 " denied; up %s, down %s",
	    relay->open, relay->sessions, plural(relay->sessions), relay->denied,
	    bytes_text(relay->bytes_up, up), bytes_text(relay->bytes_down, down));

	pen_go_to(pen, 2);
	pen_wrap(pen, PEN_PLAIN, 2, text);
	free(text);
	if (relay->ready_tunnels > 0 || relay->ready_made > 0) {
		text = mem_printf("%u ready tunnel%s; %" PRIu64 " client%s got one, %" PRIu64 " did not",
		    relay->ready_tunnels, plural(relay->ready_tunnels), relay->ready_hits,
		    plural(relay->ready_hits), relay->ready_misses);
		pen_go_to(pen, 2);
		pen_wrap(pen, PEN_PLAIN, 2, text);
		free(text);
	}
	if (relay->certs_refused > 0) {
		pen_print(pen, PEN_BAD, "  the target refused the client certificate %" PRIu64 " time%s",
		    relay->certs_refused, plural(relay->certs_refused));
		pen_end_line(pen);
	}
}

static void put_failure(struct pen *pen, const struct status_failure *failure, int64_t now_s)
{
	char ago[32],
	    *count = failure->count > 1 ? mem_printf(" (%" PRIu64 " times)", failure->count) : mem_strdup("");

	pen_print(pen, PEN_DIM, "  %4s ago ", span(now_s - failure->at_s, ago));
	pen_print(pen, PEN_PLAIN, "%s%s%s%s:", failure->path != NULL ? failure->path : "",
	    failure->path != NULL ? " " : "", diagnosis_name(failure->code), count);
	pen_wrap(pen, PEN_DIM, 11, failure->sentence);
	free(count);
}

static void put_relay(struct pen *pen, const struct status_report *report, const struct status_relay *relay)
{
	size_t i;

	pen_end_line(pen);
	pen_print(pen, PEN_BOLD, "%s", relay->name);
	pen_print(pen, PEN_PLAIN, " %s %s (%s)", pen->utf8 ? "→" : "->", relay->target, relay->mode);
	for (i = 0; i < relay->listen_count; i++)
		pen_print(pen, PEN_DIM, "%s%s", i == 0 ? "  at " : ", ", relay->listens[i]);
	pen_end_line(pen);
	if (!relay->ready) {
		pen_print(pen, PEN_BAD, "  NOT READY:");
		pen_wrap(pen, PEN_PLAIN, 4, relay->unready);
	}
	put_numbers(pen, relay);
	for (i = 0; i < relay->path_count; i++)
		put_path(pen, &relay->paths[i], report->now_s);
	for (i = 0; i < relay->cert_count; i++)
		put_cert(pen, report, &relay->certs[i]);
	for (i = 0; i < relay->failure_count; i++)
		put_failure(pen, &relay->failures[i], report->now_s);
}

char *status_text(const struct status_report *report, const struct status_text_style *style, size_t *len)
{
	unsigned columns = style->columns > LEAST_COLUMNS ? style->columns : LEAST_COLUMNS;
	struct pen pen = {
	    .columns = columns, .text_columns = columns, .colour = style->colour, .utf8 = style->utf8};
	char *text = NULL;
	size_t i;

	pen.out = open_memstream(&text, len);
	midrelay_assert(pen.out != NULL);
	put_head(&pen, report);
	for (i = 0; i < report->relay_count; i++)
		put_relay(&pen, report, &report->relays[i]);
	fclose(pen.out);
	midrelay_assert(text != NULL);
	return text;
}
