/*
 * status_metrics: a report in Prometheus' text format 0.0.4; see status_print.h.
 *
 * Each metric is one row of a table: name, type, what it is, and who prints its samples.  The names are a promise to
 * dashboards and alerts: doc/metrics.md lists them all.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "status/status_print.h"

struct metric {
	const char *name, *type, *help;
	/* one of the three; each prints whole lines */
	void (*process)(FILE *out, const struct metric *metric, const struct status_report *report);
	void (*relay)(FILE *out, const struct metric *metric, const struct status_relay *relay);
	void (*path)(FILE *out, const struct metric *metric, const struct status_relay *relay,
	    const struct status_path *path);
	size_t offset; /* of a relay's uint64_t, where one function prints several */
};

/* A backslash, a quote and a line feed are escaped, nothing else. */
static void put_value(FILE *out, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\n')
			fputs("\\n", out);
		else if (*text == '\\' || *text == '"')
			fprintf(out, "\\%c", *text);
		else
			putc(*text, out);
	}
}

/* "{a="x"" or ",b="y"": the first label opens the braces. */
static void put_label(FILE *out, char opening, const char *name, const char *value)
{
	fprintf(out, "%c%s=\"", opening, name);
	put_value(out, value);
	putc('"', out);
}

static void put_relay(FILE *out, const struct metric *metric, const struct status_relay *relay)
{
	fputs(metric->name, out);
	put_label(out, '{', "relay", relay->name);
}

static void put_path(FILE *out, const struct metric *metric, const struct status_relay *relay,
    const struct status_path *path)
{
	put_relay(out, metric, relay);
	put_label(out, ',', "path", path->name);
}

/* ---- the process ---- */

static void build_info(FILE *out, const struct metric *metric, const struct status_report *report)
{
	fputs(metric->name, out);
	put_label(out, '{', "version", report->version);
	put_label(out, ',', "openssl", report->openssl);
	put_label(out, ',', "libevent", report->libevent);
	fputs("} 1\n", out);
}

static void put_number(FILE *out, const struct metric *metric, int64_t value)
{
	fprintf(out, "%s %" PRId64 "\n", metric->name, value);
}

static void generation(FILE *out, const struct metric *metric, const struct status_report *report)
{
	put_number(out, metric, report->generation);
}

static void loaded(FILE *out, const struct metric *metric, const struct status_report *report)
{
	put_number(out, metric, report->loaded_s);
}

static void reload_ok(FILE *out, const struct metric *metric, const struct status_report *report)
{
	put_number(out, metric, report->last_reload_s == 0 || report->last_reload_ok);
}

static void reload_time(FILE *out, const struct metric *metric, const struct status_report *report)
{
	put_number(out, metric, report->last_reload_s != 0 ? report->last_reload_s : report->started_s);
}

static void draining(FILE *out, const struct metric *metric, const struct status_report *report)
{
	put_number(out, metric, report->draining);
}

static void limit(FILE *out, const struct metric *metric, const struct status_report *report)
{
	put_number(out, metric, report->max_connections);
}

static void loop_lag(FILE *out, const struct metric *metric, const struct status_report *report)
{
	unsigned i;

	for (i = 0; i < report->workers; i++)
		if (report->loop_lag_us[i] >= 0)
			fprintf(out, "%s{worker=\"%u\"} %.6f\n", metric->name, i, (double)report->loop_lag_us[i] / 1e6);
}

static void open_fds(FILE *out, const struct metric *metric, const struct status_report *report)
{
	if (report->descriptors > 0)
		put_number(out, metric, report->descriptors);
}

static void max_fds(FILE *out, const struct metric *metric, const struct status_report *report)
{
	put_number(out, metric, report->descriptor_limit);
}

static void started(FILE *out, const struct metric *metric, const struct status_report *report)
{
	put_number(out, metric, report->started_s);
}

/* ---- a relay ---- */

