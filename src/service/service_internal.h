/*
 * service_internal: the process as service.c (start, signals, end), reload.c (reading, swapping), renewal.c (files
 * that change, certificates that end) and drain.c (the way out) share it; for nobody else.  All of it belongs to the
 * main thread.
 */
#ifndef MIDRELAY_SERVICE_SERVICE_INTERNAL_H
#define MIDRELAY_SERVICE_SERVICE_INTERNAL_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/log.h"
#include "relay/listen.h"
#include "service/expiry.h"
#include "service/file_watch.h"
#include "service/heartbeat.h"
#include "service/status.h"
#include "base/privileges.h"
#include "service/worker.h"

enum service_state { SERVICE_STARTING, SERVICE_RUNNING, SERVICE_DRAINING, SERVICE_STOPPED };

/* A change of files that has not led to a reload yet; all 0: there is none. */
struct renewal {
	unsigned settling;     /* looks put off because a file was written just then */
	unsigned looks_left;   /* at which to try, before it is given up and told */
	unsigned looks_in_all; /* at which it was tried */
};

/* A worker's last heartbeat, µs of loop_clock_us(); written by the main thread and the worker. */
struct worker_pulse {
	atomic_llong asked_us; /* not answered yet; 0: answered */
	atomic_llong lag_us;   /* how long the last answer took; -1: there was none */
};

/* What workers post when a server has shown another certificate. */
struct servers_seen {
	struct loop_job job; /* first: run() gets it */
	struct service *service;
	atomic_bool posted;
};

/* A SIGHUP that has not been followed yet. */
struct reload_asked {
	struct loop_job job; /* first: run() gets it */
	struct service *service;
	bool deferred;
};

/* What whoever logs posts when there is something to sweep. */
struct log_kept {
	struct loop_job job; /* first: run() gets it */
	struct service *service;
	atomic_bool posted;
};

struct service {
	const char *file;
	enum service_state state;
	struct loop *loop;
	struct resolver *resolver;
	struct session_totals totals;
	struct worker workers[CONFIG_MAX_WORKERS];
	struct session_context *contexts[CONFIG_MAX_WORKERS];
	unsigned worker_count;
	struct relay_set *set;
	struct listen_list listens;
	unsigned generation;
	struct privileges privileges;
	struct event *on_hup, *on_term, *on_int, *drain_timer, *log_timer;
	unsigned busy_workers; /* while draining: those that have not told that they are empty */
	bool cutting;          /* no session is waited for any more */
	unsigned cut;          /* sessions that drain_timeout, or a second signal, ended */
	int64_t began_ms;
	struct file_watch *files; /* what the running configuration, and one that failed since, was read from */
	struct renewal renewal;
	struct expiry *expiry;
	struct event *watch_timer, *expiry_timer;
	struct servers_seen servers_seen;
	struct log_kept log_kept;
	struct reload_asked reload_asked;
	struct heartbeat *heartbeat; /* NULL: nobody wants to know */
	unsigned silent_workers;     /* that have not answered the last heartbeat */
	struct service_status *status; /* NULL: no endpoint */
	struct worker_pulse pulses[CONFIG_MAX_WORKERS];
	atomic_llong main_beat_us;   /* when the main loop last began a round of heartbeats */
};

/* What a reload or a stop tells the first worker. */
struct plan {
	struct service *service;
	struct acceptor_entry *entries;
	size_t count;
	int *retired; /* descriptors that nobody watches after this plan: closed with it */
	size_t retired_count;
	struct relay_set *old_set;
	unsigned generation; /* of the reload that takes effect with it; 0: of none */
	size_t relays;
};

/* ---- service.c ---- */

/* Raises the limit of open files as far as it goes, and says so where max_connections needs more. */
void service_check_file_limit(const struct service *service);

/* ---- reload.c ---- */

/* One line for each fault or note. */
void service_log_report(const struct config_report *report, const struct config_fault *list, size_t count,
    enum log_level level, const char *event);
#define SERVICE_LISTEN_TEXT_BYTES (ADDR_TEXT_BYTES + 8)
/* Where it listens, "tls://" before it where that is so; returns buf. */
const char *service_listen_text(const struct listen_socket *sock, char buf[SERVICE_LISTEN_TEXT_BYTES]);
void service_log_listening(const struct service *service);
/* Before workers know the set. */
void service_note_listens(struct relay_set *set, const struct listen_list *listens);
/* That keys are written, again at each reload; that they are not although somebody may think so, at start alone. */
void service_log_keylog(bool starting);
/* At start: finds the user that we are to become, and reads everything as that user. */
bool service_read_first(struct service *service, struct config_report *report) MUST_CHECK;
/*
 * Reads everything again; swaps, or keeps the old and says every fault.  `patient`: what fails is expected to be put right
 * soon, and is told in passing.
 */
bool service_reload(struct service *service, bool patient);

struct plan *service_plan_new(struct service *service);
void service_plan_apply(struct worker *worker, void *plan);
void service_plan_done(void *plan);
/* Tunnels are kept ready for the set in force, and for no other any more. */
void service_keep_ready(struct service *service);

/* ---- renewal.c ---- */

/* Before workers know the set. */
void service_renewal_prepare(struct service *service, struct relay_set *set);
bool service_renewal_start(struct service *service, struct error *err) MUST_CHECK;
/* SIGHUP: now, and whatever fails is told. */
void service_renewal_now(struct service *service);
/* A new set is in force. */
void service_renewal_follow(struct service *service);
void service_renewal_end(struct service *service);

/* ---- drain.c ---- */

/* Accepts nobody any more, and stops the loop when the last session has ended. */
void service_drain(struct service *service);
/* Ends every session now. */
void service_cut_all(struct service *service);

#endif
