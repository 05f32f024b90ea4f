/*
 * status_html: pieces of HTML that the page is made of: escaped text, points in time, numbers, tags.  For
 * status/status_page* alone.
 */
#ifndef MIDRELAY_STATUS_STATUS_HTML_H
#define MIDRELAY_STATUS_STATUS_HTML_H

#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "status/status_verdict.h"

/* Longer texts of others are cut there. */
#define STATUS_HTML_TEXT_BYTES 512

struct status_html {
	FILE *out;                          /* borrowed */
	const struct status_report *report; /* borrowed */
};

/* Markup of our own; nothing foreign may be among the arguments. */
void status_html_put(struct status_html *html, const char *fmt, ...) PRINTF_LIKE(2, 3);
/*
 * Text, or the value of an attribute in double quotes: escaped, bounded; NULL is nothing.  Control
 * characters, and bytes that are no UTF-8, become '?'.
 */
void status_html_text(struct status_html *html, const char *text);

/* "3 h 12 min ago, 2026-11-21 05:35:10 UTC", the point in time in a <time>. */
void status_html_ago(struct status_html *html, int64_t at_s);
/* The same as a duration: "for 3 h 12 min, since …". */
void status_html_since(struct status_html *html, int64_t since_s);
void status_html_time(struct status_html *html, int64_t at_s);

/* 1234567 as "1,234,567"; "1.2 MiB"; "12 ms", "0.4 ms", "1.3 s". */
void status_html_count(struct status_html *html, uint64_t count);
void status_html_bytes(struct status_html *html, uint64_t bytes);
#define STATUS_HTML_MS_BYTES 32
const char *status_html_ms(int64_t us, char buf[STATUS_HTML_MS_BYTES]);

/* The word of a level, which is also its class in the style; a sign that needs no colour. */
const char *status_html_class(enum status_level level);
const char *status_html_mark(enum status_level level);
/* <span> with sign and words. */
void status_html_tag(struct status_html *html, enum status_level level, const char *words);

#endif
