/*
 * addr: see addr.h.  Text to address and back, and questions about addresses; it opens no socket and asks no
 * resolver.
 */
#include "base/addr.h"

#include <arpa/inet.h>
#include <net/if.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define HOST_MAX_BYTES 253
#define LABEL_MAX_BYTES 63

static bool all_digits(const char *text)
{
	return *text != '\0' && text[strspn(text, "0123456789")] == '\0';
}

static void set_in4(struct addr *addr, const struct in_addr *in, uint16_t port)
{
	memset(addr, 0, sizeof(*addr));
	addr->len = sizeof(addr->u.in4);
	addr->u.in4.sin_family = AF_INET;
	addr->u.in4.sin_port = htons(port);
	addr->u.in4.sin_addr = *in;
}

/* "fe80::1%eth0" and "fe80::1%2" name the interface of a link-local address (RFC 4007 section 11). */
static bool parse_in6(const char *text, uint16_t port, struct addr *addr)
{
	char bare[INET6_ADDRSTRLEN];
	const char *zone = strchr(text, '%');
	size_t len = zone == NULL ? strlen(text) : (size_t)(zone - text);
	struct in6_addr in;
	uint64_t scope = 0;

	if (len >= sizeof(bare))
		return false;
	memcpy(bare, text, len);
	bare[len] = '\0';
	if (inet_pton(AF_INET6, bare, &in) != 1)
		return false;
	if (zone != NULL) {
		if (!IN6_IS_ADDR_LINKLOCAL(&in))
			return false;
		if (!text_parse_uint(zone + 1, 1, UINT32_MAX, &scope))
			scope = if_nametoindex(zone + 1);
		if (scope == 0)
			return false;
	}
	memset(addr, 0, sizeof(*addr));
	addr->len = sizeof(addr->u.in6);
	addr->u.in6.sin6_family = AF_INET6;
	addr->u.in6.sin6_port = htons(port);
	addr->u.in6.sin6_addr = in;
	addr->u.in6.sin6_scope_id = (uint32_t)scope;
	return true;
}

bool addr_parse_ip(const char *text, uint16_t port, struct addr *addr)
{
	size_t len = strlen(text);
	struct in_addr in;
	char *bare;
	bool ok;

	if (inet_pton(AF_INET, text, &in) == 1) {
		set_in4(addr, &in, port);
		return true;
	}
	if (len < 2 || text[0] != '[' || text[len - 1] != ']')
		return parse_in6(text, port, addr);
	bare = mem_strndup(text + 1, len - 2);
	ok = parse_in6(bare, port, addr);
	free(bare);
	return ok;
}

static bool parse_unix(const char *path, struct addr *addr, struct error *err)
{
	size_t len = strlen(path);

	if (path[0] != '/')
		return error_set(
		    err, "unix: needs an absolute path behind it: unix:/run/midrelay/relay.sock");
	if (text_has_control(path))
		return error_set(err, "the socket's path has a control character in it");
	if (len >= sizeof(addr->u.un.sun_path))
		return error_set(err, "the socket's path is %zu bytes long; the system allows %zu", len,
		    sizeof(addr->u.un.sun_path) - 1);
	memset(addr, 0, sizeof(*addr));
	addr->u.un.sun_family = AF_UNIX;
	memcpy(addr->u.un.sun_path, path, len + 1);
	addr->len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
	return true;
}

/* A name or a bare port where an address is needed: says what to write instead. */
static bool parse_refused(const char *text, struct error *err)
{
	char shown[128];

	text_escape(text, strlen(text), shown, sizeof(shown));
	if (all_digits(text))
		return error_set(err, "\"%s\" is not ADDRESS:PORT; write 127.0.0.1:%s", shown, shown);
	if (strncmp(text, "localhost:", 10) == 0 && all_digits(text + 10))
		return error_set(
		    err, "\"%s\" is a name, not an address; write 127.0.0.1:%s", shown, shown + 10);
	return error_set(
	    err, "\"%s\" is not an address; it must be like 127.0.0.1:8080, [::1]:8080 or unix:/path", shown);
}

