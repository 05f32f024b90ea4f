/*
 * resolver: see resolver.h.
 *
 * Answers for threads, sharing and the memory of good answers.  What getaddrinfo does (hosts file, nsswitch,
 * DNS, search lists) is the system's business on purpose.
 */
#include "dial/resolver.h"

#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"

struct resolver_query {
	struct loop_job job; /* first: run() gets it */
	struct loop *loop;
	resolver_done_fn *done; /* NULL: cancelled; only the asking loop looks */
	void *arg;
	struct resolver_answer answer;
	struct resolver_query *next;
};

/* All that is known of one name.  Entries stay: names come from the configuration only. */
struct entry {
	struct entry *next;
	struct entry *next_queued;
	char *host;
	bool busy; /* queued, or a thread is asking */
	int64_t answered_ms;
	struct resolver_answer answer; /* the last one */
	struct resolver_answer good;   /* the last good one; count 0: none yet */
	struct resolver_query *waiting;
};

struct resolver {
	pthread_mutex_t lock;
	pthread_cond_t wake;   /* for threads: something is queued, or the end has come */
	pthread_cond_t ended;  /* for resolver_free: a thread has gone */
	struct entry *entries;
	struct entry *queue_first, **queue_last;
	unsigned threads, idle, queued;
	unsigned starting; /* of the threads, those that have not come yet */
	pthread_t last_gone; /* the thread that ended last, for the next one to join */
	bool has_gone;
	bool closed;
};

static void deliver(struct loop_job *job)
{
	struct resolver_query *query = (struct resolver_query *)job;

	if (query->done != NULL)
		query->done(query->arg, &query->answer);
	free(query);
}

static void look_up(const char *host, struct resolver_answer *answer)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_ADDRCONFIG};
	struct addrinfo *list = NULL, *ai;

	memset(answer, 0, sizeof(*answer));
	answer->gai_error = getaddrinfo(host, NULL, &hints, &list);
	/* AI_ADDRCONFIG hides ::1 and 127.0.0.1 on a host that has nothing but its loopback interface. */
	if (answer->gai_error == EAI_NONAME || answer->gai_error == EAI_ADDRFAMILY) {
		hints.ai_flags = 0;
		answer->gai_error = getaddrinfo(host, NULL, &hints, &list);
	}
	if (answer->gai_error != 0)
		return;
	for (ai = list; ai != NULL && answer->count < RESOLVER_MAX_ADDRS; ai = ai->ai_next) {
		struct addr *addr = &answer->addrs[answer->count];

		if (ai->ai_addrlen > sizeof(addr->u) || (ai->ai_family != AF_INET &&
		    ai->ai_family != AF_INET6))
			continue;
		memcpy(&addr->u, ai->ai_addr, ai->ai_addrlen);
		addr->len = ai->ai_addrlen;
		answer->count++;
	}
	freeaddrinfo(list);
	if (answer->count == 0)
		answer->gai_error = EAI_NONAME;
}

static bool is_passing_failure(int gai_error)
{
	return gai_error == EAI_AGAIN || gai_error == EAI_SYSTEM || gai_error == EAI_MEMORY ||
	    gai_error == EAI_FAIL;
}

/* Called with the lock held. */
static void entry_answered(struct entry *entry, const struct resolver_answer *answer)
{
	struct resolver_query *query;

	entry->busy = false;
	entry->answer = *answer;
	entry->answered_ms = loop_now_ms();
	if (answer->gai_error == 0) {
		entry->good = *answer;
	} else if (is_passing_failure(answer->gai_error) && entry->good.count > 0) {
		entry->answer = entry->good;
		entry->answer.stale = true;
	}
	while ((query = entry->waiting) != NULL) {
		entry->waiting = query->next;
		query->answer = entry->answer;
		loop_post(query->loop, &query->job);
	}
}

static void resolver_destroy(struct resolver *resolver)
{
	struct entry *entry;

	while ((entry = resolver->entries) != NULL) {
		resolver->entries = entry->next;
		free(entry->host);
		free(entry);
	}
	pthread_mutex_destroy(&resolver->lock);
	pthread_cond_destroy(&resolver->wake);
	pthread_cond_destroy(&resolver->ended);
	free(resolver);
}

/* Called with the lock held.  False: nothing to do for long. */
static bool wait_for_question(struct resolver *resolver)
{
	struct timespec until;
	int error;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += RESOLVER_IDLE_S;
	resolver->idle++;
	error = pthread_cond_timedwait(&resolver->wake, &resolver->lock, &until);
	resolver->idle--;
	return error != ETIMEDOUT || resolver->queue_first != NULL;
}

/*
 * Takes the thread that ended last, if it has not been joined; with the lock held.  A thread is joined, if by the next one
 * that ends, so that nothing of it is left when the process ends in order; one that asks for ever is not waited for.
 */
static bool take_gone(struct resolver *resolver, pthread_t *thread)
{
	bool has_gone = resolver->has_gone;

	*thread = resolver->last_gone;
	resolver->has_gone = false;
	return has_gone;
}

