/*
 * http_authority: whom a host name in a message means: the target, us, or somebody else.
 */
#ifndef MIDRELAY_HTTP_HTTP_AUTHORITY_H
#define MIDRELAY_HTTP_HTTP_AUTHORITY_H

#include "http/http_head.h"

struct http_authority {
	struct http_span host; /* without brackets and without a final dot */
	uint16_t port;         /* 0: none was given */
};

/* "HOST[:PORT]", an IPv6 address in brackets; no user name before it. */
bool http_authority_read(struct http_span text, struct http_authority *authority) MUST_CHECK;
bool http_authority_same_host(struct http_span a, struct http_span b);

/* Its name, whatever the port. */
bool http_authority_is_target_host(const struct http_rules *rules, const struct http_authority *authority);
bool http_authority_is_target(const struct http_rules *rules, const struct http_authority *authority);
/* "localhost", an address that we listen on, or `own_host` (may be NULL); any port. */
bool http_authority_is_own(
    const struct http_rules *rules, const char *own_host, const struct http_authority *authority);
/* The same host and port, where http or https (`port`) supplies what was left out. */
bool http_authority_same(const struct http_authority *a, const struct http_authority *b, uint16_t port);

/* "http://AUTHORITY…", "https://AUTHORITY…", "//AUTHORITY…" (no scheme: port is 0). */
struct http_url {
	uint16_t default_port; /* 80 or 443, or 0 */
	struct http_span authority_text;
	struct http_authority authority;
	struct http_span rest; /* path, query and fragment */
};
bool http_url_read(struct http_span text, struct http_url *url) MUST_CHECK;

#endif
