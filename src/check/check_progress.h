/*
 * check_progress: how far the paths are, drawn in place on a terminal while a check runs.
 *
 * A line for each path, as many as the terminal has room for; what is under way comes before what is done
 * then.  A frame is one write.  Where the stream is no terminal that can be drawn on, nothing is written.
 */
#ifndef MIDRELAY_CHECK_CHECK_PROGRESS_H
#define MIDRELAY_CHECK_CHECK_PROGRESS_H

#include <stdbool.h>
#include <stdio.h>

#include "check/check_report.h"

struct check_progress;

/* `columns` is for a terminal that does not know its own.  The stream is borrowed and must outlive it. */
struct check_progress *check_progress_new(FILE *out, unsigned columns, bool colour);
void check_progress_draw(struct check_progress *progress, const struct check_report *report);
/* Erases what was drawn, and frees; NULL is fine. */
void check_progress_end(struct check_progress *progress);

#endif
