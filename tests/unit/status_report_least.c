/*
 * status_report_least: new, free and names of a report, as the tests of what shows one need them.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "status/status_report.h"

const char *status_stage_name(enum status_stage stage)
{
	static const char *const names[STATUS_STAGES] = {"resolve", "connect", "proxy", "tls"};

	return names[stage];
}

const char *status_path_state_name(enum status_path_state state)
{
	static const char *const names[] = {"untried", "ok", "failed"};

	return names[state];
}

struct status_report *status_report_new(void)
{
	return mem_calloc(1, sizeof(struct status_report));
}

static void free_relay(struct status_relay *relay)
{
	size_t i;

	for (i = 0; i < relay->listen_count; i++)
		free(relay->listens[i]);
	for (i = 0; i < relay->path_count; i++) {
		free(relay->paths[i].name);
		free(relay->paths[i].dials);
	}
	for (i = 0; i < relay->cert_count; i++) {
		free(relay->certs[i].subject);
		free(relay->certs[i].fingerprint);
		free(relay->certs[i].path);
	}
	for (i = 0; i < relay->failure_count; i++)
		free(relay->failures[i].path);
	free(relay->listens);
	free(relay->paths);
	free(relay->certs);
	free(relay->failures);
	free(relay->name);
	free(relay->target);
	free(relay->mode);
	free(relay->unready);
}

void status_report_free(struct status_report *report)
{
	size_t i;

	if (report == NULL)
		return;
	for (i = 0; i < report->relay_count; i++)
		free_relay(&report->relays[i]);
	free(report->relays);
	free(report->file);
	free(report->last_reload_error);
	free(report->loop_lag_us);
	free(report->sandbox);
	free(report);
}
