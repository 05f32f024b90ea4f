/*
 * check_print_json: everything in the report, as doc/check-json.md has it.  Names of keys are never changed;
 * `version` goes up when one changes its meaning.
 */
#include "check/check_print.h"

#include <jansson.h>
#include <stdlib.h>
#include <time.h>

#include "base/exit_status.h"
#include "base/mem.h"
#include "check/check_pen.h"
#include "check/check_print_below.h"

#define FORMAT_VERSION 1
/* As many digits as a decimal number keeps in a double, so that µs come out as they went in. */
#define REAL_DIGITS 15

static json_t *string(const char *text)
{
	char *clean = check_pen_clean(text);
	json_t *json = json_string(clean);

	free(clean);
	return json;
}

static json_t *string_or_null(const char *text)
{
	return text == NULL || text[0] == '\0' ? json_null() : string(text);
}

static json_t *ms(int64_t us)
{
	return us < 0 ? json_null() : json_real((double)us / 1000);
}

/* Every value that it is given is new, and has to be there. */
static void set(json_t *object, const char *key, json_t *value)
{
	midrelay_assert(value != NULL);
	midrelay_assert(json_object_set_new(object, key, value) == 0);
}

static void append(json_t *array, json_t *value)
{
	midrelay_assert(json_array_append_new(array, value) == 0);
}

static json_t *to_diagnosis(const struct diagnosis *d)
{
	const struct diagnosis_info *info = diagnosis_info(d->code);
	json_t *object;

	if (d->code == DIAGNOSIS_OK)
		return json_null();
	object = json_object();
	set(object, "code", string(info->name));
	set(object, "stage", string(diagnosis_stage_name(info->stage)));
	set(object, "sentence", string(d->sentence));
	set(object, "cause", d->cause == DIAGNOSIS_CAUSE_NONE ?
	    json_null() : string(diagnosis_cause_info(d->cause)->name));
	set(object, "remedy", string(diagnosis_remedy(d)));
	return object;
}

static json_t *to_stages(const struct check_path *path)
{
	json_t *stages = json_object(), *object;
	int stage;

	for (stage = 0; stage < CHECK_STAGE_COUNT; stage++) {
		object = json_object();
		set(object, "outcome", string(check_outcome_name(path->steps[stage].outcome)));
		set(object, "ms", ms(path->steps[stage].us));
		set(object, "seen", string_or_null(path->steps[stage].seen));
		set(stages, check_stage_name((enum check_stage)stage), object);
	}
	return stages;
}

static json_t *to_evidence(const struct judge_evidence *evidence)
{
	struct judge_piece pieces[JUDGE_MAX_PIECES];
	size_t count = judge_pieces(evidence, pieces), i;
	json_t *array = json_array(), *object;

	for (i = 0; i < count; i++) {
		object = json_object();
		set(object, "name", string(pieces[i].name));
		set(object, "seen", string(pieces[i].seen));
		set(object, "says", string_or_null(pieces[i].says));
		append(array, object);
	}
	return array;
}

static json_t *to_server(const struct judge_evidence *evidence)
{
	json_t *object;

	if (evidence == NULL)
		return json_null();
	object = json_object();
	set(object, "resumed", json_boolean(evidence->resumed));
	set(object, "subject", string_or_null(evidence->subject));
	set(object, "issuer", string_or_null(evidence->issuer));
	set(object, "anchor", string_or_null(evidence->anchor));
	set(object, "not_after", string_or_null(evidence->not_after));
	set(object, "sha256", string_or_null(evidence->sha256));
	set(object, "chain_verified",
	    evidence->resumed ? json_null() : json_boolean(evidence->chain.kind == TLS_FAULT_NONE));
	set(object, "inspection_product", string_or_null(evidence->product));
	set(object, "evidence", to_evidence(evidence));
	return object;
}

static json_t *to_tls(const struct check_path *path)
{
	json_t *object;

	if (path->tls_version[0] == '\0')
		return json_null();
	object = json_object();
	set(object, "version", string(path->tls_version));
	set(object, "cipher", string_or_null(path->cipher));
	set(object, "group", string_or_null(path->group));
	return object;
}

static json_t *to_probes(const struct check_path *path)
{
	json_t *array = json_array(), *object;
	const struct check_probe *probe;
	size_t i;

	for (i = 0; i < path->probe_count; i++) {
		probe = &path->probes[i];
		object = json_object();
		set(object, "request", string(probe->request));
		set(object, "outcome", string(check_outcome_name(probe->outcome)));
		set(object, "status", probe->status == 0 ? json_null() : json_integer(probe->status));
		set(object, "ms", ms(probe->us));
		set(object, "seen", string_or_null(probe->seen));
		append(array, object);
	}
	return array;
}

static json_t *to_client_certificate(const struct check_path *path)
{
	json_t *object = json_object();

	set(object, "requested", json_boolean(path->cert_requested));
	set(object, "in_clear", json_boolean(path->cert_in_clear));
	return object;
}

