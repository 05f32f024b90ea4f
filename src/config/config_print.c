/*
 * config_print: see config_print.h.  It walks the option table, so an option is printed because it has a row
 * there. Secrets pass through secret_ref_masked() and nothing else, and the values of header lines, which may be tokens,
 * are not shown at all.
 */
#include "config/config_print.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "config/config_draft.h"
#include "config/config_table.h"

/* Lets the table's offsets, which count from the draft, serve a finished relay. */
_Static_assert(offsetof(struct config_relay_draft, relay) == 0, "relay must come first");

/* One section that is printed: one of the three is set. */
struct subject {
	const struct config_process *process;
	const struct config_relay *relay;
	const struct config_path *proxy; /* a [proxy NAME], as a path that uses it */
};

static void items_add(struct config_list *items, char *text)
{
	items->items = mem_realloc(items->items, (items->count + 2) * sizeof(*items->items));
	items->items[items->count++] = text;
	items->items[items->count] = NULL;
}

static void items_clear(struct config_list *items)
{
	size_t i;

	for (i = 0; i < items->count; i++)
		free(items->items[i]);
	free(items->items);
	memset(items, 0, sizeof(*items));
}

static bool path_is_url(const struct config_path *path)
{
	return !path->direct && strstr(path->name, "://") != NULL;
}

/* The relay's proxy_… keys live in the paths that they were given for: any one of them tells. */
static const struct config_path *own_path(const struct config_relay *relay)
{
	size_t i;

	for (i = 0; i < relay->path_count; i++) {
		if (path_is_url(&relay->paths[i]))
			return &relay->paths[i];
	}
	return NULL;
}

/* The same for those that are for TLS with the proxy. */
static const struct config_path *own_tls_path(const struct config_relay *relay)
{
	size_t i;

	for (i = 0; i < relay->path_count; i++) {
		if (path_is_url(&relay->paths[i]) && relay->paths[i].tls)
			return &relay->paths[i];
	}
	return NULL;
}

static char *listen_text(const struct config_listen *listen)
{
	const struct addr *addr = &listen->addr;
	char buf[ADDR_TEXT_BYTES];

	if (listen->systemd != NULL)
		return mem_printf("systemd:%s", listen->systemd);
	/* Unescaped, so that it loads again. */
	if (addr->u.sa.sa_family == AF_UNIX)
		return mem_printf("unix:%s", addr->u.un.sun_path);
	return mem_printf("%s%s", listen->tls ? "tls://" : "", addr_format(addr, buf));
}

static char *network_text(const struct addr_cidr *cidr)
{
	char ip[INET6_ADDRSTRLEN];
	const struct addr *net = &cidr->net;
	const void *bytes = net->u.sa.sa_family == AF_INET ? (const void *)&net->u.in4.sin_addr
							   : (const void *)&net->u.in6.sin6_addr;

	inet_ntop(net->u.sa.sa_family, bytes, ip, sizeof(ip));
	return mem_printf("%s/%u", ip, cidr->prefix_bits);
}

static void add_list(
    const struct config_option *option, const struct subject *subject, struct config_list *items)
{
	const struct config_relay *relay = subject->relay;
	const struct config_path *path;
	size_t i;

	if (option->type == CONFIG_HEADERS) {
		path = subject->proxy != NULL ? subject->proxy : own_path(relay);
		for (i = 0; path != NULL && i < path->header_count; i++)
			items_add(items, mem_printf("%s: %s", path->headers[i].name, secret_masked_literal));
		return;
	}
	midrelay_assert(relay != NULL);
	if (option->type == CONFIG_NAMES || option->type == CONFIG_USERS || option->type == CONFIG_PINS ||
	    option->type == CONFIG_AUTHORITIES) {
		const struct config_list *list = (const void *)((const char *)relay + option->offset);

		for (i = 0; i < list->count; i++)
			items_add(items, mem_strdup(list->items[i]));
	} else if (option->type == CONFIG_FLAGS) {
		const unsigned *flags = (const void *)((const char *)relay + option->offset);

		for (i = 0; option->words[i] != NULL; i++)
			if ((*flags >> i & 1) != 0)
				items_add(items, mem_strdup(option->words[i]));
		if (items->count == 0)
			items_add(items, mem_strdup("off"));
	} else if (option->type == CONFIG_LISTENS) {
		for (i = 0; i < relay->listen_count; i++)
			items_add(items, listen_text(&relay->listens[i]));
	} else if (option->type == CONFIG_NETWORKS) {
		for (i = 0; i < relay->allow_address_count; i++)
			items_add(items, network_text(&relay->allow_address[i]));
	} else if (option->type == CONFIG_PROXIES) {
		for (i = 0; i < relay->path_count; i++)
			items_add(items, mem_strdup(relay->paths[i].name));
	}
}

