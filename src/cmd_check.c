/*
 * cmd_check: `midrelay check`: walks every path of every relay stage by stage and says where it stops and
 * why.
 *
 * Answers for the options and what goes together; what is done with them stands in check/.
 */
#include <getopt.h>
#include <stdbool.h>
#include <string.h>

#include "base/secret.h"
#include "base/text.h"
#include "check/check_run.h"
#include "command.h"

static int run(int argc, char **argv);

const struct command command_check = {
    .name = "check",
    .usage = "[-c FILE] [RELAY...]\n"
	"       midrelay check --target HOST[:PORT] [--proxy URL]... [--direct] [--proxy-user U "
	    "--proxy-password SECRET-REF]\n"
	"                      [--trust system|FILE|DIRECTORY]\n"
	"  both: [--client-bundle FILE] [--timeout D] [--probe auto|instance|http|none] [--expect FILE] "
	    "[--watch D]\n"
	"        [--json] [--format table|json|tap|junit] [--quiet] [--debug]",
    .summary = "walks every path stage by stage and says where it stops and why",
    .run = run,
};

#define MAX_PATHS 64
#define WATCH_MIN_MS 1000

/* What is not in its final form yet. */
struct args {
	struct check_options options;
	char *paths[MAX_PATHS];
	const char *timeout, *watch, *probe, *format;
};

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
	OPTION_EXPECT,
	OPTION_WATCH,
	OPTION_FORMAT,
	OPTION_JSON,
	OPTION_QUIET,
	OPTION_DEBUG,
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
    {"expect", required_argument, NULL, OPTION_EXPECT},
    {"watch", required_argument, NULL, OPTION_WATCH},
    {"format", required_argument, NULL, OPTION_FORMAT},
    {"json", no_argument, NULL, OPTION_JSON},
    {"quiet", no_argument, NULL, OPTION_QUIET},
    {"debug", no_argument, NULL, OPTION_DEBUG},
    {NULL, 0, NULL, 0},
};

static int add_path(struct args *args, char *path)
{
	struct check_draft_options *draft = &args->options.draft;

	if (draft->path_count == MAX_PATHS)
		return command_usage_error(&command_check, "at most %d paths", MAX_PATHS);
	if (strcmp(path, "direct") != 0 && strstr(path, "://") == NULL)
		return command_usage_error(&command_check, "--proxy takes a URL, as in http://HOST:PORT");
	args->paths[draft->path_count++] = path;
	return EXIT_STATUS_OK;
}

static int take_option(struct args *args, int id, char *value)
{
	static char direct[] = "direct";
	struct check_options *options = &args->options;

	switch (id) {
	case 'c':
		options->file = value;
		break;
	case OPTION_TARGET:
		options->draft.target = value;
		break;
	case OPTION_PROXY:
		return add_path(args, value);
	case OPTION_DIRECT:
		return add_path(args, direct);
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
		args->timeout = value;
		break;
	case OPTION_PROBE:
		args->probe = value;
		break;
	case OPTION_EXPECT:
		options->rules = value;
		break;
	case OPTION_WATCH:
		args->watch = value;
		break;
	case OPTION_FORMAT:
		args->format = value;
		break;
	case OPTION_JSON:
		args->format = "json";
		break;
	case OPTION_QUIET:
		options->quiet = true;
		break;
	case OPTION_DEBUG:
		options->debug = true;
		break;
	}
	return EXIT_STATUS_OK;
}

static int judge_values(struct args *args)
{
	struct check_options *options = &args->options;

	if (args->timeout != NULL &&
	    (!text_parse_duration(args->timeout, &options->timeout_ms) || options->timeout_ms <= 0))
		return command_usage_error(&command_check, "--timeout takes a duration, as in 500ms, 10s "
		    "or 1m");
	if (args->watch != NULL &&
	    (!text_parse_duration(args->watch, &options->watch_ms) || options->watch_ms < WATCH_MIN_MS))
		return command_usage_error(&command_check, "--watch takes a duration from 1s, as in 30s "
		    "or 5m");
	if (args->probe != NULL && !check_probing_parse(args->probe, &options->probing))
		return command_usage_error(&command_check, "--probe takes auto, instance, http or none");
	if (args->format != NULL && !check_format_parse(args->format, &options->format))
		return command_usage_error(&command_check, "--format takes table, json, tap or junit");
	if (options->watch_ms > 0 && options->format != CHECK_FORMAT_TABLE)
		return command_usage_error(&command_check, "--watch prints lines as things change; it has no "
		    "other format");
	return EXIT_STATUS_OK;
}

