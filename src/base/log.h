/*
 * log: one event a line on stderr, as `ts level event key=value…` or as a JSON object.
 *
 *	struct log_line line;
 *	if (log_begin(&line, LOG_INFO, "listening")) {
 *		log_str(&line, "relay", relay->name);
 *		log_int(&line, "port", port);
 *		log_end(&line);
 *	}
 *
 * A line is built on the caller's stack, bounded, and written by one write(2); a reader that does not keep up
 * never blocks a worker: such lines are counted and the count is logged when there is room again
 * (event `log-lost`, once a minute at most).  Safe from any thread.  Values are escaped as JSON strings, in
 * ASCII; keys are ours.
 */
#ifndef MIDRELAY_BASE_LOG_H
#define MIDRELAY_BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };
enum log_format { LOG_TEXT, LOG_JSON };

#define LOG_LINE_BYTES 4096

struct log_line {
	size_t len;
	bool cut; /* a value did not fit; the line says so */
	enum log_format format; /* a reload may change it while a line is built */
	char text[LOG_LINE_BYTES];
};

void log_configure(enum log_level level, enum log_format format);
const char *log_level_name(enum log_level level);
bool log_wants(enum log_level level);

/* False when the level is not logged; then nothing else must be called. */
bool log_begin(struct log_line *line, enum log_level level, const char *event) MUST_CHECK;
void log_str(struct log_line *line, const char *key, const char *value); /* NULL: the key is left out */
void log_bytes(struct log_line *line, const char *key, const void *bytes, size_t len);
void log_int(struct log_line *line, const char *key, int64_t value);
void log_bool(struct log_line *line, const char *key, bool value); /* yes / no */
void log_end(struct log_line *line);

/*
 * For log_limit: a line that stands for `repeated` others too; a new time for one that was kept; a loss not
 * told yet (false: and not told now).
 */
void log_write(struct log_line *line, uint64_t repeated);
void log_stamp(struct log_line *line);
bool log_tell_lost(bool at_once);

/* An event with one key, `msg`. */
void log_msg(enum log_level level, const char *event, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
