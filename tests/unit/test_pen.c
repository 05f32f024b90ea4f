/*
 * Proves that a pen counts columns as a terminal does, wraps words behind their indent and never cuts one, and writes nothing
 * that would steer the terminal.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/pen.h"

struct sheet {
	struct pen pen;
	char *text;
	size_t len;
};

static struct sheet *sheet_new(unsigned columns)
{
	struct sheet *sheet = mem_calloc(1, sizeof(*sheet));

	sheet->pen = (struct pen){.columns = columns, .text_columns = columns, .utf8 = true};
	sheet->pen.out = open_memstream(&sheet->text, &sheet->len);
	assert_non_null(sheet->pen.out);
	return sheet;
}

static void assert_drawn(struct sheet *sheet, const char *expected)
{
	fclose(sheet->pen.out);
	assert_string_equal(sheet->text, expected);
	free(sheet->text);
	free(sheet);
}

static void test_words_wrap_behind_their_indent(void **state)
{
	struct sheet *sheet = sheet_new(12);

	(void)state;
	pen_go_to(&sheet->pen, 2);
	pen_wrap(&sheet->pen, PEN_PLAIN, 4, "a b  seven eight unbreakable-word c");
	assert_drawn(sheet, "  a b seven\n    eight\n    unbreakable-word\n    c\n");
}

static void test_first_word_keeps_away_from_what_stands_there(void **state)
{
	struct sheet *sheet = sheet_new(12);

	(void)state;
	pen_print(&sheet->pen, PEN_PLAIN, "eight by:");
	pen_wrap(&sheet->pen, PEN_PLAIN, 2, "no");
	pen_print(&sheet->pen, PEN_PLAIN, "eight by:");
	pen_wrap(&sheet->pen, PEN_PLAIN, 2, "yes");
	assert_drawn(sheet, "eight by: no\neight by:\n  yes\n");
}

static void test_columns_are_characters(void **state)
{
	struct sheet *sheet = sheet_new(80);

	(void)state;
	assert_int_equal(pen_width("→✓…"), 3);
	pen_print(&sheet->pen, PEN_PLAIN, "→✓");
	assert_int_equal(sheet->pen.at, 2);
	pen_go_to(&sheet->pen, 1);
	pen_go_to(&sheet->pen, 4);
	pen_bar(&sheet->pen, PEN_GREEN, 't', 3);
	assert_int_equal(sheet->pen.at, 7);
	assert_drawn(sheet, "→✓  ttt");
}

static void test_nothing_steers_the_terminal(void **state)
{
	struct sheet *sheet = sheet_new(16);

	(void)state;
	pen_print(&sheet->pen, PEN_PLAIN, "%s", "\033[2Jé");
	pen_end_line(&sheet->pen);
	sheet->pen.utf8 = false;
	pen_wrap(&sheet->pen, PEN_PLAIN, 0, "caf\303\251 a\rb \177");
	assert_drawn(sheet, "\\x1b[2J\\xc3\\xa9\ncaf\\xc3\\xa9\na\\x0db \\x7f\n");
}

static void test_colour_ends_with_what_it_colours(void **state)
{
	struct sheet *sheet = sheet_new(80);

	(void)state;
	sheet->pen.colour = true;
	pen_print(&sheet->pen, PEN_PLAIN, "plain ");
	pen_print(&sheet->pen, PEN_BAD, "bad");
	pen_bar(&sheet->pen, PEN_BLUE, 'i', 2);
	pen_bar(&sheet->pen, PEN_BLUE, 'i', 0);
	assert_int_equal(sheet->pen.at, 11);
	assert_drawn(sheet, "plain \033[1;31mbad\033[0m\033[97;44mii\033[0m");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_words_wrap_behind_their_indent),
	    cmocka_unit_test(test_first_word_keeps_away_from_what_stands_there),
	    cmocka_unit_test(test_columns_are_characters),
	    cmocka_unit_test(test_nothing_steers_the_terminal),
	    cmocka_unit_test(test_colour_ends_with_what_it_colours),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
