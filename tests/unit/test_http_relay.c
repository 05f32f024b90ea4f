/*
 * Proves that HTTP/1.1 through http_relay is judged, rewritten and passed on as tests/http says, the same at
 * every split and byte by byte; and what a table cannot say: other targets, lifetimes, memory.
 */
#include <malloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "http/http_relay.h"
#include "unit/http_cases.h"
#include "unit/http_drive.h"
#include "unit/http_oracle.h"

/* Every split point of longer messages would be quadratic; those get some. */
#define ALL_SPLITS_BYTES 1500

static struct http_case cases[HTTP_CASES_MAX];
static size_t case_count;

static const char *const own_hosts[] = {"127.0.0.1", "::1"};
static const struct http_rules rules = {"acme.service-now.com", 443, own_hosts, 2};

/* ---- the cases ---- */

static void check_bytes(
    const char *name, const char *what, const struct drive_bytes *got, const struct bytes *want)
{
	if (got->len == want->len && (got->len == 0 || memcmp(got->at, want->at, got->len) == 0))
		return;
	fail_msg("%s: %s\n---- is\n%.*s\n---- should be\n%.*s", name, what, (int)got->len,
	    got->at != NULL ? got->at : "", (int)want->len, want->at != NULL ? want->at : "");
}

static void check_fault(const char *name, const char *who, const char *is, const char *want)
{
	if (want == NULL ? is == NULL : is != NULL && strstr(is, want) != NULL)
		return;
	fail_msg("%s: fault of the %s: %s; should be: %s", name, who, is != NULL ? is : "none",
	    want != NULL ? want : "none");
}

static bool holds(const struct drive *d, const char *word)
{
	char text[64];

	if (strncmp(word, "outstanding:", 12) == 0)
		snprintf(text, sizeof(text), "outstanding:%u", d->outstanding);
	else if (strncmp(word, "status:", 7) == 0)
		snprintf(text, sizeof(text), "status:%u", d->status);
	else if (strncmp(word, "method:", 7) == 0)
		snprintf(text, sizeof(text), "method:%s", d->method);
	else if (strncmp(word, "connect:", 8) == 0)
		snprintf(text, sizeof(text), "connect:%s", d->connect);
	else
		snprintf(text, sizeof(text), "%s",
		    strcmp(word, "clean") == 0       ? d->clean ? "clean" : "-"
		    : strcmp(word, "unclean") == 0   ? d->clean ? "-" : "unclean"
		    : strcmp(word, "over") == 0      ? d->over ? "over" : "-"
		    : strcmp(word, "raw") == 0       ? d->raw ? "raw" : "-"
		    : strcmp(word, "began") == 0     ? d->began ? "began" : "-"
		    : strcmp(word, "waits") == 0     ? d->waits ? "waits" : "-"
		    : strcmp(word, "safe") == 0      ? d->safe ? "safe" : "-"
		    : strcmp(word, "unsafe") == 0    ? d->safe ? "-" : "unsafe"
		    : strcmp(word, "keeps") == 0     ? d->keeps ? "keeps" : "-"
		    : strcmp(word, "closes") == 0    ? d->keeps ? "-" : "closes"
		    : strcmp(word, "upgrade") == 0   ? d->upgrade ? "upgrade" : "-"
		    : strcmp(word, "end:whole") == 0 ? d->end_whole ? "end:whole" : "-"
		    : strcmp(word, "end:cut") == 0   ? d->end_whole ? "-" : "end:cut"
						     : "unknown");
	return strcmp(text, word) == 0;
}

static void check_state(const struct http_case *c, const struct drive *d)
{
	char *words = mem_strdup(c->state), *word = words, *next;

	while (word != NULL && *word != '\0') {
		next = strchr(word, ' ');
		if (next != NULL)
			*next++ = '\0';
		if (!holds(d, word))
			fail_msg("%s: not so: %s (outstanding %u, status %u, connect %s)", c->name, word,
			    d->outstanding, d->status, d->connect);
		word = next;
	}
	free(words);
}

static void run_case(const struct http_case *c, struct drive_splits splits)
{
	struct drive d;

	drive_run(&d, &rules, "192.0.2.7", c->bytes[CLIENT_SENDS].at, c->bytes[CLIENT_SENDS].len,
	    c->bytes[TARGET_SENDS].at, c->bytes[TARGET_SENDS].len, splits);
	check_fault(c->name, "client", d.client_fault, c->client_fault);
	check_fault(c->name, "target", d.target_fault, c->target_fault);
	check_bytes(c->name, "the target got", &d.to_target, &c->bytes[TARGET_GETS]);
	check_bytes(c->name, "the client got", &d.to_client, &c->bytes[CLIENT_GETS]);
	check_state(c, &d);
	drive_clear(&d);
}

