/*
 * relay_route: see relay_route.h.
 *
 * Answers for bringing configuration, secrets and identity together, and for the state of paths.  What is wrong inside a
 * certificate file is tls/'s to say.
 */
#include "dial/relay_route.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dial/http_connect.h"

enum relay_path_choice relay_path_choose(struct relay_path_state *state, int64_t now_ms)
{
	long long until = atomic_load(&state->rest_until_ms);
	bool expected = false;

	if (until == 0)
		return RELAY_PATH_USE;
	if (now_ms < until)
		return RELAY_PATH_RESTS;
	return atomic_compare_exchange_strong(&state->on_trial, &expected, true) ? RELAY_PATH_TRY : RELAY_PATH_RESTS;
}

bool relay_path_worked(struct relay_path_state *state)
{
	/* Looked at before it is written: the line is shared by every worker, and nearly always says ok already. */
	if (atomic_load(&state->rest_until_ms) != 0)
		atomic_store(&state->rest_until_ms, 0);
	if (atomic_load(&state->on_trial))
		atomic_store(&state->on_trial, false);
	if (atomic_load(&state->last_code) == DIAGNOSIS_OK)
		return false;
	return atomic_exchange(&state->last_code, DIAGNOSIS_OK) != DIAGNOSIS_OK;
}

bool relay_path_failed(struct relay_path_state *state, enum diagnosis_code code, bool rests, int64_t now_ms)
{
	if (rests)
		atomic_store(&state->rest_until_ms, now_ms + RELAY_PATH_REST_MS);
	else
		atomic_store(&state->rest_until_ms, 0);
	atomic_store(&state->on_trial, false);
	return atomic_exchange(&state->last_code, (int)code) != (int)code;
}

void relay_path_undecided(struct relay_path_state *state)
{
	atomic_store(&state->on_trial, false);
}

const char *relay_path_notice_name(enum relay_path_notice notice)
{
	switch (notice) {
	case RELAY_PATH_INSPECTED:
		return "inspection-found";
	case RELAY_PATH_NOT_INSPECTED:
		return "inspection-gone";
	case RELAY_PATH_CERT_IN_CLEAR:
		return "certificate-in-clear";
	case RELAY_PATH_PIN_ON_LEAF:
		return "pin-on-leaf";
	}
	return "?";
}

void relay_path_noticed(struct relay_path_state *state, const struct judge_evidence *evidence, bool cert_in_clear,
    relay_path_notice_fn *tell, void *arg)
{
	unsigned before;

	if (cert_in_clear && !atomic_load(&state->told_in_clear) && !atomic_exchange(&state->told_in_clear, true))
		tell(arg, RELAY_PATH_CERT_IN_CLEAR);
	if (evidence == NULL || evidence->resumed)
		return;
	if (atomic_load(&state->inspected) != evidence->reasons) {
		before = atomic_exchange(&state->inspected, evidence->reasons);
		if (before != evidence->reasons)
			tell(arg, evidence->reasons != 0 ? RELAY_PATH_INSPECTED : RELAY_PATH_NOT_INSPECTED);
	}
	if (evidence->pin_on_leaf && !atomic_load(&state->told_leaf_pin) &&
	    !atomic_exchange(&state->told_leaf_pin, true))
		tell(arg, RELAY_PATH_PIN_ON_LEAF);
}

static void path_clear(struct relay_path *path, unsigned loop_count)
{
	unsigned i;

	for (i = 0; path->slots != NULL && i < loop_count; i++)
		tls_session_slot_clear(&path->slots[i]);
	free(path->slots);
	secret_free(path->request);
}

static void route_clear(struct relay_route *route, unsigned loop_count)
{
	size_t i;

	for (i = 0; i < route->path_count; i++)
		path_clear(&route->paths[i], loop_count);
	free(route->paths);
	identity_unref(route->identity);
	free(route->target_text);
}

static struct secret *build_request(const struct config_path *config, const struct config_relay *relay,
    struct config_report *report)
{
	struct http_connect_request request = {.target = &relay->target, .user = config->user};
	const char **names = mem_calloc(config->header_count, sizeof(*names));
	const char **values = mem_calloc(config->header_count, sizeof(*values));
	struct secret *password = NULL, *head = NULL;
	struct error err;
	size_t i;

	for (i = 0; i < config->header_count; i++) {
		names[i] = config->headers[i].name;
		values[i] = config->headers[i].value;
	}
	request.header_names = names;
	request.header_values = values;
	request.header_count = config->header_count;
	if (config->user != NULL && !secret_load(config->password_ref, &password, &err)) {
		config_report_fault(report, config->password_line, "%s", err.text);
	} else {
		request.password = password;
		head = http_connect_build(&request);
	}
	secret_free(password);
	free(names);
	free(values);
	return head;
}

struct note_place {
	struct config_report *report;
	const struct config_relay *relay;
};

static void on_identity_note(void *arg, const char *key, const char *text)
{
	const struct note_place *place = arg;

	config_report_note(place->report, config_relay_line(place->relay, key), "%s: %s", key, text);
}

