/*
 * http_request: who may ask, for what, and how the request leaves.
 */
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "http/http_internal.h"

#define METHOD_BYTES_MAX 32

/* ---- the request line ---- */

static bool read_version(struct http_request *request, struct error *err)
{
	char shown[HTTP_SHOWN_BYTES];

	request->old_version = request->version.len == 8 && memcmp(request->version.at, "HTTP/1.0", 8) == 0;
	if (request->old_version ||
	    (request->version.len == 8 && memcmp(request->version.at, "HTTP/1.1", 8) == 0))
		return true;
	return error_set(err, "the request is in \"%s\"; HTTP/1.1 and HTTP/1.0 are spoken here",
	    http_show(request->version, shown));
}

static bool read_words(struct http_span line, struct http_request *request, struct error *err)
{
	const char *first = memchr(line.at, ' ', line.len), *second = NULL;
	char shown[HTTP_SHOWN_BYTES];
	size_t i;

	if (first != NULL)
		second = memchr(first + 1, ' ', line.len - (size_t)(first + 1 - line.at));
	if (second == NULL || second == first + 1)
		return error_set(
		    err, "the request line is not METHOD TARGET VERSION (\"%s\")", http_show(line, shown));
	request->method = (struct http_span){line.at, (size_t)(first - line.at)};
	request->target = (struct http_span){first + 1, (size_t)(second - first - 1)};
	request->version = http_span_from(line, (size_t)(second + 1 - line.at));
	if (!http_is_token(request->method) || request->method.len > METHOD_BYTES_MAX)
		return error_set(err, "the request line has no method (\"%s\")", http_show(line, shown));
	for (i = 0; i < request->target.len; i++) {
		if (request->target.at[i] <= ' ' || request->target.at[i] > '~' ||
		    request->target.at[i] == '#')
			return error_set(err, "the request's target has a byte that no URL has (\"%s\")",
			    http_show(http_span_from(request->target, i), shown));
	}
	return read_version(request, err);
}

static bool method_is(const struct http_request *request, const char *method)
{
	return request->method.len == strlen(method) &&
	       memcmp(request->method.at, method, request->method.len) == 0;
}

static bool read_target(struct http_request *request, struct error *err)
{
	char shown[HTTP_SHOWN_BYTES];

	request->connect = method_is(request, "CONNECT");
	if (request->connect) {
		request->url.authority_text = request->target;
		if (http_authority_read(request->target, &request->url.authority) &&
		    request->url.authority.port != 0)
			return true;
		return error_set(err, "the request is to CONNECT to \"%s\", which is not HOST:PORT",
		    http_show(request->target, shown));
	}
	if (request->target.at[0] == '/' ||
	    (request->target.len == 1 && request->target.at[0] == '*' && method_is(request, "OPTIONS")))
		return true;
	request->absolute = true;
	if (http_url_read(request->target, &request->url) && request->url.default_port != 0)
		return true;
	return error_set(err, "the request's target is neither a path nor an http URL (\"%s\")",
	    http_show(request->target, shown));
}

/* ---- Connection ---- */

static bool read_connection_line(struct http_span list, struct http_connection *connection, struct error *err)
{
	char shown[HTTP_SHOWN_BYTES];
	struct http_span word;

	connection->seen = true;
	while (http_span_next(&list, &word)) {
		if (http_span_is(word, "close"))
			connection->close = true;
		else if (http_span_is(word, "keep-alive"))
			connection->keep_alive = true;
		else if (http_span_is(word, "upgrade"))
			connection->upgrade = true;
		else if (http_span_is(word, "Content-Length") || http_span_is(word, "Transfer-Encoding") ||
			 http_span_is(word, "Host"))
			return error_set(err, "a Connection line names %s, which is not the connection's",
			    http_show(word, shown));
	}
	return true;
}

bool http_connection_read(const struct http_head *head, struct http_connection *connection, struct error *err)
{
	unsigned i;

	*connection = (struct http_connection){0};
	for (i = 0; i < head->count; i++) {
		if (head->fields[i].known == HTTP_NAME_CONNECTION &&
		    !read_connection_line(head->fields[i].value, connection, err))
			return false;
	}
	return true;
}

/* Schemes whose credentials are those of one request (RFC 9110 section 11.6); any other may be a connection's. */
static bool is_request_scheme(struct http_span scheme)
{
	return http_span_is(scheme, "Basic") || http_span_is(scheme, "Bearer") ||
	       http_span_is(scheme, "Digest");
}

static bool field_binds(const struct http_field *field)
{
	struct http_span list = field->value, word;
	size_t i;

	if (field->known == HTTP_NAME_PERSISTENT_AUTH)
		return true;
	if (field->known != HTTP_NAME_AUTHORIZATION && field->known != HTTP_NAME_WWW_AUTHENTICATE)
		return false;
	/* A list of challenges, and of their parameters, which have a '='; in quotes there may be anything. */
	while (http_span_next(&list, &word)) {
		for (i = 0; i < word.len && word.at[i] != ' ' && word.at[i] != '\t' && word.at[i] != '='; i++)
			continue;
		if ((i == word.len || word.at[i] != '=') &&
		    !is_request_scheme((struct http_span){word.at, i}))
			return true;
	}
	return false;
}

