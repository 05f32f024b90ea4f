/*
 * service: see service.h.
 *
 * Answers for the order of things: what is read as whom, what is bound when, how a reload is built and swapped, how the
 * end is waited for.  The main thread's loop has only this to do, so that reading files at a reload holds up no session;
 * sessions live in the workers' loops.
 */
#include "service/service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/exit_status.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "config/config_print.h"
#include "relay/listen.h"
#include "service/privileges.h"
#include "service/worker.h"

/* Descriptors beside two for each connection: listeners, loops, files at a reload. */
#define SPARE_DESCRIPTORS 64
#define MAX_WORKERS 64

enum service_state { SERVICE_STARTING, SERVICE_RUNNING, SERVICE_DRAINING, SERVICE_STOPPED };

struct service {
	const char *file;
	enum service_state state;
	struct loop *loop;
	struct resolver *resolver;
	struct session_totals totals;
	struct worker workers[MAX_WORKERS];
	struct session_context *contexts[MAX_WORKERS];
	unsigned worker_count;
	struct relay_set *set;
	struct listen_list listens;
	unsigned generation;
	struct privileges privileges;
	struct event *on_hup, *on_term, *on_int, *drain_timer;
	unsigned busy_workers; /* while draining: those that have not told that they are empty */
	unsigned cut;          /* sessions that drain_timeout ended */
	int64_t began_ms;
};

/* What a reload or a stop tells the first worker. */
struct plan {
	struct service *service;
	struct acceptor_entry *entries;
	size_t count;
	int *retired; /* descriptors that nobody watches after this plan: closed with it */
	size_t retired_count;
	struct relay_set *old_set;
};

/* ---- reading and building ---- */

static void log_report(const struct config_report *report, const struct config_fault *list, size_t count,
    enum log_level level, const char *event)
{
	struct log_line line;
	size_t i;

	for (i = 0; i < count; i++) {
		if (!log_begin(&line, level, event))
			return;
		log_str(&line, "file", report->file);
		if (list[i].line != 0)
			log_int(&line, "line", list[i].line);
		log_str(&line, "msg", list[i].text);
		log_end(&line);
	}
}

/* Reads the configuration and every file it names, as the user we are to become. */
static struct relay_set *read_all(struct service *service, unsigned loop_count, struct config_report *report)
{
	struct config *config = config_load(service->file, report);
	struct relay_set *set;

	if (config == NULL)
		return NULL;
	set = relay_set_new(config, loop_count, service->set, report);
	if (set == NULL)
		config_free(config);
	return set;
}

static bool check_file_readable(struct service *service, struct config_report *report)
{
	if (eaccess(service->file, R_OK) == 0) /* not access(): that asks for who started us */
		return true;
	config_report_fault(report, 0, "cannot be read by the user of [midrelay], so a reload would fail");
	return false;
}

/* The first time: finds the user, and reads as that user. */
static bool read_first(struct service *service, struct config_report *report)
{
	struct config *config = config_load(service->file, report);
	const struct config_process *process;
	struct error err;
	bool ok;

	if (config == NULL)
		return false;
	if (config->faulty) {
		relay_set_new(config, 1, NULL, report); /* for the faults in the files that it names */
		config_free(config);
		return false;
	}
	process = &config->process;
	service->worker_count = process->workers < MAX_WORKERS ? process->workers : MAX_WORKERS;
	if (!privileges_find(&service->privileges, process->user, process->group, &err)) {
		config_report_fault(report, config_process_line(process, process->user != NULL ? "user" : "group"),
		    "%s", err.text);
		config_free(config);
		return false;
	}
	ok = privileges_lower(&service->privileges, &err);
	if (!ok) {
		config_report_fault(report, config_process_line(process, "user"), "%s", err.text);
	} else {
		ok = check_file_readable(service, report);
		service->set = relay_set_new(config, service->worker_count, NULL, report);
		if (!privileges_raise(&service->privileges, &err)) {
			config_report_fault(report, 0, "%s", err.text);
			ok = false;
		}
	}
	if (service->set == NULL)
		config_free(config);
	return ok && service->set != NULL;
}

/* ---- the acceptor's plan ---- */

