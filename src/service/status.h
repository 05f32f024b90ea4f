/*
 * status: what the process tells of itself: the status endpoint with what it asks for.
 *
 * Belongs to the main thread; what the endpoint's thread reads is handed over under a lock that the main thread takes at a
 * start, a reload and a stop, or is atomic.
 */
#ifndef MIDRELAY_SERVICE_STATUS_H
#define MIDRELAY_SERVICE_STATUS_H

#include "base/error.h"
#include "config/config.h"

struct service;
struct service_status; /* opaque */

/* A loop that has not answered for this long hangs. */
#define STATUS_HUNG_MS 5000

/* Binds where the configuration says.  NULL with a fault in the report; NULL without one: nothing is configured. */
struct service_status *service_status_new(struct service *service, struct config_report *report);
/* The set in force is known, and the workers run. */
bool service_status_start(struct service_status *status, struct error *err) MUST_CHECK; /* NULL is fine */
/* Before the workers end. */
void service_status_free(struct service_status *status); /* NULL is fine */

/* Each of these: NULL is fine. */

/* The set, listeners and generation in force are the service's now. */
void service_status_follow(struct service_status *status);
/* A reload came to an end; `failed`: why it has no effect, NULL: it has. */
void service_status_reloaded(struct service_status *status, const struct config_report *failed);
void service_status_draining(struct service_status *status);

#endif
