/* check_setup: see check_setup.h.  Every fault is told in one go, at its place: file and line, or option. */
#include "check/check_setup.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/exit_status.h"
#include "base/mem.h"
#include "base/text.h"
#include "config/config_print.h"

static struct config *load_base(struct check_setup *setup, const struct check_options *options)
{
	struct check_draft *draft;
	struct config *config;

	if (options->file != NULL)
		return config_load(options->file, &setup->loaded);
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
		return relay_set_new(config, 1, NULL, report);
	config_report_init(&unused, options->file);
	other = config_load(options->file, &unused);
	if (other != NULL) {
		present = relay_set_new(other, 1, NULL, &unused);
		if (present == NULL)
			config_free(other);
	}
	config_report_clear(&unused);
	set = relay_set_new(config, 1, present, report);
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
	struct config *config;
	bool readable;

	config_report_init(&setup->loaded, options->file != NULL ? options->file : "command line");
	config = load_base(setup, options);
	readable = setup->loaded.fault_count == 0;
	if (config != NULL) {
		change(options, config, &setup->loaded);
		setup->set = build_set(options, config, &setup->loaded);
		if (setup->set == NULL)
			config_free(config);
	}
	config_report_sort(&setup->loaded);
	if (setup->loaded.fault_count > 0)
		print_faults(options, &setup->loaded);
	if (setup->set != NULL && setup->loaded.fault_count == 0)
		return relays_are_known(options, setup->set) ? EXIT_STATUS_OK : EXIT_STATUS_USAGE;
	return options->draft.target != NULL && !readable ? EXIT_STATUS_USAGE : EXIT_STATUS_CONFIG;
}

void check_setup_clear(struct check_setup *setup)
{
	relay_set_unref(setup->set);
	config_report_clear(&setup->loaded);
	memset(setup, 0, sizeof(*setup));
}
