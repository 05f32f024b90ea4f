/*
 * check_print_tap: the report as TAP version 13 (testanything.org), which every consumer reads: a test point
 * for each case, with a YAML block of what was seen.
 *
 * Scalars of the block are double-quoted throughout, with \\ and \" alone: that is YAML, and what readers of
 * a part of YAML take too; those stumble over a sequence whose scalars have a colon, so that notes are a
 * numbered mapping.
 */
#include "check/check_print.h"

#include <stdlib.h>

#include "base/mem.h"
#include "check/check_cases.h"
#include "check/check_pen.h"

/* A description or a reason: "#" would begin a directive. */
static void print_words(const char *text, FILE *out)
{
	char *clean = check_pen_clean(text), *at;

	for (at = clean; *at != '\0'; at++) {
		if (*at == '#' || *at == '\\')
			putc('\\', out);
		putc(*at, out);
	}
	free(clean);
}

static void print_quoted(const char *text, FILE *out)
{
	char *clean = check_pen_clean(text), *at;

	putc('"', out);
	for (at = clean; *at != '\0'; at++) {
		if (*at == '"' || *at == '\\')
			putc('\\', out);
		putc(*at, out);
	}
	fputs("\"\n", out);
	free(clean);
}

static void print_scalar(const char *indent, const char *key, const char *text, FILE *out)
{
	if (text[0] == '\0')
		return;
	fprintf(out, "%s%s: ", indent, key);
	print_quoted(text, out);
}

static void print_stages(const struct check_path *path, FILE *out)
{
	const struct check_step *step;
	int stage;

	fputs("  stages:\n", out);
	for (stage = 0; stage < CHECK_STAGE_COUNT; stage++) {
		step = &path->steps[stage];
		fprintf(out, "    %s:\n", check_stage_name((enum check_stage)stage));
		print_scalar("      ", "outcome", check_outcome_name(step->outcome), out);
		if (step->us >= 0)
			fprintf(out, "      ms: %.3f\n", (double)step->us / 1000);
		print_scalar("      ", "seen", step->seen, out);
	}
}

static void print_path(const struct check_path *path, FILE *out)
{
	const struct diagnosis *d = &path->diagnosis;
	char text[JUDGE_MAX_PIECES * 320];

	print_scalar("  ", "verdict", check_verdict_name(path->verdict), out);
	if (d->code != DIAGNOSIS_OK) {
		print_scalar("  ", "message", d->sentence, out);
		print_scalar("  ", "code", diagnosis_name(d->code), out);
		print_scalar("  ", "remedy", diagnosis_remedy(d), out);
	}
	if (path->evidence != NULL)
		print_scalar("  ", "evidence", judge_evidence_text(path->evidence, text, sizeof(text)), out);
}

static void print_notes(const struct check_path *path, FILE *out)
{
	size_t i;

	if (path->note_count > 0)
		fputs("  notes:\n", out);
	for (i = 0; i < path->note_count; i++) {
		fprintf(out, "    %zu: ", i + 1);
		print_quoted(path->notes[i], out);
	}
}

static void print_block(const struct check_case *test, FILE *out)
{
	if (test->path == NULL && test->item == NULL)
		return;
	fputs("  ---\n", out);
	if (test->path != NULL)
		print_path(test->path, out);
	if (test->kind == CHECK_CASE_PATH) {
		print_stages(test->path, out);
		print_notes(test->path, out);
	}
	if (test->item != NULL) {
		print_scalar("  ", "outcome", check_outcome_name(test->item->outcome), out);
		print_scalar("  ", "message", test->item->seen, out);
		print_scalar("  ", "remedy", test->item->remedy, out);
	}
	fputs("  ...\n", out);
}

void check_print_tap(const struct check_report *report, FILE *out)
{
	size_t count, i;
	struct check_case *cases = check_cases_new(report, &count);

	fputs("TAP version 13\n", out);
	if (count == 0)
		fputs("1..0 # SKIP nothing to check\n", out);
	else
		fprintf(out, "1..%zu\n", count);
	for (i = 0; i < count; i++) {
		fprintf(out, "%s %zu - ", cases[i].outcome == CHECK_FAILED ? "not ok" : "ok", i + 1);
		print_words(cases[i].group, out);
		fputs(": ", out);
		print_words(cases[i].name, out);
		if (cases[i].outcome == CHECK_NOT_APPLICABLE) {
			fputs(" # SKIP ", out);
			print_words(cases[i].reason, out);
		}
		putc('\n', out);
		print_block(&cases[i], out);
	}
	for (i = 0; i < report->finding_count; i++) {
		fprintf(out, "# %s: ", check_outcome_name(report->findings[i].outcome));
		print_words(report->findings[i].text, out);
		putc('\n', out);
	}
	check_cases_free(cases, count);
}
