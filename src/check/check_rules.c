/*
 * check_rules: see check_rules.h.  Reads the file by the configuration's own reader, so that lines, comments
 * and bad bytes are treated alike.
 */
#include "check/check_rules.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "config/config_read.h"

#define SHOWN_BYTES 100
#define MAX_RULES 1000
#define DEFAULT_PORT 443

struct check_rules {
	struct check_rule *items;
	size_t count;
};

enum { KEY_TARGET, KEY_PATH, KEY_EXPECT, KEY_COUNT };
static const char *const keys[KEY_COUNT + 1] = {"target", "path", "expect", NULL};
static const char *const verdicts[] = {"clean", "inspected", "blocked", NULL};

static bool is_one_of(const char *word, const char *const *list)
{
	for (; *list != NULL; list++)
		if (strcmp(word, *list) == 0)
			return true;
	return false;
}

static void rule_clear(struct check_rule *rule)
{
	free(rule->name);
	hostport_clear(&rule->target);
	free(rule->target_text);
	free(rule->path);
	free(rule->expect);
}

void check_rules_free(struct check_rules *rules)
{
	size_t i;

	if (rules == NULL)
		return;
	for (i = 0; i < rules->count; i++)
		rule_clear(&rules->items[i]);
	free(rules->items);
	free(rules);
}

size_t check_rules_count(const struct check_rules *rules)
{
	return rules == NULL ? 0 : rules->count;
}

const struct check_rule *check_rules_at(const struct check_rules *rules, size_t i)
{
	return &rules->items[i];
}

/* ---- one rule ---- */

static void set_target(struct check_rule *rule, const struct config_entry *entry,
    struct config_report *report)
{
	struct error err;

	if (!hostport_parse(entry->value, DEFAULT_PORT, &rule->target, &err))
		config_report_fault(report, entry->line, "target: %s", err.text);
	else
		rule->target_text = hostport_format(&rule->target);
}

static void set_path(struct check_rule *rule, const struct config_entry *entry, struct config_report *report)
{
	struct error err;

	if (strpbrk(entry->value, " \t,") != NULL) {
		config_report_fault(report, entry->line, "path: one path a rule");
		return;
	}
	rule->path = config_path_name(entry->value, &err);
	if (rule->path == NULL)
		config_report_fault(report, entry->line, "path: %s", err.text);
}

static void set_expect(struct check_rule *rule, const struct config_entry *entry,
    struct config_report *report)
{
	const char *nearest = text_nearest(entry->value, verdicts);
	char shown[SHOWN_BYTES];

	if (is_one_of(entry->value, verdicts) ||
	    (diagnosis_find(entry->value) != NULL && diagnosis_find(entry->value)->code != DIAGNOSIS_OK)) {
		rule->expect = mem_strdup(entry->value);
		return;
	}
	if (nearest == NULL)
		nearest = diagnosis_nearest(entry->value);
	text_escape(entry->value, strlen(entry->value), shown, sizeof(shown));
	if (nearest != NULL)
		config_report_fault(report, entry->line, "expect: there is no '%s'; did you mean %s?", shown,
		    nearest);
	else
		config_report_fault(report, entry->line,
		    "expect: must be clean, inspected, blocked or a diagnosis code (midrelay explain lists "
		    "them), not '%s'", shown);
}

static void report_unknown_key(const struct config_entry *entry, struct config_report *report)
{
	const char *nearest = text_nearest(entry->key, keys);

	if (nearest != NULL)
		config_report_fault(report, entry->line, "unknown key %s; did you mean %s?", entry->key,
		    nearest);
	else
		config_report_fault(report, entry->line, "unknown key %s; a rule has target, path and expect",
		    entry->key);
}

/* `lines`: where each of the keys stood. */
static void set_entry(struct check_rule *rule, const struct config_entry *entry, unsigned *lines,
    struct config_report *report)
{
	size_t key = 0;

	while (keys[key] != NULL && strcmp(keys[key], entry->key) != 0)
		key++;
	if (keys[key] == NULL) {
		report_unknown_key(entry, report);
		return;
	}
	if (lines[key] != 0) {
		config_report_fault(report, entry->line, "%s was given before, at line %u", entry->key,
		    lines[key]);
		return;
	}
	lines[key] = entry->line;
	if (entry->value[0] == '\0')
		config_report_fault(report, entry->line, "%s has no value", entry->key);
	else if (key == KEY_TARGET)
		set_target(rule, entry, report);
	else if (key == KEY_PATH)
		set_path(rule, entry, report);
	else
		set_expect(rule, entry, report);
}

