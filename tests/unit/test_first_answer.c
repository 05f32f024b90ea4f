/*
 * Proves that the edge's two pages for a refused client certificate are known in any split, and nothing else is taken for
 * them; that what is no 400 is decided with its first bytes and not kept.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "dial/first_answer.h"

/* nginx 1.22 (Debian 12) with `ssl_verify_client on`, and an instance's edge as it was seen. */
#define NGINX_HEAD \
	"HTTP/1.1 400 Bad Request\r\nServer: nginx/1.22.1\r\nDate: Sat, 01 Feb 2025 12:00:00 GMT\r\n" \
	"Content-Type: text/html\r\nContent-Length: "
#define PAGE(words, server) \
	"<html>\r\n<head><title>400 " words "</title></head>\r\n<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n" \
	"<center>" words "</center>\r\n<hr><center>" server "</center>\r\n</body>\r\n</html>\r\n"
#define CERT_ERROR "The SSL certificate error"
#define NO_CERT "No required SSL certificate was sent"
#define HTML_400 "HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\n"

struct outcome {
	enum first_answer_verdict verdict;
	size_t decided_at;
	struct diagnosis diagnosis;
};

static struct outcome feed(const char *bytes, size_t len, size_t first, size_t step)
{
	struct first_answer answer = {0};
	struct outcome o = {.verdict = FIRST_ANSWER_MORE};
	size_t at = 0, part = first;

	while (at < len && o.verdict == FIRST_ANSWER_MORE) {
		char *copy;

		if (part == 0 || part > len - at)
			part = len - at;
		copy = malloc(part); /* so that a sanitizer sees a step beyond it */
		assert_non_null(copy);
		memcpy(copy, bytes + at, part);
		o.verdict = first_answer_take(&answer, copy, part, &o.diagnosis);
		free(copy);
		at += part;
		part = step;
	}
	o.decided_at = at;
	if (o.verdict != FIRST_ANSWER_MORE)
		assert_null(answer.kept);
	first_answer_clear(&answer);
	return o;
}

/* Whole, byte by byte, and in two parts at every byte. */
static void assert_answer(const char *text, enum first_answer_verdict verdict, const char *sentence)
{
	size_t len = strlen(text), i;

	for (i = 0; i <= len; i++) {
		struct outcome o = i == 0 ? feed(text, len, 1, 1) : feed(text, len, i, len);

		if (o.verdict != verdict)
			fail_msg("%d instead of %d, split at %zu: %s", (int)o.verdict, (int)verdict, i, text);
		if (sentence != NULL) {
			assert_int_equal(o.diagnosis.code, DIAGNOSIS_INSTANCE_CERT_REFUSED);
			assert_string_equal(o.diagnosis.sentence, sentence);
		}
	}
}

static void test_pages(void **state)
{
	(void)state;
	assert_answer(NGINX_HEAD "208\r\nConnection: close\r\n\r\n" PAGE(CERT_ERROR, "nginx/1.22.1"), FIRST_ANSWER_REFUSED,
	    "the target answered 400 Bad Request with the page \"The SSL certificate error\" (Server: nginx/1.22.1)");
	assert_answer(NGINX_HEAD "230\r\nConnection: close\r\n\r\n" PAGE(NO_CERT, "nginx/1.22.1"), FIRST_ANSWER_REFUSED,
	    "the target answered 400 Bad Request with the page \"No required SSL certificate was sent\" "
	    "(Server: nginx/1.22.1)");
	assert_answer("HTTP/1.1 400 Bad Request\r\nserver: snow_adc\r\ncontent-type: text/html; charset=utf-8\r\n\r\n"
	    PAGE(CERT_ERROR, "snow_adc"), FIRST_ANSWER_REFUSED,
	    "the target answered 400 Bad Request with the page \"The SSL certificate error\" (Server: snow_adc)");
	/* Without a Server, without a reason, in HTTP/1.0 and with bare line feeds. */
	assert_answer("HTTP/1.0 400\nContent-Type: text/html\n\n" PAGE(CERT_ERROR, "x"), FIRST_ANSWER_REFUSED,
	    "the target answered 400 with the page \"The SSL certificate error\" (Server: none)");
	assert_answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" HTML_400 "\r\n"
	    PAGE(CERT_ERROR, "x"), FIRST_ANSWER_REFUSED, NULL);
}

