/*
 * dump-options: the option table as text, for tests/check-options.sh.
 *
 *	dump-options               one line an option: SECTION TAB KEY TAB DEFAULT TAB HELP
 *	dump-options --load FILE   reads FILE, but nothing that it names; says every fault and note
 */
#include <stdio.h>
#include <string.h>

#include "config/config.h"
#include "config/config_print.h"
#include "config/config_table.h"

static int dump(void)
{
	size_t i;

	for (i = 0; i < config_option_count; i++)
		printf("%s\t%s\t%s\t%s\n", config_section_kind_name(config_options[i].section),
		    config_options[i].key, config_option_default(&config_options[i]), config_options[i].help);
	return 0;
}

static int load(const char *file)
{
	struct config_report report;
	struct config *config;
	bool clean;

	config_report_init(&report, file);
	config = config_load(file, &report);
	config_print_report(&report, stderr);
	clean = config != NULL && report.note_count == 0;
	config_free(config);
	config_report_clear(&report);
	return clean ? 0 : 1;
}

int main(int argc, char **argv)
{
	if (argc == 1)
		return dump();
	if (argc == 3 && strcmp(argv[1], "--load") == 0)
		return load(argv[2]);
	fprintf(stderr, "usage: %s [--load FILE]\n", argv[0]);
	return 2;
}
