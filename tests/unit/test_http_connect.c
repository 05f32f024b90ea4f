/*
 * Proves that the CONNECT request is written as it must be, and that every known shape of reply gets its
 * verdict, byte count and sentence, the same however the reply is cut into pieces.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "dial/http_connect.h"

#define OPEN HTTP_CONNECT_OPEN
#define REFUSED HTTP_CONNECT_REFUSED
#define BROKEN HTTP_CONNECT_BROKEN
#define MORE HTTP_CONNECT_MORE

struct outcome {
	enum http_connect_verdict verdict;
	size_t consumed;
	struct diagnosis diagnosis;
};

struct shape {
	const char *name;
	const char *head;
	enum http_connect_verdict verdict;
	enum diagnosis_code with, without; /* when credentials were sent, and when not */
	const char *says[3];               /* parts of the sentence */
	size_t len;                        /* of head, where it holds a NUL */
};

#define ALL(c) c, c
#define AUTH(c) DIAGNOSIS_PROXY_AUTH_##c
#define RECEIVED AUTH(REJECTED), AUTH(REQUIRED)
#define WINDOWS ALL(AUTH(NTLM_ONLY))
#define OTHER ALL(AUTH(UNSUPPORTED))
#define BAD ALL(DIAGNOSIS_PROXY_MALFORMED)
#define NOT_OK ALL(DIAGNOSIS_PROXY_STATUS)
#define UPSTREAM ALL(DIAGNOSIS_PROXY_UPSTREAM_FAILED)
#define DENIED ALL(DIAGNOSIS_PROXY_DENIED)
#define WITH_NUL(s) .head = s, .len = sizeof(s) - 1

static const char html_body[] =
    "<html><head><title>Access denied</title></head><body>\r\n\r\nBasic, Bearer</body></html>";