static void plan_apply(struct worker *worker, void *arg)
{
	struct plan *plan = arg;
	size_t i;

	if (!acceptor_apply(worker->acceptor, plan->entries, plan->count))
		log_msg(LOG_ERROR, "listen-failed", "no event for a listening socket");
	/* By the loop that watched them: another thread could be given the number before the loop lets go of it. */
	for (i = 0; i < plan->retired_count; i++)
		close(plan->retired[i]);
}

static void plan_done(void *arg)
{
	struct plan *plan = arg;

	relay_set_unref(plan->old_set);
	free(plan->retired);
	free(plan->entries);
	free(plan);
}

static struct plan *plan_new(struct service *service)
{
	struct plan *plan = mem_calloc(1, sizeof(*plan));
	size_t i;

	plan->service = service;
	plan->entries = mem_calloc(service->listens.count, sizeof(*plan->entries));
	plan->count = service->listens.count;
	for (i = 0; i < service->listens.count; i++) {
		const struct listen_socket *sock = &service->listens.sockets[i];

		plan->entries[i].fd = sock->fd;
		plan->entries[i].route = &service->set->routes[sock->relay_index];
	}
	return plan;
}

static void log_listening(const struct service *service)
{
	char text[ADDR_TEXT_BYTES];
	struct log_line line;
	size_t i;

	for (i = 0; i < service->listens.count; i++) {
		const struct listen_socket *sock = &service->listens.sockets[i];

		if (!log_begin(&line, LOG_INFO, "listening"))
			return;
		log_str(&line, "relay", sock->relay->name);
		log_str(&line, "address", addr_format(&sock->bound, text));
		log_str(&line, "target", service->set->routes[sock->relay_index].target_text);
		log_end(&line);
	}
}

/* ---- reload ---- */

static void log_restart_needed(const struct service *service, const struct config_process *now)
{
	const struct config_process *was = &service->set->config->process;
	bool user = strcmp(was->user != NULL ? was->user : "", now->user != NULL ? now->user : "") != 0 ||
	    strcmp(was->group != NULL ? was->group : "", now->group != NULL ? now->group : "") != 0;

	if (now->workers != service->worker_count)
		log_msg(LOG_WARN, "restart-needed", "workers = %u takes effect at the next start", now->workers);
	if (user)
		log_msg(LOG_WARN, "restart-needed", "user and group take effect at the next start");
}

static void swap(struct service *service, struct relay_set *set, struct listen_list *listens)
{
	struct relay_set *old_set = service->set;
	struct plan *plan;
	int *retired;
	size_t retired_count = listen_list_retire(&service->listens, listens, &retired);

	log_restart_needed(service, &set->config->process);
	log_configure(set->config->process.log_level, set->config->process.log_format);
	service->listens = *listens;
	service->set = set;
	plan = plan_new(service);
	plan->old_set = old_set;
	plan->retired = retired;
	plan->retired_count = retired_count;
	worker_call(&service->workers[0], plan_apply, plan, service->loop, plan_done);
}

static void reload(struct service *service)
{
	struct config_report report;
	struct listen_list listens;
	struct relay_set *set;
	struct log_line line;

	config_report_init(&report, service->file);
	set = read_all(service, service->worker_count, &report);
	if (set != NULL && !listen_list_open(&listens, set->config, &service->listens, &report)) {
		relay_set_unref(set);
		set = NULL;
	}
	log_report(&report, report.notes, report.note_count, LOG_WARN, "config-note");
	if (set == NULL) {
		log_report(&report, report.faults, report.fault_count, LOG_ERROR, "reload-failed");
	} else {
		if (set->secrets.stale > 0)
			log_msg(LOG_ERROR, "sealed-stale", "%u sealed secret%s in %s cannot be opened by any configured client "
			    "key any more; what was opened before stays in use until the restart: seal %s again",
			    set->secrets.stale, set->secrets.stale == 1 ? "" : "s", service->file,
			    set->secrets.stale == 1 ? "it" : "them");
		swap(service, set, &listens);
		log_listening(service);
		if (log_begin(&line, LOG_INFO, "reloaded")) {
			log_int(&line, "generation", ++service->generation);
			log_int(&line, "relays", (int64_t)set->route_count);
			log_end(&line);
		}
	}
	config_report_clear(&report);
}

