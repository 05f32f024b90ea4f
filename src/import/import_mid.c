/* import_mid: see import_mid.h. */
#include "import/import_mid.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define SHOWN_BYTES 160
#define TARGET_PORT 443
/* The vendor's default for mid.proxy.port. */
#define PROXY_PORT 80

struct reader {
	struct import_mid *mid;
	const struct import_document *document;
	struct config_report *report;
};

static unsigned line_of(const struct reader *reader, const char *name)
{
	const struct import_parameter *p = import_document_find(reader->document, name);

	return p == NULL ? 0 : p->line;
}

/* The value, trimmed; NULL when it is not there or empty.  The caller's. */
static char *value_of(const struct reader *reader, const char *name)
{
	const struct import_parameter *p = import_document_find(reader->document, name);
	char *copy, *value;

	if (p == NULL || p->value == NULL)
		return NULL;
	copy = mem_strdup(p->value);
	value = mem_strdup(text_trim(copy));
	free(copy);
	if (*value == '\0') {
		free(value);
		return NULL;
	}
	return value;
}

/* For those that value_of() must not make copies of, too. */
static const char *borrow_value(const struct reader *reader, const char *name)
{
	const struct import_parameter *p = import_document_find(reader->document, name);

	return p == NULL || p->value == NULL || p->value[strspn(p->value, " \t")] == '\0' ? NULL : p->value;
}

/* YOUR_INSTANCE_USER_NAME_HERE and its like. */
static bool is_unfilled(const char *value)
{
	return strncasecmp(value, "YOUR_", 5) == 0;
}

/* -1: not there, or neither true nor false. */
static int flag_of(const struct reader *reader, const char *name)
{
	char *value = value_of(reader, name);
	char shown[SHOWN_BYTES];
	int flag = -1;

	if (value != NULL && strcasecmp(value, "true") == 0)
		flag = 1;
	else if (value != NULL && strcasecmp(value, "false") == 0)
		flag = 0;
	else if (value != NULL)
		config_report_note(reader->report, line_of(reader, name),
		    "%s is \"%s\", neither true nor false; it is taken for not set", name,
		    text_escape(value, strlen(value), shown, sizeof(shown)));
	free(value);
	return flag;
}

/* ---- the instance ---- */

static bool remove_spaces(char *text)
{
	char *to = text;
	const char *from;

	for (from = text; *from != '\0'; from++) {
		if (!isspace((unsigned char)*from))
			*to++ = *from;
	}
	*to = '\0';
	return to != from;
}

static bool is_this_host(const struct hostport *hp)
{
	struct addr addr;

	return strcmp(hp->host, "localhost") == 0 ||
	       (hp->is_ip && addr_parse_ip(hp->host, hp->port, &addr) && addr_is_loopback(&addr));
}

/* What stands before ://, which is cut off; NULL when nothing does. */
static char *cut_scheme(char *text)
{
	char *mark = strstr(text, "://"), *scheme;

	if (mark == NULL)
		return NULL;
	scheme = mem_strndup(text, (size_t)(mark - text));
	memmove(text, mark + 3, strlen(mark + 3) + 1);
	return scheme;
}

static void read_authority(struct reader *reader, char *text, bool secure, unsigned line)
{
	struct hostport *target = &reader->mid->target;
	struct error err;
	char *path = text + strcspn(text, "/?#");

	if (*path != '\0' && strcmp(path, "/") != 0) {
		config_report_note(reader->report, line, "url has a path behind the host, which does not count here");
		reader->mid->url_is_fine = false;
	}
	*path = '\0';
	if (strchr(text, '@') != NULL) {
		config_report_fault(reader->report, line, "url holds a user name, which a MID Server does not take there");
	} else if (is_unfilled(text)) {
		config_report_fault(reader->report, line, "url still is what the installer left; put your instance's "
		    "name there, or name it with --target");
	} else if (!hostport_parse(text, TARGET_PORT, target, &err)) {
		config_report_fault(reader->report, line, "url: %s", err.text);
	} else if (is_this_host(target)) {
		config_report_fault(reader->report, line, "url points at this host already; name the instance with "
		    "--target, or take the change back with --revert");
	} else if (!secure && target->port == 80) {
		target->port = TARGET_PORT;
	}
}

