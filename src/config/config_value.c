/*
 * config_value: see config_value.h.  One value at a time; what two of them mean together is config_check's.
 */
#include "config/config_value.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "config/config_draft.h"

/* How much of a wrong value is shown. */
#define SHOWN_BYTES 100

static const char *shown(const char *text, char buf[SHOWN_BYTES])
{
	return text_escape(text, strlen(text), buf, SHOWN_BYTES);
}

static bool has_control(const char *text)
{
	for (; *text != '\0'; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			return true;
	}
	return false;
}

static void replace(void *field, char *text)
{
	char **string = field;

	config_string_wipe(*string);
	*string = text;
}

static unsigned usable_cpus(void)
{
	cpu_set_t set;

	/* Fails where there are more CPUs than a cpu_set_t has bits. */
	if (sched_getaffinity(0, sizeof(set), &set) != 0)
		return 1;
	return (unsigned)CPU_COUNT(&set);
}

static bool set_number(const struct config_option *option, void *field, const char *text, struct error *err)
{
	bool or_auto = option->type == CONFIG_WORKERS;
	char buf[SHOWN_BYTES];
	uint64_t value;

	if (or_auto && strcmp(text, "auto") == 0)
		value = usable_cpus() < (uint64_t)option->max ? usable_cpus() : (uint64_t)option->max;
	else if (!text_parse_uint(text, (uint64_t)option->min, (uint64_t)option->max, &value))
		return error_set(err, "must be a number from %lld to %lld%s, not \"%s\"",
		    (long long)option->min, (long long)option->max, or_auto ? ", or auto" : "",
		    shown(text, buf));
	*(unsigned *)field = (unsigned)value;
	return true;
}

static bool set_ready(const struct config_option *option, void *field, const char *text, struct error *err)
{
	char buf[SHOWN_BYTES];
	uint64_t value;

	if (strcmp(text, "off") == 0)
		value = CONFIG_READY_OFF;
	else if (strcmp(text, "auto") == 0)
		value = CONFIG_READY_AUTO;
	else if (!text_parse_uint(text, (uint64_t)option->min, (uint64_t)option->max, &value))
		return error_set(err, "must be off, auto, or a number from %lld to %lld, not \"%s\"",
		    (long long)option->min, (long long)option->max, shown(text, buf));
	*(unsigned *)field = (unsigned)value;
	return true;
}

static bool set_duration(const struct config_option *option, void *field, const char *text, struct error *err)
{
	char buf[SHOWN_BYTES], min[32], max[32];
	int64_t ms;

	if (text_parse_duration(text, &ms) &&
	    ((ms == 0 && option->zero_is_off) || (ms >= option->min && ms <= option->max))) {
		*(int64_t *)field = ms;
		return true;
	}
	return error_set(err, "must be %sa duration from %s to %s, such as 10s or 5m, not \"%s\"",
	    option->zero_is_off ? "0 (off) or " : "", text_format_duration(option->min, min, sizeof(min)),
	    text_format_duration(option->max, max, sizeof(max)), shown(text, buf));
}

static bool set_bool(void *field, const char *text, struct error *err)
{
	char buf[SHOWN_BYTES];

	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		return error_set(err, "must be yes or no, not \"%s\"", shown(text, buf));
	*(bool *)field = strcmp(text, "yes") == 0;
	return true;
}

static bool set_word(const struct config_option *option, void *field, const char *text, struct error *err)
{
	char buf[SHOWN_BYTES], words[128] = "";
	size_t used = 0, i;

	for (i = 0; option->words[i] != NULL; i++) {
		if (strcmp(text, option->words[i]) == 0) {
			unsigned value = (unsigned)i;

			memcpy(field, &value, sizeof(value));
			return true;
		}
		used += (size_t)snprintf(words + used, sizeof(words) - used, "%s%s",
		    i == 0 ? "" : (option->words[i + 1] == NULL ? " or " : ", "), option->words[i]);
		midrelay_assert(used < sizeof(words));
	}
	for (i = 0; option->later != NULL && option->later[i] != NULL; i++) {
		if (strcmp(text, option->later[i]) == 0)
			return error_set(err, "%s is not supported by this version", text);
	}
	return error_set(err, "must be %s, not \"%s\"", words, shown(text, buf));
}

