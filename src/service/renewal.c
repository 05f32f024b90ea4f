/*
 * renewal: looks at the files for change and reloads, patiently: what is half written is left alone for a few
 * looks before anyone is told that it is wrong; and looks at what expires.
 */
#include <stdlib.h>
#include <time.h>

#include "dial/relay_local.h"
#include "service/service_internal.h"

/*
 * Looks after a change in which a reload may fail before that is a fault; and in all, where changes do not
 * end.
 */
#define LOOKS_AFTER_CHANGE 3
#define LOOKS_IN_ALL 10
/* So long may changes follow on each other before one is taken though it is fresh. */
#define SETTLE_MAX 50
#define CHANGES_LOGGED 10

static void log_changed(const struct service *service, size_t count)
{
	struct log_line line;
	const char *file;
	size_t next = 0, logged = 0;

	while (logged < CHANGES_LOGGED && (file = file_watch_changed(service->files, &next)) != NULL) {
		if (!log_begin(&line, LOG_INFO, "files-changed"))
			return;
		log_str(&line, "file", file);
		if (++logged == CHANGES_LOGGED && count > logged)
			log_int(&line, "more", (int64_t)(count - logged));
		log_end(&line);
	}
}

static void rearm(struct service *service)
{
	int64_t ms = service->set->config->process.watch_ms;

	if (ms > 0)
		loop_timer_add(service->watch_timer, ms);
	else
		event_del(service->watch_timer);
}

static void try_reload(struct service *service)
{
	struct renewal *renewal = &service->renewal;
	bool patient = renewal->looks_left > 1 && renewal->looks_in_all + 1 < LOOKS_IN_ALL;

	renewal->looks_left--;
	renewal->looks_in_all++;
	if (service_reload(service, patient) || !patient)
		*renewal = (struct renewal){0};
}

static void on_watch_timer(evutil_socket_t fd, short what, void *arg)
{
	struct service *service = arg;
	struct renewal *renewal = &service->renewal;
	struct file_watch_news news;

	if (service->state != SERVICE_RUNNING)
		return;
	file_watch_look(service->files, &news);
	if (news.unsettled && renewal->settling < SETTLE_MAX) {
		renewal->settling++;
		loop_timer_add(service->watch_timer, FILE_WATCH_SETTLE_MS);
		return;
	}
	renewal->settling = 0;
	if (news.count > 0) {
		log_changed(service, news.count);
		file_watch_accept(service->files);
		renewal->looks_left = LOOKS_AFTER_CHANGE;
	}
	/* Also without a change: it may have been completed within the same tick of the clock. */
	if (renewal->looks_left > 0)
		try_reload(service);
	rearm(service);
}

void service_renewal_now(struct service *service)
{
	struct file_watch_news news;
	size_t i;

	/* What is read now is no news at the next look. */
	file_watch_look(service->files, &news);
	file_watch_accept(service->files);
	service->renewal = (struct renewal){0};
	/* Who asks may have made the target accept the new certificate just now. */
	if (service_reload(service, false)) {
		for (i = 0; i < service->set->route_count; i++)
			identity_choice_try_now(&service->set->routes[i].choice);
	}
}

static void look_at_expiry(struct service *service)
{
	loop_timer_add(service->expiry_timer, expiry_look(service->expiry, (int64_t)time(NULL)) * 1000);
}

/* What a local CA issued is issued anew by reading everything again; what fails is tried at the next look. */
static void on_expiry_timer(evutil_socket_t fd, short what, void *arg)
{
	struct service *service = arg;

	if (service->state == SERVICE_RUNNING && relay_local_renew_at(service->set) <= (int64_t)time(NULL))
		(void)service_reload(service, false);
	look_at_expiry(service);
}

static void run_servers_seen(struct loop_job *job)
{
	struct servers_seen *seen = (struct servers_seen *)job;
	struct service *service = seen->service;

	atomic_store(&seen->posted, false);
	if (service->state == SERVICE_STOPPED)
		return;
	expiry_take_servers(service->expiry);
	look_at_expiry(service);
}

/* In a worker's loop.  One letter is enough until it is read. */
static void on_server_seen(void *arg)
{
	struct service *service = arg;

	if (!atomic_exchange(&service->servers_seen.posted, true))
		loop_post(service->loop, &service->servers_seen.job);
}

void service_renewal_prepare(struct service *service, struct relay_set *set)
{
	set->on_server_seen = on_server_seen;
	set->on_server_seen_arg = service;
}

bool service_renewal_start(struct service *service, struct error *err)
{
	service->servers_seen.job.run = run_servers_seen;
	service->servers_seen.service = service;
	service->expiry = expiry_new();
	service->watch_timer = evtimer_new(service->loop->base, on_watch_timer, service);
	service->expiry_timer = evtimer_new(service->loop->base, on_expiry_timer, service);
	if (service->watch_timer == NULL || service->expiry_timer == NULL)
		return error_set(err, "libevent has no timer");
	service_renewal_follow(service);
	return true;
}

void service_renewal_follow(struct service *service)
{
	expiry_set_relays(service->expiry, service->set);
	look_at_expiry(service);
	rearm(service);
}

void service_renewal_end(struct service *service)
{
	if (service->watch_timer != NULL)
		event_free(service->watch_timer);
	if (service->expiry_timer != NULL)
		event_free(service->expiry_timer);
	service->watch_timer = service->expiry_timer = NULL;
	expiry_free(service->expiry);
	file_watch_free(service->files);
}