static void read_url(struct reader *reader)
{
	unsigned line = line_of(reader, "url");
	char *url = value_of(reader, "url"), *scheme;
	const struct import_parameter *p = import_document_find(reader->document, "url");
	char shown[SHOWN_BYTES];
	bool secure;

	if (url == NULL) {
		config_report_fault(reader->report, line, "there is no url; name the instance with --target");
		return;
	}
	if (remove_spaces(url) || strcmp(url, p->value) != 0) {
		config_report_note(reader->report, line, "url has spaces in it, which are left out");
		reader->mid->url_is_fine = false;
	}
	scheme = cut_scheme(url);
	secure = scheme == NULL || strcasecmp(scheme, "https") == 0;
	if (scheme == NULL || !secure)
		reader->mid->url_is_fine = false;
	if (scheme == NULL)
		config_report_note(reader->report, line, "url has no https:// in front");
	else if (!secure && strcasecmp(scheme, "http") == 0)
		config_report_note(reader->report, line, "url begins with http://; the instance is reached by TLS all the same");
	if (scheme != NULL && !secure && strcasecmp(scheme, "http") != 0)
		config_report_fault(reader->report, line, "url begins with %s://, not with https://",
		    text_escape(scheme, strlen(scheme), shown, sizeof(shown)));
	else
		read_authority(reader, url, secure, line);
	free(scheme);
	free(url);
}

/* The instance's name, as far as a section's name can have it. */
static char *relay_name(const struct hostport *target)
{
	size_t len = target->is_ip ? 0 : strcspn(target->host, ".");

	return len == 0 ? mem_strdup("mid") : mem_strndup(target->host, len);
}

/* Which of two a MID Server goes by is not known. */
static bool urls_agree(const struct import_document *document)
{
	const struct import_parameter *last = import_document_find(document, "url");
	size_t i;

	for (i = 0; i < document->count; i++) {
		const struct import_parameter *p = &document->parameters[i];

		if (strcmp(p->name, "url") == 0 && (p->value == NULL || last->value == NULL ||
		    strcmp(p->value, last->value) != 0))
			return false;
	}
	return true;
}

static void read_target(struct reader *reader, const char *target)
{
	struct import_mid *mid = reader->mid;
	struct hostport today = {0};
	struct error err;
	char *url;

	mid->url_is_fine = true;
	if (target == NULL) {
		read_url(reader);
	} else if (!hostport_parse(target, TARGET_PORT, &mid->target, &err)) {
		config_report_fault(reader->report, 0, "--target: %s", err.text);
	} else {
		url = value_of(reader, "url");
		if (url != NULL && strncasecmp(url, "https://", 8) == 0)
			url[8 + strcspn(url + 8, "/")] = '\0';
		mid->url_is_fine = url != NULL && strncasecmp(url, "https://", 8) == 0 &&
		    hostport_parse(url + 8, TARGET_PORT, &today, &err) &&
		    strcmp(today.host, mid->target.host) == 0 && today.port == mid->target.port;
		hostport_clear(&today);
		free(url);
	}
	mid->url_is_fine = mid->url_is_fine && urls_agree(reader->document);
	if (mid->target.host != NULL)
		mid->relay = relay_name(&mid->target);
}

/* ---- the proxy ---- */

static void read_proxy_port(struct reader *reader, bool in_host)
{
	struct import_mid *mid = reader->mid;
	unsigned line = line_of(reader, "mid.proxy.port");
	char *port = value_of(reader, "mid.proxy.port");
	char shown[SHOWN_BYTES];
	uint64_t number;

	if (port == NULL && !in_host)
		config_report_note(reader->report, line_of(reader, "mid.proxy.host"),
		    "mid.proxy.port is not set; a MID Server takes 80 then, and so does midrelay.ini");
	else if (port != NULL && !text_parse_uint(port, 1, 65535, &number))
		config_report_fault(reader->report, line, "mid.proxy.port is \"%s\", no number from 1 to 65535",
		    text_escape(port, strlen(port), shown, sizeof(shown)));
	else if (port != NULL)
		mid->proxy.port = (uint16_t)number;
	free(port);
}

