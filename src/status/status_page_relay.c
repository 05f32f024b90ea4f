/*
 * status_page_relay: see status_page_relay.h.
 */
#include "status/status_page_relay.h"

#include <inttypes.h>
#include <string.h>

/* More of a kind than anybody reads on a page; /status has all. */
#define LISTENS_SHOWN 8
#define PATHS_SHOWN 16
#define CODES_SHOWN 12
#define CERTS_SHOWN 24
#define FAILURES_SHOWN 8

static void put_left_out(struct status_html *html, size_t count, size_t shown, const char *what)
{
	if (count > shown)
		status_html_put(html, "<p class=\"soft\">%zu more %s: see <code>/status</code></p>\n",
		    count - shown, what);
}

const char *status_page_relay_words(enum status_level level)
{
	switch (level) {
	case STATUS_GOOD:
		return "works";
	case STATUS_IDLE:
		return "not tried yet";
	case STATUS_WARN:
		return "needs a look";
	case STATUS_BAD:
		return "does not work";
	}
	return "";
}

int64_t status_page_dial_us(const struct status_path *path)
{
	int64_t total = 0;
	int stage;

	for (stage = 0; stage < STATUS_STAGES; stage++)
		if (path->last_us[stage] > 0)
			total += path->last_us[stage];
	return total;
}

static void put_head(struct status_html *html, const struct status_relay *relay, size_t index)
{
	enum status_level level = status_verdict_relay(html->report, relay);
	size_t i;

	status_html_put(html,
	    "<section class=\"relay %s\" aria-labelledby=\"relay-%zu\">\n<h2 id=\"relay-%zu\">",
	    status_html_class(level), index, index);
	status_html_text(html, relay->name);
	status_html_put(html, " ");
	status_html_tag(html, level, status_page_relay_words(level));
	status_html_put(html, "</h2>\n<p class=\"way\">");
	for (i = 0; i < relay->listen_count && i < LISTENS_SHOWN; i++) {
		status_html_put(html, "%s<span>", i > 0 ? ", " : "");
		status_html_text(html, relay->listens[i]);
		status_html_put(html, "</span>");
	}
	if (relay->listen_count > LISTENS_SHOWN)
		status_html_put(html, " and %zu more", relay->listen_count - LISTENS_SHOWN);
	status_html_put(html, " \u2192 <span>");
	status_html_text(html, relay->target);
	status_html_put(html, "</span> <span class=\"soft\">(mode ");
	status_html_text(html, relay->mode);
	status_html_put(html, ")</span></p>\n");
	if (!relay->ready) {
		status_html_put(html, "<p class=\"why\">Not ready: ");
		status_html_text(html, relay->unready != NULL ? relay->unready : "no reason is known");
		status_html_put(html, "</p>\n");
	}
}

/* The last dial that worked: a bar, to the page's scale, and the same in words. */
static void put_stages(struct status_html *html, const struct status_path *path, int64_t scale_us)
{
	int64_t total_us = status_page_dial_us(path);
	char ms[STATUS_HTML_MS_BYTES];
	int stage;

	if (total_us == 0)
		return;
	status_html_put(html, "<div class=\"bar\" role=\"img\" aria-label=\"The last tunnel took %s:",
	    status_html_ms(total_us, ms));
	for (stage = 0; stage < STATUS_STAGES; stage++)
		if (path->last_us[stage] >= 0)
			status_html_put(html, " %s %s", status_stage_name((enum status_stage)stage),
			    status_html_ms(path->last_us[stage], ms));
	status_html_put(html, "\">");
	for (stage = 0; stage < STATUS_STAGES; stage++)
		if (path->last_us[stage] > 0)
			status_html_put(html, "<i class=\"s%d\" style=\"width:%.1f%%\"></i>", stage,
			    (double)path->last_us[stage] * 100 / (double)scale_us);
	status_html_put(
	    html, "</div>\n<p class=\"stages\">last tunnel in <b>%s</b>:", status_html_ms(total_us, ms));
	for (stage = 0; stage < STATUS_STAGES; stage++)
		if (path->last_us[stage] >= 0)
			status_html_put(html, " <span><i class=\"s%d\"></i>%s %s</span>", stage,
			    status_stage_name((enum status_stage)stage),
			    status_html_ms(path->last_us[stage], ms));
	status_html_put(html, "</p>\n");
}