static bool set_octal(const struct config_option *option, void *field, const char *text, struct error *err)
{
	char buf[SHOWN_BYTES];
	size_t len = strlen(text);
	unsigned long value;

	if (len == 0 || len > 4 || strspn(text, "01234567") != len)
		return error_set(
		    err, "must be octal permissions such as 0600 or 0660, not \"%s\"", shown(text, buf));
	value = strtoul(text, NULL, 8);
	if (value > (unsigned long)option->max)
		return error_set(err, "must be octal permissions of at most %04llo, not \"%s\"",
		    (unsigned long long)option->max, text);
	*(mode_t *)field = (mode_t)value;
	return true;
}

static bool set_user(void *field, const char *text, struct error *err)
{
	if (strchr(text, ':') != NULL)
		return error_set(err,
		    "a user name for Basic cannot have a ':' in it (RFC 7617); the password has a key "
		    "of its own");
	if (has_control(text))
		return error_set(err, "has a control character in it");
	replace(field, mem_strdup(text));
	return true;
}

static bool set_file(void *field, const char *text, struct error *err)
{
	char buf[SHOWN_BYTES];
	size_t len = strlen(text);

	if (text_is_uri(text))
		return error_set(err, "must be a path, not a URI; the key alone may be one (client_key)");
	if (len > 1 && (text[0] == '"' || text[0] == '\'') && text[len - 1] == text[0])
		return error_set(err, "must be a path, not %s", shown(text, buf));
	replace(field, mem_strdup(text));
	return true;
}

static bool set_key(void *field, const char *text, struct error *err)
{
	const char *path = text_file_uri_path(text);

	if (!text_is_uri(path)) {
		if (path != text && strchr(path, '%') != NULL)
			return error_set(err, "write the path as it is, without file: and %%");
		return set_file(field, path, err);
	}
	if (strcasestr(text, "pin-value=") != NULL)
		return error_set(err, "a PIN does not belong into the URI of a key, which is shown to many: "
		    "set client_passphrase");
	replace(field, mem_strdup(text));
	return true;
}

