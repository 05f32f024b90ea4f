/*
 * check_steps: what a dial showed, in the words of the report: the first five steps of a path, its notes and
 * verdict.
 */
#ifndef MIDRELAY_CHECK_CHECK_STEPS_H
#define MIDRELAY_CHECK_CHECK_STEPS_H

#include "check/check_report.h"
#include "dial/dial.h"

/* Adds the path of a route to the report, nothing walked yet. */
void check_steps_add(struct check_report *report, const struct relay_route *route,
    const struct relay_path *path);

/* A stage begins: those before it have passed. */
void check_steps_begin(struct check_path *seen, enum dial_phase phase);
/* The proxy's answer that opened the tunnel. */
void check_steps_opened(struct check_path *seen, const char *head, size_t len);
/*
 * The dial is over.  Takes the evidence.  With a tunnel CERT is left under way where our certificate has been
 * sent, because the first answer alone proves that it was accepted.
 */
void check_steps_dialled(struct check_path *seen, const struct relay_route *route,
    struct dial_result *result);

/* CERT was under way: the first answer has come, or nothing that proves anything (`proven` false). */
void check_steps_proven(struct check_path *seen, const struct relay_route *route, bool proven,
    const char *text);
/* The path stops at this stage. */
void check_steps_fail(struct check_path *seen, enum check_stage stage, const struct diagnosis *diagnosis);
/* The stage a diagnosis belongs to; `otherwise` for those of no stage. */
enum check_stage check_steps_stage(enum diagnosis_code code, enum check_stage otherwise);
void check_steps_note(struct check_path *seen, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Says in the report what the path turned out to be. */
void check_steps_end(struct check_path *seen);

#endif
