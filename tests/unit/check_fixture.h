/*
 * check_fixture: made-up reports of `midrelay check`, by name, for the tests of its printers.
 */
#ifndef MIDRELAY_TESTS_CHECK_FIXTURE_H
#define MIDRELAY_TESTS_CHECK_FIXTURE_H

#include "check/check_report.h"

extern const char *const check_fixture_names[]; /* ends in NULL */
/* The caller frees it; NULL: there is none of that name. */
struct check_report *check_fixture_new(const char *name);

#endif