static int tls_version(enum config_tls_version version)
{
	switch (version) {
	case CONFIG_TLS_1_2:
		return TLS1_2_VERSION;
	case CONFIG_TLS_1_3:
		return TLS1_3_VERSION;
	}
	return 0;
}

static enum judge_inspection judge_inspection(enum config_inspection inspection)
{
	switch (inspection) {
	case CONFIG_INSPECTION_REFUSE:
		return JUDGE_INSPECTION_REFUSE;
	case CONFIG_INSPECTION_WARN:
		return JUDGE_INSPECTION_WARN;
	case CONFIG_INSPECTION_IGNORE:
		return JUDGE_INSPECTION_IGNORE;
	}
	return JUDGE_INSPECTION_REFUSE;
}

static struct identity *build_identity(const struct config_relay *relay, struct config_report *report)
{
	struct note_place place = {report, relay};
	struct identity_faults faults;
	struct identity *identity;
	struct secret *passphrase = NULL;
	struct error err;
	unsigned i;
	struct identity_params params = {
	    .bundle_file = relay->client_bundle,
	    .cert_file = relay->client_cert,
	    .key_file = relay->client_key,
	    .chain_file = relay->client_chain,
	    .trust = relay->trust,
	    .tls_min = tls_version(relay->tls_min),
	    .tls_max = tls_version(relay->tls_max),
	    .ciphers = relay->tls_ciphers,
	    .ciphersuites = relay->tls_ciphersuites,
	    .groups = relay->tls_groups,
	    .rules =
		{
		    .inspection = judge_inspection(relay->inspection),
		    .staple = (relay->revocation & CONFIG_REVOCATION_STAPLE) != 0,
		    .crl = (relay->revocation & CONFIG_REVOCATION_CRL) != 0,
		    .pins = relay->pin.items,
		    .pin_count = relay->pin.count,
		    .issuers = relay->expect_issuer.items,
		    .issuer_count = relay->expect_issuer.count,
		},
	    .crl_file = relay->crl_file,
	};

	if (relay->client_passphrase_ref != NULL && !secret_load(relay->client_passphrase_ref, &passphrase, &err)) {
		config_report_fault(report, config_relay_line(relay, "client_passphrase"), "client_passphrase: %s",
		    err.text);
		return NULL;
	}
	params.passphrase = passphrase;
	identity = identity_new(&params, on_identity_note, &place, &faults);
	secret_free(passphrase);
	for (i = 0; i < faults.count; i++)
		config_report_fault(report, config_relay_line(relay, faults.items[i].key), "%s: %s",
		    faults.items[i].key, faults.items[i].err.text);
	if (identity != NULL)
		stream_prepare_identity(identity);
	return identity;
}

static void route_build(struct relay_route *route, struct relay_set *set, const struct config_relay *config,
    struct config_report *report)
{
	size_t i;

	route->set = set;
	route->config = config;
	route->target_text = hostport_format(&config->target);
	if (config->source_address != NULL && !addr_parse_ip(config->source_address, 0, &route->source))
		config_report_fault(report, config_relay_line(config, "source_address"),
		    "source_address: %s is not an IP address", config->source_address);
	if (config->target_address != NULL &&
	    !addr_parse_ip(config->target_address, config->target.port, &route->target_address))
		config_report_fault(report, config_relay_line(config, "target_address"),
		    "target_address: %s is not an IP address", config->target_address);
	route->identity = build_identity(config, report);
	route->paths = mem_calloc(config->path_count, sizeof(*route->paths));
	route->path_count = config->path_count;
	for (i = 0; i < config->path_count; i++) {
		struct relay_path *path = &route->paths[i];

		path->config = &config->paths[i];
		path->slots = mem_calloc(set->loop_count, sizeof(*path->slots));
		if (!path->config->direct)
			path->request = build_request(path->config, config, report);
	}
}

static void set_free(struct relay_set *set, bool with_config)
{
	size_t i;

	for (i = 0; i < set->route_count; i++)
		route_clear(&set->routes[i], set->loop_count);
	free(set->routes);
	if (with_config)
		config_free(set->config);
	free(set);
}

struct relay_set *relay_set_new(struct config *config, unsigned loop_count, struct config_report *report)
{
	struct relay_set *set = mem_calloc(1, sizeof(*set));
	size_t faults_before = report->fault_count, i;

	atomic_init(&set->count, 1);
	set->config = config;
	set->loop_count = loop_count;
	set->routes = mem_calloc(config->relay_count, sizeof(*set->routes));
	set->route_count = config->relay_count;
	for (i = 0; i < config->relay_count; i++)
		route_build(&set->routes[i], set, &config->relays[i], report);
	if (report->fault_count > faults_before) {
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

bool relay_set_listens_at(const struct relay_set *set, const struct addr *addr)
{
	size_t i, j;

	for (i = 0; i < set->config->relay_count; i++) {
		const struct config_relay *relay = &set->config->relays[i];

		for (j = 0; j < relay->listen_count; j++) {
			const struct addr *own = &relay->listens[j].addr;

			if (addr_port(own) != 0 && addr_port(own) == addr_port(addr) &&
			    (addr_equal(own, addr) || (addr_is_wildcard(own) && addr_is_loopback(addr))))
				return true;
		}
	}
	return false;
}
