/*
 * service: see service.h.
 *
 * Answers for the order of things: what is read as whom, what is bound when, and what a signal leads to.  How
 * a reload is built and swapped is reload.c's, the way out drain.c's.  The main thread's loop has only this
 * to do, so that reading files at a reload holds up no session; sessions live in the workers' loops.
 */
#include "service/service.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/exit_status.h"
#include "base/log_limit.h"
#include "base/manager.h"
#include "base/mem.h"
#include "config/config_print.h"
#include "service/sandbox.h"
#include "service/service_internal.h"

/* Descriptors beside two for each connection: listeners, files at a reload; and those of each loop. */
#define SPARE_DESCRIPTORS 64
#define LOOP_DESCRIPTORS 4

/* ---- signals ---- */

static void mask_signals(int how, const int *signals, size_t count)
{
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < count; i++)
		sigaddset(&set, signals[i]);
	pthread_sigmask(how, &set, NULL);
}

static void run_reload_asked(struct loop_job *job)
{
	struct reload_asked *asked = (struct reload_asked *)job;

	asked->deferred = false;
	if (asked->service->state == SERVICE_RUNNING)
		service_renewal_now(asked->service);
}

/*
 * Called as often as the signal came, one call right behind the other, before any other event: so many reloads would keep
 * a SIGTERM and the watchdog waiting.
 */
static void on_sighup(evutil_socket_t sig, short what, void *arg)
{
	struct service *service = arg;

	if (!service->reload_asked.deferred)
		loop_defer(service->loop, &service->reload_asked.job);
	service->reload_asked.deferred = true;
}

static void on_sigterm(evutil_socket_t sig, short what, void *arg)
{
	struct service *service = arg;

	if (service->state == SERVICE_RUNNING) {
		service_drain(service);
	} else if (service->state == SERVICE_DRAINING) {
		event_del(service->drain_timer);
		service_cut_all(service);
	}
}

static void on_log_timer(evutil_socket_t fd, short what, void *arg)
{
	struct service *service = arg;

	if (log_limit_sweep())
		loop_timer_add(service->log_timer, LOG_LIMIT_SWEEP_MS);
}

static void run_log_kept(struct loop_job *job)
{
	struct log_kept *kept = (struct log_kept *)job;

	atomic_store(&kept->posted, false);
	if (kept->service->log_timer != NULL)
		loop_timer_add(kept->service->log_timer, LOG_LIMIT_SWEEP_MS);
}

/* In any thread. */
static void on_log_kept(void *arg)
{
	struct service *service = arg;

	if (!atomic_exchange(&service->log_kept.posted, true))
		loop_post(service->loop, &service->log_kept.job);
}

static void on_drain_timeout(evutil_socket_t fd, short what, void *arg)
{
	service_cut_all(arg);
}

static void log_ready_tunnels(const struct ready_totals *totals)
{
	struct log_line line;

	/* Where none was wanted there is nothing to tell. */
	if (atomic_load(&totals->made) + atomic_load(&totals->failed) + atomic_load(&totals->given) == 0 ||
	    !log_begin(&line, LOG_INFO, "ready-tunnels"))
		return;
	log_int(&line, "hits", (int64_t)atomic_load(&totals->hits));
	log_int(&line, "misses", (int64_t)atomic_load(&totals->misses));
	log_int(&line, "made", (int64_t)atomic_load(&totals->made));
	log_int(&line, "let_go", (int64_t)atomic_load(&totals->expired));
	log_int(&line, "died", (int64_t)atomic_load(&totals->died));
	log_int(&line, "failed", (int64_t)atomic_load(&totals->failed));
	log_int(&line, "given", (int64_t)atomic_load(&totals->given));
	log_int(&line, "reused", (int64_t)atomic_load(&totals->reused));
	log_end(&line);
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
	service->log_timer = evtimer_new(service->loop->base, on_log_timer, service);
	if (service->workers[0].acceptor == NULL || service->on_hup == NULL || service->on_term == NULL ||
	    service->on_int == NULL || service->drain_timer == NULL ||
	    service->log_timer == NULL)
		return error_set(err, "libevent has no event for signals");
	event_add(service->on_hup, NULL);
	event_add(service->on_term, NULL);
	event_add(service->on_int, NULL);
	mask_signals(SIG_UNBLOCK, (const int[]){SIGHUP}, 1);
	service->reload_asked.job.run = run_reload_asked;
	service->reload_asked.service = service;
	service->log_kept.job.run = run_log_kept;
	service->log_kept.service = service;
	log_limit_set_wake(on_log_kept, service);
	return true;
}