bool http_head_binds(const struct http_head *head)
{
	unsigned i;

	for (i = 0; i < head->count; i++) {
		if (field_binds(&head->fields[i]))
			return true;
	}
	return false;
}

/* The client's own words are for us; without a Connection line they say what it wants of the connection. */
static bool read_proxy_connection(
    const struct http_head *head, struct http_connection *connection, struct error *err)
{
	unsigned i;

	for (i = 0; i < head->count; i++) {
		if (head->fields[i].known == HTTP_NAME_PROXY_CONNECTION &&
		    !read_connection_line(head->fields[i].value, connection, err))
			return false;
	}
	connection->seen = false;
	/* Its Connection line would have to say so, too, and does not reach the target from here. */
	if (connection->upgrade)
		return error_set(err, "a Proxy-Connection line asks for an upgrade, which only Connection can");
	return true;
}

/* ---- who may ask ---- */

static bool judge_authority(const struct http_relay *http, const struct http_authority *authority)
{
	return http_authority_is_target(http->rules, authority) ||
	       http_authority_is_own(http->rules, http->own_host, authority);
}

static bool judge_host(const struct http_relay *http, struct http_span value, struct http_request *request,
    struct http_authority *host, struct error *err)
{
	char shown[HTTP_SHOWN_BYTES];

	if (!http_authority_read(value, host))
		return error_set(
		    err, "the request's Host is not HOST or HOST:PORT (\"%s\")", http_show(value, shown));
	/* A name that is led to us on this host comes with the port of our listener. */
	if (judge_authority(http, host) || http_authority_is_target_host(http->rules, host) ||
	    (request->connect &&
		http_authority_same(host, &request->url.authority, request->url.authority.port)))
		return true;
	return error_set(err,
	    "the request is for the host \"%s\", which is neither this relay nor its target",
	    http_show(value, shown));
}

static bool read_host(const struct http_relay *http, const struct http_head *head,
    struct http_request *request, struct error *err)
{
	const struct http_field *found = NULL;
	char shown[HTTP_SHOWN_BYTES];
	unsigned i;

	for (i = 0; i < head->count; i++) {
		if (head->fields[i].known != HTTP_NAME_HOST)
			continue;
		if (found != NULL)
			return error_set(err, "the request has two Host lines");
		found = &head->fields[i];
	}
	if (found == NULL && !request->old_version)
		return error_set(err, "the request has no Host line");
	if (found != NULL) {
		request->host_text = found->value;
		if (!judge_host(http, found->value, request, &request->host, err))
			return false;
	}
	if (!request->absolute)
		return true;
	if (!judge_authority(http, &request->url.authority))
		return error_set(err, "the request is for \"%s\", which is neither this relay nor its target",
		    http_show(request->target, shown));
	request->host_text = request->url.authority_text;
	request->host = request->url.authority;
	return true;
}

/* A URL whose authority is the one that this client uses for us. */
static bool is_client_url(const struct http_request *request, const struct http_url *url)
{
	return request->host_text.len > 0 && url->default_port != 0 &&
	       http_authority_same(&url->authority, &request->host, url->default_port);
}

/* A web page may act under our certificate only when it came from the target, through us or not. */
static bool judge_origin(const struct http_relay *http, const struct http_field *field,
    const struct http_request *request, struct error *err)
{
	char shown[HTTP_SHOWN_BYTES];
	struct http_url url;

	if (field->known == HTTP_NAME_SEC_FETCH_SITE) {
		if (http_span_is(field->value, "same-origin") || http_span_is(field->value, "none"))
			return true;
		return error_set(err, "a page of another site made this request (Sec-Fetch-Site: %s)",
		    http_show(field->value, shown));
	}
	if (http_url_read(field->value, &url) && url.default_port != 0 && url.rest.len == 0 &&
	    (is_client_url(request, &url) || http_authority_is_target(http->rules, &url.authority)))
		return true;
	return error_set(
	    err, "a page of another site made this request (Origin: %s)", http_show(field->value, shown));
}

static bool judge_asker(const struct http_relay *http, const struct http_head *head,
    const struct http_request *request, struct error *err)
{
	unsigned i;

	for (i = 0; i < head->count; i++) {
		if (head->fields[i].known != HTTP_NAME_ORIGIN &&
		    head->fields[i].known != HTTP_NAME_SEC_FETCH_SITE)
			continue;
		if (!judge_origin(http, &head->fields[i], request, err))
			return false;
	}
	return true;
}

static bool has_field(const struct http_head *head, enum http_name known)
{
	unsigned i;

	for (i = 0; i < head->count; i++) {
		if (head->fields[i].known == known)
			return true;
	}
	return false;
}

