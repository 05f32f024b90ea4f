/*
 * Proves that log lines are one line each, escaped, bounded, that a reader who does not read blocks nobody, and that what
 * a full disk did not take is counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"

static int reader; /* of a pipe that is our stderr */

static char *next_line(void)
{
	static char line[LOG_LINE_BYTES + 1];
	size_t len = 0;

	while (len < sizeof(line) - 1 && read(reader, line + len, 1) == 1) {
		if (line[len++] == '\n')
			break;
	}
	line[len] = '\0';
	return line;
}

static void say(void)
{
	struct log_line line;

	assert_true(log_begin(&line, LOG_INFO, "spoke"));
	log_str(&line, "plain", "a-b");
	log_str(&line, "quoted", "two words \"x\" \\");
	log_bytes(&line, "foreign", "a\n\xff", 3);
	log_str(&line, "left_out", NULL);
	log_int(&line, "number", -5);
	log_bool(&line, "yes", true);
	log_end(&line);
}

/* In a process of its own; 0: the file is as it should be.  There is room for a line, and 6 bytes of another. */
static int log_to_a_full_file(void)
{
	static const char begin[] = "2026-01-31T23:59:59.999Z info first msg=whole\n";
	struct rlimit size = {sizeof(begin) - 1 + 6, RLIM_INFINITY};
	char text[LOG_LINE_BYTES];
	const char *rest = text + size.rlim_cur;
	FILE *file = tmpfile();
	ssize_t len;

	signal(SIGXFSZ, SIG_IGN);
	if (file == NULL || dup2(fileno(file), STDERR_FILENO) < 0 || setrlimit(RLIMIT_FSIZE, &size) != 0)
		return 2;
	log_msg(LOG_INFO, "first", "whole");
	log_msg(LOG_INFO, "torn", "1");
	log_msg(LOG_INFO, "lost", "2");
	size.rlim_cur = RLIM_INFINITY;
	if (setrlimit(RLIMIT_FSIZE, &size) != 0)
		return 3;
	log_msg(LOG_INFO, "again", "3");
	len = pread(fileno(file), text, sizeof(text) - 1, 0);
	if (len < (ssize_t)sizeof(begin) + 6)
		return 4;
	text[len] = '\0';
	if (strstr(text, "Z info first msg=whole\n") == NULL || rest[0] != '\n' || rest[1] != '2')
		return 5;
	return strstr(rest, "Z info again msg=3\n") != NULL && strstr(rest, "Z warn log-lost lines=2\n") != NULL ? 0 : 6;
}

/* The first of all: nothing has been told of a loss yet, and the log is still where stderr is. */
static void test_a_full_disk_tears_one_line_and_says_how_many_are_lost(void **state)
{
	pid_t child = fork();
	int status = -1;

	if (child == 0)
		_exit(log_to_a_full_file());
	assert_true(child > 0 && waitpid(child, &status, 0) == child);
	assert_int_equal(status, 0);
}

static void test_text(void **state)
{
	const char *line;

	log_configure(LOG_INFO, LOG_TEXT);
	say();
	line = next_line();
	assert_non_null(strstr(line, "Z info spoke plain=a-b quoted=\"two words \\\"x\\\" \\\\\" "
	    "foreign=\"a\\\\x0a\\\\xff\" number=-5 yes=yes\n"));
}

static void test_json(void **state)
{
	json_t *root;
	json_error_t error;

	log_configure(LOG_INFO, LOG_JSON);
	say();
	root = json_loads(next_line(), 0, &error);
	assert_non_null(root);
	assert_string_equal(json_string_value(json_object_get(root, "event")), "spoke");
	assert_string_equal(json_string_value(json_object_get(root, "quoted")), "two words \"x\" \\");
	assert_string_equal(json_string_value(json_object_get(root, "foreign")), "a\\x0a\\xff");
	assert_int_equal(json_integer_value(json_object_get(root, "number")), -5);
	assert_true(json_is_true(json_object_get(root, "yes")));
	json_decref(root);
}

static void test_levels(void **state)
{
	struct log_line line;

	log_configure(LOG_WARN, LOG_TEXT);
	assert_false(log_begin(&line, LOG_INFO, "unwanted"));
	assert_true(log_wants(LOG_ERROR));
}

static void test_a_long_value_is_left_out_and_said(void **state)
{
	enum log_format format;

	for (format = LOG_TEXT; format <= LOG_JSON; format++) {
		struct log_line line;
		char *big = malloc(LOG_LINE_BYTES * 2);
		const char *text;

		memset(big, 'x', LOG_LINE_BYTES * 2 - 1);
		big[LOG_LINE_BYTES * 2 - 1] = '\0';
		log_configure(LOG_INFO, format);
		assert_true(log_begin(&line, LOG_INFO, "big"));
		log_str(&line, "first", "kept");
		log_str(&line, "big", big);
		log_end(&line);
		text = next_line();
		assert_non_null(strstr(text, "kept"));
		assert_non_null(strstr(text, "cut"));
		assert_int_equal(text[strlen(text) - 1], '\n');
		if (format == LOG_JSON) {
			json_t *root = json_loads(text, 0, NULL);

			assert_non_null(root);
			json_decref(root);
		}
		free(big);
	}
}

static void test_a_full_pipe_loses_lines_and_says_how_many(void **state)
{
	int i;
	bool said = false;

	log_configure(LOG_INFO, LOG_TEXT);
	/* Far more than a pipe holds; this returns although nobody reads. */
	for (i = 0; i < 5000; i++)
		log_msg(LOG_INFO, "flood", "%d of many lines that nobody reads for now", i);
	for (i = 0; i < 100; i++)
		next_line();
	log_msg(LOG_INFO, "after", "there is room again");
	fcntl(reader, F_SETFL, O_NONBLOCK);
	while (!said) {
		const char *line = next_line();

		if (line[0] == '\0')
			break;
		said = strstr(line, "warn log-lost lines=") != NULL;
	}
	assert_true(said);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_full_disk_tears_one_line_and_says_how_many_are_lost),
	    cmocka_unit_test(test_text),
	    cmocka_unit_test(test_json),
	    cmocka_unit_test(test_levels),
	    cmocka_unit_test(test_a_long_value_is_left_out_and_said),
	    cmocka_unit_test(test_a_full_pipe_loses_lines_and_says_how_many),
	};
	int fds[2], kept = dup(STDERR_FILENO), failed;

	if (pipe(fds) != 0)
		return 1;
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	reader = fds[0];
	/* cmocka speaks on stdout only; its stderr is looked at here. */
	cmocka_set_message_output(CM_OUTPUT_STDOUT);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	dup2(kept, STDERR_FILENO);
	return failed;
}
