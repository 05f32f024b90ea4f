/*
 * check_changes: see check_changes.h.  A path is the same path when relay, target and name are.
 */
#include "check/check_changes.h"

#include <string.h>
#include <time.h>

#define TIME_BYTES 32

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
}

static const struct check_path *find_path(const struct check_report *report, const struct check_path *like)
{
	size_t i;

	for (i = 0; i < report->path_count; i++) {
		const struct check_path *path = &report->paths[i];

		if (same_text(path->relay, like->relay) && same_text(path->target, like->target) &&
		    same_text(path->name, like->name))
			return path;
	}
	return NULL;
}

/* Of the first `count` items, those of the same thing that ended alike: one file may have several. */
static size_t count_alike(const struct check_report *report, size_t count, const struct check_item *like)
{
	size_t alike = 0, i;

	for (i = 0; i < count; i++) {
		const struct check_item *item = &report->items[i];

		alike += same_text(item->relay, like->relay) && same_text(item->what, like->what) &&
		    same_text(item->subject, like->subject) && item->outcome == like->outcome;
	}
	return alike;
}

static void print_state(const struct check_path *path, FILE *to)
{
	fputs(check_verdict_name(path->verdict), to);
	if (path->diagnosis.code != DIAGNOSIS_OK)
		fprintf(to, " (%s)", diagnosis_name(path->diagnosis.code));
}

static const char *fingerprint(const struct check_path *path)
{
	return path->evidence == NULL ? "" : path->evidence->sha256;
}

static size_t print_path(const struct check_path *was, const struct check_path *is, const char *when,
    FILE *to)
{
	size_t count = 0;

	if (was == NULL || was->verdict != is->verdict || was->diagnosis.code != is->diagnosis.code) {
		fprintf(to, "%s %s over %s: ", when, is->target, is->name);
		if (was != NULL) {
			print_state(was, to);
			fputs(" -> ", to);
		}
		print_state(is, to);
		if (is->diagnosis.code != DIAGNOSIS_OK)
			fprintf(to, ": %s", is->diagnosis.sentence);
		fputc('\n', to);
		count++;
	}
	if (was != NULL && fingerprint(was)[0] != '\0' && fingerprint(is)[0] != '\0' &&
	    strcmp(fingerprint(was), fingerprint(is)) != 0) {
		fprintf(to, "%s %s over %s: another certificate is shown: %s, issued by %s\n", when,
		    is->target, is->name, fingerprint(is), is->evidence->issuer);
		count++;
	}
	if (was != NULL && is->expected != NULL && was->as_expected != is->as_expected) {
		fprintf(to, "%s %s over %s: the rule of line %u, %s, %s\n", when, is->target, is->name,
		    is->expected_line, is->expected, is->as_expected ?
		    "holds again" : "does not hold any more");
		count++;
	}
	return count;
}

static size_t print_item(const struct check_report *before, const struct check_report *now, size_t at,
    const char *when, FILE *to)
{
	const struct check_item *is = &now->items[at];

	if (count_alike(now, at + 1, is) <= count_alike(before, before->item_count, is))
		return 0;
	fprintf(to, "%s %s %s: %s: %s\n", when, is->what, is->subject, check_outcome_name(is->outcome),
	    is->seen);
	return 1;
}

size_t check_changes_print(const struct check_report *before, const struct check_report *now, FILE *to)
{
	time_t began = (time_t)now->began_s;
	char when[TIME_BYTES] = "";
	struct tm tm;
	size_t i, count = 0;

	if (gmtime_r(&began, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	for (i = 0; i < now->item_count; i++)
		count += print_item(before, now, i, when, to);
	for (i = 0; i < now->path_count; i++)
		count += print_path(find_path(before, &now->paths[i]), &now->paths[i], when, to);
	return count;
}
