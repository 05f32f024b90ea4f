/*
 * check_print: a finished report in the form that was asked for.  Pure readers: they fill nothing in.
 *
 * The table is for people; JSON has everything (doc/check-json.md); TAP is version 13; JUnit XML is the
 * common schema as Jenkins and GitLab read it.  TAP and JUnit agree with check_report_exit_status(): with
 * rules, only these fail.
 */
#ifndef MIDRELAY_CHECK_CHECK_PRINT_H
#define MIDRELAY_CHECK_CHECK_PRINT_H

#include <stdbool.h>
#include <stdio.h>

#include "check/check_report.h"

struct check_print_options {
	unsigned columns; /* from 60 on a table, below a list */
	bool colour;      /* ANSI colours; nothing is told by colour alone */
	bool utf8;        /* marks beyond ASCII */
};

/*
 * What suits the stream: the width of its terminal, else COLUMNS, else 80; colour on a terminal that has it
 * and without NO_COLOR; UTF-8 where the locale of the environment has it.
 */
struct check_print_options check_print_options_for(FILE *out);

void check_print_table(const struct check_report *report, const struct check_print_options *options,
    FILE *out);
/* false: it could not be written whole. */
bool check_print_json(const struct check_report *report, FILE *out);
void check_print_tap(const struct check_report *report, FILE *out);
void check_print_junit(const struct check_report *report, FILE *out);

#endif