static char *url_text(const struct config_path *path)
{
	char *host = hostport_format(&path->proxy);
	char *text = mem_printf("%s://%s", path->tls ? "https" : "http", host);

	free(host);
	return text;
}

/* What a user name, password or URL of a proxy reads; false: the option is none of these. */
static bool proxy_text(const struct config_option *option, const struct subject *subject, char **text)
{
	const struct config_path *path = subject->proxy;

	if (option->type == CONFIG_PROXY_URL && path != NULL) {
		*text = url_text(path);
		return true;
	}
	if (path == NULL && subject->relay != NULL &&
	    (strcmp(option->key, "proxy_user") == 0 || strcmp(option->key, "proxy_password") == 0))
		path = own_path(subject->relay);
	else if (path == NULL)
		return false;
	if (path != NULL && option->type == CONFIG_USER && path->user != NULL)
		*text = mem_strdup(path->user);
	else if (path != NULL && option->type == CONFIG_SECRET && path->password_ref != NULL)
		*text = mem_strdup(secret_ref_masked(path->password_ref));
	return true;
}

/* The same for the options of TLS with a proxy; they have no value where there is no https:// proxy. */
static bool proxy_tls_text(const struct config_option *option, const struct subject *subject, char **text)
{
	const struct config_path *path = subject->proxy;

	if (path == NULL && subject->relay != NULL &&
	    (strcmp(option->key, "proxy_trust") == 0 || strcmp(option->key, "proxy_client_bundle") == 0))
		path = own_tls_path(subject->relay);
	else if (path == NULL || (option->type != CONFIG_TRUST && option->type != CONFIG_FILE))
		return false;
	if (path == NULL || !path->tls)
		return true;
	if (option->type == CONFIG_TRUST)
		*text = mem_strdup(path->trust != NULL ? path->trust : "system");
	else if (path->client_bundle != NULL)
		*text = mem_strdup(path->client_bundle);
	return true;
}

static char *status_text(const struct config_status *status)
{
	const struct config_listen listen = {.addr = status->addr};

	if (status->addr.len == 0)
		return status->none ? mem_strdup("none") : NULL;
	return listen_text(&listen);
}

/* The same for whether the ClientHello goes with the CONNECT; no value where there is no proxy. */
static bool pipeline_text(const struct config_option *option, const struct subject *subject, char **text)
{
	const struct config_path *path = subject->proxy;

	if (path == NULL && subject->relay != NULL && strcmp(option->key, "proxy_pipeline") == 0)
		path = own_path(subject->relay);
	else if (path == NULL || option->type != CONFIG_WORD)
		return false;
	if (path != NULL)
		*text = mem_strdup(option->words[path->pipeline]);
	return true;
}

static char *string_text(const struct config_option *option, const void *field)
{
	const char *const *string = field;

	if (*string == NULL)
		return option->type == CONFIG_TRUST ? mem_strdup("system") : NULL;
	return mem_strdup(option->type == CONFIG_SECRET ? secret_ref_masked(*string) : *string);
}

