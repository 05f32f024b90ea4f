/*
 * http_authority: reads HOST:PORT and the beginning of URLs, and tells who is meant.
 */
#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "http/http_authority.h"

#define ADDRESS_BYTES 64

static bool read_port(struct http_span text, uint16_t *port)
{
	unsigned value = 0;
	size_t i;

	for (i = 0; i < text.len; i++) {
		if (text.at[i] < '0' || text.at[i] > '9' || i == 5)
			return false;
		value = value * 10 + (unsigned)(text.at[i] - '0');
	}
	*port = (uint16_t)value;
	return value <= 65535 && (value > 0 || text.len == 0);
}

/* Letters, digits and what else a registered name may have (RFC 3986 3.2.2), but no separators. */
static bool is_host(struct http_span host, bool bracketed)
{
	size_t i;
	char c;

	for (i = 0; i < host.len; i++) {
		c = host.at[i];
		if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.')
			continue;
		if (bracketed ? c != ':' : c != '-' && c != '_' && c != '~' && c != '%')
			return false;
	}
	return host.len > 0;
}

bool http_authority_read(struct http_span text, struct http_authority *authority)
{
	struct http_span host = text, rest;
	bool bracketed = text.len > 0 && text.at[0] == '[';
	const char *end = text.len > 0 ? memchr(text.at, bracketed ? ']' : ':', text.len) : NULL;

	authority->port = 0;
	if (bracketed && end == NULL)
		return false;
	if (end != NULL) {
		host.len = (size_t)(end - text.at);
		rest = http_span_from(text, host.len + (bracketed ? 1 : 0));
		if (bracketed)
			host = http_span_from(host, 1);
		if (rest.len > 0 &&
		    (rest.at[0] != ':' || !read_port(http_span_from(rest, 1), &authority->port)))
			return false;
	}
	if (!is_host(host, bracketed))
		return false;
	if (!bracketed && host.len > 1 && host.at[host.len - 1] == '.')
		host.len--;
	authority->host = host;
	return true;
}

/* ---- who is meant ---- */

static int read_address(struct http_span host, unsigned char address[16])
{
	char text[ADDRESS_BYTES];

	if (host.len >= sizeof(text))
		return 0;
	memcpy(text, host.at, host.len);
	text[host.len] = '\0';
	if (inet_pton(AF_INET, text, address) == 1)
		return AF_INET;
	return inet_pton(AF_INET6, text, address) == 1 ? AF_INET6 : 0;
}

bool http_authority_same_host(struct http_span a, struct http_span b)
{
	unsigned char first[16], second[16];
	int family;

	if (a.len == b.len && strncasecmp(a.at, b.at, a.len) == 0)
		return true;
	if (memchr(a.at, ':', a.len) == NULL || memchr(b.at, ':', b.len) == NULL)
		return false;
	family = read_address(a, first);
	return family == AF_INET6 && read_address(b, second) == family && memcmp(first, second, 16) == 0;
}

static bool is_host_text(struct http_span host, const char *text)
{
	return text != NULL && http_authority_same_host(host, (struct http_span){text, strlen(text)});
}

bool http_authority_is_target_host(const struct http_rules *rules, const struct http_authority *authority)
{
	return is_host_text(authority->host, rules->target_host);
}

bool http_authority_is_target(const struct http_rules *rules, const struct http_authority *authority)
{
	return is_host_text(authority->host, rules->target_host) &&
	       (authority->port == 0 || authority->port == 80 || authority->port == 443 ||
		   authority->port == rules->target_port);
}

bool http_authority_is_own(
    const struct http_rules *rules, const char *own_host, const struct http_authority *authority)
{
	size_t i;

	if (is_host_text(authority->host, "localhost") || is_host_text(authority->host, own_host))
		return true;
	for (i = 0; i < rules->own_host_count; i++) {
		if (is_host_text(authority->host, rules->own_hosts[i]))
			return true;
	}
	return false;
}

bool http_authority_same(const struct http_authority *a, const struct http_authority *b, uint16_t port)
{
	return http_authority_same_host(a->host, b->host) &&
	       (a->port != 0 ? a->port : port) == (b->port != 0 ? b->port : port);
}

bool http_url_read(struct http_span text, struct http_url *url)
{
	size_t i;

	url->default_port = 0;
	if (http_span_begins(text, "http:")) {
		url->default_port = 80;
		text = http_span_from(text, 5);
	} else if (http_span_begins(text, "https:")) {
		url->default_port = 443;
		text = http_span_from(text, 6);
	}
	if (!http_span_begins(text, "//"))
		return false;
	text = http_span_from(text, 2);
	for (i = 0; i < text.len && strchr("/?#", text.at[i]) == NULL; i++)
		continue;
	url->authority_text = (struct http_span){text.at, i};
	url->rest = http_span_from(text, i);
	return http_authority_read(url->authority_text, &url->authority);
}
