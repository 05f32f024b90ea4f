/* Proves the rule of ready_tunnels = auto with a clock of its own: what recurs is wanted, and nothing when it is quiet. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "relay/ready_demand.h"

#define WINDOW_MS 20000

static void come(struct ready_demand *demand, unsigned clients, int64_t now_ms)
{
	while (clients-- > 0)
		ready_demand_note(demand, now_ms, WINDOW_MS);
}

static unsigned wanted(const struct ready_demand *demand, int64_t now_ms)
{
	return ready_demand_wanted(demand, now_ms, WINDOW_MS);
}

static void test_nobody_wants_none(void **state)
{
	struct ready_demand demand = {0};

	assert_int_equal(wanted(&demand, 0), 0);
	assert_int_equal(wanted(&demand, 1000000), 0);
}

static void test_one_client_or_one_burst_wants_none(void **state)
{
	struct ready_demand demand = {0};

	come(&demand, 1, 100000);
	assert_int_equal(wanted(&demand, 100001), 0);
	demand = (struct ready_demand){0};
	come(&demand, 200, 100000);
	come(&demand, 200, 100000 + READY_GROUP_MS - 1);
	assert_int_equal(wanted(&demand, 102000), 0);
}

static void test_what_came_twice_is_wanted(void **state)
{
	struct ready_demand demand = {0};

	come(&demand, 3, 100000);
	come(&demand, 5, 105000);
	assert_int_equal(wanted(&demand, 105000), 3);
	come(&demand, 4, 110000);
	assert_int_equal(wanted(&demand, 110000), 4);
	/* A burst that did not recur is served by dialling. */
	come(&demand, 200, 115000);
	assert_int_equal(wanted(&demand, 115000), 5);
}

static void test_it_grows_within_a_group(void **state)
{
	struct ready_demand demand = {0};

	come(&demand, 3, 100000);
	come(&demand, 1, 105000);
	assert_int_equal(wanted(&demand, 105000), 1);
	come(&demand, 1, 105900);
	assert_int_equal(wanted(&demand, 105900), 2);
	come(&demand, 1, 106000); /* the next group */
	assert_int_equal(wanted(&demand, 106000), 2);
}

static void test_quiet_is_none(void **state)
{
	struct ready_demand demand = {0};

	come(&demand, 3, 100000);
	come(&demand, 3, 115000);
	assert_int_equal(wanted(&demand, 115000 + WINDOW_MS - 1), 3);
	assert_int_equal(wanted(&demand, 115000 + WINDOW_MS), 0);
	/* Who comes after that begins anew. */
	come(&demand, 3, 115000 + WINDOW_MS + 1);
	assert_int_equal(wanted(&demand, 115000 + WINDOW_MS + 1), 0);
}

static void test_a_slow_rhythm_finds_its_tunnel(void **state)
{
	struct ready_demand demand = {0};
	int64_t now = 100000;
	unsigned i;

	come(&demand, 1, now);
	for (i = 0; i < 100; i++) {
		now += 15000;
		come(&demand, 1, now);
		assert_int_equal(wanted(&demand, now), 1);
		assert_int_equal(wanted(&demand, now + 14999), 1);
	}
	/* Slower than a tunnel lives is no rhythm that one could serve. */
	for (i = 0; i < 10; i++) {
		now += WINDOW_MS + 1;
		come(&demand, 1, now);
		assert_int_equal(wanted(&demand, now), 0);
	}
}

static void test_it_forgets_larger_groups(void **state)
{
	struct ready_demand demand = {0};

	come(&demand, 9, 100000);
	come(&demand, 9, 102000);
	come(&demand, 1, 115000);
	assert_int_equal(wanted(&demand, 115000), 9);
	come(&demand, 1, 121000); /* the first nine are too long ago */
	assert_int_equal(wanted(&demand, 121000), 1);
}

static void test_it_has_a_bound(void **state)
{
	struct ready_demand demand = {0};
	int64_t now;

	for (now = 100000; now < 300000; now += READY_GROUP_MS) {
		come(&demand, 1000, now);
		if (now > 100000)
			assert_int_equal(wanted(&demand, now), READY_AUTO_MAX);
	}
	/* More groups than are remembered. */
	for (now = 0; now < 100 * 1000; now += READY_GROUP_MS)
		ready_demand_note(&demand, 300000 + now, 3600000);
	assert_int_equal(ready_demand_wanted(&demand, 400000, 3600000), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nobody_wants_none),
	    cmocka_unit_test(test_one_client_or_one_burst_wants_none),
	    cmocka_unit_test(test_what_came_twice_is_wanted),
	    cmocka_unit_test(test_it_grows_within_a_group),
	    cmocka_unit_test(test_quiet_is_none),
	    cmocka_unit_test(test_a_slow_rhythm_finds_its_tunnel),
	    cmocka_unit_test(test_it_forgets_larger_groups),
	    cmocka_unit_test(test_it_has_a_bound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
