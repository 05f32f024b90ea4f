/*
 * relay_route: see relay_route.h.
 *
 * Answers for bringing configuration, requests and identities together.  How an identity comes out of the
 * configuration stands in relay_identity.c, the state of paths in relay_path.c.
 */
#include "dial/relay_route.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "dial/http_connect.h"
#include "dial/relay_identity.h"
#include "dial/relay_local.h"

/* Squid takes 64 kB, others 8; what we send at once is bounded as well. */
#define CONNECT_MAX_BYTES 32768

static void path_clear(struct relay_path *path, unsigned loop_count)
{
	unsigned i;

	for (i = 0; path->slots != NULL && i < loop_count; i++)
		tls_session_slot_clear(&path->slots[i]);
	for (i = 0; path->proxy_slots != NULL && i < loop_count; i++)
		tls_session_slot_clear(&path->proxy_slots[i]);
	for (i = 0; path->old_slots != NULL && i < loop_count; i++)
		tls_session_slot_clear(&path->old_slots[i]);
	free(path->slots);
	free(path->old_slots);
	free(relay_path_take_server(path));
	path_stats_unref(path->stats);
	free(path->proxy_slots);
	identity_unref(path->proxy_identity);
	secret_free(path->request);
}

static void route_clear(struct relay_route *route, unsigned loop_count)
{
	size_t i;

	for (i = 0; i < route->path_count; i++)
		path_clear(&route->paths[i], loop_count);
	free(route->paths);
	free(route->gates);
	relay_stats_unref(route->stats);
	identity_choice_clear(&route->choice);
	identity_unref(route->identity);
	local_identity_free(route->local);
	free(route->target_text);
	for (i = 0; route->own_hosts != NULL && route->own_hosts[i] != NULL; i++)
		free(route->own_hosts[i]);
	free(route->own_hosts);
}

/* NULL: it has been reported. */
static struct secret *load_password(struct relay_set *set, const struct config_path *config, struct config_report *report)
{
	const char *key = strstr(config->name, "://") != NULL ? "proxy_password" : "password";
	struct secret *password = relay_identity_secret(set, config->password_ref, key, config->password_line, report);

	if (password != NULL && text_has_control(secret_bytes(password))) {
		config_report_fault(report, config->password_line, "%s: the secret has a control character in it (more than "
		    "one line?), which Basic does not allow (RFC 7617)", key);
		secret_free(password);
		password = NULL;
	}
	return password;
}

static struct secret *build_request(struct relay_set *set, const struct config_path *config,
    const struct config_relay *relay, struct config_report *report)
{
	struct http_connect_request request = {.target = &relay->target, .user = config->user};
	const char **names = mem_calloc(config->header_count, sizeof(*names));
	const char **values = mem_calloc(config->header_count, sizeof(*values));
	struct secret *password = NULL, *head = NULL;
	size_t i;

	for (i = 0; i < config->header_count; i++) {
		names[i] = config->headers[i].name;
		values[i] = config->headers[i].value;
	}
	request.header_names = names;
	request.header_values = values;
	request.header_count = config->header_count;
	if (config->user != NULL)
		password = load_password(set, config, report);
	if (config->user == NULL || password != NULL) {
		request.password = password;
		head = http_connect_build(&request);
		if (secret_len(head) > CONNECT_MAX_BYTES)
			config_report_fault(report, config->line, "the CONNECT to %s would have %zu bytes "
			    "with its headers; proxies take far less: at most %d", config->name,
			    secret_len(head), CONNECT_MAX_BYTES);
	}
	secret_free(password);
	free(names);
	free(values);
	return head;
}

static void path_build(struct relay_path *path, struct relay_set *set, const struct config_relay *relay,
    struct config_report *report)
{
	path->slots = mem_calloc(set->loop_count, sizeof(*path->slots));
	path->old_slots = mem_calloc(set->loop_count, sizeof(*path->old_slots));
	path->stats = path_stats_new(set->loop_count);
	if (path->config->direct)
		return;
	path->request = build_request(set, path->config, relay, report);
	if (!path->config->tls)
		return;
	path->proxy_slots = mem_calloc(set->loop_count, sizeof(*path->proxy_slots));
	path->proxy_identity = relay_identity_build_proxy(set, path->config, report);
}