bool addr_parse(const char *text, struct addr *addr, struct error *err)
{
	const char *colon;
	char *host;
	uint64_t port;
	bool ok;

	if (strncmp(text, "unix:", 5) == 0)
		return parse_unix(text + 5, addr, err);
	colon = strrchr(text, ':');
	if (colon == NULL || colon == text)
		return parse_refused(text, err);
	/* "::1:8080" would be read as an address without port: IPv6 needs its brackets here. */
	if (memchr(text, ':', (size_t)(colon - text)) != NULL && (text[0] != '[' || colon[-1] != ']'))
		return parse_refused(text, err);
	host = mem_strndup(text, (size_t)(colon - text));
	ok = addr_parse_ip(host, 0, addr);
	free(host);
	if (!ok)
		return parse_refused(text, err);
	if (!text_parse_uint(colon + 1, 0, UINT16_MAX, &port))
		return error_set(err, "the port must be a number from 0 to 65535");
	addr_set_port(addr, (uint16_t)port);
	return true;
}

static const char *format_unix(const struct addr *addr, char buf[ADDR_TEXT_BYTES])
{
	size_t head = offsetof(struct sockaddr_un, sun_path);
	size_t len = addr->len > head ? addr->len - head : 0;

	memcpy(buf, "unix:", 6);
	if (len == 0)
		return buf;
	/* Linux shows an abstract name with '@' for its leading NUL; a path ends at its NUL. */
	if (addr->u.un.sun_path[0] == '\0') {
		buf[5] = '@';
		text_escape(addr->u.un.sun_path + 1, len - 1, buf + 6, ADDR_TEXT_BYTES - 6);
		return buf;
	}
	text_escape(addr->u.un.sun_path, strnlen(addr->u.un.sun_path, len), buf + 5, ADDR_TEXT_BYTES - 5);
	return buf;
}

const char *addr_format(const struct addr *addr, char buf[ADDR_TEXT_BYTES])
{
	char ip[INET6_ADDRSTRLEN], zone[IF_NAMESIZE];

	if (addr->len == 0) {
		memcpy(buf, "(none)", 7);
		return buf;
	}
	switch (addr->u.sa.sa_family) {
	case AF_INET:
		inet_ntop(AF_INET, &addr->u.in4.sin_addr, ip, sizeof(ip));
		snprintf(buf, ADDR_TEXT_BYTES, "%s:%u", ip, addr_port(addr));
		return buf;
	case AF_INET6:
		inet_ntop(AF_INET6, &addr->u.in6.sin6_addr, ip, sizeof(ip));
		if (addr->u.in6.sin6_scope_id == 0)
			snprintf(buf, ADDR_TEXT_BYTES, "[%s]:%u", ip, addr_port(addr));
		else if (if_indextoname(addr->u.in6.sin6_scope_id, zone) != NULL)
			snprintf(buf, ADDR_TEXT_BYTES, "[%s%%%s]:%u", ip, zone, addr_port(addr));
		else
			snprintf(buf, ADDR_TEXT_BYTES, "[%s%%%u]:%u", ip, addr->u.in6.sin6_scope_id,
			    addr_port(addr));
		return buf;
	case AF_UNIX:
		return format_unix(addr, buf);
	default:
		snprintf(buf, ADDR_TEXT_BYTES, "(family %u)", addr->u.sa.sa_family);
		return buf;
	}
}

const char *addr_format_host(const struct addr *addr, char buf[INET6_ADDRSTRLEN])
{
	switch (addr->u.sa.sa_family) {
	case AF_INET:
		return inet_ntop(AF_INET, &addr->u.in4.sin_addr, buf, INET6_ADDRSTRLEN);
	case AF_INET6:
		/* A client of a wildcard listener says the IPv4 address that it used. */
		if (IN6_IS_ADDR_V4MAPPED(&addr->u.in6.sin6_addr))
			return inet_ntop(AF_INET, &addr->u.in6.sin6_addr.s6_addr[12], buf, INET6_ADDRSTRLEN);
		return inet_ntop(AF_INET6, &addr->u.in6.sin6_addr, buf, INET6_ADDRSTRLEN);
	default:
		return NULL;
	}
}