static bool set_secret(void *field, const char *text, struct error *err)
{
	const char *rest = strchr(text, ':');

	rest = rest == NULL ? text : rest + 1;
	switch (secret_ref_kind(text)) {
	case SECRET_REF_FILE:
		if (*rest == '\0')
			return error_set(err, "file: needs a path behind it");
		break;
	case SECRET_REF_ENV:
		if (*rest == '\0' || strchr(rest, '=') != NULL)
			return error_set(err, "env: needs the name of an environment variable behind it");
		break;
	case SECRET_REF_CRED:
		if (*rest == '\0' || strchr(rest, '/') != NULL)
			return error_set(
			    err, "cred: needs the name of a systemd credential behind it, without a '/'");
		break;
	case SECRET_REF_SEALED:
		if (*rest == '\0' || rest[strspn(rest,
		    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")] != '\0')
			return error_set(err, "sealed: needs the base64 text that `midrelay seal` printed "
			    "behind it");
		break;
	case SECRET_REF_LITERAL:
		break;
	}
	replace(field, mem_strdup(text));
	return true;
}

static bool set_ip(void *field, const char *text, struct error *err)
{
	char buf[SHOWN_BYTES];
	struct addr addr;

	if (!addr_parse_ip(text, 0, &addr))
		return error_set(err,
		    "must be a numeric address without port, such as 192.0.2.7 or 2001:db8::7, not \"%s\"",
		    shown(text, buf));
	replace(field, mem_strdup(text));
	return true;
}

static bool set_target(void *field, const char *text, struct error *err)
{
	struct hostport *target = field;
	struct hostport parsed = {0};

	if (!hostport_parse(text, 443, &parsed, err))
		return false;
	hostport_clear(target);
	*target = parsed;
	return true;
}

bool config_value_proxy_url(
    const char *text, const char *user_key, const char *password_key, struct config_proxy_url *url,
    struct error *err)
{
	char buf[SHOWN_BYTES];
	struct hostport parsed = {0};
	const char *authority;
	size_t len;
	char *host;
	bool tls, ok;

	/* First of all, for nothing below may show a URL that has a password in it. */
	if (strchr(text, '@') != NULL)
		return error_set(
		    err, "credentials do not belong into the URL; use %s and %s", user_key, password_key);
	tls = strncasecmp(text, "https://", 8) == 0;
	if (!tls && strncasecmp(text, "http://", 7) != 0)
		return error_set(err, "must be like http://proxy.example:3128, not \"%s\"", shown(text, buf));
	authority = text + (tls ? 8 : 7);
	len = strcspn(authority, "/?#");
	if (strcmp(authority + len, "") != 0 && strcmp(authority + len, "/") != 0)
		return error_set(err, "nothing may follow the port of a proxy's URL");
	host = mem_strndup(authority, len);
	ok = hostport_parse(host, 0, &parsed, err);
	free(host);
	if (!ok)
		return false;
	if (parsed.port == 0) {
		hostport_clear(&parsed);
		return error_set(err, "the URL needs the proxy's port, such as :3128 or :8080");
	}
	hostport_clear(&url->at);
	url->at = parsed;
	url->tls = tls;
	return true;
}

static bool add_listen(struct config_relay *relay, const char *text, unsigned line, struct error *err)
{
	struct config_listen *listen;
	struct addr addr = {0};
	bool systemd = strncmp(text, "systemd:", 8) == 0;
	bool tls = strncasecmp(text, "tls://", 6) == 0;

	/* sd_listen_fds_with_names(3): such a name has neither. */
	if (systemd && (text[8] == '\0' || has_control(text) || strchr(text + 8, ':') != NULL))
		return error_set(err, "systemd: needs the FileDescriptorName= of a socket unit, as in systemd:midrelay");
	if (!systemd && !addr_parse(tls ? text + 6 : text, &addr, err))
		return false;
	if (tls && addr.u.sa.sa_family == AF_UNIX)
		return error_set(err, "tls:// takes an IP address and a port, as in tls://127.0.0.1:8443");
	if (relay->listen_count == CONFIG_MAX_ITEMS)
		return error_set(err, "has more than %d addresses", CONFIG_MAX_ITEMS);
	relay->listens = mem_realloc(relay->listens, (relay->listen_count + 1) * sizeof(*relay->listens));
	listen = &relay->listens[relay->listen_count++];
	listen->addr = addr;
	listen->line = line;
	listen->systemd = systemd ? mem_strdup(text + 8) : NULL;
	listen->tls = tls;
	return true;
}

static bool add_network(struct config_relay *relay, const char *text, struct error *err)
{
	struct addr_cidr cidr;

	if (!addr_cidr_parse(text, &cidr, err))
		return false;
	if (relay->allow_address_count == CONFIG_MAX_ITEMS)
		return error_set(err, "has more than %d networks", CONFIG_MAX_ITEMS);
	relay->allow_address = mem_realloc(
	    relay->allow_address, (relay->allow_address_count + 1) * sizeof(*relay->allow_address));
	relay->allow_address[relay->allow_address_count++] = cidr;
	return true;
}

/* Only noted: whether it names a proxy can be told when all sections are read. */
static bool add_proxy(struct config_relay_draft *draft, const char *text, unsigned line, struct error *err)
{
	if (draft->proxy_count == CONFIG_MAX_ITEMS)
		return error_set(err, "has more than %d paths", CONFIG_MAX_ITEMS);
	draft->proxies = mem_realloc(draft->proxies, (draft->proxy_count + 1) * sizeof(*draft->proxies));
	draft->proxies[draft->proxy_count].text = mem_strdup(text);
	draft->proxies[draft->proxy_count++].line = line;
	return true;
}

static bool add_name(struct config_list *list, const char *text, struct error *err)
{
	if (has_control(text))
		return error_set(err, "has a control character in it");
	if (list->count == CONFIG_MAX_ITEMS)
		return error_set(err, "has more than %d names", CONFIG_MAX_ITEMS);
	config_list_add(list, mem_strdup(text));
	return true;
}

/*
 * The one form that 32 bytes have in base64 (RFC 4648): 43 digits, of which the last has two bits to spare,
 * and one =.
 */
static bool add_pin(struct config_list *list, const char *text, struct error *err)
{
	static const char prefix[] = "sha256//";
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *base64 = text + sizeof(prefix) - 1;
	char buf[SHOWN_BYTES];

	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0 || strspn(base64, digits) != 43 ||
	    strcmp(base64 + 43, "=") != 0 || strchr("AEIMQUYcgkosw048", base64[42]) == NULL)
		return error_set(err,
		    "must be sha256// and the base64 of a public key's SHA-256 (44 characters), not \"%s\"",
		    shown(text, buf));
	if (list->count == CONFIG_MAX_ITEMS)
		return error_set(err, "has more than %d public keys", CONFIG_MAX_ITEMS);
	config_list_add(list, mem_strdup(text));
	return true;
}

/* Kept in the one form that hosts are compared in. */
static bool add_authority(struct config_list *list, const char *text, struct error *err)
{
	bool none = strcmp(text, "none") == 0;
	struct hostport parsed = {0};

	if (list->count > 0 && (none || strcmp(list->items[0], "none") == 0))
		return error_set(err, "none does not go together with hosts");
	if (list->count == CONFIG_MAX_ITEMS)
		return error_set(err, "has more than %d hosts", CONFIG_MAX_ITEMS);
	if (!none && !hostport_parse(text, 443, &parsed, err))
		return false;
	config_list_add(list, none ? mem_strdup(text) : hostport_format(&parsed));
	hostport_clear(&parsed);
	return true;
}

static bool add_flag(const struct config_option *option, unsigned *flags, const char *text, struct error *err)
{
	char buf[SHOWN_BYTES], words[128] = "off";
	size_t used = strlen(words), i;

	for (i = 0; option->words[i] != NULL; i++) {
		if (strcmp(text, option->words[i]) == 0) {
			*flags |= 1U << i;
			return true;
		}
		used += (size_t)snprintf(words + used, sizeof(words) - used, "%s%s",
		    option->words[i + 1] == NULL ? " or " : ", ", option->words[i]);
		midrelay_assert(used < sizeof(words));
	}
	if (strcmp(text, "off") == 0)
		return *flags == 0 ? true : error_set(err, "off does not go together with other words");
	return error_set(err, "must be %s, not \"%s\"", words, shown(text, buf));
}

static bool add_item(
    const struct config_option *option, void *base, const char *text, unsigned line, struct error *err)
{
	struct config_relay_draft *draft = base;
	void *field = (char *)base + option->offset;

	if (option->type == CONFIG_USERS)
		return add_name(field, text, err);
	if (option->type == CONFIG_PINS)
		return add_pin(field, text, err);
	if (option->type == CONFIG_AUTHORITIES)
		return add_authority(field, text, err);
	if (option->type == CONFIG_FLAGS)
		return add_flag(option, field, text, err);
	if (option->type == CONFIG_LISTENS)
		return add_listen(&draft->relay, text, line, err);
	if (option->type == CONFIG_NETWORKS)
		return add_network(&draft->relay, text, err);
	return add_proxy(draft, text, line, err);
}

static bool add_items(
    const struct config_option *option, void *base, const char *text, unsigned line, struct error *err)
{
	char *copy = mem_strdup(text);
	char *rest = copy, *item;
	bool ok = true;

	while (ok && (item = strsep(&rest, ",")) != NULL) {
		item = text_trim(item);
		if (*item == '\0')
			ok = error_set(err, "has an empty item in its list");
		else
			ok = add_item(option, base, item, line, err);
	}
	free(copy);
	return ok;
}

/* RFC 9110 section 5.6.2: token. */
static bool is_token(const char *text)
{
	return *text != '\0' &&
	       text[strspn(text,
		   "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+-.^_`|~")] == '\0';
}

static bool check_header(
    const struct config_proxy_draft *draft, const char *name, const char *value, struct error *err)
{
	/* These are ours to write, or would change how the request ends. */
	static const char *const refused[] = {
	    "Host", "Proxy-Authorization", "Content-Length", "Transfer-Encoding", "Connection"};
	char buf[SHOWN_BYTES];
	size_t i;

	if (!is_token(name))
		return error_set(err, "\"%s\" is not the name of a header", shown(name, buf));
	if (strcasecmp(name, "Proxy-Authorization") == 0)
		return error_set(err,
		    "Proxy-Authorization is written from the user and password keys and cannot be set here");
	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (strcasecmp(name, refused[i]) == 0)
			return error_set(err, "%s cannot be set here", refused[i]);
	}
	for (; *value != '\0'; value++) {
		if (((unsigned char)*value < 0x20 && *value != '\t') || *value == 0x7f)
			return error_set(err, "the value of %s has a control character in it", name);
	}
	for (i = 0; i < draft->header_count; i++) {
		if (strcasecmp(name, "User-Agent") == 0 && strcasecmp(draft->headers[i].name, name) == 0)
			return error_set(
			    err, "User-Agent was given before, at line %u", draft->header_lines[i]);
	}
	if (draft->header_count == CONFIG_MAX_ITEMS)
		return error_set(err, "has more than %d header lines", CONFIG_MAX_ITEMS);
	return true;
}

static bool add_header(struct config_proxy_draft *draft, const char *text, unsigned line, struct error *err)
{
	const char *colon = strchr(text, ':');
	size_t count = draft->header_count;
	char *name, *value;

	if (colon == NULL)
		return error_set(err, "must be a header line such as X-Site: plant 7");
	name = mem_strndup(text, (size_t)(colon - text));
	value = mem_strdup(colon + 1);
	if (!check_header(draft, name, text_trim(value), err)) {
		free(name);
		config_string_wipe(value);
		return false;
	}
	draft->headers = mem_realloc(draft->headers, (count + 1) * sizeof(*draft->headers));
	draft->header_lines = mem_realloc(draft->header_lines, (count + 1) * sizeof(*draft->header_lines));
	draft->headers[count].name = name;
	draft->headers[count].value = mem_strdup(text_trim(value));
	draft->header_lines[count] = line;
	draft->header_count++;
	config_string_wipe(value);
	return true;
}

bool config_value_set(
    const struct config_option *option, void *base, const char *text, unsigned line, struct error *err)
{
	void *field = (char *)base + option->offset;

	switch (option->type) {
	case CONFIG_UINT:
	case CONFIG_WORKERS:
		return set_number(option, field, text, err);
	case CONFIG_READY:
		return set_ready(option, field, text, err);
	case CONFIG_DURATION:
		return set_duration(option, field, text, err);
	case CONFIG_BOOL:
		return set_bool(field, text, err);
	case CONFIG_WORD:
		return set_word(option, field, text, err);
	case CONFIG_OCTAL:
		return set_octal(option, field, text, err);
	case CONFIG_TEXT:
		replace(field, mem_strdup(text));
		return true;
	case CONFIG_USER:
		return set_user(field, text, err);
	case CONFIG_FILE:
		return set_file(field, text, err);
	case CONFIG_KEY:
		return set_key(field, text, err);
	case CONFIG_TRUST:
		if (strcmp(text, "system") != 0)
			return set_file(field, text, err);
		replace(field, NULL);
		return true;
	case CONFIG_SECRET:
		return set_secret(field, text, err);
	case CONFIG_IP:
		return set_ip(field, text, err);
	case CONFIG_TARGET:
		return set_target(field, text, err);
	case CONFIG_PROXY_URL:
		return config_value_proxy_url(text, "user", "password", field, err);
	case CONFIG_LISTENS:
	case CONFIG_NETWORKS:
	case CONFIG_PROXIES:
	case CONFIG_USERS:
	case CONFIG_PINS:
	case CONFIG_AUTHORITIES:
	case CONFIG_FLAGS:
		return add_items(option, base, text, line, err);
	case CONFIG_NAMES:
		return add_name(field, text, err);
	case CONFIG_HEADERS:
		return add_header(field, text, line, err);
	}
	return error_set(err, "is of an unknown type");
}