/* The value of an option that is no list, as text; NULL: not set.  The caller frees it. */
static char *value_text(const struct config_option *option, const struct subject *subject)
{
	const void *base =
	    subject->process != NULL ? (const void *)subject->process : (const void *)subject->relay;
	const void *field = base == NULL ? NULL : (const char *)base + option->offset;
	char *text = NULL;
	char buf[32];
	unsigned word;

	if (proxy_tls_text(option, subject, &text) || pipeline_text(option, subject, &text) ||
	    proxy_text(option, subject, &text))
		return text;
	midrelay_assert(field != NULL);
	switch (option->type) {
	case CONFIG_UINT:
	case CONFIG_WORKERS:
		return mem_printf("%u", *(const unsigned *)field);
	case CONFIG_READY:
		word = *(const unsigned *)field;
		if (word == CONFIG_READY_OFF || word == CONFIG_READY_AUTO)
			return mem_strdup(word == CONFIG_READY_OFF ? "off" : "auto");
		return mem_printf("%u", word);
	case CONFIG_DURATION:
		return mem_strdup(text_format_duration(*(const int64_t *)field, buf, sizeof(buf)));
	case CONFIG_BOOL:
		return mem_strdup(*(const bool *)field ? "yes" : "no");
	case CONFIG_WORD:
		memcpy(&word, field, sizeof(word));
		return mem_strdup(option->words[word]);
	case CONFIG_OCTAL:
		return mem_printf("%04o", (unsigned)*(const mode_t *)field);
	case CONFIG_TEXT:
	case CONFIG_USER:
	case CONFIG_FILE:
	case CONFIG_KEY:
	case CONFIG_TRUST:
	case CONFIG_SECRET:
	case CONFIG_IP:
		return string_text(option, field);
	case CONFIG_TARGET:
		return hostport_format(field);
	case CONFIG_STATUS:
		return status_text(field);
	case CONFIG_PROXY_URL:
	case CONFIG_LISTENS:
	case CONFIG_NETWORKS:
	case CONFIG_PROXIES:
	case CONFIG_HEADERS:
	case CONFIG_NAMES:
	case CONFIG_USERS:
	case CONFIG_PINS:
	case CONFIG_AUTHORITIES:
	case CONFIG_FLAGS:
		break;
	}
	return NULL;
}

static void print_option(const struct config_option *option, const struct subject *subject, FILE *to)
{
	struct config_list items = {0};
	char *text;
	size_t i;

	if (!config_type_is_list(option->type)) {
		text = value_text(option, subject);
		if (text != NULL)
			fprintf(to, "%s = %s\n", option->key, text);
		free(text);
		return;
	}
	add_list(option, subject, &items);
	for (i = 0; i < items.count; i++) {
		if (config_type_is_unsplit(option->type))
			fprintf(to, "%s = %s\n", option->key, items.items[i]);
		else
			fprintf(
			    to, "%s%s%s", i == 0 ? option->key : "", i == 0 ? " = " : ", ", items.items[i]);
	}
	if (items.count > 0 && !config_type_is_unsplit(option->type))
		fputc('\n', to);
	items_clear(&items);
}

static void print_section(
    enum config_section_kind kind, const char *name, const struct subject *subject, FILE *to)
{
	size_t i;

	if (name == NULL)
		fprintf(to, "[%s]\n", config_section_kind_name(kind));
	else
		fprintf(to, "\n[%s %s]\n", config_section_kind_name(kind), name);
	for (i = 0; i < config_option_count; i++) {
		if (config_options[i].section == kind)
			print_option(&config_options[i], subject, to);
	}
}

/* Calls `use` once for each [proxy NAME] that a relay uses, in the order of first use. */
static void each_proxy(
    const struct config *config, void (*use)(const struct config_path *path, void *arg), void *arg)
{
	const struct config_path **seen = NULL;
	size_t count = 0, i, j, k;

	for (i = 0; i < config->relay_count; i++) {
		for (j = 0; j < config->relays[i].path_count; j++) {
			const struct config_path *path = &config->relays[i].paths[j];

			if (path->direct || path_is_url(path))
				continue;
			for (k = 0; k < count && strcmp(seen[k]->name, path->name) != 0; k++)
				;
			if (k < count)
				continue;
			seen = mem_realloc(seen, (count + 1) * sizeof(*seen));
			seen[count++] = path;
			use(path, arg);
		}
	}
	free(seen);
}

static void print_proxy(const struct config_path *path, void *arg)
{
	struct subject subject = {.proxy = path};

	print_section(CONFIG_SECTION_PROXY, path->name, &subject, arg);
}

void config_print_ini(const struct config *config, FILE *to)
{
	struct subject process = {.process = &config->process};
	size_t i;

	print_section(CONFIG_SECTION_MIDRELAY, NULL, &process, to);
	for (i = 0; i < config->relay_count; i++) {
		struct subject relay = {.relay = &config->relays[i]};

		print_section(CONFIG_SECTION_RELAY, config->relays[i].name, &relay, to);
	}
	each_proxy(config, print_proxy, to);
}

