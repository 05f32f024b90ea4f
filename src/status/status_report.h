/*
 * status_report: how the running process is, as plain data: what /status, /metrics, the page and
 * `midrelay status` show.  Whoever collects fills it, the printers (pure) only read it.
 *
 * A snapshot: counters are read one after the other, so that sums may be off by what happens meanwhile.  Texts are
 * bounded and belong to the report; names from the configuration are UTF-8 without control characters, all others
 * printable ASCII; enums and names of codes are those of the log.  Points in
 * time are wall clock seconds, 0: never; durations say their unit.
 */
#ifndef MIDRELAY_STATUS_STATUS_REPORT_H
#define MIDRELAY_STATUS_STATUS_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dial/diagnosis.h"

/* Upper bounds of the histogram's buckets, in ms; the last bucket is everything above. */
#define STATUS_BUCKET_BOUNDS_MS {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000}
#define STATUS_BUCKETS 14

enum status_stage { STATUS_RESOLVE, STATUS_CONNECT, STATUS_PROXY, STATUS_TLS, STATUS_STAGES };
const char *status_stage_name(enum status_stage stage); /* "resolve" "connect" "proxy" "tls" */

struct status_histogram {
	uint64_t buckets[STATUS_BUCKETS]; /* not cumulated */
	uint64_t sum_us;
};

enum status_path_state {
	STATUS_PATH_UNTRIED,
	STATUS_PATH_OK,
	STATUS_PATH_FAILED,  /* its last dial failed; it may rest */
};
const char *status_path_state_name(enum status_path_state state); /* "untried" "ok" "failed" */

/* Dials that ended with one code. */
struct status_count {
	enum diagnosis_code code;
	uint64_t count;
};

struct status_path {
	char *name;                   /* "direct", the proxy's URL, or the section's NAME */
	enum status_path_state state;
	int64_t since_s;              /* it is in that state */
	struct diagnosis diagnosis;   /* of the last failure, also when it works again; DIAGNOSIS_OK: there was none */
	int64_t failed_s;             /* when that was */
	bool inspected;               /* judged so and used all the same */
	int64_t last_us[STATUS_STAGES]; /* of the last dial that worked; -1: not reached, not applicable */
	struct status_histogram stages[STATUS_STAGES];
	struct status_count *dials;   /* by code, those that occurred; DIAGNOSIS_OK is a tunnel */
	size_t dial_count;
	uint64_t resumed;             /* tunnels whose TLS session was resumed */
};

struct status_cert {
	const char *what;             /* static: "client", "client-chain", "server", "listen" */
	char *subject;
	char *fingerprint;            /* SHA-256, hex with colons; NULL: not kept (servers') */
	char *path;                   /* of "server": over which it was seen; else NULL */
	int64_t not_before_s, not_after_s; /* INT64_MAX: cannot be read */
};

struct status_failure {
	int64_t at_s;
	char *path;                   /* may be NULL */
	enum diagnosis_code code;
	char sentence[DIAGNOSIS_SENTENCE_BYTES];
	uint64_t count;               /* of its path and code, this the last of them */
};
#define STATUS_FAILURES_MAX 16

struct status_relay {
	char *name, *target, *mode;
	char **listens;
	size_t listen_count;
	struct status_path *paths;
	size_t path_count;
	struct status_cert *certs;
	size_t cert_count;
	struct status_failure *failures; /* newest first, at most STATUS_FAILURES_MAX */
	size_t failure_count;
	bool ready;                   /* SPEC, /readyz */
	char *unready;                /* why not; NULL: it is */
	unsigned open;                /* sessions now */
	unsigned ready_tunnels;       /* waiting now */
	uint64_t sessions, denied;    /* begun; refused as local-denied */
	uint64_t bytes_up, bytes_down;
	uint64_t ready_hits, ready_misses, ready_made, ready_expired, ready_died;
	uint64_t certs_refused;       /* sessions in which the target refused the client certificate */
	uint64_t inspections;         /* dials judged inspected, whatever came of it */
};

struct status_report {
	const char *version;          /* static */
	const char *openssl, *libevent; /* static: versions in use */
	char *file;                   /* the configuration */
	int64_t now_s, started_s;
	unsigned generation;          /* of the configuration; 1 at start */
	int64_t loaded_s;             /* when that one took effect */
	bool last_reload_ok;
	int64_t last_reload_s;        /* 0: there was none */
	char *last_reload_error;      /* NULL: it worked */
	bool draining;
	unsigned workers;
	unsigned open, max_connections;
	unsigned descriptors, descriptor_limit;
	int64_t *loop_lag_us;         /* of each worker: how late its last heartbeat was; -1: none yet */
	int64_t expiry_warning_s;     /* certificates with less than this left are warned of */
	char *sandbox;                /* what is in force, in words; NULL: not supported by this build */
	struct status_relay *relays;
	size_t relay_count;
};

struct status_report *status_report_new(void);
void status_report_free(struct status_report *report); /* NULL is fine */

#endif
