/* status_report: see status_report.h.  Names and the end of its texts. */
#include "status/status_report.h"

#include <stdlib.h>

#include "base/mem.h"
#include "dial/relay_stats.h"

_Static_assert(STATUS_BUCKETS == RELAY_STATS_BUCKETS && STATUS_STAGES == RELAY_STATS_STAGES &&
    STATUS_FAILURES_MAX == RELAY_STATS_FAILURES, "what is counted is what is shown");

const char *status_stage_name(enum status_stage stage)
{
	switch (stage) {
	case STATUS_RESOLVE:
		return "resolve";
	case STATUS_CONNECT:
		return "connect";
	case STATUS_PROXY:
		return "proxy";
	case STATUS_TLS:
		return "tls";
	case STATUS_STAGES:
		break;
	}
	return "?";
}

const char *status_path_state_name(enum status_path_state state)
{
	switch (state) {
	case STATUS_PATH_UNTRIED:
		return "untried";
	case STATUS_PATH_OK:
		return "ok";
	case STATUS_PATH_FAILED:
		return "failed";
	}
	return "?";
}

struct status_report *status_report_new(void)
{
	return mem_calloc(1, sizeof(struct status_report));
}

static void relay_clear(struct status_relay *relay)
{
	size_t i;

	free(relay->name);
	free(relay->target);
	free(relay->mode);
	free(relay->unready);
	for (i = 0; i < relay->listen_count; i++)
		free(relay->listens[i]);
	free(relay->listens);
	for (i = 0; i < relay->path_count; i++) {
		free(relay->paths[i].name);
		free(relay->paths[i].dials);
	}
	free(relay->paths);
	for (i = 0; i < relay->cert_count; i++) {
		free(relay->certs[i].subject);
		free(relay->certs[i].fingerprint);
		free(relay->certs[i].path);
	}
	free(relay->certs);
	for (i = 0; i < relay->failure_count; i++)
		free(relay->failures[i].path);
	free(relay->failures);
}

void status_report_free(struct status_report *report)
{
	size_t i;

	if (report == NULL)
		return;
	for (i = 0; i < report->relay_count; i++)
		relay_clear(&report->relays[i]);
	free(report->relays);
	free(report->file);
	free(report->last_reload_error);
	free(report->loop_lag_us);
	free(report->sandbox);
	free(report);
}
