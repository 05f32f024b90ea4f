/*
 * status_verdict: see status_verdict.h.  It answers for what is grave and what is said first; not for how
 * that is shown.
 */
#include "status/status_verdict.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define MINUTE_S 60
#define HOUR_S 3600
#define DAY_S 86400

#define LAG_WARN_US 1000000
/* A refusal longer ago may be about a certificate that has been renewed since. */
#define REFUSED_RECENT_S HOUR_S

const char *status_verdict_span(int64_t s, char buf[STATUS_SPAN_BYTES])
{
	if (s < 0)
		s = 0;
	if (s < MINUTE_S)
		snprintf(buf, STATUS_SPAN_BYTES, "%" PRId64 " s", s);
	else if (s < HOUR_S)
		snprintf(buf, STATUS_SPAN_BYTES, "%" PRId64 " min", s / MINUTE_S);
	else if (s < 2 * DAY_S && s % HOUR_S < MINUTE_S)
		snprintf(buf, STATUS_SPAN_BYTES, "%" PRId64 " h", s / HOUR_S);
	else if (s < 2 * DAY_S)
		snprintf(buf, STATUS_SPAN_BYTES, "%" PRId64 " h %" PRId64 " min", s / HOUR_S,
		    s % HOUR_S / MINUTE_S);
	else
		snprintf(buf, STATUS_SPAN_BYTES, "%" PRId64 " days", s / DAY_S);
	return buf;
}

const char *status_verdict_cert_words(
    const struct status_report *report, const struct status_cert *cert, char buf[STATUS_CERT_WORDS_BYTES])
{
	char span[STATUS_SPAN_BYTES];
	int64_t now_s = report->now_s;

	if (cert->not_after_s == INT64_MAX)
		snprintf(buf, STATUS_CERT_WORDS_BYTES, "has no readable end");
	else if (now_s >= cert->not_after_s)
		snprintf(buf, STATUS_CERT_WORDS_BYTES, "ended %s ago",
		    status_verdict_span(now_s - cert->not_after_s, span));
	else if (now_s < cert->not_before_s)
		snprintf(buf, STATUS_CERT_WORDS_BYTES, "begins in %s",
		    status_verdict_span(cert->not_before_s - now_s, span));
	else
		snprintf(buf, STATUS_CERT_WORDS_BYTES, "ends in %s",
		    status_verdict_span(cert->not_after_s - now_s, span));
	return buf;
}

static bool is_server(const struct status_cert *cert)
{
	return strcmp(cert->what, "server") == 0;
}

enum status_level status_verdict_cert(const struct status_report *report, const struct status_cert *cert)
{
	int64_t left_s;

	if (cert->not_after_s == INT64_MAX)
		return STATUS_WARN;
	left_s = cert->not_after_s - report->now_s;
	if (left_s <= 0)
		return is_server(cert) ? STATUS_WARN : STATUS_BAD;
	if (is_server(cert))
		return STATUS_GOOD;
	if (report->now_s < cert->not_before_s)
		return STATUS_BAD;
	if (left_s >= report->expiry_warning_s)
		return STATUS_GOOD;
	return left_s < STATUS_CERT_BAD_DAYS * DAY_S ? STATUS_BAD : STATUS_WARN;
}

enum status_level status_verdict_path(const struct status_path *path)
{
	switch (path->state) {
	case STATUS_PATH_UNTRIED:
		return STATUS_IDLE;
	case STATUS_PATH_OK:
		return path->inspected ? STATUS_WARN : STATUS_GOOD;
	case STATUS_PATH_FAILED:
		return STATUS_BAD;
	}
	return STATUS_BAD;
}

static size_t paths_in_state(const struct status_relay *relay, enum status_path_state state)
{
	size_t count = 0, i;

	for (i = 0; i < relay->path_count; i++)
		count += relay->paths[i].state == state;
	return count;
}

static bool no_path_works(const struct status_relay *relay)
{
	return relay->path_count > 0 && paths_in_state(relay, STATUS_PATH_FAILED) == relay->path_count;
}

enum status_level status_verdict_relay(const struct status_report *report, const struct status_relay *relay)
{
	size_t i;

	if (!relay->ready || no_path_works(relay))
		return STATUS_BAD;
	if (paths_in_state(relay, STATUS_PATH_FAILED) > 0)
		return STATUS_WARN;
	for (i = 0; i < relay->path_count; i++)
		if (relay->paths[i].inspected)
			return STATUS_WARN;
	for (i = 0; i < relay->cert_count; i++)
		if (status_verdict_cert(report, &relay->certs[i]) >= STATUS_WARN)
			return STATUS_WARN;
	return paths_in_state(relay, STATUS_PATH_OK) == 0 ? STATUS_IDLE : STATUS_GOOD;
}

