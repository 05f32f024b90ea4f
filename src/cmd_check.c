/*
 * cmd_check: `midrelay check`: walks every path of every relay stage by stage and says where it stops and why.
 *
 * Answers for the options, the flow and the exit status.  What is found out stands in check/, how it is shown too.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "check/check_draft.h"
#include "check/check_local.h"
#include "check/check_report.h"
#include "check/check_walk.h"
#include "command.h"
#include "config/config_print.h"
#include "dial/relay_route.h"

static int run(int argc, char **argv);

const struct command command_check = {
    .name = "check",
    .usage = "[-c FILE] [RELAY...]\n"
	"         --target HOST[:PORT] [--proxy URL]... [--direct] [--proxy-user U --proxy-password SECRET-REF]\n"
	"             [--trust FILE|DIR|system]\n"
	"       both: [--client-bundle FILE] [--timeout D] [--probe auto|instance|http|none] [--quiet]",
    .summary = "walks every path stage by stage and says where it stops and why",
    .run = run,
};

#define CHECK_MAX_PATHS 64

struct check_options {
	const char *file; /* NULL: not given */
	struct check_draft_options draft;
	char *paths[CHECK_MAX_PATHS];
	const char *timeout, *probe;
	int64_t timeout_ms; /* 0: none */
	enum check_probing probing;
	bool quiet;
	char **relays;
	size_t relay_count;
};

/* One round: from the configuration to the report. */
struct round {
	const struct check_options *options;
	struct loop *loop;
	struct resolver *resolver;
	struct relay_set *set;
	struct check_report *report;
	struct check_walk *walk;
	struct event *signals[2];
	int caught; /* 0: no signal */
};

/* ---- the configuration ---- */

static void print_faults(const struct check_options *options, struct config_report *report)
{
	size_t i;

	if (options->draft.target == NULL) {
		config_print_report(report, stderr);
		return;
	}
	check_draft_name_options(&options->draft, report);
	for (i = 0; i < report->fault_count; i++)
		fprintf(stderr, "midrelay: %s\n", report->faults[i].text);
}

/* With the new certificate, where one is to be tried.  What the present one has unsealed stays open. */
static struct relay_set *build_set(const struct check_options *options, struct config *config,
    struct config_report *report)
{
	struct relay_set *present = NULL, *set;
	struct config_report unused;
	struct config *other;

	if (options->draft.target != NULL || options->draft.client_bundle == NULL)
		return relay_set_new(config, 1, NULL, report);
	config_report_init(&unused, options->file);
	other = config_load(options->file, &unused);
	if (other != NULL) {
		present = relay_set_new(other, 1, NULL, &unused);
		if (present == NULL)
			config_free(other);
	}
	config_report_clear(&unused);
	set = relay_set_new(config, 1, present, report);
	relay_set_unref(present);
	return set;
}

/* EXIT_STATUS_OK, or what the faults, which are printed, lead to. */
static int load(const struct check_options *options, struct relay_set **set, struct config_report *report)
{
	const char *bundle = options->draft.client_bundle;
	struct config *config;
	bool readable;

	*set = NULL;
	if (options->draft.target != NULL)
		config = check_draft_load(&options->draft, report);
	else
		config = config_load(options->file, report);
	readable = config != NULL && !config->faulty;
	if (config != NULL && options->draft.target == NULL && bundle != NULL &&
	    check_draft_swap_bundle(config, bundle) == 0)
		config_report_fault(report, 0, "no relay has a client certificate that --client-bundle could take the place of");
	if (config != NULL && options->timeout_ms > 0)
		check_draft_cap_timeouts(config, options->timeout_ms);
	if (config != NULL)
		*set = build_set(options, config, report);
	if (*set == NULL)
		config_free(config);
	if (*set != NULL && report->fault_count == 0)
		return EXIT_STATUS_OK;
	config_report_sort(report);
	print_faults(options, report);
	relay_set_unref(*set);
	*set = NULL;
	return options->draft.target != NULL && !readable ? EXIT_STATUS_USAGE : EXIT_STATUS_CONFIG;
}

static bool relays_are_known(const struct check_options *options, const struct relay_set *set)
{
	bool all = true;
	size_t i, j;

	for (i = 0; i < options->relay_count; i++) {
		const char **names = mem_calloc(set->route_count + 1, sizeof(*names));
		const char *nearest;
		bool found = false;

		for (j = 0; j < set->route_count; j++) {
			names[j] = set->routes[j].config->name;
			found = found || strcmp(names[j], options->relays[i]) == 0;
		}
		nearest = text_nearest(options->relays[i], names);
		if (!found)
			fprintf(stderr, "midrelay: there is no [relay %s] in %s%s%s%s\n", options->relays[i], options->file,
			    nearest != NULL ? "; did you mean " : "", nearest != NULL ? nearest : "",
			    nearest != NULL ? "?" : "");
		all = all && found;
		free(names);
	}
	return all;
}

