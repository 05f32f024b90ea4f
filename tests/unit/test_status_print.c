/*
 * Proves that made-up reports print as in tests/status (UPDATE_GOLDEN=1 writes them anew): as JSON, for Prometheus, and for
 * a terminal; that what is foreign stays inside its quotes, and that no line is wider than the terminal where words allow.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "status/status_print.h"
#include "status/status_text.h"
#include "golden.h"
#include "status_fixture.h"

#define COLUMNS 80

enum form { JSON, METRICS, TEXT, COLOUR };
static const char *const endings[] = {"json", "prom", "txt", "colour.txt"};
static const char *const golden_names[] = {"one-broken", "one-healthy", "stopping", "ending", NULL};

static char *printed(const struct status_report *report, enum form form, size_t *len)
{
	struct status_text_style style = {COLUMNS, form == COLOUR, form == COLOUR};

	switch (form) {
	case JSON:
		return status_json(report, len);
	case METRICS:
		return status_metrics(report, len);
	case TEXT:
	case COLOUR:
		return status_text(report, &style, len);
	}
	return NULL;
}

static void test_golden(void **state)
{
	size_t i, len;
	int form;

	for (i = 0; golden_names[i] != NULL; i++) {
		struct status_report *report = status_fixture_new(golden_names[i]);

		assert_non_null(report);
		for (form = JSON; form <= COLOUR; form++) {
			char *text = printed(report, (enum form)form, &len), *file;

			assert_non_null(text);
			assert_int_equal(len, strlen(text));
			file = mem_printf("status/%s.%s", golden_names[i], endings[form]);
			golden_assert(file, text);
			free(file);
			free(text);
		}
		status_report_free(report);
	}
}

/* All fixtures, in all forms: whole, and in a line each what belongs into one. */
static void test_every_fixture(void **state)
{
	size_t i, len;

	for (i = 0; status_fixture_names[i] != NULL; i++) {
		struct status_report *report = status_fixture_new(status_fixture_names[i]);
		char *text = printed(report, JSON, &len);
		const char *line;
		json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);

		assert_non_null(root);
		assert_int_equal(json_array_size(json_object_get(root, "relays")), report->relay_count);
		json_decref(root);
		free(text);
		text = printed(report, METRICS, &len);
		assert_int_equal(text[len - 1], '\n');
		for (line = text; *line != '\0'; line = strchr(line, '\n') + 1)
			assert_true(strncmp(line, "midrelay_", 9) == 0 || strncmp(line, "process_", 8) == 0 ||
			    strncmp(line, "# HELP ", 7) == 0 || strncmp(line, "# TYPE ", 7) == 0);
		free(text);
		status_report_free(report);
	}
}

static void test_labels_are_escaped(void **state)
{
	struct status_report *report = status_fixture_new("one-healthy");
	char *text;
	size_t len;

	free(report->relays[0].name);
	report->relays[0].name = mem_strdup("b\xc3\xbcro \"a\\b\"\nx");
	text = printed(report, METRICS, &len);
	assert_non_null(strstr(text, "midrelay_connections_open{relay=\"b\xc3\xbcro \\\"a\\\\b\\\"\\nx\"} "));
	free(text);
	status_report_free(report);
}

/* Two certificates of one name would be one series twice. */
static void test_a_series_is_there_once(void **state)
{
	struct status_report *report = status_fixture_new("one-healthy");
	struct status_relay *relay = &report->relays[0];
	char *text, *first, *subject = mem_strdup("CN=twice");
	size_t len, i;

	assert_true(relay->cert_count >= 2);
	for (i = 0; i < 2; i++) {
		free(relay->certs[i].subject);
		relay->certs[i].subject = mem_strdup(subject);
		relay->certs[i].what = "client-chain";
		relay->certs[i].not_after_s = 2000000000 - (int64_t)i;
	}
	text = printed(report, METRICS, &len);
	first = strstr(text, "subject=\"CN=twice\"} 1999999999\n");
	assert_non_null(first);
	assert_null(strstr(text, "subject=\"CN=twice\"} 2000000000\n"));
	free(text);
	free(subject);
	status_report_free(report);
}

static void test_width(void **state)
{
	struct status_report *report = status_fixture_new("one-broken");
	struct status_text_style style = {COLUMNS, false, false};
	size_t len;
	char *text = status_text(report, &style, &len);
	const char *line;

	for (line = text; *line != '\0'; line = strchr(line, '\n') + 1)
		if (strcspn(line, "\n") > COLUMNS + 20)
			fail_msg("too wide: %.*s", (int)strcspn(line, "\n"), line);
	assert_null(strchr(text, '\033'));
	free(text);
	status_report_free(report);
}

static void test_readiness(void **state)
{
	struct status_report *report = status_fixture_new("one-broken");
	char *text;
	size_t len;
	bool ready;

	text = status_readiness(report, &ready, &len);
	assert_false(ready);
	assert_memory_equal(text, "relay ", 6);
	free(text);
	status_report_free(report);
	report = status_fixture_new("one-healthy");
	text = status_readiness(report, &ready, &len);
	assert_true(ready);
	assert_string_equal(text, "ready\n");
	free(text);
	report->draining = true;
	text = status_readiness(report, &ready, &len);
	assert_false(ready);
	assert_string_equal(text, "draining\n");
	free(text);
	status_report_free(report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden),
	    cmocka_unit_test(test_every_fixture),
	    cmocka_unit_test(test_labels_are_escaped),
	    cmocka_unit_test(test_a_series_is_there_once),
	    cmocka_unit_test(test_width),
	    cmocka_unit_test(test_readiness),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
