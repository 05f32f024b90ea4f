/* check_steps: see check_steps.h.  Dials nothing and asks nothing. */
#include "check/check_steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "base/text.h"
#include "check/check_draft.h"

#define DAY_S (24 * 60 * 60)

void check_steps_note(struct check_path *seen, const char *fmt, ...)
{
	va_list ap;

	if (seen->note_count == CHECK_MAX_NOTES)
		return;
	va_start(ap, fmt);
	vsnprintf(seen->notes[seen->note_count++], sizeof(seen->notes[0]), fmt, ap);
	va_end(ap);
}

static void warn(struct check_path *seen, enum check_stage stage)
{
	if (seen->steps[stage].outcome == CHECK_PASSED)
		seen->steps[stage].outcome = CHECK_WARNED;
}

static bool is_resolved(const struct relay_route *route, const struct relay_path *path)
{
	if (path->config->direct)
		return route->target_address.len == 0 && !route->config->target.is_ip;
	return !path->config->proxy.is_ip;
}

void check_steps_add(struct check_report *report, const struct relay_route *route,
    const struct relay_path *path)
{
	struct check_path *seen = check_report_add_path(report);

	seen->relay = mem_strdup(report->file != NULL && !check_draft_added(route->config) ?
	    route->config->name :
	    route->target_text);
	seen->target = mem_strdup(route->target_text);
	seen->name = mem_strdup(path->config->name);
	seen->direct = path->config->direct;
	if (!is_resolved(route, path))
		seen->steps[CHECK_RESOLVE].outcome = CHECK_NOT_APPLICABLE;
	if (seen->direct)
		seen->steps[CHECK_PROXY].outcome = CHECK_NOT_APPLICABLE;
}

static void set_under_way(struct check_path *seen, enum check_stage stage, enum check_outcome outcome)
{
	int i;

	for (i = 0; i < (int)stage; i++) {
		if (seen->steps[i].outcome == CHECK_UNDER_WAY || seen->steps[i].outcome == CHECK_NOT_REACHED)
			seen->steps[i].outcome = CHECK_PASSED;
	}
	if (seen->steps[stage].outcome != CHECK_NOT_APPLICABLE)
		seen->steps[stage].outcome = outcome;
}

void check_steps_begin(struct check_path *seen, enum dial_phase phase)
{
	switch (phase) {
	case DIAL_RESOLVE:
		set_under_way(seen, CHECK_RESOLVE, CHECK_UNDER_WAY);
		break;
	case DIAL_CONNECT:
		set_under_way(seen, CHECK_CONNECT, CHECK_UNDER_WAY);
		break;
	case DIAL_PROXY:
		set_under_way(seen, CHECK_PROXY, CHECK_UNDER_WAY);
		break;
	case DIAL_TLS:
		set_under_way(seen, CHECK_TLS, CHECK_UNDER_WAY);
		break;
	case DIAL_DONE:
		break;
	}
}

void check_steps_opened(struct check_path *seen, const char *head, size_t len)
{
	const char *line = head, *lf, *last = head;
	size_t last_len = 0;

	/* 1xx heads may stand before the one that opened. */
	while ((lf = memchr(line, '\n', len - (size_t)(line - head))) != NULL) {
		if (lf - line >= 5 && memcmp(line, "HTTP/", 5) == 0) {
			last = line;
			last_len = (size_t)(lf - line);
		}
		line = lf + 1;
	}
	if (last_len > 0 && last[last_len - 1] == '\r')
		last_len--;
	text_escape(last, last_len, seen->proxy_reply, sizeof(seen->proxy_reply));
	snprintf(seen->steps[CHECK_PROXY].seen, sizeof(seen->steps[CHECK_PROXY].seen), "%s",
	    seen->proxy_reply);
}

enum check_stage check_steps_stage(enum diagnosis_code code, enum check_stage otherwise)
{
	switch (diagnosis_info(code)->stage) {
	case DIAGNOSIS_STAGE_RESOLVE:
		return CHECK_RESOLVE;
	case DIAGNOSIS_STAGE_CONNECT:
		return CHECK_CONNECT;
	case DIAGNOSIS_STAGE_PROXY:
		return CHECK_PROXY;
	case DIAGNOSIS_STAGE_TLS:
		return CHECK_TLS;
	case DIAGNOSIS_STAGE_CLIENT_CERT:
		return CHECK_CERT;
	case DIAGNOSIS_STAGE_INSTANCE:
		return CHECK_INSTANCE;
	case DIAGNOSIS_STAGE_LOCAL:
	case DIAGNOSIS_STAGE_RELAY:
		break;
	}
	return otherwise;
}

