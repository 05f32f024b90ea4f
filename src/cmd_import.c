/*
 * cmd_import: `midrelay import`: a MID Server's config.xml in; midrelay.ini and what to change in the MID Server out.
 * What config.xml means and how it changes is the business of import/.
 */
#include <errno.h>
#include <getopt.h>
#include <libgen.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/replace.h"
#include "command.h"
#include "config/config_print.h"
#include "import/import_apply.h"
#include "import/import_ini.h"

static int run(int argc, char **argv);

const struct command command_import = {
    .name = "import",
    .usage = "CONFIG_XML [-o FILE]\n"
	     "       midrelay import CONFIG_XML [-o FILE] [--way url|proxy|tls] [--apply | --diff] [--force]\n"
	     "                [--listen ADDRESS:PORT] [--target HOST[:PORT]] [--client-bundle FILE]\n"
	     "       midrelay import CONFIG_XML --revert [--force]",
    .summary = "writes a configuration from a MID Server's config.xml, and says what to change there",
    .run = run,
};

#define INI_MODE 0640
#define SECRET_MODE 0600

struct import_args {
	const char *config_xml, *out, *way_name, *listen, *target, *bundle;
	bool apply, diff, revert, force;
	enum import_way way;
};

/* All that one run knows; what is owned is freed by job_clear(). */
struct job {
	const struct import_args *args;
	struct import_file file;
	struct import_document document;
	struct import_mid mid;
	char *listen[IMPORT_WAYS];
	char *directory; /* of FILE */
	char *password_file, *bundle_file, *owner, *ini;
	gid_t group; /* that may read what is made there, too; 0: none */
	bool writes_password;
};

static void job_clear(struct job *job)
{
	int i;

	for (i = 0; i < IMPORT_WAYS; i++)
		free(job->listen[i]);
	free(job->directory);
	free(job->password_file);
	free(job->bundle_file);
	free(job->owner);
	free(job->ini);
	import_mid_clear(&job->mid);
	import_document_clear(&job->document);
	import_file_clear(&job->file);
}

/* ---- what is to be written ---- */

static bool is_there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* A path that means the same from everywhere; NULL: there is no such directory. */
static char *directory_of(const char *path)
{
	char *copy = mem_strdup(path), *directory = realpath(dirname(copy), NULL);

	free(copy);
	return directory;
}

/*
 * The packages' /etc/midrelay is root's, and the group's of the unit's account to read: that account must be able to read
 * what root makes there.
 */
static gid_t find_group(const char *directory)
{
	struct stat st;

	if (geteuid() != 0 || stat(directory, &st) != 0 || st.st_uid != 0 || (st.st_mode & 0077) != 0050)
		return 0;
	return st.st_gid;
}

/* The account that owns the file, or its directory where root unpacked the file.  The caller's. */
static char *find_owner(const struct import_file *file)
{
	uid_t uid = file->st.st_uid;
	struct passwd entry, *found = NULL;
	char buf[4096], *directory;
	struct stat st;

	directory = directory_of(file->path);
	if (uid == 0 && directory != NULL && stat(directory, &st) == 0)
		uid = st.st_uid;
	free(directory);
	if (getpwuid_r(uid, &entry, buf, sizeof(buf), &found) == 0 && found != NULL && *found->pw_name != '\0' &&
	    strpbrk(found->pw_name, ", \t;#\"'") == NULL)
		return mem_strdup(found->pw_name);
	return mem_printf("%u", (unsigned)uid);
}

static bool plan_files(struct job *job, struct error *err)
{
	const struct import_args *args = job->args;
	const char *out = args->out != NULL ? args->out : MIDRELAY_DEFAULT_CONFIG;
	struct stat st;
	char *copy;

	/* --force is for what was written here before. */
	if (args->out != NULL && stat(out, &st) == 0 && st.st_dev == job->file.st.st_dev && st.st_ino == job->file.st.st_ino)
		return error_set(err, "-o: %s is the config.xml itself", out);
	job->directory = directory_of(out);
	if (job->directory == NULL && args->out != NULL)
		return error_set_errno(err, errno, "%s: its directory", out);
	if (job->directory == NULL) {
		copy = mem_strdup(out);
		job->directory = mem_strdup(dirname(copy));
		free(copy);
	}
	job->group = find_group(job->directory);
	job->password_file = mem_printf("%s/%s-proxy-password", job->directory, job->mid.relay);
	if (args->bundle == NULL) {
		job->bundle_file = mem_printf("%s/midserver-bundle.pem", job->directory);
	} else {
		job->bundle_file = realpath(args->bundle, NULL);
		if (job->bundle_file == NULL)
			return error_set_errno(err, errno, "--client-bundle: %s", args->bundle);
	}
	job->writes_password = args->out != NULL && job->mid.password_kind == IMPORT_PASSWORD_CLEAR;
	job->owner = find_owner(&job->file);
	return true;
}