static void build_http_rules(struct relay_route *route)
{
	const struct config_relay *config = route->config;
	struct http_rules *rules = &route->http_rules;
	char text[INET6_ADDRSTRLEN];
	size_t i;

	route->own_hosts = mem_calloc(config->listen_count + 1, sizeof(*route->own_hosts));
	for (i = 0; i < config->listen_count; i++) {
		const struct addr *own = &config->listens[i].addr;

		if (!addr_is_wildcard(own) && addr_format_host(own, text) != NULL)
			route->own_hosts[rules->own_host_count++] = mem_strdup(text);
	}
	rules->own_hosts = (const char *const *)route->own_hosts;
	rules->target_host = config->target.host;
	rules->target_port = config->target.port;
}

static void route_build(struct relay_route *route, struct relay_set *set, const struct config_relay *config,
    struct config_report *report)
{
	size_t i;

	route->set = set;
	route->config = config;
	route->target_text = hostport_format(&config->target);
	route->local = relay_local_build(config, report);
	if (config->source_address != NULL && !addr_parse_ip(config->source_address, 0, &route->source))
		config_report_fault(report, config_relay_line(config, "source_address"),
		    "source_address: %s is not an IP address", config->source_address);
	if (config->target_address != NULL &&
	    !addr_parse_ip(config->target_address, config->target.port, &route->target_address))
		config_report_fault(report, config_relay_line(config, "target_address"),
		    "target_address: %s is not an IP address", config->target_address);
	route->stats = relay_stats_new(set->loop_count);
	route->gates = mem_calloc(set->loop_count, sizeof(*route->gates));
	for (i = 0; i < set->loop_count; i++)
		dial_gate_init(&route->gates[i], set->loop_count);
	if (config->mode == CONFIG_MODE_HTTP)
		build_http_rules(route);
	route->paths = mem_calloc(config->path_count, sizeof(*route->paths));
	route->path_count = config->path_count;
	for (i = 0; i < config->path_count; i++)
		route->paths[i].config = &config->paths[i];
	for (i = 0; i < config->path_count; i++)
		path_build(&route->paths[i], set, config, report);
}

static bool has_sealed_passphrase(const struct config_relay *relay)
{
	return relay->client_passphrase_ref != NULL &&
	    secret_ref_kind(relay->client_passphrase_ref) == SECRET_REF_SEALED;
}

/* Keys that need nothing sealed come first: they may open the passphrases of the others. */
static void build_identities(struct relay_set *set, const struct relay_set *previous,
    struct config_report *report)
{
	size_t i, round;

	for (round = 0; round < 2; round++) {
		for (i = 0; i < set->route_count; i++) {
			if (has_sealed_passphrase(&set->config->relays[i]) == (round == 1))
				relay_identity_build(set, i, previous, report);
		}
	}
}

/*
 * Adds the faults in the files of a configuration that has faults of its own, so that all are told in one go.
 */
static void check_files(struct relay_set *set, struct config_report *report)
{
	size_t i, j;

	for (i = 0; i < set->route_count; i++) {
		const struct config_relay *relay = &set->config->relays[i];
		bool one_form = relay->client_bundle == NULL || (relay->client_cert == NULL &&
		    relay->client_key == NULL);
		bool whole = (relay->client_cert == NULL) == (relay->client_key == NULL) &&
		    (relay->client_chain == NULL || relay->client_cert != NULL) &&
		    ((relay->revocation & CONFIG_REVOCATION_CRL) == 0 || relay->crl_file != NULL);

		/* Files that do not go together were a fault already. */
		if (one_form && whole && relay->tls_min <= relay->tls_max)
			relay_identity_build(set, i, NULL, report);
		if (relay->listen_key == NULL || !config_relay_makes_cert(relay))
			local_identity_free(relay_local_build(relay, report));
		for (j = 0; j < relay->path_count; j++) {
			const struct config_path *path = &relay->paths[j];

			if (path->password_ref != NULL)
				secret_free(load_password(set, path, report));
		}
	}
}

static void set_free(struct relay_set *set, bool with_config)
{
	size_t i;

	for (i = 0; i < set->route_count; i++)
		route_clear(&set->routes[i], set->loop_count);
	free(set->routes);
	relay_secrets_clear(&set->secrets);
	free(set->listens);
	if (with_config)
		config_free(set->config);
	free(set);
}

