/* worker: see worker.h. */
#include "service/worker.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/thread.h"
#include "tls/record_buffers.h"

struct call {
	struct loop_job job; /* first: run() gets it */
	struct worker *worker;
	void (*fn)(struct worker *worker, void *arg);
	void *arg;
	struct loop *back;
	void (*then)(void *arg);
};

bool worker_init(struct worker *worker, unsigned index, struct resolver *resolver, struct session_totals *totals,
    struct error *err)
{
	memset(worker, 0, sizeof(*worker));
	worker->loop = loop_new(index, err);
	if (worker->loop == NULL)
		return false;
	session_context_init(&worker->context, worker->loop, resolver, totals);
	worker->context.ready = ready_new(worker->loop, resolver, &totals->ready, &totals->open);
	if (worker->context.ready == NULL)
		return error_set(err, "libevent has no timer");
	return true;
}

static void *thread_main(void *arg)
{
	struct worker *worker = arg;

	loop_run(worker->loop);
	record_buffers_clear();
	return NULL;
}

bool worker_start(struct worker *worker, struct error *err)
{
	worker->started = thread_start(&worker->thread, thread_main, worker, "a worker thread", err);
	return worker->started;
}

static void run_then(struct loop_job *job)
{
	struct call *call = (struct call *)job;

	call->then(call->arg);
	free(call);
}

static void run_call(struct loop_job *job)
{
	struct call *call = (struct call *)job;

	call->fn(call->worker, call->arg);
	if (call->then == NULL) {
		free(call);
		return;
	}
	call->job.run = run_then;
	loop_post(call->back, &call->job);
}

void worker_call(struct worker *worker, void (*fn)(struct worker *worker, void *arg), void *arg, struct loop *back,
    void (*then)(void *arg))
{
	struct call *call = mem_calloc(1, sizeof(*call));

	call->job.run = run_call;
	call->worker = worker;
	call->fn = fn;
	call->arg = arg;
	call->back = back;
	call->then = then;
	loop_post(worker->loop, &call->job);
}

static void stop(struct worker *worker, void *arg)
{
	loop_stop(worker->loop);
}

void worker_end(struct worker *worker)
{
	if (worker->started) {
		worker_call(worker, stop, NULL, NULL, NULL);
		pthread_join(worker->thread, NULL);
	}
	if (worker->loop == NULL)
		return;
	acceptor_free(worker->acceptor);
	ready_free(worker->context.ready);
	loop_free(worker->loop);
	memset(worker, 0, sizeof(*worker));
}