/* "::1" may be a MID Server's way to write it; what it really takes there is not known. */
static bool parse_proxy_host(const char *host, struct hostport *proxy, struct error *err)
{
	const char *colon = strchr(host, ':');
	bool bare = host[0] != '[' && colon != NULL && strchr(colon + 1, ':') != NULL;
	char *text = bare ? mem_printf("[%s]", host) : mem_strdup(host);
	bool ok = hostport_parse(text, PROXY_PORT, proxy, err);

	free(text);
	return ok;
}

static void read_proxy_host(struct reader *reader, char *host)
{
	unsigned line = line_of(reader, "mid.proxy.host");
	char *scheme = cut_scheme(host), *slash;
	struct error err;
	bool with_port;

	if (scheme != NULL)
		config_report_note(reader->report, line, "mid.proxy.host has a scheme in front, where a MID Server takes "
		    "the bare name (KB2699917)");
	free(scheme);
	slash = strchr(host, '/');
	if (slash != NULL)
		*slash = '\0';
	with_port = host[0] != '[' && strchr(host, ':') != NULL && strchr(host, ':') == strrchr(host, ':');
	/* A password has no place in a message. */
	if (strchr(host, '@') != NULL)
		config_report_fault(reader->report, line, "mid.proxy.host holds a user name; that belongs into "
		    "mid.proxy.username and mid.proxy.password");
	else if (!parse_proxy_host(host, &reader->mid->proxy, &err))
		config_report_fault(reader->report, line, "mid.proxy.host: %s", err.text);
	else if (with_port)
		config_report_note(reader->report, line, "mid.proxy.host has a port in it, which belongs into mid.proxy.port");
	read_proxy_port(reader, with_port);
}

static void read_proxy_password(struct reader *reader)
{
	const struct import_parameter *p = import_document_find(reader->document, "mid.proxy.password");
	struct import_mid *mid = reader->mid;
	bool there = p != NULL && p->value != NULL && *p->value != '\0';

	if (!there || is_unfilled(p->value)) {
		mid->password_kind = mid->proxy_user != NULL ? IMPORT_PASSWORD_MISSING : IMPORT_PASSWORD_NONE;
		if (mid->proxy_user != NULL)
			config_report_note(reader->report, line_of(reader, "mid.proxy.username"),
			    "mid.proxy.username has no mid.proxy.password beside it");
	} else if (mid->proxy_user == NULL) {
		config_report_note(reader->report, p->line,
		    "mid.proxy.password has no mid.proxy.username beside it, and is left out");
	} else if (strncasecmp(p->value, "encrypted:", 10) == 0) {
		mid->password_kind = IMPORT_PASSWORD_ENCRYPTED;
	} else {
		mid->password_kind = IMPORT_PASSWORD_CLEAR;
		mid->password = p->value;
	}
}

static void read_proxy_user(struct reader *reader)
{
	struct import_mid *mid = reader->mid;
	unsigned line = line_of(reader, "mid.proxy.username");
	const char *c;

	mid->proxy_user = value_of(reader, "mid.proxy.username");
	if (mid->proxy_user != NULL && is_unfilled(mid->proxy_user)) {
		config_report_note(reader->report, line, "mid.proxy.username still is what the installer left");
		free(mid->proxy_user);
		mid->proxy_user = NULL;
	}
	for (c = mid->proxy_user; c != NULL && *c != '\0'; c++) {
		if (*c == ':' || (unsigned char)*c < 0x20 || *c == 0x7f) {
			config_report_fault(reader->report, line, "mid.proxy.username has a colon or a control character "
			    "in it, which Basic does not allow (RFC 7617)");
			break;
		}
	}
	if (mid->proxy_user != NULL && strchr(mid->proxy_user, '\\') != NULL)
		config_report_note(reader->report, line, "mid.proxy.username looks like a Windows domain's; if the proxy "
		    "wants NTLM or Negotiate, neither a MID Server nor midrelay can do that: ask for Basic");
	read_proxy_password(reader);
}

/* mid.proxy.use_proxy, or its older name. */
static int read_use_proxy(struct reader *reader)
{
	int use = flag_of(reader, "mid.proxy.use_proxy"), alias = flag_of(reader, "mid.instance.use_proxy");

	if (use >= 0 && alias >= 0 && use != alias)
		config_report_note(reader->report, line_of(reader, "mid.instance.use_proxy"),
		    "mid.instance.use_proxy contradicts mid.proxy.use_proxy, which is taken");
	return use >= 0 ? use : alias;
}

