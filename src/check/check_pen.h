/*
 * check_pen: what the table and the progress draw with: inks, marks, times, wrapped text.  For
 * check/check_print_* and check/check_progress alone.
 */
#ifndef MIDRELAY_CHECK_CHECK_PEN_H
#define MIDRELAY_CHECK_CHECK_PEN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/error.h"
#include "check/check_report.h"

/* Below it there are no columns side by side. */
#define CHECK_TABLE_COLUMNS 60

struct check_pen {
	FILE *out; /* borrowed */
	unsigned columns;
	bool colour, utf8;
	unsigned at; /* the column that the next character goes to */
};

enum check_ink { CHECK_INK_PLAIN, CHECK_INK_BOLD, CHECK_INK_DIM, CHECK_INK_GOOD, CHECK_INK_WARN,
    CHECK_INK_BAD };

void check_pen_print(struct check_pen *pen, enum check_ink ink, const char *fmt, ...) PRINTF_LIKE(3, 4);
void check_pen_end_line(struct check_pen *pen);
/* Blanks up to that column, if it is not reached yet. */
void check_pen_go_to(struct check_pen *pen, unsigned column);
/*
 * The words of `text` from where the pen is, further lines from `indent` on, and the end of the last line.  A
 * word that fits no line is not cut.
 */
void check_pen_wrap(struct check_pen *pen, enum check_ink ink, unsigned indent, const char *text);
void check_pen_mark(struct check_pen *pen, enum check_outcome outcome);
/* `len` times the letter of a stage, in its shade. */
void check_pen_bar(struct check_pen *pen, enum check_stage stage, unsigned len);

char check_pen_letter(enum check_stage stage);
const char *check_pen_mark_text(enum check_outcome outcome, bool utf8);
enum check_ink check_pen_mark_ink(enum check_outcome outcome);

#define CHECK_PEN_TIME_BYTES 24
/* Four characters at most up to 999 s: "<1" "345" "9999" (ms), "12s"; returns buf. */
const char *check_pen_time(int64_t us, char buf[CHECK_PEN_TIME_BYTES]);

/* Characters, as the ones that we print are one column each. */
unsigned check_pen_width(const char *text);

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
