/*
 * Proves that the same line is written once a minute, that its last word is the last event, and that the
 * counts add up.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log_limit.h"

static int reader; /* of a pipe that is our stderr */
static int64_t now_ms = 1000000;
static int64_t events, accounted;

static void say(const char *group, unsigned variant, int64_t number)
{
	struct log_line line;

	assert_true(log_begin(&line, LOG_INFO, group));
	log_int(&line, "variant", variant);
	log_int(&line, "number", number);
	log_limit_end_at(&line, group, variant, now_ms);
	events++;
}

/* The number and `repeated` of each line that was written, as "1 5+3 ". */
static const char *written(void)
{
	static char bytes[65536], text[1024];
	char *line, *rest = bytes, *repeated;
	ssize_t len = read(reader, bytes, sizeof(bytes) - 1);
	size_t used = 0;

	bytes[len > 0 ? len : 0] = '\0';
	text[0] = '\0';
	while ((line = strsep(&rest, "\n")) != NULL && *line != '\0') {
		repeated = strstr(line, " repeated=");
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s", strstr(line, "number=") + 7);
		accounted += 1 + (repeated != NULL ? strtoll(repeated + 10, NULL, 10) : 0);
	}
	return text;
}

static int setup(void **state)
{
	log_configure(LOG_INFO, LOG_TEXT);
	log_limit_flush();
	now_ms += 10 * LOG_LIMIT_MS;
	log_limit_sweep_at(now_ms);
	written();
	events = accounted = 0;
	return 0;
}

static void test_the_next_minute_tells_how_many(void **state)
{
	int64_t i;

	for (i = 1; i <= 100; i++)
		say("refused", 3, i);
	assert_string_equal(written(), "1");
	now_ms += LOG_LIMIT_MS - 1;
	say("refused", 3, 101);
	assert_string_equal(written(), "");
	now_ms += 1;
	say("refused", 3, 102);
	assert_string_equal(written(), "102 repeated=100");
	assert_int_equal(accounted, events);
}

static void test_nothing_stays_untold(void **state)
{
	say("refused", 3, 1);
	say("refused", 3, 2);
	say("refused", 3, 3);
	assert_string_equal(written(), "1");
	now_ms += LOG_LIMIT_MS - 1;
	log_limit_sweep_at(now_ms);
	assert_string_equal(written(), "");
	now_ms += 1;
	log_limit_sweep_at(now_ms);
	assert_string_equal(written(), "3 repeated=1");
	assert_int_equal(accounted, events);
	/* That line began a minute of its own. */
	now_ms += 1;
	say("refused", 3, 4);
	assert_string_equal(written(), "");
	now_ms += LOG_LIMIT_MS;
	log_limit_sweep_at(now_ms);
	assert_string_equal(written(), "4");
	now_ms += LOG_LIMIT_MS;
	log_limit_sweep_at(now_ms);
	assert_string_equal(written(), "");
	say("refused", 3, 5);
	assert_string_equal(written(), "5");
	assert_int_equal(accounted, events);
}

static void test_a_flapping_path_ends_with_its_last_state(void **state)
{
	int64_t i;

	for (i = 0; i < 10; i++)
		say("path", (unsigned)(i % 2), i);
	assert_int_equal(accounted, 0);
	written(); /* 0 and 1: one line for each state */
	assert_int_equal(accounted, 2);
	now_ms += LOG_LIMIT_MS;
	log_limit_sweep_at(now_ms);
	assert_string_equal(written(), "9 repeated=7");
	assert_int_equal(accounted, events);
}

static void test_a_new_code_is_told_at_once_with_what_was_left_out_before(void **state)
{
	say("path", 1, 1);
	say("path", 2, 2);
	say("path", 1, 3);
	say("path", 2, 4);
	written();
	say("path", 63, 5);
	assert_string_equal(written(), "5 repeated=2");
	/* Nothing older comes behind it. */
	now_ms += LOG_LIMIT_MS;
	log_limit_sweep_at(now_ms);
	assert_string_equal(written(), "");
	assert_int_equal(accounted, events);
}

static void test_groups_do_not_hide_one_another(void **state)
{
	say("session r a", 0, 1);
	say("session r b", 0, 2);
	written();
	assert_int_equal(accounted, 2);
}

static void test_flush_tells_all_at_once(void **state)
{
	int64_t i;

	for (i = 1; i <= 2000; i++)
		say("refused", 3, i);
	written();
	log_limit_flush();
	assert_string_equal(written(), "2000 repeated=1998");
	log_limit_flush();
	assert_string_equal(written(), "");
	assert_int_equal(accounted, 2000);
}

static void test_debug_leaves_nothing_out(void **state)
{
	say("refused", 3, 1);
	say("refused", 3, 2);
	assert_string_equal(written(), "1");
	log_configure(LOG_DEBUG, LOG_TEXT); /* and what was left out is told now */
	assert_string_equal(written(), "2");
	say("refused", 3, 3);
	assert_string_equal(written(), "3");
	say("refused", 3, 4);
	assert_string_equal(written(), "4");
	assert_int_equal(accounted, events);
}

