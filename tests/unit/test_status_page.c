/*
 * Proves that the status page of each made-up report is as in tests/status (UPDATE_GOLDEN=1 writes them
 * anew), that what is said first is the gravest, that every code comes with its remedy, and that foreign text
 * cannot become markup, nor a page without a bound.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "status/status_page.h"
#include "status/status_page_style.h"
#include "status/status_verdict.h"
#include "golden.h"
#include "status_fixture.h"

#define DAY_S 86400

static char *page_of(const char *name)
{
	struct status_report *report = status_fixture_new(name);
	size_t len;
	char *page;

	assert_non_null(report);
	page = status_page(report, &len);
	assert_int_equal(strlen(page), len);
	status_report_free(report);
	return page;
}

static void test_pages_are_as_they_were(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; status_fixture_names[i] != NULL; i++) {
		const char *name = status_fixture_names[i];
		char *file = mem_printf("status/%s.html", name), *page = page_of(name);

		if (strcmp(name, "endless") != 0)
			golden_assert(file, page);
		free(page);
		free(file);
	}
}

static void assert_sentence(const char *name, enum status_level level, const char *sentence)
{
	struct status_report *report = status_fixture_new(name);
	struct status_verdict *verdict = status_verdict_new(report);

	assert_string_equal(verdict->sentence, sentence);
	assert_int_equal(verdict->level, level);
	status_verdict_free(verdict);
	status_report_free(report);
}

static void test_one_sentence_says_it(void **state)
{
	(void)state;
	assert_sentence("one-healthy", STATUS_GOOD, "acme works; 1 of 2 paths not tried yet");
	assert_sentence("one-broken", STATUS_BAD, "acme does not work; its certificate ends in 12 days");
	assert_sentence("twenty-healthy", STATUS_GOOD, "20 relays, all work; 20 of 40 paths not tried yet");
	assert_sentence("twenty-broken", STATUS_BAD,
	    "3 of 20 relays do not work; the certificate of hooli ended 2 days ago; the last reload failed");
	assert_sentence(
	    "ending", STATUS_WARN, "2 relays, all paths work; the certificate of acme ends in 12 days");
	assert_sentence("fresh", STATUS_WARN,
	    "z\u00fcrich \xff\xc0\xaf\xed\xa0\x80, no path tried yet; its certificate has no readable end");
	assert_sentence("empty", STATUS_GOOD, "no relay is configured");
	assert_sentence(
	    "stopping", STATUS_WARN, "midrelay is stopping; acme works; 1 of 2 paths not tried yet");
	assert_sentence("endless", STATUS_BAD, "none of 2000 relays works");
}

static void test_nothing_is_known_at_first(void **state)
{
	struct status_report *report = status_fixture_new("fresh");
	struct status_verdict *verdict;

	(void)state;
	report->relays[0].certs[0].not_after_s = report->now_s + 100 * DAY_S;
	verdict = status_verdict_new(report);
	assert_int_equal(verdict->level, STATUS_IDLE);
	assert_int_equal(verdict->problem_count, 0);
	assert_non_null(strstr(verdict->sentence, ", no path tried yet"));
	status_verdict_free(verdict);
	status_report_free(report);
}

static void test_the_gravest_comes_first(void **state)
{
	static const char *const texts[] = {
	    "globex: none of its paths works: proxy-auth-rejected, connect-timeout",
	    "hooli is not ready: its client certificate ended 2026-11-18T08:29:00Z",
	    "hooli: the client certificate ended 2 days ago",
	    "hooli: the target refused the client certificate 1 min ago",
	    "wayne: none of its paths works: proxy-auth-rejected, connect-timeout",
	    "tyrell: the client certificate ends in 30 h",
	    "initech: http://proxy-a.corp.example:3128 fails (tls-inspected), other paths are used",
	    "cyberdyne: the client certificate ends in 12 days",
	    "soylent: http://proxy-a.corp.example:3128 is inspected, and used all the same",
	    "descriptors are nearly used up: 15800 of 16384",
	    "the last reload failed, the configuration before it stays in force: "
	    "/etc/midrelay/midrelay.ini:14: "
	    "client_bundle: /etc/midrelay/midserver-bundle.pem: the private key does not belong to the "
	    "certificate",
	    "worker 1 is late by 2400 ms: it has more to do than a CPU can",
	};
	struct status_report *report = status_fixture_new("twenty-broken");
	struct status_verdict *verdict = status_verdict_new(report);
	char *page = page_of("twenty-broken");
	size_t i;

	(void)state;
	assert_int_equal(verdict->problem_count, sizeof(texts) / sizeof(texts[0]));
	for (i = 0; i < verdict->problem_count; i++)
		assert_string_equal(verdict->problems[i].text, texts[i]);
	/* The relays that do not work stand before those that do. */
	assert_true(strstr(page, "<h2 id=\"relay-12\">") < strstr(page, "<h2 id=\"relay-5\">"));
	assert_true(strstr(page, "<h2 id=\"relay-5\">") < strstr(page, "<h2 id=\"relay-0\">"));
	free(page);
	status_verdict_free(verdict);
	status_report_free(report);
}

