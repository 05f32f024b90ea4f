/*
 * log: see log.h.
 *
 * Answers for the two formats, for escaping, and for never blocking a worker on stderr.  Does not decide what
 * is worth a line.
 */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/log_limit.h"

/* Room kept for the end of a line: the mark that something was cut, `repeated`, and the closing brace. */
#define TAIL_BYTES 64
#define JSON_HEAD "{\"ts\":\""
#define TIME_BYTES 24 /* 2026-01-31T23:59:59.999Z */
#define LOST_TOLD_MS 60000

/* A reload changes them while workers log. */
static _Atomic enum log_level level_now = LOG_INFO;
static _Atomic enum log_format format_now = LOG_TEXT;
static int log_fd = STDERR_FILENO;
static bool log_fd_is_socket;
static atomic_uint lines_lost;
static atomic_bool line_torn; /* the file ends within a line */
static atomic_llong lost_told_ms = -LOST_TOLD_MS; /* monotonic */

const char *log_level_name(enum log_level level)
{
	switch (level) {
	case LOG_ERROR:
		return "error";
	case LOG_WARN:
		return "warn";
	case LOG_INFO:
		return "info";
	case LOG_DEBUG:
		return "debug";
	}
	return "?";
}

/*
 * A pipe is opened anew for ourselves, because O_NONBLOCK belongs to the open file and others may share the
 * one we were given.
 */
static void open_output(void)
{
	struct stat st;
	int fd;

	if (log_fd != STDERR_FILENO || log_fd_is_socket || fstat(STDERR_FILENO, &st) != 0)
		return;
	if (S_ISSOCK(st.st_mode)) {
		log_fd_is_socket = true;
	} else if (S_ISFIFO(st.st_mode)) {
		fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_CLOEXEC);
		if (fd >= 0)
			log_fd = fd;
	}
}

void log_configure(enum log_level level, enum log_format format)
{
	/* What was kept was kept in the old format, and may not be wanted at the new level. */
	if (level != level_now || format != format_now)
		log_limit_flush();
	level_now = level;
	format_now = format;
	open_output();
}

bool log_wants(enum log_level level)
{
	return level <= level_now;
}

static void put(struct log_line *line, const char *bytes, size_t len)
{
	if (line->cut || len > sizeof(line->text) - TAIL_BYTES - line->len) {
		line->cut = true;
		return;
	}
	memcpy(line->text + line->len, bytes, len);
	line->len += len;
}

static void put_text(struct log_line *line, const char *text)
{
	put(line, text, strlen(text));
}

static void put_key(struct log_line *line, const char *key)
{
	if (line->format == LOG_JSON) {
		put_text(line, ",\"");
		put_text(line, key);
		put_text(line, "\":");
	} else {
		put_text(line, " ");
		put_text(line, key);
		put_text(line, "=");
	}
}

/*
 * A JSON string in both formats (readers of logfmt know no other escapes): a foreign byte is shown as the
 * text \xNN.
 */
static void put_quoted(struct log_line *line, const unsigned char *bytes, size_t len)
{
	static const char hex[] = "0123456789abcdef";
	size_t i;

	put_text(line, "\"");
	for (i = 0; i < len; i++) {
		unsigned char c = bytes[i];

		if (c == '"') {
			put(line, "\\\"", 2);
		} else if (c == '\\') {
			put(line, "\\\\", 2);
		} else if (c >= 0x20 && c < 0x7f) {
			put(line, (const char *)&bytes[i], 1);
		} else {
			char code[6] = {'\\', '\\', 'x', hex[c >> 4], hex[c & 15], 0};

			put_text(line, code);
		}
	}
	put_text(line, "\"");
}

static bool is_bare(const unsigned char *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		if (bytes[i] <= 0x20 || bytes[i] >= 0x7f || bytes[i] == '"' || bytes[i] == '\\' ||
		    bytes[i] == '=')
			return false;
	}
	return len > 0;
}

void log_bytes(struct log_line *line, const char *key, const void *bytes, size_t len)
{
	size_t before = line->len;

	put_key(line, key);
	if (line->format == LOG_TEXT && is_bare(bytes, len))
		put(line, bytes, len);
	else
		put_quoted(line, bytes, len);
	if (line->cut)
		line->len = before;
}

void log_str(struct log_line *line, const char *key, const char *value)
{
	if (value != NULL)
		log_bytes(line, key, value, strlen(value));
}

void log_int(struct log_line *line, const char *key, int64_t value)
{
	char text[24];
	size_t before = line->len;

	snprintf(text, sizeof(text), "%" PRId64, value);
	put_key(line, key);
	put_text(line, text);
	if (line->cut)
		line->len = before;
}

void log_bool(struct log_line *line, const char *key, bool value)
{
	size_t before = line->len;

	put_key(line, key);
	if (line->format == LOG_JSON)
		put_text(line, value ? "true" : "false");
	else
		put_text(line, value ? "yes" : "no");
	if (line->cut)
		line->len = before;
}

