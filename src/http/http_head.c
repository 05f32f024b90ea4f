/*
 * http_head: where a head ends, and what its fields are.
 *
 * It answers for the syntax alone; what a field means for the length of a message is http_framing's, what is
 * changed in it http_request's and http_response's.
 */
#include <string.h>
#include <strings.h>

#include "base/text.h"
#include "http/http_head.h"

/* RFC 9112 2.2: at least one empty line before a request is to be passed over. */
#define EMPTY_LINES_MAX 2

/* Bytes that may stand in any line; the others are looked at one by one. */
static const unsigned char is_plain[256] = {
    ['\t'] = 1,
    [0x20 ... 0x7e] = 1,
    [0x80 ... 0xff] = 1,
};

static const unsigned char is_token[256] = {
    ['0' ... '9'] = 1,
    ['A' ... 'Z'] = 1,
    ['a' ... 'z'] = 1,
    ['!'] = 1,
    ['#'] = 1,
    ['$'] = 1,
    ['%'] = 1,
    ['&'] = 1,
    ['\''] = 1,
    ['*'] = 1,
    ['+'] = 1,
    ['-'] = 1,
    ['.'] = 1,
    ['^'] = 1,
    ['_'] = 1,
    ['`'] = 1,
    ['|'] = 1,
    ['~'] = 1,
};

static const char *part_name(enum http_part part)
{
	switch (part) {
	case HTTP_PART_REQUEST:
		return "the request's head";
	case HTTP_PART_RESPONSE:
		return "the response's head";
	case HTTP_PART_TRAILERS:
		return "the trailer section";
	}
	return "?";
}

/* ---- where a part ends ---- */

static enum http_progress broken(struct error *err, enum http_part part, const char *what)
{
	error_set(err, "%s has %s", part_name(part), what);
	return HTTP_BROKEN;
}

/* A CRLF was read. */
static enum http_progress end_line(struct http_scan *scan, enum http_part part, struct error *err)
{
	scan->cr = false;
	if (scan->line_bytes > 0) {
		scan->line_bytes = 0;
		if (++scan->lines <= HTTP_LINES)
			return HTTP_MORE;
		error_set(err, "%s has more than %d lines", part_name(part), HTTP_LINES);
		return HTTP_BROKEN;
	}
	if (scan->lines > 0 || part == HTTP_PART_TRAILERS)
		return HTTP_WHOLE;
	if (part == HTTP_PART_RESPONSE)
		return broken(err, part, "an empty line before it");
	if (++scan->empty_lines > EMPTY_LINES_MAX)
		return broken(err, part, "too many empty lines before it");
	scan->skipped += 2;
	scan->bytes = 0;
	return HTTP_MORE;
}

/* What stands at the beginning of a line and is white space. */
static enum http_progress indented(const struct http_scan *scan, enum http_part part, struct error *err)
{
	unsigned first = part == HTTP_PART_TRAILERS ? 0 : 1;

	if (scan->lines < first)
		return broken(err, part, "white space before its first line");
	if (scan->lines == first)
		return broken(err, part, "white space before its first field");
	return broken(err, part, "a folded line");
}

static enum http_progress too_long(const struct http_scan *scan, enum http_part part, struct error *err)
{
	if (scan->line_bytes >= HTTP_LINE_BYTES)
		error_set(err, "%s has a line longer than %d bytes", part_name(part), HTTP_LINE_BYTES);
	else
		error_set(err, "%s is longer than %d bytes", part_name(part), HTTP_HEAD_BYTES);
	return HTTP_BROKEN;
}

static size_t scan_room(const struct http_scan *scan)
{
	size_t line = HTTP_LINE_BYTES - scan->line_bytes, head = HTTP_HEAD_BYTES - scan->bytes;

	return line < head ? line : head;
}

/* The byte at the end of a run of plain ones. */
static enum http_progress scan_special(
    struct http_scan *scan, enum http_part part, unsigned char c, struct error *err)
{
	if (scan->bytes >= HTTP_HEAD_BYTES)
		return too_long(scan, part, err);
	scan->bytes++;
	if (scan->cr)
		return c == '\n' ? end_line(scan, part, err) : broken(err, part, "a CR without LF");
	if (c == '\r') {
		scan->cr = true;
		return HTTP_MORE;
	}
	if (c == '\n')
		return broken(err, part, "a line that ends in LF without CR");
	error_set(err, "%s has a control byte (0x%02x)", part_name(part), c);
	return HTTP_BROKEN;
}

enum http_progress http_head_scan(struct http_scan *scan, enum http_part part, const unsigned char *in,
    size_t len, size_t *used, struct error *err)
{
	enum http_progress progress = HTTP_MORE;
	size_t i = 0, run, stop;

	while (i < len && progress == HTTP_MORE) {
		if (!scan->cr) {
			if (scan->line_bytes == 0 && (in[i] == ' ' || in[i] == '\t'))
				return indented(scan, part, err);
			run = i;
			stop = len - i < scan_room(scan) ? len : i + scan_room(scan);
			while (i < stop && is_plain[in[i]])
				i++;
			scan->line_bytes += (uint32_t)(i - run);
			scan->bytes += (uint32_t)(i - run);
			if (i == len)
				break;
			if (is_plain[in[i]])
				return too_long(scan, part, err);
		}
		progress = scan_special(scan, part, in[i++], err);
	}
	*used = i;
	return progress;
}

/* ---- fields ---- */

