/*
 * first_answer: see first_answer.h.
 *
 * Answers for telling nginx's two pages (src/http/ngx_http_special_response.c there, 495 and 496) from every other
 * answer.  The words alone do not suffice, since any page may speak of certificates: status, type and the place of the
 * words must be right.
 */
#include "dial/first_answer.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"

static const char *const pages[] = {"The SSL certificate error", "No required SSL certificate was sent"};
#define PAGE_COUNT (sizeof(pages) / sizeof(pages[0]))

#define FIELD_TEXT_BYTES 100

/* A part of the bytes, not terminated. */
struct span {
	const char *at;
	size_t len;
};

/* The answer's head, as far as it decides. */
struct head {
	struct span status; /* "400 Bad Request" */
	struct span server;
	bool is_html, is_chunked, has_length;
	size_t length;
};

/* Whether these first digits of a status are those of an answer that may refuse a certificate. */
static bool may_refuse(const char *digits, size_t len)
{
	static const char *const statuses[] = {"400", "495", "496"};
	size_t i;

	for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		if (strncmp(digits, statuses[i], len < 3 ? len : 3) == 0)
			return true;
	}
	return false;
}

/* "HTTP/1.x SSS" as far as it goes; *status: its first digit, 0 when that has not come yet. */
static bool begins_as_answer(struct span from, char *status)
{
	static const char begin[] = "HTTP/1.? ???";
	size_t i;

	*status = from.len > 9 ? from.at[9] : '\0';
	for (i = 0; i < from.len && i < sizeof(begin) - 1; i++) {
		bool fits = begin[i] == '?' ? from.at[i] >= '0' && from.at[i] <= '9' : from.at[i] == begin[i];

		if (!fits)
			return false;
	}
	/* Any 1xx comes before an answer. */
	return *status == '\0' || *status == '1' ||
	    (may_refuse(from.at + 9, from.len - 9) && (from.len <= 12 || memchr(" \r\n", from.at[12], 3) != NULL));
}

/* Cuts the next line off, without its end.  False: there is no whole one. */
static bool cut_line(struct span *from, struct span *line)
{
	const char *end = from->len == 0 ? NULL : memchr(from->at, '\n', from->len);

	if (end == NULL)
		return false;
	line->at = from->at;
	line->len = (size_t)(end - from->at);
	from->len -= line->len + 1;
	from->at = end + 1;
	if (line->len > 0 && line->at[line->len - 1] == '\r')
		line->len--;
	return true;
}

static bool begins_with(struct span text, const char *word)
{
	return text.len >= strlen(word) && strncasecmp(text.at, word, strlen(word)) == 0;
}

/* The value of a header line of this name. */
static bool is_field(struct span line, const char *name, struct span *value)
{
	size_t len = strlen(name);

	if (line.len <= len || !begins_with(line, name) || line.at[len] != ':')
		return false;
	value->at = line.at + len + 1;
	value->len = line.len - len - 1;
	while (value->len > 0 && (value->at[0] == ' ' || value->at[0] == '\t')) {
		value->at++;
		value->len--;
	}
	return true;
}

static void read_length(struct head *head, struct span value)
{
	size_t i;

	head->has_length = value.len > 0;
	head->length = 0;
	for (i = 0; i < value.len && value.at[i] >= '0' && value.at[i] <= '9'; i++) {
		if (head->length <= FIRST_ANSWER_MAX_BYTES)
			head->length = head->length * 10 + (size_t)(value.at[i] - '0');
	}
}

/* Takes the whole head off; false: it is not all there. */
static bool cut_head(struct span *from, struct head *head)
{
	struct span line, value;

	memset(head, 0, sizeof(*head));
	if (!cut_line(from, &line))
		return false;
	head->status = (struct span){line.at + 9, line.len - 9};
	while (cut_line(from, &line)) {
		if (line.len == 0)
			return true;
		if (is_field(line, "Server", &value))
			head->server = value;
		else if (is_field(line, "Content-Type", &value))
			head->is_html = begins_with(value, "text/html");
		else if (is_field(line, "Transfer-Encoding", &value))
			head->is_chunked = begins_with(value, "chunked");
		else if (is_field(line, "Content-Length", &value))
			read_length(head, value);
	}
	return false;
}

static size_t hex_digit(char digit)
{
	return (size_t)(digit <= '9' ? digit - '0' : (digit | 0x20) - 'a' + 10);
}

/* The chunks' contents (RFC 9112 7.1), as far as they have come.  True: the last chunk has, or these are no chunks. */
static bool join_chunks(struct span from, char *to, size_t *len)
{
	struct span line;

	*len = 0;
	while (cut_line(&from, &line)) {
		size_t size = 0, i;

		for (i = 0; i < line.len && isxdigit((unsigned char)line.at[i]); i++) {
			if (size <= FIRST_ANSWER_MAX_BYTES)
				size = size * 16 + hex_digit(line.at[i]);
		}
		if (i == 0 || size == 0)
			return true;
		if (size > from.len)
			size = from.len;
		memcpy(to + *len, from.at, size);
		*len += size;
		from.at += size;
		from.len -= size;
		if (from.len > 0 && from.at[0] != '\r' && from.at[0] != '\n')
			return true;
		if (!cut_line(&from, &line))
			return false;
	}
	return false;
}