static json_t *option_json(const struct config_option *option, const struct subject *subject)
{
	struct config_list items = {0};
	json_t *json = NULL;
	char *text;
	size_t i;

	if (config_type_is_list(option->type)) {
		json = json_array();
		add_list(option, subject, &items);
		/* The _new functions take what they are given, NULL too, and fail on it. */
		for (i = 0; i < items.count; i++) {
			if (json_array_append_new(json, json_string(items.items[i])) != 0) {
				json_decref(json);
				json = NULL;
			}
		}
		items_clear(&items);
		return json;
	}
	text = value_text(option, subject);
	if (text == NULL)
		json = json_null();
	else if (option->type == CONFIG_UINT || option->type == CONFIG_WORKERS ||
	    (option->type == CONFIG_READY && text[0] >= '0' && text[0] <= '9'))
		json = json_integer((json_int_t)strtoul(text, NULL, 10));
	else if (option->type == CONFIG_BOOL)
		json = json_boolean(strcmp(text, "yes") == 0);
	else
		json = json_string(text);
	free(text);
	return json;
}

/* NULL when the library fails. */
static json_t *section_json(enum config_section_kind kind, const char *name, const struct subject *subject)
{
	json_t *object = json_object();
	size_t i;

	if (object != NULL && name != NULL && json_object_set_new(object, "name", json_string(name)) != 0)
		goto fail;
	for (i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];

		if (option->section == kind &&
		    json_object_set_new(object, option->key, option_json(option, subject)) != 0)
			goto fail;
	}
	return object;
fail:
	json_decref(object);
	return NULL;
}

static void add_proxy_json(const struct config_path *path, void *arg)
{
	struct subject subject = {.proxy = path};
	json_t **array = arg;

	if (json_array_append_new(*array, section_json(CONFIG_SECTION_PROXY, path->name, &subject)) != 0) {
		json_decref(*array);
		*array = NULL;
	}
}

static json_t *config_json(const struct config *config)
{
	struct subject process = {.process = &config->process};
	json_t *root = json_object(), *relays = json_array(), *proxies = json_array();
	size_t i;

	for (i = 0; i < config->relay_count; i++) {
		const struct config_relay *relay = &config->relays[i];
		struct subject subject = {.relay = relay};

		if (json_array_append_new(
			relays, section_json(CONFIG_SECTION_RELAY, relay->name, &subject)) != 0) {
			json_decref(relays);
			relays = NULL;
		}
	}
	each_proxy(config, add_proxy_json, &proxies);
	if (json_object_set_new(root, "midrelay", section_json(CONFIG_SECTION_MIDRELAY, NULL, &process)) !=
		0 ||
	    json_object_set(root, "relays", relays) != 0 || json_object_set(root, "proxies", proxies) != 0) {
		json_decref(root);
		root = NULL;
	}
	json_decref(relays);
	json_decref(proxies);
	return root;
}

bool config_print_json(const struct config *config, FILE *to, struct error *err)
{
	json_t *root = config_json(config);
	bool ok;

	if (root == NULL)
		return error_set(err, "the JSON library could not represent the configuration");
	ok = json_dumpf(root, to, JSON_INDENT(2)) == 0 && fputc('\n', to) != EOF;
	json_decref(root);
	return ok ? true : error_set(err, "the JSON text could not be written");
}

static void print_fault(const char *file, const struct config_fault *fault, const char *kind, FILE *to)
{
	if (fault->line == 0)
		fprintf(to, "%s: %s%s\n", file, kind, fault->text);
	else
		fprintf(to, "%s:%u: %s%s\n", file, fault->line, kind, fault->text);
}

void config_print_report(const struct config_report *report, FILE *to)
{
	size_t f = 0, n = 0;

	while (f < report->fault_count || n < report->note_count) {
		if (n == report->note_count ||
		    (f < report->fault_count && report->faults[f].line <= report->notes[n].line))
			print_fault(report->file, &report->faults[f++], "", to);
		else
			print_fault(report->file, &report->notes[n++], "warning: ", to);
	}
}
