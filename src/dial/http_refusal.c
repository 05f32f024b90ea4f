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

static const char *name_binary(const unsigned char *s, size_t len)
{
	if (len >= 2 && s[0] >= 0x14 && s[0] <= 0x17 && s[1] == 3)
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

/* A proxy that could not reach the target and says so under 400 or 404 (Privoxy: "404 No such domain"). */
static bool has_gateway_words(const char *text)
{
	static const char *const words[] = {"no such domain", "no such host", "unknown host",
		"host not found", "name resolution", "could not resolve", "cannot resolve", "dns",
		"bad gateway", "gateway time", "unreachable",
		"connect failed", "connection failed", "connection refused", "unable to connect",
		"could not connect", "cannot connect", "ERR_CONNECT_FAIL", "ERR_CANNOT_FORWARD"};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcasestr(text, words[i]) != NULL)
			return true;
	}
	return false;
}

static enum diagnosis_code judge_status(int status, const struct offer *offer, bool sent_credentials,
    bool gateway_words)
{
	switch (status) {
	case 401:
	case 407:
		if (offer->basic && sent_credentials)
			return DIAGNOSIS_PROXY_AUTH_REJECTED;
		if (offer->basic)
			return DIAGNOSIS_PROXY_AUTH_REQUIRED;
		if (offer->windows && !offer->other)
			return DIAGNOSIS_PROXY_AUTH_NTLM_ONLY;
		/* tinyproxy answers wrong credentials with 401, and 401 is not the word for a quota. */
		if (status == 401 && sent_credentials && !offer->other)
			return DIAGNOSIS_PROXY_AUTH_REJECTED;
		return DIAGNOSIS_PROXY_AUTH_UNSUPPORTED;
	case 403:
		return DIAGNOSIS_PROXY_DENIED;
	case 500:
	case 502:
	case 503:
	case 504:
		return DIAGNOSIS_PROXY_UPSTREAM_FAILED;
	case 400:
	case 404:
		return gateway_words ? DIAGNOSIS_PROXY_UPSTREAM_FAILED : DIAGNOSIS_PROXY_STATUS;
	}
	return DIAGNOSIS_PROXY_STATUS;
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
	char shown[DIAGNOSIS_SENTENCE_BYTES] = "", credentials[SHOWN_OFFER_BYTES + 64] = "";
	char *head = mem_strndup(from, len), *rest = head, *line;
	bool auth = status == 401 || status == 407, gateway_words;
	struct offer offer = {0};
	const char *value;
	unsigned seen = 0;

	unfold(head);
	line = strsep(&rest, "\n");
	text_escape(line, strcspn(line, "\r"), status_line, sizeof(status_line));
	gateway_words = has_gateway_words(line);
	while ((line = strsep(&rest, "\n")) != NULL) {
		value = header_value(line, "Proxy-Authenticate");
		if (value == NULL)
			value = header_value(line, "WWW-Authenticate");
		if (value != NULL && auth)
			offer_challenges(&offer, value);
		if (header_value(line, "X-Squid-Error") != NULL && has_gateway_words(line))
			gateway_words = true;
		show_header(line, &seen, shown, sizeof(shown));
	}
	free(head);

	if (auth)
		snprintf(credentials, sizeof(credentials), ", offering %s (%s credentials were sent)",
		    offer.text[0] != '\0' ? offer.text : "no scheme",
		    context->sent_credentials ? "our" : "no");
	diagnosis_set(diagnosis, judge_status(status, &offer, context->sent_credentials, gateway_words),
	    "%s answered \"%s\" to CONNECT %s%s%s", show_name(context->proxy_name, proxy), status_line,
	    show_name(context->target, target), credentials, shown);
}
