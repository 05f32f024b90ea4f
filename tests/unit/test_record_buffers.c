/*
 * Proves that OpenSSL's blocks are lent on without malloc(), that sizes which nobody asks for again do not crowd the
 * others out, and that nothing is kept for a thread that has ended.
 *
 * Linked with --wrap, so that every call of malloc() and free() from record_buffers.c is counted.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <malloc.h>
#include <openssl/crypto.h>
#include <pthread.h>
#include <string.h>

#include "tls/record_buffers.h"

#define ROUND 400 /* blocks, as a handshake has them at a time */

void *__real_malloc(size_t bytes);
void __real_free(void *bytes);
void *__wrap_malloc(size_t bytes);
void __wrap_free(void *bytes);

static unsigned made, freed;

void *__wrap_malloc(size_t bytes)
{
	made++;
	return __real_malloc(bytes);
}

void __wrap_free(void *bytes)
{
	freed += bytes != NULL;
	__real_free(bytes);
}

/* As many blocks at once, written to their ends, and all given back. */
static void go_round(size_t bytes, size_t count)
{
	static unsigned char *blocks[8 * ROUND];
	size_t i;

	for (i = 0; i < count; i++) {
		blocks[i] = OPENSSL_malloc(bytes);
		assert_non_null(blocks[i]);
		memset(blocks[i], 0xa5, bytes);
	}
	for (i = 0; i < count; i++)
		OPENSSL_free(blocks[i]);
}

static void test_record_buffer_is_lent_on(void **state)
{
	static const size_t sizes[] = {16500, 21000, 66000};
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		go_round(sizes[i], 1);
		made = 0;
		go_round(sizes[i], 1);
		assert_int_equal(made, 0);
	}
}

/* Under a checker of memory (ASan, valgrind) a block has the size that was asked for, and none is kept. */
static void skip_if_small_ones_are_not_kept(void)
{
	void *block = __real_malloc(100);
	size_t size = malloc_usable_size(block);

	__real_free(block);
	if (size == 100)
		skip();
	go_round(100, 1);
	made = 0;
	go_round(100, 1);
	assert_int_equal(made, 0);
}

static void test_small_blocks_are_lent_on(void **state)
{
	size_t bytes;

	skip_if_small_ones_are_not_kept();
	for (bytes = 1; bytes <= 1024; bytes += 7) {
		go_round(bytes, 12);
		made = 0;
		go_round(bytes, 12);
		assert_in_range(made, 0, 3); /* one or the other had to give way */
	}
}

static void test_useless_sizes_give_way(void **state)
{
	unsigned i;

	skip_if_small_ones_are_not_kept();
	go_round(230, 8 * ROUND);
	for (i = 0; i < 3; i++) {
		go_round(20, ROUND);
		go_round(40, ROUND);
	}
	made = 0;
	go_round(20, ROUND);
	go_round(40, ROUND);
	assert_in_range(made, 0, ROUND / 10);
}

static void test_store_is_bounded(void **state)
{
	skip_if_small_ones_are_not_kept();
	freed = 0;
	go_round(1000, 8 * ROUND);
	assert_true(freed >= 8 * ROUND - 200);
	freed = 0;
	go_round(66000, 12);
	assert_int_equal(freed, 8);
}

static void *short_life(void *arg)
{
	unsigned *lost = arg;
	void *late = OPENSSL_malloc(100);

	made = freed = 0;
	go_round(100, 3);
	go_round(66000, 3);
	record_buffers_clear();
	OPENSSL_free(late); /* as OpenSSL's own clean-up of a thread does */
	*lost = made + 1 - freed;
	return NULL;
}

static void test_nothing_is_kept_for_an_ended_thread(void **state)
{
	pthread_t thread;
	unsigned lost = 1;

	assert_int_equal(pthread_create(&thread, NULL, short_life, &lost), 0);
	assert_int_equal(pthread_join(thread, NULL), 0);
	assert_int_equal(lost, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_record_buffer_is_lent_on),
	    cmocka_unit_test(test_small_blocks_are_lent_on),
	    cmocka_unit_test(test_useless_sizes_give_way),
	    cmocka_unit_test(test_store_is_bounded),
	    cmocka_unit_test(test_nothing_is_kept_for_an_ended_thread),
	};

	record_buffers_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