/* ---- one round ---- */

static void on_walked(void *arg)
{
	struct round *round = arg;

	round->walk = NULL;
	loop_stop(round->loop);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	struct round *round = arg;

	round->caught = (int)number;
	loop_stop(round->loop);
}

static void walk(struct round *round)
{
	struct check_walk_params params = {
	    .loop = round->loop,
	    .resolver = round->resolver,
	    .set = round->set,
	    .report = round->report,
	    .relays = round->options->relays,
	    .relay_count = round->options->relay_count,
	    .probing = round->options->probing,
	    .timeout_ms = round->options->timeout_ms,
	    .on_done = on_walked,
	    .arg = round,
	};

	round->walk = check_walk_start(&params);
	loop_run(round->loop);
	check_walk_cancel(round->walk);
	round->walk = NULL;
}

static void print(const struct check_options *options, const struct check_report *report)
{
	size_t i;

	for (i = 0; i < report->path_count && !options->quiet; i++) {
		const struct check_path *path = &report->paths[i];

		printf("%s %s %s: %s: %s\n", path->relay, path->target, path->name, check_verdict_name(path->verdict),
		    path->diagnosis.code == DIAGNOSIS_OK ? "ok" : diagnosis_name(path->diagnosis.code));
	}
}

static int check_once(struct round *round)
{
	const struct check_options *options = round->options;
	struct config_report faults;
	int status;

	config_report_init(&faults, options->file != NULL ? options->file : "command line");
	status = load(options, &round->set, &faults);
	if (status == EXIT_STATUS_OK && !relays_are_known(options, round->set))
		status = EXIT_STATUS_USAGE;
	if (status == EXIT_STATUS_OK) {
		round->report = check_report_new();
		round->report->began_s = (int64_t)time(NULL);
		if (options->draft.target == NULL)
			round->report->file = mem_strdup(options->file);
		check_local(round->report, round->set, &faults, options->relays, options->relay_count);
		walk(round);
		if (round->caught == 0) {
			print(options, round->report);
			status = check_report_exit_status(round->report);
		}
	}
	config_report_clear(&faults);
	return status;
}

static int check(const struct check_options *options)
{
	struct round round = {.options = options};
	struct error err;
	int status = EXIT_STATUS_FAILED;

	round.loop = loop_new(0, &err);
	if (round.loop == NULL) {
		fprintf(stderr, "midrelay: %s\n", err.text);
		return EXIT_STATUS_FAILED;
	}
	round.resolver = resolver_new();
	round.signals[0] = evsignal_new(round.loop->base, SIGINT, on_signal, &round);
	round.signals[1] = evsignal_new(round.loop->base, SIGTERM, on_signal, &round);
	if (round.signals[0] != NULL && round.signals[1] != NULL && event_add(round.signals[0], NULL) == 0 &&
	    event_add(round.signals[1], NULL) == 0)
		status = check_once(&round);
	else
		fputs("midrelay: libevent has no event for signals\n", stderr);
	if (round.signals[0] != NULL)
		event_free(round.signals[0]);
	if (round.signals[1] != NULL)
		event_free(round.signals[1]);
	/* What was cancelled ends here, before the routes and the resolver that it borrows from. */
	loop_free(round.loop);
	resolver_free(round.resolver);
	relay_set_unref(round.set);
	check_report_free(round.report);
	if (round.caught != 0) {
		fflush(stdout);
		signal(round.caught, SIG_DFL);
		raise(round.caught);
	}
	return status;
}

/* ---- options ---- */

enum option_id {
	OPTION_TARGET = 256,
	OPTION_PROXY,
	OPTION_DIRECT,
	OPTION_PROXY_USER,
	OPTION_PROXY_PASSWORD,
	OPTION_CLIENT_BUNDLE,
	OPTION_TRUST,
	OPTION_TIMEOUT,
	OPTION_PROBE,
	OPTION_QUIET,
};

static const struct option long_options[] = {
    {"config", required_argument, NULL, 'c'},
    {"target", required_argument, NULL, OPTION_TARGET},
    {"proxy", required_argument, NULL, OPTION_PROXY},
    {"direct", no_argument, NULL, OPTION_DIRECT},
    {"proxy-user", required_argument, NULL, OPTION_PROXY_USER},
    {"proxy-password", required_argument, NULL, OPTION_PROXY_PASSWORD},
    {"client-bundle", required_argument, NULL, OPTION_CLIENT_BUNDLE},
    {"trust", required_argument, NULL, OPTION_TRUST},
    {"timeout", required_argument, NULL, OPTION_TIMEOUT},
    {"probe", required_argument, NULL, OPTION_PROBE},
    {"quiet", no_argument, NULL, OPTION_QUIET},
    {NULL, 0, NULL, 0},
};

