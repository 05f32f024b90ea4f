/* Proves ServiceNow's rules for an instance's answers, and how far an answer is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/check_answer.h"
#include "check/check_instance.h"

#define PAGE "<html><head><title>Hibernating Instance</title></head><body>Your instance is true to its sleep</body></html>"
#define REFUSED "<html>\r\n<head><title>400 The SSL certificate error</title></head>\r\n<body>\r\n<center><h1>400 Bad " \
	"Request</h1></center>\r\n<center>The SSL certificate error</center>\r\n<hr><center>snow_adc</center>\r\n</html>"

static char text[4][4096];

/* An answer, whole, with its length; `more`: further header lines. */
static struct check_answer answer_of(int slot, const char *status, const char *server, const char *more, const char *body)
{
	struct check_answer answer;
	bool lacks_end;

	snprintf(text[slot], sizeof(text[slot]), "HTTP/1.1 %s\r\n%s%s%s%sContent-Length: %zu\r\n\r\n%s", status,
	    server != NULL ? "Server: " : "", server != NULL ? server : "", server != NULL ? "\r\n" : "", more, strlen(body),
	    body);
	assert_int_equal(check_answer_parse(text[slot], strlen(text[slot]), &answer, &lacks_end), CHECK_ANSWER_WHOLE);
	return answer;
}

#define PLAIN "Content-Type: text/plain\r\n"
#define HTML "Content-Type: text/html;charset=UTF-8\r\n"

static void test_rules(void **state)
{
	static const struct {
		enum check_question question;
		const char *status, *server, *more, *body;
		bool server_is_page;
		enum diagnosis_code expected;
	} rules[] = {
	    {CHECK_ASK_SERVER, "200 OK", "snow_adc", PLAIN, "node", false, DIAGNOSIS_OK},
	    {CHECK_ASK_SERVER, "200 OK", "nginx", PLAIN, "node", false, DIAGNOSIS_INSTANCE_NOT_ADCV2},
	    {CHECK_ASK_SERVER, "404 Not Found", "snow_adc", HTML, "<html>", false, DIAGNOSIS_INSTANCE_NOT_ADCV2},
	    {CHECK_ASK_SERVER, "302 Found", NULL, "Location: /login.do\r\n", "", false, DIAGNOSIS_INSTANCE_NOT_ADCV2},
	    {CHECK_ASK_SERVER, "302 Found", NULL, "Location: /session_timeout.do\r\n", "", false,
	     DIAGNOSIS_INSTANCE_HIBERNATING},
	    {CHECK_ASK_SERVER, "503 Service Unavailable", "snow_adc", HTML, "<html>", false, DIAGNOSIS_INSTANCE_STATUS},
	    {CHECK_ASK_SUPPORTS_TLS, "200 OK", "snow_adc", PLAIN, "true\n", false, DIAGNOSIS_OK},
	    {CHECK_ASK_SUPPORTS_TLS, "200 OK", "snow_adc", PLAIN, "mixed", false, DIAGNOSIS_OK},
	    {CHECK_ASK_SUPPORTS_TLS, "200 OK", "snow_adc", HTML, "true", false, DIAGNOSIS_OK},
	    {CHECK_ASK_SUPPORTS_TLS, "200 OK", "snow_adc", PLAIN, "false", false, DIAGNOSIS_INSTANCE_NO_TLS_SUPPORT},
	    {CHECK_ASK_SUPPORTS_TLS, "200 OK", "snow_adc", PLAIN, "", false, DIAGNOSIS_INSTANCE_NO_TLS_SUPPORT},
	    {CHECK_ASK_SUPPORTS_TLS, "200 OK", "squid", PLAIN, "true", false, DIAGNOSIS_INSTANCE_NOT_ADCV2},
	    {CHECK_ASK_SUPPORTS_TLS, "302 Found", "snow_adc", "Location: /\r\n", "", false, DIAGNOSIS_INSTANCE_NO_TLS_SUPPORT},
	    {CHECK_ASK_SUPPORTS_TLS, "302 Found", "snow_adc", "Location: https://i/session_timeout.do?x\r\n", "", false,
	     DIAGNOSIS_INSTANCE_HIBERNATING},
	    {CHECK_ASK_SUPPORTS_TLS, "502 Bad Gateway", "snow_adc", HTML, "<html>", false, DIAGNOSIS_INSTANCE_STATUS},
	    /* The page says "true" somewhere, as scripts do. */
	    {CHECK_ASK_SUPPORTS_TLS, "200 OK", "snow_adc", HTML, PAGE, true, DIAGNOSIS_INSTANCE_HIBERNATING},
	    {CHECK_ASK_SUPPORTS_TLS, "200 OK", "snow_adc", HTML, PAGE, false, DIAGNOSIS_INSTANCE_NO_TLS_SUPPORT},
	    {CHECK_ASK_INSTANCE_INFO, "200 OK", "snow_adc", HTML, PAGE, true, DIAGNOSIS_INSTANCE_HIBERNATING},
	    {CHECK_ASK_INSTANCE_INFO, "200 OK", "snow_adc", "Content-Type: text/xml\r\n", "<x/>", false, DIAGNOSIS_OK},
	    {CHECK_ASK_INSTANCE_INFO, "500 Internal Server Error", "snow_adc", "Content-Type: text/xml\r\n",
	     "<SOAP-ENV:Fault>", false, DIAGNOSIS_OK},
	    {CHECK_ASK_INSTANCE_INFO, "500 Internal Server Error", "snow_adc", HTML, "<html>", false, DIAGNOSIS_INSTANCE_STATUS},
	    {CHECK_ASK_INSTANCE_INFO, "401 Unauthorized", "snow_adc", HTML, "", false, DIAGNOSIS_INSTANCE_STATUS},
	    {CHECK_ASK_INSTANCE_INFO, "429 Too Many Requests", "snow_adc", HTML, "", false, DIAGNOSIS_INSTANCE_STATUS},
	};
	size_t i;

	for (i = 0; i < sizeof(rules) / sizeof(rules[0]); i++) {
		struct check_answer answer =
		    answer_of(0, rules[i].status, rules[i].server, rules[i].more, rules[i].body);
		struct check_answer server = answer_of(1, "200 OK", "snow_adc", rules[i].server_is_page ? HTML : PLAIN,
		    rules[i].server_is_page ? PAGE : "node");
		struct diagnosis diagnosis = {.code = DIAGNOSIS_OK};
		bool passed = check_instance_judge(rules[i].question, &answer, &server, &diagnosis);

		if (diagnosis.code != rules[i].expected || passed != (diagnosis.code == DIAGNOSIS_OK))
			fail_msg("row %zu: %s %s: %s", i, rules[i].status, rules[i].body, diagnosis_name(diagnosis.code));
		if (!passed)
			assert_non_null(strstr(diagnosis.sentence, check_question_text(rules[i].question)));
	}
}

