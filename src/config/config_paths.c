/*
 * config_paths: a relay's `proxy` list into paths, each with the credentials that are its own: a proxy listed
 * by URL takes the relay's proxy_… keys, one listed by NAME those of its section and no others.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "config/config_draft.h"
#include "config/config_table.h"
#include "config/config_value.h"

static char *dup_or_null(const char *text)
{
	return text == NULL ? NULL : mem_strdup(text);
}

static unsigned line_of(const struct config_lines *lines, enum config_section_kind kind, const char *key)
{
	return lines->option[config_option_index(config_option_find(kind, key))];
}

static void take_credentials(struct config_path *path, const struct config_proxy_draft *from,
    const struct config_lines *lines, enum config_section_kind kind)
{
	bool own = kind == CONFIG_SECTION_RELAY;
	size_t i;

	path->user = dup_or_null(from->user);
	path->password_ref = dup_or_null(from->password_ref);
	path->password_line = line_of(lines, kind, own ? "proxy_password" : "password");
	path->trust = dup_or_null(from->trust);
	path->trust_line = line_of(lines, kind, own ? "proxy_trust" : "trust");
	path->client_bundle = dup_or_null(from->client_bundle);
	path->pipeline = from->pipeline;
	path->client_bundle_line = line_of(lines, kind, own ? "proxy_client_bundle" : "client_bundle");
	path->headers = mem_calloc(from->header_count, sizeof(*path->headers));
	for (i = 0; i < from->header_count; i++) {
		path->headers[i].name = mem_strdup(from->headers[i].name);
		path->headers[i].value = mem_strdup(from->headers[i].value);
	}
	path->header_count = from->header_count;
}

static void copy_hostport(struct hostport *to, const struct hostport *from)
{
	to->host = dup_or_null(from->host);
	to->port = from->port;
	to->is_ip = from->is_ip;
}

static struct config_proxy_draft *find_proxy(struct config_draft *draft, const char *name)
{
	size_t i;

	for (i = 0; i < draft->proxy_count; i++) {
		if (strcmp(draft->proxies[i].name, name) == 0)
			return &draft->proxies[i];
	}
	return NULL;
}

/* Says what could have been meant; what holds an '@' may hold a password and is not shown. */
static void report_undefined(
    const struct config_draft *draft, const struct config_item *item, struct config_report *report)
{
	const char **names;
	const char *nearest;
	char shown[CONFIG_SHOWN_BYTES];
	size_t i;

	if (strchr(item->text, '@') != NULL) {
		config_report_fault(report, item->line,
		    "proxy: must be http://HOST:PORT, the NAME of a [proxy NAME] or direct; credentials "
		    "belong "
		    "into proxy_user and proxy_password");
		return;
	}
	config_shown(item->text, shown);
	names = mem_calloc(draft->proxy_count + 2, sizeof(*names));
	for (i = 0; i < draft->proxy_count; i++)
		names[i] = draft->proxies[i].name;
	names[i] = "direct";
	nearest = text_nearest(item->text, names);
	free(names);
	if (strchr(item->text, ':') != NULL)
		config_report_fault(
		    report, item->line, "proxy: \"%s\" is no URL; write http://HOST:PORT", shown);
	else if (nearest != NULL)
		config_report_fault(
		    report, item->line, "proxy: there is no [proxy %s]; did you mean %s?", shown, nearest);
	else
		config_report_fault(report, item->line,
		    "proxy: there is no [proxy %s]; a proxy's URL is written http://HOST:PORT", shown);
}

static char *name_of_url(const struct config_proxy_url *url)
{
	char *at = hostport_format(&url->at);
	char *name = mem_printf("%s://%s", url->tls ? "https" : "http", at);

	free(at);
	return name;
}

char *config_path_name(const char *text, struct error *err)
{
	struct config_proxy_url url = {0};
	char *name;

	if (strstr(text, "://") == NULL)
		return mem_strdup(text);
	if (!config_value_proxy_url(text, "proxy_user", "proxy_password", &url, err))
		return NULL;
	name = name_of_url(&url);
	hostport_clear(&url.at);
	return name;
}

/* False when the item is at fault, which is then reported. */
static bool make_path(struct config_draft *draft, const struct config_relay_draft *relay,
    const struct config_item *item, struct config_path *path, struct config_report *report)
{
	struct config_proxy_draft *proxy;
	struct config_proxy_url url = {0};
	struct error err;

	path->line = item->line;
	if (strcmp(item->text, "direct") == 0) {
		path->direct = true;
		path->name = mem_strdup("direct");
		return true;
	}
	if (strstr(item->text, "://") != NULL) {
		if (!config_value_proxy_url(item->text, "proxy_user", "proxy_password", &url, &err)) {
			config_report_fault(report, item->line, "proxy: %s", err.text);
			return false;
		}
		path->proxy = url.at;
		path->tls = url.tls;
		path->name = name_of_url(&url);
		take_credentials(path, &relay->own, &relay->relay.lines, CONFIG_SECTION_RELAY);
		return true;
	}
	proxy = find_proxy(draft, item->text);
	if (proxy == NULL) {
		report_undefined(draft, item, report);
		return false;
	}
	proxy->used = true;
	path->name = mem_strdup(proxy->name);
	copy_hostport(&path->proxy, &proxy->url.at);
	path->tls = proxy->url.tls;
	take_credentials(path, proxy, &proxy->lines, CONFIG_SECTION_PROXY);
	return true;
}

static void check_twice(const struct config_relay *relay, struct config_report *report)
{
	const struct config_path *path = &relay->paths[relay->path_count - 1];
	size_t i;

	for (i = 0; i + 1 < relay->path_count; i++) {
		if (strcmp(relay->paths[i].name, path->name) == 0) {
			config_report_fault(report, path->line, "proxy: %s is listed twice", path->name);
			return;
		}
	}
}

void config_check_paths(
    struct config_draft *draft, struct config_relay_draft *relay, struct config_report *report)
{
	struct config_relay *to = &relay->relay;
	char direct_text[] = "direct";
	struct config_item direct = {direct_text, to->lines.section};
	bool listed = config_relay_line(to, "proxy") != to->lines.section;
	const struct config_item *items = listed ? relay->proxies : &direct;
	size_t count = listed ? relay->proxy_count : 1, i;
	bool any_direct = false;

	to->paths = mem_calloc(count, sizeof(*to->paths));
	for (i = 0; i < count; i++) {
		if (!make_path(draft, relay, &items[i], &to->paths[to->path_count], report))
			continue;
		any_direct |= to->paths[to->path_count].direct;
		to->path_count++;
		check_twice(to, report);
	}
	if (to->target_address != NULL && !any_direct && count > 0)
		config_report_note(report, config_relay_line(to, "target_address"),
		    "target_address has no effect: proxy does not list direct");
}
