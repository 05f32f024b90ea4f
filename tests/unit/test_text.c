/* Proves that durations, sizes, numbers, base64, escaping, trimming and the nearest word are exact at their
 * edges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/text.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void test_durations(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} good[] = {{"0", 0}, {"0s", 0}, {"500ms", 500}, {"10s", 10000}, {"5m", 300000}, {"1h", 3600000},
	    {"30d", INT64_C(2592000000)}, {"007s", 7000}, {"9223372036854775807ms", INT64_MAX}};
	static const char *const bad[] = {"", "5", "s", "-1s", "+1s", "1.5s", " 1s", "1s ", "1 s", "1S", "1w",
	    "1min", "1h30m", "9223372036854775808ms", "106751991168d", "99999999999999999999s"};
	int64_t ms;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(good); i++) {
		assert_true(text_parse_duration(good[i].text, &ms));
		assert_int_equal(ms, good[i].ms);
	}
	for (i = 0; i < COUNT(bad); i++) {
		ms = 42;
		assert_false(text_parse_duration(bad[i], &ms));
		assert_int_equal(ms, 42);
	}
}

static void test_durations_are_formatted_exactly(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {{0, "0"}, {1, "1ms"}, {1500, "1500ms"}, {90000, "90s"}, {3600000, "1h"},
	    {5400000, "90m"}, {86400000, "1d"}, {INT64_MAX, "9223372036854775807ms"}};
	char buf[32];
	int64_t back;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		assert_string_equal(text_format_duration(cases[i].ms, buf, sizeof(buf)), cases[i].text);
		assert_true(text_parse_duration(buf, &back));
		assert_int_equal(back, cases[i].ms);
	}
}

static void test_sizes(void **state)
{
	uint64_t bytes;

	(void)state;
	assert_true(text_parse_size("512", &bytes));
	assert_int_equal(bytes, 512);
	assert_true(text_parse_size("16k", &bytes));
	assert_int_equal(bytes, 16384);
	assert_true(text_parse_size("1m", &bytes));
	assert_int_equal(bytes, 1048576);
	assert_true(text_parse_size("18446744073709551615", &bytes));
	assert_true(bytes == UINT64_MAX);
	assert_false(text_parse_size("18446744073709551616", &bytes));
	assert_false(text_parse_size("17592186044416m", &bytes));
	assert_false(text_parse_size("", &bytes));
	assert_false(text_parse_size("k", &bytes));
	assert_false(text_parse_size("1kb", &bytes));
	assert_false(text_parse_size("-1", &bytes));
}

static void test_numbers(void **state)
{
	uint64_t value = 0;

	(void)state;
	assert_true(text_parse_uint("0", 0, 10, &value));
	assert_true(text_parse_uint("10", 0, 10, &value));
	assert_int_equal(value, 10);
	assert_false(text_parse_uint("11", 0, 10, &value));
	assert_false(text_parse_uint("4", 5, 10, &value));
	assert_false(text_parse_uint("", 0, 10, &value));
	assert_false(text_parse_uint("5x", 0, 10, &value));
	assert_false(text_parse_uint(" 5", 0, 10, &value));
	assert_false(text_parse_uint("0x5", 0, 10, &value));
	assert_true(text_parse_uint("18446744073709551615", 0, UINT64_MAX, &value));
	assert_false(text_parse_uint("18446744073709551616", 0, UINT64_MAX, &value));
	assert_int_equal(value, UINT64_MAX);
}

/* RFC 4648 section 10, and RFC 7617 section 2. */
static void test_base64(void **state)
{
	static const struct {
		const char *from, *to;
	} cases[] = {{"", ""}, {"f", "Zg=="}, {"fo", "Zm8="}, {"foo", "Zm9v"}, {"foob", "Zm9vYg=="},
	    {"fooba", "Zm9vYmE="}, {"foobar", "Zm9vYmFy"},
	    {"Aladdin:open sesame", "QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, {"\xff\xfe\xfb\xf0", "//778A=="}};
	char buf[64];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		size_t len = strlen(cases[i].from);

		memset(buf, '#', sizeof(buf));
		text_base64_encode(cases[i].from, len, buf);
		assert_string_equal(buf, cases[i].to);
		assert_int_equal(strlen(buf) + 1, TEXT_BASE64_BYTES(len));
	}
}

static void test_escape(void **state)
{
	char buf[64];

	(void)state;
	assert_string_equal(text_escape("plain ~", 7, buf, sizeof(buf)), "plain ~");
	assert_string_equal(text_escape("a\r\n\x1b[31m\\\x7f\xc3\xa9", 12, buf, sizeof(buf)),
	    "a\\x0d\\x0a\\x1b[31m\\\\\\x7f\\xc3\\xa9");
	assert_string_equal(text_escape("a\0b", 3, buf, sizeof(buf)), "a\\x00b");
	assert_string_equal(text_escape("", 0, buf, sizeof(buf)), "");
}

/* A cut never splits an escape, never overruns, and always shows. */
static void test_escape_cuts(void **state)
{
	char buf[16], *exact;
	size_t size;

	(void)state;
	assert_string_equal(text_escape("0123456789", 10, buf, 11), "0123456789");
	assert_string_equal(text_escape("0123456789", 10, buf, 10), "012345...");
	assert_string_equal(text_escape("ab\n\n\n\n", 6, buf, 12), "ab\\x0a...");
	assert_string_equal(text_escape("abc", 3, buf, 1), "");
	for (size = 1; size <= 24; size++) {
		exact = malloc(size);
		assert_non_null(exact);
		text_escape("a\nb\nc\nd\n\\\\", 10, exact, size);
		assert_true(strlen(exact) < size);
		if (size >= 5)
			assert_memory_equal(exact + strlen(exact) - 3, "...", 3);
		free(exact);
	}
}

static void test_trim(void **state)
{
	char a[] = " \t\r\n a b \r\n", b[] = "   ", c[] = "";

	(void)state;
	assert_string_equal(text_trim(a), "a b");
	assert_string_equal(text_trim(b), "");
	assert_string_equal(text_trim(c), "");
}

static void test_nearest(void **state)
{
	static const char *const words[] = {
	    "listen", "target", "proxy", "proxy_user", "proxy_password", "tls_min", "tls_max", NULL};
	static const char *const none[] = {NULL};
	char long_word[200];

	(void)state;
	assert_string_equal(text_nearest("lisen", words), "listen");
	assert_string_equal(text_nearest("litsen", words), "listen");
	assert_string_equal(text_nearest("LISTEN", words), "listen");
	assert_string_equal(text_nearest("proxi", words), "proxy");
	assert_string_equal(text_nearest("proxy_pasword", words), "proxy_password");
	assert_string_equal(text_nearest("proxypaswrd", words), "proxy_password");
	assert_string_equal(text_nearest("tls_mxa", words), "tls_max");
	assert_null(text_nearest("lstn", words)); /* two edits in four letters */
	assert_null(text_nearest("colour", words));
	assert_null(text_nearest("", words));
	assert_null(text_nearest("listen", none));
	memset(long_word, 'x', sizeof(long_word));
	long_word[sizeof(long_word) - 1] = '\0';
	assert_null(text_nearest(long_word, words));
}

static void test_uris(void **state)
{
	(void)state;
	assert_true(text_is_uri("pkcs11:token=mid;object=key"));
	assert_true(text_is_uri("handle:0x81000001"));
	assert_true(text_is_uri("a+b-c.d:"));
	assert_false(text_is_uri("/etc/midrelay/client.key"));
	assert_false(text_is_uri("./handle:0x81000001"));
	assert_false(text_is_uri("C:key.pem")); /* no scheme has one letter */
	assert_false(text_is_uri("1a:x"));
	assert_false(text_is_uri(":x"));
	assert_false(text_is_uri(""));
	assert_string_equal(text_file_uri_path("file:/etc/k"), "/etc/k");
	assert_string_equal(text_file_uri_path("FILE:///etc/k"), "/etc/k");
	assert_string_equal(text_file_uri_path("file://localhost/etc/k"), "/etc/k");
	assert_string_equal(text_file_uri_path("file://LocalHost/k"), "/k");
	assert_string_equal(text_file_uri_path("file://localhost"), "file://localhost");
	assert_string_equal(text_file_uri_path("file://localhost.test/k"), "file://localhost.test/k");
	assert_string_equal(text_file_uri_path("file://host/k"), "file://host/k");
	assert_string_equal(text_file_uri_path("file://"), "file://");
	assert_string_equal(text_file_uri_path("file:k"), "file:k");
	assert_string_equal(text_file_uri_path("/etc/k"), "/etc/k");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_durations),
	    cmocka_unit_test(test_durations_are_formatted_exactly),
	    cmocka_unit_test(test_sizes),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_base64),
	    cmocka_unit_test(test_escape),
	    cmocka_unit_test(test_escape_cuts),
	    cmocka_unit_test(test_trim),
	    cmocka_unit_test(test_nearest),
	    cmocka_unit_test(test_uris),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