static void relay_info(FILE *out, const struct metric *metric, const struct status_relay *relay)
{
	put_relay(out, metric, relay);
	put_label(out, ',', "target", relay->target);
	put_label(out, ',', "mode", relay->mode);
	fputs("} 1\n", out);
}

static void relay_ready(FILE *out, const struct metric *metric, const struct status_relay *relay)
{
	put_relay(out, metric, relay);
	fprintf(out, "} %d\n", relay->ready);
}

static void relay_open(FILE *out, const struct metric *metric, const struct status_relay *relay)
{
	put_relay(out, metric, relay);
	fprintf(out, "} %u\n", relay->open);
}

static void relay_ready_tunnels(FILE *out, const struct metric *metric, const struct status_relay *relay)
{
	put_relay(out, metric, relay);
	fprintf(out, "} %u\n", relay->ready_tunnels);
}

static void relay_count(FILE *out, const struct metric *metric, const struct status_relay *relay)
{
	const uint64_t *count = (const void *)((const char *)relay + metric->offset);

	put_relay(out, metric, relay);
	fprintf(out, "} %" PRIu64 "\n", *count);
}

static void relay_bytes(FILE *out, const struct metric *metric, const struct status_relay *relay)
{
	put_relay(out, metric, relay);
	fprintf(out, ",direction=\"up\"} %" PRIu64 "\n", relay->bytes_up);
	put_relay(out, metric, relay);
	fprintf(out, ",direction=\"down\"} %" PRIu64 "\n", relay->bytes_down);
}

static bool same_series(const struct status_cert *a, const struct status_cert *b)
{
	return strcmp(a->what, b->what) == 0 && strcmp(a->subject, b->subject) == 0 &&
	    strcmp(a->path != NULL ? a->path : "", b->path != NULL ? b->path : "") == 0;
}

/* Of certificates that bear the same name the one that ends first speaks: a series must not be there twice. */
static bool is_spoken_for(const struct status_relay *relay, size_t at)
{
	size_t i;

	for (i = 0; i < relay->cert_count; i++) {
		const struct status_cert *other = &relay->certs[i];

		if (i == at || !same_series(other, &relay->certs[at]))
			continue;
		if (other->not_after_s < relay->certs[at].not_after_s ||
		    (other->not_after_s == relay->certs[at].not_after_s && i < at))
			return true;
	}
	return false;
}

static void relay_certs(FILE *out, const struct metric *metric, const struct status_relay *relay)
{
	size_t i;

	for (i = 0; i < relay->cert_count; i++) {
		const struct status_cert *cert = &relay->certs[i];

		if (cert->not_after_s == INT64_MAX || is_spoken_for(relay, i))
			continue;
		put_relay(out, metric, relay);
		put_label(out, ',', "of", cert->what);
		put_label(out, ',', "path", cert->path != NULL ? cert->path : "");
		put_label(out, ',', "subject", cert->subject);
		fprintf(out, "} %" PRId64 "\n", cert->not_after_s);
	}
}

/* ---- a path ---- */

static void path_up(FILE *out, const struct metric *metric, const struct status_relay *relay,
    const struct status_path *path)
{
	put_path(out, metric, relay, path);
	fprintf(out, "} %d\n", path->state != STATUS_PATH_FAILED);
}

static void path_failing(FILE *out, const struct metric *metric, const struct status_relay *relay,
    const struct status_path *path)
{
	if (path->state != STATUS_PATH_FAILED)
		return;
	put_path(out, metric, relay, path);
	put_label(out, ',', "code", diagnosis_name(path->diagnosis.code));
	fputs("} 1\n", out);
}

static void path_changed(FILE *out, const struct metric *metric, const struct status_relay *relay,
    const struct status_path *path)
{
	if (path->since_s == 0)
		return;
	put_path(out, metric, relay, path);
	fprintf(out, "} %" PRId64 "\n", path->since_s);
}

static void path_inspected(FILE *out, const struct metric *metric, const struct status_relay *relay,
    const struct status_path *path)
{
	put_path(out, metric, relay, path);
	fprintf(out, "} %d\n", path->inspected);
}

