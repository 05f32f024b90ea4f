/*
 * config_check: what no value alone can tell: values that belong together or exclude each other, and names
 * that must be defined somewhere else.  A relay's list of proxies is config_paths's.
 */
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "config/config_draft.h"
#include "config/config_table.h"
#include "config/config_value.h"

/* Where a MID Server gets its own upgrades. */
#define CONNECT_ALLOW_DEFAULT "install.service-now.com:443"

/* The line of a key, or 0 when it was not given. */
static unsigned given(const struct config_lines *lines, enum config_section_kind kind, const char *key)
{
	const struct config_option *option = config_option_find(kind, key);

	midrelay_assert(option != NULL);
	return lines->option[config_option_index(option)];
}

static void check_required(const struct config_lines *lines, enum config_section_kind kind, const char *key,
    struct config_report *report)
{
	if (given(lines, kind, key) == 0)
		config_report_fault(report, lines->section, "%s is required", key);
}

/* Two keys that need each other. */
static void check_pair(const struct config_lines *lines, enum config_section_kind kind, const char *a,
    const char *b, struct config_report *report)
{
	unsigned a_line = given(lines, kind, a), b_line = given(lines, kind, b);

	if (a_line != 0 && b_line == 0)
		config_report_fault(report, a_line, "%s needs %s", a, b);
	if (b_line != 0 && a_line == 0)
		config_report_fault(report, b_line, "%s needs %s", b, a);
}

/* An account by name, or a number: a container may run under ids that have no name. */
static void check_accounts(const struct config_process *process, struct config_report *report)
{
	char shown[CONFIG_SHOWN_BYTES];
	uint64_t id;

	if (process->user != NULL && !text_parse_uint(process->user, 0, UINT32_MAX - 1, &id) &&
	    getpwnam(process->user) == NULL)
		config_report_fault(report, given(&process->lines, CONFIG_SECTION_MIDRELAY, "user"),
		    "user: there is no user \"%s\" on this host",
		    config_shown(process->user, shown));
	if (process->group != NULL && !text_parse_uint(process->group, 0, UINT32_MAX - 1, &id) &&
	    getgrnam(process->group) == NULL)
		config_report_fault(report, given(&process->lines, CONFIG_SECTION_MIDRELAY, "group"),
		    "group: there is no group \"%s\" on this host",
		    config_shown(process->group, shown));
}

static void find_users(struct config_relay_draft *draft, struct config_report *report)
{
	struct config_relay *relay = &draft->relay;
	char shown[CONFIG_SHOWN_BYTES];
	size_t i;

	relay->allow_uids = mem_calloc(relay->allow_user.count, sizeof(*relay->allow_uids));
	for (i = 0; i < relay->allow_user.count; i++) {
		const char *text = relay->allow_user.items[i];
		const struct passwd *account;
		uint64_t id;

		if (text_parse_uint(text, 0, UINT32_MAX - 1, &id)) {
			relay->allow_uids[i] = (uid_t)id;
		} else if ((account = getpwnam(text)) != NULL) {
			relay->allow_uids[i] = account->pw_uid;
		} else {
			config_report_fault(report, draft->allow_user_lines[i],
			    "allow_user: there is no user \"%s\" on this host", config_shown(text, shown));
		}
	}
}

static void check_listens(const struct config_relay *relay, struct config_report *report)
{
	char shown[ADDR_TEXT_BYTES];
	bool any_unix = false;
	size_t i;

	check_required(&relay->lines, CONFIG_SECTION_RELAY, "listen", report);
	for (i = 0; i < relay->listen_count; i++) {
		const struct config_listen *listen = &relay->listens[i];

		any_unix |= listen->addr.u.sa.sa_family == AF_UNIX;
		/* Where those listen is seen when they are there. */
		if (listen->systemd != NULL)
			continue;
		if (addr_is_loopback(&listen->addr))
			continue;
		/* Who has to show a certificate needs no list of addresses. */
		if (relay->allow_nonlocal && listen->tls && relay->listen_client_ca != NULL)
			continue;
		addr_format(&listen->addr, shown);
		if (!relay->allow_nonlocal)
			config_report_fault(report, listen->line,
			    "listen: %s is not a loopback address; other hosts may connect there only with "
			    "allow_nonlocal = yes and an allow_address",
			    shown);
		else if (given(&relay->lines, CONFIG_SECTION_RELAY, "allow_address") == 0)
			config_report_fault(report, listen->line,
			    "listen: %s is not a loopback address; allow_address must say who may connect%s",
			    shown, listen->tls ? ", or listen_client_ca" : "");
	}
	/* The effective configuration always shows it: the default is no sign of a mistake. */
	if (!any_unix && relay->listen_mode != 0600 && relay->listen_count > 0)
		config_report_note(report, given(&relay->lines, CONFIG_SECTION_RELAY, "listen_mode"),
		    "listen_mode has no effect: no unix: address is listed in listen");
}