/* Takes ownership of the text. */
static void add(struct status_verdict *verdict, enum status_level level, size_t relay, char *text)
{
	struct status_problem *problem;

	verdict->problems =
	    mem_realloc(verdict->problems, (verdict->problem_count + 1) * sizeof(verdict->problems[0]));
	problem = &verdict->problems[verdict->problem_count++];
	problem->level = level;
	problem->relay = relay;
	problem->text = text;
	if (level > verdict->level)
		verdict->level = level;
}

/* The codes that its paths fail with, each once; the caller frees it. */
static char *codes_of(const struct status_relay *relay)
{
	bool told[DIAGNOSIS_CODE_COUNT] = {false};
	char *text = NULL;
	size_t len, i;
	FILE *out = open_memstream(&text, &len);

	midrelay_assert(out != NULL);
	for (i = 0; i < relay->path_count; i++) {
		enum diagnosis_code code = relay->paths[i].diagnosis.code;

		if (!told[code])
			fprintf(out, "%s%s", i > 0 ? ", " : "", diagnosis_name(code));
		told[code] = true;
	}
	midrelay_assert(fclose(out) == 0);
	return text;
}

static void add_paths(struct status_verdict *verdict, const struct status_relay *relay, size_t index)
{
	bool none = no_path_works(relay);
	char *codes;
	size_t i;

	if (!relay->ready && !none)
		add(verdict, STATUS_BAD, index,
		    mem_printf("%s is not ready%s%s", relay->name, relay->unready != NULL ? ": " : "",
			relay->unready != NULL ? relay->unready : ""));
	if (none) {
		codes = codes_of(relay);
		add(verdict, STATUS_BAD, index,
		    mem_printf("%s: %s: %s", relay->name,
			relay->path_count == 1 ? "its only path fails" : "none of its paths works", codes));
		free(codes);
	}
	for (i = 0; i < relay->path_count; i++) {
		const struct status_path *path = &relay->paths[i];

		if (path->state == STATUS_PATH_FAILED && !none)
			add(verdict, STATUS_WARN, index,
			    mem_printf("%s: %s fails (%s), other paths are used", relay->name, path->name,
				diagnosis_name(path->diagnosis.code)));
		if (path->inspected)
			add(verdict, STATUS_WARN, index,
			    mem_printf(
				"%s: %s is inspected, and used all the same", relay->name, path->name));
	}
}

static void add_certs(struct status_verdict *verdict, const struct status_report *report,
    const struct status_relay *relay, size_t index)
{
	char words[STATUS_CERT_WORDS_BYTES];
	size_t i;

	for (i = 0; i < relay->cert_count; i++) {
		const struct status_cert *cert = &relay->certs[i];
		enum status_level level = status_verdict_cert(report, cert);

		if (level >= STATUS_WARN)
			add(verdict, level, index,
			    mem_printf("%s: the %s certificate %s", relay->name, cert->what,
				status_verdict_cert_words(report, cert, words)));
	}
	for (i = 0; i < relay->failure_count; i++) {
		const struct status_failure *failure = &relay->failures[i];

		if ((failure->code != DIAGNOSIS_INSTANCE_CERT_REFUSED &&
			failure->code != DIAGNOSIS_CLIENT_CERT_REJECTED) ||
		    report->now_s - failure->at_s > REFUSED_RECENT_S)
			continue;
		add(verdict, STATUS_BAD, index,
		    mem_printf("%s: the target refused the client certificate %s ago", relay->name,
			status_verdict_span(report->now_s - failure->at_s, words)));
		break;
	}
}

static void add_process(struct status_verdict *verdict, const struct status_report *report)
{
	unsigned i;

	if (report->draining)
		add(verdict, STATUS_WARN, STATUS_OF_PROCESS,
		    mem_strdup("midrelay is stopping: it accepts no connection any more"));
	if (report->last_reload_s != 0 && !report->last_reload_ok)
		add(verdict, STATUS_WARN, STATUS_OF_PROCESS,
		    mem_printf("the last reload failed, the configuration before it stays in force%s%s",
			report->last_reload_error != NULL ? ": " : "",
			report->last_reload_error != NULL ? report->last_reload_error : ""));
	if (report->descriptor_limit > 0 && report->descriptors >= report->descriptor_limit / 100.0 * 85)
		add(verdict, STATUS_WARN, STATUS_OF_PROCESS,
		    mem_printf("descriptors are nearly used up: %u of %u", report->descriptors,
			report->descriptor_limit));
	if (report->max_connections > 0 && report->open >= report->max_connections / 100.0 * 90)
		add(verdict, STATUS_WARN, STATUS_OF_PROCESS,
		    mem_printf("connections are nearly used up: %u of %u (max_connections)", report->open,
			report->max_connections));
	for (i = 0; i < report->workers; i++)
		if (report->loop_lag_us != NULL && report->loop_lag_us[i] > LAG_WARN_US)
			add(verdict, STATUS_WARN, STATUS_OF_PROCESS,
			    mem_printf("worker %u is late by %" PRId64
				       " ms: it has more to do than a CPU can",
				i, report->loop_lag_us[i] / 1000));
}

