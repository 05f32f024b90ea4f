/*
 * heartbeat: measures whether every event loop turns, and how late, for the status endpoint and the service manager's
 * watchdog; tells the manager how we are: a status line that follows the process, and WATCHDOG=1 as long as all loops
 * turn.  Nothing of it runs where nobody wants to know.
 *
 * Belongs to the main thread.
 */
#ifndef MIDRELAY_SERVICE_HEARTBEAT_H
#define MIDRELAY_SERVICE_HEARTBEAT_H

#include "base/error.h"

struct service;
struct heartbeat; /* opaque */

/* The workers run.  NULL with an error: no memory for a timer; NULL without one: nobody wants to know. */
struct heartbeat *heartbeat_new(struct service *service, struct error *err);
/* The workers have ended, or never ran. */
void heartbeat_free(struct heartbeat *heartbeat); /* NULL is fine */

/* READY=1: at start, and again behind a reload, whatever came of it.  NULL is fine. */
void heartbeat_ready(struct heartbeat *heartbeat);
/* STOPPING=1.  NULL is fine. */
void heartbeat_stopping(struct heartbeat *heartbeat);

#endif