uint16_t addr_port(const struct addr *addr)
{
	if (addr->len == 0)
		return 0;
	if (addr->u.sa.sa_family == AF_INET)
		return ntohs(addr->u.in4.sin_port);
	if (addr->u.sa.sa_family == AF_INET6)
		return ntohs(addr->u.in6.sin6_port);
	return 0;
}

void addr_set_port(struct addr *addr, uint16_t port)
{
	if (addr->len == 0)
		return;
	if (addr->u.sa.sa_family == AF_INET)
		addr->u.in4.sin_port = htons(port);
	else if (addr->u.sa.sa_family == AF_INET6)
		addr->u.in6.sin6_port = htons(port);
}

/* The bytes of the IPv4 address, also out of ::ffff:a.b.c.d; NULL for others. */
static const unsigned char *in4_bytes(const struct addr *addr)
{
	if (addr->len == 0)
		return NULL;
	if (addr->u.sa.sa_family == AF_INET)
		return (const unsigned char *)&addr->u.in4.sin_addr;
	if (addr->u.sa.sa_family == AF_INET6 && IN6_IS_ADDR_V4MAPPED(&addr->u.in6.sin6_addr))
		return addr->u.in6.sin6_addr.s6_addr + 12;
	return NULL;
}

bool addr_is_loopback(const struct addr *addr)
{
	const unsigned char *in4 = in4_bytes(addr);

	if (addr->len == 0)
		return false;
	if (addr->u.sa.sa_family == AF_UNIX)
		return true;
	if (in4 != NULL)
		return in4[0] == 127;
	return addr->u.sa.sa_family == AF_INET6 && IN6_IS_ADDR_LOOPBACK(&addr->u.in6.sin6_addr);
}

bool addr_is_wildcard(const struct addr *addr)
{
	if (addr->len == 0)
		return false;
	if (addr->u.sa.sa_family == AF_INET)
		return addr->u.in4.sin_addr.s_addr == htonl(INADDR_ANY);
	return addr->u.sa.sa_family == AF_INET6 && IN6_IS_ADDR_UNSPECIFIED(&addr->u.in6.sin6_addr);
}

bool addr_equal(const struct addr *a, const struct addr *b)
{
	if (a->len == 0 || b->len == 0)
		return a->len == b->len;
	if (a->u.sa.sa_family != b->u.sa.sa_family)
		return false;
	switch (a->u.sa.sa_family) {
	case AF_INET:
		return a->u.in4.sin_port == b->u.in4.sin_port &&
		       a->u.in4.sin_addr.s_addr == b->u.in4.sin_addr.s_addr;
	case AF_INET6:
		return a->u.in6.sin6_port == b->u.in6.sin6_port &&
		       a->u.in6.sin6_scope_id == b->u.in6.sin6_scope_id &&
		       IN6_ARE_ADDR_EQUAL(&a->u.in6.sin6_addr, &b->u.in6.sin6_addr);
	case AF_UNIX:
		return a->len == b->len && memcmp(a->u.un.sun_path, b->u.un.sun_path,
					       a->len - offsetof(struct sockaddr_un, sun_path)) == 0;
	default:
		return a->len == b->len && memcmp(&a->u, &b->u, a->len) == 0;
	}
}