static void put_dials(FILE *out, const struct metric *metric, const struct status_relay *relay,
    const struct status_path *path, const struct status_count *count)
{
	put_path(out, metric, relay, path);
	put_label(out, ',', "code", diagnosis_name(count->code));
	fprintf(out, "} %" PRIu64 "\n", count->count);
}

static void path_dials(FILE *out, const struct metric *metric, const struct status_relay *relay,
    const struct status_path *path)
{
	static const struct status_count none = {DIAGNOSIS_OK, 0};
	size_t i;

	/* Codes count up from OK: it comes first, if it is there. */
	if (path->dial_count == 0 || path->dials[0].code != DIAGNOSIS_OK)
		put_dials(out, metric, relay, path, &none);
	for (i = 0; i < path->dial_count; i++)
		put_dials(out, metric, relay, path, &path->dials[i]);
}

static void put_stage(FILE *out, const struct metric *metric, const struct status_relay *relay,
    const struct status_path *path, enum status_stage stage)
{
	static const int bounds_ms[] = STATUS_BUCKET_BOUNDS_MS;
	const struct status_histogram *histogram = &path->stages[stage];
	struct metric part = *metric;
	uint64_t sum = 0;
	char *bucket = mem_printf("%s_bucket", metric->name), *name;
	unsigned i;

	part.name = bucket;
	for (i = 0; i < STATUS_BUCKETS; i++) {
		sum += histogram->buckets[i];
		put_path(out, &part, relay, path);
		put_label(out, ',', "stage", status_stage_name(stage));
		if (i + 1 < STATUS_BUCKETS)
			fprintf(out, ",le=\"%g\"} %" PRIu64 "\n", bounds_ms[i] / 1000.0, sum);
		else
			fprintf(out, ",le=\"+Inf\"} %" PRIu64 "\n", sum);
	}
	free(bucket);
	part.name = name = mem_printf("%s_sum", metric->name);
	put_path(out, &part, relay, path);
	put_label(out, ',', "stage", status_stage_name(stage));
	fprintf(out, "} %.6f\n", (double)histogram->sum_us / 1e6);
	free(name);
	part.name = name = mem_printf("%s_count", metric->name);
	put_path(out, &part, relay, path);
	put_label(out, ',', "stage", status_stage_name(stage));
	fprintf(out, "} %" PRIu64 "\n", sum);
	free(name);
}

static void path_stages(FILE *out, const struct metric *metric, const struct status_relay *relay,
    const struct status_path *path)
{
	int stage;

	for (stage = 0; stage < STATUS_STAGES; stage++)
		put_stage(out, metric, relay, path, (enum status_stage)stage);
}

static void path_resumed(FILE *out, const struct metric *metric, const struct status_relay *relay,
    const struct status_path *path)
{
	put_path(out, metric, relay, path);
	fprintf(out, "} %" PRIu64 "\n", path->resumed);
}

/* ---- all ---- */

#define GAUGE "gauge"
#define COUNTER "counter"
#define COUNT(field) .relay = relay_count, .offset = offsetof(struct status_relay, field)

