/* Proves that a wire keeps every byte and its order, borrows a buffer only for an unsent rest, and gives it back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/wire.h"

struct pair {
	struct wire_pool pool;
	struct wire wire;
	int reader;
	unsigned char next_out, next_in; /* the pattern written, and the one expected */
};

static int set_up(void **state)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	int fds[2], small = 4096;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
	setsockopt(fds[0], SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	wire_pool_init(&pair->pool);
	wire_init(&pair->wire, fds[0], &pair->pool);
	pair->reader = fds[1];
	*state = pair;
	return 0;
}

static int tear_down(void **state)
{
	struct pair *pair = *state;

	wire_clear(&pair->wire);
	close(pair->wire.fd);
	if (pair->reader >= 0)
		close(pair->reader);
	wire_pool_clear(&pair->pool);
	free(pair);
	return 0;
}

static void fill(struct pair *pair, unsigned char *bytes, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		bytes[i] = pair->next_out++;
}

/* Reads what is there and checks it against the pattern; returns the count. */
static size_t take(struct pair *pair)
{
	unsigned char bytes[8192];
	size_t total = 0, i;
	ssize_t n;

	while ((n = read(pair->reader, bytes, sizeof(bytes))) > 0) {
		for (i = 0; i < (size_t)n; i++)
			assert_int_equal(bytes[i], pair->next_in++);
		total += (size_t)n;
	}
	return total;
}

static void test_what_fits_is_not_kept(void **state)
{
	struct pair *pair = *state;
	unsigned char bytes[100];

	fill(pair, bytes, sizeof(bytes));
	assert_int_equal(wire_send(&pair->wire, bytes, sizeof(bytes)), WIRE_SENT);
	assert_false(wire_pending(&pair->wire));
	assert_int_equal(pair->pool.borrowed, 0);
	assert_int_equal(take(pair), sizeof(bytes));
}

static void test_a_rest_waits_in_order(void **state)
{
	struct pair *pair = *state;
	unsigned char *bytes = malloc(WIRE_BUF_BYTES);
	unsigned char more[1000];
	size_t total = 0;
	enum wire_status status;

	fill(pair, bytes, WIRE_BUF_BYTES - sizeof(more));
	assert_int_equal(wire_send(&pair->wire, bytes, WIRE_BUF_BYTES - sizeof(more)), WIRE_BLOCKED);
	assert_true(wire_pending(&pair->wire));
	assert_int_equal(pair->pool.borrowed, 1);
	fill(pair, more, sizeof(more));
	assert_true(wire_append(&pair->wire, more, sizeof(more)));
	do {
		total += take(pair);
		status = wire_flush(&pair->wire);
	} while (status == WIRE_BLOCKED);
	assert_int_equal(status, WIRE_SENT);
	total += take(pair);
	assert_int_equal(total, WIRE_BUF_BYTES);
	assert_false(wire_pending(&pair->wire));
	assert_int_equal(pair->pool.borrowed, 0);
	free(bytes);
}

static void test_appending_is_bounded(void **state)
{
	struct pair *pair = *state;
	unsigned char *bytes = malloc(WIRE_BUF_BYTES);
	unsigned appended = 0;

	fill(pair, bytes, WIRE_BUF_BYTES);
	assert_int_equal(wire_send(&pair->wire, bytes, WIRE_BUF_BYTES), WIRE_BLOCKED);
	while (wire_append(&pair->wire, bytes, 1000))
		assert_true(++appended <= WIRE_BUF_BYTES / 1000);
	free(bytes);
}

static void test_a_gone_reader_is_told(void **state)
{
	struct pair *pair = *state;

	close(pair->reader);
	pair->reader = -1;
	assert_int_equal(wire_send(&pair->wire, "x", 1), WIRE_BROKEN);
	assert_int_equal(errno, EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_what_fits_is_not_kept, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_rest_waits_in_order, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_appending_is_bounded, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_a_gone_reader_is_told, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
