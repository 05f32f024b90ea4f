/*
 * cmd_status: `midrelay status`: asks the running relay how it is, at the address that its configuration names.
 */
#include <getopt.h>
#include <langinfo.h>
#include <locale.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "command.h"
#include "config/config.h"
#include "config/config_print.h"
#include "status/status_client.h"

#define WATCH_S 2
#define COLUMNS 80

static int run(int argc, char **argv);

const struct command command_status = {
    .name = "status",
    .usage = "[-c FILE] [--json] [--watch]\n       midrelay status [-c FILE] --probe live|ready",
    .summary = "asks the running relay how it is",
    .run = run,
};

struct wish {
	const char *file;
	bool json, watch;
	const char *probe; /* the path to ask; NULL: none */
};

/*
 * Where `run` listens when its service manager gives it the directory and the configuration says nothing: in a container
 * the same directory; else that of midrelay.service, or of midrelay@NAME.service for NAME.ini.
 */
static char *socket_without_word(const char *file)
{
	const char *slash = strrchr(file, '/'), *name = slash != NULL ? slash + 1 : file;
	const char *directory = getenv("RUNTIME_DIRECTORY");
	size_t len = strlen(name);

	if (directory != NULL && directory[0] == '/')
		return mem_printf("unix:%.*s/status.sock", (int)strcspn(directory, ":"), directory);
	if (len > 4 && strcmp(name + len - 4, ".ini") == 0)
		len -= 4;
	if (len == 8 && strncmp(name, "midrelay", 8) == 0)
		return mem_strdup("unix:/run/midrelay/status.sock");
	return mem_printf("unix:/run/midrelay-%.*s/status.sock", (int)len, name);
}

/* `config` may be NULL. */
static bool find_address_by(const struct config *config, const char *file, struct addr *addr)
{
	struct error err;
	struct stat st;
	char *text;
	bool found;

	if (config != NULL && (config->process.status.none || config->process.status.addr.len != 0)) {
		*addr = config->process.status.addr;
		return !config->process.status.none;
	}
	text = socket_without_word(file);
	found = addr_parse(text, addr, &err) && stat(addr->u.un.sun_path, &st) == 0;
	free(text);
	return found;
}

/* What is wrong with the file today is told, and no reason not to ask: the relay that runs keeps what it has read before. */
static int find_address(const struct wish *wish, struct addr *addr)
{
	struct config_report report;
	struct config *config;
	bool found;

	config_report_init(&report, wish->file);
	config = config_load(wish->file, &report);
	found = find_address_by(config, wish->file, addr);
	if (report.fault_count > 0)
		config_print_report(&report, stderr);
	else if (!found)
		fprintf(stderr, "midrelay: %s: there is no status endpoint: set status = "
		    "unix:/run/midrelay/status.sock, or status = 127.0.0.1:9180, in [midrelay], and restart\n",
		    wish->file);
	config_free(config);
	config_report_clear(&report);
	return found ? EXIT_STATUS_OK : EXIT_STATUS_CONFIG;
}

