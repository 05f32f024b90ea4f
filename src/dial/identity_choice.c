/*
 * identity_choice: see identity_choice.h.
 *
 * Answers for the state of a renewed certificate between its reload and its first acceptance.  The old
 * identity is built anew by relay_route; the news is told by relay/.
 */
#include "dial/identity_choice.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/mem.h"

struct identity_standing {
	atomic_uint holders;
	pthread_mutex_t lock;   /* of what follows, and of every choice's `old` */
	atomic_bool accepted;   /* an answer has accepted the configured certificate */
	atomic_bool went_back;  /* it was refused, and dials go under the old one where there is one */
	int64_t next_try_ms;    /* when it is tried again */
};

static struct identity_standing *standing_new(bool accepted)
{
	struct identity_standing *standing = mem_calloc(1, sizeof(*standing));

	atomic_init(&standing->holders, 1);
	atomic_init(&standing->accepted, accepted);
	pthread_mutex_init(&standing->lock, NULL);
	return standing;
}

static struct identity_standing *standing_ref(struct identity_standing *standing)
{
	atomic_fetch_add_explicit(&standing->holders, 1, memory_order_relaxed);
	return standing;
}

static void standing_unref(struct identity_standing *standing)
{
	if (standing == NULL || atomic_fetch_sub_explicit(&standing->holders, 1, memory_order_acq_rel) != 1)
		return;
	pthread_mutex_destroy(&standing->lock);
	free(standing);
}

static bool is_valid(const struct identity *identity)
{
	return identity != NULL && identity_validity(identity, NULL, 0) == IDENTITY_VALID;
}

/* The last certificate that was accepted, as the choice before knows it; borrowed, under its lock. */
static struct identity *last_accepted(const struct identity_choice *before)
{
	return atomic_load(&before->standing->accepted) ? before->identity : atomic_load(&before->old);
}

struct identity *identity_choice_init(struct identity_choice *choice, struct identity *identity,
    const struct identity_choice *before)
{
	struct identity *last, *old = NULL;

	choice->identity = identity;
	if (before == NULL || !identity_has_cert(identity) || !identity_has_cert(before->identity)) {
		choice->standing = standing_new(false);
		return NULL;
	}
	pthread_mutex_lock(&before->standing->lock);
	last = last_accepted(before);
	if (identity_same_leaf(identity, before->identity))
		choice->standing = standing_ref(before->standing);
	else
		choice->standing = standing_new(last != NULL && identity_same_leaf(identity, last));
	if (last != NULL && !identity_same_leaf(identity, last))
		old = identity_ref(last);
	pthread_mutex_unlock(&before->standing->lock);
	return old;
}

void identity_choice_set_old(struct identity_choice *choice, struct identity *old)
{
	atomic_store(&choice->old, old);
}

void identity_choice_clear(struct identity_choice *choice)
{
	identity_unref(atomic_exchange(&choice->old, NULL));
	standing_unref(choice->standing);
	choice->standing = NULL;
}

struct identity_use identity_choice_pick(struct identity_choice *choice, int64_t now_ms)
{
	struct identity_standing *standing = choice->standing;
	struct identity_use use = {.identity = choice->identity};
	struct identity *old;

	if (!atomic_load(&standing->went_back)) {
		identity_ref(use.identity);
		return use;
	}
	pthread_mutex_lock(&standing->lock);
	old = atomic_load(&choice->old);
	if (atomic_load(&standing->went_back) && is_valid(old)) {
		if (now_ms >= standing->next_try_ms && is_valid(use.identity)) {
			/*
			 * Until its answer comes, and also if none does, since that may be the new one's
			 * fault, too.
			 */
			standing->next_try_ms = now_ms + IDENTITY_FIRST_TRY_MS;
			use.is_trial = true;
		} else {
			use.identity = old;
			use.is_old = true;
		}
	}
	identity_ref(use.identity);
	pthread_mutex_unlock(&standing->lock);
	return use;
}

void identity_use_clear(struct identity_use *use)
{
	identity_unref(use->identity);
	*use = (struct identity_use){0};
}

enum identity_news identity_choice_accepted(struct identity_choice *choice, const struct identity_use *use)
{
	struct identity_standing *standing = choice->standing;
	struct identity *old;
	bool is_news;

	if (use->is_old || (atomic_load(&standing->accepted) && atomic_load(&choice->old) == NULL))
		return IDENTITY_NO_NEWS;
	pthread_mutex_lock(&standing->lock);
	is_news = !atomic_load(&standing->accepted);
	atomic_store(&standing->accepted, true);
	atomic_store(&standing->went_back, false);
	old = atomic_exchange(&choice->old, NULL);
	pthread_mutex_unlock(&standing->lock);
	is_news = is_news && old != NULL;
	identity_unref(old);
	return is_news ? IDENTITY_ACCEPTED : IDENTITY_NO_NEWS;
}

enum identity_news identity_choice_refused(struct identity_choice *choice, const struct identity_use *use,
    int64_t now_ms)
{
	struct identity_standing *standing = choice->standing;
	enum identity_news news = IDENTITY_NO_NEWS;
	struct identity *dropped = NULL;

	if (atomic_load(&standing->accepted))
		return IDENTITY_NO_NEWS;
	pthread_mutex_lock(&standing->lock);
	if (atomic_load(&standing->accepted) || !is_valid(atomic_load(&choice->old))) {
		news = IDENTITY_NO_NEWS;
	} else if (use->is_old) {
		dropped = atomic_exchange(&choice->old, NULL);
		atomic_store(&standing->went_back, false);
		news = IDENTITY_OLD_REFUSED;
	} else if (!atomic_load(&standing->went_back)) {
		atomic_store(&standing->went_back, true);
		standing->next_try_ms = now_ms + IDENTITY_FIRST_TRY_MS;
		news = IDENTITY_WENT_BACK;
	} else if (use->is_trial) {
		standing->next_try_ms = now_ms + IDENTITY_NEXT_TRY_MS;
	}
	pthread_mutex_unlock(&standing->lock);
	identity_unref(dropped);
	return news;
}

bool identity_choice_is_current(struct identity_choice *choice, const struct identity_use *use, int64_t now_ms)
{
	struct identity_standing *standing = choice->standing;
	struct identity *picked = choice->identity;
	bool trial = false;

	if (atomic_load(&standing->went_back)) {
		pthread_mutex_lock(&standing->lock);
		if (atomic_load(&standing->went_back) && is_valid(atomic_load(&choice->old))) {
			trial = now_ms >= standing->next_try_ms && is_valid(choice->identity);
			picked = atomic_load(&choice->old);
		}
		pthread_mutex_unlock(&standing->lock);
	}
	return !trial && (use == NULL || (use->identity == picked && !use->is_trial));
}

void identity_choice_try_now(struct identity_choice *choice)
{
	pthread_mutex_lock(&choice->standing->lock);
	choice->standing->next_try_ms = INT64_MIN;
	pthread_mutex_unlock(&choice->standing->lock);
}

struct identity *identity_choice_get_old(struct identity_choice *choice)
{
	struct identity *old = NULL;

	pthread_mutex_lock(&choice->standing->lock);
	if (atomic_load(&choice->standing->went_back) && atomic_load(&choice->old) != NULL)
		old = identity_ref(atomic_load(&choice->old));
	pthread_mutex_unlock(&choice->standing->lock);
	return old;
}
