/* status_http: see status_http.h. */
#include "status/status_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "base/addr.h"
#include "base/mem.h"
#include "base/text.h"
#include "status/status_page.h"

#define HEADERS_MAX 100

struct line {
	const char *at;
	size_t len;
};

/* The end of the head, 0 when it is not there yet.  A bare LF ends a line, too (RFC 9112 2.2). */
static size_t head_bytes(const char *bytes, size_t len)
{
	size_t i;

	for (i = 0; i + 1 < len; i++) {
		if (bytes[i] != '\n')
			continue;
		if (bytes[i + 1] == '\n')
			return i + 2;
		if (i + 2 < len && bytes[i + 1] == '\r' && bytes[i + 2] == '\n')
			return i + 3;
	}
	return 0;
}

static struct line next_line(const char **at, const char *end)
{
	const char *stop = memchr(*at, '\n', (size_t)(end - *at));
	struct line line = {*at, (size_t)((stop != NULL ? stop : end) - *at)};

	*at = stop != NULL ? stop + 1 : end;
	if (line.len > 0 && line.at[line.len - 1] == '\r')
		line.len--;
	return line;
}

static bool has_control(const struct line *line)
{
	size_t i;

	for (i = 0; i < line->len; i++) {
		unsigned char c = (unsigned char)line->at[i];

		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return true;
	}
	return false;
}

static bool is(const char *text, size_t len, const char *word)
{
	return strlen(word) == len && memcmp(text, word, len) == 0;
}

/* "/path?query", as far as there is room; what does not fit is no path of ours, and no query. */
static void set_target(struct status_request *request, const char *target, size_t len)
{
	const char *mark = memchr(target, '?', len);
	size_t path = mark != NULL ? (size_t)(mark - target) : len, query = mark != NULL ? len - path - 1 : 0;

	memset(request->path, 0, sizeof(request->path));
	memset(request->query, 0, sizeof(request->query));
	if (path < sizeof(request->path))
		memcpy(request->path, target, path);
	if (query > 0 && query < sizeof(request->query))
		memcpy(request->query, mark + 1, query);
}

static unsigned parse_request_line(const struct line *line, struct status_request *request, bool *is_1_1)
{
	const char *method_end = memchr(line->at, ' ', line->len), *target, *target_end;
	size_t rest;

	if (method_end == NULL)
		return 400;
	target = method_end + 1;
	rest = line->len - (size_t)(target - line->at);
	target_end = memchr(target, ' ', rest);
	if (target_end == NULL)
		return 400;
	rest -= (size_t)(target_end + 1 - target);
	if (rest != 8 || memcmp(target_end + 1, "HTTP/1.", 7) != 0 || (target_end[8] != '0' && target_end[8] != '1'))
		return rest == 8 && memcmp(target_end + 1, "HTTP/", 5) == 0 ? 505 : 400;
	*is_1_1 = target_end[8] == '1';
	request->head = is(line->at, (size_t)(method_end - line->at), "HEAD");
	if (!request->head && !is(line->at, (size_t)(method_end - line->at), "GET"))
		return 405;
	if (*target != '/')
		return 400;
	set_target(request, target, (size_t)(target_end - target));
	return 200;
}

struct seen {
	unsigned hosts, headers;
	bool foreign, close, body;
};

static bool has_word(const char *value, size_t len, const char *word)
{
	size_t i, words = strlen(word);

	for (i = 0; i + words <= len; i++)
		if (strncasecmp(value + i, word, words) == 0)
			return true;
	return false;
}

static unsigned parse_header(const struct line *line, struct seen *seen)
{
	const char *colon = memchr(line->at, ':', line->len), *value;
	size_t name, len;

	if (colon == NULL || colon == line->at || colon[-1] == ' ' || colon[-1] == '\t' || *line->at == ' ' ||
	    *line->at == '\t')
		return 400;
	name = (size_t)(colon - line->at);
	value = colon + 1;
	len = line->len - name - 1;
	while (len > 0 && (*value == ' ' || *value == '\t'))
		value++, len--;
	while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
		len--;
	if (name == 4 && strncasecmp(line->at, "Host", 4) == 0) {
		seen->hosts++;
		seen->foreign |= !status_host_is_ours(value, len);
	} else if (name == 10 && strncasecmp(line->at, "Connection", 10) == 0) {
		seen->close |= has_word(value, len, "close");
	} else if (name == 14 && strncasecmp(line->at, "Content-Length", 14) == 0) {
		seen->body |= !is(value, len, "0");
	} else if (name == 17 && strncasecmp(line->at, "Transfer-Encoding", 17) == 0) {
		seen->body = true;
	}
	return 200;
}

