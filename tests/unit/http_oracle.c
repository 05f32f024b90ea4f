/*
 * http_oracle: asks each oracle about each message, alone: it must be whole at its last byte and not before.
 */
#include <stdio.h>
#include <string.h>

#include "unit/http_oracle.h"
#include "unit/http_oracle_read.h"

typedef struct oracle_reading read_function(const struct oracle_message *);

static const struct {
	const char *name;
	read_function *read;
} oracles[] = {
#ifdef HAVE_HTTP_PARSER
    {"http-parser", oracle_read_http_parser},
#endif
#ifdef HAVE_LLHTTP
    {"llhttp", oracle_read_llhttp},
#endif
    {NULL, NULL},
};

unsigned oracle_count(void)
{
	return sizeof(oracles) / sizeof(oracles[0]) - 1;
}

static bool agrees_on(unsigned oracle, bool response, const struct drive_message *message, const char *bytes,
    char why[ORACLE_TEXT_BYTES])
{
	struct oracle_message part = {bytes + message->start, message->end - message->start, response,
	    response && message->no_body, message->until_end};
	struct oracle_reading reading = oracles[oracle].read(&part);

	if (!reading.knows_form)
		return true;
	if (reading.refused || reading.wholes != (message->whole ? 1u : 0u)) {
		snprintf(why, ORACLE_TEXT_BYTES,
		    "%s finds %u whole in the %s at %zu to %zu (%s); should be %d", oracles[oracle].name,
		    reading.wholes, response ? "response" : "request", message->start, message->end,
		    reading.error, message->whole);
		return false;
	}
	if (!message->whole || message->until_end)
		return true;
	part.len--;
	reading = oracles[oracle].read(&part);
	if (reading.wholes == 0)
		return true;
	snprintf(why, ORACLE_TEXT_BYTES, "%s finds the %s at %zu to %zu whole before its last byte",
	    oracles[oracle].name, response ? "response" : "request", message->start, message->end);
	return false;
}

bool oracle_agrees(const struct drive *drive, char why[ORACLE_TEXT_BYTES])
{
	unsigned oracle, i;

	for (oracle = 0; oracle < oracle_count(); oracle++) {
		for (i = 0; i < drive->to_target.count; i++) {
			if (!agrees_on(
				oracle, false, &drive->to_target.messages[i], drive->to_target.at, why))
				return false;
		}
		for (i = 0; i < drive->to_client.count; i++) {
			if (!agrees_on(oracle, true, &drive->to_client.messages[i], drive->to_client.at, why))
				return false;
		}
	}
	return true;
}
