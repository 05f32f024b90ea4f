/*
 * pen: what is drawn on a terminal: inks, columns, words that wrap, bars.  For check's table and progress and
 * for the text of the status.
 *
 * A terminal does what control characters say, and one without UTF-8 shows nonsense beyond ASCII: text with
 * either is written as text_escape() has it.
 */
#ifndef MIDRELAY_BASE_PEN_H
#define MIDRELAY_BASE_PEN_H

#include <stdbool.h>
#include <stdio.h>

#include "base/error.h"

struct pen {
	FILE *out;             /* borrowed */
	unsigned columns;      /* of the terminal */
	unsigned text_columns; /* where words wrap */
	bool colour, utf8;
	unsigned at; /* the column that the next character goes to */
};

enum pen_ink { PEN_PLAIN, PEN_BOLD, PEN_DIM, PEN_GOOD, PEN_WARN, PEN_BAD };

/* What the letters of a bar stand on; red is left to what failed. */
enum pen_ground { PEN_WHITE, PEN_CYAN, PEN_YELLOW, PEN_GREEN, PEN_MAGENTA, PEN_BLUE };

void pen_print(struct pen *pen, enum pen_ink ink, const char *fmt, ...) PRINTF_LIKE(3, 4);
void pen_end_line(struct pen *pen);
/* Blanks up to that column, if it is not reached yet. */
void pen_go_to(struct pen *pen, unsigned column);
/*
 * The words of `text`, further lines from `indent` on, and the end of the last line.  The first word stands
 * where the pen is, behind a blank if that is past `indent`.  A word that fits no line is not cut.
 */
void pen_wrap(struct pen *pen, enum pen_ink ink, unsigned indent, const char *text);
/* `len` times the letter. */
void pen_bar(struct pen *pen, enum pen_ground ground, char letter, unsigned len);

/* Characters, as the ones that we print are one column each. */
unsigned pen_width(const char *text);

#endif
