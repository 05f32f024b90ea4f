/*
 * reload: the configuration and every file it names, read at start and again, and how what was read takes effect.
 *
 * Everything new is built first, which may fail; the swap cannot.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/manager.h"
#include "base/mem.h"
#include "dial/relay_local.h"
#include "dial/relay_user.h"
#include "service/sandbox.h"
#include "service/service_internal.h"
#include "tls/keylog.h"

/* ---- reading and building ---- */

void service_log_report(const struct config_report *report, const struct config_fault *list, size_t count,
    enum log_level level, const char *event)
{
	struct log_line line;
	size_t i;

	for (i = 0; i < count; i++) {
		if (!log_begin(&line, level, event))
			return;
		log_str(&line, "file", report->file);
		if (list[i].line != 0)
			log_int(&line, "line", list[i].line);
		log_str(&line, "msg", list[i].text);
		log_end(&line);
	}
}

/* Signed before it is read, so that a change in between is seen at the next look. */
static struct config *load_config(struct service *service, struct file_watch *files, struct config_report *report)
{
	struct config *config;

	file_watch_add(files, service->file);
	config = config_load(service->file, report);
	if (config != NULL)
		file_watch_add_config(files, config);
	return config;
}

/* Reads the configuration and every file it names, as the user we are to become. */
static struct relay_set *read_all(struct service *service, unsigned loop_count, struct file_watch *files,
    struct config_report *report)
{
	struct config *config = sandbox_allows_file(report) ? load_config(service, files, report) : NULL;
	struct relay_set *set = NULL;
	bool made = true;

	if (config == NULL)
		return NULL;
	if (sandbox_allows(config, &service->listens, report)) {
		made = config->faulty || (relay_local_make_directory(config, geteuid(), getegid(), report) &&
		    relay_local_make_cas(config, report));
		set = relay_set_new(config, loop_count, service->set, report);
	}
	if (set == NULL) {
		config_free(config);
	} else if (!made) {
		relay_set_unref(set);
		set = NULL;
	}
	return set;
}

/* The first time: finds the user, and reads as that user. */
bool service_read_first(struct service *service, struct config_report *report)
{
	const struct config_process *process;
	struct config *config;
	struct error err;
	bool ok, made;

	service->files = file_watch_new();
	config = load_config(service, service->files, report);
	if (config == NULL)
		return false;
	if (config->faulty) {
		relay_set_new(config, 1, NULL, report); /* for the faults in the files that it names */
		config_free(config);
		return false;
	}
	process = &config->process;
	service->worker_count = process->workers;
	if (!privileges_find(&service->privileges, process->user, process->group, &err)) {
		config_report_fault(report, config_process_line(process, process->user != NULL ? "user" : "group"),
		    "%s", err.text);
		config_free(config);
		return false;
	}
	made = relay_local_make_directory(config, service->privileges.change ? service->privileges.uid : geteuid(),
	    service->privileges.change ? service->privileges.gid : getegid(), report);
	ok = privileges_lower(&service->privileges, &err);
	if (!ok) {
		config_report_fault(report, config_process_line(process, "user"), "%s", err.text);
	} else {
		ok = relay_user_check_file(report);
		ok = made && relay_local_make_cas(config, report) && ok;
		service->set = relay_set_new(config, service->worker_count, NULL, report);
		if (!privileges_raise(&service->privileges, &err)) {
			config_report_fault(report, 0, "%s", err.text);
			ok = false;
		}
	}
	if (service->set == NULL)
		config_free(config);
	return ok && service->set != NULL;
}

/* ---- the acceptor's plan ---- */

void service_plan_apply(struct worker *worker, void *arg)
{
	struct plan *plan = arg;
	size_t i;

	for (i = 0; i < plan->retired_count; i++)
		acceptor_take_waiting(worker->acceptor, plan->retired[i]);
	if (!acceptor_apply(worker->acceptor, plan->entries, plan->count))
		log_msg(LOG_ERROR, "listen-failed", "no event for a listening socket");
	/* By the loop that watched them: another thread could be given the number before the loop lets go of it. */
	for (i = 0; i < plan->retired_count; i++)
		close(plan->retired[i]);
}