/* Who does not hide them behind 400, as nginx does. */
static void test_the_codes_as_status(void **state)
{
	(void)state;
	assert_answer("HTTP/1.1 495 SSL Certificate Error\r\nServer: edge\r\n\r\n", FIRST_ANSWER_REFUSED,
	    "the target answered 495 SSL Certificate Error (Server: edge)");
	assert_answer("HTTP/1.1 496\r\n\r\n", FIRST_ANSWER_REFUSED, "the target answered 496 (Server: none)");
	assert_answer("HTTP/1.1 495 SSL Certificate Error\r\nServer: edge\r\n", FIRST_ANSWER_MORE, NULL);
	assert_answer("HTTP/1.1 497 X\r\n\r\n", FIRST_ANSWER_OTHER, NULL);
	assert_answer("HTTP/1.1 4955 X\r\n\r\n", FIRST_ANSWER_OTHER, NULL);
	assert_string_equal(first_answer_page("HTTP/1.1 496 X\r\n\r\n", 18), NO_CERT);
	assert_null(first_answer_page("HTTP/1.1 200 OK\r\n\r\n", 19));
	assert_null(first_answer_page(NULL, 0));
}

static void test_chunks(void **state)
{
	(void)state;
	assert_answer(HTML_400 "Transfer-Encoding: chunked\r\n\r\n1a;x=y\r\n<html><head><title>400 The\r\n2C\r\n SSL "
	    "certificate error</title></head></html>\r\n0\r\n\r\n", FIRST_ANSWER_REFUSED, NULL);
	assert_answer(HTML_400 "Transfer-Encoding: chunked\r\n\r\n6\r\n<html>\r\n0\r\n\r\n", FIRST_ANSWER_UNCLEAR, NULL);
	assert_answer(HTML_400 "Transfer-Encoding: chunked\r\n\r\nno chunks\r\n", FIRST_ANSWER_UNCLEAR, NULL);
	assert_answer(HTML_400 "Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffffff\r\n<p>", FIRST_ANSWER_MORE, NULL);
}

static void test_near_misses(void **state)
{
	(void)state;
	/* The words alone, another type, another status. */
	assert_answer(HTML_400 "Content-Length: 34\r\n\r\n<p>" CERT_ERROR " again</p>", FIRST_ANSWER_UNCLEAR, NULL);
	assert_answer("HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n\r\n" PAGE(CERT_ERROR, "x"),
	    FIRST_ANSWER_UNCLEAR, NULL);
	assert_answer(HTML_400 "Content-Length: 0\r\n\r\n", FIRST_ANSWER_UNCLEAR, NULL);
	assert_answer(HTML_400 "\r\nno page: <title>400 " CERT_ERROR "</title>", FIRST_ANSWER_UNCLEAR, NULL);
	assert_answer(HTML_400 "X-Page: <title>400 " CERT_ERROR "</title>\r\nContent-Length: 3\r\n\r\n<p>",
	    FIRST_ANSWER_UNCLEAR, NULL);
	assert_answer(NGINX_HEAD "99\r\n\r\n<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title>"
	    "</head>\r\n<body>\r\n</body></html>\r\n", FIRST_ANSWER_UNCLEAR, NULL);
	/* What follows the body is another answer. */
	assert_answer(HTML_400 "Content-Length: 3\r\n\r\n<p>" PAGE(CERT_ERROR, "x"), FIRST_ANSWER_UNCLEAR, NULL);
	assert_answer("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" PAGE(CERT_ERROR, "x"), FIRST_ANSWER_OTHER, NULL);
	assert_answer("HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\n\r\n" PAGE(CERT_ERROR, "x"), FIRST_ANSWER_OTHER,
	    NULL);
	assert_answer("HTTP/1.1 401 X\r\n\r\n", FIRST_ANSWER_OTHER, NULL);
	assert_answer("HTTP/1.1 4000 X\r\n\r\n", FIRST_ANSWER_OTHER, NULL);
	assert_answer("HTTP/2 400\r\n\r\n", FIRST_ANSWER_OTHER, NULL);
	assert_answer("POST /InstanceInfo.do?SOAP HTTP/1.1\r\n\r\n", FIRST_ANSWER_OTHER, NULL);
	assert_answer("220 mail.example ESMTP\r\n", FIRST_ANSWER_OTHER, NULL);
	assert_answer("H", FIRST_ANSWER_MORE, NULL);
	assert_answer("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", FIRST_ANSWER_OTHER, NULL);
}

