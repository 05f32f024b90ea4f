/*
 * identity_choice: under which client certificate a relay's next dial goes.
 *
 * The configured one; but when, after a reload that changed it, the target refuses it before it was ever
 * accepted (the new leaf is not active there yet), dials go back to the last one that was accepted, while
 * that is valid, and one dial at a time tries the new one again.  Trust, pins and policy are always those of
 * the configuration in force.
 *
 * Each route has a choice of its own.  What is known of its certificate, the standing, is shared with the
 * routes before and after it, for as long as the relay keeps its name, its target and its leaf.  Any thread;
 * no lock is taken but by a dial or an outcome while there is something to decide.
 */
#ifndef MIDRELAY_DIAL_IDENTITY_CHOICE_H
#define MIDRELAY_DIAL_IDENTITY_CHOICE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tls/identity.h"

/* When a refused certificate is tried again: after its first refusal, and after those that follow. */
#define IDENTITY_FIRST_TRY_MS INT64_C(60000)
#define IDENTITY_NEXT_TRY_MS INT64_C(300000)

struct identity_standing; /* opaque, counted */

/* Zero-initialise. */
struct identity_choice {
	struct identity *identity; /* borrowed: the configured one, which outlives the choice */
	/*
	 * The certificate that was accepted last, under the policy in force; NULL: none, or it is of no use
	 * any more.
	 */
	_Atomic(struct identity *) old;
	struct identity_standing *standing;
};

/*
 * Begins with the configured identity.  `before` (may be NULL): the choice that it follows on.  The result is
 * the identity whose certificate `old` is to be made of, counted, or NULL.
 */
struct identity *identity_choice_init(struct identity_choice *choice, struct identity *identity,
    const struct identity_choice *before);
/* Takes `old` (NULL is fine); before the choice is shared. */
void identity_choice_set_old(struct identity_choice *choice, struct identity *old);
void identity_choice_clear(struct identity_choice *choice);

/* What a dial goes under. */
struct identity_use {
	struct identity *identity; /* counted; NULL: nothing */
	bool is_old;
	bool is_trial; /* the one dial that tries the new one again; it resumes no session */
};

struct identity_use identity_choice_pick(struct identity_choice *choice, int64_t now_ms);
void identity_use_clear(struct identity_use *use);

/* What an outcome has changed. */
enum identity_news {
	IDENTITY_NO_NEWS,
	IDENTITY_ACCEPTED,    /* the new one, for good; the old one is dropped */
	IDENTITY_WENT_BACK,   /* to the old one, which there is */
	IDENTITY_OLD_REFUSED, /* as well: it is dropped, and dials go under the new one */
};

/*
 * The outcome of a use, once: the first answer was no refusal, or it was one.  A use without an answer has no
 * outcome.
 */
enum identity_news identity_choice_accepted(struct identity_choice *choice, const struct identity_use *use);
enum identity_news identity_choice_refused(struct identity_choice *choice, const struct identity_use *use,
    int64_t now_ms);

/*
 * Whether a dial that began now would go under that same one, and be no trial: what was dialled ahead of need may
 * be used.  With `use` NULL: whether it would be no trial.
 */
bool identity_choice_is_current(struct identity_choice *choice, const struct identity_use *use, int64_t now_ms);

/* The next dial tries the new one, whenever the last one did. */
void identity_choice_try_now(struct identity_choice *choice);

/* The old one, counted, while dials go under it; else NULL. */
struct identity *identity_choice_get_old(struct identity_choice *choice);


#endif