static void test_cases(void **state)
{
	size_t i;

	assert_true(case_count >= 150);
	for (i = 0; i < case_count; i++)
		run_case(&cases[i], (struct drive_splits){0, 0});
}

static void test_every_split(void **state)
{
	size_t i, at, step, len;

	for (i = 0; i < case_count; i++) {
		len = cases[i].bytes[CLIENT_SENDS].len;
		step = len > ALL_SPLITS_BYTES ? len / 50 : 1;
		for (at = 1; at < len; at += step)
			run_case(&cases[i], (struct drive_splits){at, 0});
		len = cases[i].bytes[TARGET_SENDS].len;
		step = len > ALL_SPLITS_BYTES ? len / 50 : 1;
		for (at = 1; at < len; at += step)
			run_case(&cases[i], (struct drive_splits){0, at});
	}
}

static void test_bytes(void **state)
{
	size_t i;

	for (i = 0; i < case_count; i++)
		run_case(&cases[i], (struct drive_splits){DRIVE_BYTES, DRIVE_BYTES});
}

/* Other parsers find the messages that were passed on to begin and to end where http_relay does. */
static void test_oracles(void **state)
{
	char why[ORACLE_TEXT_BYTES];
	struct drive d;
	size_t i;

	if (oracle_count() == 0)
		skip();
	for (i = 0; i < case_count; i++) {
		drive_run(&d, &rules, "192.0.2.7", cases[i].bytes[CLIENT_SENDS].at,
		    cases[i].bytes[CLIENT_SENDS].len, cases[i].bytes[TARGET_SENDS].at,
		    cases[i].bytes[TARGET_SENDS].len, (struct drive_splits){0, 0});
		if (!oracle_agrees(&d, why))
			fail_msg("%s: %s", cases[i].name, why);
		drive_clear(&d);
	}
}

/* ---- other targets ---- */

static void check_pair(const struct http_rules *other, const char *ask, const char *asked, const char *answer,
    const char *answered)
{
	struct drive d;

	drive_run(&d, other, NULL, ask, strlen(ask), answer, strlen(answer), (struct drive_splits){0, 0});
	assert_int_equal(d.to_target.len, strlen(asked));
	assert_memory_equal(d.to_target.at, asked, d.to_target.len);
	assert_int_equal(d.to_client.len, strlen(answered));
	assert_memory_equal(d.to_client.at, answered, d.to_client.len);
	assert_null(d.client_fault);
	assert_null(d.target_fault);
	drive_clear(&d);
}

static void test_other_port(void **state)
{
	static const struct http_rules other = {"mid.example", 8443, own_hosts, 2};

	check_pair(&other, "GET http://mid.example/ HTTP/1.1\r\nHost: mid.example\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: mid.example:8443\r\n\r\n",
	    "HTTP/1.1 302 Found\r\nLocation: https://mid.example:8443/x\r\nContent-Length: 0\r\n\r\n",
	    "HTTP/1.1 302 Found\r\nLocation: http://mid.example/x\r\nContent-Length: 0\r\n\r\n");
}

static void test_address_target(void **state)
{
	static const struct http_rules other = {"2001:db8::7", 443, own_hosts, 2};

	check_pair(&other, "GET / HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n",
	    "GET / HTTP/1.1\r\nHost: [2001:db8::7]\r\n\r\n",
	    "HTTP/1.1 302 Found\r\nLocation: https://[2001:DB8:0::7]/x\r\nContent-Length: 0\r\n\r\n",
	    "HTTP/1.1 302 Found\r\nLocation: http://[::1]:8080/x\r\nContent-Length: 0\r\n\r\n");
}

/* ---- bounds, and what is kept ---- */

static enum http_step ask(struct http_relay *http, const char *bytes, size_t *taken)
{
	struct http_piece piece;

	return http_relay_request(http, (const unsigned char *)bytes, strlen(bytes), taken, &piece);
}

static enum http_step answer(struct http_relay *http, const char *bytes, size_t *taken)
{
	struct http_piece piece;

	return http_relay_response(http, (const unsigned char *)bytes, strlen(bytes), taken, &piece);
}

static const char get[] = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
static const char empty_answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

