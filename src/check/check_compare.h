/*
 * check_compare: what the paths to one target were shown, side by side: who sees the real server.
 */
#ifndef MIDRELAY_CHECK_CHECK_COMPARE_H
#define MIDRELAY_CHECK_CHECK_COMPARE_H

#include "check/check_report.h"

/*
 * Adds the findings.  A path that was shown a chain that does not verify, where another path to the same
 * target was shown one that does, is inspected from then on, whatever its own verdict was.
 */
void check_compare(struct check_report *report);

#endif
