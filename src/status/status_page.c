/*
 * status_page: see status_page.h.  It answers for the order of the page and for what is said of the whole; a
 * relay's part is status_page_relay's, what is grave is status_verdict's.
 */
#include "status/status_page.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "status/status_page_relay.h"
#include "status/status_page_style.h"

#define REFRESH_S 10
#define PROBLEMS_SHOWN 12
#define WORKERS_SHOWN 64
/* The overview names each relay in a line. */
#define OVERVIEW_SHOWN 1000

static void put_head(struct status_html *html, const struct status_verdict *verdict)
{
	/* The icon is empty: a browser would ask for one. */
	status_html_put(html,
	    "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
	    "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
	    "<meta http-equiv=\"refresh\" content=\"%d\">\n"
	    "<meta name=\"robots\" content=\"noindex\">\n<link rel=\"icon\" href=\"data:,\">\n<title>%s ",
	    REFRESH_S, status_html_mark(verdict->level));
	status_html_text(html, verdict->sentence);
	status_html_put(
	    html, " - midrelay</title>\n<style>\n%s</style>\n</head>\n<body>\n", status_page_style);
}

static void put_verdict(struct status_html *html, const struct status_report *report,
    const struct status_verdict *verdict, const bool *shown)
{
	char span[STATUS_SPAN_BYTES];
	size_t i;

	status_html_put(html, "<header class=\"verdict %s\">\n<h1><b aria-hidden=\"true\">%s</b> ",
	    status_html_class(verdict->level), status_html_mark(verdict->level));
	status_html_text(html, verdict->sentence);
	status_html_put(html, "</h1>\n");
	if (verdict->problem_count > 0)
		status_html_put(html, "<ul aria-label=\"What to look at\">\n");
	for (i = 0; i < verdict->problem_count && i < PROBLEMS_SHOWN; i++) {
		const struct status_problem *problem = &verdict->problems[i];
		bool linked = problem->relay == STATUS_OF_PROCESS || shown[problem->relay];

		status_html_put(html, "<li class=\"%s\"><b aria-hidden=\"true\">%s</b> ",
		    status_html_class(problem->level), status_html_mark(problem->level));
		if (problem->relay == STATUS_OF_PROCESS)
			status_html_put(html, "<a href=\"#process\">");
		else if (linked)
			status_html_put(html, "<a href=\"#relay-%zu\">", problem->relay);
		status_html_text(html, problem->text);
		status_html_put(html, "%s</li>\n", linked ? "</a>" : "");
	}
	if (verdict->problem_count > PROBLEMS_SHOWN)
		status_html_put(
		    html, "<li>and %zu more, below</li>\n", verdict->problem_count - PROBLEMS_SHOWN);
	if (verdict->problem_count > 0)
		status_html_put(html, "</ul>\n");
	status_html_put(html, "<p class=\"soft\">As of ");
	status_html_time(html, report->now_s);
	status_html_put(html, ", midrelay up %s. This page loads itself anew every %d s.</p>\n</header>\n",
	    status_verdict_span(report->now_s - report->started_s, span), REFRESH_S);
}

static void put_overview(struct status_html *html, const struct status_report *report, const bool *shown)
{
	size_t i;

	if (report->relay_count < 2)
		return;
	status_html_put(html, "<nav aria-label=\"Relays\">\n<ul>\n");
	for (i = 0; i < report->relay_count && i < OVERVIEW_SHOWN; i++) {
		const struct status_relay *relay = &report->relays[i];
		enum status_level level = status_verdict_relay(html->report, relay);

		status_html_put(html, "<li class=\"%s\"><b aria-hidden=\"true\">%s</b>",
		    status_html_class(level), status_html_mark(level));
		if (shown[i])
			status_html_put(html, "<a href=\"#relay-%zu\">", i);
		status_html_text(html, relay->name);
		status_html_put(html, "%s <small>%s</small></li>\n", shown[i] ? "</a>" : "",
		    status_page_relay_words(level));
	}
	status_html_put(html, "</ul>\n</nav>\n");
}

static void begin_fact(struct status_html *html, const char *name, bool wide)
{
	status_html_put(html, "<div%s><dt>%s</dt><dd>", wide ? " class=\"wide\"" : "", name);
}

static void end_fact(struct status_html *html)
{
	status_html_put(html, "</dd></div>\n");
}

static void put_loading(struct status_html *html, const struct status_report *report)
{
	begin_fact(html, "configuration", false);
	status_html_text(html, report->file);
	status_html_put(html, " <small>generation %u, ", report->generation);
	status_html_since(html, report->loaded_s);
	status_html_put(html, "</small>");
	end_fact(html);
	begin_fact(html, "last reload", report->last_reload_s != 0 && !report->last_reload_ok);
	if (report->last_reload_s == 0) {
		status_html_put(html, "none yet");
	} else {
		status_html_tag(html, report->last_reload_ok ? STATUS_GOOD : STATUS_BAD,
		    report->last_reload_ok ? "worked" : "failed");
		status_html_put(html, " <small>");
		status_html_ago(html, report->last_reload_s);
		status_html_put(html, "</small> ");
		status_html_text(html, report->last_reload_error);
	}
	end_fact(html);
}

