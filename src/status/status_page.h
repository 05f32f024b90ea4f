/*
 * status_page: a report as one HTML page for a person: the verdict first, then each relay, the process last.
 *
 * Pure.  The page needs nothing else: no script, no file, no font, and it links to itself alone.  Every text
 * of the report is escaped and bounded, and so is the page: past STATUS_PAGE_RELAYS_BYTES no further relay is
 * shown in full, and the page says how many are left out.
 */
#ifndef MIDRELAY_STATUS_STATUS_PAGE_H
#define MIDRELAY_STATUS_STATUS_PAGE_H

#include "status/status_report.h"

#define STATUS_PAGE_CONTENT_TYPE "text/html; charset=utf-8"
/* What a server should send with it; the page works under this. */
#define STATUS_PAGE_SECURITY_POLICY                                                                          \
	"default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action "        \
	"'none'; "                                                                                           \
	"frame-ancestors 'none'"

#define STATUS_PAGE_RELAYS_BYTES (1024 * 1024)

/* The caller frees it; terminated, `len` is without the terminator. */
char *status_page(const struct status_report *report, size_t *len);

#endif
