/*
 * show-page: prints the status page of a made-up report, for tests/integration/test_status_page.py and for
 *looking at.
 *
 *	show-page          the names of the reports
 *	show-page NAME
 */
#include <stdio.h>
#include <stdlib.h>

#include "status/status_page.h"
#include "unit/status_fixture.h"

int main(int argc, char **argv)
{
	struct status_report *report;
	char *page;
	size_t len, i;

	if (argc < 2) {
		for (i = 0; status_fixture_names[i] != NULL; i++)
			puts(status_fixture_names[i]);
		return 0;
	}
	report = status_fixture_new(argv[1]);
	if (report == NULL)
		return 64;
	page = status_page(report, &len);
	fwrite(page, 1, len, stdout);
	free(page);
	status_report_free(report);
	return 0;
}