static void put_load(struct status_html *html, const struct status_report *report)
{
	char ms[STATUS_HTML_MS_BYTES];
	unsigned i;

	begin_fact(html, "connections open", false);
	status_html_count(html, report->open);
	status_html_put(html, " <small>of %u</small>", report->max_connections);
	end_fact(html);
	begin_fact(html, "descriptors", false);
	status_html_count(html, report->descriptors);
	status_html_put(html, " <small>of %u</small>", report->descriptor_limit);
	end_fact(html);
	begin_fact(html, report->workers == 1 ? "worker's lag" : "workers' lag", false);
	for (i = 0; i < report->workers && i < WORKERS_SHOWN && report->loop_lag_us != NULL; i++)
		status_html_put(html, "%s%s", i > 0 ? ", " : "",
		    report->loop_lag_us[i] < 0 ? "not known yet"
					       : status_html_ms(report->loop_lag_us[i], ms));
	if (report->workers > WORKERS_SHOWN)
		status_html_put(html, " and %u more", report->workers - WORKERS_SHOWN);
	end_fact(html);
}

static void put_process(struct status_html *html, const struct status_report *report)
{
	status_html_put(html,
	    "<section class=\"process\" aria-labelledby=\"process\">\n<h2 id=\"process\">Process</h2>\n"
	    "<dl class=\"facts\">\n");
	begin_fact(html, "version", false);
	status_html_put(html, "midrelay ");
	status_html_text(html, report->version);
	status_html_put(html, " <small>OpenSSL ");
	status_html_text(html, report->openssl);
	status_html_put(html, ", libevent ");
	status_html_text(html, report->libevent);
	status_html_put(html, "</small>");
	end_fact(html);
	begin_fact(html, "started", false);
	status_html_time(html, report->started_s);
	end_fact(html);
	put_loading(html, report);
	put_load(html, report);
	begin_fact(html, "sandbox", false);
	status_html_text(html, report->sandbox != NULL ? report->sandbox : "not in this build");
	end_fact(html);
	status_html_put(html, "</dl>\n</section>\n");
}

/* One scale for all bars, so that they can be compared. */
static int64_t longest_dial_us(const struct status_report *report)
{
	int64_t longest_us = 1;
	size_t i, j;

	for (i = 0; i < report->relay_count; i++) {
		for (j = 0; j < report->relays[i].path_count; j++) {
			int64_t us = status_page_dial_us(&report->relays[i].paths[j]);

			if (us > longest_us)
				longest_us = us;
		}
	}
	return longest_us;
}

/*
 * The relays in full, those that need somebody first, as far as the bound allows; marks them as shown and
 * says how many are not.
 */
static char *make_relays(const struct status_report *report, bool *shown, size_t *left_out)
{
	struct status_html html = {.report = report};
	int64_t scale_us = longest_dial_us(report);
	char *text = NULL;
	size_t len, i;
	int level;

	html.out = open_memstream(&text, &len);
	midrelay_assert(html.out != NULL);
	*left_out = 0;
	for (level = STATUS_BAD; level >= STATUS_GOOD; level--) {
		for (i = 0; i < report->relay_count; i++) {
			if ((int)status_verdict_relay(report, &report->relays[i]) != level)
				continue;
			shown[i] = ftell(html.out) < STATUS_PAGE_RELAYS_BYTES;
			if (shown[i])
				status_page_relay(&html, &report->relays[i], i, scale_us);
			else
				(*left_out)++;
		}
	}
	midrelay_assert(fclose(html.out) == 0);
	return text;
}

char *status_page(const struct status_report *report, size_t *len)
{
	struct status_verdict *verdict = status_verdict_new(report);
	bool *shown = mem_calloc(report->relay_count + 1, sizeof(*shown));
	struct status_html html = {.report = report};
	char *text = NULL, *relays;
	size_t left_out;

	relays = make_relays(report, shown, &left_out);
	html.out = open_memstream(&text, len);
	midrelay_assert(html.out != NULL);
	put_head(&html, verdict);
	put_verdict(&html, report, verdict, shown);
	put_overview(&html, report, shown);
	status_html_put(&html, "<main>\n%s</main>\n", relays);
	if (left_out > 0)
		status_html_put(
		    &html, "<p>%zu more relays are left out here: see <code>/status</code></p>\n", left_out);
	put_process(&html, report);
	status_html_put(&html,
	    "<footer><p><code>midrelay explain CODE</code> tells more of a code, <code>midrelay "
	    "check</code> walks every path now.</p></footer>\n</body>\n</html>\n");
	midrelay_assert(fclose(html.out) == 0);
	free(relays);
	free(shown);
	status_verdict_free(verdict);
	return text;
}
