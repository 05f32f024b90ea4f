/*
 * Proves that the reports of a check print as in tests/check/print (UPDATE_GOLDEN=1 writes them anew), that
 * no line is longer than the terminal, that colour adds nothing but colour, and that all is told without
 * UTF-8.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "check/check_pen.h"
#include "check/check_print.h"
#include "check_fixture.h"
#include "golden.h"

static char *printed(const char *name, unsigned columns, bool utf8, bool colour)
{
	struct check_print_options options = {.columns = columns, .utf8 = utf8, .colour = colour};
	struct check_report *report = check_fixture_new(name);
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	assert_non_null(out);
	assert_non_null(report);
	check_print_table(report, &options, out);
	fclose(out);
	check_report_free(report);
	return text;
}

static void assert_golden(const char *name, unsigned columns, bool utf8, bool colour)
{
	char *file = mem_printf("check/print/%s-%u%s%s.txt", name, columns, utf8 ? "-utf8" : "", colour ? "-colour" : "");
	char *text = printed(name, columns, utf8, colour);

	golden_assert(file, text);
	free(text);
	free(file);
}

static void test_goldens(void **state)
{
	size_t i;

	for (i = 0; check_fixture_names[i] != NULL; i++) {
		assert_golden(check_fixture_names[i], 80, false, false);
		assert_golden(check_fixture_names[i], 80, true, false);
		assert_golden(check_fixture_names[i], 200, true, false);
	}
	assert_golden("mixed", 80, true, true);
	assert_golden("mixed", 200, true, true);
	assert_golden("mixed", 200, false, false);
	assert_golden("mixed", 48, true, false);
}

/* A line may be too long only when its last word has it alone, but for an indent and a mark. */
static void assert_fits(const char *name, const char *line, unsigned columns)
{
	const char *text = line + strspn(line, " ");

	if (pen_width(line) <= columns)
		return;
	if (strlen(text) > 2 &&
	    (strncmp(text, "X ", 2) == 0 || strncmp(text, "+ ", 2) == 0 || strncmp(text, "! ", 2) == 0))
		text += 2;
	if (strchr(text, ' ') != NULL)
		fail_msg("%s at %u columns: %s", name, columns, line);
}

static void assert_all_fit(const char *name, unsigned columns)
{
	char *text = printed(name, columns, false, false), *line = text, *end;

	while ((end = strchr(line, '\n')) != NULL) {
		*end = '\0';
		assert_fits(name, line, columns);
		assert_true(end == line || end[-1] != ' ');
		line = end + 1;
	}
	assert_string_equal(line, "");
	free(text);
}

static void test_no_line_is_longer_than_the_terminal(void **state)
{
	unsigned columns;
	size_t i;

	for (i = 0; check_fixture_names[i] != NULL; i++)
		for (columns = 40; columns <= 220; columns++)
			assert_all_fit(check_fixture_names[i], columns);
}

static void strip_colour(char *text)
{
	char *to = text;

	while (*text != '\0') {
		if (*text == '\033') {
			text += strcspn(text, "m") + 1;
			continue;
		}
		*to++ = *text++;
	}
	*to = '\0';
}

static void test_colour_adds_nothing_else(void **state)
{
	unsigned columns;
	size_t i;
	char *plain, *coloured;

	for (i = 0; check_fixture_names[i] != NULL; i++) {
		for (columns = 50; columns <= 210; columns += 40) {
			plain = printed(check_fixture_names[i], columns, true, false);
			coloured = printed(check_fixture_names[i], columns, true, true);
			assert_null(strchr(plain, '\033'));
			assert_non_null(strchr(coloured, '\033'));
			strip_colour(coloured);
			assert_string_equal(plain, coloured);
			free(plain);
			free(coloured);
		}
	}
}

static void test_ascii_is_ascii(void **state)
{
	size_t i, j;
	char *text;

	for (i = 0; check_fixture_names[i] != NULL; i++) {
		text = printed(check_fixture_names[i], 80, false, false);
		for (j = 0; text[j] != '\0'; j++)
			assert_true(text[j] == '\n' || (text[j] >= ' ' && text[j] <= '~'));
		free(text);
	}
}

static void test_same_failure_is_told_once(void **state)
{
	char *text = printed("relays", 80, false, false), *first = strstr(text, "10.1.2.3:3128 refused");

	assert_non_null(strstr(text, "connect-refused on 2 paths"));
	assert_non_null(first);
	assert_null(strstr(first + 1, "10.1.2.3:3128 refused"));
	free(text);
}

static size_t bar_length(const char *text, char letter)
{
	const char *chart = strstr(text, "\nTime "), *at;
	size_t longest = 0, len;

	assert_non_null(chart);
	for (at = chart; *at != '\0'; at += len + (at[len] != '\0')) {
		const char run[] = {letter, '\0'};

		len = strspn(at, run);
		longest = len > longest ? len : longest;
	}
	return longest;
}

/* In "mixed" one path takes 5 s and the others 100 ms. */
static void test_a_path_that_hangs_leaves_the_other_bars_readable(void **state)
{
	char *text = printed("mixed", 80, false, false);

	assert_true(bar_length(text, 'i') > 10);
	assert_non_null(strstr(text, "p//p"));
	assert_non_null(strstr(text, "//=not to scale"));
	free(text);
	text = printed("passed", 80, false, false);
	assert_null(strstr(text, "//="));
	free(text);
}

/* The last stages leave no room for it in their row. */
static void test_every_code_stands_in_the_table(void **state)
{
	char *text = printed("stages", 80, false, false), *chart = strstr(text, "\nTime ");

	assert_non_null(chart);
	*chart = '\0';
	assert_non_null(strstr(text, "client-cert-not-requested\n"));
	assert_non_null(strstr(text, "relay-truncated\n"));
	free(text);
}

static void test_a_cause_stands_beside_its_code(void **state)
{
	char *text = printed("long", 80, false, false);

	assert_non_null(strstr(text, "X proxy-status (portal)\n"));
	free(text);
}

static void test_options_of_a_file(void **state)
{
	FILE *file = tmpfile();
	struct check_print_options options;

	assert_non_null(file);
	setenv("TERM", "xterm", 1);
	unsetenv("COLUMNS");
	options = check_print_options_for(file);
	assert_int_equal(options.columns, 80);
	assert_false(options.colour);
	setenv("COLUMNS", "132", 1);
	assert_int_equal(check_print_options_for(file).columns, 132);
	setenv("COLUMNS", "wide", 1);
	assert_int_equal(check_print_options_for(file).columns, 80);
	setenv("LC_ALL", "C.UTF-8", 1);
	assert_true(check_print_options_for(file).utf8);
	setenv("LC_ALL", "C", 1);
	assert_false(check_print_options_for(file).utf8);
	fclose(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_goldens),
	    cmocka_unit_test(test_no_line_is_longer_than_the_terminal),
	    cmocka_unit_test(test_colour_adds_nothing_else),
	    cmocka_unit_test(test_ascii_is_ascii),
	    cmocka_unit_test(test_same_failure_is_told_once),
	    cmocka_unit_test(test_a_path_that_hangs_leaves_the_other_bars_readable),
	    cmocka_unit_test(test_every_code_stands_in_the_table),
	    cmocka_unit_test(test_a_cause_stands_beside_its_code),
	    cmocka_unit_test(test_options_of_a_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
