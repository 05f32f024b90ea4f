/*
 * http_refusal: says in words what answered a CONNECT, when it was not a yes.
 *
 * It names foreign protocols by their first bytes and judges a whole HTTP head that refuses: which code,
 * which authentication schemes were offered, who spoke.  Where a head ends is http_connect's business.
 */
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "dial/http_refusal.h"

/* Shown of foreign text, in bytes of escaped text. */
#define SHOWN_LINE_BYTES 161
#define SHOWN_NAME_BYTES 101
#define SHOWN_OFFER_BYTES 101
#define SHOWN_VALUE_BYTES 65

bool http_refusal_is_tls(const char *s, size_t len)
{
	return len >= 2 && s[0] >= 0x14 && s[0] <= 0x17 && s[1] == 3;
}

static const char *name_binary(const unsigned char *s, size_t len)
{
	if (http_refusal_is_tls((const char *)s, len))
		return s[0] == 0x15 ? "a TLS alert record" : "a TLS record";
	if (len >= 4 && s[0] == 0 && s[1] == 0 && s[3] == 4)
		return "an HTTP/2 frame";
	if (s[0] == 5)
		return "a SOCKS 5 reply";
	if (s[0] == 0xff)
		return "a Telnet negotiation";
	return "binary data";
}

const char *http_refusal_name_sample(const char *s, size_t len)
{
	static const struct {
		const char *begins;
		const char *name;
	} known[] = {
		{"<!doctype html", "an HTML page"},
		{"<html", "an HTML page"},
		{"<", "a page of markup"},
		{"{", "JSON"},
		{"SSH-", "an SSH banner"},
		{"HTTP/2", "an HTTP/2 reply"},
		{"HTTP/3", "an HTTP/3 reply"},
		{"HTTP/1.", "a status line without a status code of exactly three digits"},
		{"HTTP/", "a reply of another HTTP version than 1.x"},
		{"ICY", "an ICY (streaming server) reply"},
		{"RTSP/", "an RTSP reply"},
		{"SIP/", "a SIP reply"},
		{"CONNECT ", "our own request sent back"},
		{"220", "an SMTP or FTP greeting"},
		{"+OK", "a POP3 greeting"},
		{"* OK", "an IMAP greeting"},
		{"-ERR", "a Redis error"},
	};
	size_t i, n;

	if (len == 0)
		return "an empty line";
	if (iscntrl((unsigned char)s[0]) || (unsigned char)s[0] >= 0x80)
		return name_binary((const unsigned char *)s, len);
	for (i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		n = strlen(known[i].begins);
		if (len >= n && strncasecmp(s, known[i].begins, n) == 0)
			return known[i].name;
	}
	for (i = 0; i < len; i++) {
		if (s[i] != '\t' && s[i] != '\r' && iscntrl((unsigned char)s[i]))
			return "binary data";
	}
	return "text that is no HTTP reply";
}

static const char *show_name(const char *name, char buf[SHOWN_NAME_BYTES])
{
	return text_escape(name, strlen(name), buf, SHOWN_NAME_BYTES);
}

struct offer {
	bool basic, windows, other;
	char text[SHOWN_OFFER_BYTES]; /* the schemes in the order they were offered, each once */
};

static void PRINTF_LIKE(3, 4) append(char *buf, size_t buf_bytes, const char *fmt, ...)
{
	size_t len = strlen(buf);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(buf + len, buf_bytes - len, fmt, ap);
	va_end(ap);
}

static bool is_word(const char *s, size_t len, const char *word)
{
	return strlen(word) == len && strncasecmp(s, word, len) == 0;
}

