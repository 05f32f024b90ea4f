/*
 * check_print_below: see check_print_below.h.  Many paths that fail alike are told of once.
 */
#include "check/check_print_below.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* One thing that is said of a path; those of the same kind with the same words are said once. */
struct remark {
	const struct check_path *path;
	const struct diagnosis *diagnosis; /* of a failure, else NULL */
	const char *text;
	char *owned; /* NULL, or text */
	bool said;
};

struct remarks {
	struct remark *all;
	size_t count;
};

static void add_remark(struct remarks *remarks, const struct check_path *path,
    const struct diagnosis *diagnosis, const char *text)
{
	remarks->all = mem_realloc(remarks->all, (remarks->count + 1) * sizeof(*remarks->all));
	remarks->all[remarks->count++] = (struct remark){.path = path, .diagnosis = diagnosis, .text = text};
}

static void print_heading(struct pen *pen, const char *text)
{
	pen_end_line(pen);
	pen_print(pen, PEN_BOLD, "%s", text);
	pen_end_line(pen);
}

static void append(char **text, const char *more, const char *between)
{
	char *longer = mem_printf("%s%s%s", *text, (*text)[0] != '\0' ? between : "", more);

	free(*text);
	*text = longer;
}

static bool same_trouble(const struct diagnosis *a, const struct diagnosis *b)
{
	return a->code == b->code && a->cause == b->cause;
}

/* The paths of which the same is said as of the first, which is not said of them any more. */
static char *labels_alike(const struct check_report *report, struct remarks *remarks, size_t first)
{
	const struct remark *one = &remarks->all[first];
	char *labels = mem_strdup(""), *label;
	size_t i;

	for (i = first; i < remarks->count; i++) {
		struct remark *other = &remarks->all[i];

		if (strcmp(other->text, one->text) != 0 ||
		    (one->diagnosis != NULL && !same_trouble(other->diagnosis, one->diagnosis)))
			continue;
		other->said = true;
		label = check_pen_label(report, other->path);
		append(&labels, label, ", ");
		free(label);
	}
	return labels;
}

static size_t count_trouble(const struct remarks *remarks, const struct diagnosis *like)
{
	size_t count = 0, i;

	for (i = 0; i < remarks->count; i++)
		count += same_trouble(remarks->all[i].diagnosis, like);
	return count;
}

/* A code, who failed with it and how, and what to do: which differs by the cause. */
static void print_code(
    const struct check_report *report, struct remarks *remarks, size_t first, struct pen *pen)
{
	const struct diagnosis *trouble = remarks->all[first].diagnosis;
	const char *cause = diagnosis_cause_info(trouble->cause)->name;
	size_t count = count_trouble(remarks, trouble), i;
	char *labels;

	pen_go_to(pen, 2);
	check_pen_mark(pen, CHECK_FAILED);
	pen_print(pen, PEN_BAD, " %s", diagnosis_name(trouble->code));
	if (cause[0] != '\0')
		pen_print(pen, PEN_PLAIN, " (%s)", cause);
	if (count > 1)
		pen_print(pen, PEN_PLAIN, " on %zu paths", count);
	pen_end_line(pen);
	for (i = first; i < remarks->count; i++) {
		if (remarks->all[i].said || !same_trouble(remarks->all[i].diagnosis, trouble))
			continue;
		labels = labels_alike(report, remarks, i);
		append(&labels, remarks->all[i].text, ": ");
		pen_go_to(pen, 4);
		pen_wrap(pen, PEN_PLAIN, 6, labels);
		free(labels);
	}
	pen_go_to(pen, 4);
	pen_print(pen, PEN_BOLD, "Do:");
	pen_go_to(pen, 8);
	pen_wrap(pen, PEN_PLAIN, 8, diagnosis_remedy(trouble));
}

static void print_failures(const struct check_report *report, struct pen *pen)
{
	struct remarks remarks = {0};
	const struct check_path *path;
	size_t i, j;

	for (i = 0; i < report->path_count; i++) {
		path = &report->paths[i];
		if (path->diagnosis.code != DIAGNOSIS_OK)
			add_remark(&remarks, path, &path->diagnosis, path->diagnosis.sentence);
		for (j = 0; j < sizeof(path->others) / sizeof(path->others[0]); j++)
			if (path->others[j].code != DIAGNOSIS_OK)
				add_remark(&remarks, path, &path->others[j], path->others[j].sentence);
	}
	if (remarks.count > 0)
		print_heading(pen, "Failures");
	for (i = 0; i < remarks.count; i++)
		if (!remarks.all[i].said)
			print_code(report, &remarks, i, pen);
	free(remarks.all);
}

