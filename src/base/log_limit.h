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

/* Tells what was left out in minutes that are over; to be called every LOG_LIMIT_SWEEP_MS. */
#define LOG_LIMIT_SWEEP_MS 5000
void log_limit_sweep(void);

/* Tells all that was left out, now. */
void log_limit_flush(void);

/* The same at a given time, which only grows. */
void log_limit_end_at(struct log_line *line, const char *group, unsigned variant, int64_t now_ms);
void log_limit_sweep_at(int64_t now_ms);

#endif
