/*
 * check_cases: see check_cases.h.
 */
#include "check/check_cases.h"

#include <stdlib.h>

#include "base/mem.h"
#include "check/check_pen.h"

static const char left_to_rules[] = "left to the rules: ";

static char *path_reason(const struct check_path *path)
{
	if (path->diagnosis.code == DIAGNOSIS_OK)
		return mem_strdup(check_verdict_name(path->verdict));
	return mem_printf("%s: %s", diagnosis_name(path->diagnosis.code), path->diagnosis.sentence);
}

/* What fails without a rule that says so is left out where there are rules. */
static void settle(struct check_case *test, const struct check_report *report, bool passed, char *reason)
{
	if (passed) {
		test->outcome = CHECK_PASSED;
		test->reason = mem_strdup("");
	} else if (report->with_rules && test->kind != CHECK_CASE_RULE) {
		test->outcome = CHECK_NOT_APPLICABLE;
		test->reason = mem_printf("%s%s", left_to_rules, reason);
	} else {
		test->outcome = CHECK_FAILED;
		test->reason = mem_strdup(reason);
	}
	free(reason);
}

static void set_item(
    struct check_case *test, const struct check_report *report, const struct check_item *item)
{
	test->kind = CHECK_CASE_ITEM;
	test->item = item;
	test->group = mem_strdup("this host");
	test->name = mem_printf("%s%s%s %s", item->relay != NULL ? item->relay : "",
	    item->relay != NULL ? ": " : "", item->what, item->subject);
	settle(test, report, item->outcome != CHECK_FAILED, mem_strdup(item->seen));
}

static void set_path(
    struct check_case *test, const struct check_report *report, const struct check_path *path)
{
	test->kind = CHECK_CASE_PATH;
	test->path = path;
	test->group = check_pen_group(path, false);
	test->name = mem_strdup(path->name);
	settle(test, report, path->verdict == CHECK_CLEAN, path_reason(path));
}

static void set_rule(
    struct check_case *test, const struct check_report *report, const struct check_path *path)
{
	char *reason = path_reason(path), *group = check_pen_group(path, false);

	test->kind = CHECK_CASE_RULE;
	test->path = path;
	test->group = mem_strdup("rules");
	test->name =
	    mem_printf("line %u: %s, %s is %s", path->expected_line, group, path->name, path->expected);
	settle(test, report, path->as_expected,
	    mem_printf("is %s%s%s%s", check_verdict_name(path->verdict),
		path->diagnosis.code != DIAGNOSIS_OK ? " (" : "",
		path->diagnosis.code != DIAGNOSIS_OK ? reason : "",
		path->diagnosis.code != DIAGNOSIS_OK ? ")" : ""));
	free(reason);
	free(group);
}

static void set_unmatched(struct check_case *test, const struct check_report *report, const char *text)
{
	test->kind = CHECK_CASE_RULE;
	test->group = mem_strdup("rules");
	test->name = mem_strdup(text);
	settle(test, report, false, mem_strdup("no path is meant by it"));
}

struct check_case *check_cases_new(const struct check_report *report, size_t *count)
{
	struct check_case *cases = mem_calloc(
	    report->item_count + 2 * report->path_count + report->unmatched_count + 1, sizeof(*cases));
	size_t i, n = 0;

	for (i = 0; i < report->item_count; i++)
		set_item(&cases[n++], report, &report->items[i]);
	for (i = 0; i < report->path_count; i++)
		set_path(&cases[n++], report, &report->paths[i]);
	for (i = 0; report->with_rules && i < report->path_count; i++)
		if (report->paths[i].expected != NULL)
			set_rule(&cases[n++], report, &report->paths[i]);
	for (i = 0; report->with_rules && i < report->unmatched_count; i++)
		set_unmatched(&cases[n++], report, report->unmatched[i]);
	*count = n;
	return cases;
}

void check_cases_free(struct check_case *cases, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		free(cases[i].group);
		free(cases[i].name);
		free(cases[i].reason);
	}
	free(cases);
}