/* What local TLS is made of: a certificate, its key, and whom it asks for one. */
static void check_local_tls(const struct config_relay *relay, struct config_report *report)
{
	static const char *const keys[] = {"listen_cert", "listen_key", "listen_client_ca"};
	const struct config_lines *lines = &relay->lines;
	unsigned cert = given(lines, CONFIG_SECTION_RELAY, "listen_cert");
	unsigned key = given(lines, CONFIG_SECTION_RELAY, "listen_key");
	bool any = false;
	size_t i;

	for (i = 0; i < relay->listen_count; i++) {
		any |= relay->listens[i].tls;
		if (relay->listens[i].tls && cert == 0)
			config_report_fault(report, relay->listens[i].line, "listen: tls:// needs listen_cert: "
			    "a file, or auto for a certificate that is made here");
	}
	if (key != 0 && cert == 0)
		config_report_fault(report, key, "listen_key needs listen_cert");
	if (key != 0 && config_relay_makes_cert(relay))
		config_report_fault(report, key, "listen_key and listen_cert = auto (line %u) exclude each "
		    "other: auto makes its own key", cert);
	for (i = 0; !any && relay->mode == CONFIG_MODE_TCP && i < sizeof(keys) / sizeof(keys[0]); i++) {
		unsigned line = given(lines, CONFIG_SECTION_RELAY, keys[i]);

		if (line != 0 && (cert != 0 || line != key))
			config_report_note(report, line, "%s has no effect: no tls:// address is listed in "
			    "listen", keys[i]);
	}
}

/* Whether both cannot be bound: equal, or one is the wildcard of the other's family and port. */
static bool listens_collide(const struct config_listen *one, const struct config_listen *other)
{
	const struct addr *a = &one->addr, *b = &other->addr;

	if (one->systemd != NULL || other->systemd != NULL)
		return one->systemd != NULL && other->systemd != NULL && strcmp(one->systemd, other->systemd) == 0;
	if (a->u.sa.sa_family != b->u.sa.sa_family)
		return false;
	if (a->u.sa.sa_family == AF_UNIX)
		return addr_equal(a, b);
	if (addr_port(a) == 0 || addr_port(a) != addr_port(b))
		return false;
	return addr_equal(a, b) || addr_is_wildcard(a) || addr_is_wildcard(b);
}

/* Compares one address with all that stand before it, in any relay. */
static void check_collision(
    const struct config_draft *draft, size_t relay_index, size_t listen_index, struct config_report *report)
{
	const struct config_listen *listen = &draft->relays[relay_index].relay.listens[listen_index];
	char shown[ADDR_TEXT_BYTES];
	size_t i, j;

	for (i = 0; i <= relay_index; i++) {
		const struct config_relay *other = &draft->relays[i].relay;
		size_t end = i == relay_index ? listen_index : other->listen_count;

		for (j = 0; j < end; j++) {
			if (!listens_collide(listen, &other->listens[j]))
				continue;
			config_report_fault(report, listen->line,
			    "listen: %s%s is taken by [relay %s], at line %u", listen->systemd != NULL ?
			    "systemd:" : "", listen->systemd != NULL ? listen->systemd :
			    addr_format(&listen->addr, shown), other->name, other->listens[j].line);
			return;
		}
	}
}

static void check_collisions(const struct config_draft *draft, struct config_report *report)
{
	size_t i, j;

	for (i = 0; i < draft->relay_count; i++) {
		for (j = 0; j < draft->relays[i].relay.listen_count; j++)
			check_collision(draft, i, j, report);
	}
}

