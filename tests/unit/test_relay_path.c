/* Proves the life of a path: it fails, rests, is tried by one dial only, and comes back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dial/relay_route.h"

static void test_a_fresh_path_is_used(void **state)
{
	struct relay_path_state path = {0};

	assert_int_equal(relay_path_choose(&path, 1000), RELAY_PATH_USE);
	assert_int_equal(relay_path_choose(&path, 1000), RELAY_PATH_USE);
	assert_false(relay_path_worked(&path));
}

static void test_a_failed_path_rests_and_is_tried_once(void **state)
{
	struct relay_path_state path = {0};

	assert_true(relay_path_failed(&path, DIAGNOSIS_PROXY_TIMEOUT, true, 1000));
	assert_int_equal(relay_path_choose(&path, 1000), RELAY_PATH_RESTS);
	assert_int_equal(relay_path_choose(&path, 1000 + RELAY_PATH_REST_MS - 1), RELAY_PATH_RESTS);
	assert_int_equal(relay_path_choose(&path, 1000 + RELAY_PATH_REST_MS), RELAY_PATH_TRY);
	/* The others go on with the next path while one tries. */
	assert_int_equal(relay_path_choose(&path, 1000 + RELAY_PATH_REST_MS), RELAY_PATH_RESTS);
	assert_true(relay_path_worked(&path));
	assert_int_equal(relay_path_choose(&path, 1000 + RELAY_PATH_REST_MS), RELAY_PATH_USE);
}

static void test_a_failed_try_rests_again(void **state)
{
	struct relay_path_state path = {0};
	int64_t now = 1000;

	relay_path_failed(&path, DIAGNOSIS_CONNECT_REFUSED, true, now);
	now += RELAY_PATH_REST_MS;
	assert_int_equal(relay_path_choose(&path, now), RELAY_PATH_TRY);
	/* The same failure is no news, another one is. */
	assert_false(relay_path_failed(&path, DIAGNOSIS_CONNECT_REFUSED, true, now));
	assert_int_equal(relay_path_choose(&path, now + 1), RELAY_PATH_RESTS);
	now += RELAY_PATH_REST_MS;
	assert_int_equal(relay_path_choose(&path, now), RELAY_PATH_TRY);
	assert_true(relay_path_failed(&path, DIAGNOSIS_CONNECT_TIMEOUT, true, now));
}

static void test_an_undecided_try_lets_the_next_one_try(void **state)
{
	struct relay_path_state path = {0};
	int64_t now = 1000;

	relay_path_failed(&path, DIAGNOSIS_CONNECT_REFUSED, true, now);
	now += RELAY_PATH_REST_MS;
	assert_int_equal(relay_path_choose(&path, now), RELAY_PATH_TRY);
	relay_path_undecided(&path);
	assert_int_equal(relay_path_choose(&path, now), RELAY_PATH_TRY);
}

static void test_an_answer_is_no_reason_to_rest(void **state)
{
	struct relay_path_state path = {0};

	assert_true(relay_path_failed(&path, DIAGNOSIS_PROXY_DENIED, false, 1000));
	assert_int_equal(relay_path_choose(&path, 1000), RELAY_PATH_USE);
	assert_false(relay_path_failed(&path, DIAGNOSIS_PROXY_DENIED, false, 1000));
	assert_true(relay_path_worked(&path));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_fresh_path_is_used),
	    cmocka_unit_test(test_a_failed_path_rests_and_is_tried_once),
	    cmocka_unit_test(test_a_failed_try_rests_again),
	    cmocka_unit_test(test_an_undecided_try_lets_the_next_one_try),
	    cmocka_unit_test(test_an_answer_is_no_reason_to_rest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
