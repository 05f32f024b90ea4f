/*
 * http_cases: reads the message pairs of tests/http (tests/http/README.md has the format).
 */
#ifndef MIDRELAY_TESTS_UNIT_HTTP_CASES_H
#define MIDRELAY_TESTS_UNIT_HTTP_CASES_H

#include <stdbool.h>
#include <stddef.h>

#define HTTP_CASES_MAX 1000

struct bytes {
	char *at;
	size_t len;
	bool given;
};

enum http_case_mark { CLIENT_SENDS, TARGET_GETS, TARGET_SENDS, CLIENT_GETS, MARKS };

struct http_case {
	char *name; /* FILE/CASE */
	struct bytes bytes[MARKS];
	char *client_fault, *target_fault; /* NULL: none */
	char *state;                       /* words; "" */
};

/* Every case of every *.cases file in the directory; returns their number. */
size_t http_cases_load(const char *directory, struct http_case cases[HTTP_CASES_MAX]);
void http_cases_free(struct http_case *cases, size_t count);

#endif