static void test_a_small_limit_is_no_problem(void **state)
{
	struct status_report *report = status_fixture_new("one-healthy");
	struct status_verdict *verdict;
	unsigned used;

	(void)state;
	report->descriptor_limit = 190;
	for (used = 161; used <= 162; used++) {
		report->descriptors = used;
		verdict = status_verdict_new(report);
		assert_int_equal(verdict->problem_count, used > 161);
		status_verdict_free(verdict);
	}
	status_report_free(report);
}

static void test_certificates_by_days_left(void **state)
{
	struct status_report report = {.expiry_warning_s = 30 * DAY_S};
	struct status_cert cert = {.what = "client", .not_after_s = 100 * DAY_S};
	char words[STATUS_CERT_WORDS_BYTES];

	(void)state;
	report.now_s = 70 * DAY_S;
	assert_int_equal(status_verdict_cert(&report, &cert), STATUS_GOOD);
	report.now_s++;
	assert_int_equal(status_verdict_cert(&report, &cert), STATUS_WARN);
	report.now_s = 93 * DAY_S;
	assert_int_equal(status_verdict_cert(&report, &cert), STATUS_WARN);
	report.now_s++;
	assert_int_equal(status_verdict_cert(&report, &cert), STATUS_BAD);
	assert_string_equal(status_verdict_cert_words(&report, &cert, words), "ends in 6 days");
	/* expiry_warning = 0: only when it is over. */
	report.expiry_warning_s = 0;
	assert_int_equal(status_verdict_cert(&report, &cert), STATUS_GOOD);
	report.now_s = 100 * DAY_S;
	assert_int_equal(status_verdict_cert(&report, &cert), STATUS_BAD);
	assert_string_equal(status_verdict_cert_words(&report, &cert, words), "ended 0 s ago");
	cert.not_after_s = 300 * DAY_S;
	cert.not_before_s = 100 * DAY_S + 7200;
	assert_int_equal(status_verdict_cert(&report, &cert), STATUS_BAD);
	assert_string_equal(status_verdict_cert_words(&report, &cert, words), "begins in 2 h");
	cert.not_after_s = INT64_MAX;
	assert_int_equal(status_verdict_cert(&report, &cert), STATUS_WARN);
	assert_string_equal(status_verdict_cert_words(&report, &cert, words), "has no readable end");
}

static void test_servers_certificates_are_others_to_renew(void **state)
{
	struct status_report report = {.expiry_warning_s = 30 * DAY_S, .now_s = 100 * DAY_S - 1};
	struct status_cert cert = {.what = "server", .not_after_s = 100 * DAY_S};

	(void)state;
	assert_int_equal(status_verdict_cert(&report, &cert), STATUS_GOOD);
	report.now_s++;
	assert_int_equal(status_verdict_cert(&report, &cert), STATUS_WARN);
}