static void plan_listen(struct job *job)
{
	struct addr addr;
	struct error err;
	char text[ADDR_TEXT_BYTES];
	int i;

	for (i = 0; i < IMPORT_WAYS; i++) {
		if (job->args->listen != NULL && addr_parse(job->args->listen, &addr, &err))
			job->listen[i] = mem_strdup(addr_format(&addr, text));
		else
			job->listen[i] = import_way_listen((enum import_way)i, &job->mid);
	}
}

static char *make_ini(const struct job *job, struct config_report *report)
{
	struct import_ini ini = {.mid = &job->mid, .way = job->args->way, .listen = job->listen[job->args->way],
	    .source = job->file.path, .password_file = job->password_file, .bundle_file = job->bundle_file,
	    .password_is_there = job->writes_password, .bundle_is_there = is_there(job->bundle_file),
	    .owner = job->owner};

	return import_ini_make(&ini, report);
}

/* ---- writing ---- */

static bool check_free(const struct import_args *args, const char *path, struct error *err)
{
	return args->force || !is_there(path) ? true
	    : error_set(err, "%s: is there already; --force overwrites it", path);
}

static bool write_file(const struct job *job, const char *path, const char *bytes, size_t len, mode_t mode,
    struct error *err)
{
	bool old = job->args->force && is_there(path);

	if (job->group != 0)
		mode |= S_IRGRP;
	if (old)
		return replace_file(path, bytes, len, mode, err);
	if (!replace_create_file(path, bytes, len, mode, err))
		return false;
	if (job->group == 0 || lchown(path, (uid_t)-1, job->group) == 0)
		return true;
	error_set_errno(err, errno, "%s: cannot be given to the group of its directory", path);
	(void)unlink(path);
	return false;
}

static bool write_password(const struct job *job, struct error *err)
{
	char *line = mem_printf("%s\n", job->mid.password);
	bool ok = write_file(job, job->password_file, line, strlen(line), SECRET_MODE, err);

	explicit_bzero(line, strlen(line));
	free(line);
	return ok;
}

/* All of it or, what was not there before, nothing of it; *replaced: what --force has replaced stays so. */
static bool write_all(const struct job *job, const char *changed, size_t changed_len, bool *replaced, struct error *err)
{
	const struct import_args *args = job->args;
	bool new_password = job->writes_password && !is_there(job->password_file);
	bool new_ini = args->out != NULL && !is_there(args->out), ok;

	*replaced = false;
	if ((args->out != NULL && !check_free(args, args->out, err)) ||
	    (job->writes_password && !check_free(args, job->password_file, err)) ||
	    (changed != NULL && !import_apply_check(&job->file, err)))
		return false;
	ok = !job->writes_password || write_password(job, err);
	*replaced = job->writes_password && !new_password && ok;
	new_password = new_password && ok;
	if (ok && args->out != NULL) {
		ok = write_file(job, args->out, job->ini, strlen(job->ini), INI_MODE, err);
		*replaced = *replaced || (!new_ini && ok);
	}
	new_ini = new_ini && ok;
	if (ok && changed != NULL)
		ok = import_apply(&job->file, changed, changed_len, err);
	if (!ok && new_password)
		(void)unlink(job->password_file);
	if (!ok && new_ini)
		(void)unlink(args->out);
	return ok;
}

static bool write_outputs(const struct job *job, bool *changed, bool *replaced, struct error *err)
{
	struct import_edits edits = {0};
	char *text = NULL, *bytes = NULL;
	size_t text_len = 0, len = 0;
	bool ok;

	if (job->args->apply)
		import_way_edits(job->args->way, &job->mid, job->listen[job->args->way], &job->document, &edits);
	*changed = edits.count > 0;
	if (*changed) {
		text = import_edits_apply(&edits, &job->document, &text_len);
		import_text_encode(text, text_len, job->document.encoding, &bytes, &len);
	}
	ok = write_all(job, bytes, len, replaced, err);
	if (text != NULL) {
		explicit_bzero(text, text_len);
		explicit_bzero(bytes, len);
	}
	free(text);
	free(bytes);
	import_edits_clear(&edits);
	return ok;
}