static void offer_scheme(struct offer *offer, const char *scheme, size_t len)
{
	char shown[33], with_commas[SHOWN_OFFER_BYTES + 4], wanted[sizeof(shown) + 4];

	if (is_word(scheme, len, "Basic"))
		offer->basic = true;
	else if (is_word(scheme, len, "NTLM") || is_word(scheme, len, "Negotiate") ||
	    is_word(scheme, len, "Kerberos"))
		offer->windows = true;
	else
		offer->other = true;

	text_escape(scheme, len, shown, sizeof(shown));
	snprintf(with_commas, sizeof(with_commas), ", %s, ", offer->text);
	snprintf(wanted, sizeof(wanted), ", %s, ", shown);
	if (strcasestr(with_commas, wanted) != NULL)
		return;
	if (strlen(offer->text) + strlen(shown) + 2 < sizeof(offer->text))
		append(offer->text, sizeof(offer->text), "%s%s", offer->text[0] != '\0' ? ", " : "", shown);
}

static const char *skip_blank(const char *s)
{
	return s + strspn(s, " \t\r");
}

/* Behind the next comma outside a quoted string (RFC 9110 5.6.4), or at the end. */
static const char *next_item(const char *s)
{
	bool quoted = false;

	for (; *s != '\0'; s++) {
		if (quoted && *s == '\\' && s[1] != '\0')
			s++;
		else if (*s == '"')
			quoted = !quoted;
		else if (*s == ',' && !quoted)
			return s + 1;
	}
	return s;
}

/*
 * The schemes of one header line.  Between commas stands a scheme, a scheme with its first parameter, or a
 * further parameter of the scheme before (RFC 9110 11.6.1); the last is told by the "=" behind its name.
 */
static void offer_challenges(struct offer *offer, const char *value)
{
	const char *item, *behind;
	size_t len;

	for (item = skip_blank(value); *item != '\0'; item = skip_blank(next_item(item))) {
		len = strcspn(item, " \t\r,=\"");
		behind = skip_blank(item + len);
		if (len > 0 && *behind != '=' && *behind != '"')
			offer_scheme(offer, item, len);
	}
}

/* The value when the line is this header, else NULL.  Space before the colon is forgiven. */
static const char *header_value(const char *line, const char *name)
{
	size_t len = strlen(name);

	if (strncasecmp(line, name, len) != 0)
		return NULL;
	line = skip_blank(line + len);
	return *line == ':' ? skip_blank(line + 1) : NULL;
}

/* A header that says who refused and why is shown once, the first of its kind. */
static void show_header(const char *line, unsigned *seen, char *shown, size_t shown_bytes)
{
	static const char *const names[] = {
		"X-Squid-Error", "Proxy-Status", "Location", "Proxy-Agent", "Server", "Via"};
	char escaped[SHOWN_VALUE_BYTES];
	const char *value;
	size_t i, len;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		value = header_value(line, names[i]);
		if (value == NULL || (*seen & (1u << i)) != 0)
			continue;
		for (len = strlen(value); len > 0 && strchr(" \t\r", value[len - 1]) != NULL; len--)
			;
		*seen |= 1u << i;
		append(shown, shown_bytes, "; %s: %s", names[i],
		    text_escape(value, len, escaped, sizeof(escaped)));
	}
}

/*
 * What a proxy that could not reach the target calls it: in its reason phrase, X-Squid-Error or Proxy-Status.
 */
