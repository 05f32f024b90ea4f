/*
 * config_items: see config_items.h.  Which items go together is judged here as far as one list tells it.
 */
#include "config/config_items.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"

static bool add_listen(struct config_relay *relay, const char *text, unsigned line, struct error *err)
{
	struct config_listen *listen;
	struct addr addr = {0};
	bool systemd = strncmp(text, "systemd:", 8) == 0;
	bool tls = strncasecmp(text, "tls://", 6) == 0;

	/* sd_listen_fds_with_names(3): such a name has neither. */
	if (systemd && (text[8] == '\0' || text_has_control(text) || strchr(text + 8, ':') != NULL))
		return error_set(
		    err, "systemd: needs the FileDescriptorName= of a socket unit, as in systemd:midrelay");
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

bool config_items_add_name(struct config_list *list, const char *text, struct error *err)
{
	if (text_has_control(text))
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
	char buf[CONFIG_SHOWN_BYTES];

	if (strncmp(text, prefix, sizeof(prefix) - 1) != 0 || strspn(base64, digits) != 43 ||
	    strcmp(base64 + 43, "=") != 0 || strchr("AEIMQUYcgkosw048", base64[42]) == NULL)
		return error_set(err,
		    "must be sha256// and the base64 of a public key's SHA-256 (44 characters), not \"%s\"",
		    config_shown(text, buf));
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
	char buf[CONFIG_SHOWN_BYTES], words[128] = "off";
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
	return error_set(err, "must be %s, not \"%s\"", words, config_shown(text, buf));
}

/* Of the item that was added last.  True. */
static bool note_line(unsigned lines[CONFIG_MAX_ITEMS], const struct config_list *list, unsigned line)
{
	lines[list->count - 1] = line;
	return true;
}

static bool add_item(
    const struct config_option *option, void *base, const char *text, unsigned line, struct error *err)
{
	struct config_relay_draft *draft = base;
	void *field = (char *)base + option->offset;

	if (option->type == CONFIG_USERS)
		return config_items_add_name(field, text, err) &&
		    note_line(draft->allow_user_lines, &draft->relay.allow_user, line);
	if (option->type == CONFIG_PINS)
		return add_pin(field, text, err);
	if (option->type == CONFIG_AUTHORITIES)
		return add_authority(field, text, err) &&
		    note_line(draft->connect_allow_lines, &draft->relay.connect_allow, line);
	if (option->type == CONFIG_FLAGS)
		return add_flag(option, field, text, err);
	if (option->type == CONFIG_LISTENS)
		return add_listen(&draft->relay, text, line, err);
	if (option->type == CONFIG_NETWORKS)
		return add_network(&draft->relay, text, err);
	return add_proxy(draft, text, line, err);
}

bool config_items_add(
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
	size_t i;

	if (!is_token(name))
		return error_set(err, "what stands before the ':' is not the name of a header");
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

bool config_items_add_header(
    struct config_proxy_draft *draft, const char *text, unsigned line, struct error *err)
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