/* The page whose words are complete first, in its title or where nginx sets them as a line; NULL: neither is. */
static const char *find_page(struct span body)
{
	static const char *const frames[][2] = {{"<title>400 ", "</title>"}, {"<center>", "</center>"}};
	const char *found = NULL, *first_end = NULL;
	char sought[96];
	size_t i;

	for (i = 0; i < 2 * PAGE_COUNT; i++) {
		const char *const *frame = frames[i / PAGE_COUNT], *words = pages[i % PAGE_COUNT];
		size_t len = (size_t)snprintf(sought, sizeof(sought), "%s%s%s", frame[0], words, frame[1]);
		const char *at = memmem(body.at, body.len, sought, len);

		if (at != NULL && (first_end == NULL || at + len < first_end)) {
			first_end = at + len;
			found = words;
		}
	}
	return found;
}

/* The page that the status alone stands for; NULL: a 400, which has many. */
static const char *status_page(const struct head *head)
{
	size_t i = (size_t)(head->status.at[2] - '5');

	return head->status.at[1] == '9' && i < PAGE_COUNT ? pages[i] : NULL;
}

static void describe(const struct head *head, const char *words, struct diagnosis *diagnosis)
{
	char status[FIELD_TEXT_BYTES], server[FIELD_TEXT_BYTES];
	bool by_page = status_page(head) == NULL;

	text_escape(head->status.at, head->status.len, status, sizeof(status));
	text_escape(head->server.at, head->server.len, server, sizeof(server));
	diagnosis_set(diagnosis, DIAGNOSIS_INSTANCE_CERT_REFUSED,
	    "the target answered %s%s%s%s (Server: %s)", status, by_page ? " with the page \"" : "", by_page ? words : "",
	    by_page ? "\"" : "", head->server.len > 0 ? server : "none");
}

/* Of the head and what there is of its body. */
static enum first_answer_verdict judge_body(const struct head *head, struct span body, const char **words)
{
	char joined[FIRST_ANSWER_MAX_BYTES];
	bool whole;

	*words = status_page(head);
	if (*words != NULL)
		return FIRST_ANSWER_REFUSED;
	if (!head->is_html)
		return FIRST_ANSWER_UNCLEAR;
	if (head->is_chunked) {
		whole = join_chunks(body, joined, &body.len);
		body.at = joined;
	} else {
		whole = head->has_length && body.len >= head->length;
		if (whole)
			body.len = head->length;
	}
	if (body.len > 0 && body.at[0] != '<')
		return FIRST_ANSWER_UNCLEAR;
	*words = body.len > 0 ? find_page(body) : NULL;
	if (*words != NULL)
		return FIRST_ANSWER_REFUSED;
	return whole ? FIRST_ANSWER_UNCLEAR : FIRST_ANSWER_MORE;
}

/* The rule; a REFUSED fills head and *words. */
static enum first_answer_verdict judge(struct span from, struct head *head, const char **words)
{
	char status;

	do {
		if (!begins_as_answer(from, &status))
			return FIRST_ANSWER_OTHER;
		if (status == '\0' || !cut_head(&from, head))
			return FIRST_ANSWER_MORE;
	} while (status == '1');
	return judge_body(head, from, words);
}

enum first_answer_verdict first_answer_take(struct first_answer *answer, const void *bytes, size_t len,
    struct diagnosis *diagnosis)
{
	struct span all = {bytes, len < FIRST_ANSWER_MAX_BYTES ? len : FIRST_ANSWER_MAX_BYTES};
	enum first_answer_verdict verdict;
	size_t room = FIRST_ANSWER_MAX_BYTES - answer->len;
	const char *words;
	struct head head;

	if (answer->kept != NULL) {
		if (len > room)
			len = room;
		memcpy(answer->kept + answer->len, bytes, len);
		answer->len += len;
		all = (struct span){answer->kept, answer->len};
	}
	verdict = judge(all, &head, &words);
	if (verdict == FIRST_ANSWER_REFUSED)
		describe(&head, words, diagnosis);
	if (verdict == FIRST_ANSWER_MORE && all.len == FIRST_ANSWER_MAX_BYTES)
		verdict = FIRST_ANSWER_UNCLEAR;
	if (verdict != FIRST_ANSWER_MORE) {
		first_answer_clear(answer);
	} else if (answer->kept == NULL) {
		answer->kept = mem_calloc(1, FIRST_ANSWER_MAX_BYTES);
		memcpy(answer->kept, bytes, all.len);
		answer->len = all.len;
	}
	return verdict;
}

void first_answer_clear(struct first_answer *answer)
{
	free(answer->kept);
	memset(answer, 0, sizeof(*answer));
}

const char *first_answer_page(const void *bytes, size_t len)
{
	struct span all = {bytes, len < FIRST_ANSWER_MAX_BYTES ? len : FIRST_ANSWER_MAX_BYTES};
	const char *words;
	struct head head;

	return judge(all, &head, &words) == FIRST_ANSWER_REFUSED ? words : NULL;
}