/* Compares the first `bits` bits. */
static bool same_prefix(const unsigned char *a, const unsigned char *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

static unsigned char *network_bytes(struct addr *addr, unsigned *bits)
{
	if (addr->u.sa.sa_family == AF_INET) {
		*bits = 32;
		return (unsigned char *)&addr->u.in4.sin_addr;
	}
	*bits = 128;
	return addr->u.in6.sin6_addr.s6_addr;
}

/* Clears what lies behind the prefix; true when something was set there. */
static bool clear_host_bits(unsigned char *bytes, unsigned prefix_bits, unsigned bits)
{
	bool any = false;
	unsigned i;

	for (i = prefix_bits; i < bits; i++) {
		unsigned char mask = (unsigned char)(0x80 >> (i % 8));

		if ((bytes[i / 8] & mask) != 0)
			any = true;
		bytes[i / 8] &= (unsigned char)~mask;
	}
	return any;
}

static bool cidr_refused(const char *text, struct error *err)
{
	char shown[128];

	return error_set(err, "\"%s\" is not a network; it must be like 10.0.0.0/8, 192.0.2.7 or fd00::/8",
	    text_escape(text, strlen(text), shown, sizeof(shown)));
}

bool addr_cidr_parse(const char *text, struct addr_cidr *cidr, struct error *err)
{
	const char *slash = strchr(text, '/');
	char *host = slash == NULL ? mem_strdup(text) : mem_strndup(text, (size_t)(slash - text));
	bool ok = host[0] != '[' && strchr(host, '%') == NULL && addr_parse_ip(host, 0, &cidr->net);
	unsigned char *bytes;
	unsigned bits;
	uint64_t prefix;
	char ip[INET6_ADDRSTRLEN];

	free(host);
	if (!ok)
		return cidr_refused(text, err);
	bytes = network_bytes(&cidr->net, &bits);
	prefix = bits;
	if (slash != NULL && !text_parse_uint(slash + 1, 0, bits, &prefix))
		return error_set(err, "the prefix length of a network must be a number from 0 to %u", bits);
	cidr->prefix_bits = (unsigned)prefix;
	if (clear_host_bits(bytes, cidr->prefix_bits, bits)) {
		inet_ntop(cidr->net.u.sa.sa_family, bytes, ip, sizeof(ip));
		return error_set(err,
		    "the network has bits set behind its prefix; write %s/%u, or leave out the "
		    "prefix for one address",
		    ip, cidr->prefix_bits);
	}
	/* Peers count as IPv4 when they are mapped, so networks must as well. */
	if (bits == 128 && cidr->prefix_bits >= 96 && IN6_IS_ADDR_V4MAPPED(&cidr->net.u.in6.sin6_addr)) {
		struct in_addr in;

		memcpy(&in, bytes + 12, sizeof(in));
		set_in4(&cidr->net, &in, 0);
		cidr->prefix_bits -= 96;
	}
	return true;
}

bool addr_cidr_contains(const struct addr_cidr *cidr, const struct addr *addr)
{
	const unsigned char *in4 = in4_bytes(addr);

	if (addr->len == 0 || cidr->net.len == 0)
		return false;
	if (in4 != NULL)
		return cidr->net.u.sa.sa_family == AF_INET &&
		       same_prefix((const unsigned char *)&cidr->net.u.in4.sin_addr, in4, cidr->prefix_bits);
	return addr->u.sa.sa_family == AF_INET6 && cidr->net.u.sa.sa_family == AF_INET6 &&
	       same_prefix(
		   cidr->net.u.in6.sin6_addr.s6_addr, addr->u.in6.sin6_addr.s6_addr, cidr->prefix_bits);
}

/* Why a byte cannot stand in a host name, with the remedy where one is known. */
static bool host_byte_refused(char c, struct error *err)
{
	char shown[8];

	text_escape(&c, 1, shown, sizeof(shown));
	if ((unsigned char)c >= 0x80)
		return error_set(err, "the host name is not ASCII; write its xn-- form");
	if (c == '/')
		return error_set(err, "write HOST or HOST:PORT only, without a scheme and without a path");
	if (c == '@')
		return error_set(err, "credentials do not belong here");
	return error_set(err, "'%s' cannot be part of a host name", shown);
}

/* Checks a DNS name and lowers it in place; a final dot is cut. */
static bool check_name(char *host, struct error *err)
{
	size_t len = strlen(host), label = 0, i;
	const char *last;

	if (len > 1 && host[len - 1] == '.')
		host[--len] = '\0';
	if (len == 0)
		return error_set(err, "the host name is empty");
	for (i = 0; i < len; i++) {
		char c = host[i];

		if (c >= 'A' && c <= 'Z')
			host[i] = c = (char)(c - 'A' + 'a');
		if (c == '.') {
			if (label == 0)
				return error_set(err, "the host name has an empty label");
			label = 0;
			continue;
		}
		if (!((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_'))
			return host_byte_refused(c, err);
		if (++label > LABEL_MAX_BYTES)
			return error_set(
			    err, "a label of the host name is longer than %d bytes", LABEL_MAX_BYTES);
	}
	if (label == 0)
		return error_set(err, "the host name has an empty label");
	if (len > HOST_MAX_BYTES)
		return error_set(err, "the host name is longer than %d bytes", HOST_MAX_BYTES);
	/* No top-level domain is a number: what ends in one was meant as an IPv4 address. */
	last = strrchr(host, '.');
	last = last == NULL ? host : last + 1;
	if (all_digits(last))
		return error_set(err, "\"%s\" is neither a host name nor an IPv4 address", host);
	return true;
}

/* Splits off the port; *host_len is the length of what stands before it, brackets included. */
static bool split_port(
    const char *text, uint16_t default_port, size_t *host_len, uint16_t *port, struct error *err)
{
	const char *end = text[0] == '[' ? strchr(text, ']') : strchr(text, ':');
	uint64_t number;

	*port = default_port;
	/* First, so that "http://user:password@host:80" is not taken for an IPv6 address. */
	if (strchr(text, '@') != NULL)
		return host_byte_refused('@', err);
	if (strchr(text, '/') != NULL)
		return host_byte_refused('/', err);
	if (text[0] == '[') {
		if (end == NULL)
			return error_set(err, "the ']' of the IPv6 address is missing");
		end++;
		if (*end != ':' && *end != '\0')
			return error_set(err, "only :PORT may follow the ']' of an IPv6 address");
	}
	if (end == NULL || *end == '\0') {
		*host_len = strlen(text);
		return true;
	}
	*host_len = (size_t)(end - text);
	if (text[0] != '[' && strchr(end + 1, ':') != NULL)
		return error_set(err, "an IPv6 address needs brackets: [2001:db8::1]:443");
	if (!text_parse_uint(end + 1, 1, UINT16_MAX, &number))
		return error_set(err, "the port must be a number from 1 to 65535");
	*port = (uint16_t)number;
	return true;
}

bool hostport_parse(const char *text, uint16_t default_port, struct hostport *hp, struct error *err)
{
	struct addr addr;
	size_t host_len = 0;
	uint16_t port = 0;
	char *host;

	if (!split_port(text, default_port, &host_len, &port, err))
		return false;
	if (text[0] == '[') {
		char ip[INET6_ADDRSTRLEN];

		host = mem_strndup(text + 1, host_len - 2);
		if (strchr(host, '%') != NULL || !parse_in6(host, 0, &addr)) {
			free(host);
			return error_set(err, "what stands in brackets is not an IPv6 address");
		}
		free(host);
		inet_ntop(AF_INET6, &addr.u.in6.sin6_addr, ip, sizeof(ip));
		host = mem_strdup(ip);
		hp->is_ip = true;
	} else {
		host = mem_strndup(text, host_len);
		hp->is_ip = addr_parse_ip(host, 0, &addr);
		if (!hp->is_ip && !check_name(host, err)) {
			free(host);
			return false;
		}
	}
	hp->host = host;
	hp->port = port;
	return true;
}

void hostport_clear(struct hostport *hp)
{
	free(hp->host);
	memset(hp, 0, sizeof(*hp));
}

char *hostport_format(const struct hostport *hp)
{
	return mem_printf(strchr(hp->host, ':') == NULL ? "%s:%u" : "[%s]:%u", hp->host, hp->port);
}