/* False, and said why: this section is no rule. */
static bool make_rule(const struct config_section *section, struct check_rule *rule,
    struct config_report *report)
{
	size_t faults_before = report->fault_count, i;
	unsigned lines[KEY_COUNT] = {0};

	*rule = (struct check_rule){.name = mem_strdup(section->text), .line = section->line};
	for (i = 0; i < section->entry_count; i++)
		set_entry(rule, &section->entries[i], lines, report);
	for (i = 0; i < KEY_COUNT; i++)
		if (lines[i] == 0)
			config_report_fault(report, section->line, "[%s] has no %s", section->text, keys[i]);
	return report->fault_count == faults_before && !section->faulty;
}

static void check_twice(const struct check_rules *rules, const struct check_rule *rule,
    struct config_report *report)
{
	size_t i;

	for (i = 0; i < rules->count; i++) {
		const struct check_rule *other = &rules->items[i];

		if (strcmp(other->target_text, rule->target_text) == 0 && strcmp(other->path,
		    rule->path) == 0) {
			config_report_fault(report, rule->line, "[%s]: line %u has a rule for %s over %s "
			    "already", rule->name, other->line, rule->target_text, rule->path);
			return;
		}
	}
}

struct check_rules *check_rules_load(const char *file, struct config_report *report)
{
	struct check_rules *rules = mem_calloc(1, sizeof(*rules));
	size_t faults_before = report->fault_count, i;
	struct config_text text;

	if (!config_read_file(file, &text, report)) {
		free(rules);
		return NULL;
	}
	if (text.section_count == 0 && report->fault_count == faults_before)
		config_report_fault(report, 0, "holds no rule; one looks like [NAME] with target, path and "
		    "expect");
	if (text.section_count > MAX_RULES)
		config_report_fault(report, text.sections[MAX_RULES].line, "there are more than %u rules",
		    MAX_RULES);
	rules->items = mem_calloc(text.section_count, sizeof(*rules->items));
	for (i = 0; i < text.section_count && i < MAX_RULES; i++) {
		struct check_rule *rule = &rules->items[rules->count];

		if (!make_rule(&text.sections[i], rule, report)) {
			rule_clear(rule);
			continue;
		}
		check_twice(rules, rule, report);
		rules->count++;
	}
	config_text_clear(&text);
	config_report_sort(report);
	if (report->fault_count > faults_before) {
		check_rules_free(rules);
		return NULL;
	}
	return rules;
}

/* ---- what held ---- */

static bool holds(const char *expect, const struct check_path *path)
{
	size_t i;

	if (strcmp(expect, "clean") == 0)
		return path->verdict == CHECK_CLEAN;
	if (strcmp(expect, "inspected") == 0)
		return path->verdict == CHECK_INSPECTED;
	if (strcmp(expect, "blocked") == 0)
		return path->verdict == CHECK_BLOCKED;
	for (i = 0; i < sizeof(path->others) / sizeof(path->others[0]); i++)
		if (path->others[i].code != DIAGNOSIS_OK && strcmp(expect,
		    diagnosis_name(path->others[i].code)) == 0)
			return true;
	return path->diagnosis.code != DIAGNOSIS_OK && strcmp(expect,
	    diagnosis_name(path->diagnosis.code)) == 0;
}

void check_rules_apply(const struct check_rules *rules, struct check_report *report)
{
	size_t i, j;

	report->with_rules = true;
	for (i = 0; i < rules->count; i++) {
		const struct check_rule *rule = &rules->items[i];
		bool matched = false;
		char *text;

		for (j = 0; j < report->path_count; j++) {
			struct check_path *path = &report->paths[j];

			if (strcmp(path->target, rule->target_text) != 0 || strcmp(path->name,
			    rule->path) != 0)
				continue;
			matched = true;
			free(path->expected);
			path->expected = mem_strdup(rule->expect);
			path->expected_line = rule->line;
			path->as_expected = holds(rule->expect, path);
		}
		if (matched)
			continue;
		text = mem_printf("line %u, [%s]: %s over %s was not checked", rule->line, rule->name,
		    rule->target_text, rule->path);
		check_report_add_unmatched(report, text);
		free(text);
	}
}
