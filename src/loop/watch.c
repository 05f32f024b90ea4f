/* watch: a descriptor, its two events, and who is interested; see loop.h. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/loop.h"

struct watch {
	int fd;
	bool reading, writing;
	watch_fn *on_ready;
	void *arg;
	struct event *read_event, *write_event;
	struct event *again_event;
};

static void on_event(evutil_socket_t fd, short what, void *arg)
{
	struct watch *watch = arg;

	watch->on_ready(watch->arg, (what & EV_READ) != 0, (what & EV_WRITE) != 0);
}

static void on_again(evutil_socket_t fd, short what, void *arg)
{
	struct watch *watch = arg;

	watch->on_ready(watch->arg, true, false);
}

struct watch *watch_new(struct loop *loop, int fd, watch_fn *on_ready, void *arg)
{
	struct watch *watch = mem_calloc(1, sizeof(*watch));

	watch->fd = fd;
	watch->on_ready = on_ready;
	watch->arg = arg;
	watch->read_event = event_new(loop->base, fd, EV_READ | EV_PERSIST, on_event, watch);
	watch->write_event = event_new(loop->base, fd, EV_WRITE | EV_PERSIST, on_event, watch);
	watch->again_event = event_new(loop->base, -1, EV_TIMEOUT, on_again, watch);
	if (watch->read_event == NULL || watch->write_event == NULL || watch->again_event == NULL) {
		watch->fd = -1;
		watch_free(watch, false);
		return NULL;
	}
	return watch;
}

void watch_set_owner(struct watch *watch, watch_fn *on_ready, void *arg)
{
	watch->on_ready = on_ready;
	watch->arg = arg;
}

static void set_event(struct event *event, bool *on, bool wanted)
{
	if (wanted == *on)
		return;
	if (wanted)
		event_add(event, NULL);
	else
		event_del(event);
	*on = wanted;
}

void watch_want(struct watch *watch, bool read, bool write)
{
	/* What is new before what is over: a descriptor without any interest would leave epoll and have to come back. */
	if (read)
		set_event(watch->read_event, &watch->reading, true);
	set_event(watch->write_event, &watch->writing, write);
	set_event(watch->read_event, &watch->reading, read);
}

int watch_fd(const struct watch *watch)
{
	return watch->fd;
}

void watch_again(struct watch *watch)
{
	loop_timer_add(watch->again_event, 0);
}

void watch_free(struct watch *watch, bool reset)
{
	struct linger linger = {.l_onoff = 1, .l_linger = 0};

	if (watch == NULL)
		return;
	if (watch->read_event != NULL)
		event_free(watch->read_event);
	if (watch->write_event != NULL)
		event_free(watch->write_event);
	if (watch->again_event != NULL)
		event_free(watch->again_event);
	if (watch->fd >= 0) {
		if (reset)
			setsockopt(watch->fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger));
		close(watch->fd);
	}
	free(watch);
}
