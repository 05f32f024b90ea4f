/*
 * path_log: see path_log.h.  The words alone; what is news is decided by relay_path's state, how often it is
 * told by log_limit.
 */
#include "relay/path_log.h"

#include <stdlib.h>
#include <string.h>

#include "base/log_limit.h"
#include "base/mem.h"

/* Room for every piece of the evidence; a line of the log has twice that. */
#define EVIDENCE_BYTES 2048

static void log_evidence(struct log_line *line, const struct judge_evidence *evidence)
{
	char text[EVIDENCE_BYTES];

	if (evidence != NULL)
		log_str(line, "evidence", judge_evidence_text(evidence, text, sizeof(text)));
}

_Static_assert(DIAGNOSIS_CODE_COUNT <= LOG_LIMIT_VARIANTS, "a code is a variant of a path's line");

static void end_line(struct log_line *line, const char *of, const struct config_relay *relay,
    const struct relay_path *path, unsigned variant)
{
	char *group = mem_printf("%s %s %s", of, relay->name, path->config->name);

	log_limit_end(line, group, variant);
	free(group);
}

void path_log_state(const struct config_relay *relay, const struct relay_path *path,
    const struct diagnosis *diagnosis, const struct judge_evidence *evidence)
{
	struct log_line line;
	bool ok = diagnosis->code == DIAGNOSIS_OK;

	if (!log_begin(&line, ok ? LOG_INFO : LOG_WARN, ok ? "path-ok" : "path-failed"))
		return;
	log_str(&line, "relay", relay->name);
	log_str(&line, "path", path->config->name);
	if (!ok) {
		log_str(&line, "code", diagnosis_name(diagnosis->code));
		if (diagnosis->cause != DIAGNOSIS_CAUSE_NONE)
			log_str(&line, "cause", diagnosis_cause_info(diagnosis->cause)->name);
		log_str(&line, "msg", diagnosis->sentence);
		log_str(&line, "remedy", diagnosis_remedy(diagnosis));
		log_evidence(&line, evidence);
	}
	end_line(&line, "path", relay, path, (unsigned)diagnosis->code);
}

static enum log_level notice_level(const struct config_relay *relay, enum relay_path_notice notice)
{
	switch (notice) {
	case RELAY_PATH_INSPECTED:
		return relay->inspection == CONFIG_INSPECTION_IGNORE ? LOG_INFO : LOG_WARN;
	case RELAY_PATH_NOT_INSPECTED:
	case RELAY_PATH_PIPELINE_OFF:
		return LOG_INFO;
	case RELAY_PATH_CERT_IN_CLEAR:
	case RELAY_PATH_PIN_ON_LEAF:
		return LOG_WARN;
	}
	return LOG_WARN;
}

static const char *notice_text(enum relay_path_notice notice)
{
	switch (notice) {
	case RELAY_PATH_INSPECTED:
		return "THIS PATH LOOKS INSPECTED and is used all the same, as `inspection` says: whoever "
		    "inspects it "
		       "reads and can change everything";
	case RELAY_PATH_NOT_INSPECTED:
		return "this path does not look inspected any more";
	case RELAY_PATH_CERT_IN_CLEAR:
		return "the target speaks TLS 1.2, with which the client certificate (not its key) crosses "
		    "the path "
		       "readable for all; tls_min = 1.3 refuses that";
	case RELAY_PATH_PIN_ON_LEAF:
		return "pin matches only the server's own key, which may change with its next certificate: "
		    "pin the key of "
		       "its CA";
	case RELAY_PATH_PIPELINE_OFF:
		return "this proxy loses a ClientHello that comes with the CONNECT: for an hour it is sent once the "
		       "proxy has answered; proxy_pipeline = off for good";
	}
	return "";
}

void path_log_notice(const struct config_relay *relay, const struct relay_path *path,
    enum relay_path_notice notice, const struct judge_evidence *evidence)
{
	struct log_line line;

	if (!log_begin(&line, notice_level(relay, notice), relay_path_notice_name(notice)))
		return;
	log_str(&line, "relay", relay->name);
	log_str(&line, "path", path->config->name);
	log_str(&line, "msg", notice_text(notice));
	if (notice == RELAY_PATH_INSPECTED || notice == RELAY_PATH_PIN_ON_LEAF)
		log_evidence(&line, evidence);
	if (notice == RELAY_PATH_INSPECTED || notice == RELAY_PATH_NOT_INSPECTED)
		end_line(&line, "inspection", relay, path, (unsigned)notice);
	else
		log_end(&line);
}

void path_log_trace(const struct config_relay *relay, const struct relay_path *path, uint64_t session_id,
    const char *text)
{
	const char *msg = strstr(text, ": ");
	struct log_line line;

	if (msg == NULL || !log_begin(&line, LOG_DEBUG, "tls-trace"))
		return;
	log_str(&line, "relay", relay->name);
	if (session_id != 0)
		log_int(&line, "id", (int64_t)session_id);
	log_str(&line, "path", path->config->name);
	log_bytes(&line, "peer", text, (size_t)(msg - text));
	log_str(&line, "msg", msg + 2);
	log_end(&line);
}
