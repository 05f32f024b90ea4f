/*
 * log_limit: see log_limit.h.
 *
 * Answers for what is left out and when that is told.  Lines are written under the lock: the order of a
 * group's lines is that of its events.
 */
#include "base/log_limit.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <time.h>

#include "base/mem.h"

struct group {
	LIST_ENTRY(group) entry;
	char *name;
	int64_t began_ms;      /* of its minute */
	uint64_t said;         /* the variants that had their line in it */
	uint64_t left_out;     /* since the last line */
	unsigned last_variant; /* of the last line left out */
	struct log_line *last; /* NULL: none is left out */
};

static LIST_HEAD(, group) groups = LIST_HEAD_INITIALIZER(groups);
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static void (*wake_sweeper)(void *arg);
static void *wake_arg;
static atomic_bool sweep_due; /* a sweep will come */

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct group *group_find(const char *name, int64_t at_ms)
{
	struct group *group;

	LIST_FOREACH(group, &groups, entry) {
		if (strcmp(group->name, name) == 0)
			return group;
	}
	group = mem_calloc(1, sizeof(*group));
	group->name = mem_strdup(name);
	group->began_ms = at_ms;
	LIST_INSERT_HEAD(&groups, group, entry);
	return group;
}

static void group_free(struct group *group)
{
	LIST_REMOVE(group, entry);
	free(group->last);
	free(group->name);
	free(group);
}

static void group_say(struct group *group, struct log_line *line, unsigned variant)
{
	log_write(line, group->left_out);
	group->said |= UINT64_C(1) << variant;
	group->left_out = 0;
	free(group->last);
	group->last = NULL;
}

static void group_leave_out(struct group *group, const struct log_line *line, unsigned variant)
{
	free(group->last);
	group->last = mem_dup(line, sizeof(*line));
	group->last_variant = variant;
	group->left_out++;
}

/* The last line left out stands for itself and those before it. */
static void group_tell(struct group *group)
{
	struct log_line *last = group->last;

	if (last == NULL)
		return;
	group->last = NULL;
	group->left_out--;
	log_stamp(last);
	group_say(group, last, group->last_variant);
	free(last);
}

void log_limit_end_at(struct log_line *line, const char *name, unsigned variant, int64_t at_ms)
{
	struct group *group;

	midrelay_assert(variant < LOG_LIMIT_VARIANTS);
	if (log_wants(LOG_DEBUG)) {
		log_end(line);
		return;
	}
	pthread_mutex_lock(&lock);
	group = group_find(name, at_ms);
	if (at_ms - group->began_ms >= LOG_LIMIT_MS) {
		group->began_ms = at_ms;
		group->said = 0;
	}
	if ((group->said & UINT64_C(1) << variant) == 0)
		group_say(group, line, variant);
	else
		group_leave_out(group, line, variant);
	pthread_mutex_unlock(&lock);
	/* Also without a line left out: the group is to be forgotten. */
	log_limit_want_sweep();
}

void log_limit_end(struct log_line *line, const char *name, unsigned variant)
{
	log_limit_end_at(line, name, variant, now_ms());
}

void log_limit_sweep_at(int64_t at_ms)
{
	struct group *group, *next;

	pthread_mutex_lock(&lock);
	for (group = LIST_FIRST(&groups); group != NULL; group = next) {
		next = LIST_NEXT(group, entry);
		if (at_ms - group->began_ms < LOG_LIMIT_MS)
			continue;
		if (group->last == NULL) {
			group_free(group);
			continue;
		}
		group->began_ms = at_ms;
		group->said = 0;
		group_tell(group);
	}
	pthread_mutex_unlock(&lock);
}

static bool any_group(void)
{
	bool any;

	pthread_mutex_lock(&lock);
	any = !LIST_EMPTY(&groups);
	pthread_mutex_unlock(&lock);
	return any;
}

bool log_limit_sweep(void)
{
	bool more;

	/* Before the look: what comes behind it wakes anew. */
	atomic_store(&sweep_due, false);
	log_limit_sweep_at(now_ms());
	more = !log_tell_lost(false);
	more = any_group() || more;
	if (more)
		atomic_store(&sweep_due, true);
	return more;
}

void log_limit_set_wake(void (*wake)(void *arg), void *arg)
{
	wake_sweeper = wake;
	wake_arg = arg;
	atomic_store(&sweep_due, false);
}

void log_limit_want_sweep(void)
{
	if (wake_sweeper != NULL && !atomic_exchange(&sweep_due, true))
		wake_sweeper(wake_arg);
}

void log_limit_flush(void)
{
	struct group *group;

	pthread_mutex_lock(&lock);
	LIST_FOREACH(group, &groups, entry)
		group_tell(group);
	pthread_mutex_unlock(&lock);
	(void)log_tell_lost(true);
}