static void test_refused_certificates(void **state)
{
	struct check_answer answer = answer_of(0, "400 Bad Request", "snow_adc", HTML, REFUSED);
	struct diagnosis diagnosis;

	assert_true(check_instance_refuses_cert(&answer, true, "i:443", &diagnosis));
	assert_int_equal(diagnosis.code, DIAGNOSIS_INSTANCE_CERT_REFUSED);
	assert_non_null(strstr(diagnosis.sentence, "i:443 answered \"HTTP/1.1 400 Bad Request\", Server: snow_adc"));
	assert_non_null(strstr(diagnosis.sentence, "our certificate was sent"));
	answer = answer_of(0, "400 Bad Request", "nginx", HTML, "<center>No required SSL certificate was sent</center>");
	assert_true(check_instance_refuses_cert(&answer, false, "i:443", &diagnosis));
	assert_non_null(strstr(diagnosis.sentence, "no certificate was sent"));
	answer = answer_of(0, "495 SSL Certificate Error", NULL, "", "");
	assert_true(check_instance_refuses_cert(&answer, true, "i:443", &diagnosis));
	answer = answer_of(0, "496 SSL Certificate Required", NULL, "", "");
	assert_true(check_instance_refuses_cert(&answer, true, "i:443", &diagnosis));
	answer = answer_of(0, "400 Bad Request", "snow_adc", HTML, "<center>Request Header Too Large</center>");
	assert_false(check_instance_refuses_cert(&answer, true, "i:443", &diagnosis));
	/* The words alone, somewhere in a page, are no refusal. */
	answer = answer_of(0, "400 Bad Request", "snow_adc", HTML, "<p>An SSL certificate error may have many reasons</p>");
	assert_false(check_instance_refuses_cert(&answer, true, "i:443", &diagnosis));
	answer = answer_of(0, "400 Bad Request", "snow_adc", PLAIN, REFUSED);
	assert_false(check_instance_refuses_cert(&answer, true, "i:443", &diagnosis));
	answer = answer_of(0, "200 OK", "snow_adc", HTML, REFUSED);
	assert_false(check_instance_refuses_cert(&answer, true, "i:443", &diagnosis));
}

