/* Proves that editing a configuration changes the values named and not a byte else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "config/config_edit.h"

static void assert_edits(const char *from, const struct config_change *changes, size_t count, const char *expected)
{
	size_t len;
	char *out = config_edit_bytes(from, strlen(from), changes, count, &len);

	assert_int_equal(len, strlen(expected));
	assert_memory_equal(out, expected, len);
	free(out);
}

static void test_layout_stays(void **state)
{
	const struct config_change changes[] = {{4, "sealed:AA=="}, {6, "z"}};

	assert_edits("\xef\xbb\xbf; head = 1\r\n\r\n[relay a]\n\tproxy_password\t=   hunter = 2 ; x \r\n# k = v\nk=\n  end = e",
	    changes, 2,
	    "\xef\xbb\xbf; head = 1\r\n\r\n[relay a]\n\tproxy_password\t=   sealed:AA==\r\n# k = v\nk=z\n  end = e");
}

static void test_last_line_without_end(void **state)
{
	const struct config_change change = {1, "longer than before"};

	assert_edits("a = b", &change, 1, "a = longer than before");
	assert_edits("a = b\n", &change, 1, "a = longer than before\n");
}

static void test_nothing_to_change(void **state)
{
	const struct config_change change = {9, "x"};

	assert_edits("a = b\nc = d\n", &change, 1, "a = b\nc = d\n");
	assert_edits("", NULL, 0, "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_layout_stays),
	    cmocka_unit_test(test_last_line_without_end),
	    cmocka_unit_test(test_nothing_to_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
