/* Proves that names which hang hold up no other, and that a name asked for twice is asked once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <netdb.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "dial/resolver.h"

#define HANGING 20

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static unsigned hanging, asked;
static bool released;

/* In place of libc's: "hang…" answers when it is released, everything else at once. */
int getaddrinfo(const char *node, const char *service, const struct addrinfo *hints, struct addrinfo **list)
{
	struct addrinfo *ai;

	(void)service;
	(void)hints;
	pthread_mutex_lock(&lock);
	asked++;
	if (strncmp(node, "hang", 4) == 0) {
		hanging++;
		while (!released)
			pthread_cond_wait(&changed, &lock);
		hanging--;
	}
	pthread_mutex_unlock(&lock);
	ai = mem_calloc(1, sizeof(*ai) + sizeof(struct sockaddr_in));
	ai->ai_family = AF_INET;
	ai->ai_addrlen = sizeof(struct sockaddr_in);
	ai->ai_addr = (struct sockaddr *)(ai + 1);
	ai->ai_addr->sa_family = AF_INET;
	*list = ai;
	return 0;
}

void freeaddrinfo(struct addrinfo *ai)
{
	free(ai);
}

static bool no_threads;
static unsigned threads_made;

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*start)(void *), void *arg)
{
	if (no_threads)
		return EAGAIN;
	threads_made++;
	return __real_pthread_create(thread, attr, start, arg);
}

struct asking {
	struct loop *loop;
	unsigned awaited;
};

static void on_answer(void *arg, const struct resolver_answer *answer)
{
	struct asking *asking = arg;

	assert_int_equal(answer->gai_error, 0);
	assert_int_equal(answer->count, 1);
	if (--asking->awaited == 0)
		loop_stop(asking->loop);
}

static bool is_hanging(void)
{
	bool is;

	pthread_mutex_lock(&lock);
	is = hanging > 0;
	pthread_mutex_unlock(&lock);
	return is;
}

static void release(void)
{
	pthread_mutex_lock(&lock);
	released = true;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
}

static void test_hanging_names_hold_up_no_other(void **state)
{
	struct error err;
	struct loop *loop = loop_new(0, &err);
	struct asking slow = {loop, HANGING}, fast = {loop, 2};
	struct resolver *resolver = resolver_new();
	char name[32];
	unsigned i;

	assert_non_null(loop);
	released = false;
	for (i = 0; i < HANGING; i++) {
		snprintf(name, sizeof(name), "hang%u.test", i);
		resolver_ask(resolver, loop, name, on_answer, &slow);
	}
	resolver_ask(resolver, loop, "one.test", on_answer, &fast);
	resolver_ask(resolver, loop, "two.test", on_answer, &fast);
	loop_run(loop); /* ends with the fast ones */
	assert_int_equal(fast.awaited, 0);
	assert_int_equal(slow.awaited, HANGING);
	release();
	loop_run(loop);
	assert_int_equal(slow.awaited, 0);
	resolver_close(resolver);
	loop_free(loop);
	resolver_free(resolver);
}

/* A thread that is idle, or has been woken and has not come yet, is one thread for one question. */
static void test_two_questions_at_once_for_one_idle_thread(void **state)
{
	struct error err;
	struct loop *loop = loop_new(0, &err);
	struct asking first = {loop, 1}, slow = {loop, 1}, fast = {loop, 1};
	struct resolver *resolver = resolver_new();

	assert_non_null(loop);
	resolver_ask(resolver, loop, "first.test", on_answer, &first);
	loop_run(loop);
	released = false;
	resolver_ask(resolver, loop, "hang.test", on_answer, &slow);
	resolver_ask(resolver, loop, "fast.test", on_answer, &fast);
	loop_run(loop);
	assert_int_equal(fast.awaited, 0);
	assert_int_equal(slow.awaited, 1);
	release();
	loop_run(loop);
	resolver_close(resolver);
	loop_free(loop);
	resolver_free(resolver);
}

static void test_the_same_name_is_asked_once(void **state)
{
	struct error err;
	struct loop *loop = loop_new(0, &err);
	struct asking all = {loop, 5};
	struct resolver *resolver = resolver_new();
	unsigned i;

	assert_non_null(loop);
	asked = threads_made = 0;
	for (i = 0; i < 5; i++)
		resolver_ask(resolver, loop, "same.test", on_answer, &all);
	loop_run(loop);
	assert_int_equal(asked, 1);
	assert_int_equal(threads_made, 1);
	resolver_close(resolver);
	loop_free(loop);
	resolver_free(resolver);
}

/* A name that no thread could be started for is not lost: the next who asks starts one. */
static void test_a_thread_is_tried_for_again(void **state)
{
	struct error err;
	struct loop *loop = loop_new(0, &err);
	struct asking both = {loop, 2};
	struct resolver *resolver = resolver_new();

	assert_non_null(loop);
	no_threads = true;
	resolver_ask(resolver, loop, "one.test", on_answer, &both);
	no_threads = false;
	resolver_ask(resolver, loop, "one.test", on_answer, &both);
	loop_run(loop);
	assert_int_equal(both.awaited, 0);
	resolver_close(resolver);
	loop_free(loop);
	resolver_free(resolver);
}

/* The end of the process: a name server that answers only then must find no loop. */
static void test_nothing_is_posted_once_closed(void **state)
{
	struct error err;
	struct loop *loop = loop_new(0, &err);
	struct asking late = {loop, 1};
	struct resolver *resolver = resolver_new();

	assert_non_null(loop);
	released = false;
	resolver_ask(resolver, loop, "hang.test", on_answer, &late);
	while (!is_hanging())
		continue;
	resolver_close(resolver);
	release();
	resolver_free(resolver); /* once its thread has gone */
	loop_free(loop);         /* runs what was posted */
	assert_int_equal(late.awaited, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_hanging_names_hold_up_no_other),
	    cmocka_unit_test(test_two_questions_at_once_for_one_idle_thread),
	    cmocka_unit_test(test_the_same_name_is_asked_once),
	    cmocka_unit_test(test_a_thread_is_tried_for_again),
	    cmocka_unit_test(test_nothing_is_posted_once_closed),
	};

	/* A question that is held up would be waited for for ever. */
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
