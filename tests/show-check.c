/*
 * show-check: prints a made-up report of `midrelay check`, for tests/check-formats.sh and for looking at.
 *
 *	show-check                                    the names of the reports
 *	show-check NAME json|tap|junit
 *	show-check NAME table [COLUMNS] [utf8] [colour]    what is left out as suits stdout
 *	show-check NAME status                        the exit status of the command
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "check/check_print.h"
#include "unit/check_fixture.h"

static void table(const struct check_report *report, int argc, char **argv)
{
	struct check_print_options options = check_print_options_for(stdout);
	uint64_t columns;
	int i;

	if (argc > 3) {
		options.utf8 = false;
		options.colour = false;
	}
	for (i = 3; i < argc; i++) {
		if (strcmp(argv[i], "utf8") == 0)
			options.utf8 = true;
		else if (strcmp(argv[i], "colour") == 0)
			options.colour = true;
		else if (text_parse_uint(argv[i], 1, 1000, &columns))
			options.columns = (unsigned)columns;
	}
	check_print_table(report, &options, stdout);
}

int main(int argc, char **argv)
{
	struct check_report *report;
	int i, status = 0;

	if (argc < 3) {
		for (i = 0; check_fixture_names[i] != NULL; i++)
			puts(check_fixture_names[i]);
		return 0;
	}
	report = check_fixture_new(argv[1]);
	if (report == NULL)
		return 64;
	if (strcmp(argv[2], "json") == 0)
		status = check_print_json(report, stdout) ? 0 : 1;
	else if (strcmp(argv[2], "tap") == 0)
		check_print_tap(report, stdout);
	else if (strcmp(argv[2], "junit") == 0)
		check_print_junit(report, stdout);
	else if (strcmp(argv[2], "status") == 0)
		printf("%d\n", check_report_exit_status(report));
	else
		table(report, argc, argv);
	check_report_free(report);
	return status;
}