static void check_client(struct config_relay *relay, struct config_report *report)
{
	static const char *const split[] = {"client_cert", "client_key", "client_chain"};
	const struct config_lines *lines = &relay->lines;
	unsigned bundle = given(lines, CONFIG_SECTION_RELAY, "client_bundle");
	unsigned cert = given(lines, CONFIG_SECTION_RELAY, "client_cert");
	unsigned key = given(lines, CONFIG_SECTION_RELAY, "client_key");
	unsigned passphrase = given(lines, CONFIG_SECTION_RELAY, "client_passphrase");
	unsigned chain = given(lines, CONFIG_SECTION_RELAY, "client_chain");
	size_t i;

	for (i = 0; bundle != 0 && i < sizeof(split) / sizeof(split[0]); i++) {
		unsigned line = given(lines, CONFIG_SECTION_RELAY, split[i]);

		if (line != 0)
			config_report_fault(report, line,
			    "%s and client_bundle (line %u) exclude each other: give the bundle or the "
			    "separate files",
			    split[i], bundle);
	}
	if (bundle == 0) {
		check_pair(lines, CONFIG_SECTION_RELAY, "client_cert", "client_key", report);
		if (chain != 0 && cert == 0)
			config_report_fault(report, chain, "client_chain needs client_cert");
		if (passphrase != 0 && key == 0)
			config_report_fault(
			    report, passphrase, "client_passphrase needs client_bundle or client_key");
	}
	if (given(lines, CONFIG_SECTION_RELAY, "require_client_cert_request") == 0)
		relay->require_client_cert_request = bundle != 0 || cert != 0;
}

static void check_revocation(const struct config_relay *relay, struct config_report *report)
{
	unsigned revocation = given(&relay->lines, CONFIG_SECTION_RELAY, "revocation");
	unsigned crl_file = given(&relay->lines, CONFIG_SECTION_RELAY, "crl_file");

	if ((relay->revocation & CONFIG_REVOCATION_CRL) != 0 && crl_file == 0)
		config_report_fault(report, revocation, "revocation: crl needs crl_file");
	/* A list that is named and not looked at would be taken for protection. */
	if (crl_file != 0 && (relay->revocation & CONFIG_REVOCATION_CRL) == 0)
		config_report_fault(report, crl_file, "crl_file needs crl in revocation");
}

static void check_tls(const struct config_relay *relay, struct config_report *report)
{
	unsigned min = given(&relay->lines, CONFIG_SECTION_RELAY, "tls_min");
	unsigned max = given(&relay->lines, CONFIG_SECTION_RELAY, "tls_max");

	if (relay->tls_min > relay->tls_max)
		config_report_fault(report, min > max ? min : max, "tls_min must not be above tls_max");
}

static bool lists_https(const struct config_relay_draft *draft)
{
	size_t i;

	for (i = 0; i < draft->proxy_count; i++) {
		if (strncasecmp(draft->proxies[i].text, "https://", 8) == 0)
			return true;
	}
	return false;
}

/* `system` is the default, and the effective configuration shows it: no sign of a mistake. */
static void check_proxy_tls_keys(const struct config_proxy_draft *proxy, const struct config_lines *lines,
    enum config_section_kind kind, struct config_report *report)
{
	const char *keys[] = {"trust", "client_bundle"};
	const char *values[] = {proxy->trust, proxy->client_bundle};
	size_t i;

	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		char *key = mem_printf("%s%s", kind == CONFIG_SECTION_RELAY ? "proxy_" : "", keys[i]);
		unsigned line = given(lines, kind, key);

		if (line != 0 && values[i] != NULL)
			config_report_note(report, line, "%s has no effect: %s", key,
			    kind == CONFIG_SECTION_RELAY ? "proxy lists no https:// URL" : "url is not https://");
		free(key);
	}
}

static void check_own_proxy_keys(const struct config_relay_draft *draft, struct config_report *report)
{
	static const char *const keys[] = {"proxy_user", "proxy_password", "proxy_header", "proxy_pipeline"};
	const struct config_lines *lines = &draft->relay.lines;
	bool any_url = false;
	size_t i;

	check_pair(lines, CONFIG_SECTION_RELAY, "proxy_user", "proxy_password", report);
	if (!lists_https(draft) && (draft->proxy_count > 0 || given(lines, CONFIG_SECTION_RELAY, "proxy") == 0))
		check_proxy_tls_keys(&draft->own, lines, CONFIG_SECTION_RELAY, report);
	for (i = 0; i < draft->proxy_count; i++)
		any_url |= strstr(draft->proxies[i].text, "://") != NULL;
	/* A `proxy` that could not be read has been reported; what it would have listed is not known. */
	if (any_url || (draft->proxy_count == 0 && given(lines, CONFIG_SECTION_RELAY, "proxy") != 0))
		return;
	for (i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
		unsigned line = given(lines, CONFIG_SECTION_RELAY, keys[i]);

		if (line != 0)
			config_report_note(
			    report, line, "%s has no effect: proxy lists no proxy by its URL", keys[i]);
	}
}

