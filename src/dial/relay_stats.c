/*
 * relay_stats: see relay_stats.h.  Answers for adding and summing; what the numbers mean is said where they are
 * shown.
 */
#include "dial/relay_stats.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "dial/dial.h"

#define CACHE_LINE 64

struct path_lane {
	_Alignas(CACHE_LINE) atomic_ullong dials[DIAGNOSIS_CODE_COUNT];
	atomic_ullong resumed;
	atomic_ullong buckets[RELAY_STATS_STAGES][RELAY_STATS_BUCKETS], sum_us[RELAY_STATS_STAGES];
	atomic_llong last_us[RELAY_STATS_STAGES], last_at_us; /* 0: none worked */
};

struct path_stats {
	atomic_uint users;
	unsigned lane_count;
	struct path_lane *lanes;
	/* shared by the loops, written when something changes */
	atomic_bool failed;
	atomic_llong since_s;
	pthread_mutex_t lock; /* of what follows */
	struct diagnosis diagnosis;
	int64_t failed_s;
	struct cert_end server;
};

struct relay_lane {
	_Alignas(CACHE_LINE) atomic_ullong counts[RELAY_COUNTS];
};

struct relay_stats {
	atomic_uint users;
	unsigned lane_count;
	struct relay_lane *lanes;
	atomic_bool tried, failed, cert_refused;
	pthread_mutex_t lock; /* of what follows */
	struct relay_stats_failure failures[RELAY_STATS_FAILURES];
	size_t failure_count;
	struct relay_stats_failure last_dial;
};

static int64_t now_s(void)
{
	return (int64_t)time(NULL);
}

/* There is one writer: no read-modify-write is needed, only that a reader sees no half of a number. */
static void add(atomic_ullong *to, uint64_t more)
{
	atomic_store_explicit(to, atomic_load_explicit(to, memory_order_relaxed) + more, memory_order_release);
}

static uint64_t get(atomic_ullong *from)
{
	return atomic_load_explicit(from, memory_order_acquire);
}

static void set_flag(atomic_bool *flag, bool value)
{
	if (atomic_load(flag) != value)
		atomic_store(flag, value);
}

static void *lanes_new(size_t count, size_t bytes)
{
	void *lanes = NULL;

	if (posix_memalign(&lanes, CACHE_LINE, count * bytes) != 0)
		mem_assert_failed("memory for counters", __FILE__, __LINE__);
	memset(lanes, 0, count * bytes);
	return lanes;
}

/* ---- a path ---- */

struct path_stats *path_stats_new(unsigned loop_count)
{
	struct path_stats *stats = mem_calloc(1, sizeof(*stats));

	atomic_init(&stats->users, 1);
	stats->lane_count = loop_count;
	stats->lanes = lanes_new(loop_count, sizeof(*stats->lanes));
	pthread_mutex_init(&stats->lock, NULL);
	return stats;
}

struct path_stats *path_stats_ref(struct path_stats *stats)
{
	atomic_fetch_add(&stats->users, 1);
	return stats;
}

void path_stats_unref(struct path_stats *stats)
{
	if (stats == NULL || atomic_fetch_sub(&stats->users, 1) != 1)
		return;
	pthread_mutex_destroy(&stats->lock);
	free(stats->lanes);
	free(stats);
}

static unsigned bucket_of(int64_t us)
{
	static const int64_t bounds_ms[] = RELAY_STATS_BOUNDS_MS;
	unsigned i;

	_Static_assert(sizeof(bounds_ms) / sizeof(bounds_ms[0]) + 1 == RELAY_STATS_BUCKETS, "one more is above");
	for (i = 0; i < RELAY_STATS_BUCKETS - 1; i++)
		if (us <= bounds_ms[i] * 1000)
			break;
	return i;
}

