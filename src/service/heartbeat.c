/* heartbeat: see heartbeat.h. */
#include "service/heartbeat.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/manager.h"
#include "base/mem.h"
#include "service/service_internal.h"

/* How often the status line is put together; it is sent when it reads otherwise than before. */
#define STATUS_MS 5000
#define STATUS_BYTES 512
/* How often loops are asked for the status endpoint. */
#define BEAT_MS 1000

struct heartbeat {
	struct service *service; /* borrowed */
	struct event *status_timer, *beat_timer;
	int64_t beat_ms;
	const char *state; /* static; not told yet, "" for none */
	char told[STATUS_BYTES];
};

static void put_status(const struct service *service, char text[STATUS_BYTES])
{
	unsigned open = atomic_load(&service->totals.open);
	unsigned long long begun = atomic_load(&service->totals.begun);
	int used = snprintf(text, STATUS_BYTES, "%s%zu relay%s, %u connection%s open, %llu so far",
	    service->state == SERVICE_DRAINING ? "Draining: " : "", service->set->route_count,
	    service->set->route_count == 1 ? "" : "s", open, open == 1 ? "" : "s", begun);

	if (used > 0 && used < STATUS_BYTES)
		expiry_describe_worst(service->expiry, (int64_t)time(NULL), text + used, STATUS_BYTES - (size_t)used);
}

/* The manager's queue may be full: what could not be told, is told with the next status line. */
static void tell(struct heartbeat *heartbeat)
{
	char text[STATUS_BYTES];

	put_status(heartbeat->service, text);
	if (heartbeat->state[0] == '\0' && strcmp(text, heartbeat->told) == 0)
		return;
	if (!manager_tell("%sSTATUS=%s", heartbeat->state, text))
		return;
	heartbeat->state = "";
	memcpy(heartbeat->told, text, sizeof(text));
}

static void tell_state(struct heartbeat *heartbeat, const char *state)
{
	if (heartbeat == NULL || !manager_listens())
		return;
	heartbeat->state = state;
	tell(heartbeat);
}

static void on_status(evutil_socket_t fd, short what, void *arg)
{
	struct heartbeat *heartbeat = arg;

	tell(heartbeat);
	loop_timer_add(heartbeat->status_timer, STATUS_MS);
}

static void on_answer(void *arg)
{
	struct service *service = arg;

	service->silent_workers--;
}

/* In the worker's loop. */
static void answer(struct worker *worker, void *arg)
{
	struct service *service = arg;
	struct worker_pulse *pulse = &service->pulses[worker->loop->index];

	atomic_store(&pulse->lag_us, loop_clock_us() - atomic_load(&pulse->asked_us));
	atomic_store(&pulse->asked_us, 0);
}

/* Told for the last round: a loop that hangs lets the rounds end, and the manager's deadline pass. */
static void on_beat(evutil_socket_t fd, short what, void *arg)
{
	struct heartbeat *heartbeat = arg;
	struct service *service = heartbeat->service;
	int64_t now_us = loop_clock_us();
	unsigned i;

	loop_timer_add(heartbeat->beat_timer, heartbeat->beat_ms);
	atomic_store(&service->main_beat_us, now_us);
	if (service->silent_workers > 0)
		return;
	if (manager_watchdog_ms() > 0)
		(void)manager_tell("WATCHDOG=1");
	service->silent_workers = service->worker_count;
	for (i = 0; i < service->worker_count; i++) {
		atomic_store(&service->pulses[i].asked_us, now_us);
		worker_call(&service->workers[i], answer, service, service->loop, on_answer);
	}
}

/* As often as the one asks who wants to know more often; 0: nobody does. */
static int64_t beat_ms(const struct service *service)
{
	int64_t watchdog_ms = manager_watchdog_ms();

	if (service->status == NULL || (watchdog_ms > 0 && watchdog_ms < BEAT_MS))
		return watchdog_ms;
	return BEAT_MS;
}

struct heartbeat *heartbeat_new(struct service *service, struct error *err)
{
	struct heartbeat *heartbeat;
	unsigned i;

	err->text[0] = '\0';
	if (!manager_listens() && service->status == NULL)
		return NULL;
	heartbeat = mem_calloc(1, sizeof(*heartbeat));
	heartbeat->service = service;
	heartbeat->state = "";
	heartbeat->beat_ms = beat_ms(service);
	heartbeat->status_timer = evtimer_new(service->loop->base, on_status, heartbeat);
	heartbeat->beat_timer = evtimer_new(service->loop->base, on_beat, heartbeat);
	if (heartbeat->status_timer == NULL || heartbeat->beat_timer == NULL) {
		heartbeat_free(heartbeat);
		error_set(err, "libevent has no event for the heartbeat");
		return NULL;
	}
	for (i = 0; i < service->worker_count; i++)
		atomic_init(&service->pulses[i].lag_us, -1);
	atomic_init(&service->main_beat_us, loop_clock_us());
	if (manager_listens())
		loop_timer_add(heartbeat->status_timer, STATUS_MS);
	if (heartbeat->beat_ms > 0)
		loop_timer_add(heartbeat->beat_timer, 0);
	return heartbeat;
}

void heartbeat_free(struct heartbeat *heartbeat)
{
	if (heartbeat == NULL)
		return;
	if (heartbeat->status_timer != NULL)
		event_free(heartbeat->status_timer);
	if (heartbeat->beat_timer != NULL)
		event_free(heartbeat->beat_timer);
	free(heartbeat);
}

void heartbeat_ready(struct heartbeat *heartbeat)
{
	tell_state(heartbeat, "READY=1\n");
}

void heartbeat_stopping(struct heartbeat *heartbeat)
{
	tell_state(heartbeat, "STOPPING=1\n");
}
