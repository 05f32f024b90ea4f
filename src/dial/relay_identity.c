/*
 * relay_identity: see relay_identity.h.
 *
 * Answers for which keys of the configuration make an identity, and at which of their lines a fault is
 * told.  What is wrong inside a certificate file is tls/'s to say.
 */
#include "dial/relay_identity.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct secret *relay_identity_secret(struct relay_set *set, const char *ref, const char *key, unsigned line,
    struct config_report *report)
{
	struct identity **identities = mem_calloc(set->route_count, sizeof(struct identity *));
	struct relay_secret_request request = {
	    .ref = ref, .key = key, .line = line, .identities = identities,
	    .identity_count = set->route_count};
	struct secret *secret;
	size_t i;

	for (i = 0; i < set->route_count; i++)
		identities[i] = set->routes[i].identity;
	secret = relay_secrets_get(&set->secrets, &request, report);
	free(identities);
	return secret;
}

static bool same_text(const char *a, const char *b)
{
	return a == b || (a != NULL && b != NULL && strcmp(a, b) == 0);
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

/* The relay of the same name and target, which may know of a certificate that is accepted there. */
static const struct relay_route *find_before(const struct relay_set *previous,
    const struct config_relay *relay)
{
	size_t i;

	for (i = 0; previous != NULL && i < previous->route_count; i++) {
		const struct config_relay *before = previous->routes[i].config;

		if (strcmp(before->name, relay->name) == 0 && strcmp(before->target.host,
		    relay->target.host) == 0 && before->target.port == relay->target.port)
			return &previous->routes[i];
	}
	return NULL;
}

/* An old certificate that the policy in force does not permit is none. */
static void build_choice(struct relay_route *route, const struct relay_route *before,
    struct identity_params params)
{
	struct identity *from = identity_choice_init(&route->choice, route->identity,
	    before != NULL ? &before->choice : NULL);
	struct identity_faults faults;
	struct identity *old;

	if (from == NULL)
		return;
	params.cert_of = from;
	params.trust_of = route->identity;
	old = identity_new(&params, NULL, NULL, &faults);
	if (old != NULL)
		stream_prepare_identity(old);
	identity_choice_set_old(&route->choice, old);
	identity_unref(from);
}

/*
 * A relay before this one that trusts the same, NULL: none.  The system's store takes 20 ms and 1 MB, so that 200 relays, or
 * rules of a check, are not to have one each.  Lists of revoked certificates lie in the store, too.
 */
static const struct identity *find_same_trust(const struct relay_set *set, size_t at)
{
	const struct config_relay *relay = &set->config->relays[at];
	size_t i;

	for (i = 0; i < at && (relay->revocation & CONFIG_REVOCATION_CRL) == 0; i++) {
		const struct config_relay *other = &set->config->relays[i];

		if (set->routes[i].identity != NULL && same_text(other->trust, relay->trust) &&
		    (other->revocation & CONFIG_REVOCATION_CRL) == 0)
			return set->routes[i].identity;
	}
	return NULL;
}

void relay_identity_build(struct relay_set *set, size_t at, const struct relay_set *previous,
    struct config_report *report)
{
	const struct config_relay *relay = &set->config->relays[at];
	struct relay_route *route = &set->routes[at];
	struct note_place place = {report, relay};
	struct identity_faults faults;
	struct secret *passphrase = NULL;
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
	    .trust_of = find_same_trust(set, at),
	};

	if (relay->client_passphrase_ref != NULL) {
		passphrase = relay_identity_secret(set, relay->client_passphrase_ref, "client_passphrase",
		    config_relay_line(relay, "client_passphrase"), report);
		if (passphrase == NULL)
			return;
	}
	params.passphrase = passphrase;
	route->identity = identity_new(&params, on_identity_note, &place, &faults);
	secret_free(passphrase);
	params.passphrase = NULL;
	for (i = 0; i < faults.count; i++)
		config_report_fault(report, config_relay_line(relay, faults.items[i].key), "%s: %s",
		    faults.items[i].key, faults.items[i].err.text);
	if (route->identity == NULL)
		return;
	stream_prepare_identity(route->identity);
	build_choice(route, find_before(previous, relay), params);
}

/* ---- the identity for an https:// proxy ---- */

struct proxy_place {
	struct config_report *report;
	const struct config_path *path;
};

/* The line and the name of the configuration key behind a parameter of the identity. */
static unsigned proxy_key(const struct config_path *path, const char *parameter, const char **key)
{
	bool own = strstr(path->name, "://") != NULL;
	bool trust = strcmp(parameter, "trust") == 0;
	unsigned line = trust ? path->trust_line : path->client_bundle_line;

	if (trust)
		*key = own ? "proxy_trust" : "trust";
	else
		*key = own ? "proxy_client_bundle" : "client_bundle";
	return line != 0 ? line : path->line;
}

static void on_proxy_identity_note(void *arg, const char *parameter, const char *text)
{
	const struct proxy_place *place = arg;
	const char *key;
	unsigned line = proxy_key(place->path, parameter, &key);

	config_report_note(place->report, line, "%s: %s", key, text);
}

/* One that was built for the same words of the configuration serves again: a system's trust is large. */
static const struct relay_path *find_alike(const struct relay_set *set, const struct config_path *config)
{
	size_t i, j;

	for (i = 0; i < set->route_count; i++) {
		for (j = 0; j < set->routes[i].path_count; j++) {
			const struct relay_path *path = &set->routes[i].paths[j];

			if (path->config == config)
				return NULL;
			if (path->config->tls && same_text(path->config->trust, config->trust) &&
			    same_text(path->config->client_bundle, config->client_bundle) &&
			    path->config->trust_line == config->trust_line &&
			    path->config->client_bundle_line == config->client_bundle_line)
				return path;
		}
	}
	return NULL;
}

struct identity *relay_identity_build_proxy(const struct relay_set *set, const struct config_path *config,
    struct config_report *report)
{
	struct proxy_place place = {report, config};
	const struct relay_path *alike = find_alike(set, config);
	struct identity_params params = {
	    .bundle_file = config->client_bundle,
	    .trust = config->trust,
	    .tls_min = TLS1_2_VERSION,
	    .tls_max = TLS1_3_VERSION,
	    /*
	     * A company's proxy has a company's certificate: whether a path is inspected is asked of the
	     * target.
	     */
	    .rules = {.inspection = JUDGE_INSPECTION_OFF},
	};
	struct identity_faults faults;
	struct identity *identity;
	unsigned i;

	if (alike != NULL) /* without one its faults have been reported */
		return alike->proxy_identity == NULL ? NULL : identity_ref(alike->proxy_identity);
	identity = identity_new(&params, on_proxy_identity_note, &place, &faults);
	for (i = 0; i < faults.count; i++) {
		const char *key;
		unsigned line = proxy_key(config, faults.items[i].key, &key);

		config_report_fault(report, line, "%s: %s", key, faults.items[i].err.text);
	}
	if (identity != NULL)
		stream_prepare_identity(identity);
	return identity;
}