/* ---- telling ---- */

/* False when something in it could not be shown. */
static bool print_diff(const struct job *job, enum import_way way, bool words, FILE *to)
{
	struct import_edits edits;
	bool all;

	import_way_edits(way, &job->mid, job->listen[way], &job->document, &edits);
	if (edits.count == 0 && words)
		fputs("Nothing in config.xml changes.\n", to);
	all = import_edits_print(&edits, &job->document, job->args->config_xml, words, to);
	import_edits_clear(&edits);
	return all;
}

static void print_way(const struct job *job, enum import_way way, FILE *to)
{
	fprintf(to, "\nWay %s: %s\n\n", import_way_name(way), import_way_summary(way));
	print_diff(job, way, true, to);
	if (job->document.encoding != IMPORT_ENCODING_BYTES)
		fputs("(config.xml is UTF-16; these lines are UTF-8, so patch(1) cannot use them: --apply can.)\n", to);
	fputc('\n', to);
	if (way == IMPORT_WAY_TLS && job->args->way != way)
		fputs("- midrelay.ini is another one on this way: --way tls writes it.\n", to);
	import_way_print_rest(way, &job->mid, job->listen[way], to);
}

static void print_result(const struct job *job, bool changed, FILE *to)
{
	const struct import_args *args = job->args;
	char *backup = import_backup_path(&job->file);
	int i;

	if (args->out != NULL)
		fprintf(to, "Wrote %s%s%s%s.\n", args->out, job->writes_password ? " and " : "",
		    job->writes_password ? job->password_file : "",
		    !job->writes_password ? "" : job->group != 0 ? " (the proxy's password, for root and that directory's group)"
		    : " (the proxy's password, for its owner alone)");
	if (changed)
		fprintf(to, "Changed %s; the former one is %s.\n", job->file.path, backup);
	else if (!args->apply)
		fprintf(to, "Nothing in %s was changed; --apply changes it.\n", job->file.path);
	free(backup);
	for (i = 0; i < IMPORT_WAYS; i++) {
		if (args->way_name == NULL && !args->apply ? true : args->way == (enum import_way)i)
			print_way(job, (enum import_way)i, to);
	}
	fputs("\nOn every way:\n\n", to);
	import_way_print_login(&job->mid, to);
}

/* ---- the command ---- */

static int finish_diff(const struct job *job, struct config_report *report)
{
	config_report_sort(report);
	config_print_report(report, stderr);
	if (print_diff(job, job->args->way, false, stdout))
		return EXIT_STATUS_OK;
	fputs("midrelay: a line that changes holds a password, too, so the diff is not whole; --apply makes the change\n", stderr);
	return EXIT_STATUS_FAILED;
}

static int finish(struct job *job, struct config_report *report)
{
	const struct import_args *args = job->args;
	struct error err;
	bool changed = false, replaced = false, shows_ini = args->out == NULL && !args->apply;

	plan_listen(job);
	if (args->diff)
		return finish_diff(job, report);
	if (!plan_files(job, &err)) {
		fprintf(stderr, "midrelay: %s\n", err.text);
		return EXIT_STATUS_FAILED;
	}
	job->ini = make_ini(job, report);
	config_report_sort(report);
	config_print_report(report, stderr);
	if (job->ini == NULL)
		return EXIT_STATUS_CONFIG;
	if (!write_outputs(job, &changed, &replaced, &err)) {
		fprintf(stderr, "midrelay: %s; %s\n", err.text, replaced ?
		    "config.xml is unchanged, but --force has replaced what was to be written beside it" : "nothing was written");
		return EXIT_STATUS_FAILED;
	}
	if (shows_ini)
		fputs(job->ini, stdout);
	print_result(job, changed, shows_ini ? stderr : stdout);
	return EXIT_STATUS_OK;
}

