/*
 * loop: what one event-loop thread owns and lends: the libevent base, buffers, a mailbox.
 *
 * Everything here belongs to the loop's thread, except loop_post().
 */
#ifndef MIDRELAY_LOOP_LOOP_H
#define MIDRELAY_LOOP_LOOP_H

#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "base/error.h"
#include "base/wire.h"

/* Something to be run by the loop; embedded in its owner, on one list at a time. */
struct loop_job {
	void (*run)(struct loop_job *job);
	struct loop_job *next;
};

struct loop_mailbox;
TAILQ_HEAD(watch_list, watch);

struct loop {
	struct event_base *base;
	unsigned index; /* 0 … workers-1 */
	struct wire_pool pool;
	struct loop_job *deferred_first, **deferred_last;
	struct event *deferred_event;
	struct loop_mailbox *mailbox;
	struct watch_list again; /* watches that called watch_again() */
	unsigned again_count;
	struct event *again_event;
	struct event *spare_event; /* the watches': memory only */
};

struct loop *loop_new(unsigned index, struct error *err);
void loop_free(struct loop *loop); /* runs posted and deferred jobs that are left */

/* Runs until loop_stop().  loop_stop() is called in the loop's thread (post a job for it from elsewhere). */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

/* Runs the job soon, after the current call-back has returned; costs no system call. */
void loop_defer(struct loop *loop, struct loop_job *job);

/* The same from any thread.  Jobs run in the order they were posted. */
void loop_post(struct loop *loop, struct loop_job *job);

/* Monotonic time in ms; coarse (some ms), for deadlines.  loop_clock_us() is exact, for timings. */
int64_t loop_now_ms(void);
int64_t loop_clock_us(void);

/* (Re-)arms a timer event to fire in `ms` (at least 0). */
void loop_timer_add(struct event *timer, int64_t ms);

/*
 * watch: a descriptor with the interest in it.  It survives the change of its owner (a dial hands its connected
 * watch to a session), so that the kernel is told only what changes.
 */
struct watch;
typedef void watch_fn(void *arg, bool readable, bool writable);

/* Takes ownership of fd (non-blocking). */
struct watch *watch_new(struct loop *loop, int fd, watch_fn *on_ready, void *arg);
void watch_set_owner(struct watch *watch, watch_fn *on_ready, void *arg);
void watch_want(struct watch *watch, bool read, bool write);
int watch_fd(const struct watch *watch);
/* Calls the owner again in the next turn of the loop, as if the descriptor were readable. */
void watch_again(struct watch *watch);
/* Calls those owners; for the loop. */
void watch_run_again(struct loop *loop);
/* Closes the descriptor; with `reset` the peer gets a RST.  NULL is fine. */
void watch_free(struct watch *watch, bool reset);

#endif