static char *text_path(void)
{
	const char *no_color = getenv("NO_COLOR");
	bool terminal = isatty(STDOUT_FILENO) == 1;
	struct winsize size;
	unsigned columns = COLUMNS;

	if (terminal && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		columns = size.ws_col;
	return mem_printf("/text?columns=%u&colour=%d&utf8=%d", columns,
	    terminal && (no_color == NULL || *no_color == '\0'), strcmp(nl_langinfo(CODESET), "UTF-8") == 0);
}

static int unreachable(const struct addr *addr, const struct error *err)
{
	char text[ADDR_TEXT_BYTES];

	fprintf(stderr, "midrelay: the status endpoint at %s cannot be reached: %s; does midrelay run, with this "
	    "configuration?\n", addr_format(addr, text), err->text);
	return EXIT_STATUS_FAILED;
}

/* Of a sequence that sets colours (ECMA-48 SGR), in bytes; 0: none begins here. */
static size_t ink_len(const char *text)
{
	size_t len;

	if (text[0] != '\033' || text[1] != '[')
		return 0;
	len = 2 + strspn(text + 2, "0123456789;");
	return text[len] == 'm' ? len + 1 : 0;
}

/* C0 without the LF, DEL, and C1 as UTF-8 has them; in bytes. */
static size_t control_len(const char *text)
{
	const unsigned char *at = (const unsigned char *)text;

	if (at[0] == 0xc2 && at[1] >= 0x80 && at[1] <= 0x9f)
		return 2;
	return (at[0] < 0x20 && at[0] != '\n') || at[0] == 0x7f;
}

/* Where midrelay does not run, anybody may answer at its port: nothing but lines and colours comes through. */
static void show(FILE *out, const char *text, size_t len)
{
	const char *end = text + len;
	size_t n;

	while (text < end) {
		if ((n = ink_len(text)) > 0) {
			fwrite(text, 1, n, out);
		} else if ((n = control_len(text)) > 0) {
			putc('?', out);
		} else {
			putc(*text, out);
			n = 1;
		}
		text += n;
	}
}

/* /readyz is asked first: it is what the exit status tells. */
static int ask(const struct wish *wish, const struct addr *addr)
{
	char *reasons = NULL, *body = NULL, *path = wish->json ? mem_strdup("/status") : text_path();
	unsigned ready = 0, got = 0;
	struct error err;
	int status = EXIT_STATUS_FAILED;

	if (!status_client_get(addr, "/readyz", &ready, &reasons, &err) ||
	    !status_client_get(addr, path, &got, &body, &err)) {
		status = unreachable(addr, &err);
	} else if (got != 200 || (ready != 200 && ready != 503)) {
		error_set(&err, "it answers %u", got != 200 ? got : ready);
		status = unreachable(addr, &err);
	} else {
		show(stdout, body, strlen(body));
		if (ready == 200) {
			status = EXIT_STATUS_OK;
		} else {
			fputs("midrelay: not ready: ", stderr);
			show(stderr, reasons, strcspn(reasons, "\n"));
			putc('\n', stderr);
		}
	}
	free(path);
	free(reasons);
	free(body);
	return status;
}

/* What a container's probe needs: one page, its words, and whether it says yes. */
static int probe(const struct wish *wish, const struct addr *addr)
{
	struct error err;
	unsigned got = 0;
	char *body = NULL;

	if (!status_client_get(addr, wish->probe, &got, &body, &err))
		return unreachable(addr, &err);
	show(stdout, body, strlen(body));
	free(body);
	return got == 200 ? EXIT_STATUS_OK : EXIT_STATUS_FAILED;
}

/* Until a signal; the exit status is that of the last look. */
static int watch(const struct wish *wish, const struct addr *addr)
{
	const struct timespec interval = {.tv_sec = WATCH_S};
	bool terminal = isatty(STDOUT_FILENO) == 1;
	sigset_t ends;
	int status;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigprocmask(SIG_BLOCK, &ends, NULL);
	for (;;) {
		if (terminal)
			fputs("\033[H\033[2J", stdout);
		status = ask(wish, addr);
		if (!terminal && !wish->json)
			putchar('\n');
		if (fflush(stdout) != 0)
			return EXIT_STATUS_FAILED;
		if (sigtimedwait(&ends, NULL, &interval) >= 0)
			return status;
	}
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
	    {"config", required_argument, NULL, 'c'},
	    {"json", no_argument, NULL, 'j'},
	    {"watch", no_argument, NULL, 'w'},
	    {"probe", required_argument, NULL, 'p'},
	    {NULL, 0, NULL, 0},
	};
	struct wish wish = {.file = MIDRELAY_DEFAULT_CONFIG};
	struct addr addr;
	int c, status;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":c:", options, NULL)) != -1) {
		if (c == 'c')
			wish.file = optarg;
		else if (c == 'j')
			wish.json = true;
		else if (c == 'w')
			wish.watch = true;
		else if (c == 'p' && strcmp(optarg, "live") == 0)
			wish.probe = "/livez";
		else if (c == 'p' && strcmp(optarg, "ready") == 0)
			wish.probe = "/readyz";
		else if (c == 'p')
			return command_usage_error(&command_status, "--probe takes live or ready, not '%s'", optarg);
		else
			return command_option_error(&command_status, c, argv);
	}
	if (optind < argc)
		return command_usage_error(&command_status, "status takes no argument: %s", argv[optind]);
	if (wish.probe != NULL && (wish.json || wish.watch))
		return command_usage_error(&command_status, "--probe goes with neither --json nor --watch");
	setlocale(LC_CTYPE, "");
	status = find_address(&wish, &addr);
	if (status != EXIT_STATUS_OK)
		return status;
	if (wish.probe != NULL)
		return probe(&wish, &addr);
	return wish.watch ? watch(&wish, &addr) : ask(&wish, &addr);
}
