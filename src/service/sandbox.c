/*
 * sandbox: see sandbox.h.
 *
 * Answers for the order of entering, for what is said of it, and for whether something lies inside.  What
 * is needed is sandbox_needs.c's, how it is enforced sandbox_landlock.c's and sandbox_syscalls.c's.
 */
#include "service/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "service/sandbox_landlock.h"
#include "service/sandbox_needs.h"
#include "service/sandbox_syscalls.h"
#include "service/sandbox_system.h"

#define TEXT_BYTES 400
#define TOLD_FILES 16

/* As Landlock sees it: by inode, whatever its name is by now. */
struct rule {
	dev_t dev;
	ino_t ino;
	unsigned access;
};

static struct {
	char text[TEXT_BYTES];
	bool files, ports; /* Landlock's rules are in force */
	bool calls;        /* seccomp's filter is, */
	struct sandbox_syscalls let; /* with these */
	struct rule *rules;
	size_t rule_count;
	struct sandbox_port *port_rules;
	size_t port_count;
	bool told[TOLD_FILES];
} force = {.text = "off"};

/* ---- entering ---- */

static bool is_instrumented(void)
{
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
	return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
	return true;
#endif
#endif
	return false;
}

/* Threads of a library (a TPM's resource manager has one): Landlock holds the calling thread only. */
static unsigned other_threads(void)
{
	DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	unsigned count = 0;

	while (dir != NULL && (entry = readdir(dir)) != NULL)
		count += entry->d_name[0] != '.';
	if (dir != NULL)
		closedir(dir);
	return count > 1 ? count - 1 : 0;
}

static void put(const char *text)
{
	size_t len = strlen(force.text);

	snprintf(force.text + len, sizeof(force.text) - len, "%s%s", len > 0 ? ", " : "", text);
}

static void keep_rules(const struct sandbox_needs *needs)
{
	struct stat st;
	size_t i;

	force.rules = mem_calloc(needs->place_count, sizeof(*force.rules));
	for (i = 0; i < needs->place_count; i++) {
		unsigned access = needs->places[i].access;

		if ((access & SANDBOX_KEEP) != 0)
			access |= SANDBOX_READ;
		if (stat(needs->places[i].path, &st) == 0)
			force.rules[force.rule_count++] = (struct rule){st.st_dev, st.st_ino, access};
	}
	force.port_rules = mem_calloc(needs->port_count, sizeof(*force.port_rules));
	for (i = 0; i < needs->port_count; i++)
		force.port_rules[force.port_count++] = (struct sandbox_port){.port = needs->ports[i].port,
		    .binds = needs->ports[i].binds};
}

static void collect_places(struct sandbox_needs *needs)
{
	size_t i;

	for (i = 0; i < needs->file_count; i++) {
		char *real;

		if (needs->files[i].access == SANDBOX_READ) {
			sandbox_needs_open_file(needs, needs->files[i].path);
			continue;
		}
		real = realpath(needs->files[i].path, NULL);
		if (real != NULL)
			sandbox_needs_add_place(needs, real, needs->files[i].access);
		free(real);
	}
	sandbox_needs_add_system(needs);
}

static void enter_landlock(const struct sandbox_needs *needs)
{
	unsigned threads = other_threads(), abi = sandbox_landlock_abi();
	char text[TEXT_BYTES];

	if (needs->module_line != 0) {
		put("landlock: left out, for nobody knows what the module behind client_key opens");
	} else if (abi == 0) {
		put(errno == ENOSYS ? "landlock: not in this kernel" : errno == EOPNOTSUPP ?
		    "landlock: switched off in this kernel (lsm=)" : "landlock: not allowed here");
	} else if (!sandbox_landlock_enforce(needs, abi)) {
		snprintf(text, sizeof(text), "landlock: refused (%s)", strerror(errno));
		put(text);
	} else {
		force.files = true;
		force.ports = abi >= SANDBOX_LANDLOCK_ABI_TCP;
		keep_rules(needs);
		snprintf(text, sizeof(text), "landlock ABI %u (files%s)", abi, force.ports ? ", TCP ports" :
		    "; this kernel has no rules for TCP ports");
		put(text);
		if (threads > 0)
			put("landlock: not on the threads that a library started before");
	}
}

static void enter_seccomp(const struct sandbox_needs *needs, bool log)
{
	struct sandbox_syscalls what = {.log = log};
	char text[TEXT_BYTES];
	struct error err;
	size_t i;

	for (i = 0; i < needs->file_count; i++) {
		what.sockets = what.sockets || needs->files[i].access == SANDBOX_SOCKETS;
		what.keep = what.keep || needs->files[i].access == SANDBOX_KEEP;
	}
	if (sandbox_syscalls_enforce(&what, &err)) {
		force.calls = true;
		force.let = what;
		put("seccomp");
	} else {
		snprintf(text, sizeof(text), "no seccomp (%s)", err.text);
		put(text);
	}
}

static void enter(const struct config *config)
{
	struct sandbox_needs needs;

	force.text[0] = '\0';
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	sandbox_needs_collect(&needs, config);
	sandbox_needs_add_status(&needs, &config->process);
	collect_places(&needs);
	enter_landlock(&needs);
	enter_seccomp(&needs, config->process.log_level == LOG_DEBUG);
	sandbox_needs_clear(&needs);
}

