/*
 * status_text: a report for a terminal; pure.  For each relay its paths with their state and the stages of the last dial as
 * a bar, its certificates with the days left, its numbers, and what failed lately.
 */
#ifndef MIDRELAY_STATUS_STATUS_TEXT_H
#define MIDRELAY_STATUS_STATUS_TEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "status/status_report.h"

struct status_text_style {
	unsigned columns; /* lines are wrapped there, though words are not cut */
	bool colour, utf8;
};

/* The caller's to free; *len does not count the NUL at its end. */
char *status_text(const struct status_report *report, const struct status_text_style *style, size_t *len);

#endif
