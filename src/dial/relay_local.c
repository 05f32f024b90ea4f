/* relay_local: see relay_local.h. */
#include "dial/relay_local.h"

#include <string.h>

#include "dial/relay_route.h"
#include "tls/local_ca.h"

/* A name that is not known has been told as a fault of its own. */
static bool wants_ca(const struct config_relay *relay)
{
	return config_relay_makes_cert(relay) && relay->target.host != NULL;
}

bool relay_local_make_directory(const struct config *config, uid_t uid, gid_t gid,
    struct config_report *report)
{
	struct error err;
	size_t i;

	for (i = 0; i < config->relay_count && !wants_ca(&config->relays[i]); i++)
		;
	if (i == config->relay_count || local_ca_make_directory(uid, gid, &err))
		return true;
	config_report_fault(report, config_relay_line(&config->relays[i], "listen_cert"), "listen_cert: %s",
	    err.text);
	return false;
}

bool relay_local_make_cas(const struct config *config, struct config_report *report)
{
	struct error err;
	bool ok = true;
	size_t i;

	for (i = 0; i < config->relay_count; i++) {
		const struct config_relay *relay = &config->relays[i];

		if (!wants_ca(relay) || local_ca_make(relay->target.host, relay->target.is_ip, &err))
			continue;
		config_report_fault(report, config_relay_line(relay, "listen_cert"),
		    "listen_cert: the local CA cannot be kept: %s", err.text);
		ok = false;
	}
	return ok;
}

struct note_place {
	struct config_report *report;
	const struct config_relay *relay;
};

/* What trust.c has to say is of listen_client_ca here. */
static void on_note(void *arg, const char *key, const char *text)
{
	const struct note_place *place = arg;

	if (strcmp(key, "trust") == 0)
		key = "listen_client_ca";
	config_report_note(place->report, config_relay_line(place->relay, key), "%s: %s", key, text);
}

struct local_identity *relay_local_build(const struct config_relay *relay, struct config_report *report)
{
	struct local_identity_params params = {
	    .cert_file = config_relay_makes_cert(relay) ? NULL : relay->listen_cert,
	    .key_file = relay->listen_key,
	    .client_ca = relay->listen_client_ca,
	    .host = relay->target.host,
	    .host_is_ip = relay->target.is_ip,
	};
	struct note_place place = {report, relay};
	struct identity_faults faults;
	struct local_identity *local;
	unsigned i;

	if (relay->listen_cert == NULL || relay->target.host == NULL)
		return NULL;
	local = local_identity_new(&params, on_note, &place, &faults);
	for (i = 0; i < faults.count; i++)
		config_report_fault(report, config_relay_line(relay, faults.items[i].key), "%s: %s",
		    faults.items[i].key, faults.items[i].err.text);
	return local;
}

int64_t relay_local_renew_at(const struct relay_set *set)
{
	int64_t first = INT64_MAX;
	size_t i;

	for (i = 0; i < set->route_count; i++) {
		const struct local_identity *local = set->routes[i].local;
		int64_t at = local != NULL ? local_identity_renew_at(local) : INT64_MAX;

		if (at < first)
			first = at;
	}
	return first;
}
