/*
 * check_print_junit: the report as JUnit XML, as Jenkins and GitLab read it: a suite for each group of cases,
 * times in seconds.
 *
 * XML 1.0 has no way to write most control characters, so that whatever is not printable ASCII is escaped as
 * text.
 */
#include "check/check_print.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "check/check_cases.h"
#include "check/check_pen.h"

static void print_xml(const char *text, FILE *out)
{
	char *clean = check_pen_clean(text), *at;

	for (at = clean; *at != '\0'; at++) {
		if (*at == '&')
			fputs("&amp;", out);
		else if (*at == '<')
			fputs("&lt;", out);
		else if (*at == '>')
			fputs("&gt;", out);
		else if (*at == '"')
			fputs("&quot;", out);
		else if (*at == '\'')
			fputs("&apos;", out);
		else
			putc(*at, out);
	}
	free(clean);
}

static void print_attribute(const char *name, const char *value, FILE *out)
{
	fprintf(out, " %s=\"", name);
	print_xml(value, out);
	putc('"', out);
}

static void print_line(const char *label, const char *text, FILE *out)
{
	if (text[0] == '\0')
		return;
	fprintf(out, "%s: ", label);
	print_xml(text, out);
	putc('\n', out);
}

static int64_t case_us(const struct check_case *test)
{
	return test->kind == CHECK_CASE_PATH ? check_pen_total_us(test->path) : 0;
}

static void print_counts(const struct check_case *cases, size_t count, FILE *out)
{
	size_t failures = 0, skipped = 0, i;
	int64_t us = 0;

	for (i = 0; i < count; i++) {
		failures += cases[i].outcome == CHECK_FAILED;
		skipped += cases[i].outcome == CHECK_NOT_APPLICABLE;
		us += case_us(&cases[i]);
	}
	fprintf(out, " tests=\"%zu\" failures=\"%zu\" errors=\"0\" skipped=\"%zu\" time=\"%.6f\"", count,
	    failures, skipped, (double)us / 1e6);
}

static void print_failure(const struct check_case *test, FILE *out)
{
	const struct check_path *path = test->path;
	char text[JUDGE_MAX_PIECES * 320];

	fputs("      <failure", out);
	print_attribute("message", test->reason, out);
	print_attribute("type",
	    path != NULL && path->diagnosis.code != DIAGNOSIS_OK ? diagnosis_name(path->diagnosis.code)
								 : "failed",
	    out);
	fputs(">", out);
	print_line("seen", test->reason, out);
	if (path != NULL && path->diagnosis.code != DIAGNOSIS_OK)
		print_line("remedy", diagnosis_remedy(&path->diagnosis), out);
	if (path != NULL && path->evidence != NULL)
		print_line("evidence", judge_evidence_text(path->evidence, text, sizeof(text)), out);
	if (test->item != NULL)
		print_line("remedy", test->item->remedy, out);
	fputs("</failure>\n", out);
}

/* The stages and the notes, which a pipeline shows with the case. */
static void print_output(const struct check_path *path, FILE *out)
{
	const struct check_step *step;
	size_t i;
	int stage;

	fputs("      <system-out>", out);
	for (stage = 0; stage < CHECK_STAGE_COUNT; stage++) {
		step = &path->steps[stage];
		fprintf(out, "%s: %s", check_stage_name((enum check_stage)stage),
		    check_outcome_name(step->outcome));
		if (step->us >= 0)
			fprintf(out, " %.3f ms", (double)step->us / 1000);
		if (step->seen[0] != '\0') {
			fputs(" ", out);
			print_xml(step->seen, out);
		}
		putc('\n', out);
	}
	for (i = 0; i < path->note_count; i++)
		print_line("note", path->notes[i], out);
	fputs("</system-out>\n", out);
}

static void print_case(const struct check_case *test, FILE *out)
{
	fputs("    <testcase", out);
	print_attribute("classname", test->group, out);
	print_attribute("name", test->name, out);
	fprintf(out, " time=\"%.6f\">\n", (double)case_us(test) / 1e6);
	if (test->outcome == CHECK_FAILED)
		print_failure(test, out);
	if (test->outcome == CHECK_NOT_APPLICABLE) {
		fputs("      <skipped", out);
		print_attribute("message", test->reason, out);
		fputs("/>\n", out);
	}
	if (test->kind == CHECK_CASE_PATH)
		print_output(test->path, out);
	fputs("    </testcase>\n", out);
}

static void print_property(const char *name, const char *value, FILE *out)
{
	fputs("      <property", out);
	print_attribute("name", name, out);
	print_attribute("value", value, out);
	fputs("/>\n", out);
}

static void print_suite(
    const struct check_report *report, const struct check_case *cases, size_t count, FILE *out)
{
	char when[32] = "";
	time_t began = (time_t)report->began_s;
	struct tm tm;
	size_t i;

	if (gmtime_r(&began, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
	fputs("  <testsuite", out);
	print_attribute("name", cases[0].group, out);
	print_counts(cases, count, out);
	print_attribute("timestamp", when, out);
	fputs(">\n    <properties>\n", out);
	print_property("configuration", report->file != NULL ? report->file : "", out);
	if (cases[0].kind == CHECK_CASE_PATH) {
		print_property("relay", cases[0].path->relay, out);
		print_property("target", cases[0].path->target, out);
	}
	fputs("    </properties>\n", out);
	for (i = 0; i < count; i++)
		print_case(&cases[i], out);
	fputs("  </testsuite>\n", out);
}

void check_print_junit(const struct check_report *report, FILE *out)
{
	size_t count, first, next;
	struct check_case *cases = check_cases_new(report, &count);

	fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"midrelay check\"", out);
	print_counts(cases, count, out);
	fputs(">\n", out);
	for (first = 0; first < count; first = next) {
		for (next = first + 1; next < count; next++)
			if (cases[next].kind != cases[first].kind ||
			    strcmp(cases[next].group, cases[first].group) != 0)
				break;
		print_suite(report, &cases[first], next - first, out);
	}
	fputs("</testsuites>\n", out);
	check_cases_free(cases, count);
}