static int compare_problems(const void *a, const void *b)
{
	const struct status_problem *left = a, *right = b;

	if (left->level != right->level)
		return left->level > right->level ? -1 : 1;
	if (left->relay != right->relay)
		return left->relay < right->relay ? -1 : 1;
	return strcmp(left->text, right->text);
}

struct tally {
	size_t bad, idle, paths, failed, untried;
};

static void tell_good(FILE *out, const struct status_report *report, const struct tally *tally)
{
	size_t relays = report->relay_count;

	if (relays == 1)
		fprintf(out, "%s", report->relays[0].name);
	else
		fprintf(out, "%zu relays", relays);
	if (tally->failed > 0)
		fprintf(out, "%s, but %zu of %zu paths fail%s", relays == 1 ? " works" : ", all work",
		    tally->failed, tally->paths, tally->failed == 1 ? "s" : "");
	else if (tally->untried == tally->paths)
		fprintf(out, ", no path tried yet");
	else if (tally->idle > 0)
		fprintf(out, ", %zu of them not tried yet", tally->idle);
	else if (tally->untried > 0)
		fprintf(out, "%s; %zu of %zu paths not tried yet", relays == 1 ? " works" : ", all work",
		    tally->untried, tally->paths);
	else
		fprintf(out, "%s", tally->paths == 1 ? " works" : ", all paths work");
}

/* "2 relays, all paths work" */
static void tell_paths(FILE *out, const struct status_report *report)
{
	struct tally tally = {0};
	size_t i;

	for (i = 0; i < report->relay_count; i++) {
		const struct status_relay *relay = &report->relays[i];

		tally.bad += status_verdict_relay(report, relay) == STATUS_BAD;
		tally.idle += paths_in_state(relay, STATUS_PATH_UNTRIED) == relay->path_count;
		tally.paths += relay->path_count;
		tally.failed += paths_in_state(relay, STATUS_PATH_FAILED);
		tally.untried += paths_in_state(relay, STATUS_PATH_UNTRIED);
	}
	if (report->relay_count == 0)
		fprintf(out, "no relay is configured");
	else if (tally.bad == 0)
		tell_good(out, report, &tally);
	else if (report->relay_count == 1)
		fprintf(out, "%s does not work", report->relays[0].name);
	else if (tally.bad == report->relay_count)
		fprintf(out, "none of %zu relays works", tally.bad);
	else
		fprintf(out, "%zu of %zu relays %s not work", tally.bad, report->relay_count,
		    tally.bad == 1 ? "does" : "do");
}

/* The one that ends first, if that is worth a word. */
static void tell_cert(FILE *out, const struct status_report *report)
{
	const struct status_relay *owner = NULL;
	const struct status_cert *first = NULL;
	char words[STATUS_CERT_WORDS_BYTES];
	size_t i, j;

	for (i = 0; i < report->relay_count; i++) {
		for (j = 0; j < report->relays[i].cert_count; j++) {
			const struct status_cert *cert = &report->relays[i].certs[j];

			if (status_verdict_cert(report, cert) < STATUS_WARN ||
			    (first != NULL && cert->not_after_s >= first->not_after_s))
				continue;
			first = cert;
			owner = &report->relays[i];
		}
	}
	if (first != NULL)
		fprintf(out, "; %s%scertificate%s%s %s", report->relay_count == 1 ? "its " : "the ",
		    is_server(first) ? "server's " : "", report->relay_count == 1 ? "" : " of ",
		    report->relay_count == 1 ? "" : owner->name,
		    status_verdict_cert_words(report, first, words));
}

static char *make_sentence(const struct status_report *report)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	midrelay_assert(out != NULL);
	if (report->draining)
		fprintf(out, "midrelay is stopping; ");
	tell_paths(out, report);
	tell_cert(out, report);
	if (report->last_reload_s != 0 && !report->last_reload_ok)
		fprintf(out, "; the last reload failed");
	midrelay_assert(fclose(out) == 0);
	return text;
}

struct status_verdict *status_verdict_new(const struct status_report *report)
{
	struct status_verdict *verdict = mem_calloc(1, sizeof(*verdict));
	enum status_level level;
	size_t i;

	for (i = 0; i < report->relay_count; i++) {
		level = status_verdict_relay(report, &report->relays[i]);
		if (level > verdict->level)
			verdict->level = level;
		add_paths(verdict, &report->relays[i], i);
		add_certs(verdict, report, &report->relays[i], i);
	}
	add_process(verdict, report);
	if (verdict->problem_count > 0)
		qsort(verdict->problems, verdict->problem_count, sizeof(verdict->problems[0]),
		    compare_problems);
	verdict->sentence = make_sentence(report);
	return verdict;
}

void status_verdict_free(struct status_verdict *verdict)
{
	size_t i;

	if (verdict == NULL)
		return;
	for (i = 0; i < verdict->problem_count; i++)
		free(verdict->problems[i].text);
	free(verdict->problems);
	free(verdict->sentence);
	free(verdict);
}
