/*
 * Proves what the status endpoint takes of HTTP: at every split of a request, within its bounds, and from whom.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "status/status_http.h"

#define HOST "Host: 127.0.0.1:9180\r\n"

static unsigned parse(const char *text, struct status_request *request)
{
	size_t used = 0;

	return status_request_parse(text, strlen(text), false, request, &used);
}

static unsigned verdict(const char *text)
{
	struct status_request request;

	return parse(text, &request);
}

static void test_a_request(void **state)
{
	static const char text[] = "GET /text?columns=120&utf8=1 HTTP/1.1\r\n" HOST "Accept: */*\r\n\r\nGET /next";
	struct status_request request;
	char value[8];
	size_t used = 0, len;

	for (len = 0; len < strlen(text) - 9; len++)
		assert_int_equal(status_request_parse(text, len, false, &request, &used), 0);
	assert_int_equal(status_request_parse(text, strlen(text), false, &request, &used), 200);
	assert_int_equal(used, strlen(text) - 9);
	assert_string_equal(request.path, "/text");
	assert_false(request.head);
	assert_true(request.keep);
	assert_string_equal(status_query(&request, "columns", value, sizeof(value)), "120");
	assert_string_equal(status_query(&request, "utf8", value, sizeof(value)), "1");
	assert_null(status_query(&request, "column", value, sizeof(value)));
	assert_null(status_query(&request, "colour", value, sizeof(value)));
}

static void test_forms(void **state)
{
	struct status_request request;

	assert_int_equal(parse("HEAD / HTTP/1.1\nHost: localhost\nConnection: Close\n\n", &request), 200);
	assert_true(request.head);
	assert_false(request.keep);
	assert_int_equal(parse("GET / HTTP/1.0\r\n\r\n", &request), 200);
	assert_false(request.keep);
	assert_int_equal(parse("GET / HTTP/1.1\r\n" HOST "Content-Length: 0\r\n\r\n", &request), 200);
	/* A path that has no room is none of ours. */
	assert_int_equal(parse("GET /status0123456789012345678901234567890123456789012345678901234567890 HTTP/1.1\r\n" HOST
	    "\r\n", &request), 200);
	assert_string_equal(request.path, "");
}

static void test_refusals(void **state)
{
	assert_int_equal(verdict("POST / HTTP/1.1\r\n" HOST "\r\n"), 405);
	assert_int_equal(verdict("get / HTTP/1.1\r\n" HOST "\r\n"), 405);
	assert_int_equal(verdict("GET / HTTP/1.1\r\n" HOST "Content-Length: 1\r\n\r\n"), 413);
	assert_int_equal(verdict("GET / HTTP/1.1\r\n" HOST "Content-Length: 00\r\n\r\n"), 413);
	assert_int_equal(verdict("GET / HTTP/1.1\r\n" HOST "transfer-encoding: identity\r\n\r\n"), 413);
	assert_int_equal(verdict("GET / HTTP/1.1\r\n\r\n"), 400);
	assert_int_equal(verdict("GET / HTTP/1.1\r\n" HOST HOST "\r\n"), 400);
	assert_int_equal(verdict("GET / HTTP/1.1\r\nHost : 127.0.0.1\r\n\r\n"), 400);
	assert_int_equal(verdict("GET / HTTP/1.1\r\n" HOST " folded\r\n\r\n"), 400);
	assert_int_equal(verdict("GET / HTTP/1.1\r\n" HOST "no colon\r\n\r\n"), 400);
	assert_int_equal(verdict("GET / HTTP/1.1\r\n" HOST "X: a\rb\r\n\r\n"), 400);
	assert_int_equal(verdict("GET http://127.0.0.1/ HTTP/1.1\r\n" HOST "\r\n"), 400);
	assert_int_equal(verdict("GET  / HTTP/1.1\r\n" HOST "\r\n"), 400);
	assert_int_equal(verdict("GET / HTTP/1.1 \r\n" HOST "\r\n"), 400);
	assert_int_equal(verdict("GET /\r\n" HOST "\r\n"), 400);
	assert_int_equal(verdict("GET / HTTP/2.0\r\n" HOST "\r\n"), 505);
	assert_int_equal(verdict("GET / HTTP/1.2\r\n" HOST "\r\n"), 505);
	assert_int_equal(verdict("\r\n\r\n"), 400);
}

