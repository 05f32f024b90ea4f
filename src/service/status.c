/* status: see status.h. */
#include "service/sandbox.h"
#include "service/status.h"

#include <dirent.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"
#include "service/service_internal.h"
#include "status/status_collect.h"
#include "status/status_server.h"
#include "tls/identity.h"

/* Counting descriptors reads a directory: not at every scrape. */
#define DESCRIPTORS_MS 1000
#define FAULT_BYTES 1024

/* An address of a relay. */
struct place {
	size_t relay;
	char *text;
};

struct service_status {
	struct service *service; /* borrowed: what is atomic in it, and what stays as it is */
	struct status_server *server;
	int64_t started_s;
	pthread_mutex_t lock; /* of what follows */
	struct relay_set *set; /* counted */
	struct place *places;
	size_t place_count;
	unsigned generation;
	int64_t loaded_s, reload_s;
	char *reload_error;
	bool draining;
	/* the endpoint's thread alone */
	DIR *descriptors_dir; /* opened at start, since a sandbox may close the way there */
	unsigned descriptors;
	int64_t counted_ms;
};

/* ---- in the endpoint's thread ---- */

static int64_t lag_of(struct worker_pulse *pulse, int64_t now_us)
{
	int64_t asked_us = atomic_load(&pulse->asked_us), lag_us = atomic_load(&pulse->lag_us);

	return asked_us != 0 && now_us - asked_us > lag_us ? now_us - asked_us : lag_us;
}

static char *hung(void *arg)
{
	struct service_status *status = arg;
	struct service *service = status->service;
	int64_t now_us = loop_clock_us(), main_us = atomic_load(&service->main_beat_us);
	unsigned i;

	for (i = 0; i < service->worker_count; i++) {
		int64_t asked_us = atomic_load(&service->pulses[i].asked_us);

		if (asked_us != 0 && now_us - asked_us > STATUS_HUNG_MS * 1000)
			return mem_printf("worker %u has not answered for %lld s", i,
			    (long long)(now_us - asked_us) / 1000000);
	}
	if (now_us - main_us > STATUS_HUNG_MS * 1000)
		return mem_printf("the main loop has not turned for %lld s", (long long)(now_us - main_us) / 1000000);
	return NULL;
}

static unsigned count_descriptors(struct service_status *status)
{
	int64_t now_ms = loop_now_ms();
	const struct dirent *entry;
	unsigned count = 0;

	if (status->descriptors_dir == NULL ||
	    (status->counted_ms != 0 && now_ms - status->counted_ms < DESCRIPTORS_MS))
		return status->descriptors;
	rewinddir(status->descriptors_dir);
	while ((entry = readdir(status->descriptors_dir)) != NULL)
		count += entry->d_name[0] != '.';
	status->counted_ms = now_ms;
	status->descriptors = count;
	return count;
}

static void fill_process(struct status_report *report, struct service_status *status)
{
	struct service *service = status->service;
	struct rlimit limit = {0};
	int64_t now_us = loop_clock_us();
	unsigned i;

	report->version = PACKAGE_VERSION;
	report->openssl = identity_library_version();
	report->libevent = event_get_version();
	report->file = mem_strdup(service->file);
	report->now_s = (int64_t)time(NULL);
	report->started_s = status->started_s;
	report->open = atomic_load(&service->totals.open);
	getrlimit(RLIMIT_NOFILE, &limit);
	report->descriptor_limit = limit.rlim_cur < UINT32_MAX ? (unsigned)limit.rlim_cur : UINT32_MAX;
	report->descriptors = count_descriptors(status);
	report->sandbox = mem_strdup(sandbox_text());
	report->workers = service->worker_count;
	report->loop_lag_us = mem_calloc(service->worker_count, sizeof(*report->loop_lag_us));
	for (i = 0; i < service->worker_count; i++)
		report->loop_lag_us[i] = lag_of(&service->pulses[i], now_us);
}

static void fill_listens(struct status_report *report, const struct place *places, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		struct status_relay *relay = &report->relays[places[i].relay];

		relay->listens = mem_realloc(relay->listens, (relay->listen_count + 1) * sizeof(*relay->listens));
		relay->listens[relay->listen_count++] = mem_strdup(places[i].text);
	}
}

static struct status_report *make_report(void *arg)
{
	struct service_status *status = arg;
	struct status_report *report = status_report_new();
	struct relay_set *set;

