/*
 * Proves that what loops count adds up, which bucket a time falls into, since when a path is as it is, and how failures
 * are kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "dial/dial.h"
#include "dial/relay_stats.h"

#define LOOPS 3
#define ROUNDS 20000

struct both {
	struct relay_stats *relay;
	struct path_stats *path;
	unsigned loop;
};

static void dial_failed(const struct both *both, const char *path, enum diagnosis_code code, int64_t connect_us)
{
	struct dial_result result = {.times = {-1, connect_us, -1, -1}};

	diagnosis_set(&result.diagnosis, code, "seen by loop %u", both->loop);
	relay_stats_dialled(both->relay, both->path, path, both->loop, &result);
}

static void test_sums(void **state)
{
	struct both both = {relay_stats_new(LOOPS), path_stats_new(LOOPS), 0};
	struct relay_stats_sums relay;
	struct path_stats_sums path;

	path_stats_read(both.path, &path);
	assert_false(path.tried);
	assert_int_equal(path.since_s, 0);
	assert_int_equal(path.last_us[0], -1);
	for (both.loop = 0; both.loop < LOOPS; both.loop++) {
		relay_stats_add(both.relay, both.loop, RELAY_COUNT_BYTES_UP, 1000);
		dial_failed(&both, "direct", DIAGNOSIS_CONNECT_REFUSED, 1000);
		dial_failed(&both, "direct", DIAGNOSIS_CONNECT_TIMEOUT, 10000001);
	}
	path_stats_read(both.path, &path);
	relay_stats_read(both.relay, &relay);
	assert_int_equal(relay.counts[RELAY_COUNT_BYTES_UP], 3000);
	assert_int_equal(path.dials[DIAGNOSIS_CONNECT_REFUSED], 3);
	assert_int_equal(path.dials[DIAGNOSIS_OK], 0);
	/* A bound belongs to its bucket, and what is above the last has its own. */
	assert_int_equal(path.stages[1].buckets[0], 3);
	assert_int_equal(path.stages[1].buckets[RELAY_STATS_BUCKETS - 1], 3);
	assert_int_equal(path.stages[1].sum_us, 3 * 10001001);
	assert_int_equal(path.stages[0].buckets[0], 0);
	assert_true(path.tried && path.failed && relay.tried && relay.failed);
	assert_true(path.since_s > 0 && path.failed_s >= path.since_s);
	assert_int_equal(path.diagnosis.code, DIAGNOSIS_CONNECT_TIMEOUT);
	path_stats_unref(both.path);
	relay_stats_unref(both.relay);
}

static void test_a_local_limit_says_nothing_of_a_path(void **state)
{
	struct both both = {relay_stats_new(1), path_stats_new(1), 0};
	struct relay_stats_sums relay;
	struct path_stats_sums path;

	dial_failed(&both, "direct", DIAGNOSIS_LOCAL_LIMIT, -1);
	path_stats_read(both.path, &path);
	relay_stats_read(both.relay, &relay);
	assert_false(path.tried || relay.tried);
	assert_int_equal(path.dials[DIAGNOSIS_LOCAL_LIMIT], 1);
	assert_int_equal(relay.failure_count, 1);
	path_stats_unref(both.path);
	relay_stats_unref(both.relay);
}

static void test_failures(void **state)
{
	struct both both = {relay_stats_new(1), path_stats_new(1), 0};
	struct relay_stats_sums relay;
	char name[32];
	int i;

	for (i = 0; i < RELAY_STATS_FAILURES + 4; i++) {
		snprintf(name, sizeof(name), "path%d", i);
		dial_failed(&both, name, DIAGNOSIS_CONNECT_REFUSED, 1);
	}
	dial_failed(&both, "path10", DIAGNOSIS_CONNECT_REFUSED, 1);
	dial_failed(&both, "path10", DIAGNOSIS_CONNECT_TIMEOUT, 1);
	relay_stats_read(both.relay, &relay);
	assert_int_equal(relay.failure_count, RELAY_STATS_FAILURES);
	/* The newest first; alike ones are one, which moves to the front. */
	assert_string_equal(relay.failures[0].path, "path10");
	assert_int_equal(relay.failures[0].diagnosis.code, DIAGNOSIS_CONNECT_TIMEOUT);
	assert_int_equal(relay.failures[0].count, 1);
	assert_string_equal(relay.failures[1].path, "path10");
	assert_int_equal(relay.failures[1].count, 2);
	assert_string_equal(relay.failures[2].path, "path19");
	assert_string_equal(relay.failures[RELAY_STATS_FAILURES - 1].path, "path5");
	assert_string_equal(relay.last_dial.path, "path10");
	path_stats_unref(both.path);
	relay_stats_unref(both.relay);
}

static void *count_on(void *arg)
{
	const struct both *both = arg;
	int i;

	for (i = 0; i < ROUNDS; i++) {
		relay_stats_add(both->relay, both->loop, RELAY_COUNT_SESSIONS, 1);
		relay_stats_add(both->relay, both->loop, RELAY_COUNT_ENDED, 1);
		if (i % 100 == 0)
			dial_failed(both, "direct", DIAGNOSIS_CONNECT_REFUSED, 100);
	}
	return NULL;
}

static void test_loops_and_a_reader(void **state)
{
	struct relay_stats *relay = relay_stats_new(LOOPS);
	struct path_stats *path = path_stats_new(LOOPS);
	struct both both[LOOPS];
	pthread_t threads[LOOPS];
	struct relay_stats_sums sums;
	struct path_stats_sums path_sums;
	unsigned i;

	for (i = 0; i < LOOPS; i++) {
		both[i] = (struct both){relay, path, i};
		assert_int_equal(pthread_create(&threads[i], NULL, count_on, &both[i]), 0);
	}
	for (i = 0; i < 1000; i++) {
		relay_stats_read(relay, &sums);
		assert_true(sums.counts[RELAY_COUNT_SESSIONS] >= sums.counts[RELAY_COUNT_ENDED]);
	}
	for (i = 0; i < LOOPS; i++)
		pthread_join(threads[i], NULL);
	relay_stats_read(relay, &sums);
	path_stats_read(path, &path_sums);
	assert_int_equal(sums.counts[RELAY_COUNT_SESSIONS], LOOPS * ROUNDS);
	assert_int_equal(path_sums.dials[DIAGNOSIS_CONNECT_REFUSED], LOOPS * ROUNDS / 100);
	assert_int_equal(sums.failures[0].count, LOOPS * ROUNDS / 100);
	path_stats_unref(path);
	relay_stats_unref(relay);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sums),
	    cmocka_unit_test(test_a_local_limit_says_nothing_of_a_path),
	    cmocka_unit_test(test_failures),
	    cmocka_unit_test(test_loops_and_a_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