void service_plan_done(void *arg)
{
	struct plan *plan = arg;
	struct log_line line;

	/* Now, not at the swap: who has read this line and connects gets the new relays. */
	if (plan->generation != 0 && log_begin(&line, LOG_INFO, "reloaded")) {
		log_int(&line, "generation", plan->generation);
		log_int(&line, "relays", (int64_t)plan->relays);
		log_end(&line);
	}
	relay_set_unref(plan->old_set);
	free(plan->retired);
	free(plan->entries);
	free(plan);
}

struct plan *service_plan_new(struct service *service)
{
	struct plan *plan = mem_calloc(1, sizeof(*plan));
	size_t i;

	plan->service = service;
	plan->entries = mem_calloc(service->listens.count, sizeof(*plan->entries));
	plan->count = service->listens.count;
	for (i = 0; i < service->listens.count; i++) {
		const struct listen_socket *sock = &service->listens.sockets[i];

		plan->entries[i].fd = sock->fd;
		plan->entries[i].route = &service->set->routes[sock->relay_index];
		plan->entries[i].tls = sock->tls;
	}
	return plan;
}

void service_note_listens(struct relay_set *set, const struct listen_list *listens)
{
	size_t i;

	for (i = 0; i < listens->count; i++)
		relay_set_note_listen(set, &listens->sockets[i].bound);
}

static void follow(struct worker *worker, void *set)
{
	ready_follow(worker->context.ready, set);
	relay_set_unref(set);
}

void service_keep_ready(struct service *service)
{
	unsigned i;

	for (i = 0; i < service->worker_count; i++)
		worker_call(&service->workers[i], follow, relay_set_ref(service->set), NULL, NULL);
}

const char *service_listen_text(const struct listen_socket *sock, char buf[SERVICE_LISTEN_TEXT_BYTES])
{
	char text[ADDR_TEXT_BYTES];

	snprintf(buf, SERVICE_LISTEN_TEXT_BYTES, "%s%s", sock->tls ? "tls://" : "", addr_format(&sock->bound, text));
	return buf;
}

/* The kernel lets clients in there, where nobody will ever answer them. */
static void log_unused_sockets(const struct listen_list *listens)
{
	const char *name;
	size_t number, i;
	int fd;

	for (number = 0; (name = manager_socket_at(number, &fd)) != NULL; number++) {
		for (i = 0; i < listens->count && listens->sockets[i].fd != fd; i++)
			;
		if (i == listens->count)
			log_msg(LOG_WARN, "config-note", "a socket was passed under the name %s, and no relay has listen = "
			    "systemd:%s: who connects there is never answered; name it, or disable its socket unit", name,
			    name);
	}
}

void service_log_listening(const struct service *service)
{
	char address[SERVICE_LISTEN_TEXT_BYTES];
	struct log_line line;
	size_t i;

	for (i = 0; i < service->listens.count; i++) {
		const struct listen_socket *sock = &service->listens.sockets[i];

		if (!log_begin(&line, LOG_INFO, "listening"))
			break;
		log_str(&line, "relay", sock->relay->name);
		log_str(&line, "address", service_listen_text(sock, address));
		log_str(&line, "target", service->set->routes[sock->relay_index].target_text);
		log_end(&line);
	}
	log_unused_sockets(&service->listens);
}

void service_log_keylog(bool starting)
{
	const char *named = secure_getenv(KEYLOG_VARIABLE);
	bool on = keylog_file() != NULL;
	struct log_line line;

	if (!on && (!starting || named == NULL || named[0] == '\0'))
		return;
	if (!log_begin(&line, on ? LOG_WARN : LOG_INFO, "keylog"))
		return;
	log_str(&line, "file", on ? keylog_file() : named);
	log_str(&line, "msg",
	    on ? "THE KEYS OF EVERY TLS SESSION ARE WRITTEN TO THIS FILE: whoever has this file can read all traffic; start "
		 "without --keylog and remove it when you are done"
	       : KEYLOG_VARIABLE " is set and ignored: no keys are written without `midrelay run --keylog`");
	log_end(&line);
}

/* ---- reload ---- */