static void test_who_is_an_instance(void **state)
{
	assert_true(check_instance_has_name("acme.service-now.com"));
	assert_true(check_instance_has_name("ACME.Service-Now.com"));
	assert_true(check_instance_has_name("agency.servicenowservices.com"));
	assert_false(check_instance_has_name("service-now.com"));
	assert_false(check_instance_has_name("acme.service-now.com.example"));
	assert_false(check_instance_has_name("notservice-now.com"));
}

static void test_requests(void **state)
{
	size_t len;
	char *request = check_question_request(CHECK_ASK_SERVER, "acme.service-now.com", &len);

	assert_int_equal(len, strlen(request));
	assert_memory_equal(request, "GET /adcv2/server HTTP/1.1\r\nHost: acme.service-now.com\r\nUser-Agent: midrelay/", 77);
	assert_non_null(strstr(request, "\r\nConnection: close\r\n\r\n"));
	free(request);
	request = check_question_request(CHECK_ASK_INSTANCE_INFO, "i", &len);
	assert_memory_equal(request, "POST /InstanceInfo.do?SOAP HTTP/1.1\r\n", 37);
	assert_non_null(strstr(request, "\r\nSOAPAction: Get\r\n"));
	assert_int_equal(strtoul(strstr(request, "Content-Length: ") + 16, NULL, 10),
	    strlen(strstr(request, "\r\n\r\n") + 4));
	free(request);
}

static enum check_answer_state parse(const char *bytes, struct check_answer *answer, bool *lacks_end)
{
	return check_answer_parse(bytes, strlen(bytes), answer, lacks_end);
}

static void test_where_an_answer_ends(void **state)
{
	static const struct {
		const char *bytes;
		enum check_answer_state state;
		bool lacks_end;
	} answers[] = {
	    {"", CHECK_ANSWER_MORE, true},
	    {"HT", CHECK_ANSWER_MORE, true},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n", CHECK_ANSWER_MORE, true},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\na", CHECK_ANSWER_OPEN, true},
	    {"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nab", CHECK_ANSWER_WHOLE, false},
	    {"HTTP/1.1 200 OK\r\n\r\nab", CHECK_ANSWER_OPEN, false},
	    {"HTTP/1.0 200\n\nab", CHECK_ANSWER_OPEN, false},
	    {"HTTP/1.1 204 No Content\r\n\r\n", CHECK_ANSWER_WHOLE, false},
	    {"HTTP/1.1 100 Continue\r\n\r\n", CHECK_ANSWER_MORE, true},
	    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No\r\n\r\n", CHECK_ANSWER_WHOLE, false},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n", CHECK_ANSWER_OPEN, true},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n", CHECK_ANSWER_OPEN, true},
	    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n", CHECK_ANSWER_WHOLE, false},
	    {"SSH-2.0-OpenSSH", CHECK_ANSWER_FOREIGN, true},
	    {"HTTP/2 200\r\n\r\n", CHECK_ANSWER_FOREIGN, true},
	    {"HTTP/1.1 2000 OK\r\n\r\n", CHECK_ANSWER_FOREIGN, true},
	    {"HTTP/1.1 abc\r\n\r\n", CHECK_ANSWER_FOREIGN, true},
	};
	struct check_answer answer;
	bool lacks_end;
	size_t i;

	for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		enum check_answer_state got = parse(answers[i].bytes, &answer, &lacks_end);

		if (got != answers[i].state || lacks_end != answers[i].lacks_end)
			fail_msg("%s: state %d, lacks its end: %d", answers[i].bytes, got, lacks_end);
	}
	parse("HTTP/1.1 302 Found\r\nserver:  a\x01" "b \r\nLOCATION:/x\r\nContent-Type: text/html\r\n\r\n \n<p>", &answer, &lacks_end);
	assert_int_equal(answer.status, 302);
	assert_string_equal(answer.status_line, "HTTP/1.1 302 Found");
	assert_string_equal(answer.server, "a\\x01b");
	assert_string_equal(answer.location, "/x");
	assert_true(check_answer_is_page(&answer));
	assert_true(check_answer_contains(&answer, "<p>"));
	assert_false(check_answer_contains(&answer, "HTTP"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_rules),
	    cmocka_unit_test(test_refused_certificates),
	    cmocka_unit_test(test_who_is_an_instance),
	    cmocka_unit_test(test_requests),
	    cmocka_unit_test(test_where_an_answer_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