static void on_sighup(evutil_socket_t sig, short what, void *arg)
{
	struct service *service = arg;

	if (service->state == SERVICE_RUNNING)
		reload(service);
}

/* ---- the end ---- */

static void stop(struct service *service)
{
	if (service->state == SERVICE_STOPPED)
		return;
	service->state = SERVICE_STOPPED;
	loop_stop(service->loop);
}

static void worker_is_empty(void *arg)
{
	struct service *service = arg;

	if (service->busy_workers > 0 && --service->busy_workers == 0)
		stop(service);
}

struct empty_mail {
	struct loop_job job; /* first: run() gets it */
	struct service *service;
};

static void run_empty_mail(struct loop_job *job)
{
	struct empty_mail *mail = (struct empty_mail *)job;

	worker_is_empty(mail->service);
	free(mail);
}

/* In a worker's loop. */
static void tell_empty(void *arg)
{
	struct service *service = arg;
	struct empty_mail *mail = mem_calloc(1, sizeof(*mail));

	mail->job.run = run_empty_mail;
	mail->service = service;
	loop_post(service->loop, &mail->job);
}

static void worker_drain(struct worker *worker, void *arg)
{
	worker->context.arg = arg;
	if (worker->context.session_count == 0) {
		tell_empty(arg);
		return;
	}
	worker->context.on_empty = tell_empty;
}

struct cut_mail {
	struct service *service;
	unsigned count;
};

static void worker_cut(struct worker *worker, void *arg)
{
	struct cut_mail *mail = arg;

	mail->count = session_cut_all(&worker->context);
}

static void cut_done(void *arg)
{
	struct cut_mail *mail = arg;

	mail->service->cut += mail->count;
	free(mail);
}

static void cut_all(struct service *service)
{
	unsigned i;

	for (i = 0; i < service->worker_count; i++) {
		struct cut_mail *mail = mem_calloc(1, sizeof(*mail));

		mail->service = service;
		worker_call(&service->workers[i], worker_cut, mail, service->loop, cut_done);
	}
}

static void on_drain_timeout(evutil_socket_t fd, short what, void *arg)
{
	cut_all(arg);
}

/* Nobody accepts any more, and what was accepted has reached its worker. */
static void accepting_ended(void *arg)
{
	struct plan *plan = arg;
	struct service *service = plan->service;
	unsigned i;

	plan_done(plan);
	service->busy_workers = service->worker_count;
	for (i = 0; i < service->worker_count; i++)
		worker_call(&service->workers[i], worker_drain, service, NULL, NULL);
}

static void drain(struct service *service)
{
	struct plan *plan = mem_calloc(1, sizeof(*plan));
	struct listen_list none = {0};
	struct log_line line;
	int64_t timeout_ms = service->set->config->process.drain_timeout_ms;

	service->state = SERVICE_DRAINING;
	if (log_begin(&line, LOG_INFO, "draining")) {
		log_int(&line, "sessions", (int64_t)atomic_load(&service->totals.open));
		log_int(&line, "timeout_ms", timeout_ms);
		log_end(&line);
	}
	plan->service = service;
	plan->retired_count = listen_list_retire(&service->listens, &none, &plan->retired);
	loop_timer_add(service->drain_timer, timeout_ms);
	worker_call(&service->workers[0], plan_apply, plan, service->loop, accepting_ended);
}

static void on_sigterm(evutil_socket_t sig, short what, void *arg)
{
	struct service *service = arg;

	if (service->state == SERVICE_RUNNING) {
		drain(service);
	} else if (service->state == SERVICE_DRAINING) {
		event_del(service->drain_timer);
		cut_all(service);
	}
}

/* ---- start ---- */

static bool make_loops(struct service *service, struct error *err)
{
	unsigned i;

	service->loop = loop_new(service->worker_count, err);
	if (service->loop == NULL)
		return false;
	service->resolver = resolver_new();
	for (i = 0; i < service->worker_count; i++) {
		if (!worker_init(&service->workers[i], i, service->resolver, &service->totals, err))
			return false;
		service->contexts[i] = &service->workers[i].context;
	}
	service->workers[0].acceptor =
	    acceptor_new(service->workers[0].loop, service->contexts, service->worker_count);
	service->on_hup = evsignal_new(service->loop->base, SIGHUP, on_sighup, service);
	service->on_term = evsignal_new(service->loop->base, SIGTERM, on_sigterm, service);
	service->on_int = evsignal_new(service->loop->base, SIGINT, on_sigterm, service);
	service->drain_timer = evtimer_new(service->loop->base, on_drain_timeout, service);
	if (service->workers[0].acceptor == NULL || service->on_hup == NULL || service->on_term == NULL ||
	    service->on_int == NULL || service->drain_timer == NULL)
		return error_set(err, "libevent has no event for signals");
	event_add(service->on_hup, NULL);
	event_add(service->on_term, NULL);
	event_add(service->on_int, NULL);
	return true;
}

