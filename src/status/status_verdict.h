/*
 * status_verdict: what a report comes down to: how grave it is, the one sentence to say first, and what to
 * look at, gravest first.  Pure.
 */
#ifndef MIDRELAY_STATUS_STATUS_VERDICT_H
#define MIDRELAY_STATUS_STATUS_VERDICT_H

#include "status/status_report.h"

enum status_level {
	STATUS_GOOD,
	STATUS_IDLE, /* nothing is known yet: no path was tried */
	STATUS_WARN, /* it works, and wants somebody to look */
	STATUS_BAD,
};

/*
 * Certificates of ours are worth a word by `expiry_warning`, and grave when they have less than this left as
 * well; servers' are others' to renew, some of them every few days, and are worth a word when they have
 * ended.
 */
#define STATUS_CERT_BAD_DAYS 7

#define STATUS_OF_PROCESS ((size_t)-1)

struct status_problem {
	enum status_level level;
	size_t relay; /* its index, or STATUS_OF_PROCESS */
	char *text;   /* begins with the relay's name */
};

struct status_verdict {
	enum status_level level;
	char *sentence; /* without the full stop */
	struct status_problem *problems;
	size_t problem_count;
};

/* The caller frees it. */
struct status_verdict *status_verdict_new(const struct status_report *report);
void status_verdict_free(struct status_verdict *verdict); /* NULL is fine */

/* STATUS_BAD: it does not work; a certificate that is about to end makes it STATUS_WARN at most. */
enum status_level status_verdict_relay(const struct status_report *report, const struct status_relay *relay);
enum status_level status_verdict_path(const struct status_path *path);
enum status_level status_verdict_cert(const struct status_report *report, const struct status_cert *cert);

/* "ends in 12 days", "ended 3 days ago", "begins in 2 h", "has no readable end" */
#define STATUS_CERT_WORDS_BYTES 64
const char *status_verdict_cert_words(
    const struct status_report *report, const struct status_cert *cert, char buf[STATUS_CERT_WORDS_BYTES]);

/* How long that is, roughly: "12 s", "5 min", "3 h 12 min", "12 days"; below 0 it is 0. */
#define STATUS_SPAN_BYTES 32
const char *status_verdict_span(int64_t s, char buf[STATUS_SPAN_BYTES]);

#endif
