/*
 * watch: a descriptor, its events, and who is interested; see loop.h.
 *
 * Each interest (read, write, both) is one event, and a change adds the new one before it takes the old one away:
 * libevent then tells the kernel the difference by one call, and a descriptor never leaves epoll on the way.
 * What was taken away serves the next change: a watch holds one event, where a set for all interests would be half a
 * kilobyte of every idle session.
 */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/loop.h"

struct watch {
	struct loop *loop; /* borrowed */
	int fd;
	short want;        /* EV_READ, EV_WRITE: what the event was added for */
	bool again;        /* on the loop's list */
	watch_fn *on_ready;
	void *arg;
	TAILQ_ENTRY(watch) entry; /* in that list */
	struct event *event; /* NULL: there is no interest */
};

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct watch *watch = arg;

	watch->on_ready(watch->arg, (what & EV_READ) != 0, (what & EV_WRITE) != 0);
}

struct watch *watch_new(struct loop *loop, int fd, watch_fn *on_ready, void *arg)
{
	struct watch *watch = mem_calloc(1, sizeof(*watch));

	watch->loop = loop;
	watch->fd = fd;
	watch->on_ready = on_ready;
	watch->arg = arg;
	return watch;
}

void watch_set_owner(struct watch *watch, watch_fn *on_ready, void *arg)
{
	watch->on_ready = on_ready;
	watch->arg = arg;
}

static struct event *take_event(struct loop *loop)
{
	struct event *event = loop->spare_event;

	loop->spare_event = NULL;
	return event != NULL ? event : mem_calloc(1, event_get_struct_event_size());
}

static void give_event_back(struct loop *loop, struct event *event)
{
	if (event == NULL)
		return;
	event_del(event);
	free(loop->spare_event);
	loop->spare_event = event;
}

void watch_want(struct watch *watch, bool read, bool write)
{
	short want = (short)((read ? EV_READ : 0) | (write ? EV_WRITE : 0));
	struct event *event = NULL;

	if (want == watch->want)
		return;
	if (want != 0) {
		event = take_event(watch->loop);
		event_assign(event, watch->loop->base, watch->fd, want | EV_PERSIST, on_event, watch);
		event_add(event, NULL);
	}
	give_event_back(watch->loop, watch->event);
	watch->event = event;
	watch->want = want;
}

int watch_fd(const struct watch *watch)
{
	return watch->fd;
}

/* ---- again ---- */

static void leave_again(struct watch *watch)
{
	if (!watch->again)
		return;
	watch->again = false;
	watch->loop->again_count--;
	TAILQ_REMOVE(&watch->loop->again, watch, entry);
}

void watch_again(struct watch *watch)
{
	if (watch->again)
		return;
	watch->again = true;
	watch->loop->again_count++;
	TAILQ_INSERT_TAIL(&watch->loop->again, watch, entry);
	/* A timer, no deferred job: those run before the kernel is asked what else is ready. */
	loop_timer_add(watch->loop->again_event, 0);
}

void watch_run_again(struct loop *loop)
{
	unsigned count = loop->again_count; /* those who want it once more have their turn after the others */
	struct watch *watch;

	while (count-- > 0 && (watch = TAILQ_FIRST(&loop->again)) != NULL) {
		leave_again(watch);
		watch->on_ready(watch->arg, true, false);
	}
}

void watch_free(struct watch *watch, bool reset)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	if (watch == NULL)
		return;
	leave_again(watch);
	give_event_back(watch->loop, watch->event);
	if (watch->fd >= 0) {
		if (reset)
			setsockopt(watch->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		close(watch->fd);
	}
	free(watch);
}