static void test_decided_early(void **state)
{
	static const struct {
		const char *text;
		size_t at;
	} cases[] = {{"\x05zero", 1}, {"HTTQ", 4}, {"HTTP/1.1 200 OK\r\n", 10}, {"HTTP/1.1 404 Not Found\r\n", 12},
	    {"HTTP/1.1 500 X\r\n", 10}, {"HTTP/1.1 407 X\r\n", 12}};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct outcome o = feed(cases[i].text, strlen(cases[i].text), 1, 1);

		assert_int_equal(o.verdict, FIRST_ANSWER_OTHER);
		assert_int_equal(o.decided_at, cases[i].at);
	}
}

static void test_bounds(void **state)
{
	static const char head[] = HTML_400 "\r\n<html>";
	char text[3 * FIRST_ANSWER_MAX_BYTES];
	struct first_answer answer = {0};
	struct diagnosis diagnosis;
	struct outcome o;

	(void)state;
	memset(text, ' ', sizeof(text));
	memcpy(text, head, sizeof(head) - 1);
	o = feed(text, sizeof(text), 1, 1);
	assert_int_equal(o.verdict, FIRST_ANSWER_UNCLEAR);
	assert_int_equal(o.decided_at, FIRST_ANSWER_MAX_BYTES);
	assert_int_equal(feed(text, sizeof(text), 0, 0).verdict, FIRST_ANSWER_UNCLEAR);
	/* What comes behind is not looked at, however it comes. */
	memcpy(text + FIRST_ANSWER_MAX_BYTES - 4, "<title>400 " CERT_ERROR "</title>", 44);
	assert_int_equal(feed(text, sizeof(text), 100, 5000).verdict, FIRST_ANSWER_UNCLEAR);
	assert_int_equal(feed(text, sizeof(text), 0, 0).verdict, FIRST_ANSWER_UNCLEAR);
	/* The ordinary way keeps no byte. */
	assert_int_equal(first_answer_take(&answer, "HTTP/1.1 200 OK\r\n\r\n", 19, &diagnosis), FIRST_ANSWER_OTHER);
	assert_null(answer.kept);
}

static void test_foreign_text_is_escaped(void **state)
{
	(void)state;
	assert_answer("HTTP/1.1 400 No\x1b[2J\r\nServer: a\x07\xe9\r\nContent-Type: text/html\r\n\r\n<title>400 " CERT_ERROR "</title>",
	    FIRST_ANSWER_REFUSED, "the target answered 400 No\\x1b[2J with the page \"The SSL certificate error\" (Server: "
	    "a\\x07\\xe9)");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_pages),
	    cmocka_unit_test(test_the_codes_as_status),
	    cmocka_unit_test(test_chunks),
	    cmocka_unit_test(test_near_misses),
	    cmocka_unit_test(test_decided_early),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_foreign_text_is_escaped),
	};

	return cmocka_run_group_tests_name("first_answer", tests, NULL, NULL);
}
