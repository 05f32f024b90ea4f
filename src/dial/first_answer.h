/*
 * first_answer: what the beginning of a target's first answer says of our client certificate.
 *
 * Pure: bytes in (in any split), verdict out.  An instance's edge does not refuse a certificate in the handshake: it
 * answers the first request with HTTP 400 and nginx's page for its codes 495 or 496; who passes these codes on as the
 * status says the same.  The bytes are only looked at: what does not begin as such an answer is decided with its first
 * bytes and never copied.
 */
#ifndef MIDRELAY_DIAL_FIRST_ANSWER_H
#define MIDRELAY_DIAL_FIRST_ANSWER_H

#include <stddef.h>

#include "dial/diagnosis.h"

/* What is looked at, at most: heads of interim answers (1xx), the answer's head and its body. */
#define FIRST_ANSWER_MAX_BYTES 2048

enum first_answer_verdict {
	FIRST_ANSWER_MORE,    /* not decided yet */
	FIRST_ANSWER_OTHER,   /* no refusal: the certificate, or its absence, was accepted */
	FIRST_ANSWER_UNCLEAR, /* another 400: nginx judges the request's lines before it looks at the certificate */
	FIRST_ANSWER_REFUSED, /* that page: see the diagnosis, instance-cert-refused */
};

/* Zero-initialise. */
struct first_answer {
	char *kept; /* while undecided */
	size_t len;
};

/* The next bytes.  Once decided nothing is kept, and it must not be called again. */
enum first_answer_verdict first_answer_take(struct first_answer *answer, const void *bytes, size_t len,
    struct diagnosis *diagnosis);
void first_answer_clear(struct first_answer *answer);

/* The same rule for an answer as far as it came: the page that it is, in nginx's words (static), or NULL. */
const char *first_answer_page(const void *bytes, size_t len);

#endif