static void *thread_main(void *arg)
{
	struct resolver *resolver = arg;
	struct resolver_answer answer;
	struct entry *entry;
	pthread_t before;
	bool has_before;

	pthread_mutex_lock(&resolver->lock);
	resolver->starting--;
	while (!resolver->closed) {
		entry = resolver->queue_first;
		if (entry == NULL) {
			if (!wait_for_question(resolver))
				break;
			continue;
		}
		resolver->queued--;
		resolver->queue_first = entry->next_queued;
		if (resolver->queue_first == NULL)
			resolver->queue_last = &resolver->queue_first;
		pthread_mutex_unlock(&resolver->lock);
		look_up(entry->host, &answer);
		pthread_mutex_lock(&resolver->lock);
		if (!resolver->closed)
			entry_answered(entry, &answer);
	}
	has_before = take_gone(resolver, &before);
	resolver->last_gone = pthread_self();
	resolver->has_gone = true;
	resolver->threads--;
	pthread_cond_signal(&resolver->ended);
	pthread_mutex_unlock(&resolver->lock);
	if (has_before)
		pthread_join(before, NULL);
	return NULL;
}

struct resolver *resolver_new(void)
{
	struct resolver *resolver = mem_calloc(1, sizeof(*resolver));

	pthread_mutex_init(&resolver->lock, NULL);
	pthread_cond_init(&resolver->wake, NULL);
	pthread_cond_init(&resolver->ended, NULL);
	resolver->queue_last = &resolver->queue_first;
	return resolver;
}

void resolver_close(struct resolver *resolver)
{
	if (resolver == NULL)
		return;
	pthread_mutex_lock(&resolver->lock);
	resolver->closed = true;
	pthread_cond_broadcast(&resolver->wake);
	pthread_mutex_unlock(&resolver->lock);
}

void resolver_free(struct resolver *resolver)
{
	struct timespec until;
	struct entry *entry;
	struct resolver_query *query;
	bool all_gone, has_gone;
	pthread_t gone;

	if (resolver == NULL)
		return;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 200 * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000L;
	}
	pthread_mutex_lock(&resolver->lock);
	midrelay_assert(resolver->closed);
	for (entry = resolver->entries; entry != NULL; entry = entry->next) {
		while ((query = entry->waiting) != NULL) {
			entry->waiting = query->next;
			free(query);
		}
	}
	while (resolver->threads > 0 &&
	    pthread_cond_timedwait(&resolver->ended, &resolver->lock, &until) != ETIMEDOUT)
		continue;
	all_gone = resolver->threads == 0;
	has_gone = take_gone(resolver, &gone);
	pthread_mutex_unlock(&resolver->lock);
	if (has_gone)
		pthread_join(gone, NULL);
	if (all_gone)
		resolver_destroy(resolver);
}

/*
 * Called with the lock held.  A thread more when there are more questions than idle threads (those that were
 * woken and have not come yet are among the idle); without any, the question waits for its deadline.
 */
static void thread_start(struct resolver *resolver)
{
	pthread_t thread;

	if (resolver->idle + resolver->starting >= resolver->queued || resolver->threads >= RESOLVER_THREADS)
		return;
	if (pthread_create(&thread, NULL, thread_main, resolver) == 0) {
		resolver->threads++;
		resolver->starting++;
	}
}

static struct entry *entry_find(struct resolver *resolver, const char *host)
{
	struct entry *entry;

	for (entry = resolver->entries; entry != NULL; entry = entry->next) {
		if (strcmp(entry->host, host) == 0)
			return entry;
	}
	return NULL;
}

static struct entry *entry_get(struct resolver *resolver, const char *host)
{
	struct entry *entry = entry_find(resolver, host);

	if (entry == NULL) {
		entry = mem_calloc(1, sizeof(*entry));
		entry->host = mem_strdup(host);
		entry->next = resolver->entries;
		resolver->entries = entry;
	}
	return entry;
}

struct resolver_query *resolver_ask(struct resolver *resolver, struct loop *loop, const char *host,
    resolver_done_fn *done, void *arg)
{
	struct resolver_query *query = mem_calloc(1, sizeof(*query));
	struct entry *entry;

	query->job.run = deliver;
	query->loop = loop;
	query->done = done;
	query->arg = arg;
	pthread_mutex_lock(&resolver->lock);
	entry = entry_get(resolver, host);
	if (!entry->busy && entry->answer.count > 0 && !entry->answer.stale &&
	    loop_now_ms() - entry->answered_ms < RESOLVER_FRESH_MS) {
		query->answer = entry->answer;
		loop_defer(loop, &query->job);
	} else {
		query->next = entry->waiting;
		entry->waiting = query;
		if (!entry->busy) {
			entry->busy = true;
			entry->next_queued = NULL;
			*resolver->queue_last = entry;
			resolver->queue_last = &entry->next_queued;
			resolver->queued++;
			pthread_cond_signal(&resolver->wake);
		}
		/* Of one that is queued, too: no thread may have been to be had when it came. */
		thread_start(resolver);
	}
	pthread_mutex_unlock(&resolver->lock);
	return query;
}

void resolver_query_cancel(struct resolver_query *query)
{
	if (query != NULL)
		query->done = NULL;
}

bool resolver_last_good(struct resolver *resolver, const char *host, struct resolver_answer *answer)
{
	struct entry *entry;
	bool found;

	pthread_mutex_lock(&resolver->lock);
	entry = entry_find(resolver, host);
	found = entry != NULL && entry->good.count > 0;
	if (found) {
		*answer = entry->good;
		answer->stale = true;
	}
	pthread_mutex_unlock(&resolver->lock);
	return found;
}