static void check_file_limit(const struct config_process *process)
{
	unsigned long have = privileges_raise_file_limit();
	unsigned long need = 2UL * process->max_connections + SPARE_DESCRIPTORS;
	struct log_line line;

	if (have >= need || !log_begin(&line, LOG_WARN, "descriptor-limit"))
		return;
	log_int(&line, "limit", (int64_t)have);
	log_int(&line, "needed", (int64_t)need);
	log_str(&line, "msg", "max_connections needs more open files than the limit allows (LimitNOFILE=, ulimit -n)");
	log_end(&line);
}

static bool go(struct service *service, struct error *err)
{
	struct plan *plan;
	struct log_line line;
	unsigned i;

	for (i = 0; i < service->worker_count; i++) {
		if (!worker_start(&service->workers[i], err))
			return false;
	}
	plan = plan_new(service);
	worker_call(&service->workers[0], plan_apply, plan, service->loop, plan_done);
	log_listening(service);
	service->state = SERVICE_RUNNING;
	if (log_begin(&line, LOG_INFO, "ready")) {
		log_int(&line, "relays", (int64_t)service->set->route_count);
		log_int(&line, "workers", service->worker_count);
		log_int(&line, "start_ms", loop_now_ms() - service->began_ms);
		log_end(&line);
	}
	return true;
}

static enum exit_status start(struct service *service)
{
	struct config_report report;
	struct error err = {{0}};
	enum exit_status status = EXIT_STATUS_FAILED;

	config_report_init(&report, service->file);
	if (!read_first(service, &report)) {
		status = EXIT_STATUS_CONFIG;
		goto fail;
	}
	log_configure(service->set->config->process.log_level, service->set->config->process.log_format);
	log_report(&report, report.notes, report.note_count, LOG_WARN, "config-note");
	log_msg(LOG_INFO, "started", "midrelay %s", PACKAGE_VERSION);
	check_file_limit(&service->set->config->process);
	if (!listen_list_open(&service->listens, service->set->config, NULL, &report))
		goto fail;
	if (!privileges_drop(&service->privileges, &err) || !make_loops(service, &err) || !go(service, &err))
		goto fail;
	config_report_clear(&report);
	return EXIT_STATUS_OK;
fail:
	config_print_report(&report, stderr);
	if (err.text[0] != '\0')
		fprintf(stderr, "midrelay: %s\n", err.text);
	config_report_clear(&report);
	return status;
}

static void free_event(struct event *event)
{
	if (event != NULL)
		event_free(event);
}

static void end(struct service *service)
{
	unsigned i;

	for (i = 0; i < service->worker_count; i++)
		worker_end(&service->workers[i]);
	resolver_free(service->resolver);
	listen_list_close(&service->listens);
	free_event(service->on_hup);
	free_event(service->on_term);
	free_event(service->on_int);
	free_event(service->drain_timer);
	loop_free(service->loop);
	relay_set_unref(service->set);
	privileges_clear(&service->privileges);
}

enum exit_status service_run(const char *config_file)
{
	struct service *service = mem_calloc(1, sizeof(*service));
	struct log_line line;
	enum exit_status status;

	service->file = config_file;
	service->began_ms = loop_now_ms();
	privileges_keep_memory_private();
	status = start(service);
	if (status == EXIT_STATUS_OK) {
		loop_run(service->loop);
		if (log_begin(&line, LOG_INFO, "stopped")) {
			log_int(&line, "cut", service->cut);
			log_int(&line, "sessions", (int64_t)atomic_load(&service->totals.begun));
			log_end(&line);
		}
	}
	end(service);
	free(service);
	return status;
}
