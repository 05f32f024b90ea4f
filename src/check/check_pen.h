/*
 * check_pen: what the table and the progress draw of a path: marks, shares of a bar, times, names.  For
 * check/check_print_* and check/check_progress alone.
 */
#ifndef MIDRELAY_CHECK_CHECK_PEN_H
#define MIDRELAY_CHECK_CHECK_PEN_H

#include <stdbool.h>
#include <stdint.h>

#include "base/pen.h"
#include "check/check_report.h"

/* Below it there are no columns side by side. */
#define CHECK_TABLE_COLUMNS 60

void check_pen_mark(struct pen *pen, enum check_outcome outcome);
/* `len` times the letter of a stage, in its shade. */
void check_pen_bar(struct pen *pen, enum check_stage stage, unsigned len);
char check_pen_letter(enum check_stage stage);

#define CHECK_PEN_TIME_BYTES 24
/* Four characters at most up to 999 s: "<1" "345" "9999" (ms), "12s"; returns buf. */
const char *check_pen_time(int64_t us, char buf[CHECK_PEN_TIME_BYTES]);

/* All that was spent in its stages. */
int64_t check_pen_total_us(const struct check_path *path);
/* Whether both belong under one heading. */
bool check_pen_same_group(const struct check_path *a, const struct check_path *b);
/* "acme -> target:443", or the target alone where the relay has no name of its own; the caller frees it. */
char *check_pen_group(const struct check_path *path, bool utf8);
/* A path in a sentence: its name, and which relay's where there are several; the caller frees it. */
char *check_pen_label(const struct check_report *report, const struct check_path *path);
/* `text` itself where it is printable ASCII, else escaped; the caller frees it. */
char *check_pen_clean(const char *text);

#endif
