/*
 * cmd_seal: `midrelay seal`: encrypts a secret to client certificates, for the configuration file.
 *
 * The secret comes from stdin; with --in-place the literal secrets of a configuration are sealed where they stand.
 */
#include <getopt.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "command.h"
#include "config/config_edit.h"
#include "config/config_print.h"
#include "config/config_read.h"
#include "dial/relay_route.h"
#include "tls/seal.h"

static int run(int argc, char **argv);

const struct command command_seal = {
    .name = "seal",
    .usage = "--cert FILE...\n"
	     "       midrelay seal --in-place FILE [--cert FILE...]",
    .summary = "encrypts a secret (stdin) to client certificates, for the configuration file",
    .run = run,
};

static bool add_files(struct seal_recipients *to, char *const *files, size_t count, struct error *err)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (!seal_recipients_add_file(to, files[i], err))
			return false;
	}
	return true;
}

/* ---- from stdin ---- */

/* The terminal as it was, for who breaks off while it shows nothing. */
static struct termios terminal_before;

static void on_break(int number)
{
	(void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before);
	(void)raise(number); /* SA_RESETHAND: with what it did before */
}

/* False: it shows what is typed. */
static bool silence_terminal(void)
{
	static const int breaks[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};
	struct sigaction action = {.sa_handler = on_break, .sa_flags = (int)SA_RESETHAND};
	struct termios silent;
	size_t i;

	if (tcgetattr(STDIN_FILENO, &terminal_before) != 0)
		return false;
	sigemptyset(&action.sa_mask);
	for (i = 0; i < sizeof(breaks) / sizeof(breaks[0]); i++)
		(void)sigaction(breaks[i], &action, NULL);
	silent = terminal_before;
	silent.c_lflag &= ~(tcflag_t)ECHO;
	return tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
}

static struct secret *read_secret(struct error *err)
{
	bool terminal = isatty(STDIN_FILENO) == 1;
	char *bytes = mem_calloc(1, SECRET_MAX_BYTES + 1);
	struct secret *secret = NULL;
	size_t len;

	if (terminal) {
		terminal = silence_terminal();
		fputs("Secret: ", stderr);
		len = fgets(bytes, SECRET_MAX_BYTES + 1, stdin) == NULL ? 0 : strlen(bytes);
		if (terminal)
			tcsetattr(STDIN_FILENO, TCSAFLUSH, &terminal_before);
		fputs("\n", stderr);
	} else {
		len = fread(bytes, 1, SECRET_MAX_BYTES + 1, stdin);
	}
	/* One line end is the editor's or the shell's. */
	if (len > 0 && bytes[len - 1] == '\n')
		len--;
	if (len > 0 && bytes[len - 1] == '\r')
		len--;
	if (len == 0)
		error_set(err, "there is no secret on stdin");
	else if (len > SECRET_MAX_BYTES)
		error_set(err, "the secret on stdin is longer than %d bytes", SECRET_MAX_BYTES);
	else if (memchr(bytes, '\0', len) != NULL)
		error_set(err, "the secret on stdin has a NUL byte");
	else
		secret = secret_new(bytes, len);
	explicit_bzero(bytes, SECRET_MAX_BYTES + 1);
	free(bytes);
	return secret;
}

static int seal_stdin(char *const *files, size_t count)
{
	struct seal_recipients *to = seal_recipients_new();
	struct secret *secret = NULL;
	char *sealed = NULL;
	struct error err;
	int status = EXIT_STATUS_FAILED;

	if (add_files(to, files, count, &err) && (secret = read_secret(&err)) != NULL)
		sealed = seal_make(secret, to, &err);
	if (sealed == NULL) {
		fprintf(stderr, "midrelay: %s\n", err.text);
	} else {
		puts(sealed);
		status = EXIT_STATUS_OK;
	}
	free(sealed);
	secret_free(secret);
	seal_recipients_free(to);
	return status;
}

/* ---- in place ---- */

struct in_place {
	const char *file;
	char *const *cert_files;
	size_t cert_count;
	struct relay_set *set;
	struct config_change *changes;
	size_t count;
};

/* The route of a "[relay NAME]" section, or NULL. */
static struct relay_route *route_of(const struct in_place *in_place, const struct config_section *section)
{
	size_t i;

	for (i = 0; i < in_place->set->route_count; i++) {
		if (in_place->set->routes[i].config->lines.section == section->line)
			return &in_place->set->routes[i];
	}
	return NULL;
}

/*
 * Whom a secret is sealed to: the certificates named, or those of all relays.  The passphrase of a key is never sealed to
 * that key: it could not be opened without itself.
 */
static struct seal_recipients *recipients_for(const struct in_place *in_place, const struct relay_route *locked,
    struct error *err)
{
	struct seal_recipients *to = seal_recipients_new();
	bool ok = add_files(to, in_place->cert_files, in_place->cert_count, err);
	size_t i;

