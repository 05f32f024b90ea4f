/*
 * check_changes: what is different from the report before, for `check --watch`.
 */
#ifndef MIDRELAY_CHECK_CHECK_CHANGES_H
#define MIDRELAY_CHECK_CHECK_CHANGES_H

#include <stdio.h>

#include "check/check_report.h"

/* One line a change, with the time of `now`; how many there were.  Times and addresses that vary are none. */
size_t check_changes_print(const struct check_report *before, const struct check_report *now, FILE *to);

#endif
