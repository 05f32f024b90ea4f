/*
 * cert_outcome: see cert_outcome.h.  What an outcome leads to is decided by dial/identity_choice; the words
 * are here.
 */
#include "relay/cert_outcome.h"

#include <stdlib.h>
#include <time.h>

#include "base/log_limit.h"
#include "base/mem.h"
#include "loop/loop.h"

static void log_time(struct log_line *line, const char *key, int64_t at_s)
{
	time_t at = (time_t)at_s;
	char when[64];
	struct tm tm;

	if (gmtime_r(&at, &tm) != NULL && strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm) > 0)
		log_str(line, key, when);
}

static void log_refused(const struct cert_outcome *outcome, const struct diagnosis *diagnosis)
{
	const struct identity *identity = outcome->use.identity;
	struct log_line line;
	char *group;

	if (!log_begin(&line, LOG_WARN, "certificate-refused"))
		return;
	log_str(&line, "relay", outcome->route->config->name);
	log_str(&line, "path", outcome->path != NULL ? outcome->path->config->name : NULL);
	log_str(&line, "code", diagnosis_name(diagnosis->code));
	log_str(&line, "msg", diagnosis->sentence);
	log_str(&line, "remedy", diagnosis_remedy(diagnosis));
	if (identity_has_cert(identity)) {
		log_str(&line, "subject", identity_subject(identity));
		log_str(&line, "sha256", identity_fingerprint(identity));
	}
	group = mem_printf("certificate-refused %s", outcome->route->config->name);
	log_limit_end(&line, group, (unsigned)diagnosis->code);
	free(group);
}

static void log_went_back(const struct cert_outcome *outcome, const struct diagnosis *diagnosis)
{
	struct identity *old = identity_choice_get_old(&outcome->route->choice);
	const struct cert_end *ends;
	struct log_line line;
	size_t count;

	if (old != NULL && log_begin(&line, LOG_WARN, "certificate-fallback")) {
		ends = identity_ends(old, &count);
		log_str(&line, "relay", outcome->route->config->name);
		log_str(&line, "code", diagnosis_name(diagnosis->code));
		log_str(&line, "msg", "the target does not accept the new client certificate: connections go "
		    "under the one before again; upload the new one there, and see that it is active");
		log_str(&line, "subject", identity_subject(outcome->use.identity));
		log_str(&line, "sha256", identity_fingerprint(outcome->use.identity));
		log_str(&line, "old_subject", identity_subject(old));
		log_str(&line, "old_sha256", identity_fingerprint(old));
		log_time(&line, "old_not_after", count > 0 ? ends[0].not_after : 0);
		log_time(&line, "next_try", (int64_t)time(NULL) + IDENTITY_FIRST_TRY_MS / 1000);
		log_end(&line);
	}
	identity_unref(old);
}

static void log_about(const struct cert_outcome *outcome, enum log_level level, const char *event,
    const char *msg)
{
	struct log_line line;

	if (!log_begin(&line, level, event))
		return;
	log_str(&line, "relay", outcome->route->config->name);
	log_str(&line, "msg", msg);
	log_str(&line, "subject", identity_subject(outcome->use.identity));
	log_str(&line, "sha256", identity_fingerprint(outcome->use.identity));
	log_end(&line);
}

static void tell_news(const struct cert_outcome *outcome, enum identity_news news,
    const struct diagnosis *diagnosis)
{
	switch (news) {
	case IDENTITY_NO_NEWS:
		break;
	case IDENTITY_ACCEPTED:
		log_about(outcome, LOG_INFO, "certificate-accepted", "the target accepts the new client "
		    "certificate; the one before is dropped");
		break;
	case IDENTITY_WENT_BACK:
		log_went_back(outcome, diagnosis);
		break;
	case IDENTITY_OLD_REFUSED:
		log_about(outcome, LOG_WARN, "certificate-fallback-over",
		    "the target does not accept the client certificate from before any more either: "
		    "connections go under the new one");
		break;
	}
}

static void refused(struct cert_outcome *outcome, const struct diagnosis *diagnosis)
{
	struct tls_session_slot *slot = outcome->path == NULL ? NULL :
	    relay_path_slot(outcome->path, outcome->loop_index, &outcome->use);

	outcome->told = true;
	relay_stats_cert_taken(outcome->route->stats, false);
	relay_stats_add(outcome->route->stats, outcome->loop_index, RELAY_COUNT_CERTS_REFUSED, 1);
	/*
	 * The server keeps its verdict on our certificate with the session: who resumed it would be refused
	 * for good.
	 */
	if (slot != NULL)
		tls_session_slot_clear(slot);
	log_refused(outcome, diagnosis);
	tell_news(outcome, identity_choice_refused(&outcome->route->choice, &outcome->use, loop_now_ms()),
	    diagnosis);
}

void cert_outcome_begin(struct cert_outcome *outcome, struct relay_route *route,
    const struct relay_path *path, unsigned loop_index, const struct identity_use *use)
{
	outcome->route = route;
	outcome->path = path;
	outcome->loop_index = loop_index;
	outcome->use = *use;
}

void cert_outcome_answered(struct cert_outcome *outcome, enum first_answer_verdict verdict,
    const struct diagnosis *diagnosis)
{
	switch (verdict) {
	case FIRST_ANSWER_MORE:
	case FIRST_ANSWER_UNCLEAR:
		break;
	case FIRST_ANSWER_OTHER:
		outcome->told = true;
		relay_stats_cert_taken(outcome->route->stats, true);
		tell_news(outcome, identity_choice_accepted(&outcome->route->choice, &outcome->use), NULL);
		break;
	case FIRST_ANSWER_REFUSED:
		outcome->refusal = mem_dup(diagnosis, sizeof(*diagnosis));
		refused(outcome, diagnosis);
		break;
	}
}

void cert_outcome_end(struct cert_outcome *outcome, const struct diagnosis *diagnosis)
{
	if (outcome->use.identity == NULL || outcome->told)
		return;
	if (diagnosis->code == DIAGNOSIS_CLIENT_CERT_REJECTED)
		refused(outcome, diagnosis);
}

const struct diagnosis *cert_outcome_diagnosis(const struct cert_outcome *outcome,
    const struct diagnosis *diagnosis)
{
	bool is_end = diagnosis->code == DIAGNOSIS_OK ||
	    diagnosis_info(diagnosis->code)->stage == DIAGNOSIS_STAGE_RELAY;

	return outcome->refusal != NULL && is_end ? outcome->refusal : diagnosis;
}

void cert_outcome_clear(struct cert_outcome *outcome)
{
	identity_use_clear(&outcome->use);
	free(outcome->refusal);
	outcome->refusal = NULL;
}

bool cert_outcome_release(struct cert_outcome *outcome, struct identity_use *use)
{
	if (!outcome->told || outcome->use.identity == NULL)
		return false;
	*use = outcome->use;
	use->is_trial = false;
	outcome->use = (struct identity_use){0};
	return true;
}
