/*
 * status_print: a report in its forms.  Pure: nothing is read but the report.  Each result is the caller's to free and
 * ends in a NUL that *len does not count.
 */
#ifndef MIDRELAY_STATUS_STATUS_PRINT_H
#define MIDRELAY_STATUS_STATUS_PRINT_H

#include <stdbool.h>
#include <stddef.h>

#include "status/status_report.h"

/* GET /status, doc/midrelay.8 has its members; NULL: the JSON library failed. */
char *status_json(const struct status_report *report, size_t *len);
/* GET /metrics: Prometheus' text format 0.0.4; doc/metrics.md. */
char *status_metrics(const struct status_report *report, size_t *len);
/* GET /readyz: whether every relay is ready, and one line for each reason why not. */
char *status_readiness(const struct status_report *report, bool *ready, size_t *len);

#endif
