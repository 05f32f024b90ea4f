/*
 * check_print_below: what stands below the table.  For check/check_print_table alone.
 */
#ifndef MIDRELAY_CHECK_CHECK_PRINT_BELOW_H
#define MIDRELAY_CHECK_CHECK_PRINT_BELOW_H

#include "check/check_pen.h"

/*
 * Failures with remedies, evidence, notes, this host, comparison, expectations: each where there is something
 * to say.
 */
void check_print_below(const struct check_report *report, struct pen *pen);

/* "3 of 5 paths passed; …", with the rules first where there are some; the caller frees it. */
char *check_print_summary(const struct check_report *report);

#endif