static const struct {
	const char *words;
	enum diagnosis_cause cause;
} gateway_words[] = {
	{"no such domain", DIAGNOSIS_CAUSE_PROXY_DNS}, /* Privoxy says so under 404 */
	{"no such host", DIAGNOSIS_CAUSE_PROXY_DNS},
	{"unknown host", DIAGNOSIS_CAUSE_PROXY_DNS},
	{"host not found", DIAGNOSIS_CAUSE_PROXY_DNS},
	{"name resolution", DIAGNOSIS_CAUSE_PROXY_DNS},
	{"could not resolve", DIAGNOSIS_CAUSE_PROXY_DNS},
	{"cannot resolve", DIAGNOSIS_CAUSE_PROXY_DNS},
	{"destination_not_found", DIAGNOSIS_CAUSE_PROXY_DNS},
	{"dns", DIAGNOSIS_CAUSE_PROXY_DNS},
	{"unreachable", DIAGNOSIS_CAUSE_PROXY_CONNECT},
	{"connect failed", DIAGNOSIS_CAUSE_PROXY_CONNECT},
	{"connection failed", DIAGNOSIS_CAUSE_PROXY_CONNECT},
	{"connection refused", DIAGNOSIS_CAUSE_PROXY_CONNECT},
	{"unable to connect", DIAGNOSIS_CAUSE_PROXY_CONNECT},
	{"could not connect", DIAGNOSIS_CAUSE_PROXY_CONNECT},
	{"cannot connect", DIAGNOSIS_CAUSE_PROXY_CONNECT},
	{"ERR_CONNECT_FAIL", DIAGNOSIS_CAUSE_PROXY_CONNECT},
	{"connection_refused", DIAGNOSIS_CAUSE_PROXY_CONNECT},
	{"connection_timeout", DIAGNOSIS_CAUSE_PROXY_CONNECT},
	{"destination_ip_", DIAGNOSIS_CAUSE_PROXY_CONNECT},
	{"ERR_CANNOT_FORWARD", DIAGNOSIS_CAUSE_PROXY_FORWARD},
	{"bad gateway", DIAGNOSIS_CAUSE_NONE},
	{"gateway time", DIAGNOSIS_CAUSE_NONE},
};

static void look_for_gateway_words(const char *line, bool *found, enum diagnosis_cause *cause)
{
	size_t i;

	for (i = 0; i < sizeof(gateway_words) / sizeof(gateway_words[0]); i++) {
		if (strcasestr(line, gateway_words[i].words) == NULL)
			continue;
		*found = true;
		if (*cause == DIAGNOSIS_CAUSE_NONE)
			*cause = gateway_words[i].cause;
		return;
	}
}

static bool has_word(const char *text, const char *const *words)
{
	for (; *words != NULL; words++) {
		if (strcasestr(text, *words) != NULL)
			return true;
	}
	return false;
}

/* A reply that says no, as far as it was read. */
struct no {
	int status;
	const char *line; /* the status line */
	bool sent_credentials;
	struct offer offer;
	bool gateway;
	enum diagnosis_cause gateway_cause;
};

static enum diagnosis_code judge_auth(const struct no *no)
{
	if (no->offer.basic)
		return no->sent_credentials ? DIAGNOSIS_PROXY_AUTH_REJECTED : DIAGNOSIS_PROXY_AUTH_REQUIRED;
	if (no->offer.windows && !no->offer.other)
		return DIAGNOSIS_PROXY_AUTH_NTLM_ONLY;
	/* tinyproxy answers wrong credentials with 401, and 401 is not the word for a quota. */
	if (no->status == 401 && no->sent_credentials && !no->offer.other)
		return DIAGNOSIS_PROXY_AUTH_REJECTED;
	return DIAGNOSIS_PROXY_AUTH_UNSUPPORTED;
}

static enum diagnosis_code judge_status(const struct no *no)
{
	switch (no->status) {
	case 401:
	case 407:
		return judge_auth(no);
	case 403:
		return DIAGNOSIS_PROXY_DENIED;
	case 500:
	case 502:
	case 503:
	case 504:
		return DIAGNOSIS_PROXY_UPSTREAM_FAILED;
	case 400:
	case 404:
		return no->gateway ? DIAGNOSIS_PROXY_UPSTREAM_FAILED : DIAGNOSIS_PROXY_STATUS;
	}
	return DIAGNOSIS_PROXY_STATUS;
}

static enum diagnosis_cause cause_of_status(int status)
{
	switch (status) {
	case 400:
	case 404:
	case 405:
	case 501:
		return DIAGNOSIS_CAUSE_NO_PROXY;
	case 429:
		return DIAGNOSIS_CAUSE_TOO_MANY;
	case 511: /* RFC 6585 section 6 */
		return DIAGNOSIS_CAUSE_PORTAL;
	}
	return status / 100 == 3 ? DIAGNOSIS_CAUSE_PORTAL : DIAGNOSIS_CAUSE_NONE;
}

static enum diagnosis_cause find_cause(const struct no *no, enum diagnosis_code code)
{
	static const char *const quota[] = {"exhaust", "quota", "exceed", "limit", NULL};
	static const char *const block[] = {"block", "filter", "categor", NULL};