/* The names, by length; the lists are so short that nothing faster is needed. */
static enum http_name find_name(struct http_span name)
{
	static const struct {
		const char *text;
		size_t len;
		enum http_name known;
	} names[] = {
#define NAME(text, known) {text, sizeof(text) - 1, known}
	    NAME("Host", HTTP_NAME_HOST),
	    NAME("Origin", HTTP_NAME_ORIGIN),
	    NAME("Referer", HTTP_NAME_REFERER),
	    NAME("Refresh", HTTP_NAME_REFRESH),
	    NAME("Upgrade", HTTP_NAME_UPGRADE),
	    NAME("Location", HTTP_NAME_LOCATION),
	    NAME("Connection", HTTP_NAME_CONNECTION),
	    NAME("Set-Cookie", HTTP_NAME_SET_COOKIE),
	    NAME("Content-Length", HTTP_NAME_CONTENT_LENGTH),
	    NAME("Sec-Fetch-Site", HTTP_NAME_SEC_FETCH_SITE),
	    NAME("Content-Location", HTTP_NAME_CONTENT_LOCATION),
	    NAME("Proxy-Connection", HTTP_NAME_PROXY_CONNECTION),
	    NAME("Transfer-Encoding", HTTP_NAME_TRANSFER_ENCODING),
	    NAME("Strict-Transport-Security", HTTP_NAME_STRICT_TRANSPORT_SECURITY),
#undef NAME
	};
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (name.len == names[i].len && ((name.at[0] ^ names[i].text[0]) & ~0x20) == 0 &&
		    strncasecmp(name.at, names[i].text, name.len) == 0)
			return names[i].known;
	}
	return http_span_begins(name, "Proxy-") ? HTTP_NAME_PROXY_OTHER : HTTP_NAME_OTHER;
}

static bool read_field(
    struct http_field *field, enum http_part part, struct http_span line, struct error *err)
{
	struct http_span text = {line.at, line.len - 2};
	char shown[HTTP_SHOWN_BYTES];
	size_t i = 0;

	while (i < text.len && is_token[(unsigned char)text.at[i]])
		i++;
	field->line = line;
	field->name = (struct http_span){text.at, i};
	if (i == text.len)
		return error_set(
		    err, "%s has a line without a colon (\"%s\")", part_name(part), http_show(text, shown));
	if (text.at[i] == ' ' || text.at[i] == '\t') {
		while (i < text.len && (text.at[i] == ' ' || text.at[i] == '\t'))
			i++;
		if (i < text.len && text.at[i] == ':')
			return error_set(err,
			    "%s has white space between a field's name and its colon (\"%s\")",
			    part_name(part), http_show(text, shown));
	}
	if (text.at[field->name.len] != ':' || field->name.len == 0)
		return error_set(err, "%s has a line that does not begin with a field's name (\"%s\")",
		    part_name(part), http_show(text, shown));
	field->value = http_span_trim(http_span_from(text, field->name.len + 1));
	field->known = find_name(field->name);
	if (field->known == HTTP_NAME_OTHER && http_span_begins(field->name, "Transfer-Encoding"))
		return error_set(err, "%s has a line that some take for Transfer-Encoding (\"%s\")",
		    part_name(part), http_show(text, shown));
	return true;
}

bool http_head_read(struct http_head *head, enum http_part part, struct http_span bytes, struct error *err)
{
	struct http_span rest = bytes, line;
	bool first = part != HTTP_PART_TRAILERS;
	const char *lf;

	head->count = 0;
	head->first = (struct http_span){bytes.at, 0};
	for (;;) {
		lf = memchr(rest.at, '\n', rest.len);
		line = (struct http_span){rest.at, (size_t)(lf - rest.at) + 1};
		rest = http_span_from(rest, line.len);
		if (line.len == 2)
			return true;
		if (first) {
			head->first = (struct http_span){line.at, line.len - 2};
			first = false;
		} else if (!read_field(&head->fields[head->count++], part, line, err)) {
			return false;
		}
	}
}

/* ---- small things on spans ---- */

bool http_is_token_byte(unsigned char c)
{
	return is_token[c] != 0;
}

bool http_is_token(struct http_span text)
{
	size_t i;

	for (i = 0; i < text.len; i++) {
		if (!is_token[(unsigned char)text.at[i]])
			return false;
	}
	return text.len > 0;
}

bool http_span_is(struct http_span text, const char *word)
{
	return text.len == strlen(word) && strncasecmp(text.at, word, text.len) == 0;
}

bool http_span_begins(struct http_span text, const char *word)
{
	size_t len = strlen(word);

	return text.len >= len && strncasecmp(text.at, word, len) == 0;
}

struct http_span http_span_from(struct http_span text, size_t offset)
{
	return (struct http_span){text.at + offset, text.len - offset};
}

struct http_span http_span_trim(struct http_span text)
{
	while (text.len > 0 && (text.at[0] == ' ' || text.at[0] == '\t'))
		text = http_span_from(text, 1);
	while (text.len > 0 && (text.at[text.len - 1] == ' ' || text.at[text.len - 1] == '\t'))
		text.len--;
	return text;
}

bool http_span_next(struct http_span *list, struct http_span *element)
{
	const char *comma;

	while (list->len > 0) {
		comma = memchr(list->at, ',', list->len);
		element->at = list->at;
		element->len = comma != NULL ? (size_t)(comma - list->at) : list->len;
		*list = http_span_from(*list, comma != NULL ? element->len + 1 : element->len);
		*element = http_span_trim(*element);
		if (element->len > 0)
			return true;
	}
	return false;
}

const char *http_show(struct http_span text, char buf[HTTP_SHOWN_BYTES])
{
	return text_escape(text.at, text.len, buf, HTTP_SHOWN_BYTES);
}
