/* status_json: a report as JSON, and whether all is ready; see status_print.h. */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"
#include "status/status_print.h"

/* "2026-01-02T03:04:05Z"; null for never, and for what no date can say. */
static json_t *time_json(int64_t at_s)
{
	time_t at = (time_t)at_s;
	char when[64];
	struct tm tm;

	if (at_s == 0 || at_s == INT64_MAX || gmtime_r(&at, &tm) == NULL ||
	    strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		return json_null();
	return json_string(when);
}

/* JSON is UTF-8: what is not, is shown escaped. */
static json_t *text_json(const char *text)
{
	json_t *json = text != NULL ? json_string(text) : json_null();
	char *escaped;
	size_t len;

	if (json != NULL)
		return json;
	len = strlen(text);
	escaped = mem_calloc(len + 1, 4);
	json = json_string(text_escape(text, len, escaped, 4 * (len + 1)));
	free(escaped);
	return json;
}

static json_t *number_json(uint64_t number)
{
	return json_integer((json_int_t)number);
}

/* Takes the value, NULL too: then it fails as the library does. */
static void set(json_t *object, bool *ok, const char *key, json_t *value)
{
	*ok = json_object_set_new(object, key, value) == 0 && *ok;
}

static void append(json_t *array, bool *ok, json_t *value)
{
	*ok = json_array_append_new(array, value) == 0 && *ok;
}

/* The buckets are for machines, in /metrics. */
static json_t *stage_json(const struct status_path *path, enum status_stage stage, bool *ok)
{
	const struct status_histogram *histogram = &path->stages[stage];
	json_t *object = json_object();
	uint64_t count = 0;
	unsigned i;

	for (i = 0; i < STATUS_BUCKETS; i++)
		count += histogram->buckets[i];
	set(object, ok, "last_ms", path->last_us[stage] < 0 ? json_null() :
	    json_real((double)path->last_us[stage] / 1000));
	set(object, ok, "count", number_json(count));
	set(object, ok, "sum_ms", json_real((double)histogram->sum_us / 1000));
	return object;
}

static json_t *diagnosis_json(const struct status_path *path, bool *ok)
{
	const struct diagnosis *diagnosis = &path->diagnosis;
	json_t *object;

	if (diagnosis->code == DIAGNOSIS_OK)
		return json_null();
	object = json_object();
	set(object, ok, "code", text_json(diagnosis_name(diagnosis->code)));
	set(object, ok, "cause", diagnosis->cause == DIAGNOSIS_CAUSE_NONE ? json_null() :
	    text_json(diagnosis_cause_info(diagnosis->cause)->name));
	set(object, ok, "sentence", text_json(diagnosis->sentence));
	set(object, ok, "remedy", text_json(diagnosis_remedy(diagnosis)));
	set(object, ok, "time", time_json(path->failed_s));
	return object;
}

static json_t *path_json(const struct status_path *path, bool *ok)
{
	json_t *object = json_object(), *stages = json_object(), *dials = json_object();
	size_t i;

	set(object, ok, "name", text_json(path->name));
	set(object, ok, "state", text_json(status_path_state_name(path->state)));
	set(object, ok, "since", time_json(path->since_s));
	set(object, ok, "inspected", json_boolean(path->inspected));
	set(object, ok, "last_failure", diagnosis_json(path, ok));
	for (i = 0; i < path->dial_count; i++)
		set(dials, ok, diagnosis_name(path->dials[i].code), number_json(path->dials[i].count));
	set(object, ok, "dials", dials);
	set(object, ok, "resumed", number_json(path->resumed));
	for (i = 0; i < STATUS_STAGES; i++)
		set(stages, ok, status_stage_name((enum status_stage)i), stage_json(path, (enum status_stage)i, ok));
	set(object, ok, "stages", stages);
	return object;
}

static json_t *cert_json(const struct status_cert *cert, int64_t now_s, bool *ok)
{
	json_t *object = json_object();
	int64_t left_s = cert->not_after_s - now_s;

	set(object, ok, "of", text_json(cert->what));
	set(object, ok, "path", text_json(cert->path));
	set(object, ok, "subject", text_json(cert->subject));
	set(object, ok, "sha256", text_json(cert->fingerprint));
	set(object, ok, "not_before", time_json(cert->not_before_s));
	set(object, ok, "not_after", time_json(cert->not_after_s));
	/* Whole days, rounded down: 0 in the last one, negative when it is over. */
	set(object, ok, "days_left", cert->not_after_s == INT64_MAX ? json_null() :
	    json_integer(left_s >= 0 ? left_s / 86400 : -((-left_s + 86399) / 86400)));
	return object;
}

static json_t *failure_json(const struct status_failure *failure, bool *ok)
{
	json_t *object = json_object();

	set(object, ok, "time", time_json(failure->at_s));
	set(object, ok, "path", text_json(failure->path));
	set(object, ok, "code", text_json(diagnosis_name(failure->code)));
	set(object, ok, "sentence", text_json(failure->sentence));
	set(object, ok, "count", number_json(failure->count));
	return object;
}

static json_t *ready_json(const struct status_relay *relay, bool *ok)
{
	json_t *object = json_object();

	set(object, ok, "waiting", number_json(relay->ready_tunnels));
	set(object, ok, "hits", number_json(relay->ready_hits));
	set(object, ok, "misses", number_json(relay->ready_misses));
	set(object, ok, "made", number_json(relay->ready_made));
	set(object, ok, "expired", number_json(relay->ready_expired));
	set(object, ok, "died", number_json(relay->ready_died));
	return object;
}

static json_t *relay_json(const struct status_relay *relay, int64_t now_s, bool *ok)
{
	json_t *object = json_object(), *listens = json_array(), *paths = json_array(), *certs = json_array();
	json_t *failures = json_array();
	size_t i;

	for (i = 0; i < relay->listen_count; i++)
		append(listens, ok, text_json(relay->listens[i]));
	for (i = 0; i < relay->path_count; i++)
		append(paths, ok, path_json(&relay->paths[i], ok));
	for (i = 0; i < relay->cert_count; i++)
		append(certs, ok, cert_json(&relay->certs[i], now_s, ok));
	for (i = 0; i < relay->failure_count; i++)
		append(failures, ok, failure_json(&relay->failures[i], ok));
	set(object, ok, "name", text_json(relay->name));
	set(object, ok, "target", text_json(relay->target));
	set(object, ok, "mode", text_json(relay->mode));
	set(object, ok, "listen", listens);
	set(object, ok, "ready", json_boolean(relay->ready));
	set(object, ok, "unready", text_json(relay->unready));
	set(object, ok, "open", number_json(relay->open));
	set(object, ok, "connections", number_json(relay->sessions));
	set(object, ok, "denied", number_json(relay->denied));
	set(object, ok, "bytes_up", number_json(relay->bytes_up));
	set(object, ok, "bytes_down", number_json(relay->bytes_down));
	set(object, ok, "client_certificates_refused", number_json(relay->certs_refused));
	set(object, ok, "inspections", number_json(relay->inspections));
	set(object, ok, "ready_tunnels", ready_json(relay, ok));
	set(object, ok, "paths", paths);
	set(object, ok, "certificates", certs);
	set(object, ok, "failures", failures);
	return object;
}

static json_t *reload_json(const struct status_report *report, bool *ok)
{
	json_t *object;

	if (report->last_reload_s == 0)
		return json_null();
	object = json_object();
	set(object, ok, "time", time_json(report->last_reload_s));
	set(object, ok, "ok", json_boolean(report->last_reload_ok));
	set(object, ok, "error", text_json(report->last_reload_error));
	return object;
}

static json_t *config_json(const struct status_report *report, bool *ok)
{
	json_t *object = json_object();

	set(object, ok, "file", text_json(report->file));
	set(object, ok, "generation", number_json(report->generation));
	set(object, ok, "loaded", time_json(report->loaded_s));
	set(object, ok, "last_reload", reload_json(report, ok));
	return object;
}

static json_t *report_json(const struct status_report *report, bool *ok)
{
	json_t *root = json_object(), *relays = json_array(), *lags = json_array();
	bool ready;
	size_t i, len;

	free(status_readiness(report, &ready, &len));
	for (i = 0; i < report->relay_count; i++)
		append(relays, ok, relay_json(&report->relays[i], report->now_s, ok));
	for (i = 0; i < report->workers; i++)
		append(lags, ok, report->loop_lag_us[i] < 0 ? json_null() :
		    json_real((double)report->loop_lag_us[i] / 1000));
	set(root, ok, "format", json_integer(1));
	set(root, ok, "version", text_json(report->version));
	set(root, ok, "openssl", text_json(report->openssl));
	set(root, ok, "libevent", text_json(report->libevent));
	set(root, ok, "time", time_json(report->now_s));
	set(root, ok, "started", time_json(report->started_s));
	set(root, ok, "ready", json_boolean(ready));
	set(root, ok, "draining", json_boolean(report->draining));
	set(root, ok, "configuration", config_json(report, ok));
	set(root, ok, "open", number_json(report->open));
	set(root, ok, "max_connections", number_json(report->max_connections));
	set(root, ok, "descriptors", number_json(report->descriptors));
	set(root, ok, "descriptor_limit", number_json(report->descriptor_limit));
	set(root, ok, "loop_lag_ms", lags);
	set(root, ok, "sandbox", text_json(report->sandbox));
	set(root, ok, "relays", relays);
	return root;
}

char *status_json(const struct status_report *report, size_t *len)
{
	bool ok = true;
	json_t *root = report_json(report, &ok);
	char *dump = ok ? json_dumps(root, JSON_INDENT(2) | JSON_REAL_PRECISION(10)) : NULL, *text = NULL;

	if (dump != NULL) {
		text = mem_printf("%s\n", dump);
		*len = strlen(text);
	}
	free(dump);
	json_decref(root);
	return text;
}

char *status_readiness(const struct status_report *report, bool *ready, size_t *len)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, len);
	size_t i;

	midrelay_assert(out != NULL);
	*ready = !report->draining;
	if (report->draining)
		fputs("draining\n", out);
	for (i = 0; i < report->relay_count; i++) {
		if (report->relays[i].ready)
			continue;
		*ready = false;
		fprintf(out, "relay %s: %s\n", report->relays[i].name, report->relays[i].unready);
	}
	if (*ready)
		fputs("ready\n", out);
	fclose(out);
	midrelay_assert(text != NULL);
	return text;
}