static void test_bounds(void **state)
{
	char *text = mem_calloc(STATUS_HEAD_BYTES + 64, 1);
	struct status_request request;
	size_t used, len = strlen("GET / HTTP/1.1\r\n" HOST "X: ");

	memcpy(text, "GET / HTTP/1.1\r\n" HOST "X: ", len);
	memset(text + len, 'x', STATUS_HEAD_BYTES + 63 - len);
	assert_int_equal(status_request_parse(text, STATUS_HEAD_BYTES - 1, false, &request, &used), 0);
	assert_int_equal(status_request_parse(text, STATUS_HEAD_BYTES, false, &request, &used), 431);
	memcpy(text + STATUS_HEAD_BYTES - 4, "\r\n\r\n", 4);
	assert_int_equal(status_request_parse(text, STATUS_HEAD_BYTES, false, &request, &used), 200);
	assert_int_equal(used, STATUS_HEAD_BYTES);
	free(text);
}

static void test_hosts(void **state)
{
	static const char *const ours[] = {"127.0.0.1", "127.0.0.1:9180", "[::1]", "[::1]:9180", "localhost", "LOCALHOST:1",
	    "10.0.0.1"};
	static const char *const foreign[] = {"", "example.com", "example.com:9180", "localhost.example.com",
	    "127.0.0.1.example.com", "127.0.0.1:", "127.0.0.1:a", "127.0.0.1:123456", "[::1", "[::1]x", "::1]", "localhost.",
	    "0x7f.1", " ", ":80"};
	size_t i;

	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		if (!status_host_is_ours(ours[i], strlen(ours[i])))
			fail_msg("%s", ours[i]);
	for (i = 0; i < sizeof(foreign) / sizeof(foreign[0]); i++)
		if (status_host_is_ours(foreign[i], strlen(foreign[i])))
			fail_msg("%s", foreign[i]);
	assert_int_equal(verdict("GET / HTTP/1.1\r\nHost: example.com\r\n\r\n"), 421);
}

static void test_an_answer(void **state)
{
	struct status_answer answer = {405, "text/plain", mem_strdup("no\n"), 3};
	size_t len;
	char *bytes = status_answer_bytes(&answer, false, false, &len);

	assert_int_equal(len, strlen("no\n") + (size_t)(strstr(bytes, "\r\n\r\n") + 4 - bytes));
	assert_memory_equal(bytes, "HTTP/1.1 405 Method Not Allowed\r\nDate: ", 39);
	assert_non_null(memmem(bytes, len, "\r\nAllow: GET, HEAD\r\n", 20));
	assert_non_null(memmem(bytes, len, "\r\nContent-Length: 3\r\n", 21));
	assert_non_null(memmem(bytes, len, "\r\nConnection: close\r\n", 21));
	assert_non_null(memmem(bytes, len, "\r\nCache-Control: no-store\r\n", 27));
	assert_non_null(memmem(bytes, len, "default-src 'none'", 18));
	assert_memory_equal(bytes + len - 3, "no\n", 3);
	free(bytes);
	bytes = status_answer_bytes(&answer, true, true, &len);
	assert_memory_equal(bytes + len - 4, "\r\n\r\n", 4);
	assert_non_null(memmem(bytes, len, "\r\nContent-Length: 3\r\n", 21));
	assert_non_null(memmem(bytes, len, "\r\nConnection: keep-alive\r\n", 26));
	free(bytes);
	free(answer.body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_request),
	    cmocka_unit_test(test_forms),
	    cmocka_unit_test(test_refusals),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_hosts),
	    cmocka_unit_test(test_an_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