static void path_dialled(struct path_stats *stats, unsigned loop_index, const struct dial_result *result)
{
	struct path_lane *lane = &stats->lanes[loop_index];
	const int64_t us[RELAY_STATS_STAGES] = {result->times.resolve_us, result->times.connect_us,
	    result->times.proxy_us, result->times.tls_us};
	bool ok = result->tunnel != NULL;
	int i;

	add(&lane->dials[ok ? DIAGNOSIS_OK : result->diagnosis.code], 1);
	if (ok && stream_resumed(result->tunnel->stream))
		add(&lane->resumed, 1);
	for (i = 0; i < RELAY_STATS_STAGES; i++) {
		if (us[i] >= 0) {
			add(&lane->buckets[i][bucket_of(us[i])], 1);
			add(&lane->sum_us[i], (uint64_t)us[i]);
		}
		if (ok)
			atomic_store_explicit(&lane->last_us[i], us[i], memory_order_relaxed);
	}
	if (ok)
		atomic_store_explicit(&lane->last_at_us, loop_clock_us(), memory_order_relaxed);
	if (result->diagnosis.code == DIAGNOSIS_LOCAL_LIMIT)
		return;
	if (atomic_load(&stats->since_s) == 0 || atomic_load(&stats->failed) == ok)
		atomic_store(&stats->since_s, now_s());
	set_flag(&stats->failed, !ok);
	if (ok)
		return;
	pthread_mutex_lock(&stats->lock);
	stats->diagnosis = result->diagnosis;
	stats->failed_s = now_s();
	pthread_mutex_unlock(&stats->lock);
}

void path_stats_server(struct path_stats *stats, const struct cert_end *end)
{
	pthread_mutex_lock(&stats->lock);
	stats->server = *end;
	pthread_mutex_unlock(&stats->lock);
}

static void add_lane(struct path_stats_sums *sums, struct path_lane *lane, int64_t *newest_us)
{
	int64_t at_us = atomic_load_explicit(&lane->last_at_us, memory_order_relaxed);
	int i, j;

	for (i = 0; i < DIAGNOSIS_CODE_COUNT; i++)
		sums->dials[i] += get(&lane->dials[i]);
	sums->resumed += get(&lane->resumed);
	for (i = 0; i < RELAY_STATS_STAGES; i++) {
		for (j = 0; j < RELAY_STATS_BUCKETS; j++)
			sums->stages[i].buckets[j] += get(&lane->buckets[i][j]);
		sums->stages[i].sum_us += get(&lane->sum_us[i]);
		if (at_us > *newest_us)
			sums->last_us[i] = atomic_load_explicit(&lane->last_us[i], memory_order_relaxed);
	}
	if (at_us > *newest_us)
		*newest_us = at_us;
}

void path_stats_read(struct path_stats *stats, struct path_stats_sums *sums)
{
	int64_t newest_us = 0;
	unsigned i;

	memset(sums, 0, sizeof(*sums));
	for (i = 0; i < RELAY_STATS_STAGES; i++)
		sums->last_us[i] = -1;
	for (i = 0; i < stats->lane_count; i++)
		add_lane(sums, &stats->lanes[i], &newest_us);
	sums->since_s = atomic_load(&stats->since_s);
	sums->tried = sums->since_s != 0;
	sums->failed = atomic_load(&stats->failed);
	pthread_mutex_lock(&stats->lock);
	sums->diagnosis = stats->diagnosis;
	sums->failed_s = stats->failed_s;
	sums->server = stats->server;
	pthread_mutex_unlock(&stats->lock);
}

/* ---- a relay ---- */

struct relay_stats *relay_stats_new(unsigned loop_count)
{
	struct relay_stats *stats = mem_calloc(1, sizeof(*stats));

	atomic_init(&stats->users, 1);
	stats->lane_count = loop_count;
	stats->lanes = lanes_new(loop_count, sizeof(*stats->lanes));
	pthread_mutex_init(&stats->lock, NULL);
	return stats;
}

struct relay_stats *relay_stats_ref(struct relay_stats *stats)
{
	atomic_fetch_add(&stats->users, 1);
	return stats;
}

void relay_stats_unref(struct relay_stats *stats)
{
	if (stats == NULL || atomic_fetch_sub(&stats->users, 1) != 1)
		return;
	pthread_mutex_destroy(&stats->lock);
	free(stats->lanes);
	free(stats);
}

