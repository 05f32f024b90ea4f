/* cmd_run: `midrelay run`: relay in the foreground. */
#include <getopt.h>
#include <stddef.h>

#include "command.h"
#include "service/service.h"

static int run(int argc, char **argv)
{
	static const struct option options[] = {{"config", required_argument, NULL, 'c'}, {NULL, 0, NULL, 0}};
	const char *file = MIDRELAY_DEFAULT_CONFIG;
	int option;

	opterr = 0;
	while ((option = getopt_long(argc, argv, "c:", options, NULL)) != -1) {
		if (option != 'c')
			return command_usage_error(&command_run, "'%s' is not an option of run, or lacks its value",
			    argv[optind - 1]);
		file = optarg;
	}
	if (optind < argc)
		return command_usage_error(&command_run, "run takes no argument, but got '%s'", argv[optind]);
	return service_run(file);
}

const struct command command_run = {"run", "[-c FILE]", "relay, in the foreground, logging to stderr", run};
