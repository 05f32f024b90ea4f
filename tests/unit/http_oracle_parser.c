/*
 * http_oracle_parser: http-parser as an oracle.
 */
#ifdef HAVE_HTTP_PARSER
#include <http_parser.h>

#include "unit/http_oracle_read.h"

struct context {
	const struct oracle_message *message;
	unsigned wholes;
};

static int on_headers_complete(http_parser *parser)
{
	const struct context *context = parser->data;

	return context->message->no_body ? 1 : 0;
}

static int on_message_complete(http_parser *parser)
{
	struct context *context = parser->data;

	context->wholes++;
	return 0;
}

struct oracle_reading oracle_read_http_parser(const struct oracle_message *message)
{
	struct context context = {message, 0};
	struct oracle_reading reading = {0};
	http_parser_settings settings;
	http_parser parser;
	size_t used;

	http_parser_settings_init(&settings);
	settings.on_headers_complete = on_headers_complete;
	settings.on_message_complete = on_message_complete;
	http_parser_init(&parser, message->response ? HTTP_RESPONSE : HTTP_REQUEST);
	parser.data = &context;
	used = http_parser_execute(&parser, &settings, message->bytes, message->len);
	if (message->until_end && HTTP_PARSER_ERRNO(&parser) == HPE_OK)
		http_parser_execute(&parser, &settings, NULL, 0);
	reading.error = http_errno_name(HTTP_PARSER_ERRNO(&parser));
	reading.knows_form = HTTP_PARSER_ERRNO(&parser) != HPE_INVALID_METHOD;
	reading.refused = HTTP_PARSER_ERRNO(&parser) != HPE_OK || used != message->len;
	reading.wholes = context.wholes;
	return reading;
}
#else
typedef int http_oracle_parser_is_not_there;
#endif