void sandbox_enter(const struct config *config)
{
	struct log_line line;

	if (config->process.sandbox == CONFIG_SANDBOX_ON && !is_instrumented())
		enter(config);
	else if (config->process.sandbox == CONFIG_SANDBOX_ON)
		snprintf(force.text, sizeof(force.text), "off (this build is instrumented by a sanitizer)");
	if (log_begin(&line, LOG_INFO, "sandbox")) {
		log_str(&line, "in_force", force.text);
		log_end(&line);
	}
}

const char *sandbox_text(void)
{
	return force.text;
}

/* ---- what lies inside ---- */

static bool has_rule(const struct stat *st, unsigned access)
{
	size_t i;

	for (i = 0; i < force.rule_count; i++) {
		if (force.rules[i].dev == st->st_dev && force.rules[i].ino == st->st_ino &&
		    (force.rules[i].access & access) == access)
			return true;
	}
	return false;
}

/* The place itself, or a directory above it.  What is not there is told by whoever opens it, but cannot be made. */
static bool is_inside(const char *path, unsigned access)
{
	char *real = force.files ? realpath(path, NULL) : NULL, *slash;
	bool inside = real == NULL && (access != SANDBOX_KEEP || !force.files);
	struct stat st;

	while (real != NULL && !inside && stat(real[0] != '\0' ? real : "/", &st) == 0) {
		inside = has_rule(&st, access);
		slash = strrchr(real, '/');
		if (slash == NULL)
			break;
		*slash = '\0';
	}
	free(real);
	return inside;
}

static bool has_calls(unsigned access)
{
	if (!force.calls)
		return true;
	return ((access & SANDBOX_SOCKETS) == 0 || force.let.sockets) && ((access & SANDBOX_KEEP) == 0 || force.let.keep);
}

static bool has_port(const struct sandbox_port *port)
{
	size_t i;

	for (i = 0; i < force.port_count; i++) {
		if (force.port_rules[i].port == port->port && force.port_rules[i].binds == port->binds)
			return true;
	}
	return !force.ports;
}

/* A socket that stays is not bound again. */
static bool is_bound(const struct listen_list *bound, const struct addr *addr)
{
	size_t i;

	for (i = 0; addr != NULL && i < bound->count; i++) {
		if (addr_equal(&bound->sockets[i].bound, addr))
			return true;
	}
	return false;
}

bool sandbox_allows_file(struct config_report *report)
{
	if (is_inside(report->file, SANDBOX_READ))
		return true;
	config_report_fault(report, 0, "this file was replaced by one that the sandbox keeps shut; a restart reads it "
	    "(sandbox = off would, too; a directory of its own, such as /etc/midrelay, spares both)");
	return false;
}

static void refuse_reading(const struct sandbox_file *file, struct config_report *report)
{
	char *real = realpath(file->path, NULL);
	bool leads = real != NULL && strcmp(real, file->path) != 0;

	config_report_fault(report, file->line, "%s: %s%s%s%s lies outside the directories that were named at the "
	    "start, and the sandbox keeps it shut since; this takes a restart", file->key, file->path,
	    leads ? " leads to " : "", leads ? real : "", leads ? ", which" : "");
	free(real);
}

static void refuse_file(const struct sandbox_file *file, struct config_report *report)
{
	if (file->access == SANDBOX_KEEP)
		config_report_fault(report, file->line, "%s: nothing was kept in %s at the start, and the sandbox lets nothing be "
		    "written there since; this takes a restart", file->key, file->path);
	else if (file->access == SANDBOX_SOCKETS)
		config_report_fault(report, file->line, "%s: %s was not a directory of UNIX sockets at the start, and the "
		    "sandbox keeps it shut since; this takes a restart", file->key, file->path);
	else
		refuse_reading(file, report);
}

static void refuse_port(const struct sandbox_port *port, struct config_report *report)
{
	config_report_fault(report, port->line, "%s: TCP port %u was not %s at the start, and the sandbox keeps it shut "
	    "since; this takes a restart", port->key, port->port, port->binds ? "listened at" : "connected to");
}

bool sandbox_allows(const struct config *config, const struct listen_list *bound, struct config_report *report)
{
	size_t faults = report->fault_count, i;
	struct sandbox_needs needs;

	if (!force.files && !force.calls)
		return true;
	sandbox_needs_collect(&needs, config);
	for (i = 0; i < needs.file_count; i++) {
		const struct sandbox_file *file = &needs.files[i];

		if (file->key != NULL && !(has_calls(file->access) && is_inside(file->path, file->access)))
			refuse_file(file, report);
	}
	for (i = 0; i < needs.port_count; i++) {
		const struct sandbox_port *port = &needs.ports[i];

		if (!has_port(port) && !is_bound(bound, port->addr))
			refuse_port(port, report);
	}
	if (force.files && needs.module_line != 0)
		config_report_fault(report, needs.module_line, "client_key: the sandbox was entered without knowing of "
		    "this key's module; this takes a restart");
	sandbox_needs_clear(&needs);
	config_report_sort(report);
	return report->fault_count == faults;
}

void sandbox_look(void)
{
	size_t i;

	for (i = 0; i < TOLD_FILES && sandbox_name_files[i] != NULL; i++) {
		bool shut = !is_inside(sandbox_name_files[i], SANDBOX_READ);

		if (shut && !force.told[i])
			log_msg(LOG_ERROR, "restart-needed", "%s was replaced by another file, which the sandbox keeps shut for a "
			    "process of root: names may not be resolved until the restart; with `user` set, or `sandbox = off`, it "
			    "would be read", sandbox_name_files[i]);
		force.told[i] = shut;
	}
}
