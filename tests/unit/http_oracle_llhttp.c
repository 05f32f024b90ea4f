/*
 * http_oracle_llhttp: llhttp as an oracle.  Debian 12 has it as sources only, which are compiled in here.
 */
#ifdef HAVE_LLHTTP
#ifdef LLHTTP_FROM_SOURCES
#include <api.c>
#include <http.c>
#else
#include <llhttp.h>
#endif

#include <string.h>

#include "unit/http_oracle_read.h"

struct context {
	const struct oracle_message *message;
	unsigned wholes;
};

static int on_headers_complete(llhttp_t *parser)
{
	const struct context *context = parser->data;

	return context->message->no_body ? 1 : 0;
}

static int on_message_complete(llhttp_t *parser)
{
	struct context *context = parser->data;

	context->wholes++;
	return 0;
}

struct oracle_reading oracle_read_llhttp(const struct oracle_message *message)
{
	struct context context = {message, 0};
	struct oracle_reading reading = {0};
	llhttp_settings_t settings;
	llhttp_t parser;
	llhttp_errno_t error;

	llhttp_settings_init(&settings);
	settings.on_headers_complete = on_headers_complete;
	settings.on_message_complete = on_message_complete;
	llhttp_init(&parser, message->response ? HTTP_RESPONSE : HTTP_REQUEST, &settings);
	parser.data = &context;
	error = llhttp_execute(&parser, message->bytes, message->len);
	/* What is behind the last byte of an upgrade's request is not looked at. */
	if (error == HPE_PAUSED_UPGRADE && llhttp_get_error_pos(&parser) == message->bytes + message->len)
		error = HPE_OK;
	if (message->until_end && error == HPE_OK)
		error = llhttp_finish(&parser);
	reading.error = llhttp_errno_name(error);
	reading.knows_form = error != HPE_INVALID_METHOD;
	/* It (8.1.0) refuses good chunk extensions: a second one, and a value in quotes. */
	if (error == HPE_INVALID_CHUNK_SIZE || error == HPE_STRICT)
		reading.knows_form = memchr(message->bytes, ';', message->len) == NULL;
	reading.refused = error != HPE_OK;
	reading.wholes = context.wholes;
	return reading;
}
#else
typedef int http_oracle_llhttp_is_not_there;
#endif
