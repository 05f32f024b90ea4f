/*
 * path_log: the log events about paths: path-ok, path-failed, inspection-found, inspection-gone,
 * certificate-in-clear, pin-on-leaf, tls-trace.
 */
#ifndef MIDRELAY_RELAY_PATH_LOG_H
#define MIDRELAY_RELAY_PATH_LOG_H

#include "dial/relay_route.h"

/* A path changed its state; `evidence` may be NULL. */
void path_log_state(const struct config_relay *relay, const struct relay_path *path,
    const struct diagnosis *diagnosis, const struct judge_evidence *evidence);

void path_log_notice(const struct config_relay *relay, const struct relay_path *path,
    enum relay_path_notice notice, const struct judge_evidence *evidence);

/*
 * A line of a session's TLS over this path, as stream_params has it: "target: sent ClientHello, …".  Id 0: of a
 * tunnel that is dialled ahead of need.
 */
void path_log_trace(const struct config_relay *relay, const struct relay_path *path, uint64_t session_id,
    const char *text);

#endif
