/*
 * http_oracle_read: what one oracle makes of one message, given alone.  Knows nothing of http_relay.h, whose
 * names the oracles use too.
 */
#ifndef MIDRELAY_TESTS_UNIT_HTTP_ORACLE_READ_H
#define MIDRELAY_TESTS_UNIT_HTTP_ORACLE_READ_H

#include <stdbool.h>
#include <stddef.h>

struct oracle_message {
	const char *bytes;
	size_t len;
	bool response;
	bool no_body;   /* a response to HEAD */
	bool until_end; /* the stream ends behind it */
};

struct oracle_reading {
	unsigned wholes; /* messages that it found whole */
	bool refused;
	bool knows_form; /* false: a method or a form that it does not know, though it is good */
	const char *error;
};

struct oracle_reading oracle_read_http_parser(const struct oracle_message *message);
struct oracle_reading oracle_read_llhttp(const struct oracle_message *message);

#endif