static void check_mode(struct config_relay_draft *draft, struct config_report *report)
{
	struct config_relay *relay = &draft->relay;
	unsigned line = given(&relay->lines, CONFIG_SECTION_RELAY, "connect_allow");
	char *target;
	size_t i;

	if (relay->mode != CONFIG_MODE_HTTP) {
		if (line != 0)
			config_report_note(report, line, "connect_allow has no effect without mode = http");
		line = given(&relay->lines, CONFIG_SECTION_RELAY, "http_reuse");
		if (line != 0)
			config_report_note(report, line, "http_reuse has no effect without mode = http");
		return;
	}
	if (line == 0) {
		config_list_add(&relay->connect_allow, mem_strdup(CONNECT_ALLOW_DEFAULT));
		return;
	}
	target = relay->target.host != NULL ? hostport_format(&relay->target) : mem_strdup("");
	for (i = 0; i < relay->connect_allow.count; i++) {
		if (strcmp(relay->connect_allow.items[i], target) == 0)
			config_report_fault(report, draft->connect_allow_lines[i], "connect_allow: %s is the target; a tunnel to it "
			    "would go around the client certificate", target);
	}
	free(target);
}

static void check_relay(
    struct config_draft *draft, struct config_relay_draft *relay, struct config_report *report)
{
	check_listens(&relay->relay, report);
	check_local_tls(&relay->relay, report);
	check_required(&relay->relay.lines, CONFIG_SECTION_RELAY, "target", report);
	find_users(relay, report);
	check_client(&relay->relay, report);
	check_tls(&relay->relay, report);
	check_mode(relay, report);
	check_revocation(&relay->relay, report);
	check_own_proxy_keys(relay, report);
	config_check_paths(draft, relay, report);
}

/* The service manager's directory for this instance; systemd.exec(5): it may be a list. */
static void default_status(struct config_process *process, struct config_report *report)
{
	const char *directory = getenv("RUNTIME_DIRECTORY");
	struct error err;
	char *text;

	if (given(&process->lines, CONFIG_SECTION_MIDRELAY, "status") != 0 || directory == NULL || directory[0] != '/')
		return;
	text = mem_printf("unix:%.*s/status.sock", (int)strcspn(directory, ":"), directory);
	if (!addr_parse(text, &process->status.addr, &err))
		config_report_note(report, 0, "there is no status endpoint: $RUNTIME_DIRECTORY/status.sock: %s", err.text);
	free(text);
}

static void check_status(const struct config_draft *draft, struct config_report *report)
{
	const struct addr *addr = &draft->process.status.addr;
	const struct config_listen status = {.addr = *addr};
	size_t i, j;

	for (i = 0; i < draft->relay_count && addr->len != 0; i++) {
		const struct config_relay *relay = &draft->relays[i].relay;

		for (j = 0; j < relay->listen_count; j++) {
			if (listens_collide(&status, &relay->listens[j]))
				config_report_fault(report, given(&draft->process.lines, CONFIG_SECTION_MIDRELAY, "status"),
				    "status: relay %s listens at that address", relay->name);
		}
	}
}

void config_check(struct config_draft *draft, struct config_report *report)
{
	size_t i;

	check_accounts(&draft->process, report);
	default_status(&draft->process, report);
	if (!draft->relay_seen)
		config_report_fault(report, 0, "there is no [relay NAME] section");
	for (i = 0; i < draft->proxy_count; i++) {
		check_required(&draft->proxies[i].lines, CONFIG_SECTION_PROXY, "url", report);
		check_pair(&draft->proxies[i].lines, CONFIG_SECTION_PROXY, "user", "password", report);
		if (draft->proxies[i].url.at.host != NULL && !draft->proxies[i].url.tls)
			check_proxy_tls_keys(&draft->proxies[i], &draft->proxies[i].lines, CONFIG_SECTION_PROXY,
			    report);
	}
	for (i = 0; i < draft->relay_count; i++)
		check_relay(draft, &draft->relays[i], report);
	check_collisions(draft, report);
	check_status(draft, report);
	/* Among faults it would only be noise: the relay that uses it may be the one at fault. */
	for (i = 0; i < draft->proxy_count && report->fault_count == 0; i++) {
		if (!draft->proxies[i].used)
			config_report_note(report, draft->proxies[i].lines.section,
			    "[proxy %s] is used by no relay", draft->proxies[i].name);
	}
}