static int add_path(struct check_options *options, char *path)
{
	static char direct[] = "direct";

	if (options->draft.path_count == CHECK_MAX_PATHS)
		return command_usage_error(&command_check, "at most %d paths", CHECK_MAX_PATHS);
	options->paths[options->draft.path_count++] = path != NULL ? path : direct;
	return EXIT_STATUS_OK;
}

static int take_option(struct check_options *options, int id, char *value)
{
	const char *p;

	/* Each becomes a line of a configuration. */
	for (p = value; p != NULL && *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20)
			return command_usage_error(&command_check, "an option's value has a control character in it");
	}
	switch (id) {
	case 'c':
		options->file = value;
		break;
	case OPTION_TARGET:
		options->draft.target = value;
		break;
	case OPTION_PROXY:
		return add_path(options, value);
	case OPTION_DIRECT:
		return add_path(options, NULL);
	case OPTION_PROXY_USER:
		options->draft.proxy_user = value;
		break;
	case OPTION_PROXY_PASSWORD:
		options->draft.proxy_password = value;
		break;
	case OPTION_CLIENT_BUNDLE:
		options->draft.client_bundle = value;
		break;
	case OPTION_TRUST:
		options->draft.trust = value;
		break;
	case OPTION_TIMEOUT:
		options->timeout = value;
		break;
	case OPTION_PROBE:
		options->probe = value;
		break;
	case OPTION_QUIET:
		options->quiet = true;
		break;
	}
	return EXIT_STATUS_OK;
}

static int judge_draft_options(const struct check_options *options)
{
	const struct check_draft_options *draft = &options->draft;
	size_t i;

	if (options->file != NULL || options->relay_count > 0)
		return command_usage_error(&command_check, "--target takes the place of a configuration: give no %s with it",
		    options->file != NULL ? "-c" : "RELAY");
	if ((draft->proxy_user == NULL) != (draft->proxy_password == NULL))
		return command_usage_error(&command_check, "%s needs %s", draft->proxy_user != NULL ? "--proxy-user" :
		    "--proxy-password", draft->proxy_user != NULL ? "--proxy-password" : "--proxy-user");
	if (draft->proxy_password != NULL && secret_ref_kind(draft->proxy_password) == SECRET_REF_LITERAL)
		return command_usage_error(&command_check, "--proxy-password takes a reference (file:PATH, env:NAME, cred:NAME or "
		    "sealed:BASE64), never the password itself");
	for (i = 0; i < draft->path_count; i++) {
		if (strcmp(draft->paths[i], "direct") != 0 && strstr(draft->paths[i], "://") == NULL)
			return command_usage_error(&command_check, "--proxy takes a URL, as in http://HOST:PORT");
	}
	return EXIT_STATUS_OK;
}

static int judge_options(struct check_options *options)
{
	const struct check_draft_options *draft = &options->draft;

	if (options->timeout != NULL &&
	    (!text_parse_duration(options->timeout, &options->timeout_ms) || options->timeout_ms <= 0))
		return command_usage_error(&command_check, "--timeout takes a duration, as in 500ms, 10s or 1m");
	if (options->probe != NULL && !check_probing_parse(options->probe, &options->probing))
		return command_usage_error(&command_check, "--probe takes auto, instance, http or none");
	if (draft->target != NULL)
		return judge_draft_options(options);
	if (draft->path_count > 0 || draft->proxy_user != NULL || draft->proxy_password != NULL || draft->trust != NULL)
		return command_usage_error(&command_check, "%s goes with --target",
		    draft->path_count > 0 ? (strcmp(draft->paths[0], "direct") == 0 ? "--direct" : "--proxy") :
		    draft->trust != NULL ? "--trust" : draft->proxy_user != NULL ? "--proxy-user" : "--proxy-password");
	if (options->file == NULL)
		options->file = MIDRELAY_DEFAULT_CONFIG;
	return EXIT_STATUS_OK;
}

static int run(int argc, char **argv)
{
	struct check_options options = {0};
	int id, status = EXIT_STATUS_OK;

	options.draft.paths = options.paths;
	opterr = 0;
	while ((id = getopt_long(argc, argv, ":c:", long_options, NULL)) != -1 && status == EXIT_STATUS_OK) {
		if (id == ':')
			return command_usage_error(&command_check, "%s needs a value", argv[optind - 1]);
		if (id == '?')
			return command_usage_error(&command_check, "there is no option %s", argv[optind - 1]);
		status = take_option(&options, id, optarg);
	}
	if (status != EXIT_STATUS_OK)
		return status;
	options.relays = argv + optind;
	options.relay_count = (size_t)(argc - optind);
	status = judge_options(&options);
	return status == EXIT_STATUS_OK ? check(&options) : status;
}