static void test_a_kept_line_stays_whole_in_its_format(void **state)
{
	char bytes[2048];
	ssize_t len;

	log_configure(LOG_INFO, LOG_JSON);
	say("refused", 3, 1);
	say("refused", 3, 2);
	log_configure(LOG_INFO, LOG_TEXT);
	len = read(reader, bytes, sizeof(bytes) - 1);
	assert_true(len > 0);
	bytes[len] = '\0';
	assert_non_null(strstr(bytes, "\"number\":1}\n{\"ts\":\"20"));
	assert_non_null(strstr(bytes,
	    "Z\",\"level\":\"info\",\"event\":\"refused\",\"variant\":3,\"number\":2}\n"));
}

static void test_a_cut_line_still_tells_the_count(void **state)
{
	static char value[LOG_LINE_BYTES];
	struct log_line line;
	char bytes[2 * LOG_LINE_BYTES + 1];
	ssize_t len;
	int i;

	log_configure(LOG_INFO, LOG_JSON);
	memset(value, 'x', sizeof(value) - 120);
	for (i = 0; i < 3; i++) {
		assert_true(log_begin(&line, LOG_INFO, "long"));
		log_str(&line, "value", value);
		log_str(&line, "value2", value);
		log_limit_end_at(&line, "long", 0, now_ms);
	}
	assert_true(read(reader, bytes, sizeof(bytes)) > 0);
	log_limit_flush();
	len = read(reader, bytes, sizeof(bytes) - 1);
	assert_in_range(len, 1, LOG_LINE_BYTES);
	bytes[len] = '\0';
	assert_non_null(strstr(bytes, ",\"cut\":true,\"repeated\":1}\n"));
}

/* The last that was written, whatever it is. */
static const char *drain(void)
{
	static char bytes[65536];
	ssize_t len;

	bytes[0] = '\0';
	while ((len = read(reader, bytes, sizeof(bytes) - 1)) > 0)
		bytes[len] = '\0';
	return bytes;
}

static void on_wake(void *arg)
{
	(*(int *)arg)++;
}

static void say_now(const char *group)
{
	struct log_line line;

	assert_true(log_begin(&line, LOG_INFO, group));
	log_int(&line, "number", 1);
	log_limit_end(&line, group, 0);
}

static void test_a_sweep_is_asked_for_when_there_is_something_to_sweep(void **state)
{
	int woken = 0, i;

	log_limit_set_wake(on_wake, &woken);
	log_msg(LOG_INFO, "plain", "is no group's");
	assert_int_equal(woken, 0);
	for (i = 0; i < 3; i++)
		say_now("refused");
	say_now("path");
	assert_int_equal(woken, 1);
	/* Their minute has just begun. */
	assert_true(log_limit_sweep());
	say_now("path");
	assert_int_equal(woken, 1);
	/* Told, and forgotten: the time of the other tests is far behind this one's. */
	log_limit_flush();
	log_limit_sweep_at(INT64_MAX);
	assert_false(log_limit_sweep());
	say_now("refused");
	assert_int_equal(woken, 2);
	log_limit_set_wake(NULL, NULL);
	say_now("path");
	log_limit_sweep_at(INT64_MAX);
	assert_int_equal(woken, 2);
	drain();
}

static void test_a_lost_line_asks_for_a_sweep(void **state)
{
	int woken = 0, i;

	log_limit_set_wake(on_wake, &woken);
	for (i = 0; i < 5000; i++)
		log_msg(LOG_INFO, "flood", "%d of many lines that nobody reads for now", i);
	assert_int_equal(woken, 1);
	drain();
	assert_false(log_limit_sweep());
	assert_non_null(strstr(drain(), "warn log-lost lines="));
	log_limit_set_wake(NULL, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_the_next_minute_tells_how_many, setup),
	    cmocka_unit_test_setup(test_nothing_stays_untold, setup),
	    cmocka_unit_test_setup(test_a_flapping_path_ends_with_its_last_state, setup),
	    cmocka_unit_test_setup(test_a_new_code_is_told_at_once_with_what_was_left_out_before, setup),
	    cmocka_unit_test_setup(test_groups_do_not_hide_one_another, setup),
	    cmocka_unit_test_setup(test_flush_tells_all_at_once, setup),
	    cmocka_unit_test_setup(test_debug_leaves_nothing_out, setup),
	    cmocka_unit_test_setup(test_a_kept_line_stays_whole_in_its_format, setup),
	    cmocka_unit_test_setup(test_a_cut_line_still_tells_the_count, setup),
	    cmocka_unit_test_setup(test_a_sweep_is_asked_for_when_there_is_something_to_sweep, setup),
	    cmocka_unit_test_setup(test_a_lost_line_asks_for_a_sweep, setup),
	};
	int fds[2], kept = dup(STDERR_FILENO), failed;

	if (pipe(fds) != 0)
		return 1;
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	reader = fds[0];
	fcntl(reader, F_SETFL, O_NONBLOCK);
	/* cmocka speaks on stdout only; its stderr is looked at here. */
	cmocka_set_message_output(CM_OUTPUT_STDOUT);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	dup2(kept, STDERR_FILENO);
	return failed;
}
