/*
 * Proves that the progress of a check is drawn in place on a terminal, within its rows and columns even after
 * a resize, that it leaves nothing behind, and that what is no terminal gets nothing.  A small terminal
 * stands at the other end.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "base/mem.h"
#include "check/check_print.h"
#include "check/check_progress.h"
#include "check_fixture.h"
#include "loop/loop.h"

#define MOST 256

/* The screen: what is printed above the bottom scrolls away, and `scrolled` counts it. */
struct terminal {
	int master;
	FILE *out;
	unsigned columns, rows, row, column, scrolled;
	bool wrapped; /* a character went beyond the last column */
	char cells[MOST][MOST];
};

static void resize(struct terminal *terminal, unsigned columns, unsigned rows)
{
	struct winsize size = {.ws_col = (unsigned short)columns, .ws_row = (unsigned short)rows};

	assert_int_equal(ioctl(terminal->master, TIOCSWINSZ, &size), 0);
	terminal->columns = columns;
	terminal->rows = rows;
}

static struct terminal *open_terminal(unsigned columns, unsigned rows)
{
	struct terminal *terminal = mem_calloc(1, sizeof(*terminal));
	struct termios raw;
	int slave;

	setenv("TERM", "xterm", 1);
	setenv("LC_ALL", "C", 1);
	terminal->master = posix_openpt(O_RDWR | O_NOCTTY);
	assert_true(terminal->master >= 0);
	assert_int_equal(grantpt(terminal->master), 0);
	assert_int_equal(unlockpt(terminal->master), 0);
	slave = open(ptsname(terminal->master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	assert_int_equal(tcgetattr(slave, &raw), 0);
	cfmakeraw(&raw);
	assert_int_equal(tcsetattr(slave, TCSANOW, &raw), 0);
	terminal->out = fdopen(slave, "w");
	assert_non_null(terminal->out);
	memset(terminal->cells, ' ', sizeof(terminal->cells));
	resize(terminal, columns, rows);
	return terminal;
}

static void close_terminal(struct terminal *terminal)
{
	fclose(terminal->out);
	close(terminal->master);
	free(terminal);
}

static void line_feed(struct terminal *terminal)
{
	terminal->column = 0;
	if (terminal->row + 1 < terminal->rows) {
		terminal->row++;
		return;
	}
	memmove(terminal->cells[0], terminal->cells[1], sizeof(terminal->cells) - MOST);
	memset(terminal->cells[MOST - 1], ' ', MOST);
	terminal->scrolled++;
}

static void erase(struct terminal *terminal, bool below)
{
	unsigned row;

	memset(terminal->cells[terminal->row] + terminal->column, ' ', MOST - terminal->column);
	for (row = terminal->row + 1; below && row < MOST; row++)
		memset(terminal->cells[row], ' ', MOST);
}

static const char *take_sequence(struct terminal *terminal, const char *at)
{
	unsigned number = 0;

	assert_int_equal(at[1], '[');
	for (at += 2; *at >= '0' && *at <= ';'; at++)
		number = *at == ';' ? 0 : number * 10 + (unsigned)(*at - '0');
	if (*at == 'A') {
		assert_true(number <= terminal->row);
		terminal->row -= number;
	} else if (*at == 'K' || *at == 'J') {
		erase(terminal, *at == 'J');
	} else {
		assert_int_equal(*at, 'm');
	}
	return at;
}

/* What has been written so far, onto the screen; returns how many bytes. */
static size_t take(struct terminal *terminal)
{
	static char buf[1 << 16];
	struct pollfd fd = {.fd = terminal->master, .events = POLLIN};
	size_t len = 0;
	const char *at;
	ssize_t n;

	while (len < sizeof(buf) - 1 && poll(&fd, 1, 100) == 1) {
		n = read(terminal->master, buf + len, sizeof(buf) - 1 - len);
		assert_true(n > 0);
		len += (size_t)n;
	}
	buf[len] = '\0';
	for (at = buf; *at != '\0'; at++) {
		if (*at == '\r') {
			terminal->column = 0;
		} else if (*at == '\n') {
			line_feed(terminal);
		} else if (*at == '\033') {
			at = take_sequence(terminal, at);
		} else {
			terminal->wrapped |= terminal->column >= terminal->columns;
			assert_true(terminal->column < MOST);
			terminal->cells[terminal->row][terminal->column++] = *at;
		}
	}
	return len;
}

static const char *row_text(const struct terminal *terminal, unsigned row)
{
	static char text[MOST + 1];
	size_t len = MOST;

	memcpy(text, terminal->cells[row], MOST);
	while (len > 0 && text[len - 1] == ' ')
		len--;
	text[len] = '\0';
	return text;
}

static void assert_blank(const struct terminal *terminal)
{
	unsigned row;

	for (row = 0; row < MOST; row++)
		assert_string_equal(row_text(terminal, row), "");
}

/* Half of twenty paths hang in connect, since two seconds and a half. */
static struct check_report *hanging(void)
{
	struct check_report *report = check_fixture_new("twenty");
	int64_t now_us = loop_clock_us();
	size_t i;

	for (i = 0; i < report->path_count; i++) {
		report->paths[i].began_us = now_us - 2500000;
		report->paths[i].ended_us = now_us - 2400000;
		if (report->paths[i].diagnosis.code != DIAGNOSIS_OK) {
			report->paths[i].ended_us = 0;
			report->paths[i].diagnosis.code = DIAGNOSIS_OK;
			report->paths[i].steps[CHECK_CONNECT].outcome = CHECK_UNDER_WAY;
		}
	}
	return report;
}

/* However long this test was kept from the CPU. */
static void assert_seconds_since(const char *row, int64_t began_us)
{
	const char *number = strrchr(row, '.');
	double shown, passed = (double)(loop_clock_us() - began_us) / 1e6;

	assert_non_null(number);
	while (number > row && number[-1] >= '0' && number[-1] <= '9')
		number--;
	shown = strtod(number, NULL);
	if (shown < 2.45 || shown > passed + 0.05)
		fail_msg("%.1f s are shown, of 2.5 to %.2f: %s", shown, passed, row);
}

static void test_redraws_in_place_and_erases_itself(void **state)
{
	struct terminal *terminal = open_terminal(80, 24);
	struct check_progress *progress = check_progress_new(terminal->out, 80, true);
	struct check_report *report = hanging();
	int frame;

	for (frame = 0; frame < 3; frame++) {
		check_progress_draw(progress, report);
		take(terminal);
		assert_int_equal(terminal->scrolled, 0);
		assert_false(terminal->wrapped);
		assert_non_null(strstr(row_text(terminal, 0), "+ http://proxy-00.corp.example:3128"));
		assert_non_null(strstr(row_text(terminal, 1), "connect"));
		assert_seconds_since(row_text(terminal, 1), report->paths[1].began_us);
		assert_non_null(strstr(row_text(terminal, 19), "proxy-19"));
		assert_string_equal(row_text(terminal, 20), "");
	}
	check_progress_end(progress);
	take(terminal);
	assert_blank(terminal);
	assert_int_equal(terminal->row, 0);
	assert_int_equal(terminal->column, 0);
	check_report_free(report);
	close_terminal(terminal);
}

static void test_has_no_more_rows_than_the_terminal(void **state)
{
	struct terminal *terminal = open_terminal(80, 8);
	struct check_progress *progress = check_progress_new(terminal->out, 80, false);
	struct check_report *report = hanging();
	unsigned row;

	check_progress_draw(progress, report);
	check_progress_draw(progress, report);
	take(terminal);
	assert_int_equal(terminal->scrolled, 0);
	for (row = 0; row < 6; row++)
		assert_non_null(strstr(row_text(terminal, row), "connect"));
	assert_string_equal(row_text(terminal, 6), "  14 more, 4 under way, 10 done");
	assert_string_equal(row_text(terminal, 7), "");
	check_progress_end(progress);
	take(terminal);
	assert_blank(terminal);
	check_report_free(report);
	close_terminal(terminal);
}

/* At any size a frame fits it, and as the terminal grows or shrinks in height the next one takes the place of
 * the last. */
static void test_fits_any_size(void **state)
{
	static const unsigned sizes[][2] = {
	    {20, 2}, {24, 5}, {36, 24}, {40, 3}, {60, 10}, {80, 24}, {200, 50}};
	static const char *const names[] = {"long", "relays", "twenty", "empty"};
	size_t i, j;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		for (j = 0; j < sizeof(names) / sizeof(names[0]); j++) {
			struct terminal *terminal = open_terminal(sizes[i][0], sizes[i][1]);
			struct check_progress *progress = check_progress_new(terminal->out, 80, true);
			struct check_report *report = check_fixture_new(names[j]);

			check_progress_draw(progress, report);
			check_progress_draw(progress, report);
			check_progress_end(progress);
			check_report_free(report);
			take(terminal);
			assert_false(terminal->wrapped);
			assert_int_equal(terminal->scrolled, 0);
			assert_blank(terminal);
			close_terminal(terminal);
		}
	}
}

/* The terminal wraps what it showed anew: five lines of 57 columns are ten rows of 40. */
static void test_erases_what_a_narrower_terminal_wrapped(void **state)
{
	struct terminal *terminal = open_terminal(80, 24);
	struct check_report *report = check_fixture_new("mixed");
	struct check_progress *progress;
	unsigned row, rows = 0;
	size_t len;

	report->path_count = 5;
	progress = check_progress_new(terminal->out, 80, false);
	check_progress_draw(progress, report);
	take(terminal);
	for (row = 0; row < report->path_count; row++) {
		len = strlen(row_text(terminal, row));
		rows += len > 40 ? 2 : 1;
	}
	assert_int_equal(rows, 10);
	resize(terminal, 40, 24);
	terminal->row = rows - 1;
	check_progress_end(progress);
	take(terminal);
	assert_int_equal(terminal->row, 0);
	assert_blank(terminal);
	check_report_free(report);
	close_terminal(terminal);
}

static void test_writes_nothing_to_a_file(void **state)
{
	FILE *file = tmpfile();
	struct check_progress *progress = check_progress_new(file, 80, true);
	struct check_report *report = hanging();

	assert_non_null(file);
	check_progress_draw(progress, report);
	check_progress_end(progress);
	assert_int_equal(ftell(file), 0);
	check_progress_end(NULL);
	check_report_free(report);
	fclose(file);
}

static void test_writes_nothing_to_a_dumb_terminal(void **state)
{
	struct terminal *terminal = open_terminal(80, 24);
	struct check_report *report = hanging();
	struct check_progress *progress;

	setenv("TERM", "dumb", 1);
	progress = check_progress_new(terminal->out, 80, false);
	check_progress_draw(progress, report);
	check_progress_end(progress);
	assert_int_equal(take(terminal), 0);
	check_report_free(report);
	close_terminal(terminal);
}

static void test_options_of_a_terminal(void **state)
{
	struct terminal *terminal = open_terminal(117, 24);
	struct check_print_options options;

	unsetenv("NO_COLOR");
	setenv("COLUMNS", "60", 1);
	options = check_print_options_for(terminal->out);
	assert_int_equal(options.columns, 117);
	assert_true(options.colour);
	setenv("NO_COLOR", "1", 1);
	assert_false(check_print_options_for(terminal->out).colour);
	unsetenv("NO_COLOR");
	setenv("TERM", "dumb", 1);
	assert_false(check_print_options_for(terminal->out).colour);
	close_terminal(terminal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_redraws_in_place_and_erases_itself),
	    cmocka_unit_test(test_has_no_more_rows_than_the_terminal),
	    cmocka_unit_test(test_fits_any_size),
	    cmocka_unit_test(test_erases_what_a_narrower_terminal_wrapped),
	    cmocka_unit_test(test_writes_nothing_to_a_file),
	    cmocka_unit_test(test_writes_nothing_to_a_dumb_terminal),
	    cmocka_unit_test(test_options_of_a_terminal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
