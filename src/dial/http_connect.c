/*
 * http_connect: writes the CONNECT request and finds the verdict in the head of its reply.
 *
 * It answers for the bytes on the wire: what is sent, where a head ends, what breaks the rules.  It knows no
 * socket, no time-out and no TLS; http_refusal puts a no into words.
 *
 * Every decision falls at a byte that is fixed by the reply's content, and the sentence uses nothing behind
 * that byte, so that the outcome does not depend on how the reply was cut into packets.  For the same reason
 * the body of a refusal is not looked at.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "dial/http_connect.h"
#include "dial/http_refusal.h"

/* How much of a first line that is no status line is waited for, and shown. */
#define SAMPLE_BYTES 64
/* Shown of foreign text, in bytes of escaped text. */
#define SHOWN_LINE_BYTES 161
#define SHOWN_NAME_BYTES 101

static const char version_prefix[] = "HTTP/1.";
#define VERSION_PREFIX_LEN (sizeof(version_prefix) - 1)

/* ---- the request ---- */

static bool has_user_agent(const struct http_connect_request *request)
{
	size_t i;

	for (i = 0; i < request->header_count; i++) {
		if (strcasecmp(request->header_names[i], "User-Agent") == 0)
			return true;
	}
	return false;
}

/* "user:password" (RFC 7617), to be wiped and freed by the caller. */
static char *join_credentials(const struct http_connect_request *request, size_t *len)
{
	size_t user_len = strlen(request->user);
	size_t password_len = request->password != NULL ? secret_len(request->password) : 0;
	char *plain = mem_calloc(1, user_len + 1 + password_len + 1);

	memcpy(plain, request->user, user_len);
	plain[user_len] = ':';
	if (password_len > 0)
		memcpy(plain + user_len + 1, secret_bytes(request->password), password_len);
	*len = user_len + 1 + password_len;
	return plain;
}

struct secret *http_connect_build(const struct http_connect_request *request)
{
	static const char agent[] = "User-Agent: midrelay/" PACKAGE_VERSION "\r\n";
	static const char basic[] = "Proxy-Authorization: Basic ";
	char *target = hostport_format(request->target);
	char *plain = NULL, *head, *at;
	size_t plain_len = 0, size, i;
	struct secret *secret;

	if (request->user != NULL)
		plain = join_credentials(request, &plain_len);
	size = 2 * strlen(target) + sizeof(agent) + sizeof(basic) + TEXT_BASE64_BYTES(plain_len) + 64;
	for (i = 0; i < request->header_count; i++)
		size += strlen(request->header_names[i]) + strlen(request->header_values[i]) + 4;

	head = mem_calloc(1, size);
	at = head + snprintf(head, size, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", target, target);
	if (!has_user_agent(request))
		at = stpcpy(at, agent);
	if (plain != NULL) {
		at = stpcpy(at, basic);
		text_base64_encode(plain, plain_len, at);
		at = stpcpy(at + strlen(at), "\r\n");
		explicit_bzero(plain, plain_len);
	}
	for (i = 0; i < request->header_count; i++)
		at += snprintf(at, size - (size_t)(at - head), "%s: %s\r\n", request->header_names[i],
		    request->header_values[i]);
	at = stpcpy(at, "\r\n");
	midrelay_assert((size_t)(at - head) < size);

	secret = secret_new(head, (size_t)(at - head));
	explicit_bzero(head, size);
	free(head);
	free(plain);
	free(target);
	return secret;
}

struct secret *http_connect_redirect(const struct secret *request, const struct hostport *target)
{
	const char *from = secret_bytes(request), *rest = from;
	char *text = hostport_format(target), *head, *at;
	size_t rest_len, size;
	struct secret *secret;
	unsigned lines;

	/* The request line and Host come first, and are all that names the host. */
	for (lines = 0; lines < 2; lines++) {
		rest = memchr(rest, '\n', secret_len(request) - (size_t)(rest - from));
		midrelay_assert(rest != NULL);
		rest++;
	}
	rest_len = secret_len(request) - (size_t)(rest - from);
	size = 2 * strlen(text) + rest_len + 64;
	head = mem_calloc(1, size);
	at = head + snprintf(head, size, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n", text, text);
	memcpy(at, rest, rest_len);
	secret = secret_new(head, (size_t)(at - head) + rest_len);
	explicit_bzero(head, size);
	free(head);
	free(text);
	return secret;
}

/* ---- what is no status line ---- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* The status code, or -1 when the line is no HTTP/1.x status line.  The reason phrase may be missing. */
static int parse_status(const char *line, size_t len)
{
	size_t i = VERSION_PREFIX_LEN + 1;
	int status = 0;
	size_t digits;

	if (len < i || memcmp(line, version_prefix, VERSION_PREFIX_LEN) != 0 ||
	    !isdigit((unsigned char)line[VERSION_PREFIX_LEN]) || i == len || !is_blank(line[i]))
		return -1;
	while (i < len && is_blank(line[i]))
		i++;
	for (digits = 0; i < len && isdigit((unsigned char)line[i]) && digits < 4; i++, digits++)
		status = status * 10 + (line[i] - '0');
	if (digits != 3 || (i < len && !is_blank(line[i])))
		return -1;
	return status;
}

/* Bytes of a binary greeting that must be there to tell which one it is. */
static size_t binary_need(unsigned char first)
{
	if (first >= 0x14 && first <= 0x17)
		return 2;
	return first == 0 ? 4 : 1;
}

static const char *show_name(const char *name, char buf[SHOWN_NAME_BYTES])
{
	return text_escape(name, strlen(name), buf, SHOWN_NAME_BYTES);
}

/* Where a verdict is put into words: who was asked, and the sentence. */
struct judge {
	const struct http_connect_context *context;
	struct diagnosis *diagnosis;
};

/* The first line is no status line; `sample` is what may be shown of it. */
static enum http_connect_verdict refuse_sample(const struct judge *judge, const char *sample, size_t len)
{
	char proxy[SHOWN_NAME_BYTES], target[SHOWN_NAME_BYTES], shown[SHOWN_LINE_BYTES];
	size_t n = len < SAMPLE_BYTES ? len : SAMPLE_BYTES;