static void test_pipeline_bound(void **state)
{
	struct http_relay *http = http_relay_new(&rules, NULL);
	size_t taken;
	int i;

	for (i = 0; i < HTTP_PIPELINE_MAX; i++)
		assert_int_equal(ask(http, get, &taken), HTTP_HEAD);
	assert_int_equal(ask(http, get, &taken), HTTP_WAIT);
	assert_int_equal(taken, 0);
	assert_int_equal(answer(http, empty_answer, &taken), HTTP_HEAD);
	assert_int_equal(http_relay_outstanding(http), HTTP_PIPELINE_MAX - 1);
	assert_int_equal(ask(http, get, &taken), HTTP_HEAD);
	assert_int_equal(ask(http, get, &taken), HTTP_WAIT);
	for (i = 0; i < HTTP_PIPELINE_MAX; i++)
		assert_int_equal(answer(http, empty_answer, &taken), HTTP_HEAD);
	assert_true(http_relay_is_clean(http));
	http_relay_free(http);
}

/* Body bytes are passed on where they are. */
static void test_body_by_reference(void **state)
{
	static const unsigned char body[] = "0123456789";
	struct http_relay *http = http_relay_new(&rules, NULL);
	struct http_piece piece;
	size_t taken;

	ask(http, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\n", &taken);
	assert_int_equal(http_relay_request(http, body, 10, &taken, &piece), HTTP_PIECE);
	assert_ptr_equal(piece.bytes, body);
	assert_int_equal(piece.len, 8);
	assert_int_equal(taken, 8);
	answer(http, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", &taken);
	assert_int_equal(
	    http_relay_response(http, (const unsigned char *)"3\r\nabc\r\n2\r\nde\r\n0", 16, &taken, &piece),
	    HTTP_PIECE);
	assert_int_equal(piece.len, 15);
	assert_int_equal(taken, 15);
	http_relay_free(http);
}

/* After the first exchanges nothing is allocated; at rest hardly anything is held. */
static void test_memory(void **state)
{
	struct mallinfo2 before = mallinfo2(), after, rested;
	struct http_relay *http = http_relay_new(&rules, NULL);
	size_t taken;
	int i;

	for (i = 0; i < 3; i++) {
		assert_int_equal(ask(http, get, &taken), HTTP_HEAD);
		assert_int_equal(answer(http, empty_answer, &taken), HTTP_HEAD);
	}
	after = mallinfo2();
	http_relay_rest(http);
	rested = mallinfo2();
#if !defined(__SANITIZE_ADDRESS__)
	assert_true(after.uordblks - before.uordblks < 4096);
	assert_true(rested.uordblks - before.uordblks < 1024);
#else
	(void)before, (void)after, (void)rested;
#endif
	assert_true(http_relay_is_clean(http));
	assert_int_equal(ask(http, get, &taken), HTTP_HEAD);
	assert_string_equal(http_relay_request_head(http)->method, "GET");
	http_relay_free(http);
	http_relay_free(NULL);
}

/* A head that waits is not lost at rest. */
static void test_rest_in_head(void **state)
{
	struct http_relay *http = http_relay_new(&rules, NULL);
	size_t taken;

	assert_int_equal(ask(http, "GET / HT", &taken), HTTP_PIECE);
	http_relay_rest(http);
	assert_int_equal(ask(http, "TP/1.1\r\nHost: localhost\r\n\r\n", &taken), HTTP_HEAD);
	assert_false(http_relay_is_clean(http));
	http_relay_free(http);
}

static void test_fault_stays(void **state)
{
	struct http_relay *http = http_relay_new(&rules, NULL);
	size_t taken;

	assert_string_equal(http_relay_fault(http), "");
	assert_int_equal(ask(http, get, &taken), HTTP_HEAD);
	assert_int_equal(ask(http, "GET /\r\n\r\n", &taken), HTTP_BAD);
	assert_int_equal(taken, 0);
	assert_int_equal(ask(http, get, &taken), HTTP_BAD);
	assert_non_null(strstr(http_relay_fault(http), "METHOD TARGET VERSION"));
	/* The response to the good request comes through all the same. */
	assert_int_equal(answer(http, empty_answer, &taken), HTTP_HEAD);
	assert_false(http_relay_is_clean(http));
	http_relay_free(http);
}

static int load(void **state)
{
	const char *srcdir = getenv("srcdir");
	char *path = mem_printf("%s/tests/http", srcdir != NULL ? srcdir : ".");

	case_count = http_cases_load(path, cases);
	free(path);
	return 0;
}

static int unload(void **state)
{
	http_cases_free(cases, case_count);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cases),
	    cmocka_unit_test(test_every_split),
	    cmocka_unit_test(test_bytes),
	    cmocka_unit_test(test_oracles),
	    cmocka_unit_test(test_other_port),
	    cmocka_unit_test(test_address_target),
	    cmocka_unit_test(test_pipeline_bound),
	    cmocka_unit_test(test_body_by_reference),
	    cmocka_unit_test(test_memory),
	    cmocka_unit_test(test_rest_in_head),
	    cmocka_unit_test(test_fault_stays),
	};

	return cmocka_run_group_tests_name("http_relay", tests, load, unload);
}
