/*
 * http_response: what the target may answer, and how the answer leaves for a client that speaks plain http.
 */
#include <string.h>
#include <strings.h>

#include "http/http_internal.h"

/* ---- what it may answer ---- */

static bool read_status(struct http_span line, struct http_response *response, struct error *err)
{
	char shown[HTTP_SHOWN_BYTES];
	const char *at = line.at;

	if (line.len >= 12 && memcmp(at, "HTTP/1.", 7) == 0 && (at[7] == '0' || at[7] == '1') &&
	    at[8] == ' ' && at[9] >= '1' && at[9] <= '9' && at[10] >= '0' && at[10] <= '9' && at[11] >= '0' &&
	    at[11] <= '9' && (line.len == 12 || at[12] == ' ')) {
		response->old_version = at[7] == '0';
		response->status = (uint16_t)((at[9] - '0') * 100 + (at[10] - '0') * 10 + at[11] - '0');
		return true;
	}
	return error_set(err,
	    "the response does not begin with a status line of HTTP/1.1 or HTTP/1.0 (\"%s\")",
	    http_show(line, shown));
}

static bool judge_interim(
    const struct http_asked *asked, const struct http_response *response, struct error *err)
{
	if (response->status == 101 && !asked->upgrade)
		return error_set(err, "the response is a 101 to a request that did not ask for an upgrade");
	if (asked->old_version || response->old_version)
		return error_set(err, "the response has the status %u in HTTP/1.0", response->status);
	return true;
}

bool http_response_read(const struct http_head *head, const struct http_asked *asked,
    struct http_response *response, struct error *err)
{
	struct http_connection connection;

	*response = (struct http_response){0};
	if (!read_status(head->first, response, err) || !http_connection_read(head, &connection, err) ||
	    !http_length_read(head, HTTP_PART_RESPONSE, response->old_version, &response->length, err))
		return false;
	if (response->status < 200 && !judge_interim(asked, response, err))
		return false;
	if ((response->status < 200 || response->status == 204) &&
	    (response->length.chunked || response->length.length > 0))
		return error_set(
		    err, "the response has the status %u, and a body that it cannot have", response->status);
	if (asked->old_version && response->length.chunked)
		return error_set(err, "the response is chunked for a client of HTTP/1.0");
	response->binds = http_head_binds(head);
	response->closes = connection.close || (response->old_version && !connection.keep_alive);
	return true;
}

/* ---- how it leaves ---- */

/* A URL of the target's becomes the client's own; false when it is another's. */
static bool write_url(
    const struct http_relay *http, struct http_span text, const struct http_base *base, struct http_buf *out)
{
	struct http_url url;

	if (!http_url_read(text, &url) || !http_authority_is_target(http->rules, &url.authority))
		return false;
	http_buf_add(out, base->text, base->len);
	if (base->len == 0 && (url.rest.len == 0 || url.rest.at[0] != '/'))
		http_buf_add_text(out, "/");
	else if (base->len == 0 && http_span_begins(url.rest, "//")) /* a path alone, not another host's (RFC 3986 3.3) */
		http_buf_add_text(out, "/.");
	http_buf_add_span(out, url.rest);
	return true;
}

/* The field's line with the URL at `text` put right. */
static void write_url_field(const struct http_relay *http, const struct http_field *field,
    struct http_span text, const struct http_base *base, struct http_buf *out)
{
	uint32_t before = out->len;
	const char *end = text.at + text.len;

	http_buf_add(out, field->line.at, (size_t)(text.at - field->line.at));
	if (write_url(http, text, base, out)) {
		http_buf_add(out, end, field->line.len - (size_t)(end - field->line.at));
		return;
	}
	out->len = before;
	http_buf_add_span(out, field->line);
}

/* "5; url=https://target/", the URL perhaps in quotes; empty when there is none. */
static struct http_span find_refresh_url(struct http_span value)
{
	struct http_span text = value;
	const char *quote;
	size_t i = 0;

	while (i < value.len && value.at[i] != ';' && value.at[i] != ',')
		i++;
	text = http_span_trim(http_span_from(value, i < value.len ? i + 1 : i));
	if (http_span_begins(text, "url")) {
		text = http_span_trim(http_span_from(text, 3));
		if (text.len == 0 || text.at[0] != '=')
			return (struct http_span){value.at, 0};
		text = http_span_trim(http_span_from(text, 1));
	}
	if (text.len > 0 && (text.at[0] == '"' || text.at[0] == '\'')) {
		quote = memchr(text.at + 1, text.at[0], text.len - 1);
		text = http_span_from(text, 1);
		if (quote != NULL)
			text.len = (size_t)(quote - text.at);
	}
	return text;
}

/* ---- Set-Cookie ---- */