	diagnosis_set(judge->diagnosis, DIAGNOSIS_PROXY_MALFORMED,
	    "%s answered CONNECT %s not with an HTTP/1.x reply but with %s%s%s%s",
	    show_name(judge->context->proxy_name, proxy), show_name(judge->context->target, target),
	    http_refusal_name_sample(sample, len), n > 0 ? ": \"" : "",
	    text_escape(sample, n, shown, sizeof(shown)), n > 0 ? "\"" : "");
	if (http_refusal_is_tls(sample, len))
		diagnosis_set_cause(judge->diagnosis, DIAGNOSIS_CAUSE_MALFORMED_WANTS_TLS);
	else if (len >= 5 && memcmp(sample, "HTTP/", 5) == 0)
		diagnosis_set_cause(judge->diagnosis, DIAGNOSIS_CAUSE_BROKEN_REPLY);
	return HTTP_CONNECT_BROKEN;
}

/* The reply is HTTP/1.x but breaks a rule; the words complete "the reply has …". */
static enum http_connect_verdict PRINTF_LIKE(2, 3)
refuse_rule(const struct judge *judge, const char *fmt, ...)
{
	char proxy[SHOWN_NAME_BYTES], target[SHOWN_NAME_BYTES], what[SHOWN_LINE_BYTES];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(what, sizeof(what), fmt, ap);
	va_end(ap);
	diagnosis_set(judge->diagnosis, DIAGNOSIS_PROXY_MALFORMED, "the reply of %s to CONNECT %s has %s",
	    show_name(judge->context->proxy_name, proxy), show_name(judge->context->target, target), what);
	diagnosis_set_cause(judge->diagnosis, DIAGNOSIS_CAUSE_BROKEN_REPLY);
	return HTTP_CONNECT_BROKEN;
}

/* ---- the parser ---- */

enum scan { SCAN_MORE, SCAN_LINE, SCAN_BROKEN };

/* The byte at `i` has no place in a status line (RFC 9112 4: HTAB, SP, VCHAR, obs-text; and CR before LF). */
static bool is_foreign(const char *from, size_t i, size_t line_start)
{
	unsigned char c = (unsigned char)from[i];

	if (c == '\r')
		return from[i + 1] != '\n';
	return (iscntrl(c) && c != '\t') || (i == line_start && c >= 0x80);
}

/*
 * Looks at the new bytes [scanned, stop) of a status line; `stop` is its LF, or `end` when there is none yet.
 * A CR at the very end waits for the byte behind it.
 */
static enum scan scan_status_line(struct http_connect_parser *parser, const char *from, size_t stop,
    size_t end, const struct judge *judge)
{
	const char *line = from + parser->head_start;
	size_t i, at, need;

	for (i = parser->scanned; i < stop; i++) {
		at = i - parser->head_start;
		if (from[i] == '\r' && i + 1 == end)
			break;
		if (is_foreign(from, i, parser->head_start)) {
			need = binary_need((unsigned char)line[0]);
			if (at + 1 > need)
				need = at + 1;
			if (end - parser->head_start < need)
				break;
			if (at < VERSION_PREFIX_LEN || memcmp(line, version_prefix, VERSION_PREFIX_LEN) != 0)
				refuse_sample(judge, line, need);
			else
				refuse_rule(judge, "a control byte (0x%02x) in its status line",
				    (unsigned)(unsigned char)from[i]);
			return SCAN_BROKEN;
		}
		if (at == SAMPLE_BYTES - 1 && memcmp(line, version_prefix, VERSION_PREFIX_LEN) != 0) {
			refuse_sample(judge, line, SAMPLE_BYTES);
			return SCAN_BROKEN;
		}
	}
	parser->scanned = i;
	return i == stop && stop < end ? SCAN_LINE : SCAN_MORE;
}

/* The next line: SCAN_LINE leaves *lf at its LF. */
static enum scan scan_line(struct http_connect_parser *parser, const char *from, size_t len, size_t *lf,
    const struct judge *judge)
{
	size_t limit = parser->line_start + HTTP_CONNECT_MAX_LINE_BYTES + 1, end;
	const char *found;
	enum scan scan;

	if (limit > HTTP_CONNECT_MAX_HEAD_BYTES)
		limit = HTTP_CONNECT_MAX_HEAD_BYTES;
	end = len < limit ? len : limit;
	found = memchr(from + parser->scanned, '\n', end - parser->scanned);
	*lf = found != NULL ? (size_t)(found - from) : end;
	if (parser->line_start == parser->head_start) {
		scan = scan_status_line(parser, from, *lf, end, judge);
	} else {
		parser->scanned = *lf;
		scan = found != NULL ? SCAN_LINE : SCAN_MORE;
	}
	if (scan != SCAN_MORE || len < limit)
		return scan;
	if (limit == HTTP_CONNECT_MAX_HEAD_BYTES)
		refuse_rule(judge, "a head longer than %d bytes", HTTP_CONNECT_MAX_HEAD_BYTES);
	else
		refuse_rule(judge, "a line longer than %d bytes", HTTP_CONNECT_MAX_LINE_BYTES);
	return SCAN_BROKEN;
}

/* The status of a head whose first line was found good. */
static int head_status(const char *head, size_t len)
{
	const char *lf = memchr(head, '\n', len);
	size_t line_len = lf != NULL ? (size_t)(lf - head) : len;

	if (line_len > 0 && head[line_len - 1] == '\r')
		line_len--;
	return parse_status(head, line_len);
}

enum http_connect_verdict http_connect_parse(struct http_connect_parser *parser, const char *from, size_t len,
    const struct http_connect_context *context, size_t *consumed, struct diagnosis *diagnosis)
{
	const struct judge judge = {.context = context, .diagnosis = diagnosis};
	size_t line, line_len, lf;
	enum scan scan;
	int status;

	*consumed = 0;
	if (len == 0)
		return HTTP_CONNECT_MORE;
	while ((scan = scan_line(parser, from, len, &lf, &judge)) == SCAN_LINE) {
		line = parser->line_start;
		line_len = lf - line;
		if (line_len > 0 && from[lf - 1] == '\r')
			line_len--;
		parser->scanned = parser->line_start = lf + 1;
		if (++parser->lines > HTTP_CONNECT_MAX_LINES)
			return refuse_rule(&judge, "more than %d lines", HTTP_CONNECT_MAX_LINES);
		if (line == parser->head_start && parse_status(from + line, line_len) < 0)
			return refuse_sample(&judge, from + line, line_len);
		if (line_len > 0 && memchr(from + line, '\0', line_len) != NULL)
			return refuse_rule(&judge, "a NUL byte in its header lines");
		if (line_len > 0)
			continue;

		status = head_status(from + parser->head_start, lf - parser->head_start);
		if (status / 100 == 2) {
			*consumed = lf + 1;
			return HTTP_CONNECT_OPEN;
		}
		if (status / 100 != 1) {
			http_refusal_judge(
			    from + parser->head_start, lf - parser->head_start, status, context, diagnosis);
			return HTTP_CONNECT_REFUSED;
		}
		parser->head_start = lf + 1;
	}
	return scan == SCAN_BROKEN ? HTTP_CONNECT_BROKEN : HTTP_CONNECT_MORE;
}

void http_connect_closed(const char *from, size_t len, bool reset, const struct http_connect_context *context,
    struct diagnosis *diagnosis)
{
	char proxy[SHOWN_NAME_BYTES], target[SHOWN_NAME_BYTES], shown[SHOWN_LINE_BYTES];
	const char *how = reset ? "reset" : "closed";
	size_t n = len < SAMPLE_BYTES ? len : SAMPLE_BYTES;
	const char *lf = n > 0 ? memchr(from, '\n', n) : NULL;
	size_t prefix_len = len < VERSION_PREFIX_LEN ? len : VERSION_PREFIX_LEN;

	show_name(context->proxy_name, proxy);
	show_name(context->target, target);
	if (len == 0) {
		diagnosis_set(diagnosis, DIAGNOSIS_PROXY_CLOSED,
		    "%s %s the connection without a word in answer to CONNECT %s (%s credentials were sent)",
		    proxy, how, target, context->sent_credentials ? "our" : "no");
		return;
	}
	if (lf != NULL)
		n = (size_t)(lf - from);
	if (n > 0 && from[n - 1] == '\r')
		n--;
	text_escape(from, n, shown, sizeof(shown));
	if (memcmp(from, version_prefix, prefix_len) == 0) {
		diagnosis_set(diagnosis, DIAGNOSIS_PROXY_CLOSED,
		    "%s %s the connection in the middle of its reply to CONNECT %s, after %zu bytes: \"%s\"",
		    proxy, how, target, len, shown);
		return;
	}
	diagnosis_set(diagnosis, DIAGNOSIS_PROXY_CLOSED,
	    "%s answered CONNECT %s with %s and %s the connection after %zu bytes: \"%s\"", proxy, target,
	    http_refusal_name_sample(from, n), how, len, shown);
	diagnosis_set_cause(diagnosis, DIAGNOSIS_CAUSE_WRONG_PORT);
}