static const struct metric metrics[] = {
    {"midrelay_build_info", GAUGE, "Version of midrelay and of the libraries in use; always 1.", .process = build_info},
    {"midrelay_config_generation", GAUGE, "1 at start, 1 more with each reload that took effect.",
	.process = generation},
    {"midrelay_config_loaded_timestamp_seconds", GAUGE, "When the configuration in force took effect.",
	.process = loaded},
    {"midrelay_config_last_reload_successful", GAUGE, "0 when the last reload failed and the state before it stays.",
	.process = reload_ok},
    {"midrelay_config_last_reload_timestamp_seconds", GAUGE, "When the last reload was tried; at first, the start.",
	.process = reload_time},
    {"midrelay_draining", GAUGE, "1 from SIGTERM on.", .process = draining},
    {"midrelay_connections_limit", GAUGE, "Clients that may be connected at a time.", .process = limit},
    {"midrelay_loop_lag_seconds", GAUGE, "How late a worker's event loop answered the last heartbeat.",
	.process = loop_lag},
    {"process_open_fds", GAUGE, "File descriptors that are open.", .process = open_fds},
    {"process_max_fds", GAUGE, "File descriptors that may be open.", .process = max_fds},
    {"process_start_time_seconds", GAUGE, "When the process started.", .process = started},
    {"midrelay_relay_info", GAUGE, "Where a relay leads; always 1.", .relay = relay_info},
    {"midrelay_relay_ready", GAUGE, "1 when the relay has a usable certificate and its last dial worked, if any.",
	.relay = relay_ready},
    {"midrelay_connections_open", GAUGE, "Clients that are connected.", .relay = relay_open},
    {"midrelay_connections_total", COUNTER, "Clients that were accepted.", COUNT(sessions)},
    {"midrelay_connections_denied_total", COUNTER, "Clients that allow_address or allow_user refused.", COUNT(denied)},
    {"midrelay_bytes_total", COUNTER, "Bytes relayed by connections that have ended.", .relay = relay_bytes},
    {"midrelay_client_certificates_refused_total", COUNTER,
	"Connections in which the target refused the client certificate.", COUNT(certs_refused)},
    {"midrelay_inspections_total", COUNTER, "Full handshakes on which the server was judged inspected.",
	COUNT(inspections)},
    {"midrelay_ready_tunnels", GAUGE, "Tunnels that wait for a client.", .relay = relay_ready_tunnels},
    {"midrelay_ready_hits_total", COUNTER, "Clients that got a ready tunnel.", COUNT(ready_hits)},
    {"midrelay_ready_misses_total", COUNTER, "Clients that had to wait for a dial although tunnels are kept.",
	COUNT(ready_misses)},
    {"midrelay_ready_made_total", COUNTER, "Tunnels made ahead of need.", COUNT(ready_made)},
    {"midrelay_ready_expired_total", COUNTER, "Ready tunnels let go unused.", COUNT(ready_expired)},
    {"midrelay_ready_died_total", COUNTER, "Ready tunnels ended by the server or the path.", COUNT(ready_died)},
    {"midrelay_path_up", GAUGE, "0 when the last dial over the path failed.", .path = path_up},
    {"midrelay_path_failing", GAUGE, "1 with the code of the last dial, while that is a failure.",
	.path = path_failing},
    {"midrelay_path_changed_timestamp_seconds", GAUGE, "Since when the path is up or failing.", .path = path_changed},
    {"midrelay_path_inspected", GAUGE, "1 when the path is judged inspected and used all the same.",
	.path = path_inspected},
    {"midrelay_dials_total", COUNTER, "Dials that ended, by diagnosis code; ok is a tunnel.", .path = path_dials},
    {"midrelay_dial_stage_seconds", "histogram", "How long each stage of a dial took.", .path = path_stages},
    {"midrelay_tls_resumptions_total", COUNTER, "Tunnels whose TLS session was resumed.", .path = path_resumed},
    {"midrelay_certificate_expiry_timestamp_seconds", GAUGE, "When the validity of a certificate ends.",
	.relay = relay_certs},
};

static void put_metric(FILE *out, const struct metric *metric, const struct status_report *report)
{
	size_t i, j;

	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name, metric->type);
	if (metric->process != NULL)
		metric->process(out, metric, report);
	for (i = 0; i < report->relay_count; i++) {
		const struct status_relay *relay = &report->relays[i];

		if (metric->relay != NULL)
			metric->relay(out, metric, relay);
		for (j = 0; j < relay->path_count && metric->path != NULL; j++)
			metric->path(out, metric, relay, &relay->paths[j]);
	}
}

char *status_metrics(const struct status_report *report, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);
	size_t i;

	midrelay_assert(out != NULL);
	for (i = 0; i < sizeof(metrics) / sizeof(metrics[0]); i++)
		put_metric(out, &metrics[i], report);
	fclose(out);
	midrelay_assert(text != NULL);
	return text;
}
