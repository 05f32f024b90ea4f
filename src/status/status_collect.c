/*
 * status_collect: see status_collect.h.
 *
 * Answers for what makes a relay ready (SPEC: a usable certificate, and a last attempt that worked, if there was one).
 */
#include "status/status_collect.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static void collect_dials(struct status_path *path, const struct path_stats_sums *sums)
{
	int code;

	path->dials = mem_calloc(DIAGNOSIS_CODE_COUNT, sizeof(*path->dials));
	for (code = 0; code < DIAGNOSIS_CODE_COUNT; code++) {
		if (sums->dials[code] > 0)
			path->dials[path->dial_count++] = (struct status_count){
			    (enum diagnosis_code)code, sums->dials[code]};
	}
}

static void collect_path(struct status_path *path, const struct relay_path *from, const struct path_stats_sums *sums)
{
	int i;

	path->name = mem_strdup(from->config->name);
	if (!sums->tried)
		path->state = STATUS_PATH_UNTRIED;
	else
		path->state = sums->failed ? STATUS_PATH_FAILED : STATUS_PATH_OK;
	path->since_s = sums->since_s;
	path->diagnosis = sums->diagnosis;
	path->failed_s = sums->failed_s;
	path->inspected = atomic_load(&from->state.inspected) != 0;
	path->resumed = sums->resumed;
	for (i = 0; i < STATUS_STAGES; i++) {
		path->last_us[i] = sums->last_us[i];
		memcpy(path->stages[i].buckets, sums->stages[i].buckets, sizeof(path->stages[i].buckets));
		path->stages[i].sum_us = sums->stages[i].sum_us;
	}
	collect_dials(path, sums);
}

static void add_cert(struct status_relay *relay, const char *what, const struct cert_end *end, const char *path)
{
	struct status_cert *cert;

	relay->certs = mem_realloc(relay->certs, (relay->cert_count + 1) * sizeof(*relay->certs));
	cert = &relay->certs[relay->cert_count++];
	*cert = (struct status_cert){
	    .what = what,
	    .subject = mem_strdup(end->subject),
	    .fingerprint = end->sha256[0] != '\0' ? mem_strdup(end->sha256) : NULL,
	    .path = path != NULL ? mem_strdup(path) : NULL,
	    .not_before_s = end->not_before,
	    .not_after_s = end->not_after,
	};
}

static void collect_client_certs(struct status_relay *relay, const struct relay_route *route)
{
	size_t count, i;
	const struct cert_end *ends = identity_ends(route->identity, &count);

	for (i = 0; i < count; i++)
		add_cert(relay, i == 0 ? "client" : "client-chain", &ends[i], NULL);
}

static void collect_listen_certs(struct status_relay *relay, const struct relay_route *route)
{
	size_t count = 0, i;
	const struct cert_end *ends = route->local != NULL ? local_identity_ends(route->local, &count) : NULL;

	for (i = 0; i < count; i++)
		add_cert(relay, "listen", &ends[i], NULL);
}

static void collect_failures(struct status_relay *relay, const struct relay_stats_sums *sums)
{
	size_t i;

	relay->failures = mem_calloc(sums->failure_count + 1, sizeof(*relay->failures));
	relay->failure_count = sums->failure_count;
	for (i = 0; i < sums->failure_count; i++) {
		const struct relay_stats_failure *from = &sums->failures[i];
		struct status_failure *failure = &relay->failures[i];

		failure->at_s = from->at_s;
		failure->path = from->path[0] != '\0' ? mem_strdup(from->path) : NULL;
		failure->code = from->diagnosis.code;
		memcpy(failure->sentence, from->diagnosis.sentence, sizeof(failure->sentence));
		failure->count = from->count;
	}
}

static void judge(struct status_relay *relay, const struct relay_route *route, const struct relay_stats_sums *sums)
{
	const struct relay_stats_failure *last = &sums->last_dial;
	struct diagnosis diagnosis;

	if (!relay_route_cert_is_usable(route->identity, &diagnosis))
		relay->unready = mem_printf("%s: %s", diagnosis_name(diagnosis.code), diagnosis.sentence);
	else if (sums->tried && sums->failed)
		relay->unready = mem_printf("%s: %s: %s", last->path, diagnosis_name(last->diagnosis.code),
		    last->diagnosis.sentence);
	else if (sums->cert_refused)
		relay->unready = mem_strdup("the target refuses the client certificate");
	relay->ready = relay->unready == NULL;
}

static void collect_counts(struct status_relay *relay, const uint64_t *counts)
{
	uint64_t begun = counts[RELAY_COUNT_SESSIONS], ended = counts[RELAY_COUNT_ENDED];

	relay->sessions = begun;
	relay->open = begun > ended ? (unsigned)(begun - ended) : 0;
	relay->denied = counts[RELAY_COUNT_DENIED];
	relay->bytes_up = counts[RELAY_COUNT_BYTES_UP];
	relay->bytes_down = counts[RELAY_COUNT_BYTES_DOWN];
	relay->certs_refused = counts[RELAY_COUNT_CERTS_REFUSED];
	relay->inspections = counts[RELAY_COUNT_INSPECTIONS];
	relay->ready_hits = counts[RELAY_COUNT_READY_HITS];
	relay->ready_misses = counts[RELAY_COUNT_READY_MISSES];
	relay->ready_made = counts[RELAY_COUNT_READY_MADE];
	relay->ready_expired = counts[RELAY_COUNT_READY_EXPIRED];
	relay->ready_died = counts[RELAY_COUNT_READY_DIED];
	relay->ready_tunnels = (unsigned)(counts[RELAY_COUNT_READY_WAITING] - counts[RELAY_COUNT_READY_WAITED]);
}

static const char *mode_name(enum config_mode mode)
{
	switch (mode) {
	case CONFIG_MODE_TCP:
		return "tcp";
	case CONFIG_MODE_HTTP:
		return "http";
	}
	return "?";
}

static void collect_relay(struct status_relay *relay, const struct relay_route *route)
{
	struct relay_stats_sums *sums = mem_calloc(1, sizeof(*sums));
	size_t i;

	relay->name = mem_strdup(route->config->name);
	relay->target = mem_strdup(route->target_text);
	relay->mode = mem_strdup(mode_name(route->config->mode));
	relay_stats_read(route->stats, sums);
	collect_counts(relay, sums->counts);
	collect_failures(relay, sums);
	judge(relay, route, sums);
	free(sums);
	collect_client_certs(relay, route);
	collect_listen_certs(relay, route);
	relay->paths = mem_calloc(route->path_count, sizeof(*relay->paths));
	relay->path_count = route->path_count;
	for (i = 0; i < route->path_count; i++) {
		struct path_stats_sums path;

		path_stats_read(route->paths[i].stats, &path);
		collect_path(&relay->paths[i], &route->paths[i], &path);
		if (path.server.not_after != 0)
			add_cert(relay, "server", &path.server, route->paths[i].config->name);
	}
}

void status_collect_relays(struct status_report *report, const struct relay_set *set)
{
	size_t i;

	report->relays = mem_calloc(set->route_count, sizeof(*report->relays));
	report->relay_count = set->route_count;
	for (i = 0; i < set->route_count; i++)
		collect_relay(&report->relays[i], &set->routes[i]);
}
