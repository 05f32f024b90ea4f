/*
 * log_limit: the same failure at most once a minute, with a count.
 *
 *	if (log_begin(&line, LOG_ERROR, "accept-paused")) {
 *		...
 *		log_limit_end(&line, "accept-paused", 0);
 *	}
 *
 * Lines of one group tell of one thing (a path, a way to be refused); `variant` says in which way (a code).
 * In each minute the first line of each variant is written, the others are left out.  Every line that is
 * written carries `repeated`, how many of its group were left out since the line before it.  What is left out
 * when the minute ends is told by the last of these lines, so the last line of a group is always its last
 * event, and lines plus `repeated` are as many as there were events.  With log_level = debug every line is
 * written.  Safe from any thread.
 */
#ifndef MIDRELAY_BASE_LOG_LIMIT_H
#define MIDRELAY_BASE_LOG_LIMIT_H

#include <stdint.h>

#include "base/log.h"

#define LOG_LIMIT_MS 60000
#define LOG_LIMIT_VARIANTS 64

/*
 * Instead of log_end().  Groups come from the configuration and our own names, never from outside: none is
 * refused.
 */
void log_limit_end(struct log_line *line, const char *group, unsigned variant);

/*
 * Tells what was left out in minutes that are over, and what was lost.  True: there may be more to tell later, so it is to
 * be called again in LOG_LIMIT_SWEEP_MS.  False: when `wake` says so.
 */
#define LOG_LIMIT_SWEEP_MS 5000
bool log_limit_sweep(void);

/*
 * `wake` is called, in any thread, when a sweep has something to do and none is due.  It must not log.  To be set, and
 * unset by NULL, while no other thread logs.
 */
void log_limit_set_wake(void (*wake)(void *arg), void *arg);
/* A sweep has something to do; for log.c. */
void log_limit_want_sweep(void);

/* Tells all that was left out, now. */
void log_limit_flush(void);

/* The same at a given time, which only grows. */
void log_limit_end_at(struct log_line *line, const char *group, unsigned variant, int64_t now_ms);
void log_limit_sweep_at(int64_t now_ms);

#endif
