/*
 * addr: socket addresses and HOST:PORT pairs, as people write them and as the kernel takes them.
 */
#ifndef MIDRELAY_BASE_ADDR_H
#define MIDRELAY_BASE_ADDR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"

struct addr {
	socklen_t len; /* 0: not set */
	union {
		struct sockaddr sa;
		struct sockaddr_in in4;
		struct sockaddr_in6 in6;
		struct sockaddr_un un;
	} u;
};

/* Enough for "unix:" and the longest sun_path, escaped. */
#define ADDR_TEXT_BYTES 512

/* "127.0.0.1:8080", "[::1]:8080", "unix:/path".  Port 0 is allowed: the kernel chooses. */
bool addr_parse(const char *text, struct addr *addr, struct error *err) MUST_CHECK;

/* A numeric IPv4 or IPv6 address without port ("10.0.0.1", "::1", "[::1]"); the port is set to `port`. */
bool addr_parse_ip(const char *text, uint16_t port, struct addr *addr);

/* The form that addr_parse() takes; returns buf. */
const char *addr_format(const struct addr *addr, char buf[ADDR_TEXT_BYTES]);

/* The address without port and brackets; NULL: a UNIX socket.  Returns buf. */
const char *addr_format_host(const struct addr *addr, char buf[INET6_ADDRSTRLEN]);

uint16_t addr_port(const struct addr *addr); /* 0 for UNIX sockets */
void addr_set_port(struct addr *addr, uint16_t port);
bool addr_is_loopback(const struct addr *addr); /* 127.0.0.0/8, ::1, ::ffff:127.0.0.0/104, any UNIX socket */
bool addr_is_wildcard(const struct addr *addr); /* 0.0.0.0 or :: */
bool addr_equal(const struct addr *a, const struct addr *b);

/* A network in CIDR form: "10.0.0.0/8", "fd00::/8", or a single address. */
struct addr_cidr {
	struct addr net;
	unsigned prefix_bits;
};
bool addr_cidr_parse(const char *text, struct addr_cidr *cidr, struct error *err) MUST_CHECK;
/* True when the address lies in the network; an IPv4-mapped IPv6 address counts as IPv4. */
bool addr_cidr_contains(const struct addr_cidr *cidr, const struct addr *addr);

/*
 * HOST[:PORT] as in `target` and proxy URLs.  HOST is a DNS name (letters, digits, '-', '_', '.', at most
 * 253 bytes, labels of at most 63), an IPv4 address, or an IPv6 address in brackets.  Anything that could
 * break a request line (space, control, '/', '@', …) is refused.
 */
struct hostport {
	char *host; /* without brackets, lower case, without a final dot */
	uint16_t port;
	bool is_ip;
};
bool hostport_parse(const char *text, uint16_t default_port, struct hostport *hp, struct error *err) MUST_CHECK;
void hostport_clear(struct hostport *hp); /* frees what it holds */
/* "host:port", an IPv6 host in brackets.  The caller frees it. */
char *hostport_format(const struct hostport *hp);

#endif