static void print_notes(const struct check_report *report, struct pen *pen)
{
	struct remarks remarks = {0};
	char *labels;
	size_t i, j;

	for (i = 0; i < report->path_count; i++)
		for (j = 0; j < report->paths[i].note_count; j++)
			add_remark(&remarks, &report->paths[i], NULL, report->paths[i].notes[j]);
	if (remarks.count > 0)
		print_heading(pen, "Notes");
	for (i = 0; i < remarks.count; i++) {
		if (remarks.all[i].said)
			continue;
		labels = labels_alike(report, &remarks, i);
		append(&labels, remarks.all[i].text, ": ");
		pen_go_to(pen, 2);
		check_pen_mark(pen, CHECK_WARNED);
		pen_go_to(pen, 4);
		pen_wrap(pen, PEN_PLAIN, 6, labels);
		free(labels);
	}
	free(remarks.all);
}

/* Whether a server was looked at and found wrong. */
static bool is_evidence_telling(const struct check_path *path)
{
	if (path->evidence == NULL)
		return false;
	return path->verdict == CHECK_INSPECTED || path->evidence->chain.kind != TLS_FAULT_NONE ||
	       path->evidence->reasons != 0 || path->steps[CHECK_TLS].outcome == CHECK_FAILED;
}

static void print_pieces(const struct judge_evidence *evidence, struct pen *pen)
{
	struct judge_piece pieces[JUDGE_MAX_PIECES];
	size_t count = judge_pieces(evidence, pieces), i;
	unsigned text_column = 8, width;
	enum check_outcome outcome;
	char *text;

	for (i = 0; i < count; i++) {
		width = pen_width(pieces[i].name);
		if (pen->columns >= CHECK_TABLE_COLUMNS && 6 + width + 2 > text_column)
			text_column = 6 + width + 2;
	}
	for (i = 0; i < count; i++) {
		/* The words of judge_pieces() for what speaks against a server. */
		outcome = strcmp(pieces[i].says, "refuses") == 0 || strcmp(pieces[i].says, "inspected") == 0
			      ? CHECK_FAILED
			      : CHECK_NOT_REACHED;
		text = pieces[i].says[0] != '\0' ? mem_printf("%s (%s)", pieces[i].seen, pieces[i].says)
						 : mem_strdup(pieces[i].seen);
		if (outcome == CHECK_FAILED) {
			pen_go_to(pen, 4);
			check_pen_mark(pen, outcome);
		}
		pen_go_to(pen, 6);
		pen_print(pen, PEN_DIM, "%s", pieces[i].name);
		if (pen->columns < CHECK_TABLE_COLUMNS)
			pen_end_line(pen);
		pen_go_to(pen, text_column);
		pen_wrap(pen, PEN_PLAIN, text_column, text);
		free(text);
	}
}

/* Paths that were shown the same share a block. */
static void print_evidence(const struct check_report *report, struct pen *pen)
{
	struct remarks remarks = {0};
	char text[JUDGE_MAX_PIECES * 320], *labels;
	size_t i;

	for (i = 0; i < report->path_count; i++)
		if (is_evidence_telling(&report->paths[i])) {
			add_remark(&remarks, &report->paths[i], NULL, NULL);
			remarks.all[remarks.count - 1].owned =
			    mem_strdup(judge_evidence_text(report->paths[i].evidence, text, sizeof(text)));
			remarks.all[remarks.count - 1].text = remarks.all[remarks.count - 1].owned;
		}
	if (remarks.count > 0)
		print_heading(pen, "What the server showed");
	for (i = 0; i < remarks.count; i++) {
		if (remarks.all[i].said)
			continue;
		labels = labels_alike(report, &remarks, i);
		pen_go_to(pen, 2);
		pen_wrap(pen, PEN_PLAIN, 4, labels);
		print_pieces(remarks.all[i].path->evidence, pen);
		free(labels);
	}
	for (i = 0; i < remarks.count; i++)
		free(remarks.all[i].owned);
	free(remarks.all);
}

static void print_items(const struct check_report *report, struct pen *pen)
{
	const struct check_item *item;
	size_t passed = 0, i;
	char *text;

	if (report->item_count > 0)
		print_heading(pen, "This host");
	for (i = 0; i < report->item_count; i++) {
		item = &report->items[i];
		if (item->outcome == CHECK_PASSED) {
			passed++;
			continue;
		}
		text = mem_printf("%s%s%s %s: %s", item->relay != NULL ? item->relay : "",
		    item->relay != NULL ? ": " : "", item->what, item->subject, item->seen);
		pen_go_to(pen, 2);
		check_pen_mark(pen, item->outcome);
		pen_go_to(pen, 4);
		pen_wrap(pen, PEN_PLAIN, 6, text);
		free(text);
		if (item->remedy[0] == '\0')
			continue;
		pen_go_to(pen, 4);
		pen_print(pen, PEN_BOLD, "Do:");
		pen_go_to(pen, 8);
		pen_wrap(pen, PEN_PLAIN, 8, item->remedy);
	}
	if (passed > 0) {
		pen_go_to(pen, 2);
		check_pen_mark(pen, CHECK_PASSED);
		pen_print(
		    pen, PEN_PLAIN, " %zu local check%s passed", passed, passed == 1 ? "" : "s");
		pen_end_line(pen);
	}
}

