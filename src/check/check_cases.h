/*
 * check_cases: a report as test cases, for TAP and JUnit: the things on this host, the paths, the rules.
 *
 * Some case fails exactly where check_report_exit_status() is not 0: with rules these alone may fail, and
 * what else is not well is left out with the reason.
 */
#ifndef MIDRELAY_CHECK_CHECK_CASES_H
#define MIDRELAY_CHECK_CHECK_CASES_H

#include "check/check_report.h"

enum check_case_kind { CHECK_CASE_ITEM, CHECK_CASE_PATH, CHECK_CASE_RULE };

struct check_case {
	enum check_case_kind kind;
	char *group; /* "this host", "acme -> target:443", "rules" */
	char *name;
	enum check_outcome outcome;    /* PASSED, FAILED, or NOT_APPLICABLE: left out */
	char *reason;                  /* why it failed or is left out; "" */
	const struct check_path *path; /* borrowed from the report, as the item; NULL where it is none */
	const struct check_item *item;
};

struct check_case *check_cases_new(const struct check_report *report, size_t *count);
void check_cases_free(struct check_case *cases, size_t count);

#endif
