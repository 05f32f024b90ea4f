/*
 * relay_stats: what is counted of a relay and of its paths.
 *
 * Counted where it happens and outliving a reload: the set that takes over shares the statistics of relays and paths
 * whose names stay (relay_set_inherit()).  Numbers stand in lanes, one for each loop, which that loop alone writes, each
 * on cache lines of its own; whoever reads sums them, so that a sum may be off by what happens meanwhile.  What is in
 * words (the last failures) is behind a lock that only failures and readers take.
 */
#ifndef MIDRELAY_DIAL_RELAY_STATS_H
#define MIDRELAY_DIAL_RELAY_STATS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "dial/diagnosis.h"
#include "tls/cert_end.h"

struct dial_result;

/* Upper bounds of the histograms' buckets; what is above the last has one bucket more. */
#define RELAY_STATS_BOUNDS_MS {1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000}
#define RELAY_STATS_BUCKETS 14
#define RELAY_STATS_STAGES 4 /* resolve, connect, proxy, tls */
#define RELAY_STATS_FAILURES 16

/* ---- a path ---- */

struct path_stats; /* opaque, counted */

struct path_stats *path_stats_new(unsigned loop_count);
struct path_stats *path_stats_ref(struct path_stats *stats);
void path_stats_unref(struct path_stats *stats); /* NULL is fine */

struct path_stats_histogram {
	uint64_t buckets[RELAY_STATS_BUCKETS]; /* not cumulated */
	uint64_t sum_us;
};

struct path_stats_sums {
	bool tried, failed;          /* its last dial, if there was one */
	int64_t since_s;             /* that is so; 0: never tried */
	struct diagnosis diagnosis;  /* of the last failure; OK: there was none */
	int64_t failed_s;            /* when that was */
	uint64_t dials[DIAGNOSIS_CODE_COUNT];
	uint64_t resumed;
	struct path_stats_histogram stages[RELAY_STATS_STAGES];
	int64_t last_us[RELAY_STATS_STAGES]; /* of the last dial that worked; -1: no such stage */
	struct cert_end server;      /* not_after 0: none was verified */
};
void path_stats_read(struct path_stats *stats, struct path_stats_sums *sums);

/* The chain that was verified last, by what of it ends first. */
void path_stats_server(struct path_stats *stats, const struct cert_end *end);

/* ---- a relay ---- */

struct relay_stats; /* opaque, counted */

struct relay_stats *relay_stats_new(unsigned loop_count);
struct relay_stats *relay_stats_ref(struct relay_stats *stats);
void relay_stats_unref(struct relay_stats *stats); /* NULL is fine */

enum relay_count {
	RELAY_COUNT_SESSIONS,       /* begun */
	RELAY_COUNT_ENDED,          /* of these */
	RELAY_COUNT_DENIED,         /* of these, local-denied */
	RELAY_COUNT_BYTES_UP,
	RELAY_COUNT_BYTES_DOWN,
	RELAY_COUNT_CERTS_REFUSED,  /* sessions in which the target refused our certificate, by alert or page */
	RELAY_COUNT_INSPECTIONS,    /* full handshakes that were judged inspected */
	/* what is made ahead of need */
	RELAY_COUNT_READY_HITS,
	RELAY_COUNT_READY_MISSES,
	RELAY_COUNT_READY_MADE,
	RELAY_COUNT_READY_EXPIRED,
	RELAY_COUNT_READY_DIED,
	RELAY_COUNT_READY_WAITING,  /* began to wait for a client */
	RELAY_COUNT_READY_WAITED,   /* of these, do so no more */
	RELAY_COUNTS
};
/* By that loop's thread alone. */
void relay_stats_add(struct relay_stats *stats, unsigned loop_index, enum relay_count count, uint64_t more);
/* Whether the target takes our certificate, as its answers show. */
void relay_stats_cert_taken(struct relay_stats *stats, bool taken);
/* Something failed, other than a dial; `path` may be NULL. */
void relay_stats_failed(struct relay_stats *stats, const char *path, const struct diagnosis *diagnosis);
/* A dial over this path of the relay has ended. */
void relay_stats_dialled(struct relay_stats *stats, struct path_stats *path, const char *path_name,
    unsigned loop_index, const struct dial_result *result);

struct relay_stats_failure {
	int64_t at_s;
	char path[128]; /* "": none; a long name is cut */
	struct diagnosis diagnosis;
	uint64_t count; /* alike ones (path and code), this the last of them */
};

struct relay_stats_sums {
	uint64_t counts[RELAY_COUNTS];
	bool tried, failed;         /* its last dial over any path */
	bool cert_refused;
	struct relay_stats_failure failures[RELAY_STATS_FAILURES]; /* newest first */
	size_t failure_count;
	struct relay_stats_failure last_dial; /* the last dial that failed */
};
void relay_stats_read(struct relay_stats *stats, struct relay_stats_sums *sums);

#endif
