/*
 * cmd_bundle: `midrelay bundle show|make|request`: arguments in, texts out.  What certificates are and what
 * is wrong with them is the business of tls/bundle*.
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "command.h"
#include "tls/bundle.h"
#include "tls/bundle_findings.h"
#include "tls/bundle_report.h"
#include "tls/bundle_write.h"
#include "tls/local_ca.h"

#define SHOW_USAGE "FILE... [--json] [--passphrase SECRET-REF]"
#define LOCAL_CA_USAGE "--local-ca [HOST]"
#define MAKE_USAGE "[-o OUT] [--leaf OUT] [--chain OUT] FILE... [--passphrase SECRET-REF]"
#define REQUEST_USAGE "-o PREFIX --subject \"/CN=.../O=...\" [--key rsa:2048|rsa:3072|rsa:4096|p256|p384]"

static int run(int argc, char **argv);
static int show_run(int argc, char **argv);
static int make_run(int argc, char **argv);
static int request_run(int argc, char **argv);

const struct command command_bundle = {
    .name = "bundle",
    .usage = "show|make|request\n"
	     "       midrelay bundle show " SHOW_USAGE "\n"
	     "       midrelay bundle show " LOCAL_CA_USAGE "\n"
	     "       midrelay bundle make " MAKE_USAGE "\n"
	     "       midrelay bundle request " REQUEST_USAGE "\n\n"
	     "       SECRET-REF is file:PATH, env:NAME or cred:NAME",
    .summary = "shows certificate and key files, assembles the client's bundle, makes key and request",
    .run = run,
};

static const struct command subcommands[] = {
    {"bundle show", SHOW_USAGE "\n       midrelay bundle show " LOCAL_CA_USAGE, "", show_run},
    {"bundle make", MAKE_USAGE, "", make_run},
    {"bundle request", REQUEST_USAGE, "", request_run},
};
#define SHOW (&subcommands[0])
#define MAKE (&subcommands[1])
#define REQUEST (&subcommands[2])

/* What the three take on the command line. */
struct bundle_args {
	const char *out, *leaf, *chain, *passphrase_ref, *subject, *key;
	bool json, local_ca;
	char **files;
	int file_count;
};

static const char **string_option(struct bundle_args *args, int option)
{
	switch (option) {
	case 'o':
		return &args->out;
	case 'l':
		return &args->leaf;
	case 'c':
		return &args->chain;
	case 'p':
		return &args->passphrase_ref;
	case 's':
		return &args->subject;
	case 'k':
		return &args->key;
	}
	return NULL;
}

/* EXIT_STATUS_OK, or that of the wrong usage it has reported. */
static int parse_args(const struct command *command, const char *short_options, const struct option *options,
    int argc, char **argv, struct bundle_args *args)
{
	const char **place;
	int c;

	opterr = 0;
	optind = 1;
	while ((c = getopt_long(argc, argv, short_options, options, NULL)) != -1) {
		if (c == 'j')
			args->json = true;
		else if (c == 'L')
			args->local_ca = true;
		else if (c == ':' || (place = string_option(args, c)) == NULL)
			return command_option_error(command, c, argv);
		else if (*place != NULL)
			return command_usage_error(command, "an option is there twice");
		else
			*place = optarg;
	}
	args->files = argv + optind;
	args->file_count = argc - optind;
	return EXIT_STATUS_OK;
}

/* A secret on a command line is read by everyone who can list processes, and the shell's history keeps it. */
static int load_passphrase(const struct command *command, const char *ref, struct secret **passphrase)
{
	struct error err;

	if (ref == NULL)
		return EXIT_STATUS_OK;
	switch (secret_ref_kind(ref)) {
	case SECRET_REF_LITERAL:
	case SECRET_REF_SEALED:
		return command_usage_error(
		    command, "--passphrase takes file:PATH, env:NAME or cred:NAME, never the secret itself");
	case SECRET_REF_FILE:
	case SECRET_REF_ENV:
	case SECRET_REF_CRED:
		break;
	}
	if (secret_load(ref, passphrase, &err))
		return EXIT_STATUS_OK;
	fprintf(stderr, "midrelay: --passphrase: %s\n", err.text);
	return EXIT_STATUS_FAILED;
}

/* Every file that cannot be read is reported. */
static bool read_files(const struct bundle_args *args, const struct secret *passphrase, struct bundle *bundle)
{
	struct error err;
	bool ok = true;
	int i;

	for (i = 0; i < args->file_count; i++) {
		if (bundle_add_file_exposed(bundle, args->files[i], passphrase, &err))
			continue;
		fprintf(stderr, "midrelay: %s\n", err.text);
		ok = false;
	}
	return ok;
}