	fill_process(report, status);
	pthread_mutex_lock(&status->lock);
	set = relay_set_ref(status->set);
	report->generation = status->generation;
	report->loaded_s = status->loaded_s;
	report->last_reload_s = status->reload_s;
	report->last_reload_ok = status->reload_s != 0 && status->reload_error == NULL;
	report->last_reload_error = status->reload_error != NULL ? mem_strdup(status->reload_error) : NULL;
	report->draining = status->draining;
	/* The set as it was then: places name its relays by their numbers. */
	status_collect_relays(report, set);
	fill_listens(report, status->places, status->place_count);
	pthread_mutex_unlock(&status->lock);
	report->max_connections = set->config->process.max_connections;
	report->expiry_warning_s = set->config->process.expiry_warning_ms / 1000;
	relay_set_unref(set);
	return report;
}

/* ---- in the main thread ---- */

static void places_free(struct place *places, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		free(places[i].text);
	free(places);
}

void service_status_follow(struct service_status *status)
{
	struct service *service;
	struct place *places, *old_places;
	struct relay_set *old_set;
	size_t old_count, i;
	char text[SERVICE_LISTEN_TEXT_BYTES];

	if (status == NULL)
		return;
	service = status->service;
	places = mem_calloc(service->listens.count + 1, sizeof(*places));
	for (i = 0; i < service->listens.count; i++) {
		places[i].relay = service->listens.sockets[i].relay_index;
		places[i].text = mem_strdup(service_listen_text(&service->listens.sockets[i], text));
	}
	pthread_mutex_lock(&status->lock);
	old_set = status->set;
	old_places = status->places;
	old_count = status->place_count;
	status->set = relay_set_ref(service->set);
	status->places = places;
	status->place_count = service->listens.count;
	status->generation = service->generation;
	status->loaded_s = (int64_t)time(NULL);
	pthread_mutex_unlock(&status->lock);
	relay_set_unref(old_set);
	places_free(old_places, old_count);
}

/* The first fault stands for all: the log has them. */
static char *fault_text(const struct config_report *failed)
{
	const struct config_fault *fault = failed->faults;
	char *text, *more, shown[FAULT_BYTES];

	if (failed->fault_count == 0)
		return mem_strdup("see the log");
	more = failed->fault_count > 1 ? mem_printf(" (and %zu more)", failed->fault_count - 1) : mem_strdup("");
	text = fault->line == 0 ? mem_printf("%s: %s%s", failed->file, fault->text, more) :
	    mem_printf("%s:%u: %s%s", failed->file, fault->line, fault->text, more);
	text_escape(text, strlen(text), shown, sizeof(shown));
	free(more);
	free(text);
	return mem_strdup(shown);
}

void service_status_reloaded(struct service_status *status, const struct config_report *failed)
{
	char *error = failed != NULL ? fault_text(failed) : NULL, *old;

	if (status == NULL) {
		free(error);
		return;
	}
	pthread_mutex_lock(&status->lock);
	old = status->reload_error;
	status->reload_error = error;
	status->reload_s = (int64_t)time(NULL);
	pthread_mutex_unlock(&status->lock);
	free(old);
}

void service_status_draining(struct service_status *status)
{
	if (status == NULL)
		return;
	pthread_mutex_lock(&status->lock);
	status->draining = true;
	pthread_mutex_unlock(&status->lock);
}

struct service_status *service_status_new(struct service *service, struct config_report *report)
{
	const struct config_process *process = &service->set->config->process;
	struct service_status *status;
	struct status_server_params params = {
	    .addr = &process->status.addr, .report = make_report, .hung = hung};
	struct error err;

	if (process->status.addr.len == 0)
		return NULL;
	status = mem_calloc(1, sizeof(*status));
	params.arg = status;
	status->service = service;
	status->started_s = (int64_t)time(NULL);
	status->descriptors_dir = opendir("/proc/self/fd");
	pthread_mutex_init(&status->lock, NULL);
	status->server = status_server_new(&params, &err);
	if (status->server == NULL) {
		config_report_fault(report, config_process_line(process, "status"), "status: %s", err.text);
		service_status_free(status);
		return NULL;
	}
	return status;
}

bool service_status_start(struct service_status *status, struct error *err)
{
	char text[ADDR_TEXT_BYTES];
	struct log_line line;

	if (status == NULL)
		return true;
	service_status_follow(status);
	if (!status_server_start(status->server, err))
		return false;
	if (log_begin(&line, LOG_INFO, "status-listening")) {
		log_str(&line, "address", addr_format(status_server_addr(status->server), text));
		log_end(&line);
	}
	return true;
}

void service_status_free(struct service_status *status)
{
	if (status == NULL)
		return;
	status_server_free(status->server);
	if (status->descriptors_dir != NULL)
		closedir(status->descriptors_dir);
	relay_set_unref(status->set);
	places_free(status->places, status->place_count);
	free(status->reload_error);
	pthread_mutex_destroy(&status->lock);
	free(status);
}