static json_t *to_expectation(const struct check_path *path)
{
	json_t *object;

	if (path->expected == NULL)
		return json_null();
	object = json_object();
	set(object, "expected", string(path->expected));
	set(object, "line", json_integer(path->expected_line));
	set(object, "held", json_boolean(path->as_expected));
	return object;
}

static json_t *to_notes(const struct check_path *path)
{
	json_t *notes = json_array();
	size_t i;

	for (i = 0; i < path->note_count; i++)
		append(notes, string(path->notes[i]));
	return notes;
}

static json_t *to_path(const struct check_path *path, int64_t first_us)
{
	json_t *object = json_object(), *others = json_array();
	size_t i;

	for (i = 0; i < sizeof(path->others) / sizeof(path->others[0]); i++)
		if (path->others[i].code != DIAGNOSIS_OK)
			append(others, to_diagnosis(&path->others[i]));
	set(object, "relay", string(path->relay));
	set(object, "target", string(path->target));
	set(object, "path", string(path->name));
	set(object, "direct", json_boolean(path->direct));
	set(object, "verdict", string(check_verdict_name(path->verdict)));
	set(object, "failure", to_diagnosis(&path->diagnosis));
	set(object, "further_failures", others);
	set(object, "began_ms", path->began_us == 0 ? json_null() : ms(path->began_us - first_us));
	set(object, "ended_ms", path->ended_us == 0 ? json_null() : ms(path->ended_us - first_us));
	set(object, "total_ms", path->began_us == 0 ? json_null() : ms(check_pen_total_us(path)));
	set(object, "stages", to_stages(path));
	set(object, "address", string_or_null(path->address));
	set(object, "proxy_reply", string_or_null(path->proxy_reply));
	set(object, "tls", to_tls(path));
	set(object, "server", to_server(path->evidence));
	set(object, "client_certificate", to_client_certificate(path));
	set(object, "probes", to_probes(path));
	set(object, "notes", to_notes(path));
	set(object, "expectation", to_expectation(path));
	return object;
}

static json_t *to_paths(const struct check_report *report)
{
	json_t *array = json_array();
	int64_t first_us = 0;
	size_t i;

	for (i = 0; i < report->path_count; i++)
		if (report->paths[i].began_us != 0 && (first_us == 0 || report->paths[i].began_us < first_us))
			first_us = report->paths[i].began_us;
	for (i = 0; i < report->path_count; i++)
		append(array, to_path(&report->paths[i], first_us));
	return array;
}

static json_t *to_items(const struct check_report *report)
{
	json_t *array = json_array(), *object;
	const struct check_item *item;
	size_t i;

	for (i = 0; i < report->item_count; i++) {
		item = &report->items[i];
		object = json_object();
		set(object, "relay", string_or_null(item->relay));
		set(object, "what", string(item->what));
		set(object, "subject", string_or_null(item->subject));
		set(object, "outcome", string(check_outcome_name(item->outcome)));
		set(object, "seen", string_or_null(item->seen));
		set(object, "remedy", string_or_null(item->remedy));
		append(array, object);
	}
	return array;
}

static json_t *to_findings(const struct check_report *report)
{
	json_t *array = json_array(), *object;
	size_t i;

	for (i = 0; i < report->finding_count; i++) {
		object = json_object();
		set(object, "target", string(report->findings[i].target));
		set(object, "outcome", string(check_outcome_name(report->findings[i].outcome)));
		set(object, "text", string(report->findings[i].text));
		append(array, object);
	}
	return array;
}

static json_t *to_unmatched(const struct check_report *report)
{
	json_t *array;
	size_t i;

	if (!report->with_rules)
		return json_null();
	array = json_array();
	for (i = 0; i < report->unmatched_count; i++)
		append(array, string(report->unmatched[i]));
	return array;
}

static const char *verdict_of(int exit_status)
{
	if (exit_status == EXIT_STATUS_OK)
		return "passed";
	return exit_status == EXIT_STATUS_INSPECTED ? "inspected" : "failed";
}

bool check_print_json(const struct check_report *report, FILE *out)
{
	json_t *document = json_object();
	int status = check_report_exit_status(report);
	char *summary = check_print_summary(report), when[32] = "";
	time_t began = (time_t)report->began_s;
	struct tm tm;
	bool written;

	if (gmtime_r(&began, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	set(document, "version", json_integer(FORMAT_VERSION));
	set(document, "verdict", string(verdict_of(status)));
	set(document, "exit_status", json_integer(status));
	set(document, "summary", string(summary));
	set(document, "file", string_or_null(report->file));
	set(document, "began", string(when));
	set(document, "with_rules", json_boolean(report->with_rules));
	set(document, "unmatched_rules", to_unmatched(report));
	set(document, "paths", to_paths(report));
	set(document, "findings", to_findings(report));
	set(document, "local", to_items(report));
	written = json_dumpf(document, out, JSON_INDENT(2) | JSON_REAL_PRECISION(REAL_DIGITS)) == 0;
	written = putc('\n', out) != EOF && fflush(out) == 0 && written;
	json_decref(document);
	free(summary);
	return written;
}