static void note_half_set(struct reader *reader, int use)
{
	static const char *const others[] = {"mid.proxy.port", "mid.proxy.username", "mid.proxy.password"};
	unsigned line = line_of(reader, "mid.proxy.use_proxy");
	size_t i;

	if (use == 1)
		config_report_note(reader->report, line > 0 ? line : line_of(reader, "mid.instance.use_proxy"),
		    "use_proxy is true, but there is no mid.proxy.host: the MID Server has no way out (KB2699917); add "
		    "the proxy to midrelay.ini, at GAP");
	for (i = 0; use != 1 && i < sizeof(others) / sizeof(others[0]); i++) {
		if (borrow_value(reader, others[i]) != NULL)
			config_report_note(reader->report, line_of(reader, others[i]),
			    "%s is set, but there is no mid.proxy.host, so nothing uses it (KB2699917)", others[i]);
	}
}

static void read_proxy(struct reader *reader)
{
	struct import_mid *mid = reader->mid;
	int use = read_use_proxy(reader);
	char *host = value_of(reader, "mid.proxy.host");
	unsigned line = line_of(reader, "mid.proxy.host");

	mid->used_proxy = use == 1;
	if (host != NULL && is_unfilled(host)) {
		config_report_note(reader->report, line, "mid.proxy.host still is what the installer left");
		free(host);
		host = NULL;
	}
	if (host == NULL) {
		note_half_set(reader, use);
		return;
	}
	read_proxy_host(reader, host);
	free(host);
	mid->proxy_is_known = use == 0;
	mid->has_proxy = use != 0;
	if (use == 0)
		config_report_note(reader->report, line, "mid.proxy.host is set, but use_proxy is false: the MID Server "
		    "does not use it today, so midrelay.ini has it as a comment");
	else if (use < 0)
		config_report_note(reader->report, line, "mid.proxy.host is set, but mid.proxy.use_proxy is not, and is "
		    "false by default (KB2699917): midrelay.ini uses the proxy");
	if (mid->has_proxy)
		read_proxy_user(reader);
}

/* ---- the rest ---- */

static void read_login(struct reader *reader)
{
	const char *user = borrow_value(reader, "mid.instance.username");
	const char *password = borrow_value(reader, "mid.instance.password");

	if (user == NULL && password == NULL)
		reader->mid->login = IMPORT_LOGIN_CERTIFICATE;
	else if ((user != NULL && is_unfilled(user)) || (password != NULL && is_unfilled(password)))
		reader->mid->login = IMPORT_LOGIN_UNFILLED;
	else
		reader->mid->login = IMPORT_LOGIN_BASIC;
}

static void read_rest(struct reader *reader)
{
	struct import_mid *mid = reader->mid;
	const struct import_parameter *endpoint =
	    import_document_find(reader->document, "mid.ssl.bootstrap.default.target_endpoint");
	char *upgrade = value_of(reader, "glide.mid.autoupgrade.proxy_host");

	mid->has_upgrade_proxy = upgrade != NULL;
	mid->upgrade_avoids_proxy = flag_of(reader, "mid.upgrade.use_proxy") == 0;
	mid->target_endpoint = endpoint == NULL ? NULL : endpoint->value;
	if (upgrade == NULL && mid->used_proxy && mid->upgrade_avoids_proxy)
		config_report_note(reader->report, line_of(reader, "mid.upgrade.use_proxy"),
		    "mid.upgrade.use_proxy is false: upgrades go to install.service-now.com without a proxy, today and "
		    "behind midrelay; where that is not open they fail, and so does the MID Server's own test of it");
	free(upgrade);
}

bool import_mid_read(struct import_mid *mid, const struct import_document *document, const char *target,
    struct config_report *report)
{
	struct reader reader = {mid, document, report};

	memset(mid, 0, sizeof(*mid));
	read_target(&reader, target);
	read_proxy(&reader);
	read_login(&reader);
	read_rest(&reader);
	return report->fault_count == 0;
}

void import_mid_clear(struct import_mid *mid)
{
	free(mid->relay);
	free(mid->proxy_user);
	hostport_clear(&mid->target);
	hostport_clear(&mid->proxy);
	memset(mid, 0, sizeof(*mid));
}
