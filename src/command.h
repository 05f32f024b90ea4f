/*
 * command: what a cmd_*.c file offers to main.
 */
#ifndef MIDRELAY_COMMAND_H
#define MIDRELAY_COMMAND_H

#include "base/exit_status.h"

struct command {
	const char *name;
	const char *usage;   /* "[-c FILE] [--json]"; the first line is shown in the list of commands */
	const char *summary; /* one line, lower case, no full stop */
	/* argv[0] is the command's name; `--help` was handled by main.  Returns the exit status. */
	int (*run)(int argc, char **argv);
};

extern const struct command command_run;
extern const struct command command_check;
extern const struct command command_config;
extern const struct command command_bundle;
extern const struct command command_explain;
extern const struct command command_seal;
extern const struct command command_import;
extern const struct command command_status;

/* "midrelay NAME USAGE" on stderr after a message; returns EXIT_STATUS_USAGE. */
int command_usage_error(const struct command *command, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));
/* The same for what getopt_long() has answered other than an option: ':' (its value is missing) or '?'. */
int command_option_error(const struct command *command, int answer, char *const *argv);

/*
 * Reads "-c FILE", "-cFILE", "--config FILE", "--config=FILE" where the default is MIDRELAY_DEFAULT_CONFIG.
 */
#ifndef MIDRELAY_DEFAULT_CONFIG
#define MIDRELAY_DEFAULT_CONFIG "/etc/midrelay/midrelay.ini"
#endif

#endif
