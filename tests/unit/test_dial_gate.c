/* Proves that the gate lets so many in and no more, the rest in order, however they leave. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "dial/dial_gate.h"

#define CLIENTS 20000

struct client {
	struct dial_gate_place place; /* first: on_turn() gets it */
	unsigned number;
};

static struct client clients[CLIENTS];
static struct dial_gate gate;
static unsigned turns, last_turn;

static void on_turn(struct dial_gate_place *place)
{
	unsigned number = ((struct client *)place)->number;

	assert_int_equal(place->state, DIAL_GATE_INSIDE);
	assert_true(number > last_turn);
	assert_true(gate.inside <= gate.width);
	last_turn = number;
	turns++;
}

static void on_turn_that_fails(struct dial_gate_place *place)
{
	on_turn(place);
	dial_gate_leave(&gate, place);
}

static int open_gate(void **state)
{
	unsigned i;

	dial_gate_init(&gate, 1);
	turns = last_turn = 0;
	for (i = 0; i < CLIENTS; i++)
		clients[i] = (struct client){.place.on_turn = on_turn, .number = i};
	return 0;
}

static void enter(unsigned count, unsigned inside)
{
	unsigned i;

	for (i = 0; i < count; i++)
		assert_int_equal(dial_gate_enter(&gate, &clients[i].place), i < inside);
}

static void test_so_many_and_no_more(void **state)
{
	enter(CLIENTS, DIAL_GATE_WIDTH);
	assert_int_equal(gate.inside, DIAL_GATE_WIDTH);
}

static void test_one_leaves_and_the_first_in_order_comes(void **state)
{
	unsigned i;

	enter(DIAL_GATE_WIDTH + 10, DIAL_GATE_WIDTH);
	for (i = 0; i < 10; i++) {
		dial_gate_leave(&gate, &clients[i].place);
		assert_int_equal(turns, i + 1);
		assert_int_equal(last_turn, DIAL_GATE_WIDTH + i);
	}
	dial_gate_leave(&gate, &clients[10].place);
	assert_int_equal(turns, 10);
	assert_int_equal(gate.inside, DIAL_GATE_WIDTH - 1);
}

static void test_who_comes_later_does_not_overtake(void **state)
{
	enter(DIAL_GATE_WIDTH + 1, DIAL_GATE_WIDTH);
	dial_gate_leave(&gate, &clients[0].place); /* the one who waited is in */
	assert_int_equal(turns, 1);
	assert_false(dial_gate_enter(&gate, &clients[DIAL_GATE_WIDTH + 1].place));
}

static void test_one_who_waits_may_leave(void **state)
{
	enter(DIAL_GATE_WIDTH + 3, DIAL_GATE_WIDTH);
	dial_gate_leave(&gate, &clients[DIAL_GATE_WIDTH].place);
	dial_gate_leave(&gate, &clients[DIAL_GATE_WIDTH].place); /* any number of times */
	assert_int_equal(turns, 0);
	dial_gate_leave(&gate, &clients[0].place);
	assert_int_equal(last_turn, DIAL_GATE_WIDTH + 1);
}

/* One after the other on the same stack: a path that fails at once must not need a frame for each client. */
static void test_all_fail_at_once(void **state)
{
	unsigned i;

	for (i = DIAL_GATE_WIDTH; i < CLIENTS; i++)
		clients[i].place.on_turn = on_turn_that_fails;
	enter(CLIENTS, DIAL_GATE_WIDTH);
	dial_gate_leave(&gate, &clients[0].place);
	assert_int_equal(turns, CLIENTS - DIAL_GATE_WIDTH);
	assert_int_equal(gate.inside, DIAL_GATE_WIDTH - 1);
}

static void test_loops_share_the_width(void **state)
{
	dial_gate_init(&gate, 4);
	assert_int_equal(gate.width, DIAL_GATE_WIDTH / 4);
	dial_gate_init(&gate, 256);
	assert_int_equal(gate.width, DIAL_GATE_WIDTH_MIN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup(test_so_many_and_no_more, open_gate),
	    cmocka_unit_test_setup(test_one_leaves_and_the_first_in_order_comes, open_gate),
	    cmocka_unit_test_setup(test_who_comes_later_does_not_overtake, open_gate),
	    cmocka_unit_test_setup(test_one_who_waits_may_leave, open_gate),
	    cmocka_unit_test_setup(test_all_fail_at_once, open_gate),
	    cmocka_unit_test_setup(test_loops_share_the_width, open_gate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