/* What takes the place of a configuration: --target, or the rules alone. */
static int judge_draft(const struct check_options *options)
{
	const struct check_draft_options *draft = &options->draft;

	if (options->file != NULL || options->relay_count > 0)
		return command_usage_error(&command_check, "--target takes the place of a configuration: "
		    "give no %s with it", options->file != NULL ? "-c" : "RELAY");
	if ((draft->proxy_user == NULL) != (draft->proxy_password == NULL))
		return command_usage_error(&command_check, "%s needs %s", draft->proxy_user != NULL ?
		    "--proxy-user" :
		    "--proxy-password", draft->proxy_user != NULL ? "--proxy-password" : "--proxy-user");
	if (draft->proxy_password != NULL && secret_ref_kind(draft->proxy_password) == SECRET_REF_LITERAL)
		return command_usage_error(&command_check, "--proxy-password takes a reference (file:PATH, "
		    "env:NAME, cred:NAME or sealed:BASE64), never the password itself");
	return EXIT_STATUS_OK;
}

static int judge_options(struct check_options *options)
{
	const struct check_draft_options *draft = &options->draft;
	bool rules_alone = options->rules != NULL && options->file == NULL && options->relay_count == 0;

	if (draft->target != NULL)
		return judge_draft(options);
	if (draft->path_count > 0)
		return command_usage_error(&command_check, "--proxy and --direct go with --target");
	if (rules_alone && draft->client_bundle != NULL)
		return command_usage_error(&command_check, "--client-bundle goes with --target or -c: a "
		    "certificate is not shown to every target of the rules");
	if (rules_alone)
		return judge_draft(options);
	if (draft->proxy_user != NULL || draft->proxy_password != NULL || draft->trust != NULL)
		return command_usage_error(&command_check, "%s goes with --target", draft->trust != NULL ?
		    "--trust" :
		    draft->proxy_user != NULL ? "--proxy-user" : "--proxy-password");
	if (options->file == NULL)
		options->file = MIDRELAY_DEFAULT_CONFIG;
	return EXIT_STATUS_OK;
}

/* getopt's '?'.  What stands behind a misspelt --proxy-password= is not repeated. */
static int refuse_option(const char *arg)
{
	int len = (int)strcspn(arg, "=");

	/* One of several letters behind a dash: `arg` may be the one before. */
	if (optopt != 0 && optopt < OPTION_TARGET)
		return command_usage_error(&command_check, "there is no option -%c", optopt);
	if (optopt != 0)
		return command_usage_error(&command_check, "%.*s takes no value", len, arg);
	return command_usage_error(&command_check, "there is no option %.*s", len, arg);
}

static int run(int argc, char **argv)
{
	struct args args = {.options = {.quiet = false}};
	struct check_options *options = &args.options;
	int id, status = EXIT_STATUS_OK;

	options->draft.paths = args.paths;
	opterr = 0;
	while (status == EXIT_STATUS_OK && (id = getopt_long(argc, argv, ":c:", long_options, NULL)) != -1) {
		if (id == ':')
			return command_usage_error(&command_check, "%s needs a value", argv[optind - 1]);
		if (id == '?')
			return refuse_option(argv[optind - 1]);
		/* Values become lines of a configuration. */
		if (optarg != NULL && text_has_control(optarg))
			return command_usage_error(&command_check, "an option's value has a control "
			    "character in it");
		status = take_option(&args, id, optarg);
	}
	options->relays = argv + optind;
	options->relay_count = (size_t)(argc - optind);
	if (status == EXIT_STATUS_OK)
		status = judge_values(&args);
	if (status == EXIT_STATUS_OK)
		status = judge_options(options);
	return status == EXIT_STATUS_OK ? check_run(options) : status;
}
