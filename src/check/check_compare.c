/*
 * check_compare: see check_compare.h.  Pure: the report in, the report with findings out.
 *
 * A path alone cannot tell a private CA that was forgotten in `trust` from a proxy that inspects; two paths can.
 */
#include "check/check_compare.h"

#include <stdio.h>
#include <string.h>

#include "base/mem.h"

#define LIST_BYTES 256

/* A full handshake, or one that was refused over what the server showed. */
static bool saw_server(const struct check_path *path)
{
	return path->evidence != NULL && !path->evidence->resumed && path->evidence->sha256[0] != '\0';
}

/* The server that the target's operators run, as far as a chain and the judgement can tell. */
static bool saw_real_server(const struct check_path *path)
{
	const struct judge_evidence *evidence = path->evidence;

	return saw_server(path) && evidence->chain.kind == TLS_FAULT_NONE && evidence->reasons == 0 &&
	    evidence->pin != JUDGE_NOT_MATCHED && evidence->expect_issuer != JUDGE_NOT_MATCHED &&
	    evidence->staple != JUDGE_STAPLE_REFUSED && path->verdict != CHECK_INSPECTED;
}

static bool same_target(const struct check_path *a, const struct check_path *b)
{
	return strcmp(a->target, b->target) == 0;
}

static bool same_server(const struct check_path *a, const struct check_path *b)
{
	return strcmp(a->evidence->sha256, b->evidence->sha256) == 0;
}

static bool is_first_of_target(const struct check_report *report, size_t at)
{
	size_t i;

	for (i = 0; i < at; i++)
		if (same_target(&report->paths[i], &report->paths[at]))
			return false;
	return true;
}

static bool any_sees_real_server(const struct check_report *report, const struct check_path *like)
{
	size_t i;

	for (i = 0; i < report->path_count; i++)
		if (same_target(&report->paths[i], like) && saw_real_server(&report->paths[i]))
			return true;
	return false;
}

static void mark_inspected(struct check_report *report)
{
	size_t i;

	for (i = 0; i < report->path_count; i++) {
		struct check_path *path = &report->paths[i];

		if (saw_server(path) && path->evidence->chain.kind == TLS_FAULT_UNTRUSTED &&
		    any_sees_real_server(report, path))
			path->verdict = CHECK_INSPECTED;
	}
}

static bool shown_alike(const struct check_path *path, const struct check_path *like)
{
	return same_target(path, like) && saw_server(path) && same_server(path, like);
}

/* Whether an earlier one has its name: several relays may go the same way. */
static bool named_before(const struct check_report *report, size_t at)
{
	size_t i;

	for (i = 0; i < at; i++)
		if (shown_alike(&report->paths[i], &report->paths[at]) &&
		    strcmp(report->paths[i].name, report->paths[at].name) == 0)
			return true;
	return false;
}

/* "direct, http://proxy:3128 and corp-b": the paths that were shown the same; *count of their names. */
static const char *list_paths(const struct check_report *report, const struct check_path *like, char *buf,
    size_t *count)
{
	const struct check_path *last = NULL;
	size_t used = 0, i;

	*count = 0;
	buf[0] = '\0';
	for (i = 0; i < report->path_count; i++) {
		const struct check_path *path = &report->paths[i];

		if (!shown_alike(path, like) || named_before(report, i))
			continue;
		if (last != NULL && used < LIST_BYTES)
			used += (size_t)snprintf(buf + used, LIST_BYTES - used, "%s%s", *count > 1 ? ", " : "", last->name);
		last = path;
		++*count;
	}
	if (last != NULL && used < LIST_BYTES)
		used += (size_t)snprintf(buf + used, LIST_BYTES - used, "%s%s", *count > 1 ? " and " : "", last->name);
	if (used >= LIST_BYTES)
		memcpy(buf + LIST_BYTES - 4, "...", 4);
	return buf;
}

/* Whether an earlier path of this target was shown the same certificate: it has been told. */
static bool told_before(const struct check_report *report, size_t at)
{
	size_t i;

	for (i = 0; i < at; i++)
		if (same_target(&report->paths[i], &report->paths[at]) && saw_server(&report->paths[i]) &&
		    same_server(&report->paths[i], &report->paths[at]))
			return true;
	return false;
}

static const char *what_it_is(const struct check_report *report, const struct check_path *path)
{
	if (path->verdict == CHECK_INSPECTED)
		return path->evidence->chain.kind == TLS_FAULT_NONE
		    ? "whoever issued it inspects TLS on the way"
		    : "it does not verify, and another path's does: TLS is inspected on the way";
	if (saw_real_server(path))
		return "the real server";
	if (any_sees_real_server(report, path))
		return "it is refused, and another path's is not";
	return "it is refused, and no path shows one that verifies";
}

/* One finding for each certificate that was shown for this target. */
static void tell_target(struct check_report *report, size_t first)
{
	char list[LIST_BYTES];
	size_t i, count;

	for (i = first; i < report->path_count; i++) {
		const struct check_path *path = &report->paths[i];
		struct check_finding *finding;

		if (!same_target(path, &report->paths[first]) || !saw_server(path) || told_before(report, i))
			continue;
		list_paths(report, path, list, &count);
		finding = check_report_add_finding(report);
		finding->target = mem_strdup(path->target);
		finding->outcome = saw_real_server(path) ? CHECK_PASSED : CHECK_FAILED;
		/* The beginning of a fingerprint tells two apart; all of it is with each path. */
		snprintf(finding->text, sizeof(finding->text), "%s %s the certificate %.23s... issued by %s: %s", list,
		    count == 1 ? "sees" : "see", path->evidence->sha256, path->evidence->issuer, what_it_is(report, path));
	}
}

static size_t count_seeing(const struct check_report *report, const struct check_path *like)
{
	size_t i, count = 0;

	for (i = 0; i < report->path_count; i++)
		count += same_target(&report->paths[i], like) && saw_server(&report->paths[i]);
	return count;
}

/* Certificates that differ though nothing is wrong with either: several servers behind one name, or several CAs. */
static void tell_difference(struct check_report *report, const struct check_path *like)
{
	const struct check_path *one = NULL;
	struct check_finding *finding;
	size_t i;

	for (i = 0; i < report->path_count; i++) {
		const struct check_path *path = &report->paths[i];

		if (!same_target(path, like) || !saw_real_server(path))
			continue;
		if (one == NULL) {
			one = path;
		} else if (strcmp(one->evidence->issuer, path->evidence->issuer) != 0) {
			finding = check_report_add_finding(report);
			finding->target = mem_strdup(path->target);
			finding->outcome = CHECK_WARNED;
			snprintf(finding->text, sizeof(finding->text),
			    "%s and %s see certificates of different issuers, and both verify: ask the target's "
			    "operators which is theirs, and set expect_issuer", one->name, path->name);
			return;
		}
	}
}

void check_compare(struct check_report *report)
{
	size_t i;

	mark_inspected(report);
	for (i = 0; i < report->path_count; i++) {
		if (!is_first_of_target(report, i) || count_seeing(report, &report->paths[i]) < 2)
			continue;
		tell_target(report, i);
		tell_difference(report, &report->paths[i]);
	}
}