static void inherit_paths(struct relay_route *route, const struct relay_route *before)
{
	size_t i, j;

	for (i = 0; i < route->path_count; i++) {
		for (j = 0; j < before->path_count; j++) {
			if (strcmp(route->paths[i].config->name, before->paths[j].config->name) != 0)
				continue;
			relay_path_inherit(&route->paths[i].state, &before->paths[j].state);
			path_stats_unref(route->paths[i].stats);
			route->paths[i].stats = path_stats_ref(before->paths[j].stats);
		}
	}
}

void relay_set_inherit(struct relay_set *set, const struct relay_set *before)
{
	size_t i, j;

	for (i = 0; i < set->route_count; i++) {
		for (j = 0; j < before->route_count; j++) {
			if (strcmp(set->routes[i].config->name, before->routes[j].config->name) != 0)
				continue;
			relay_stats_unref(set->routes[i].stats);
			set->routes[i].stats = relay_stats_ref(before->routes[j].stats);
			inherit_paths(&set->routes[i], &before->routes[j]);
		}
	}
}

struct relay_set *relay_set_new(struct config *config, unsigned loop_count, const struct relay_set *previous,
    struct config_report *report)
{
	struct relay_set *set = mem_calloc(1, sizeof(*set));
	size_t faults_before = report->fault_count, i;

	atomic_init(&set->count, 1);
	set->config = config;
	set->loop_count = loop_count;
	set->secrets.previous = previous != NULL ? &previous->secrets : NULL;
	set->routes = mem_calloc(config->relay_count, sizeof(*set->routes));
	set->route_count = config->relay_count;
	if (config->faulty) {
		check_files(set, report);
	} else {
		build_identities(set, previous, report);
		for (i = 0; i < config->relay_count; i++)
			route_build(&set->routes[i], set, &config->relays[i], report);
	}
	set->secrets.previous = NULL;
	if (config->faulty || report->fault_count > faults_before) {
		config_report_sort(report);
		set_free(set, false);
		return NULL;
	}
	return set;
}

struct relay_set *relay_set_ref(struct relay_set *set)
{
	atomic_fetch_add_explicit(&set->count, 1, memory_order_relaxed);
	return set;
}

void relay_set_unref(struct relay_set *set)
{
	if (set != NULL && atomic_fetch_sub_explicit(&set->count, 1, memory_order_acq_rel) == 1)
		set_free(set, true);
}

struct tls_session_slot *relay_path_slot(const struct relay_path *path, unsigned loop_index,
    const struct identity_use *use)
{
	if (use == NULL || (!use->is_old && !use->is_trial))
		return &path->slots[loop_index];
	return use->is_old ? &path->old_slots[loop_index] : NULL;
}

bool relay_route_cert_is_usable(const struct identity *identity, struct diagnosis *diagnosis)
{
	const char *subject = identity_subject(identity);
	char when[64];

	switch (identity_validity(identity, when, sizeof(when))) {
	case IDENTITY_NO_CERT:
	case IDENTITY_VALID:
		return true;
	case IDENTITY_NOT_YET_VALID:
		diagnosis_set(diagnosis, DIAGNOSIS_CLIENT_CERT_EXPIRED,
		    "the client certificate %s is not valid before %s", subject, when);
		diagnosis_set_cause(diagnosis, DIAGNOSIS_CAUSE_NOT_YET_VALID);
		break;
	case IDENTITY_EXPIRED:
		diagnosis_set(diagnosis, DIAGNOSIS_CLIENT_CERT_EXPIRED,
		    "the client certificate %s expired at %s", subject, when);
		break;
	}
	return false;
}

void relay_set_note_listen(struct relay_set *set, const struct addr *addr)
{
	set->listens = mem_realloc(set->listens, (set->listen_count + 1) * sizeof(*set->listens));
	set->listens[set->listen_count++] = *addr;
}

static bool is_at(const struct addr *own, const struct addr *addr)
{
	return addr_port(own) != 0 && addr_port(own) == addr_port(addr) &&
	    (addr_equal(own, addr) || (addr_is_wildcard(own) && addr_is_loopback(addr)));
}

bool relay_set_listens_at(const struct relay_set *set, const struct addr *addr)
{
	size_t i, j;

	for (i = 0; i < set->listen_count; i++) {
		if (is_at(&set->listens[i], addr))
			return true;
	}
	for (i = 0; i < set->config->relay_count; i++) {
		const struct config_relay *relay = &set->config->relays[i];

		for (j = 0; j < relay->listen_count; j++) {
			if (is_at(&relay->listens[j].addr, addr))
				return true;
		}
	}
	return false;
}