static void format_time(char text[TIME_BYTES + 1])
{
	struct timespec now;
	struct tm tm;
	char whole[48];
	size_t len;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);
	len = strftime(whole, sizeof(whole), "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(whole + len, sizeof(whole) - len, ".%03ldZ", now.tv_nsec / 1000000);
	memcpy(text, whole, TIME_BYTES);
	text[TIME_BYTES] = '\0';
}

static void put_time(struct log_line *line)
{
	char text[TIME_BYTES + 1];

	format_time(text);
	put_text(line, text);
}

void log_stamp(struct log_line *line)
{
	char text[TIME_BYTES + 1];

	format_time(text);
	memcpy(line->text + (line->format == LOG_JSON ? strlen(JSON_HEAD) : 0), text, TIME_BYTES);
}

static void begin(struct log_line *line, enum log_level level, const char *event)
{
	line->len = 0;
	line->cut = false;
	line->format = format_now;
	if (line->format == LOG_JSON) {
		put_text(line, JSON_HEAD);
		put_time(line);
		put_text(line, "\",\"level\":\"");
		put_text(line, log_level_name(level));
		put_text(line, "\",\"event\":\"");
		put_text(line, event);
		put_text(line, "\"");
	} else {
		put_time(line);
		put_text(line, " ");
		put_text(line, log_level_name(level));
		put_text(line, " ");
		put_text(line, event);
	}
}

bool log_begin(struct log_line *line, enum log_level level, const char *event)
{
	if (!log_wants(level))
		return false;
	begin(line, level, event);
	return true;
}

/* Behind what put() leaves room for. */
static void put_tail(struct log_line *line, uint64_t repeated)
{
	bool json = line->format == LOG_JSON;
	char tail[TAIL_BYTES];
	int len = 0;

	if (line->cut)
		len += snprintf(tail + len, sizeof(tail) - (size_t)len, json ? ",\"cut\":true" : " cut=yes");
	if (repeated > 0)
		len += snprintf(tail + len, sizeof(tail) - (size_t)len, json ? ",\"repeated\":%" PRIu64 :
		    " repeated=%" PRIu64, repeated);
	len += snprintf(tail + len, sizeof(tail) - (size_t)len, json ? "}\n" : "\n");
	memcpy(line->text + line->len, tail, (size_t)len);
	line->len += (size_t)len;
}

/* As much of it as there was room for; -1: nothing. */
static ssize_t write_some(const char *bytes, size_t len)
{
	ssize_t n;

	do {
		if (log_fd_is_socket)
			n = send(log_fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
		else
			n = write(log_fd, bytes, len);
	} while (n < 0 && errno == EINTR);
	return n;
}

/* False: the line is lost.  A full disk may have taken the beginning of it, which the next line must not continue. */
static bool write_out(const struct log_line *line)
{
	ssize_t n;

	if (atomic_load_explicit(&line_torn, memory_order_relaxed)) {
		if (write_some("\n", 1) < 0)
			return false;
		atomic_store(&line_torn, false);
	}
	n = write_some(line->text, line->len);
	if (n > 0 && (size_t)n < line->len)
		atomic_store(&line_torn, true);
	return n == (ssize_t)line->len;
}

bool log_tell_lost(bool at_once)
{
	struct log_line line;
	struct timespec now;
	long long now_ms, told_ms;
	unsigned lost;

	if (atomic_load_explicit(&lines_lost, memory_order_relaxed) == 0)
		return true;
	clock_gettime(CLOCK_MONOTONIC, &now);
	now_ms = (long long)now.tv_sec * 1000 + now.tv_nsec / 1000000;
	told_ms = atomic_load(&lost_told_ms);
	if (!at_once && now_ms - told_ms < LOST_TOLD_MS)
		return false;
	lost = atomic_exchange(&lines_lost, 0);
	if (lost == 0)
		return true;
	begin(&line, LOG_WARN, "log-lost");
	log_int(&line, "lines", lost);
	put_tail(&line, 0);
	if (write_out(&line)) {
		atomic_store(&lost_told_ms, now_ms);
		return true;
	}
	atomic_fetch_add(&lines_lost, lost);
	return false;
}

void log_write(struct log_line *line, uint64_t repeated)
{
	int saved_errno = errno;

	put_tail(line, repeated);
	if (write_out(line)) {
		(void)log_tell_lost(false);
	} else {
		atomic_fetch_add(&lines_lost, 1);
		log_limit_want_sweep();
	}
	errno = saved_errno;
}

void log_end(struct log_line *line)
{
	log_write(line, 0);
}

void log_msg(enum log_level level, const char *event, const char *fmt, ...)
{
	struct log_line line;
	char text[2048];
	va_list ap;

	if (!log_begin(&line, level, event))
		return;
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_str(&line, "msg", text);
	log_end(&line);
}