	for (i = 0; ok && in_place->cert_count == 0 && i < in_place->set->route_count; i++) {
		const struct relay_route *route = &in_place->set->routes[i];
		bool is_locked = locked != NULL && route->config->client_passphrase_ref != NULL;

		if (identity_has_cert(route->identity) && !is_locked)
			ok = seal_recipients_add_identity(to, route->identity, route->config->name, err);
	}
	if (ok && locked != NULL && seal_recipients_include(to, locked->identity))
		ok = error_set(err, "client_passphrase unlocks the very key that would have to open it; keep it in a "
		    "file: or cred: reference, or seal it to another relay's certificate with --cert");
	if (ok && seal_recipients_count(to) == 0)
		ok = error_set(err, "%s", locked == NULL ? "there is no client certificate to seal to: name one with --cert" :
		    "client_passphrase cannot be sealed: no other relay has a key without a passphrase to open it with; "
		    "keep it in a file: or cred: reference");
	if (!ok) {
		seal_recipients_free(to);
		return NULL;
	}
	return to;
}

static bool seal_entry(struct in_place *in_place, const struct config_section *section, const struct config_entry *entry,
    struct error *err)
{
	bool is_passphrase = strcmp(entry->key, "client_passphrase") == 0;
	struct seal_recipients *to = recipients_for(in_place, is_passphrase ? route_of(in_place, section) : NULL, err);
	struct secret *secret = secret_new(entry->value, strlen(entry->value));
	char *sealed = to == NULL ? NULL : seal_make(secret, to, err);

	secret_free(secret);
	seal_recipients_free(to);
	if (sealed == NULL) {
		error_prefix(err, "%s:%u", in_place->file, entry->line);
		return false;
	}
	in_place->changes = mem_realloc(in_place->changes, (in_place->count + 1) * sizeof(*in_place->changes));
	in_place->changes[in_place->count++] = (struct config_change){entry->line, sealed};
	return true;
}

static bool is_secret(const struct config_section *section, const struct config_entry *entry)
{
	bool in_proxy = strncmp(section->text, "proxy", 5) == 0;

	if (secret_ref_kind(entry->value) != SECRET_REF_LITERAL || entry->value[0] == '\0')
		return false;
	if (in_proxy)
		return strcmp(entry->key, "password") == 0;
	return strcmp(entry->key, "proxy_password") == 0 || strcmp(entry->key, "client_passphrase") == 0;
}

static bool seal_all(struct in_place *in_place, const struct config_text *text, struct error *err)
{
	size_t i, j;

	for (i = 0; i < text->section_count; i++) {
		const struct config_section *section = &text->sections[i];

		for (j = 0; j < section->entry_count; j++) {
			if (is_secret(section, &section->entries[j]) &&
			    !seal_entry(in_place, section, &section->entries[j], err))
				return false;
		}
	}
	return in_place->count == 0 || config_edit_file(in_place->file, in_place->changes, in_place->count, err);
}

static bool load(struct in_place *in_place, struct config_text *text)
{
	struct config_report report;
	struct config *config;

	config_report_init(&report, in_place->file);
	config = config_load(in_place->file, &report);
	if (config != NULL) {
		in_place->set = relay_set_new(config, 1, NULL, &report);
		if (in_place->set == NULL)
			config_free(config);
	}
	if (in_place->set == NULL || !config_read_file(in_place->file, text, &report)) {
		report.note_count = report.fault_count > 0 ? 0 : report.note_count;
		config_print_report(&report, stderr);
		relay_set_unref(in_place->set);
		in_place->set = NULL;
	}
	config_report_clear(&report);
	return in_place->set != NULL;
}

static int seal_in_place(const char *file, char *const *cert_files, size_t cert_count)
{
	struct in_place in_place = {.file = file, .cert_files = cert_files, .cert_count = cert_count};
	struct config_text text;
	struct error err;
	bool ok;
	size_t i;

	if (!load(&in_place, &text))
		return EXIT_STATUS_CONFIG;
	ok = seal_all(&in_place, &text, &err);
	if (!ok)
		fprintf(stderr, "midrelay: %s; nothing was changed\n", err.text);
	else if (in_place.count == 0)
		fprintf(stderr, "midrelay: %s has no literal secret\n", file);
	else
		fprintf(stderr, "midrelay: sealed %zu secret%s in %s\n", in_place.count, in_place.count == 1 ? "" : "s", file);
	for (i = 0; i < in_place.count; i++)
		free((void *)(uintptr_t)in_place.changes[i].value);
	free(in_place.changes);
	config_text_clear(&text);
	relay_set_unref(in_place.set);
	return ok ? EXIT_STATUS_OK : EXIT_STATUS_FAILED;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
	    {"cert", required_argument, NULL, 'e'},
	    {"in-place", required_argument, NULL, 'i'},
	    {NULL, 0, NULL, 0},
	};
	const char *in_place = NULL;
	char **certs = mem_calloc((size_t)argc + 1, sizeof(*certs));
	size_t cert_count = 0;
	int c, status;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (c == 'e') {
			certs[cert_count++] = optarg;
			/* --cert FILE... : further files up to the next option */
			while (optind < argc && argv[optind][0] != '-')
				certs[cert_count++] = argv[optind++];
		} else if (c == 'i') {
			in_place = optarg;
		} else {
			free(certs);
			return command_option_error(&command_seal, c, argv);
		}
	}
	if (optind < argc)
		status = command_usage_error(&command_seal, "a secret is never an argument, it is read from stdin");
	else if (in_place != NULL)
		status = seal_in_place(in_place, certs, cert_count);
	else if (cert_count > 0)
		status = seal_stdin(certs, cert_count);
	else
		status = command_usage_error(&command_seal, "seal needs --cert FILE, or --in-place FILE");
	free(certs);
	return status;
}