	if (code == DIAGNOSIS_PROXY_AUTH_REJECTED && has_word(no->line, quota))
		return DIAGNOSIS_CAUSE_QUOTA;
	if (code == DIAGNOSIS_PROXY_AUTH_UNSUPPORTED && no->offer.text[0] == '\0')
		return DIAGNOSIS_CAUSE_NO_SCHEME;
	if (code == DIAGNOSIS_PROXY_DENIED && has_word(no->line, block))
		return DIAGNOSIS_CAUSE_BLOCK_PAGE;
	if (code == DIAGNOSIS_PROXY_UPSTREAM_FAILED)
		return no->gateway_cause;
	return code == DIAGNOSIS_PROXY_STATUS ? cause_of_status(no->status) : DIAGNOSIS_CAUSE_NONE;
}

/* What the status line does not say by itself. */
static const char *name_cause(const struct no *no, enum diagnosis_cause cause)
{
	if (cause == DIAGNOSIS_CAUSE_PORTAL)
		return no->status == 511 ? ", by which the network demands a login (captive portal)"
		                         : ", a redirect to a login or block page (captive portal)";
	if (cause == DIAGNOSIS_CAUSE_NO_PROXY)
		return ", as a web server does that is no proxy";
	if (cause == DIAGNOSIS_CAUSE_BLOCK_PAGE)
		return ", the block page of a web filter";
	if (cause == DIAGNOSIS_CAUSE_QUOTA)
		return ", a used-up quota";
	return "";
}

/* Folded lines (RFC 9112 5.2) become one, in place. */
static void unfold(char *head)
{
	char *c;

	for (c = strchr(head, '\n'); c != NULL; c = strchr(c + 1, '\n')) {
		if (c[1] == ' ' || c[1] == '\t') {
			*c = ' ';
			if (c > head && c[-1] == '\r')
				c[-1] = ' ';
		}
	}
}

void http_refusal_judge(const char *from, size_t len, int status, const struct http_connect_context *context,
    struct diagnosis *diagnosis)
{
	char proxy[SHOWN_NAME_BYTES], target[SHOWN_NAME_BYTES], status_line[SHOWN_LINE_BYTES];
	char shown[DIAGNOSIS_SENTENCE_BYTES] = "";
	char *head = mem_strndup(from, len), *rest = head, *line;
	struct no no = {.status = status, .sent_credentials = context->sent_credentials};
	bool auth = status == 401 || status == 407;
	enum diagnosis_cause cause;
	const char *value;
	unsigned seen = 0;

	unfold(head);
	no.line = line = strsep(&rest, "\n");
	text_escape(line, strcspn(line, "\r"), status_line, sizeof(status_line));
	look_for_gateway_words(line, &no.gateway, &no.gateway_cause);
	while ((line = strsep(&rest, "\n")) != NULL) {
		value = header_value(line, "Proxy-Authenticate");
		if (value == NULL)
			value = header_value(line, "WWW-Authenticate");
		if (value != NULL && auth)
			offer_challenges(&no.offer, value);
		if (header_value(line, "X-Squid-Error") != NULL || header_value(line, "Proxy-Status") != NULL)
			look_for_gateway_words(line, &no.gateway, &no.gateway_cause);
		show_header(line, &seen, shown, sizeof(shown));
	}

	diagnosis_set(diagnosis, judge_status(&no), "%s answered \"%s\" to CONNECT %s",
	    show_name(context->proxy_name, proxy), status_line, show_name(context->target, target));
	cause = find_cause(&no, diagnosis->code);
	diagnosis_set_cause(diagnosis, cause);
	if (auth)
		diagnosis_append(diagnosis, ", offering %s (%s credentials were sent)",
		    no.offer.text[0] != '\0' ? no.offer.text : "no scheme", no.sent_credentials ?
		    "our" : "no");
	diagnosis_append(diagnosis, "%s%s", name_cause(&no, cause), shown);
	free(head);
}
