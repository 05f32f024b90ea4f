/*
 * check_answer: an HTTP/1.x answer to one of our requests, as far as it is judged.  Pure: bytes in, fields out.
 *
 * The request asked for `Connection: close`, so the answer ends with its Content-Length, its last chunk, or the
 * connection (RFC 9112 6.3).  1xx are skipped.  Foreign text is escaped and bounded.
 */
#ifndef MIDRELAY_CHECK_CHECK_ANSWER_H
#define MIDRELAY_CHECK_CHECK_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

/* No more of an answer is looked at. */
#define CHECK_ANSWER_MAX_BYTES 65536

#define CHECK_ANSWER_TEXT_BYTES 128

struct check_answer {
	int status;                                /* 0: none */
	char status_line[CHECK_ANSWER_TEXT_BYTES]; /* "HTTP/1.1 200 OK" */
	char server[CHECK_ANSWER_TEXT_BYTES], content_type[CHECK_ANSWER_TEXT_BYTES], location[CHECK_ANSWER_TEXT_BYTES];
	const char *body; /* borrowed from the bytes; chunk heads are left in it */
	size_t body_len;
	const char *bytes; /* all that came, from the first head on; borrowed */
	size_t bytes_len;
};

enum check_answer_state {
	CHECK_ANSWER_MORE,    /* no whole answer yet */
	CHECK_ANSWER_OPEN,    /* head and part of a body; the end of the connection may be its end */
	CHECK_ANSWER_WHOLE,   /* nothing more belongs to it */
	CHECK_ANSWER_FOREIGN, /* what came is no HTTP/1.x answer */
};

/* Looks at all bytes received so far.  OPEN and WHOLE fill the answer.  A cut `open` answer is told by *lacks_end. */
enum check_answer_state check_answer_parse(const char *from, size_t len, struct check_answer *answer, bool *lacks_end);

/* Whether the body, or the part that came, contains the text; case counts. */
bool check_answer_contains(const struct check_answer *answer, const char *text);
/* An HTML page, by its type and its first character. */
bool check_answer_is_page(const struct check_answer *answer);

#endif
