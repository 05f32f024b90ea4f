/* check_setup: see check_setup.h.  Every fault is told in one go, at its place: file and line, or option. */
#include "check/check_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/exit_status.h"
#include "base/mem.h"
#include "base/text.h"
#include "config/config_print.h"
#include "dial/relay_user.h"

/* ---- rules that speak of what the configuration has not ---- */

static bool is_walked(const struct config *config, const struct check_rule *rule)
{
	size_t i, j;

	for (i = 0; config != NULL && i < config->relay_count; i++) {
		const struct config_relay *relay = &config->relays[i];

		if (strcmp(relay->target.host, rule->target.host) != 0 || relay->target.port != rule->target.port)
			continue;
		for (j = 0; j < relay->path_count; j++) {
			if (strcmp(relay->paths[j].name, rule->path) == 0)
				return true;
		}
	}
	return false;
}

/*
 * The configuration with the further relays that rules need; `config` is taken, and given back where nothing is added.
 * *made tells whose the faults in it are; the caller frees it.
 */
static struct config *add_rules(struct check_setup *setup, const struct check_options *options, struct config *config,
    struct check_draft **made)
{
	struct check_draft *draft = *made = check_draft_new(options->file, &options->draft);
	struct config *whole;
	size_t added = 0, i;

	for (i = 0; i < check_rules_count(setup->rules); i++) {
		const struct check_rule *rule = check_rules_at(setup->rules, i);

		if (is_walked(config, rule))
			continue;
		check_draft_add(draft, config, rule->target_text, rule->path, rule->line);
		added++;
	}
	if (added == 0)
		return config;
	config_report_clear(&setup->loaded);
	config_report_init(&setup->loaded, options->file != NULL ? options->file : options->rules);
	whole = check_draft_load(draft, &setup->loaded);
	config_free(config);
	return whole;
}

/* ---- loading ---- */

static struct config *load_base(struct check_setup *setup, const struct check_options *options)
{
	struct check_draft *draft;
	struct config *config;

	if (options->file != NULL)
		return config_load(options->file, &setup->loaded);
	if (options->draft.target == NULL)
		return NULL; /* the rules alone */
	draft = check_draft_new(NULL, &options->draft);
	config = check_draft_load(draft, &setup->loaded);
	check_draft_free(draft);
	return config;
}

/* With the new certificate, where one is to be tried.  What the present one has unsealed stays open. */
static struct relay_set *build_set(const struct check_options *options, struct config *config,
    struct config_report *report)
{
	struct relay_set *present = NULL, *set;
	struct config_report unused;
	struct config *other;

	if (options->file == NULL || options->draft.client_bundle == NULL || config->faulty)
		return relay_user_set_new(config, NULL, report);
	config_report_init(&unused, options->file);
	other = config_load(options->file, &unused);
	if (other != NULL) {
		present = relay_user_set_new(other, NULL, &unused);
		if (present == NULL)
			config_free(other);
	}
	config_report_clear(&unused);
	set = relay_user_set_new(config, present, report);
	relay_set_unref(present);
	return set;
}

static void change(const struct check_options *options, struct config *config, struct config_report *report)
{
	if (options->file != NULL && options->draft.client_bundle != NULL &&
	    check_draft_swap_bundle(config, options->draft.client_bundle) == 0)
		config_report_fault(report, 0, "no relay has a client certificate that --client-bundle could take the place of");
	if (options->timeout_ms > 0)
		check_draft_cap_timeouts(config, options->timeout_ms);
}

static bool relays_are_known(const struct check_options *options, const struct relay_set *set)
{
	bool all = true;
	size_t i, j;

	for (i = 0; i < options->relay_count; i++) {
		const char **names = mem_calloc(set->route_count + 1, sizeof(*names));
		const char *nearest;
		bool found = false;

		for (j = 0; j < set->route_count; j++) {
			names[j] = set->routes[j].config->name;
			found = found || strcmp(names[j], options->relays[i]) == 0;
		}
		nearest = text_nearest(options->relays[i], names);
		if (!found)
			fprintf(stderr, "midrelay: there is no [relay %s] in %s%s%s%s\n", options->relays[i], options->file,
			    nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "",
			    nearest != NULL ? "?" : "");
		all = all && found;
		free(names);
	}
	return all;
}

/* Faults as `midrelay config` tells them; notes are for the items of the report. */
static void print_faults(const struct check_options *options, struct config_report *report)
{
	size_t i;

	if (options->file != NULL) {
		config_print_report(report, stderr);
		return;
	}
	check_draft_name_options(&options->draft, report);
	for (i = 0; i < report->fault_count; i++)
		fprintf(stderr, "midrelay: %s\n", report->faults[i].text);
}

int check_setup_load(struct check_setup *setup, const struct check_options *options)
{
	struct check_draft *draft = NULL;
	struct config_report rules;
	struct config *config;
	int status = EXIT_STATUS_CONFIG;
	bool readable;

	config_report_init(&setup->loaded, options->file != NULL ? options->file : "command line");
	config_report_init(&rules, options->rules != NULL ? options->rules : "");
	config = load_base(setup, options);
	readable = setup->loaded.fault_count == 0;
	if (options->rules != NULL)
		setup->rules = check_rules_load(options->rules, &rules);
	if (readable && setup->rules != NULL)
		config = add_rules(setup, options, config, &draft);
	if (config != NULL) {
		change(options, config, &setup->loaded);
		setup->set = build_set(options, config, &setup->loaded);
		if (setup->set == NULL)
			config_free(config);
	}
	config_report_sort(&setup->loaded);
	if (draft != NULL)
		check_draft_move_faults(draft, &setup->loaded, &rules);
	check_draft_free(draft);
	config_report_sort(&rules);
	if (setup->loaded.fault_count > 0)
		print_faults(options, &setup->loaded);
	if (rules.fault_count > 0)
		config_print_report(&rules, stderr);
	if (setup->set != NULL && setup->loaded.fault_count == 0 && rules.fault_count == 0)
		status = relays_are_known(options, setup->set) ? EXIT_STATUS_OK : EXIT_STATUS_USAGE;
	else if (options->draft.target != NULL && !readable)
		status = EXIT_STATUS_USAGE;
	config_report_clear(&rules);
	return status;
}

void check_setup_clear(struct check_setup *setup)
{
	relay_set_unref(setup->set);
	check_rules_free(setup->rules);
	config_report_clear(&setup->loaded);
	memset(setup, 0, sizeof(*setup));
}
