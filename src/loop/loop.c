/* loop: see loop.h.  The watch part stands in watch.c. */
#include "loop/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"

struct loop_mailbox {
	pthread_mutex_t lock;
	struct loop_job *first, **last;
	int fd;
	struct event *event;
};

static void run_deferred(struct loop *loop)
{
	struct loop_job *job = loop->deferred_first;

	loop->deferred_first = NULL;
	loop->deferred_last = &loop->deferred_first;
	while (job != NULL) {
		struct loop_job *next = job->next;

		job->run(job);
		job = next;
	}
}

static void on_deferred(evutil_socket_t fd, short what, void *arg)
{
	run_deferred(arg);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	watch_run_again(arg);
}

static void run_mail(struct loop_mailbox *box)
{
	struct loop_job *job;

	pthread_mutex_lock(&box->lock);
	job = box->first;
	box->first = NULL;
	box->last = &box->first;
	pthread_mutex_unlock(&box->lock);
	while (job != NULL) {
		struct loop_job *next = job->next;

		job->run(job);
		job = next;
	}
}

static void on_mail(evutil_socket_t fd, short what, void *arg)
{
	uint64_t count;

	if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return;
	run_mail(arg);
}

static struct loop_mailbox *mailbox_new(struct event_base *base, struct error *err)
{
	struct loop_mailbox *box = mem_calloc(1, sizeof(*box));

	pthread_mutex_init(&box->lock, NULL);
	box->last = &box->first;
	box->fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	if (box->fd < 0) {
		error_set_errno(err, errno, "eventfd");
		goto fail;
	}
	box->event = event_new(base, box->fd, EV_READ | EV_PERSIST, on_mail, box);
	if (box->event == NULL || event_add(box->event, NULL) != 0) {
		error_set(err, "libevent has no event for the mailbox");
		goto fail;
	}
	return box;
fail:
	if (box->event != NULL)
		event_free(box->event);
	if (box->fd >= 0)
		close(box->fd);
	pthread_mutex_destroy(&box->lock);
	free(box);
	return NULL;
}

static void mailbox_free(struct loop_mailbox *box)
{
	if (box == NULL)
		return;
	event_free(box->event);
	close(box->fd);
	pthread_mutex_destroy(&box->lock);
	free(box);
}

static struct event_base *base_new(void)
{
	struct event_config *config = event_config_new();
	struct event_base *base = NULL;

	if (config != NULL) {
		/*
		 * No change list (EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST): it takes a descriptor out of epoll one turn after
		 * it was closed, when another thread may have been given its number.
		 */
		event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
		base = event_base_new_with_config(config);
		event_config_free(config);
	}
	return base;
}

struct loop *loop_new(unsigned index, struct error *err)
{
	struct loop *loop = mem_calloc(1, sizeof(*loop));

	loop->index = index;
	loop->deferred_last = &loop->deferred_first;
	TAILQ_INIT(&loop->again);
	wire_pool_init(&loop->pool);
	loop->base = base_new();
	if (loop->base == NULL) {
		error_set(err, "libevent has no event base");
		goto fail;
	}
	loop->deferred_event = event_new(loop->base, -1, 0, on_deferred, loop);
	loop->again_event = evtimer_new(loop->base, on_again, loop);
	if (loop->deferred_event == NULL || loop->again_event == NULL) {
		error_set(err, "libevent has no event for what is to run later");
		goto fail;
	}
	loop->mailbox = mailbox_new(loop->base, err);
	if (loop->mailbox == NULL)
		goto fail;
	return loop;
fail:
	loop_free(loop);
	return NULL;
}

void loop_free(struct loop *loop)
{
	if (loop == NULL)
		return;
	if (loop->mailbox != NULL)
		run_mail(loop->mailbox);
	while (loop->deferred_first != NULL)
		run_deferred(loop);
	mailbox_free(loop->mailbox);
	if (loop->deferred_event != NULL)
		event_free(loop->deferred_event);
	if (loop->again_event != NULL)
		event_free(loop->again_event);
	free(loop->spare_event);
	if (loop->base != NULL)
		event_base_free(loop->base);
	wire_pool_clear(&loop->pool);
	free(loop);
}

void loop_run(struct loop *loop)
{
	event_base_loop(loop->base, EVLOOP_NO_EXIT_ON_EMPTY);
}

void loop_stop(struct loop *loop)
{
	event_base_loopbreak(loop->base);
}

void loop_defer(struct loop *loop, struct loop_job *job)
{
	job->next = NULL;
	*loop->deferred_last = job;
	loop->deferred_last = &job->next;
	event_active(loop->deferred_event, 0, 0);
}

void loop_post(struct loop *loop, struct loop_job *job)
{
	struct loop_mailbox *box = loop->mailbox;
	uint64_t one = 1;
	bool was_empty;

	job->next = NULL;
	pthread_mutex_lock(&box->lock);
	was_empty = box->first == NULL;
	*box->last = job;
	box->last = &job->next;
	/* Within the lock: the reader may free the job, and at the end the loop, as soon as it is released. */
	if (was_empty && write(box->fd, &one, sizeof(one)) < 0)
		midrelay_assert(errno == EAGAIN);
	pthread_mutex_unlock(&box->lock);
}

static int64_t clock_us(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t loop_now_ms(void)
{
	return clock_us(CLOCK_MONOTONIC_COARSE) / 1000;
}

int64_t loop_clock_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

void loop_timer_add(struct event *timer, int64_t ms)
{
	struct timeval tv;

	if (ms < 0)
		ms = 0;
	tv.tv_sec = (time_t)(ms / 1000);
	tv.tv_usec = (suseconds_t)(ms % 1000) * 1000;
	event_add(timer, &tv);
}