static void print_findings(const struct bundle_findings *findings, FILE *to)
{
	size_t i;

	for (i = 0; i < findings->count; i++) {
		const struct bundle_finding *finding = &findings->items[i];

		fprintf(to, "%s: %s\n", bundle_severity_name(finding->severity), finding->text);
		if (*finding->where != '\0')
			fprintf(to, "    in  %s\n", finding->where);
		fprintf(to, "    do  %s\n", finding->remedy);
	}
}

static void print_line(const char *label, const char *text)
{
	if (*text != '\0')
		printf("  %-12s %s\n", label, text);
}

static void print_cert(const struct bundle_report_cert *cert, size_t number)
{
	printf("certificate %zu (%s)\n", number, cert->role);
	print_line("subject", cert->subject);
	print_line("issuer", cert->issuer);
	print_line("serial", cert->serial);
	printf("  %-12s %s to %s (%lld days left)\n", "valid", cert->not_before, cert->not_after,
	    cert->seconds_left / 86400);
	print_line("key", cert->key);
	print_line("signed", cert->signature);
	print_line("usage", cert->usages);
	print_line("names", cert->names);
	print_line("sha256", cert->sha256);
	print_line("pin", cert->pin);
	print_line("in", cert->origin);
	putchar('\n');
}

static void print_report(const struct bundle_report *report)
{
	size_t i;

	for (i = 0; i < report->cert_count; i++)
		print_cert(&report->certs[i], i + 1);
	if (report->has_key) {
		printf("private key (%s)\n",
		    report->key_matches ? "belongs to certificate 1" : "belongs to no certificate");
		print_line("key", report->key);
		print_line("encrypted", report->key_encrypted ? "yes" : "no");
		print_line("pin", report->key_pin);
		print_line("in", report->key_origin);
		putchar('\n');
	}
	if (report->findings.count == 0)
		printf("nothing to find fault with (judged as: %s)\n", bundle_purpose_name(report->purpose));
	print_findings(&report->findings, stdout);
}

static json_t *cert_json(const struct bundle_report_cert *cert)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:s, s:s, s:s, s:s, s:s, s:s}", "role",
	    cert->role, "origin", cert->origin, "subject", cert->subject, "issuer", cert->issuer, "serial",
	    cert->serial, "not_before", cert->not_before, "not_after", cert->not_after, "seconds_left",
	    (json_int_t)cert->seconds_left, "key", cert->key, "signature", cert->signature, "usages",
	    cert->usages, "names", cert->names, "sha256", cert->sha256, "pin", cert->pin);
}

static json_t *finding_json(const struct bundle_finding *finding)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s}", "code", bundle_finding_name(finding->code), "severity",
	    bundle_severity_name(finding->severity), "where", finding->where, "text", finding->text, "remedy",
	    finding->remedy);
}