static void print_findings(const struct check_report *report, struct pen *pen)
{
	bool several = false;
	char *text;
	size_t i;

	if (report->finding_count > 0)
		print_heading(pen, "Comparison");
	for (i = 1; i < report->finding_count; i++)
		several |= strcmp(report->findings[i].target, report->findings[0].target) != 0;
	for (i = 0; i < report->finding_count; i++) {
		text = mem_printf("%s%s%s", several ? report->findings[i].target : "", several ? ": " : "",
		    report->findings[i].text);
		pen_go_to(pen, 2);
		check_pen_mark(pen, report->findings[i].outcome);
		pen_go_to(pen, 4);
		pen_wrap(pen, PEN_PLAIN, 6, text);
		free(text);
	}
}

static void print_rules(const struct check_report *report, struct pen *pen)
{
	const struct check_path *path;
	char *text, *label;
	size_t i;

	if (report->with_rules)
		print_heading(pen, "Expectations");
	for (i = 0; report->with_rules && i < report->path_count; i++) {
		path = &report->paths[i];
		if (path->expected == NULL)
			continue;
		label = check_pen_label(report, path);
		if (path->as_expected)
			text = mem_printf("line %u: %s is %s", path->expected_line, label, path->expected);
		else
			text = mem_printf("line %u: %s should be %s and is %s (%s)", path->expected_line,
			    label, path->expected, check_verdict_name(path->verdict),
			    diagnosis_name(path->diagnosis.code));
		pen_go_to(pen, 2);
		check_pen_mark(pen, path->as_expected ? CHECK_PASSED : CHECK_FAILED);
		pen_go_to(pen, 4);
		pen_wrap(pen, PEN_PLAIN, 6, text);
		free(text);
		free(label);
	}
	for (i = 0; report->with_rules && i < report->unmatched_count; i++) {
		pen_go_to(pen, 2);
		check_pen_mark(pen, CHECK_FAILED);
		pen_go_to(pen, 4);
		pen_wrap(pen, PEN_PLAIN, 6, report->unmatched[i]);
	}
}

void check_print_below(const struct check_report *report, struct pen *pen)
{
	print_failures(report, pen);
	print_evidence(report, pen);
	print_notes(report, pen);
	print_findings(report, pen);
	print_items(report, pen);
	print_rules(report, pen);
}

static void append_count(char **text, size_t count, const char *what)
{
	char *part = mem_printf("%zu %s", count, what);

	if (count > 0)
		append(text, part, ", ");
	free(part);
}

static char *rules_summary(const struct check_report *report)
{
	size_t rules = report->unmatched_count, held = 0, i;

	if (!report->with_rules)
		return mem_strdup("");
	for (i = 0; i < report->path_count; i++) {
		rules += report->paths[i].expected != NULL;
		held += report->paths[i].expected != NULL && report->paths[i].as_expected;
	}
	return mem_printf("%zu of %zu rule%s held", held, rules, rules == 1 ? "" : "s");
}

char *check_print_summary(const struct check_report *report)
{
	size_t by_verdict[CHECK_BROKEN + 1] = {0}, items = 0, i;
	char *summary = rules_summary(report), *rest = mem_strdup(""), *passed;

	for (i = 0; i < report->path_count; i++)
		by_verdict[report->paths[i].verdict]++;
	for (i = 0; i < report->item_count; i++)
		items += report->items[i].outcome == CHECK_FAILED;
	passed = report->path_count == 0 ? mem_strdup("no paths")
					 : mem_printf("%zu of %zu path%s passed", by_verdict[CHECK_CLEAN],
					       report->path_count, report->path_count == 1 ? "" : "s");
	append(&summary, passed, "; ");
	append_count(&rest, by_verdict[CHECK_INSPECTED], "inspected");
	append_count(&rest, by_verdict[CHECK_BLOCKED], "blocked by the proxy");
	append_count(&rest, by_verdict[CHECK_BROKEN], "broken");
	append_count(&rest, items, items == 1 ? "local check failed" : "local checks failed");
	if (rest[0] != '\0')
		append(&summary, rest, "; ");
	free(passed);
	free(rest);
	return summary;
}