static void put_diagnosis(struct status_html *html, const struct status_path *path)
{
	bool now = path->state == STATUS_PATH_FAILED;

	if (path->diagnosis.code == DIAGNOSIS_OK)
		return;
	status_html_put(html, "<div class=\"%s\">\n<p>Last failure ", now ? "diagnosis" : "diagnosis over");
	if (path->failed_s != 0)
		status_html_ago(html, path->failed_s);
	status_html_put(html, ":</p>\n<p><code>%s</code> ", diagnosis_name(path->diagnosis.code));
	status_html_text(html, path->diagnosis.sentence);
	status_html_put(
	    html, "</p>\n<p class=\"remedy\"><b>%s:</b> ", now ? "What to do" : "If it fails again");
	status_html_text(html, diagnosis_remedy(&path->diagnosis));
	status_html_put(html, "</p>\n</div>\n");
}

static void put_dials(struct status_html *html, const struct status_path *path)
{
	uint64_t tunnels = 0;
	size_t shown = 0, i;

	for (i = 0; i < path->dial_count; i++)
		if (path->dials[i].code == DIAGNOSIS_OK)
			tunnels += path->dials[i].count;
	status_html_put(html, "<p class=\"soft\">Dials: ");
	status_html_count(html, tunnels);
	status_html_put(html, tunnels == 1 ? " tunnel" : " tunnels");
	if (tunnels > 0) {
		status_html_put(html, " (");
		status_html_count(html, path->resumed);
		status_html_put(html, " resumed)");
	}
	for (i = 0; i < path->dial_count; i++) {
		if (path->dials[i].code == DIAGNOSIS_OK || path->dials[i].count == 0)
			continue;
		if (shown++ == CODES_SHOWN) {
			status_html_put(html, ", and others");
			break;
		}
		status_html_put(html, ", ");
		status_html_count(html, path->dials[i].count);
		status_html_put(html, " \u00d7 <code>%s</code>", diagnosis_name(path->dials[i].code));
	}
	status_html_put(html, "</p>\n");
}

static const char *path_words(enum status_path_state state)
{
	switch (state) {
	case STATUS_PATH_UNTRIED:
		return "not tried yet";
	case STATUS_PATH_OK:
		return "works";
	case STATUS_PATH_FAILED:
		return "fails";
	}
	return "";
}

static void put_path(struct status_html *html, const struct status_path *path, int64_t scale_us)
{
	status_html_put(html, "<li>\n<h4>");
	status_html_text(html, path->name);
	status_html_put(html, "</h4>\n<p>");
	status_html_tag(html, path->state == STATUS_PATH_OK ? STATUS_GOOD : status_verdict_path(path),
	    path_words(path->state));
	if (path->state != STATUS_PATH_UNTRIED && path->since_s != 0) {
		status_html_put(html, " ");
		status_html_since(html, path->since_s);
	}
	status_html_put(html, "</p>\n");
	if (path->inspected) {
		status_html_put(html, "<p>");
		status_html_tag(html, STATUS_WARN, "inspected");
		status_html_put(html,
		    " The proxy can read what goes this way; it is used all the same because of "
		    "<code>inspection</code>.</p>\n");
	}
	put_diagnosis(html, path);
	put_stages(html, path, scale_us);
	if (path->dial_count > 0)
		put_dials(html, path);
	status_html_put(html, "</li>\n");
}

static const char *cert_words(const char *what)
{
	if (strcmp(what, "client-chain") == 0)
		return "client chain";
	return strcmp(what, "listen") == 0 ? "listener" : what;
}

static void put_cert(struct status_html *html, const struct status_cert *cert)
{
	char words[STATUS_CERT_WORDS_BYTES];

	status_html_put(html, "<tr><th scope=\"row\">%s</th><td>", cert_words(cert->what));
	status_html_text(html, cert->subject);
	if (cert->path != NULL) {
		status_html_put(html, "<small>seen over ");
		status_html_text(html, cert->path);
		status_html_put(html, "</small>");
	}
	if (cert->fingerprint != NULL) {
		status_html_put(html, "<small>SHA-256 ");
		status_html_text(html, cert->fingerprint);
		status_html_put(html, "</small>");
	}
	status_html_put(html, "</td><td class=\"when\">");
	status_html_tag(html, status_verdict_cert(html->report, cert),
	    status_verdict_cert_words(html->report, cert, words));
	if (cert->not_after_s != INT64_MAX) {
		status_html_put(html, "<small>");
		status_html_time(html, cert->not_after_s);
		status_html_put(html, "</small>");
	}
	status_html_put(html, "</td></tr>\n");
}