static int import_file(const struct import_args *args)
{
	struct job job = {.args = args};
	struct config_report report;
	struct error err;
	int status = EXIT_STATUS_CONFIG;

	config_report_init(&report, args->config_xml);
	if (!import_file_read(&job.file, args->config_xml, &err)) {
		fprintf(stderr, "midrelay: %s\n", err.text);
	} else if (!import_document_read(&job.document, job.file.bytes, job.file.len, &report) ||
		   !import_mid_read(&job.mid, &job.document, args->target, &report)) {
		config_report_sort(&report);
		config_print_report(&report, stderr);
	} else {
		status = finish(&job, &report);
	}
	config_report_clear(&report);
	job_clear(&job);
	return status;
}

static int revert_file(const struct import_args *args)
{
	struct config_report report;
	struct error err;
	bool ok;

	config_report_init(&report, args->config_xml);
	ok = import_revert(args->config_xml, args->force, &report, &err);
	if (!ok) {
		config_report_sort(&report);
		config_print_report(&report, stderr);
		fprintf(stderr, "midrelay: %s\n", err.text);
	} else {
		printf("%s is what it was before; restart the MID Server.\n", args->config_xml);
	}
	config_report_clear(&report);
	return ok ? EXIT_STATUS_OK : EXIT_STATUS_FAILED;
}

static int check_listen(const char *listen)
{
	struct addr addr;
	struct error err;

	if (!addr_parse(listen, &addr, &err))
		return command_usage_error(&command_import, "--listen: %s", err.text);
	if (addr.u.sa.sa_family == AF_UNIX || addr_port(&addr) == 0)
		return command_usage_error(&command_import, "--listen: a MID Server needs an address and a port");
	if (!addr_is_loopback(&addr))
		return command_usage_error(&command_import, "--listen: an address outside loopback needs allow_nonlocal "
		    "and allow_address, which you have to decide: write that into the file");
	return EXIT_STATUS_OK;
}

static int check_args(struct import_args *args)
{
	if (args->way_name != NULL && !import_way_find(args->way_name, &args->way))
		return command_usage_error(&command_import, "--way is url, proxy or tls");
	if (args->revert && (args->apply || args->diff || args->out != NULL || args->way_name != NULL ||
	    args->listen != NULL || args->target != NULL || args->bundle != NULL))
		return command_usage_error(&command_import, "--revert goes with --force alone");
	if (args->diff && (args->apply || args->out != NULL))
		return command_usage_error(&command_import, "--diff writes nothing: it goes neither with --apply nor with -o");
	return args->listen == NULL ? EXIT_STATUS_OK : check_listen(args->listen);
}

static const char **value_place(struct import_args *args, int option)
{
	switch (option) {
	case 'o':
		return &args->out;
	case 'w':
		return &args->way_name;
	case 'l':
		return &args->listen;
	case 't':
		return &args->target;
	case 'b':
		return &args->bundle;
	}
	return NULL;
}

static bool *flag_place(struct import_args *args, int option)
{
	switch (option) {
	case 'a':
		return &args->apply;
	case 'd':
		return &args->diff;
	case 'r':
		return &args->revert;
	case 'f':
		return &args->force;
	}
	return NULL;
}

static int run(int argc, char **argv)
{
	static const struct option options[] = {
	    {"output", required_argument, NULL, 'o'},
	    {"way", required_argument, NULL, 'w'},
	    {"listen", required_argument, NULL, 'l'},
	    {"target", required_argument, NULL, 't'},
	    {"client-bundle", required_argument, NULL, 'b'},
	    {"apply", no_argument, NULL, 'a'},
	    {"diff", no_argument, NULL, 'd'},
	    {"revert", no_argument, NULL, 'r'},
	    {"force", no_argument, NULL, 'f'},
	    {NULL, 0, NULL, 0},
	};
	struct import_args args = {.way = IMPORT_WAY_URL};
	const char **value;
	bool *flag;
	int c, status;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":o:", options, NULL)) != -1) {
		if (c == ':' || c == '?')
			return command_option_error(&command_import, c, argv);
		flag = flag_place(&args, c);
		value = value_place(&args, c);
		if (flag != NULL)
			*flag = true;
		else if (value == NULL || *value != NULL)
			return command_usage_error(&command_import, "an option is there twice");
		else
			*value = optarg;
	}
	if (optind + 1 != argc)
		return command_usage_error(
		    &command_import, optind == argc ? "a config.xml is missing" : "one config.xml at a time");
	args.config_xml = argv[optind];
	status = check_args(&args);
	if (status != EXIT_STATUS_OK)
		return status;
	return args.revert ? revert_file(&args) : import_file(&args);
}