static void log_restart_needed(const struct service *service, const struct config_process *now)
{
	const struct config_process *was = &service->set->config->process;
	bool user = strcmp(was->user != NULL ? was->user : "", now->user != NULL ? now->user : "") != 0 ||
	    strcmp(was->group != NULL ? was->group : "", now->group != NULL ? now->group : "") != 0;

	if (now->workers != service->worker_count)
		log_msg(LOG_WARN, "restart-needed", "workers = %u takes effect at the next start", now->workers);
	if (user)
		log_msg(LOG_WARN, "restart-needed", "user and group take effect at the next start");
	if (was->status.addr.len != now->status.addr.len ||
	    (now->status.addr.len != 0 && !addr_equal(&was->status.addr, &now->status.addr)))
		log_msg(LOG_WARN, "restart-needed", "status takes effect at the next start");
	if (now->sandbox != was->sandbox)
		log_msg(LOG_WARN, "restart-needed", "sandbox = %s takes effect at the next start",
		    now->sandbox == CONFIG_SANDBOX_ON ? "on" : "off");
}

static void swap(struct service *service, struct relay_set *set, struct listen_list *listens)
{
	struct relay_set *old_set = service->set;
	bool more_connections = set->config->process.max_connections > old_set->config->process.max_connections;
	struct plan *plan;
	int *retired;
	size_t retired_count = listen_list_retire(&service->listens, listens, &retired);

	log_restart_needed(service, &set->config->process);
	log_configure(set->config->process.log_level, set->config->process.log_format);
	service_note_listens(set, listens);
	service_renewal_prepare(service, set);
	relay_set_inherit(set, old_set);
	service->listens = *listens;
	service->set = set;
	if (more_connections)
		service_check_file_limit(service);
	plan = service_plan_new(service);
	plan->old_set = old_set;
	plan->generation = ++service->generation;
	plan->relays = set->route_count;
	plan->retired = retired;
	plan->retired_count = retired_count;
	service_keep_ready(service);
	worker_call(&service->workers[0], service_plan_apply, plan, service->loop, service_plan_done);
	service_renewal_follow(service);
}

/* What failed in passing: one line, whatever the number of faults. */
static void log_waiting(const struct config_report *report)
{
	struct log_line line;

	if (!log_begin(&line, LOG_INFO, "reload-waiting"))
		return;
	log_str(&line, "file", report->file);
	if (report->fault_count > 0) {
		if (report->faults[0].line != 0)
			log_int(&line, "line", report->faults[0].line);
		log_str(&line, "msg", report->faults[0].text);
	}
	log_end(&line);
}

static void keep_old(struct service *service, struct file_watch *files, const struct config_report *report,
    bool patient)
{
	/* The files of the new configuration too: one that is missing may come. */
	file_watch_merge(service->files, files);
	if (patient) {
		log_waiting(report);
		return;
	}
	service_log_report(report, report->notes, report->note_count, LOG_WARN, "config-note");
	service_log_report(report, report->faults, report->fault_count, LOG_ERROR, "reload-failed");
	service_status_reloaded(service->status, report);
}

static void log_stale_secrets(const struct service *service, const struct relay_set *set)
{
	bool one = set->secrets.stale == 1;

	if (set->secrets.stale > 0)
		log_msg(LOG_ERROR, "sealed-stale", "%u sealed secret%s in %s cannot be opened by any configured client key any "
		    "more; what was opened before stays in use until the restart: seal %s again", set->secrets.stale,
		    one ? "" : "s", service->file, one ? "it" : "them");
}

bool service_reload(struct service *service, bool patient)
{
	struct file_watch *files = file_watch_new();
	struct config_report report;
	struct listen_list listens;
	struct relay_set *set;

	manager_tell_reloading();
	config_report_init(&report, service->file);
	set = read_all(service, service->worker_count, files, &report);
	if (set != NULL && !listen_list_open(&listens, set->config, &service->listens, &report)) {
		relay_set_unref(set);
		set = NULL;
	}
	if (set == NULL) {
		keep_old(service, files, &report, patient);
	} else {
		service_log_report(&report, report.notes, report.note_count, LOG_WARN, "config-note");
		log_stale_secrets(service, set);
		file_watch_free(service->files);
		service->files = files;
		swap(service, set, &listens);
		service_status_follow(service->status);
		service_status_reloaded(service->status, NULL);
		service_log_listening(service);
		service_log_keylog(false);
	}
	config_report_clear(&report);
	heartbeat_ready(service->heartbeat);
	return set != NULL;
}