static void test_spans(void **state)
{
	char span[STATUS_SPAN_BYTES];

	(void)state;
	assert_string_equal(status_verdict_span(-5, span), "0 s");
	assert_string_equal(status_verdict_span(59, span), "59 s");
	assert_string_equal(status_verdict_span(60, span), "1 min");
	assert_string_equal(status_verdict_span(3600, span), "1 h");
	assert_string_equal(status_verdict_span(11520, span), "3 h 12 min");
	assert_string_equal(status_verdict_span(2 * DAY_S - 60, span), "47 h 59 min");
	assert_string_equal(status_verdict_span(2 * DAY_S, span), "2 days");
}

/* As it stands on the page. */
static char *escaped(const char *text)
{
	char *to = NULL;
	size_t len;
	FILE *out = open_memstream(&to, &len);

	for (; *text != '\0'; text++) {
		if (strchr("&<>\"'", *text) != NULL)
			fprintf(out, "%s",
			    *text == '&'   ? "&amp;"
			    : *text == '<' ? "&lt;"
			    : *text == '>' ? "&gt;"
			    : *text == '"' ? "&quot;"
					   : "&#39;");
		else
			fputc(*text, out);
	}
	fclose(out);
	return to;
}

static void test_every_code_has_its_remedy_on_the_page(void **state)
{
	struct status_report *report = status_fixture_new("one-broken");
	int code;

	(void)state;
	for (code = DIAGNOSIS_OK + 1; code < DIAGNOSIS_CODE_COUNT; code++) {
		struct diagnosis *diagnosis = &report->relays[0].paths[0].diagnosis;
		char *page, *remedy;
		size_t len;

		diagnosis_set(diagnosis, (enum diagnosis_code)code, "seen");
		diagnosis_set_cause(diagnosis, DIAGNOSIS_CAUSE_NONE);
		remedy = escaped(diagnosis_remedy(diagnosis));
		page = status_page(report, &len);
		assert_non_null(strstr(page, remedy));
		free(remedy);
		free(page);
	}
	status_report_free(report);
}

static void test_foreign_text_stays_text(void **state)
{
	char *page = page_of("hostile"), *at;

	(void)state;
	assert_null(strstr(page, "<script"));
	assert_null(strstr(page, "<img"));
	assert_null(strstr(page, "\"\">"));
	assert_non_null(strstr(page, "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
	/* Twenty thousand of them in two texts, each of which is cut. */
	assert_true(strlen(page) < 64 * 1024);
	for (at = page; *at != '\0'; at++)
		assert_true((unsigned char)*at >= 0x20 || *at == '\n');
	free(page);
}

static void test_names_are_utf_8_or_question_marks(void **state)
{
	char *page = page_of("fresh");

	(void)state;
	assert_non_null(strstr(page, ">z\u00fcrich ??????"));
	assert_null(strchr(page, '\xff'));
	free(page);
}

static void test_a_page_has_a_bound(void **state)
{
	char *page = page_of("endless");

	(void)state;
	assert_true(strlen(page) < 3 * STATUS_PAGE_RELAYS_BYTES);
	assert_non_null(strstr(page, "more relays are left out here"));
	assert_non_null(strstr(page, "<h2 id=\"process\">"));
	free(page);
}

static void test_the_style_is_small_and_alone(void **state)
{
	(void)state;
	assert_true(strlen(status_page_style) < 6000);
	assert_null(strstr(status_page_style, "url("));
	assert_null(strstr(status_page_style, "@import"));
	assert_null(strchr(status_page_style, '<'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pages_are_as_they_were),
	    cmocka_unit_test(test_one_sentence_says_it),
	    cmocka_unit_test(test_nothing_is_known_at_first),
	    cmocka_unit_test(test_the_gravest_comes_first),
	    cmocka_unit_test(test_a_small_limit_is_no_problem),
	    cmocka_unit_test(test_certificates_by_days_left),
	    cmocka_unit_test(test_servers_certificates_are_others_to_renew),
	    cmocka_unit_test(test_spans),
	    cmocka_unit_test(test_every_code_has_its_remedy_on_the_page),
	    cmocka_unit_test(test_foreign_text_stays_text),
	    cmocka_unit_test(test_names_are_utf_8_or_question_marks),
	    cmocka_unit_test(test_a_page_has_a_bound),
	    cmocka_unit_test(test_the_style_is_small_and_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
