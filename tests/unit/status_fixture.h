/*
 * status_fixture: made-up reports of a running relay, by name, for the tests of what shows them.
 */
#ifndef MIDRELAY_TESTS_STATUS_FIXTURE_H
#define MIDRELAY_TESTS_STATUS_FIXTURE_H

#include "status/status_report.h"

extern const char *const status_fixture_names[]; /* ends in NULL */
/* The caller frees it; NULL: there is none of that name. */
struct status_report *status_fixture_new(const char *name);

#endif