bool http_request_read(const struct http_relay *http, const struct http_head *head,
    struct http_request *request, struct error *err)
{
	struct http_connection connection;

	*request = (struct http_request){0};
	if (!read_words(head->first, request, err) || !read_target(request, err) ||
	    !http_connection_read(head, &connection, err) ||
	    !http_length_read(head, HTTP_PART_REQUEST, request->old_version, &request->length, err) ||
	    !read_host(http, head, request, err) || !judge_asker(http, head, request, err))
		return false;
	if (request->connect && (request->length.chunked || request->length.length > 0))
		return error_set(err, "the request is a CONNECT with a body");
	request->connection_seen = connection.seen;
	if (!connection.seen && !read_proxy_connection(head, &connection, err))
		return false;
	request->closes = connection.close || (request->old_version && !connection.keep_alive);
	request->binds = http_head_binds(head);
	request->upgrade = connection.upgrade && !request->old_version && has_field(head, HTTP_NAME_UPGRADE);
	return true;
}

/* ---- how it leaves ---- */

static void write_target_authority(const struct http_rules *rules, struct http_buf *out)
{
	bool bracketed = strchr(rules->target_host, ':') != NULL;
	char port[8];

	if (bracketed)
		http_buf_add_text(out, "[");
	http_buf_add_text(out, rules->target_host);
	if (bracketed)
		http_buf_add_text(out, "]");
	if (rules->target_port != 443) {
		snprintf(port, sizeof(port), ":%u", rules->target_port);
		http_buf_add_text(out, port);
	}
}

static void write_first(
    const struct http_head *head, const struct http_request *request, struct http_buf *out)
{
	if (!request->absolute) {
		http_buf_add(out, head->first.at, head->first.len + 2);
		return;
	}
	http_buf_add(out, request->method.at, request->method.len + 1);
	if (request->url.rest.len == 0 && method_is(request, "OPTIONS"))
		http_buf_add_text(out, "*");
	else if (request->url.rest.len == 0 || request->url.rest.at[0] != '/')
		http_buf_add_text(out, "/");
	http_buf_add_span(out, request->url.rest);
	http_buf_add_text(out, " ");
	http_buf_add(out, request->version.at, request->version.len + 2);
}

/* The bytes of a field up to its value stay. */
static void write_name(const struct http_field *field, struct http_buf *out)
{
	http_buf_add(out, field->line.at, (size_t)(field->value.at - field->line.at));
}

/* Behind its value as well. */
static void write_end(const struct http_field *field, struct http_buf *out)
{
	const char *end = field->value.at + field->value.len;

	http_buf_add(out, end, field->line.len - (size_t)(end - field->line.at));
}

static void write_host(const struct http_rules *rules, const struct http_field *field, struct http_buf *out)
{
	write_name(field, out);
	write_target_authority(rules, out);
	write_end(field, out);
}

/*
 * Origin and Referer with our address would look foreign to the target, which is where the client means to
 * be: the address is put right as in Host.
 */
static void write_page(const struct http_relay *http, const struct http_field *field,
    const struct http_request *request, struct http_buf *out)
{
	struct http_url url;

	if (!http_url_read(field->value, &url) || url.default_port == 0 ||
	    (!is_client_url(request, &url) && !http_authority_is_target(http->rules, &url.authority))) {
		http_buf_add_span(out, field->line);
		return;
	}
	write_name(field, out);
	http_buf_add_text(out, "https://");
	write_target_authority(http->rules, out);
	http_buf_add_span(out, url.rest);
	write_end(field, out);
}

static void write_proxy_connection(
    const struct http_field *field, const struct http_request *request, struct http_buf *out)
{
	if (request->connection_seen || request->closes != !request->old_version)
		return;
	http_buf_add(out, field->line.at + sizeof("Proxy-") - 1, field->line.len - (sizeof("Proxy-") - 1));
}

void http_request_write(const struct http_relay *http, const struct http_head *head,
    const struct http_request *request, struct http_buf *out)
{
	const struct http_field *field;
	unsigned i;

	write_first(head, request, out);
	if (!has_field(head, HTTP_NAME_HOST)) {
		http_buf_add_text(out, "Host: ");
		write_target_authority(http->rules, out);
		http_buf_add_text(out, "\r\n");
	}
	for (i = 0; i < head->count; i++) {
		field = &head->fields[i];
		if (field->known == HTTP_NAME_HOST)
			write_host(http->rules, field, out);
		else if (field->known == HTTP_NAME_ORIGIN || field->known == HTTP_NAME_REFERER)
			write_page(http, field, request, out);
		else if (field->known == HTTP_NAME_PROXY_CONNECTION)
			write_proxy_connection(field, request, out);
		else if (field->known != HTTP_NAME_PROXY_OTHER)
			http_buf_add_span(out, field->line);
	}
	http_buf_add_text(out, "\r\n");
}
