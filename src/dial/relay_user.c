/* relay_user: see relay_user.h. */
#include "dial/relay_user.h"

#include <unistd.h>

#include "base/privileges.h"

bool relay_user_check_file(struct config_report *report)
{
	if (eaccess(report->file, R_OK) == 0) /* not access(): that asks for who started us */
		return true;
	config_report_fault(report, 0, "cannot be read by the user of [midrelay], so a reload would fail");
	return false;
}

struct relay_set *relay_user_set_new(struct config *config, const struct relay_set *previous,
    struct config_report *report)
{
	const struct config_process *process = &config->process;
	struct privileges privileges = {0};
	struct relay_set *set = NULL;
	unsigned line = config_process_line(process, process->user != NULL ? "user" : "group");
	struct error err;

	if (config->faulty || geteuid() != 0 || (process->user == NULL && process->group == NULL))
		return relay_set_new(config, 1, previous, report);
	if (!privileges_find(&privileges, process->user, process->group, &err) ||
	    !privileges_lower(&privileges, &err)) {
		config_report_fault(report, line, "%s", err.text);
	} else {
		relay_user_check_file(report);
		set = relay_set_new(config, 1, previous, report);
		/* The set stays on a failure, for the configuration is its own now: the fault ends the command. */
		if (!privileges_raise(&privileges, &err))
			config_report_fault(report, 0, "%s", err.text);
	}
	privileges_clear(&privileges);
	return set;
}
