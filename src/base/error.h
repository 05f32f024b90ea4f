/*
 * error: the sentence that a set-up step leaves when it fails.
 *
 * Set-up code is `bool f(..., struct error *err)`: true it worked, false it did not and *err holds one
 * sentence, written where the fact is known; callers may put context before it.  Run-time failures are
 * not errors but diagnoses (dial/diagnosis.h).
 *
 * Foreign text (file contents, names from certificates) goes through text_escape() before it gets here.
 */
#ifndef MIDRELAY_BASE_ERROR_H
#define MIDRELAY_BASE_ERROR_H

#include <stdbool.h>

#define ERROR_TEXT_BYTES 1024

struct error {
	char text[ERROR_TEXT_BYTES]; /* always terminated; cut when longer */
};

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

/* Sets the sentence.  Returns false, so that `return error_set(err, …)` reads well.  err may be NULL. */
bool error_set(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

/* The same with ": " and strerror(errnum) at the end. */
bool error_set_errno(struct error *err, int errnum, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* Puts context before what is there: "context: sentence".  Returns false. */
bool error_prefix(struct error *err, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif
