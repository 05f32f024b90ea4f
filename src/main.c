/* main: the command table, global flags, exit status.  Each command lives in its own cmd_*.c. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "tls/record_buffers.h"

static const struct command *const commands[] = {
    &command_run, &command_check, &command_config, &command_bundle, &command_seal, &command_explain,
    &command_import, &command_status};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

static void print_version(void)
{
	printf("midrelay %s\n", PACKAGE_VERSION);
}

static void print_help(FILE *to)
{
	size_t i;

	fputs("usage: midrelay COMMAND [OPTION...]\n\n"
	      "A local relay: plain TCP in, HTTP CONNECT through a proxy, mutual TLS out.\n\n",
	    to);
	for (i = 0; i < COMMAND_COUNT; i++)
		/* Further lines of a usage are for the command's own help. */
		fprintf(to, "  %-9s %-20.*s %s\n", commands[i]->name, (int)strcspn(commands[i]->usage, "\n"),
		    commands[i]->usage, commands[i]->summary);
	fprintf(to, "\n  --version, --help, COMMAND --help\n\nThe default FILE is %s.\n",
	    MIDRELAY_DEFAULT_CONFIG);
}

int command_usage_error(const struct command *command, const char *fmt, ...)
{
	va_list ap;

	fputs("midrelay: ", stderr);
	va_start(ap, fmt);
	vfprintf(stderr, fmt, ap);
	va_end(ap);
	fprintf(stderr, "\nusage: midrelay %s %s\n", command->name, command->usage);
	return EXIT_STATUS_USAGE;
}

/* What was printed may not have arrived. */
static int end(int status)
{
	errno = 0;
	if ((fflush(stdout) != 0 || ferror(stdout)) && status == EXIT_STATUS_OK) {
		if (errno != EPIPE) /* a reader that has seen enough needs no words */
			fputs("midrelay: the output could not be written\n", stderr);
		status = EXIT_STATUS_FAILED;
	}
	return status;
}

static int run_command(const struct command *command, int argc, char **argv)
{
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
		if (strcmp(argv[i], "--help") == 0) {
			printf("usage: midrelay %s %s\n\n%s\n", command->name, command->usage,
			    command->summary);
			return end(EXIT_STATUS_OK);
		}
	}
	return end(command->run(argc, argv));
}

/*
 * A key file or a connection that was given the number of a closed stream would get what is printed or logged.
 * Opened the wrong way round, so that a result that cannot be written stays an error.
 */
static void fill_closed_streams(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
		if (fcntl(fd, F_GETFD) < 0)
			(void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
	}
}

int main(int argc, char **argv)
{
	size_t i;

	fill_closed_streams();
	record_buffers_install();
	/* OpenSSL's and stdio's writes to a closed peer must be errors, in every command. */
	signal(SIGPIPE, SIG_IGN);
	/*
	 * The TPM's library writes on stderr by itself, into our log; what it has to say comes by its errors,
	 * too.
	 */
	setenv("TSS2_LOG", "all+NONE", 0);

	if (argc < 2) {
		print_help(stderr);
		return EXIT_STATUS_USAGE;
	}
	if (strcmp(argv[1], "--version") == 0) {
		print_version();
		return end(EXIT_STATUS_OK);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
		print_help(stdout);
		return end(EXIT_STATUS_OK);
	}
	for (i = 0; i < COMMAND_COUNT; i++) {
		if (strcmp(argv[1], commands[i]->name) == 0)
			return run_command(commands[i], argc - 1, argv + 1);
	}
	fprintf(stderr, "midrelay: there is no command '%s'; 'midrelay --help' lists them\n", argv[1]);
	return EXIT_STATUS_USAGE;
}
