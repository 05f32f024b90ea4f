/*
 * drain: the way out: nobody is accepted any more, sessions finish or are cut, and the loop stops when the last is gone.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "service/service_internal.h"

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
	ready_close(worker->context.ready);
	session_drain_all(&worker->context);
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

void service_cut_all(struct service *service)
{
	unsigned i;

	service->cutting = true;
	for (i = 0; i < service->worker_count; i++) {
		struct cut_mail *mail = mem_calloc(1, sizeof(*mail));

		mail->service = service;
		worker_call(&service->workers[i], worker_cut, mail, service->loop, cut_done);
	}
}

/* Nobody accepts any more, and what was accepted has reached its worker. */
static void accepting_ended(void *arg)
{
	struct plan *plan = arg;
	struct service *service = plan->service;
	struct log_line line;
	unsigned i;

	service_plan_done(plan);
	/* Now, not at the signal: who has read this line and connects is refused. */
	if (log_begin(&line, LOG_INFO, "draining")) {
		log_int(&line, "sessions", (int64_t)atomic_load(&service->totals.open));
		log_int(&line, "timeout_ms", service->set->config->process.drain_timeout_ms);
		log_end(&line);
	}
	service->busy_workers = service->worker_count;
	for (i = 0; i < service->worker_count; i++)
		worker_call(&service->workers[i], worker_drain, service, NULL, NULL);
	/* Of those that were on their way from the acceptor to a worker then, no cut has heard. */
	if (service->cutting)
		service_cut_all(service);
}

void service_drain(struct service *service)
{
	struct plan *plan = mem_calloc(1, sizeof(*plan));
	struct listen_list none = {0};

	service->state = SERVICE_DRAINING;
	heartbeat_stopping(service->heartbeat);
	service_status_draining(service->status);
	plan->service = service;
	plan->retired_count = listen_list_retire(&service->listens, &none, &plan->retired);
	loop_timer_add(service->drain_timer, service->set->config->process.drain_timeout_ms);
	worker_call(&service->workers[0], service_plan_apply, plan, service->loop, accepting_ended);
}