void check_steps_fail(struct check_path *seen, enum check_stage stage, const struct diagnosis *diagnosis)
{
	int i;

	set_under_way(seen, stage, CHECK_FAILED);
	seen->steps[stage].outcome = CHECK_FAILED;
	for (i = (int)stage + 1; i < CHECK_STAGE_COUNT; i++) {
		if (seen->steps[i].outcome != CHECK_NOT_APPLICABLE)
			seen->steps[i].outcome = CHECK_NOT_REACHED;
		seen->steps[i].us = -1;
	}
	if (seen->diagnosis.code == DIAGNOSIS_OK)
		seen->diagnosis = *diagnosis;
}

static void fill_times(struct check_path *seen, const struct dial_times *times)
{
	const int64_t spent[] = {times->resolve_us, times->connect_us, times->proxy_us, times->tls_us};
	int i;

	for (i = CHECK_RESOLVE; i <= CHECK_TLS; i++) {
		if (seen->steps[i].outcome != CHECK_NOT_APPLICABLE)
			seen->steps[i].us = spent[i];
	}
}

static void fill_address(struct check_path *seen, const struct addr *peer)
{
	struct addr bare = *peer;
	char text[ADDR_TEXT_BYTES];

	if (peer->len == 0)
		return;
	snprintf(seen->address, sizeof(seen->address), "%s", addr_format(peer, text));
	snprintf(seen->steps[CHECK_CONNECT].seen, sizeof(seen->steps[0].seen), "%s", seen->address);
	if (seen->steps[CHECK_RESOLVE].outcome == CHECK_NOT_APPLICABLE)
		return;
	addr_set_port(&bare, 0);
	addr_format(&bare, text);
	text[strlen(text) - strlen(":0")] = '\0';
	snprintf(seen->steps[CHECK_RESOLVE].seen, sizeof(seen->steps[0].seen), "%s", text);
}

static void fill_tls(struct check_path *seen, const struct stream *stream)
{
	char *text = seen->steps[CHECK_TLS].seen;
	const struct judge_evidence *evidence = seen->evidence;

	if (stream != NULL) {
		snprintf(seen->tls_version, sizeof(seen->tls_version), "%s", stream_version(stream));
		snprintf(seen->cipher, sizeof(seen->cipher), "%s", stream_cipher(stream));
		snprintf(seen->group, sizeof(seen->group), "%s", stream_group(stream));
		snprintf(text, CHECK_TEXT_BYTES, "%s %s", seen->tls_version, seen->cipher);
	}
	if (evidence != NULL && evidence->issuer[0] != '\0')
		snprintf(text + strlen(text), CHECK_TEXT_BYTES - strlen(text), "%sissued by %s",
		    text[0] != '\0' ? ", " : "", evidence->issuer);
}

static void note_inspection(struct check_path *seen, enum config_inspection inspection)
{
	const struct judge_evidence *evidence = seen->evidence;
	bool product = (evidence->reasons & JUDGE_REASON_PRODUCT) != 0;
	bool no_sct = (evidence->reasons & JUDGE_REASON_NO_SCT) != 0;
	bool local = (evidence->reasons & JUDGE_REASON_LOCAL_ANCHOR) != 0;

	check_steps_note(seen, "judged inspected, and used because of inspection = %s:%s%s%s%s%s%s",
	    inspection == CONFIG_INSPECTION_IGNORE ? "ignore" : "warn",
	    product ? " the issuer looks like " : "", product ? evidence->product : "",
	    product && (no_sct || local) ? "," : "",
	    no_sct ? " no Certificate Transparency timestamp came with it" : "", no_sct && local ? "," : "",
	    local ? " its root was added to this host's store" : "");
}

