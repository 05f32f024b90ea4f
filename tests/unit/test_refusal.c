/* Proves the local HTTP answer: framing, quoting, and never a status that a MID takes for a credentials problem. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "relay/pump.h"
#include "relay/refusal.h"

static void test_every_code_gives_a_whole_answer(void **state)
{
	enum diagnosis_code code;

	for (code = DIAGNOSIS_OK + 1; code < DIAGNOSIS_CODE_COUNT; code++) {
		const struct diagnosis_info *info = diagnosis_info(code);
		struct diagnosis d;
		char first[128], length[64];
		const char *body;
		char *answer;
		size_t len;

		diagnosis_set(&d, code, "seen: \"%s\" \\ here", info->name);
		answer = refusal_http_answer(&d, &len);
		assert_int_equal(len, strlen(answer));
		snprintf(first, sizeof(first), "HTTP/1.1 %d midrelay: %s: seen: ", info->http_status, info->name);
		assert_memory_equal(answer, first, strlen(first));
		assert_true(code == DIAGNOSIS_LOCAL_BAD_REQUEST ? info->http_status == 400 :
		    info->http_status >= 502 && info->http_status <= 504);
		body = strstr(answer, "\r\n\r\n");
		assert_non_null(body);
		snprintf(length, sizeof(length), "\r\nContent-Length: %zu\r\n", strlen(body + 4));
		assert_non_null(strstr(answer, length));
		assert_non_null(strstr(answer, "\r\nConnection: close\r\n"));
		assert_non_null(strstr(answer, "\r\nProxy-Status: midrelay; error="));
		assert_non_null(strstr(answer, "seen: \\\"")); /* quoted in Proxy-Status */
		assert_non_null(strstr(body, info->remedy));
		free(answer);
	}
}

static void test_first_bytes_are_told_apart(void **state)
{
	static const unsigned char hello[] = {22, 3, 1, 2, 0, 1, 0};
	static const unsigned char not_hello[] = {22, 3, 1, 2, 0, 2, 0};

	assert_true(pump_bytes_are_tls(hello, sizeof(hello)));
	assert_true(pump_bytes_are_tls(hello, 3));
	assert_false(pump_bytes_are_tls(hello, 2));
	assert_false(pump_bytes_are_tls(not_hello, sizeof(not_hello)));
	assert_true(pump_bytes_are_http((const unsigned char *)"POST /a HTTP/1.1\r\n", 18));
	assert_true(pump_bytes_are_http((const unsigned char *)"M-SEARCH *", 10));
	assert_true(pump_bytes_are_http((const unsigned char *)"PO", 2));
	assert_false(pump_bytes_are_http((const unsigned char *)"", 0));
	assert_false(pump_bytes_are_http((const unsigned char *)" GET /", 6));
	assert_false(pump_bytes_are_http((const unsigned char *)"hello", 5));
	assert_false(pump_bytes_are_http((const unsigned char *)"ABCDEFGHIJKLMNOPQRSTUVWXYZ", 26));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_code_gives_a_whole_answer),
	    cmocka_unit_test(test_first_bytes_are_told_apart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
