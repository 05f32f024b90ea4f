/*
 * cert_outcome: what one session showed of our client certificate, told to its relay's choice and to the log:
 * the events certificate-refused, certificate-fallback, certificate-fallback-over and certificate-accepted.
 */
#ifndef MIDRELAY_RELAY_CERT_OUTCOME_H
#define MIDRELAY_RELAY_CERT_OUTCOME_H

#include "dial/first_answer.h"
#include "dial/relay_route.h"

/* Zero-initialise. */
struct cert_outcome {
	struct relay_route *route;      /* borrowed: the session counts on its set */
	const struct relay_path *path;  /* borrowed; may be NULL */
	unsigned loop_index;
	struct identity_use use;
	bool told;
	struct diagnosis *refusal; /* what the target's first answer was, if it was a refusal; else NULL */
};

/* A dial has ended, whatever came of it.  Takes the use. */
void cert_outcome_begin(struct cert_outcome *outcome, struct relay_route *route,
    const struct relay_path *path, unsigned loop_index, const struct identity_use *use);
/* The first answer has been looked at. */
void cert_outcome_answered(struct cert_outcome *outcome, enum first_answer_verdict verdict,
    const struct diagnosis *diagnosis);
/* The session has no tunnel, or ends.  Any number of times, also before the beginning. */
void cert_outcome_end(struct cert_outcome *outcome, const struct diagnosis *diagnosis);
/* The diagnosis that the session's line bears: a refusal says more than how a connection ended after it. */
const struct diagnosis *cert_outcome_diagnosis(const struct cert_outcome *outcome,
    const struct diagnosis *diagnosis);
void cert_outcome_clear(struct cert_outcome *outcome);
/*
 * The use, for a tunnel that serves on: the caller's now, and no trial any more.  False: the first answer was no
 * acceptance, or the tunnel had none; nothing is given.
 */
bool cert_outcome_release(struct cert_outcome *outcome, struct identity_use *use);

#endif