void relay_stats_add(struct relay_stats *stats, unsigned loop_index, enum relay_count count, uint64_t more)
{
	add(&stats->lanes[loop_index].counts[count], more);
}

void relay_stats_cert_taken(struct relay_stats *stats, bool taken)
{
	set_flag(&stats->cert_refused, !taken);
}

/* The entry of alike failures, or of the oldest of all; moved to the front.  Under the lock. */
static struct relay_stats_failure *to_front(struct relay_stats *stats, const char *path, enum diagnosis_code code)
{
	struct relay_stats_failure *list = stats->failures, found;
	size_t at;

	for (at = 0; at < stats->failure_count; at++)
		if (list[at].diagnosis.code == code && strcmp(list[at].path, path) == 0)
			break;
	if (at < stats->failure_count) {
		found = list[at];
	} else {
		memset(&found, 0, sizeof(found));
		snprintf(found.path, sizeof(found.path), "%s", path);
		if (stats->failure_count < RELAY_STATS_FAILURES)
			stats->failure_count++;
		else
			at--;
	}
	memmove(&list[1], &list[0], at * sizeof(list[0]));
	list[0] = found;
	return &list[0];
}

static void failed(struct relay_stats *stats, const char *path, const struct diagnosis *diagnosis, bool dial)
{
	char name[sizeof(stats->failures[0].path)];
	struct relay_stats_failure *entry;

	snprintf(name, sizeof(name), "%s", path != NULL ? path : "");
	pthread_mutex_lock(&stats->lock);
	entry = to_front(stats, name, diagnosis->code);
	entry->at_s = now_s();
	entry->diagnosis = *diagnosis;
	entry->count++;
	if (dial)
		stats->last_dial = *entry;
	pthread_mutex_unlock(&stats->lock);
}

void relay_stats_failed(struct relay_stats *stats, const char *path, const struct diagnosis *diagnosis)
{
	failed(stats, path, diagnosis, false);
}

void relay_stats_dialled(struct relay_stats *stats, struct path_stats *path, const char *path_name,
    unsigned loop_index, const struct dial_result *result)
{
	const struct judge_evidence *evidence = result->evidence;

	path_dialled(path, loop_index, result);
	if (evidence != NULL && !evidence->resumed && evidence->reasons != 0)
		relay_stats_add(stats, loop_index, RELAY_COUNT_INSPECTIONS, 1);
	if (result->tunnel == NULL)
		failed(stats, path_name, &result->diagnosis, true);
	if (result->diagnosis.code == DIAGNOSIS_LOCAL_LIMIT)
		return;
	set_flag(&stats->failed, result->tunnel == NULL);
	set_flag(&stats->tried, true);
}

static bool is_over(int count)
{
	return count == RELAY_COUNT_ENDED || count == RELAY_COUNT_READY_WAITED;
}

void relay_stats_read(struct relay_stats *stats, struct relay_stats_sums *sums)
{
	unsigned i;
	int j;

	memset(sums, 0, sizeof(*sums));
	/* Those that are over first: there are never more of them than have begun. */
	for (i = 0; i < stats->lane_count; i++)
		for (j = 0; j < RELAY_COUNTS; j++)
			if (is_over(j))
				sums->counts[j] += get(&stats->lanes[i].counts[j]);
	for (i = 0; i < stats->lane_count; i++)
		for (j = 0; j < RELAY_COUNTS; j++)
			if (!is_over(j))
				sums->counts[j] += get(&stats->lanes[i].counts[j]);
	sums->tried = atomic_load(&stats->tried);
	sums->failed = atomic_load(&stats->failed);
	sums->cert_refused = atomic_load(&stats->cert_refused);
	pthread_mutex_lock(&stats->lock);
	memcpy(sums->failures, stats->failures, sizeof(sums->failures));
	sums->failure_count = stats->failure_count;
	sums->last_dial = stats->last_dial;
	pthread_mutex_unlock(&stats->lock);
}