/* A certificate that ends soon, or has ended and was taken all the same, in words. */
static void note_end(struct check_path *seen, enum check_stage stage, const char *whose,
    const struct cert_end *end, int64_t warning_s)
{
	int64_t left_s = end->not_after - (int64_t)time(NULL);
	time_t not_after = (time_t)end->not_after;
	char when[32] = "";
	struct tm tm;

	if (left_s >= warning_s)
		return;
	if (gmtime_r(&not_after, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (left_s < 0)
		check_steps_note(seen, "%s certificate (%s) ended at %s: %.100s", whose,
		    cert_role_name(end->role), when, end->subject);
	else
		check_steps_note(seen, "%s certificate (%s) ends in %d days, at %s: %.100s", whose,
		    cert_role_name(end->role), (int)(left_s / DAY_S), when, end->subject);
	warn(seen, stage);
}

static void fill_notes(struct check_path *seen, const struct relay_route *route, const struct stream *stream)
{
	int64_t warning_s = route->set->config->process.expiry_warning_ms / 1000;
	struct cert_end end;

	if (seen->evidence != NULL && seen->evidence->reasons != 0) {
		note_inspection(seen, route->config->inspection);
		warn(seen, CHECK_TLS);
	}
	if (seen->evidence != NULL && seen->evidence->pin_on_leaf) {
		check_steps_note(seen, "pin matches the server's own key alone, which ends with its "
		    "certificate: pin an issuer's");
		warn(seen, CHECK_TLS);
	}
	if (stream_server_end(stream, &end) != 0)
		note_end(seen, CHECK_TLS, "the server's", &end, warning_s);
}

void check_steps_proven(struct check_path *seen, const struct relay_route *route, bool proven,
    const char *text)
{
	int64_t warning_s = route->set->config->process.expiry_warning_ms / 1000;
	struct check_step *step = &seen->steps[CHECK_CERT];
	const struct cert_end *ends;
	size_t count, i;

	if (step->outcome != CHECK_UNDER_WAY)
		return;
	step->outcome = proven && !seen->cert_in_clear ? CHECK_PASSED : CHECK_WARNED;
	snprintf(step->seen, sizeof(step->seen), "%s", text);
	ends = identity_ends(route->identity, &count);
	for (i = 0; i < count; i++)
		note_end(seen, CHECK_CERT, "the client's", &ends[i], warning_s);
}

static void fill_cert(struct check_path *seen, const struct relay_route *route, const struct stream *stream)
{
	struct check_step *step = &seen->steps[CHECK_CERT];

	seen->cert_requested = stream_cert_requested(stream);
	if (!identity_has_cert(route->identity) || !seen->cert_requested) {
		step->outcome = CHECK_NOT_APPLICABLE;
		snprintf(step->seen, sizeof(step->seen), "%s", !seen->cert_requested ?
		    "the server asks for none" :
		    "the server asks for one, and none is configured");
		return;
	}
	step->outcome = CHECK_UNDER_WAY;
	snprintf(step->seen, sizeof(step->seen), "asked for and sent");
}

void check_steps_dialled(struct check_path *seen, const struct relay_route *route, struct dial_result *result)
{
	const struct stream *stream = result->tunnel != NULL ? result->tunnel->stream : NULL;
	enum check_stage stage = CHECK_RESOLVE;
	int i;

	for (i = CHECK_RESOLVE; i <= CHECK_TLS; i++) {
		if (seen->steps[i].outcome == CHECK_UNDER_WAY)
			stage = (enum check_stage)i;
	}
	seen->evidence = result->evidence;
	result->evidence = NULL;
	seen->cert_in_clear = result->cert_in_clear;
	if (seen->evidence != NULL)
		seen->cert_requested = seen->evidence->cert_requested;
	fill_times(seen, &result->times);
	fill_address(seen, &result->peer);
	fill_tls(seen, stream);
	if (stream == NULL) {
		stage = check_steps_stage(result->diagnosis.code, stage);
		check_steps_fail(seen, stage, &result->diagnosis);
		if (seen->steps[stage].us < 0)
			seen->steps[stage].us = 0;
	} else {
		set_under_way(seen, CHECK_CERT, CHECK_UNDER_WAY);
		fill_cert(seen, route, stream);
		fill_notes(seen, route, stream);
	}
	if (seen->cert_in_clear)
		check_steps_note(seen, "TLS 1.2 showed the client certificate to everybody on the path; "
		    "tls_min = 1.3 refuses that");
}

void check_steps_end(struct check_path *seen)
{
	enum diagnosis_code code = seen->diagnosis.code;
	int i;

	for (i = 0; i < CHECK_STAGE_COUNT; i++) {
		if (seen->steps[i].outcome == CHECK_UNDER_WAY)
			seen->steps[i].outcome = CHECK_NOT_REACHED;
	}
	if (code == DIAGNOSIS_TLS_INSPECTED || (seen->evidence != NULL && seen->evidence->reasons != 0))
		seen->verdict = CHECK_INSPECTED;
	else if (code == DIAGNOSIS_OK)
		seen->verdict = CHECK_CLEAN;
	else if (diagnosis_info(code)->stage == DIAGNOSIS_STAGE_PROXY && code != DIAGNOSIS_PROXY_TIMEOUT &&
	    code != DIAGNOSIS_PROXY_MALFORMED && code != DIAGNOSIS_PROXY_CLOSED &&
	    code != DIAGNOSIS_PROXY_TLS)
		seen->verdict = CHECK_BLOCKED;
	else
		seen->verdict = CHECK_BROKEN;
}