static void put_certs(struct status_html *html, const struct status_relay *relay)
{
	size_t i;

	if (relay->cert_count == 0)
		return;
	status_html_put(html,
	    "<table>\n<caption>Certificates</caption>\n<thead><tr><th scope=\"col\">of</th>"
	    "<th scope=\"col\">subject</th><th scope=\"col\">validity</th></tr></thead>\n<tbody>\n");
	for (i = 0; i < relay->cert_count && i < CERTS_SHOWN; i++)
		put_cert(html, &relay->certs[i]);
	status_html_put(html, "</tbody>\n</table>\n");
	put_left_out(html, relay->cert_count, CERTS_SHOWN, "certificates");
}

static void put_failures(struct status_html *html, const struct status_relay *relay)
{
	char span[STATUS_SPAN_BYTES];
	size_t i;

	if (relay->failure_count == 0)
		return;
	status_html_put(html,
	    "<table>\n<caption>Recent failures</caption>\n<thead><tr><th scope=\"col\">when</th>"
	    "<th scope=\"col\">times</th><th scope=\"col\">what</th></tr></thead>\n<tbody>\n");
	for (i = 0; i < relay->failure_count && i < FAILURES_SHOWN; i++) {
		const struct status_failure *failure = &relay->failures[i];

		status_html_put(html, "<tr><td class=\"when\">%s ago<small>",
		    status_verdict_span(html->report->now_s - failure->at_s, span));
		status_html_time(html, failure->at_s);
		status_html_put(html, "</small></td><td class=\"count\">");
		status_html_count(html, failure->count);
		status_html_put(html, "</td><td><code>%s</code> ", diagnosis_name(failure->code));
		status_html_text(html, failure->sentence);
		if (failure->path != NULL) {
			status_html_put(html, "<small>over ");
			status_html_text(html, failure->path);
			status_html_put(html, "</small>");
		}
		status_html_put(html, "</td></tr>\n");
	}
	status_html_put(html, "</tbody>\n</table>\n");
	put_left_out(html, relay->failure_count, FAILURES_SHOWN, "failures");
}

static void put_fact(struct status_html *html, const char *name, uint64_t count)
{
	status_html_put(html, "<div><dt>%s</dt><dd>", name);
	status_html_count(html, count);
	status_html_put(html, "</dd></div>\n");
}

static void put_ready_tunnels(struct status_html *html, const struct status_relay *relay)
{
	uint64_t asked = relay->ready_hits + relay->ready_misses;

	if (asked == 0 && relay->ready_made == 0 && relay->ready_tunnels == 0)
		return;
	put_fact(html, "tunnels ready", relay->ready_tunnels);
	if (asked > 0) {
		status_html_put(html, "<div><dt>had one ready</dt><dd>%.0f %% <small>",
		    (double)relay->ready_hits * 100 / (double)asked);
		status_html_count(html, relay->ready_hits);
		status_html_put(html, " of ");
		status_html_count(html, asked);
		status_html_put(html, " clients</small></dd></div>\n");
	}
	status_html_put(html, "<div><dt>made ahead</dt><dd>");
	status_html_count(html, relay->ready_made);
	status_html_put(html, " <small>");
	status_html_count(html, relay->ready_expired);
	status_html_put(html, " let go, ");
	status_html_count(html, relay->ready_died);
	status_html_put(html, " died</small></dd></div>\n");
}

static void put_facts(struct status_html *html, const struct status_relay *relay)
{
	status_html_put(html, "<dl class=\"facts\">\n");
	put_fact(html, "connections open", relay->open);
	put_fact(html, "connections so far", relay->sessions);
	if (relay->denied > 0)
		put_fact(html, "denied", relay->denied);
	status_html_put(html, "<div><dt>to the target</dt><dd>");
	status_html_bytes(html, relay->bytes_up);
	status_html_put(html, "</dd></div>\n<div><dt>to the clients</dt><dd>");
	status_html_bytes(html, relay->bytes_down);
	status_html_put(html, "</dd></div>\n");
	put_ready_tunnels(html, relay);
	if (relay->certs_refused > 0)
		put_fact(html, "client certificate refused", relay->certs_refused);
	if (relay->inspections > 0)
		put_fact(html, "inspections found", relay->inspections);
	status_html_put(html, "</dl>\n");
}

void status_page_relay(
    struct status_html *html, const struct status_relay *relay, size_t index, int64_t scale_us)
{
	size_t i;

	put_head(html, relay, index);
	status_html_put(html, "<h3>Paths</h3>\n<ol class=\"paths\">\n");
	for (i = 0; i < relay->path_count && i < PATHS_SHOWN; i++)
		put_path(html, &relay->paths[i], scale_us);
	status_html_put(html, "</ol>\n");
	put_left_out(html, relay->path_count, PATHS_SHOWN, "paths");
	put_facts(html, relay);
	put_certs(html, relay);
	put_failures(html, relay);
	status_html_put(html, "</section>\n");
}