static int print_report_json(const struct bundle_report *report)
{
	json_t *certs = json_array(), *findings = json_array(), *key = json_null(), *all;
	size_t i;
	int failed;

	for (i = 0; i < report->cert_count; i++)
		json_array_append_new(certs, cert_json(&report->certs[i]));
	for (i = 0; i < report->findings.count; i++)
		json_array_append_new(findings, finding_json(&report->findings.items[i]));
	if (report->has_key)
		key = json_pack("{s:s, s:s, s:b, s:b, s:s}", "origin", report->key_origin, "key", report->key,
		    "encrypted", report->key_encrypted, "matches", report->key_matches, "pin",
		    report->key_pin);
	all = json_pack("{s:s, s:o, s:o, s:o}", "purpose", bundle_purpose_name(report->purpose),
	    "certificates", certs, "key", key, "findings", findings);
	midrelay_assert(all != NULL);
	failed = json_dumpf(all, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(all);
	return failed ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}

static int show(const struct bundle_args *args, const struct secret *passphrase)
{
	struct bundle *bundle = bundle_new();
	struct bundle_report *report = NULL;
	int status = read_files(args, passphrase, bundle) ? EXIT_STATUS_OK : EXIT_STATUS_FAILED;

	/* Of several files those that can be read are shown; of one that cannot, there is nothing to say. */
	if (status == EXIT_STATUS_OK || !bundle_is_empty(bundle)) {
		report = bundle_report_new(bundle);
		if (!args->json)
			print_report(report);
		else if (print_report_json(report) != EXIT_STATUS_OK)
			status = EXIT_STATUS_FAILED;
		if (bundle_findings_worst(&report->findings) == BUNDLE_SEVERITY_REFUSED)
			status = EXIT_STATUS_FAILED;
	}
	bundle_report_free(report);
	bundle_free(bundle);
	return status;
}

/* The host of the only local CA there is; NULL, told, when there is none, or more than one. */
static char *only_local_ca(void)
{
	char *directory = local_ca_directory(), *found = NULL, *host;
	DIR *handle = opendir(directory);
	struct dirent *entry;
	unsigned count = 0;

	while (handle != NULL && (entry = readdir(handle)) != NULL) {
		host = local_ca_host_of(entry->d_name);
		if (host == NULL)
			continue;
		if (++count == 2)
			fprintf(stderr, "midrelay: there are several local CAs; name the HOST of one:\n  %s\n", found);
		if (count >= 2)
			fprintf(stderr, "  %s\n", host);
		free(found);
		found = host;
	}
	if (count == 0)
		fprintf(stderr, "midrelay: %s: %s\n", directory, handle == NULL ? strerror(errno) :
		    "there is no local CA; `midrelay run` makes it where a relay has listen_cert = auto");
	if (handle != NULL)
		closedir(handle);
	free(directory);
	if (count == 1)
		return found;
	free(found);
	return NULL;
}

static int show_local_ca(const struct bundle_args *args)
{
	char *host = args->file_count > 0 ? mem_strdup(args->files[0]) : only_local_ca();
	char *pem = NULL;
	struct error err;
	int status;

	if (host == NULL)
		return EXIT_STATUS_FAILED;
	pem = local_ca_pem(host, &err);
	if (pem == NULL) {
		fprintf(stderr, "midrelay: %s\n", err.text);
	} else {
		fputs(pem, stdout);
		fprintf(stderr, "midrelay: this is the CA that listen_cert = auto uses for %s; it can vouch for "
		    "nothing else.\n"
		    "Keep it in a file (... > midrelay-local-ca.pem) and import that into the client's trust "
		    "store, for a MID Server as its own user, in its directory agent:\n"
		    "jre/bin/keytool -importcert -noprompt -alias midrelay-%s -file midrelay-local-ca.pem "
		    "-keystore jre/lib/security/cacerts -storepass changeit\n", host, host);
	}
	status = pem != NULL ? EXIT_STATUS_OK : EXIT_STATUS_FAILED;
	free(host);
	free(pem);
	return status;
}

static int show_run(int argc, char **argv)
{
	static const struct option options[] = {{"json", no_argument, NULL, 'j'},
	    {"local-ca", no_argument, NULL, 'L'}, {"passphrase", required_argument, NULL, 'p'},
	    {NULL, 0, NULL, 0}};
	struct bundle_args args = {0};
	struct secret *passphrase = NULL;
	int status = parse_args(SHOW, ":", options, argc, argv, &args);

	if (status == EXIT_STATUS_OK && args.local_ca) {
		if (args.file_count > 1 || args.json || args.passphrase_ref != NULL)
			return command_usage_error(SHOW, "--local-ca takes one HOST at most, and no other option");
		return show_local_ca(&args);
	}
	if (status == EXIT_STATUS_OK && args.file_count == 0)
		status = command_usage_error(SHOW, "name at least one FILE");
	if (status == EXIT_STATUS_OK)
		status = load_passphrase(SHOW, args.passphrase_ref, &passphrase);
	if (status == EXIT_STATUS_OK)
		status = show(&args, passphrase);
	secret_free(passphrase);
	return status;
}

static int make(const struct bundle_args *args, const struct secret *passphrase)
{
	const struct bundle_outputs outputs = {.full = args->out, .leaf = args->leaf, .chain = args->chain};
	struct bundle *bundle = bundle_new();
	struct bundle_findings findings = {0};
	struct error err;
	int status = EXIT_STATUS_FAILED;

	if (!read_files(args, passphrase, bundle)) {
		fputs("midrelay: nothing was written\n", stderr);
	} else if (bundle_make(bundle, &outputs, &findings, &err)) {
		status = EXIT_STATUS_OK;
		print_findings(&findings, stderr);
		if (args->out != NULL)
			printf("%s: written; for client_bundle and for the MID Server, never to be "
			    "uploaded\n", args->out);
		if (args->leaf != NULL)
			printf("%s: written; the certificate to upload\n", args->leaf);
		if (args->chain != NULL)
			printf("%s: written; the CA chain to upload\n", args->chain);
	} else {
		print_findings(&findings, stderr);
		fprintf(stderr, "midrelay: %s\n", err.text);
	}
	bundle_findings_clear(&findings);
	bundle_free(bundle);
	return status;
}

/* What is read may be the only copy of the key, which the parts to upload do not hold. */
static bool would_overwrite(const struct bundle_args *args, const char *out)
{
	struct stat own, read;
	int i;

	for (i = 0; out != NULL && i < args->file_count; i++) {
		if (stat(out, &own) == 0 && stat(args->files[i], &read) == 0 && own.st_dev == read.st_dev &&
		    own.st_ino == read.st_ino)
			return true;
	}
	return false;
}

static bool same_text(const char *a, const char *b)
{
	return a != NULL && b != NULL && strcmp(a, b) == 0;
}

static int make_run(int argc, char **argv)
{
	static const struct option options[] = {{"output", required_argument, NULL, 'o'},
	    {"leaf", required_argument, NULL, 'l'}, {"chain", required_argument, NULL, 'c'},
	    {"passphrase", required_argument, NULL, 'p'}, {NULL, 0, NULL, 0}};
	struct bundle_args args = {0};
	struct secret *passphrase = NULL;
	int status = parse_args(MAKE, ":o:", options, argc, argv, &args);

	if (status == EXIT_STATUS_OK && args.out == NULL && args.leaf == NULL && args.chain == NULL)
		status = command_usage_error(MAKE, "-o OUT is missing, or --leaf OUT, or --chain OUT");
	if (status == EXIT_STATUS_OK && args.file_count == 0)
		status = command_usage_error(MAKE, "name at least one FILE");
	if (status == EXIT_STATUS_OK && (same_text(args.out, args.leaf) || same_text(args.out, args.chain) ||
					    same_text(args.leaf, args.chain)))
		status = command_usage_error(MAKE, "-o, --leaf and --chain are different files");
	if (status == EXIT_STATUS_OK && (would_overwrite(&args, args.leaf) || would_overwrite(&args, args.chain)))
		status = command_usage_error(MAKE, "--leaf and --chain are not written over a file that is read");
	if (status == EXIT_STATUS_OK)
		status = load_passphrase(MAKE, args.passphrase_ref, &passphrase);
	if (status == EXIT_STATUS_OK)
		status = make(&args, passphrase);
	secret_free(passphrase);
	return status;
}

static int request(const struct bundle_args *args, const struct bundle_key_kind *kind)
{
	char *key_file = mem_printf("%s.key", args->out), *request_file = mem_printf("%s.csr", args->out);
	struct error err;
	int status = EXIT_STATUS_OK;

	if (bundle_request(args->subject, kind, key_file, request_file, &err)) {
		printf("%s: written; the private key, which stays here\n%s: written; send it to the CA\n",
		    key_file, request_file);
	} else {
		fprintf(stderr, "midrelay: %s\n", err.text);
		status = EXIT_STATUS_FAILED;
	}
	free(key_file);
	free(request_file);
	return status;
}

static int request_run(int argc, char **argv)
{
	static const struct option options[] = {{"output", required_argument, NULL, 'o'},
	    {"subject", required_argument, NULL, 's'}, {"key", required_argument, NULL, 'k'},
	    {NULL, 0, NULL, 0}};
	const struct bundle_key_kind *kind = NULL;
	struct bundle_args args = {0};
	struct error err;
	int status = parse_args(REQUEST, ":o:", options, argc, argv, &args);

	if (status != EXIT_STATUS_OK)
		return status;
	if (args.out == NULL || *args.out == '\0')
		return command_usage_error(REQUEST, "-o PREFIX is missing");
	if (args.subject == NULL)
		return command_usage_error(REQUEST, "--subject is missing");
	if (args.file_count > 0)
		return command_usage_error(REQUEST, "request reads no file: %s", args.files[0]);
	kind = bundle_key_kind_find(args.key == NULL ? "rsa:2048" : args.key);
	if (kind == NULL)
		return command_usage_error(
		    REQUEST, "--key is one of rsa:2048, rsa:3072, rsa:4096, p256 and p384");
	if (!bundle_subject_check(args.subject, &err))
		return command_usage_error(REQUEST, "--subject: %s", err.text);
	return request(&args, kind);
}

static int run(int argc, char **argv)
{
	static const char *const names[] = {"show", "make", "request", NULL};
	const char *nearest;
	char shown[65];
	size_t i;

	if (argc < 2)
		return command_usage_error(&command_bundle, "bundle what?");
	for (i = 0; names[i] != NULL; i++)
		if (strcmp(argv[1], names[i]) == 0)
			return subcommands[i].run(argc - 1, argv + 1);
	nearest = text_nearest(argv[1], names);
	return command_usage_error(&command_bundle, "there is no 'bundle %s'%s%s%s",
	    text_escape(argv[1], strlen(argv[1]), shown, sizeof(shown)),
	    nearest == NULL ? "" : "; did you mean '", nearest == NULL ? "" : nearest,
	    nearest == NULL ? "" : "'?");
}
