/*
 * check_report: see check_report.h.  Owns the data and says how a report ends; finds nothing out itself.
 */
#include "check/check_report.h"

#include <stdlib.h>
#include <string.h>

#include "base/exit_status.h"
#include "base/mem.h"

const char *check_stage_name(enum check_stage stage)
{
	switch (stage) {
	case CHECK_RESOLVE:
		return "resolve";
	case CHECK_CONNECT:
		return "connect";
	case CHECK_PROXY:
		return "proxy";
	case CHECK_TLS:
		return "tls";
	case CHECK_CERT:
		return "certificate";
	case CHECK_INSTANCE:
		return "instance";
	case CHECK_STAGE_COUNT:
		break;
	}
	return "?";
}

const char *check_outcome_name(enum check_outcome outcome)
{
	switch (outcome) {
	case CHECK_NOT_REACHED:
		return "not-reached";
	case CHECK_UNDER_WAY:
		return "under-way";
	case CHECK_PASSED:
		return "passed";
	case CHECK_WARNED:
		return "warned";
	case CHECK_FAILED:
		return "failed";
	case CHECK_NOT_APPLICABLE:
		return "not-applicable";
	}
	return "?";
}

const char *check_verdict_name(enum check_verdict verdict)
{
	switch (verdict) {
	case CHECK_CLEAN:
		return "clean";
	case CHECK_INSPECTED:
		return "inspected";
	case CHECK_BLOCKED:
		return "blocked";
	case CHECK_BROKEN:
		return "broken";
	}
	return "?";
}

struct check_report *check_report_new(void)
{
	return mem_calloc(1, sizeof(struct check_report));
}

void check_report_free(struct check_report *report)
{
	size_t i;

	if (report == NULL)
		return;
	for (i = 0; i < report->item_count; i++)
		free(report->items[i].relay);
	for (i = 0; i < report->path_count; i++) {
		free(report->paths[i].relay);
		free(report->paths[i].target);
		free(report->paths[i].name);
		free(report->paths[i].evidence);
		free(report->paths[i].expected);
	}
	for (i = 0; i < report->finding_count; i++)
		free(report->findings[i].target);
	for (i = 0; i < report->unmatched_count; i++)
		free(report->unmatched[i]);
	free(report->items);
	free(report->paths);
	free(report->findings);
	free(report->unmatched);
	free(report->file);
	free(report);
}

/* An array one longer, its last element zeroed. */
static void *grow(void *array, size_t *count, size_t element_bytes)
{
	char *grown = mem_realloc(array, (*count + 1) * element_bytes);

	memset(grown + *count * element_bytes, 0, element_bytes);
	(*count)++;
	return grown;
}

struct check_item *check_report_add_item(struct check_report *report)
{
	report->items = grow(report->items, &report->item_count, sizeof(*report->items));
	return &report->items[report->item_count - 1];
}

struct check_path *check_report_add_path(struct check_report *report)
{
	struct check_path *path;
	int stage;

	report->paths = grow(report->paths, &report->path_count, sizeof(*report->paths));
	path = &report->paths[report->path_count - 1];
	path->verdict = CHECK_BROKEN;
	for (stage = 0; stage < CHECK_STAGE_COUNT; stage++)
		path->steps[stage].us = -1;
	return path;
}

struct check_finding *check_report_add_finding(struct check_report *report)
{
	report->findings = grow(report->findings, &report->finding_count, sizeof(*report->findings));
	return &report->findings[report->finding_count - 1];
}

void check_report_add_unmatched(struct check_report *report, const char *text)
{
	report->unmatched = grow(report->unmatched, &report->unmatched_count, sizeof(*report->unmatched));
	report->unmatched[report->unmatched_count - 1] = mem_strdup(text);
}

static bool any_item_failed(const struct check_report *report)
{
	size_t i;

	for (i = 0; i < report->item_count; i++)
		if (report->items[i].outcome == CHECK_FAILED)
			return true;
	return false;
}

static int status_by_rules(const struct check_report *report)
{
	size_t i;

	for (i = 0; i < report->path_count; i++)
		if (report->paths[i].expected != NULL && !report->paths[i].as_expected)
			return EXIT_STATUS_FAILED;
	return report->unmatched_count == 0 ? EXIT_STATUS_OK : EXIT_STATUS_FAILED;
}

int check_report_exit_status(const struct check_report *report)
{
	int status = any_item_failed(report) ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
	size_t i;

	/* The rules alone decide: a rule may well expect that a path is blocked. */
	if (report->with_rules)
		return status_by_rules(report);
	for (i = 0; i < report->path_count; i++) {
		if (report->paths[i].verdict == CHECK_INSPECTED)
			return EXIT_STATUS_INSPECTED;
		if (report->paths[i].verdict != CHECK_CLEAN)
			status = EXIT_STATUS_FAILED;
	}
	return status;
}
