/* Proves, with a clock that is told what it is, that each warning of an ending certificate comes at its time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "service/expiry.h"

#define HOUR INT64_C(3600)
#define DAY (24 * HOUR)
#define END INT64_C(2000000000) /* notAfter: valid in this second, over in the next */
#define MAX_WARNINGS 200

struct run {
	int64_t at[MAX_WARNINGS]; /* s before the end; negative: behind it */
	bool over[MAX_WARNINGS];
	unsigned warnings, looks;
};

/* The clock stands still but for the times at which a look was asked for. */
static void simulate(struct run *run, int64_t from, int64_t until, int64_t warning)
{
	int64_t now = from, warned = 0;

	*run = (struct run){.looks = 0};
	while (now <= until) {
		struct expiry_due due = expiry_judge(now, END, warning, warned);

		run->looks++;
		if (due.warn) {
			assert_true(run->warnings < MAX_WARNINGS);
			run->at[run->warnings] = END - now;
			run->over[run->warnings++] = due.over;
			warned = now;
		}
		assert_true(due.next_s > now);
		/* What it says of the next look is true: nothing would be due a second before. */
		if (due.next_s != INT64_MAX)
			assert_false(expiry_judge(due.next_s - 1, END, warning, warned).warn);
		if (due.next_s == INT64_MAX)
			break;
		now = due.next_s;
	}
}

static void test_each_warning_at_its_time(void **state)
{
	struct run run;
	unsigned i, n = 0;

	simulate(&run, END - 100 * DAY, END + 100 * DAY, 30 * DAY);
	/* The first second with less than 30 days left, and then every day until less than one is left. */
	for (i = 0; i < 30; i++)
		assert_int_equal(run.at[n++], (30 - i) * DAY - 1);
	/* The last of those was at a day less a second: from there every hour. */
	for (i = 1; i < 24; i++)
		assert_int_equal(run.at[n++], DAY - 1 - i * HOUR);
	assert_int_equal(run.at[n], -1);
	for (i = 0; i < n; i++)
		assert_false(run.over[i]);
	assert_true(run.over[n++]);
	assert_int_equal(run.warnings, n);
	/* Each look but the first had something to say, or was the last day's beginning. */
	assert_true(run.looks <= run.warnings + 2);
}

static void test_a_start_within_the_time(void **state)
{
	struct run run;

	simulate(&run, END - 5 * DAY - 7 * HOUR, END + DAY, 30 * DAY);
	assert_int_equal(run.at[0], 5 * DAY + 7 * HOUR);
	assert_int_equal(run.at[1], 4 * DAY + 7 * HOUR);
	assert_int_equal(run.at[4], 1 * DAY + 7 * HOUR);
	/* The hours count from where the last day begins. */
	assert_int_equal(run.at[5], DAY - 1);
	assert_int_equal(run.at[6], DAY - 1 - HOUR);
	assert_int_equal(run.at[run.warnings - 1], -1);
}

static void test_the_last_day_does_not_repeat_within_an_hour(void **state)
{
	struct run run;

	/* Warned at 24 h 30 min: the last day begins half an hour later, its first warning is due after an hour. */
	simulate(&run, END - DAY - HOUR / 2, END, 30 * DAY);
	assert_int_equal(run.at[0], DAY + HOUR / 2);
	assert_int_equal(run.at[1], DAY - HOUR / 2);
}

static void test_over_is_told_once(void **state)
{
	struct expiry_due due;
	struct run run;

	simulate(&run, END + 10 * DAY, END + 20 * DAY, 30 * DAY);
	assert_int_equal(run.warnings, 1);
	assert_true(run.over[0]);
	due = expiry_judge(END + 10 * DAY, END, 30 * DAY, END + DAY);
	assert_false(due.warn);
	assert_true(due.over && due.next_s == INT64_MAX);
	/* A warning from before the end does not count as this one. */
	assert_true(expiry_judge(END + 1, END, 30 * DAY, END).warn);
}

static void test_the_last_second_is_valid(void **state)
{
	assert_false(expiry_judge(END, END, 0, 0).over);
	assert_true(expiry_judge(END + 1, END, 0, 0).over);
}

static void test_the_limit_itself_is_no_warning(void **state)
{
	struct expiry_due due = expiry_judge(END - 30 * DAY, END, 30 * DAY, 0);

	assert_false(due.warn);
	assert_int_equal(due.next_s, END - 30 * DAY + 1);
	assert_true(expiry_judge(END - 30 * DAY + 1, END, 30 * DAY, 0).warn);
}

static void test_off_tells_only_the_end(void **state)
{
	struct run run;

	simulate(&run, END - 100 * DAY, END + 100 * DAY, 0);
	assert_int_equal(run.warnings, 1);
	assert_int_equal(run.at[0], -1);
	assert_int_equal(run.looks, 2);
}

static void test_less_than_a_day_is_hourly_from_its_start(void **state)
{
	struct run run;

	simulate(&run, END - 100 * DAY, END + DAY, 3 * HOUR);
	assert_int_equal(run.at[0], 3 * HOUR - 1);
	assert_int_equal(run.at[1], 2 * HOUR - 1);
	assert_int_equal(run.at[2], HOUR - 1);
	assert_int_equal(run.at[3], -1);
	assert_int_equal(run.warnings, 4);
}

static void test_a_clock_that_was_wrong(void **state)
{
	/* It ran a year ahead when it warned, and was put right. */
	assert_true(expiry_judge(END - 5 * DAY, END, 30 * DAY, END + 360 * DAY).warn);
	/* A time that cannot be read never ends. */
	assert_false(expiry_judge(END, INT64_MAX, 30 * DAY, 0).warn);
	assert_true(expiry_judge(END, INT64_MAX, 30 * DAY, 0).next_s == INT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_warning_at_its_time),
	    cmocka_unit_test(test_a_start_within_the_time),
	    cmocka_unit_test(test_the_last_day_does_not_repeat_within_an_hour),
	    cmocka_unit_test(test_over_is_told_once),
	    cmocka_unit_test(test_the_last_second_is_valid),
	    cmocka_unit_test(test_the_limit_itself_is_no_warning),
	    cmocka_unit_test(test_off_tells_only_the_end),
	    cmocka_unit_test(test_less_than_a_day_is_hourly_from_its_start),
	    cmocka_unit_test(test_a_clock_that_was_wrong),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
