/*
 * check_rules: what somebody expects of paths, as a file: bypass rules as tests.
 *
 *	[instance goes round the inspection]
 *	target = acme.service-now.com
 *	path   = http://proxy.corp.example:3128
 *	expect = clean
 *
 * One section a rule, whatever its name.  `path` is `direct`, a proxy's URL, or the NAME of a [proxy NAME] of
 * the configuration; `expect` is `clean`, `inspected`, `blocked` (any refusal by the proxy) or a diagnosis
 * code.
 */
#ifndef MIDRELAY_CHECK_CHECK_RULES_H
#define MIDRELAY_CHECK_CHECK_RULES_H

#include "base/addr.h"
#include "check/check_report.h"
#include "config/config.h"

struct check_rule {
	char *name; /* of the section */
	struct hostport target;
	char *target_text; /* "host:port" */
	char *path;        /* as a path of the configuration is named */
	char *expect;
	unsigned line;
};

struct check_rules;

/* Every fault is in the report, with its line; NULL when there is one. */
struct check_rules *check_rules_load(const char *file, struct config_report *report);
void check_rules_free(struct check_rules *rules); /* NULL is fine */
size_t check_rules_count(const struct check_rules *rules);
const struct check_rule *check_rules_at(const struct check_rules *rules, size_t i);

/* Says of each path what was expected and whether it held; a rule that speaks of no path is `unmatched`. */
void check_rules_apply(const struct check_rules *rules, struct check_report *report);

#endif