unsigned status_request_parse(const char *bytes, size_t len, bool any_host, struct status_request *request,
    size_t *used)
{
	size_t head = head_bytes(bytes, len);
	const char *at = bytes, *end = bytes + head;
	struct seen seen = {0};
	bool is_1_1 = false;
	struct line line;
	unsigned status;

	if (head == 0)
		return len >= STATUS_HEAD_BYTES ? 431 : 0;
	if (head > STATUS_HEAD_BYTES)
		return 431;
	line = next_line(&at, end);
	if (has_control(&line))
		return 400;
	status = parse_request_line(&line, request, &is_1_1);
	while (status == 200 && (line = next_line(&at, end)).len > 0) {
		if (++seen.headers > HEADERS_MAX)
			return 431;
		status = has_control(&line) ? 400 : parse_header(&line, &seen);
	}
	if (status != 200)
		return status;
	if (seen.hosts > 1 || (seen.hosts == 0 && is_1_1))
		return 400;
	if (seen.foreign && !any_host)
		return 421;
	if (seen.body)
		return 413;
	request->keep = is_1_1 && !seen.close;
	*used = head;
	return 200;
}

/* HOST or HOST:PORT; gives the length of HOST, 0 when the port is none. */
static size_t without_port(const char *host, size_t len)
{
	size_t end = len;

	if (len > 0 && host[0] == '[') {
		const char *close = memchr(host, ']', len);

		end = close != NULL ? (size_t)(close - host) + 1 : 0;
	} else {
		const char *colon = memchr(host, ':', len);

		end = colon != NULL ? (size_t)(colon - host) : len;
	}
	if (end == len)
		return end;
	if (host[end] != ':' || len - end < 2 || len - end > 6)
		return 0;
	for (len--; len > end; len--)
		if (host[len] < '0' || host[len] > '9')
			return 0;
	return end;
}

bool status_host_is_ours(const char *host, size_t len)
{
	size_t name = without_port(host, len);
	struct addr addr;
	char text[64];

	if (name == 0 || name >= sizeof(text))
		return false;
	memcpy(text, host, name);
	text[name] = '\0';
	return strcasecmp(text, "localhost") == 0 || addr_parse_ip(text, 0, &addr);
}

const char *status_query(const struct status_request *request, const char *key, char *buf, size_t buf_bytes)
{
	const char *at = request->query;
	size_t key_len = strlen(key);

	while (*at != '\0') {
		size_t len = strcspn(at, "&");

		if (len > key_len && at[key_len] == '=' && strncmp(at, key, key_len) == 0) {
			snprintf(buf, buf_bytes, "%.*s", (int)(len - key_len - 1), at + key_len + 1);
			return buf;
		}
		at += len;
		at += *at == '&';
	}
	return NULL;
}

static const char *reason(unsigned status)
{
	switch (status) {
	case 200:
		return "OK";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 413:
		return "Content Too Large";
	case 421:
		return "Misdirected Request";
	case 431:
		return "Request Header Fields Too Large";
	case 500:
		return "Internal Server Error";
	case 503:
		return "Service Unavailable";
	case 505:
		return "HTTP Version Not Supported";
	default: /* a number, no enum */
		return "Unknown";
	}
}

char *status_answer_bytes(const struct status_answer *answer, bool head, bool keep, size_t *len)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep",
	    "Oct", "Nov", "Dec"};
	time_t now = time(NULL);
	struct tm tm = {0};
	char *text, *bytes;
	size_t head_len;

	gmtime_r(&now, &tm);
	text = mem_printf("HTTP/1.1 %u %s\r\n"
	    "Date: %s, %02d %s %d %02d:%02d:%02d GMT\r\n"
	    "Content-Type: %s\r\nContent-Length: %zu\r\n%s"
	    "Cache-Control: no-store\r\n"
	    "X-Content-Type-Options: nosniff\r\n"
	    "Content-Security-Policy: " STATUS_PAGE_SECURITY_POLICY "\r\n"
	    "Referrer-Policy: no-referrer\r\n"
	    "Cross-Origin-Resource-Policy: same-origin\r\n"
	    "Connection: %s\r\n\r\n", answer->status, reason(answer->status), days[tm.tm_wday], tm.tm_mday,
	    months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec, answer->type, answer->len,
	    answer->status == 405 ? "Allow: GET, HEAD\r\n" : "", keep ? "keep-alive" : "close");
	head_len = strlen(text);
	*len = head_len + (head ? 0 : answer->len);
	bytes = mem_realloc(text, *len + 1);
	if (!head)
		memcpy(bytes + head_len, answer->body, answer->len);
	return bytes;
}