/* The end of the name and value: at the first ';' that is not in quotes (RFC 6265 section 4.1.1). */
static size_t cookie_pair_len(struct http_span cookie)
{
	const char *equals = memchr(cookie.at, '=', cookie.len), *quote, *semicolon;
	size_t value, after;

	if (cookie.len == 0)
		return 0;
	semicolon = memchr(cookie.at, ';', cookie.len);
	if (semicolon == NULL)
		return cookie.len;
	if (equals == NULL || equals > semicolon)
		return (size_t)(semicolon - cookie.at);
	for (value = (size_t)(equals + 1 - cookie.at); value < cookie.len && cookie.at[value] == ' '; value++)
		continue;
	if (value == cookie.len || cookie.at[value] != '"')
		return (size_t)(semicolon - cookie.at);
	quote = memchr(cookie.at + value + 1, '"', cookie.len - value - 1);
	if (quote == NULL)
		return (size_t)(semicolon - cookie.at);
	for (after = (size_t)(quote + 1 - cookie.at); after < cookie.len && cookie.at[after] == ' '; after++)
		continue;
	return after == cookie.len || cookie.at[after] == ';' ? after : (size_t)(semicolon - cookie.at);
}

static bool covers(struct http_span domain, struct http_span host)
{
	size_t offset;

	if (domain.len == 0 || domain.len > host.len)
		return false;
	offset = host.len - domain.len;
	return strncasecmp(host.at + offset, domain.at, domain.len) == 0 &&
	       (offset == 0 || host.at[offset - 1] == '.');
}

/* A Domain of the target's that the client's own name for us does not match. */
static bool is_foreign_domain(
    const struct http_relay *http, struct http_span domain, const struct http_base *base)
{
	const char *target = http->rules->target_host;
	struct http_span text = {base->text + base->scheme_len, base->len - base->scheme_len};
	struct http_authority client;

	if (domain.len > 0 && domain.at[0] == '.')
		domain = http_span_from(domain, 1);
	if (!covers(domain, (struct http_span){target, strlen(target)}))
		return false;
	return base->len == 0 || !http_authority_read(text, &client) || !covers(domain, client.host);
}

static bool drops_attribute(
    const struct http_relay *http, struct http_span attribute, const struct http_base *base)
{
	const char *equals = attribute.len > 0 ? memchr(attribute.at, '=', attribute.len) : NULL;
	struct http_span name = attribute, value = {attribute.at, 0};

	if (equals != NULL) {
		name.len = (size_t)(equals - attribute.at);
		value = http_span_trim(http_span_from(attribute, name.len + 1));
		if (value.len >= 2 && value.at[0] == '"' && value.at[value.len - 1] == '"')
			value = (struct http_span){value.at + 1, value.len - 2};
	}
	name = http_span_trim(name);
	if (http_span_is(name, "Secure"))
		return true;
	if (http_span_is(name, "SameSite"))
		return http_span_is(value, "None");
	return http_span_is(name, "Domain") && is_foreign_domain(http, value, base);
}

static void write_cookie(const struct http_relay *http, const struct http_field *field,
    const struct http_base *base, struct http_buf *out)
{
	struct http_span rest = field->value, part;
	const char *semicolon;

	part = (struct http_span){rest.at, cookie_pair_len(rest)};
	http_buf_add(out, field->line.at, (size_t)(part.at + part.len - field->line.at));
	rest = http_span_from(rest, part.len);
	while (rest.len > 0) {
		semicolon = memchr(rest.at + 1, ';', rest.len - 1);
		part =
		    (struct http_span){rest.at, semicolon != NULL ? (size_t)(semicolon - rest.at) : rest.len};
		if (!drops_attribute(http, http_span_from(part, 1), base))
			http_buf_add_span(out, part);
		rest = http_span_from(rest, part.len);
	}
	http_buf_add(out, rest.at, (size_t)(field->line.at + field->line.len - rest.at));
}

void http_response_write(const struct http_relay *http, const struct http_head *head,
    const struct http_base *base, struct http_buf *out)
{
	const struct http_field *field;
	unsigned i;

	http_buf_add(out, head->first.at, head->first.len + 2);
	for (i = 0; i < head->count; i++) {
		field = &head->fields[i];
		if (field->known == HTTP_NAME_SET_COOKIE)
			write_cookie(http, field, base, out);
		else if (field->known == HTTP_NAME_LOCATION || field->known == HTTP_NAME_CONTENT_LOCATION)
			write_url_field(http, field, field->value, base, out);
		else if (field->known == HTTP_NAME_REFRESH)
			write_url_field(http, field, find_refresh_url(field->value), base, out);
		else if (field->known != HTTP_NAME_STRICT_TRANSPORT_SECURITY)
			http_buf_add_span(out, field->line);
	}
	http_buf_add_text(out, "\r\n");
}
