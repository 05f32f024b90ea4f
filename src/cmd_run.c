/* cmd_run: `midrelay run`: relay in the foreground. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

#include "command.h"
#include "service/service.h"
#include "tls/keylog.h"

/* OK, or the exit status with which it ends here. */
static int open_keylog(void)
{
	const char *file = secure_getenv(KEYLOG_VARIABLE);
	struct error err;

	if (file == NULL || file[0] == '\0')
		return command_usage_error(&command_run, "--keylog writes to the file that %s names, and it "
		    "names none", KEYLOG_VARIABLE);
	if (keylog_open(file, &err))
		return EXIT_STATUS_OK;
	fprintf(stderr, "midrelay: %s: %s\n", KEYLOG_VARIABLE, err.text);
	return EXIT_STATUS_FAILED;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'}, {"keylog", no_argument, NULL, 'k'}, {NULL, 0, NULL, 0}};
	const char *file = MIDRELAY_DEFAULT_CONFIG;
	bool keylog = false;
	int option, status;

	opterr = 0;
	while ((option = getopt_long(argc, argv, ":c:", options, NULL)) != -1) {
		switch (option) {
		case 'c':
			file = optarg;
			break;
		case 'k':
			keylog = true;
			break;
		default:
			return command_option_error(&command_run, option, argv);
		}
	}
	if (optind < argc)
		return command_usage_error(&command_run, "run takes no argument, but got '%s'", argv[optind]);
	if (keylog) {
		status = open_keylog();
		if (status != EXIT_STATUS_OK)
			return status;
	}
	return service_run(file);
}

const struct command command_run = {"run", "[-c FILE] [--keylog]", "relay, in the foreground, logging to "
    "stderr", run};
