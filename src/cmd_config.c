/* cmd_config: `midrelay config`: validates the configuration and prints the effective one, secrets masked. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>

#include "command.h"
#include "config/config.h"
#include "config/config_print.h"
#include "dial/relay_user.h"

static int run(int argc, char **argv);

const struct command command_config = {
    .name = "config",
    .usage = "[-c FILE] [--json]",
    .summary = "validates the configuration and prints the effective one, secrets masked",
    .run = run,
};

/*
 * Opens what the configuration names (secrets, certificates, keys, CA files) as `run` would.  Faults go to
 * the report at the line of the key that names the file.  Takes the configuration.
 */
static struct relay_set *open_files(struct config *config, struct config_report *report)
{
	struct relay_set *set = relay_user_set_new(config, NULL, report);

	if (set == NULL)
		config_free(config);
	return set;
}

static int print(const struct config *config, bool json)
{
	struct error err;

	if (!json) {
		config_print_ini(config, stdout);
		return EXIT_STATUS_OK;
	}
	if (!config_print_json(config, stdout, &err)) {
		fprintf(stderr, "midrelay: %s\n", err.text);
		return EXIT_STATUS_FAILED;
	}
	return EXIT_STATUS_OK;
}

/* For who reads the configuration with care; not for every start, since a host may have no other accounts. */
static void note_open_listeners(const struct config *config, struct config_report *report)
{
	char shown[ADDR_TEXT_BYTES];
	size_t i, j;

	for (i = 0; i < config->relay_count; i++) {
		const struct config_relay *relay = &config->relays[i];

		for (j = 0; j < relay->listen_count && relay->allow_user.count == 0; j++) {
			const struct config_listen *listen = &relay->listens[j];

			if (listen->systemd == NULL && listen->addr.u.sa.sa_family != AF_UNIX)
				config_report_note(report, listen->line, "listen: every account on this host may "
				    "connect to %s and act under the client certificate; allow_user says which",
				    addr_format(&listen->addr, shown));
		}
	}
}

static int check_and_print(const char *file, bool json)
{
	struct config_report report;
	struct config *config;
	struct relay_set *set = NULL;
	int status = EXIT_STATUS_CONFIG;

	config_report_init(&report, file);
	config = config_load(file, &report);
	if (config != NULL) {
		set = open_files(config, &report);
		if (set != NULL && report.fault_count == 0)
			note_open_listeners(set->config, &report);
		config_report_sort(&report);
	}
	config_print_report(&report, stderr);
	if (set != NULL && report.fault_count == 0)
		status = print(set->config, json);
	relay_set_unref(set);
	config_report_clear(&report);
	return status;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"json", no_argument, NULL, 'j'},
	    {NULL, 0, NULL, 0},
	};
	const char *file = MIDRELAY_DEFAULT_CONFIG;
	bool json = false;
	int c;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:", options, NULL)) != -1) {
		if (c == 'c')
			file = optarg;
		else if (c == 'j')
			json = true;
		else
			return command_option_error(&command_config, c, argv);
	}
	if (optind < argc)
		return command_usage_error(&command_config, "config takes no argument: %s", argv[optind]);
	return check_and_print(file, json);
}