static const struct shape shapes[] = {
    /* Yes. */
    {"squid", "HTTP/1.1 200 Connection established\r\n\r\n", OPEN, ALL(0), {0}, 0},
    {"http10", "HTTP/1.0 200 Connection established\r\nProxy-agent: tinyproxy/1.11.1\r\n\r\n", OPEN, ALL(0),
	{0}, 0},
    {"apache", "HTTP/1.0 200 Connection Established\r\nProxy-agent: Apache/2.4.57 (Debian)\r\n\r\n", OPEN,
	ALL(0), {0}, 0},
    {"f5", "HTTP/1.1 200 Connected\r\n\r\n", OPEN, ALL(0), {0}, 0},
    {"connect-ok", "HTTP/1.1 200 CONNECT OK\r\n\r\n", OPEN, ALL(0), {0}, 0},
    {"no-reason", "HTTP/1.1 200 \r\n\r\n", OPEN, ALL(0), {0}, 0},
    {"no-reason-no-space", "HTTP/1.1 200\r\n\r\n", OPEN, ALL(0), {0}, 0},
    {"two-spaces", "HTTP/1.1  200  OK\r\n\r\n", OPEN, ALL(0), {0}, 0},
    {"http19", "HTTP/1.9 200 OK\r\n\r\n", OPEN, ALL(0), {0}, 0},
    {"201", "HTTP/1.1 201 Created\r\n\r\n", OPEN, ALL(0), {0}, 0},
    {"204", "HTTP/1.1 204 No Content\r\n\r\n", OPEN, ALL(0), {0}, 0},
    {"299", "HTTP/1.1 299 Odd\r\n\r\n", OPEN, ALL(0), {0}, 0},
    {"latin1-reason",
	"HTTP/1.1 200 Verbindung \xfc"
	"bernommen\r\n\r\n",
	OPEN, ALL(0), {0}, 0},
    {"tab-reason", "HTTP/1.1 200 all\tright\r\n\r\n", OPEN, ALL(0), {0}, 0},
    {"content-length", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", OPEN, ALL(0), {0}, 0},
    {"content-length-large", "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n", OPEN, ALL(0),
	{0}, 0},
    {"tmg-chunked", "HTTP/1.1 200 OK\r\nVia: 1.1 TMG01\r\nTransfer-Encoding: chunked\r\n\r\n", OPEN, ALL(0),
	{0}, 0},
    {"many-headers",
	"HTTP/1.1 200 Connection Established\r\nVia: 1.1 wsa:80 (Cisco-WSA/X)\r\nConnection: "
	"Keep-Alive\r\nAge: 0\r\n"
	"Date: Mon, 02 Mar 2026 09:00:00 GMT\r\nProxy-Connection: keep-alive\r\n\r\n",
	OPEN, ALL(0), {0}, 0},
    {"bare-lf", "HTTP/1.1 200 OK\nVia: 1.1 old\n\n", OPEN, ALL(0), {0}, 0},
    {"mixed-line-ends", "HTTP/1.1 200 OK\nVia: 1.1 old\r\n\n", OPEN, ALL(0), {0}, 0},
    {"folded", "HTTP/1.1 200 OK\r\nVia: 1.1 one,\r\n\t1.1 two\r\n \r\nX: y\r\n\r\n", OPEN, ALL(0), {0}, 0},
    {"no-colon", "HTTP/1.1 200 OK\r\nnot a header\r\n: nor this\r\n\r\n", OPEN, ALL(0), {0}, 0},
    {"bare-cr-in-header", "HTTP/1.1 200 OK\r\nX: a\rb\r\r\n\r\n", OPEN, ALL(0), {0}, 0},
    {"100-first", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", OPEN, ALL(0), {0}, 0},
    {"1xx-many",
	"HTTP/1.1 100\r\n\r\nHTTP/1.1 102 Processing\r\nX-Wait: yes\r\n\r\nHTTP/1.0 103 Hints\n\nHTTP/1.1 "
	"200\n\n",
	OPEN, ALL(0), {0}, 0},
    /* No: authentication. */
    {"skyhigh-407",
	"HTTP/1.0 407 authenticationrequired\r\nVia: 1.0 10.1.1.1 (McAfee Web Gateway "
	"8.2)\r\nProxy-Connection: Close\r\n"
	"Proxy-Authenticate: Negotiate\r\nProxy-Authenticate: Basic realm=\"McAfee Web Gateway\"\r\n\r\n",
	REFUSED, RECEIVED,
	{"\"HTTP/1.0 407 authenticationrequired\"", "offering Negotiate, Basic (", "McAfee Web Gateway 8.2"},
	0},
    {"isa-407",
	"HTTP/1.1 407 Proxy Authentication Required ( The ISA Server requires authorization to fulfill the "
	"request. Access"
	" to the Web Proxy filter is denied.  )\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: "
	"Kerberos\r\n"
	"Proxy-Authenticate: NTLM\r\n\r\n",
	REFUSED, WINDOWS, {"The ISA Server requires", "offering Negotiate, Kerberos, NTLM ("}, 0},
    {"squid-407",
	"HTTP/1.1 407 Proxy Authentication Required\r\nServer: squid/5.7\r\nX-Squid-Error: "
	"ERR_CACHE_ACCESS_DENIED 0\r\n"
	"Proxy-Authenticate: Basic realm=\"Squid proxy\"\r\nVia: 1.1 px (squid/5.7)\r\n\r\n",
	REFUSED, RECEIVED,
	{"; X-Squid-Error: ERR_CACHE_ACCESS_DENIED 0;", "; Server: squid/5.7", "; Via: 1.1 px (squid/5.7)"},
	0},
    {"tinyproxy-407",
	"HTTP/1.1 407 Proxy Authentication Required\r\nProxy-Authenticate: Basic realm=\"Tinyproxy\"\r\n\r\n",
	REFUSED, RECEIVED, {"offering Basic ("}, 0},
    {"tinyproxy-401", "HTTP/1.1 401 Unauthorized\r\nServer: tinyproxy/1.11.1\r\nConnection: close\r\n\r\n",
	REFUSED, AUTH(REJECTED), AUTH(UNSUPPORTED), {"offering no scheme", "Server: tinyproxy/1.11.1"}, 0},
    {"401-www-basic", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=x\r\n\r\n", REFUSED,
	RECEIVED, {"offering Basic"}, 0},
    {"401-www-ntlm", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM\r\n\r\n", REFUSED, WINDOWS,
	{"NTLM"}, 0},
    {"401-www-bearer", "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Bearer\r\n\r\n", REFUSED, OTHER,
	{"Bearer"}, 0},
    {"joined-407", "HTTP/1.1 407 No\r\nproxy-authenticate: Negotiate, NTLM, Basic realm=\"proxy\"\r\n\r\n",
	REFUSED, RECEIVED, {"offering Negotiate, NTLM, Basic ("}, 0},
    {"any-case-407", "HTTP/1.1 407 No\r\nPROXY-AUTHENTICATE: bAsIc REALM=\"x, NTLM\"\r\n\r\n", REFUSED,
	RECEIVED, {"offering bAsIc ("}, 0},
    {"basic-in-realm-407",
	"HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm=\"a, Basic b\", nonce=\"c\\\", Basic\"\r\n\r\n",
	REFUSED, OTHER, {"offering Digest ("}, 0},
    {"ntlm-in-realm-407",
	"HTTP/1.1 407 No\r\nProxy-Authenticate: Basic realm=\"NTLM, Negotiate\", charset=\"UTF-8\"\r\n\r\n",
	REFUSED, RECEIVED, {"offering Basic ("}, 0},
    {"spaces-around-equals-407",
	"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM,Negotiate , Digest realm = \"x\" , nonce = "
	"\"y\"\r\n\r\n",
	REFUSED, OTHER, {"offering NTLM, Negotiate, Digest ("}, 0},
    {"token68-407",
	"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM TlRMTVNTUAACAAAA==\r\nProxy-Authenticate: Negotiate "
	"YII=\r\n\r\n",
	REFUSED, WINDOWS, {"offering NTLM, Negotiate ("}, 0},
    {"folded-407",
	"HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate,\r\n\tNTLM,\r\n Basic realm=\"x\"\r\n\r\n", REFUSED,
	RECEIVED, {"offering Negotiate, NTLM, Basic ("}, 0},
    {"space-before-colon-407", "HTTP/1.1 407 No\nProxy-Authenticate : Basic realm=\"x\"\n\n", REFUSED,
	RECEIVED, {"Basic"}, 0},
    {"repeated-407", "HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM\r\nProxy-Authenticate: ntlm\r\n\r\n",
	REFUSED, WINDOWS, {"offering NTLM ("}, 0},
    {"open-quote-407",
	"HTTP/1.1 407 No\r\nProxy-Authenticate: NTLM realm=\"x\r\nProxy-Authenticate: Basic\r\n\r\n", REFUSED,
	RECEIVED, {"offering NTLM, Basic ("}, 0},
    {"digest-407",
	"HTTP/1.1 407 No\r\nProxy-Authenticate: Digest realm=\"x\", nonce=\"y\", qop=\"auth\"\r\n\r\n",
	REFUSED, OTHER, {"offering Digest ("}, 0},
    {"negotiate-digest-407",
	"HTTP/1.1 407 No\r\nProxy-Authenticate: Negotiate\r\nProxy-Authenticate: Digest realm=\"x\"\r\n\r\n",
	REFUSED, OTHER, {"offering Negotiate, Digest ("}, 0},
    {"metered-407", "HTTP/1.1 407 TRAFFIC_EXHAUSTED\r\n\r\n", REFUSED, OTHER,
	{"407 TRAFFIC_EXHAUSTED", "no scheme"}, 0},
    {"407-after-100", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n",
	REFUSED, RECEIVED, {"\"HTTP/1.1 407 No\""}, 0},
    /* No: the rest. */
    {"skyhigh-403", "HTTP/1.1 403 URLBlocked\r\nVia: 1.1 mwg\r\n\r\n", REFUSED, DENIED,
	{"403 URLBlocked", "Via: 1.1 mwg"}, 0},
    {"403-with-basic", "HTTP/1.1 403 Forbidden\r\nProxy-Authenticate: Basic\r\n\r\n", REFUSED, DENIED,
	{"403 Forbidden\""}, 0},
    {"squid-dns-503", "HTTP/1.1 503 Service Unavailable\r\nX-Squid-Error: ERR_DNS_FAIL 0\r\n\r\n", REFUSED,
	UPSTREAM, {"ERR_DNS_FAIL 0"}, 0},
    {"squid-forward-500", "HTTP/1.1 500 Internal Server Error\r\nX-Squid-Error: ERR_CANNOT_FORWARD 0\r\n\r\n",
	REFUSED, UPSTREAM, {"ERR_CANNOT_FORWARD 0"}, 0},
    {"tinyproxy-500", "HTTP/1.0 500 Unable to connect\r\n\r\n", REFUSED, UPSTREAM, {"500 Unable to connect"},
	0},
    {"502", "HTTP/1.1 502 Bad Gateway\r\n\r\n", REFUSED, UPSTREAM, {"502 Bad Gateway"}, 0},
    {"504", "HTTP/1.1 504\r\n\r\n", REFUSED, UPSTREAM, {"\"HTTP/1.1 504\""}, 0},
    {"privoxy-404", "HTTP/1.1 404 No such domain\r\n\r\n", REFUSED, UPSTREAM, {"404 No such domain"}, 0},
    {"squid-dns-400", "HTTP/1.1 400 Bad Request\r\nX-Squid-Error: ERR_DNS_FAIL 0\r\n\r\n", REFUSED, UPSTREAM,
	{"ERR_DNS"}, 0},
    {"400", "HTTP/1.1 400 Bad Request\r\nServer: nginx/1.22.1\r\n\r\n", REFUSED, NOT_OK,
	{"Server: nginx/1.22.1"}, 0},
    {"404", "HTTP/1.1 404 Not Found\r\n\r\n", REFUSED, NOT_OK, {"404 Not Found"}, 0},
    {"405", "HTTP/1.1 405 Method Not Allowed\r\n\r\n", REFUSED, NOT_OK, {"405"}, 0},
    {"302", "HTTP/1.1 302 Found\r\nLocation: http://portal.example/login\r\n\r\n", REFUSED, NOT_OK,
	{"; Location: http://portal.example/login"}, 0},
    {"501", "HTTP/1.1 501 CONNECT Unsupported\r\n\r\n", REFUSED, NOT_OK, {"501"}, 0},
    {"999", "HTTP/1.1 999 Request denied\r\n\r\n", REFUSED, NOT_OK, {"999"}, 0},
    {"000", "HTTP/1.1 000 Nothing\r\n\r\n", REFUSED, NOT_OK, {"000"}, 0},
    {"reason-with-escape", "HTTP/1.1 403 \xe9\\x\r\n\r\n", REFUSED, DENIED, {"403 \\xe9\\\\x"}, 0},
    /* What is no HTTP/1.x. */
    {"http2-line", "HTTP/2 200\r\n\r\n", BROKEN, BAD, {"an HTTP/2 reply: \"HTTP/2 200\""}, 0},
    {"http2.0-line", "HTTP/2.0 200 OK\r\n\r\n", BROKEN, BAD, {"an HTTP/2 reply"}, 0},
    {"http09-line", "HTTP/0.9 200 OK\r\n\r\n", BROKEN, BAD, {"another HTTP version"}, 0},
    {"icy", "ICY 200 OK\r\n\r\n", BROKEN, BAD, {"an ICY (streaming server) reply: \"ICY 200 OK\""}, 0},
    {"four-digits", "HTTP/1.1 2000 OK\r\n\r\n", BROKEN, BAD, {"exactly three digits: \"HTTP/1.1 2000 OK\""},
	0},
    {"two-digits", "HTTP/1.1 20 OK\r\n\r\n", BROKEN, BAD, {"exactly three digits"}, 0},
    {"letters-behind", "HTTP/1.1 200OK\r\n\r\n", BROKEN, BAD, {"exactly three digits"}, 0},
    {"signed", "HTTP/1.1 +200 OK\r\n\r\n", BROKEN, BAD, {"exactly three digits"}, 0},
    {"minor-of-two-digits", "HTTP/1.10 200 OK\r\n\r\n", BROKEN, BAD, {"exactly three digits"}, 0},
    {"no-code", "HTTP/1.1\r\n\r\n", BROKEN, BAD, {"exactly three digits"}, 0},
    {"lower-case", "http/1.1 200 OK\r\n\r\n", BROKEN, BAD, {"\"http/1.1 200 OK\""}, 0},
    {"empty-line", "\r\nHTTP/1.1 200 OK\r\n\r\n", BROKEN, BAD, {"an empty line"}, 0},
    {"empty-line-after-100", "HTTP/1.1 100 Continue\r\n\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", BROKEN, BAD,
	{"an empty line"}, 0},
    {"nul-in-status", .verdict = BROKEN, .with = DIAGNOSIS_PROXY_MALFORMED,
	.without = DIAGNOSIS_PROXY_MALFORMED, .says = {"a control byte (0x00) in its status line"},
	WITH_NUL("HTTP/1.1 200 O\0K\r\n\r\n")},
    {"escape-in-status", "HTTP/1.1 200 O\x1b[31mK\r\n\r\n", BROKEN, BAD,
	{"a control byte (0x1b) in its status line"}, 0},
    {"delete-in-status", "HTTP/1.1 200 O\x7fK\r\n\r\n", BROKEN, BAD, {"(0x7f)"}, 0},
    {"cr-in-status", "HTTP/1.1 200 O\rK\r\n\r\n", BROKEN, BAD, {"(0x0d)"}, 0},
    {"nul-in-header", .verdict = BROKEN, .with = DIAGNOSIS_PROXY_MALFORMED,
	.without = DIAGNOSIS_PROXY_MALFORMED, .says = {"a NUL byte in its header lines"},
	WITH_NUL("HTTP/1.1 200 OK\r\nX: \0\r\n\r\n")},
    {"html", "<!DOCTYPE html>\n<html><body>It works</body></html>\n", BROKEN, BAD,
	{"an HTML page: \"<!DOCTYPE html>\""}, 0},
    {"html-one-line",
	"<html><head><title>Intranet</title></head><body>no line end in this whole page</body></html>",
	BROKEN, BAD, {"an HTML page: \"<html><head>"}, 0},
    {"xml", "<?xml version=\"1.0\"?>\n", BROKEN, BAD, {"a page of markup"}, 0},
    {"ssh", "SSH-2.0-OpenSSH_9.2p1 Debian-2\r\n", BROKEN, BAD,
	{"an SSH banner: \"SSH-2.0-OpenSSH_9.2p1 Debian-2\""}, 0},
    {"smtp", "220 mail.corp.example ESMTP\r\n", BROKEN, BAD, {"an SMTP or FTP greeting"}, 0},
    {"pop3", "+OK ready\r\n", BROKEN, BAD, {"a POP3 greeting"}, 0},
    {"imap", "* OK IMAP4rev1\r\n", BROKEN, BAD, {"an IMAP greeting"}, 0},
    {"redis", "-ERR unknown command\r\n", BROKEN, BAD, {"a Redis error"}, 0},
    {"rtsp", "RTSP/1.0 400 Bad Request\r\n\r\n", BROKEN, BAD, {"an RTSP reply"}, 0},
    {"echo", "CONNECT acme.service-now.com:443 HTTP/1.1\r\n", BROKEN, BAD, {"our own request sent back"}, 0},
    {"words", "go away\r\n", BROKEN, BAD, {"text that is no HTTP reply: \"go away\""}, 0},
    {"tls-alert", .verdict = BROKEN, .with = DIAGNOSIS_PROXY_MALFORMED, .without = DIAGNOSIS_PROXY_MALFORMED,
	.says = {"a TLS alert record: \"\\x15\\x03\""}, WITH_NUL("\x15\x03\x01\x00\x02\x02\x46")},
    {"tls-handshake", .verdict = BROKEN, .with = DIAGNOSIS_PROXY_MALFORMED,
	.without = DIAGNOSIS_PROXY_MALFORMED, .says = {"a TLS record"}, WITH_NUL("\x16\x03\x03\x00\x7a\x02")},
    {"http2-frame", .verdict = BROKEN, .with = DIAGNOSIS_PROXY_MALFORMED,
	.without = DIAGNOSIS_PROXY_MALFORMED, .says = {"an HTTP/2 frame"},
	WITH_NUL("\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80")},
    {"socks5", "\x05\xff", BROKEN, BAD, {"a SOCKS 5 reply"}, 0},
    {"telnet", "\xff\xfd\x18", BROKEN, BAD, {"a Telnet negotiation"}, 0},
    {"mysql", .verdict = BROKEN, .with = DIAGNOSIS_PROXY_MALFORMED, .without = DIAGNOSIS_PROXY_MALFORMED,
	.says = {"binary data"}, WITH_NUL("J\0\0\0\n8.0.36\0")},
    /* Not decided. */
    {"nothing", "", MORE, ALL(0), {0}, 0},
    {"half", "HTTP/1.1 200 OK\r\nVia: x\r\n", MORE, ALL(0), {0}, 0},
    {"half-line-end", "HTTP/1.1 200 OK\r", MORE, ALL(0), {0}, 0},
    {"only-100", "HTTP/1.1 100 Continue\r\n\r\n", MORE, ALL(0), {0}, 0},
    {"short-words", "hello", MORE, ALL(0), {0}, 0},
};
#define SHAPE_COUNT (sizeof(shapes) / sizeof(shapes[0]))

static size_t shape_len(const struct shape *shape)
{
	return shape->len > 0 ? shape->len : strlen(shape->head);
}

static struct http_connect_context make_context(bool sent)
{
	return (struct http_connect_context){.proxy_name = "http://proxy:3128",
	    .target = "acme.service-now.com:443",
	    .sent_credentials = sent};
}

/* One call with a copy of exactly `len` bytes, so that a sanitizer sees a read behind them. */
static void parse_copy(
    struct http_connect_parser *parser, const char *from, size_t len, bool sent, struct outcome *o)
{
	struct http_connect_context context = make_context(sent);
	char *copy = len > 0 ? mem_dup(from, len) : NULL;

	o->verdict = http_connect_parse(parser, copy, len, &context, &o->consumed, &o->diagnosis);
	free(copy);
}

static struct outcome feed_whole(const char *from, size_t len, bool sent)
{
	struct http_connect_parser parser = {0};
	struct outcome o = {0};

	parse_copy(&parser, from, len, sent, &o);
	return o;
}

static struct outcome feed_split(const char *from, size_t len, size_t at, bool sent)
{
	struct http_connect_parser parser = {0};
	struct outcome o = {0};

	parse_copy(&parser, from, at, sent, &o);
	if (o.verdict == MORE)
		parse_copy(&parser, from, len, sent, &o);
	return o;
}

static struct outcome feed_bytes(const char *from, size_t len, bool sent)
{
	struct http_connect_context context = make_context(sent);
	struct http_connect_parser parser = {0};
	struct outcome o = {0};
	size_t i;

	for (i = 1; i <= len && o.verdict == MORE; i++) {
		if (len <= 4096)
			parse_copy(&parser, from, i, sent, &o);
		else
			o.verdict = http_connect_parse(&parser, from, i, &context, &o.consumed, &o.diagnosis);
	}
	return o;
}

static void assert_same(const char *name, size_t at, const struct outcome *a, const struct outcome *b)
{
	if (a->verdict == b->verdict && a->consumed == b->consumed &&
	    a->diagnosis.code == b->diagnosis.code &&
	    strcmp(a->diagnosis.sentence, b->diagnosis.sentence) == 0)
		return;
	fail_msg("%s cut at %zu: %d/%zu '%s', whole: %d/%zu '%s'", name, at, (int)b->verdict, b->consumed,
	    b->diagnosis.sentence, (int)a->verdict, a->consumed, a->diagnosis.sentence);
}

static void assert_printable(const struct outcome *o)
{
	const char *c;

	for (c = o->diagnosis.sentence; *c != '\0'; c++)
		assert_in_range((unsigned char)*c, 0x20, 0x7e);
}

/* Whole, byte by byte, at every split point; with bytes of the tunnel (or a body) behind, too. */
static struct outcome assert_split_proof(const char *name, const char *from, size_t len, bool sent)
{
	struct outcome whole = feed_whole(from, len, sent), other = feed_bytes(from, len, sent);
	size_t at, step = len > 4096 ? 997 : 1;

	assert_same(name, 1, &whole, &other);
	for (at = 0; at <= len; at += step) {
		other = feed_split(from, len, at, sent);
		assert_same(name, at, &whole, &other);
	}
	assert_printable(&whole);
	return whole;
}

static void check_shape(const struct shape *shape, bool sent, const char *behind, size_t behind_len)
{
	size_t len = shape_len(shape), i;
	char *bytes = mem_calloc(1, len + behind_len + 1);
	struct outcome o;

	memcpy(bytes, shape->head, len);
	if (behind_len > 0)
		memcpy(bytes + len, behind, behind_len);
	o = assert_split_proof(shape->name, bytes, len + behind_len, sent);
	free(bytes);
	if (o.verdict != shape->verdict)
		fail_msg("%s: verdict %d '%s'", shape->name, (int)o.verdict, o.diagnosis.sentence);
	assert_int_equal(o.consumed, o.verdict == OPEN ? len : 0);
	if (o.verdict != REFUSED && o.verdict != BROKEN)
		return;
	if (o.diagnosis.code != (sent ? shape->with : shape->without))
		fail_msg("%s: %s '%s'", shape->name, diagnosis_name(o.diagnosis.code), o.diagnosis.sentence);
	for (i = 0; i < 3 && shape->says[i] != NULL; i++) {
		if (strstr(o.diagnosis.sentence, shape->says[i]) == NULL)
			fail_msg("%s: no '%s' in '%s'", shape->name, shape->says[i], o.diagnosis.sentence);
	}
	assert_non_null(strstr(o.diagnosis.sentence, "http://proxy:3128"));
	assert_non_null(strstr(o.diagnosis.sentence, "acme.service-now.com:443"));
}

static void test_shapes(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < SHAPE_COUNT; i++) {
		check_shape(&shapes[i], true, NULL, 0);
		check_shape(&shapes[i], false, NULL, 0);
	}
}

/* What follows a decided head changes nothing, neither an HTML body nor the first bytes of the tunnel. */
static void test_surplus(void **state)
{
	static const char tls[] = "\x16\x03\x03\0\x05HTTP/1.1 407 No\r\n\r\n";
	size_t i;

	(void)state;
	for (i = 0; i < SHAPE_COUNT; i++) {
		if (shapes[i].verdict == MORE)
			continue;
		check_shape(&shapes[i], true, html_body, sizeof(html_body) - 1);
		check_shape(&shapes[i], false, tls, sizeof(tls) - 1);
	}
}

/* The sentence says whether credentials were sent. */
static void test_says_whether_sent(void **state)
{
	static const char head[] = "HTTP/1.1 407 No\r\nProxy-Authenticate: Basic\r\n\r\n";
	struct outcome o;

	(void)state;
	o = feed_whole(head, sizeof(head) - 1, true);
	assert_non_null(strstr(o.diagnosis.sentence, "(our credentials were sent)"));
	o = feed_whole(head, sizeof(head) - 1, false);
	assert_non_null(strstr(o.diagnosis.sentence, "(no credentials were sent)"));
}

/* A whole sentence; of two headers of one kind the first is shown. */
static void test_sentence(void **state)
{
	static const char head[] =
	    "HTTP/1.1 403 Forbidden\r\nVia: 1.1 first \r\nServer: squid/5.7\r\nVia: 1.1 second\r\n\r\n";
	struct outcome o = feed_whole(head, sizeof(head) - 1, false);

	(void)state;
	assert_string_equal(o.diagnosis.sentence,
	    "http://proxy:3128 answered \"HTTP/1.1 403 Forbidden\" to CONNECT acme.service-now.com:443"
	    "; Via: 1.1 first; Server: squid/5.7");
}

/* `head`, then `unit` as often as fits in `total` bytes, then `tail`. */
static char *repeat(const char *head, const char *unit, size_t count, const char *tail, size_t *len)
{
	size_t unit_len = strlen(unit), i;
	char *bytes = mem_calloc(1, strlen(head) + count * unit_len + strlen(tail) + 1), *at;

	at = stpcpy(bytes, head);
	for (i = 0; i < count; i++)
		at = stpcpy(at, unit);
	at = stpcpy(at, tail);
	*len = (size_t)(at - bytes);
	return bytes;
}

static void check_bound(
    const char *name, char *bytes, size_t len, enum http_connect_verdict verdict, const char *says)
{
	struct outcome o = assert_split_proof(name, bytes, len, false);

	if (o.verdict != verdict)
		fail_msg("%s: verdict %d '%s'", name, (int)o.verdict, o.diagnosis.sentence);
	if (says != NULL) {
		assert_int_equal(o.diagnosis.code, DIAGNOSIS_PROXY_MALFORMED);
		assert_non_null(strstr(o.diagnosis.sentence, says));
	}
	free(bytes);
}

static void test_bounds(void **state)
{
	static const char yes[] = "HTTP/1.1 200 OK\r\n";
	const size_t line = HTTP_CONNECT_MAX_LINE_BYTES;
	size_t len;
	char *bytes;

	(void)state;
	bytes = repeat("HTTP/1.1 200 OK\r\nX:", "a", line - 3, "\r\n\r\n", &len);
	check_bound("longest line", bytes, len, OPEN, NULL);
	bytes = repeat("HTTP/1.1 200 OK\r\nX:", "a", line - 2, "\r\n\r\n", &len);
	check_bound("line", bytes, len, BROKEN, "a line longer than 16384 bytes");
	bytes = repeat("HTTP/1.1 200 ", "a", line, "", &len);
	check_bound("status line", bytes, len, BROKEN, "a line longer than 16384 bytes");
	bytes = repeat("HTTP/1.1 200 ", "a", line - 13, "\r\n\r\n", &len);
	check_bound("status line and CR", bytes, len, BROKEN, "a line longer than 16384 bytes");
	bytes = repeat(yes, "X: y\r\n", HTTP_CONNECT_MAX_LINES - 2, "\r\n", &len);
	check_bound("most lines", bytes, len, OPEN, NULL);
	bytes = repeat(yes, "X: y\r\n", HTTP_CONNECT_MAX_LINES - 1, "\r\n", &len);
	check_bound("lines", bytes, len, BROKEN, "more than 100 lines");
	bytes = repeat("", "HTTP/1.1 100 Continue\r\n\r\n", 51, "HTTP/1.1 200 OK\r\n\r\n", &len);
	check_bound("1xx without end", bytes, len, BROKEN, "more than 100 lines");
}

static void test_head_bound(void **state)
{
	static const char yes[] = "HTTP/1.1 200 OK\r\n";
	size_t len, filler;
	char *unit = repeat("X: ", "z", 1019, "\r\n", &filler), *bytes, *tail;

	(void)state;
	assert_int_equal(filler, 1024);
	/* 63 units and the status line leave room for one line that fills the head to the last byte. */
	tail = repeat(
	    "Y: ", "y", HTTP_CONNECT_MAX_HEAD_BYTES - 63 * 1024 - strlen(yes) - 3 - 4, "\r\n\r\n", &len);
	bytes = repeat(yes, unit, 63, tail, &len);
	assert_int_equal(len, HTTP_CONNECT_MAX_HEAD_BYTES);
	check_bound("largest head", bytes, len, OPEN, NULL);
	free(tail);
	tail = repeat(
	    "Y: ", "y", HTTP_CONNECT_MAX_HEAD_BYTES - 63 * 1024 - strlen(yes) - 3 - 3, "\r\n\r\n", &len);
	bytes = repeat(yes, unit, 63, tail, &len);
	check_bound("head", bytes, len, BROKEN, "a head longer than 65536 bytes");
	free(tail);
	free(unit);
}

/* No byte is looked at again by the next call, but for a CR that waits for its LF: linear, whatever the
 * split. */
static void test_linear(void **state)
{
	struct http_connect_context context = make_context(false);
	struct http_connect_parser parser = {0};
	struct diagnosis d;
	size_t len, filler, consumed, i;
	char *unit = repeat("X: ", "z", 1019, "\r\n", &filler), *bytes;
	enum http_connect_verdict verdict = MORE;

	(void)state;
	bytes = repeat("HTTP/1.1 200 OK\r\n", unit, 60, "\r\n", &len);
	for (i = 1; i <= len && verdict == MORE; i++) {
		verdict = http_connect_parse(&parser, bytes, i, &context, &consumed, &d);
		assert_true(parser.scanned + 1 >= i);
	}
	assert_int_equal(verdict, OPEN);
	assert_int_equal(consumed, len);
	free(bytes);
	free(unit);
}

/* A refusal full of long foreign text stays within the sentence, and what matters most comes first. */
static void test_long_refusal(void **state)
{
	size_t len, part;
	char *via = repeat("HTTP/1.1 407 ", "\xff", 4000, "\r\nVia: ", &part), *bytes;
	struct outcome o;

	(void)state;
	bytes = repeat(via, "\\", 4000, "\r\nServer: x\r\nProxy-Authenticate: NTLM\r\n\r\n", &len);
	o = assert_split_proof("long refusal", bytes, len, true);
	assert_int_equal(o.verdict, REFUSED);
	assert_int_equal(o.diagnosis.code, DIAGNOSIS_PROXY_AUTH_NTLM_ONLY);
	assert_non_null(strstr(o.diagnosis.sentence, "offering NTLM (our credentials were sent)"));
	assert_non_null(strstr(o.diagnosis.sentence, "407 \\xff"));
	free(bytes);
	free(via);
}

static void check_closed(const char *from, size_t len, bool reset, const char *says)
{
	struct http_connect_context context = make_context(true);
	char *copy = len > 0 ? mem_dup(from, len) : NULL;
	struct outcome o = {0};

	http_connect_closed(copy, len, reset, &context, &o.diagnosis);
	free(copy);
	assert_int_equal(o.diagnosis.code, DIAGNOSIS_PROXY_CLOSED);
	assert_printable(&o);
	if (strstr(o.diagnosis.sentence, says) == NULL)
		fail_msg("no '%s' in '%s'", says, o.diagnosis.sentence);
	assert_non_null(
	    strstr(o.diagnosis.sentence, reset ? " reset the connection" : " closed the connection"));
}

static void test_closed(void **state)
{
	static const char part[] = "HTTP/1.1 407 Proxy Authentication Required\r\nVia: 1";

	(void)state;
	check_closed("", 0, false, "without a word");
	check_closed("", 0, true, "(our credentials were sent)");
	check_closed(
	    part, sizeof(part) - 1, false, "after 50 bytes: \"HTTP/1.1 407 Proxy Authentication Required\"");
	check_closed(part, 3, true,
	    "in the middle of its reply to CONNECT acme.service-now.com:443, after 3 bytes: \"HTT\"");
	check_closed("\x15\x03\x01", 3, false, "with a TLS alert record");
	check_closed("\n", 1, false, "with an empty line");
	check_closed("\r", 1, true, "after 1 bytes");
	check_closed("SSH-", 4, true, "with an SSH banner and reset");
}

static void assert_request(const struct http_connect_request *request, const char *expected)
{
	struct secret *secret = http_connect_build(request);

	assert_int_equal(secret_len(secret), strlen(expected));
	assert_memory_equal(secret_bytes(secret), expected, strlen(expected));
	secret_free(secret);
}

static void test_request(void **state)
{
	static const char *const names[] = {"user-agent", "X-Site"};
	static const char *const values[] = {"Mozilla/5.0", "berlin"};
	char acme[] = "acme.service-now.com", ip6[] = "2001:db8::1";
	struct hostport target = {.host = acme, .port = 443};
	struct http_connect_request request = {.target = &target};
	struct secret *password = secret_new("open sesame", 11),
		      *utf8 = secret_new("p\xc3\xa4ss:w\xc3\xb6rd", 11);

	(void)state;
	assert_request(&request,
	    "CONNECT acme.service-now.com:443 HTTP/1.1\r\nHost: acme.service-now.com:443\r\n"
	    "User-Agent: midrelay/" PACKAGE_VERSION "\r\n\r\n");
	/* The example of RFC 7617 section 2. */
	request.user = "Aladdin";
	request.password = password;
	assert_request(&request,
	    "CONNECT acme.service-now.com:443 HTTP/1.1\r\nHost: acme.service-now.com:443\r\n"
	    "User-Agent: midrelay/" PACKAGE_VERSION "\r\n"
	    "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n");
	target = (struct hostport){.host = ip6, .port = 8443, .is_ip = true};
	request.user = "m";
	request.password = utf8;
	request.header_names = names;
	request.header_values = values;
	request.header_count = 2;
	assert_request(&request, "CONNECT [2001:db8::1]:8443 HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n"
				 "Proxy-Authorization: Basic bTpww6Rzczp3w7ZyZA==\r\n"
				 "user-agent: Mozilla/5.0\r\nX-Site: berlin\r\n\r\n");
	secret_free(password);
	secret_free(utf8);
}

/* The same head but for the host, whoever reads it. */
static void test_redirect(void **state)
{
	char acme[] = "acme.service-now.com", ip6[] = "2001:db8::1";
	struct hostport target = {.host = acme, .port = 443}, other = {.host = ip6, .port = 8443, .is_ip = true};
	struct secret *password = secret_new("open sesame", 11), *first, *second;
	struct http_connect_request request = {.target = &target, .user = "Aladdin", .password = password};
	static const char expected[] = "CONNECT [2001:db8::1]:8443 HTTP/1.1\r\nHost: [2001:db8::1]:8443\r\n"
				       "User-Agent: midrelay/" PACKAGE_VERSION "\r\n"
				       "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n";

	(void)state;
	first = http_connect_build(&request);
	second = http_connect_redirect(first, &other);
	assert_int_equal(secret_len(second), strlen(expected));
	assert_memory_equal(secret_bytes(second), expected, strlen(expected));
	secret_free(first);
	secret_free(second);
	secret_free(password);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_shapes),
	    cmocka_unit_test(test_surplus),
	    cmocka_unit_test(test_says_whether_sent),
	    cmocka_unit_test(test_sentence),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_head_bound),
	    cmocka_unit_test(test_linear),
	    cmocka_unit_test(test_long_refusal),
	    cmocka_unit_test(test_closed),
	    cmocka_unit_test(test_request),
	    cmocka_unit_test(test_redirect),
	};

	return cmocka_run_group_tests_name("http_connect", tests, NULL, NULL);
}
