/*
 * config_value: see config_value.h.  One value at a time: those of lists are config_items's, what two
 * of them mean together is config_check's.
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
#include "config/config_items.h"

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
	char buf[CONFIG_SHOWN_BYTES];
	uint64_t value;

	if (or_auto && strcmp(text, "auto") == 0)
		value = usable_cpus() < (uint64_t)option->max ? usable_cpus() : (uint64_t)option->max;
	else if (!text_parse_uint(text, (uint64_t)option->min, (uint64_t)option->max, &value))
		return error_set(err, "must be a number from %lld to %lld%s, not \"%s\"",
		    (long long)option->min, (long long)option->max, or_auto ? ", or auto" : "",
		    config_shown(text, buf));
	*(unsigned *)field = (unsigned)value;
	return true;
}

static bool set_ready(const struct config_option *option, void *field, const char *text, struct error *err)
{
	char buf[CONFIG_SHOWN_BYTES];
	uint64_t value;

	if (strcmp(text, "off") == 0)
		value = CONFIG_READY_OFF;
	else if (strcmp(text, "auto") == 0)
		value = CONFIG_READY_AUTO;
	else if (!text_parse_uint(text, (uint64_t)option->min, (uint64_t)option->max, &value))
		return error_set(err, "must be off, auto, or a number from %lld to %lld, not \"%s\"",
		    (long long)option->min, (long long)option->max, config_shown(text, buf));
	*(unsigned *)field = (unsigned)value;
	return true;
}

static bool set_duration(const struct config_option *option, void *field, const char *text, struct error *err)
{
	char buf[CONFIG_SHOWN_BYTES], min[32], max[32];
	int64_t ms;

	if (text_parse_duration(text, &ms) &&
	    ((ms == 0 && option->zero_is_off) || (ms >= option->min && ms <= option->max))) {
		*(int64_t *)field = ms;
		return true;
	}
	return error_set(err, "must be %sa duration from %s to %s, such as 10s or 5m, not \"%s\"",
	    option->zero_is_off ? "0 (off) or " : "", text_format_duration(option->min, min, sizeof(min)),
	    text_format_duration(option->max, max, sizeof(max)), config_shown(text, buf));
}

static bool set_bool(void *field, const char *text, struct error *err)
{
	char buf[CONFIG_SHOWN_BYTES];

	if (strcmp(text, "yes") != 0 && strcmp(text, "no") != 0)
		return error_set(err, "must be yes or no, not \"%s\"", config_shown(text, buf));
	*(bool *)field = strcmp(text, "yes") == 0;
	return true;
}

static bool set_word(const struct config_option *option, void *field, const char *text, struct error *err)
{
	char buf[CONFIG_SHOWN_BYTES], words[128] = "";
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
	return error_set(err, "must be %s, not \"%s\"", words, config_shown(text, buf));
}

static bool set_octal(const struct config_option *option, void *field, const char *text, struct error *err)
{
	char buf[CONFIG_SHOWN_BYTES];
	size_t len = strlen(text);
	unsigned long value;

	if (len == 0 || len > 4 || strspn(text, "01234567") != len)
		return error_set(
		    err, "must be octal permissions such as 0600 or 0660, not \"%s\"", config_shown(text, buf));
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
	if (text_has_control(text))
		return error_set(err, "has a control character in it");
	replace(field, mem_strdup(text));
	return true;
}

static bool set_status(struct config_status *status, const char *text, struct error *err)
{
	struct addr addr;
	char buf[CONFIG_SHOWN_BYTES];

	memset(status, 0, sizeof(*status));
	if (strcmp(text, "none") == 0) {
		status->none = true;
		return true;
	}
	if (!addr_parse(text, &addr, err))
		return error_set(err, "must be none, or an address such as 127.0.0.1:9180 or unix:/run/midrelay/status.sock, "
		    "not \"%s\"", config_shown(text, buf));
	/* What it tells is for this host alone; a reverse proxy may offer it to others, with a password. */
	if (!addr_is_loopback(&addr))
		return error_set(err, "%s is not a loopback address: the status endpoint asks nobody who they are",
		    config_shown(text, buf));
	status->addr = addr;
	return true;
}

static bool set_file(void *field, const char *text, struct error *err)
{
	char buf[CONFIG_SHOWN_BYTES];
	size_t len = strlen(text);

	if (text_is_uri(text))
		return error_set(err, "must be a path, not a URI; the key alone may be one (client_key)");
	if (len > 1 && (text[0] == '"' || text[0] == '\'') && text[len - 1] == text[0])
		return error_set(err, "must be a path, not %s", config_shown(text, buf));
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
	char buf[CONFIG_SHOWN_BYTES];
	struct addr addr;

	if (!addr_parse_ip(text, 0, &addr))
		return error_set(err,
		    "must be a numeric address without port, such as 192.0.2.7 or 2001:db8::7, not \"%s\"",
		    config_shown(text, buf));
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
	char buf[CONFIG_SHOWN_BYTES];
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
		return error_set(err, "must be like http://proxy.example:3128, not \"%s\"", config_shown(text, buf));
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
	case CONFIG_STATUS:
		return set_status(field, text, err);
	case CONFIG_PROXY_URL:
		return config_value_proxy_url(text, "user", "password", field, err);
	case CONFIG_LISTENS:
	case CONFIG_NETWORKS:
	case CONFIG_PROXIES:
	case CONFIG_USERS:
	case CONFIG_PINS:
	case CONFIG_AUTHORITIES:
	case CONFIG_FLAGS:
		return config_items_add(option, base, text, line, err);
	case CONFIG_NAMES:
		return config_items_add_name(field, text, err);
	case CONFIG_HEADERS:
		return config_items_add_header(field, text, line, err);
	}
	return error_set(err, "is of an unknown type");
}