void service_check_file_limit(const struct service *service)
{
	unsigned long have = privileges_raise_file_limit();
	unsigned long need = 2UL * service->set->config->process.max_connections + SPARE_DESCRIPTORS +
	    LOOP_DESCRIPTORS * (unsigned long)service->worker_count;
	struct log_line line;

	if (have >= need || !log_begin(&line, LOG_WARN, "descriptor-limit"))
		return;
	log_int(&line, "limit", (int64_t)have);
	log_int(&line, "needed", (int64_t)need);
	log_str(&line, "msg", "max_connections needs more open files than the limit allows (LimitNOFILE=, "
	    "ulimit -n)");
	log_end(&line);
}

static bool go(struct service *service, struct error *err)
{
	struct plan *plan;
	struct log_line line;
	unsigned i;

	service_renewal_prepare(service, service->set);
	if (!service_renewal_start(service, err))
		return false;
	service->heartbeat = heartbeat_new(service, err);
	if (service->heartbeat == NULL && err->text[0] != '\0')
		return false;
	for (i = 0; i < service->worker_count; i++) {
		if (!worker_start(&service->workers[i], err))
			return false;
	}
	service_keep_ready(service);
	plan = service_plan_new(service);
	worker_call(&service->workers[0], service_plan_apply, plan, service->loop, service_plan_done);
	service_log_listening(service);
	service->state = SERVICE_RUNNING;
	if (!service_status_start(service->status, err))
		return false;
	if (log_begin(&line, LOG_INFO, "ready")) {
		log_int(&line, "relays", (int64_t)service->set->route_count);
		log_int(&line, "workers", service->worker_count);
		log_int(&line, "start_ms", loop_now_ms() - service->began_ms);
		log_end(&line);
	}
	heartbeat_ready(service->heartbeat);
	return true;
}

static enum exit_status start(struct service *service)
{
	struct config_report report;
	struct error err = {{0}};
	enum exit_status status = EXIT_STATUS_FAILED;

	config_report_init(&report, service->file);
	if (!service_read_first(service, &report)) {
		status = EXIT_STATUS_CONFIG;
		goto fail;
	}
	log_configure(service->set->config->process.log_level, service->set->config->process.log_format);
	service_log_report(&report, report.notes, report.note_count, LOG_WARN, "config-note");
	log_msg(LOG_INFO, "started", "midrelay %s", PACKAGE_VERSION);
	service_log_keylog(true);
	service_check_file_limit(service);
	if (!listen_list_open(&service->listens, service->set->config, NULL, &report))
		goto fail;
	service_note_listens(service->set, &service->listens);
	service->status = service_status_new(service, &report);
	if (report.fault_count > 0)
		goto fail;
	if (!privileges_drop(&service->privileges, &err) || !make_loops(service, &err))
		goto fail;
	privileges_lock_memory();
	sandbox_enter(service->set->config);
	if (!go(service, &err))
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

	service_status_free(service->status);
	resolver_close(service->resolver);
	for (i = 0; i < service->worker_count; i++)
		worker_end(&service->workers[i]);
	log_limit_set_wake(NULL, NULL);
	resolver_free(service->resolver);
	listen_list_close(&service->listens);
	free_event(service->on_hup);
	free_event(service->on_term);
	free_event(service->on_int);
	free_event(service->drain_timer);
	free_event(service->log_timer);
	service->log_timer = NULL;
	heartbeat_free(service->heartbeat);
	service_renewal_end(service);
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
	service->generation = 1;
	service->began_ms = loop_now_ms();
	/* What asks for a reload must not end us: it waits for its handler. */
	mask_signals(SIG_BLOCK, (const int[]){SIGHUP}, 1);
	manager_init();
	privileges_keep_memory_private();
	status = start(service);
	if (status == EXIT_STATUS_OK) {
		loop_run(service->loop);
		/* There is nothing left for them to hasten, and the exit status is to be ours. */
		mask_signals(SIG_BLOCK, (const int[]){SIGHUP, SIGTERM, SIGINT}, 3);
		log_limit_flush();
		log_ready_tunnels(&service->totals.ready);
		if (log_begin(&line, LOG_INFO, "stopped")) {
			log_int(&line, "cut", service->cut);
			log_int(&line, "sessions", (int64_t)atomic_load(&service->totals.begun));
			log_end(&line);
		}
	}
	end(service);
	manager_end();
	free(service);
	return status;
}
