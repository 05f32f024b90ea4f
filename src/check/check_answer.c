/* check_answer: see check_answer.h.  Says where an answer ends and what its head says; what that means is check_instance's. */
#include "check/check_answer.h"

#include <ctype.h>
#include <string.h>

#include "base/text.h"

#define HEAD_MAX_LINES 200

/* What the head says of the body's length. */
struct framing {
	bool chunked, has_length;
	size_t length;
};

static int parse_status(const char *line, size_t len)
{
	/* "HTTP/1.x NNN", and a blank or nothing behind it. */
	if (len < 12 || memcmp(line, "HTTP/1.", 7) != 0 || !isdigit((unsigned char)line[7]) || line[8] != ' ' ||
	    line[9] < '1' || line[9] > '9' || !isdigit((unsigned char)line[10]) || !isdigit((unsigned char)line[11]) ||
	    (len > 12 && line[12] != ' '))
		return -1;
	return (line[9] - '0') * 100 + (line[10] - '0') * 10 + (line[11] - '0');
}

/* True when the line is this header; its value, without white space around it. */
static bool header_is(const char *line, size_t len, const char *name, const char **value, size_t *value_len)
{
	size_t at = strlen(name);

	if (len <= at || strncasecmp(line, name, at) != 0 || line[at] != ':')
		return false;
	for (at++; at < len && (line[at] == ' ' || line[at] == '\t'); at++)
		;
	while (len > at && (line[len - 1] == ' ' || line[len - 1] == '\t'))
		len--;
	*value = line + at;
	*value_len = len - at;
	return true;
}

static void take_length(struct framing *framing, const char *value, size_t len)
{
	char digits[12];
	uint64_t length;

	if (len >= sizeof(digits))
		return;
	memcpy(digits, value, len);
	digits[len] = '\0';
	if (!text_parse_uint(digits, 0, UINT32_MAX, &length))
		return;
	framing->has_length = true;
	framing->length = (size_t)length;
}

static void take_header(const char *line, size_t len, struct check_answer *answer, struct framing *framing)
{
	const char *value;
	size_t value_len;

	if (header_is(line, len, "Server", &value, &value_len) && answer->server[0] == '\0')
		text_escape(value, value_len, answer->server, sizeof(answer->server));
	else if (header_is(line, len, "Content-Type", &value, &value_len))
		text_escape(value, value_len, answer->content_type, sizeof(answer->content_type));
	else if (header_is(line, len, "Location", &value, &value_len))
		text_escape(value, value_len, answer->location, sizeof(answer->location));
	else if (header_is(line, len, "Content-Length", &value, &value_len))
		take_length(framing, value, value_len);
	else if (header_is(line, len, "Transfer-Encoding", &value, &value_len))
		framing->chunked = value_len >= 7 && strncasecmp(value + value_len - 7, "chunked", 7) == 0;
}

/* One head from `from`; the bytes behind it, 0: not whole yet, or *foreign. */
static size_t parse_head(const char *from, size_t len, struct check_answer *answer, struct framing *framing,
    bool *foreign)
{
	size_t at = 0, lines;
	const char *lf;

	memset(answer, 0, sizeof(*answer));
	memset(framing, 0, sizeof(*framing));
	for (lines = 0; (lf = memchr(from + at, '\n', len - at)) != NULL; lines++) {
		const char *line = from + at;
		size_t line_len = (size_t)(lf - line);

		at += line_len + 1;
		if (line_len > 0 && line[line_len - 1] == '\r')
			line_len--;
		if (lines == 0) {
			answer->status = parse_status(line, line_len);
			*foreign = answer->status < 0;
			text_escape(line, line_len, answer->status_line, sizeof(answer->status_line));
		} else if (line_len == 0) {
			return at;
		} else {
			take_header(line, line_len, answer, framing);
		}
		if (*foreign || lines > HEAD_MAX_LINES) {
			*foreign = true;
			return 0;
		}
	}
	/* A first line that cannot become a status line any more is not waited for. */
	*foreign = lines == 0 && len > 0 && memcmp(from, "HTTP/1.", len < 7 ? len : 7) != 0;
	return 0;
}

/* Whether the last chunk, and the trailer behind it, are there. */
static bool chunks_ended(const char *body, size_t len)
{
	size_t at = 0, size;
	const char *lf;

	while ((lf = memchr(body + at, '\n', len - at)) != NULL) {
		size_t digits = 0;

		for (size = 0; isxdigit((unsigned char)body[at]) && digits < 8; at++, digits++)
			size = size * 16 + (size_t)(isdigit((unsigned char)body[at]) ? body[at] - '0' :
			    tolower((unsigned char)body[at]) - 'a' + 10);
		if (digits == 0)
			return true; /* no chunk: nothing sensible follows */
		at = (size_t)(lf - body) + 1;
		if (size == 0)
			return memchr(body + at, '\n', len - at) != NULL;
		if (len - at < size + 2)
			return false;
		at += size + 2;
	}
	return false;
}

enum check_answer_state check_answer_parse(const char *from, size_t len, struct check_answer *answer, bool *lacks_end)
{
	struct framing framing;
	bool foreign = false, whole;
	size_t at = 0, head;

	*lacks_end = true;
	memset(answer, 0, sizeof(*answer));
	if (len == 0)
		return CHECK_ANSWER_MORE;
	do {
		head = parse_head(from + at, len - at, answer, &framing, &foreign);
		at += head;
	} while (head > 0 && answer->status / 100 == 1);
	if (head == 0) {
		memset(answer, 0, sizeof(*answer));
		return foreign ? CHECK_ANSWER_FOREIGN : CHECK_ANSWER_MORE;
	}
	answer->bytes = from;
	answer->bytes_len = len;
	answer->body = from + at;
	answer->body_len = len - at;
	if (answer->status == 204 || answer->status == 304)
		whole = true;
	else if (framing.chunked)
		whole = chunks_ended(answer->body, answer->body_len);
	else
		whole = framing.has_length && answer->body_len >= framing.length;
	*lacks_end = !whole && (framing.chunked || framing.has_length);
	return whole ? CHECK_ANSWER_WHOLE : CHECK_ANSWER_OPEN;
}

bool check_answer_contains(const struct check_answer *answer, const char *text)
{
	return answer->body_len > 0 && memmem(answer->body, answer->body_len, text, strlen(text)) != NULL;
}

bool check_answer_is_page(const struct check_answer *answer)
{
	size_t i = 0;

	if (strncasecmp(answer->content_type, "text/html", 9) != 0)
		return false;
	/* A chunk's length may stand before it. */
	while (i < answer->body_len && (isspace((unsigned char)answer->body[i]) || isxdigit((unsigned char)answer->body[i])))
		i++;
	return i < answer->body_len && answer->body[i] == '<';
}
