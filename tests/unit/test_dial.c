/* Proves that a dial which was cancelled has done with its route, at whatever moment that was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "config_fixture.h"
#include "dial/dial.h"

struct room {
	struct loop *loop;
	struct resolver *resolver;
	struct relay_set *set;
	struct dial *dial;
	int listener, proxy, wake[2];
	struct event *woken;
};

static struct relay_set *make_set(int listener)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	struct config_report report;
	struct relay_set *set;
	char *ini;

	assert_int_equal(getsockname(listener, (struct sockaddr *)&at, &len), 0);
	ini = mem_printf("[relay r]\nlisten = 127.0.0.1:0\ntarget = target.test\nproxy = http://127.0.0.1:%u\n"
	    "proxy_pipeline = auto\n", ntohs(at.sin_port));
	config_report_init(&report, "test.ini");
	set = relay_set_new(fixture_load_good(ini), 1, NULL, &report);
	assert_non_null(set);
	config_report_clear(&report);
	free(ini);
	return set;
}

static void on_done(void *arg, struct dial_result *result)
{
	fail_msg("a cancelled dial called back: %s", result->diagnosis.sentence);
}

static void on_woken(evutil_socket_t fd, short what, void *arg)
{
	struct room *room = arg;

	dial_cancel(room->dial);
	loop_stop(room->loop);
}

/* A dial that tries the ClientHello behind its CONNECT, and has sent both. */
static void open_room(struct room *room)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct dial_params params = {.may_pipeline = true};
	struct error err;
	char byte;

	room->listener = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(room->listener, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(room->listener, 1), 0);
	assert_int_equal(pipe(room->wake), 0);
	room->loop = loop_new(0, &err);
	assert_non_null(room->loop);
	room->woken = event_new(room->loop->base, room->wake[0], EV_READ, on_woken, room);
	event_add(room->woken, NULL);
	room->resolver = resolver_new();
	room->set = make_set(room->listener);
	params.loop = room->loop;
	params.resolver = room->resolver;
	params.route = &room->set->routes[0];
	params.path = &room->set->routes[0].paths[0];
	params.deadline_ms = loop_now_ms() + 60000;
	atomic_store(&params.path->state.pipeline, RELAY_PIPELINE_READY);
	room->dial = dial_start(&params, on_done, NULL);
	assert_non_null(room->dial);
	room->proxy = accept(room->listener, NULL, NULL);
	while (recv(room->proxy, &byte, 1, MSG_PEEK | MSG_DONTWAIT) != 1)
		event_base_loop(room->loop->base, EVLOOP_ONCE);
	assert_int_equal(atomic_load(&params.path->state.pipeline), RELAY_PIPELINE_TRIAL);
}

static void close_room(struct room *room)
{
	event_free(room->woken);
	resolver_close(room->resolver);
	loop_free(room->loop);
	resolver_free(room->resolver);
	close(room->listener);
	close(room->wake[0]);
	close(room->wake[1]);
}

/* As a reload does with a tunnel that is dialled ahead of need, in the turn of the loop in which its dial fails. */
static void test_cancelled_when_it_had_failed(void **state)
{
	struct room room;
	struct relay_path_state *path;

	open_room(&room);
	path = &room.set->routes[0].paths[0].state;
	close(room.proxy);
	assert_int_equal(write(room.wake[1], "", 1), 1);
	loop_run(room.loop);
	assert_int_equal(atomic_load(&path->pipeline), RELAY_PIPELINE_UNKNOWN);
	relay_set_unref(room.set);
	close_room(&room);
}

static void test_cancelled_on_its_way(void **state)
{
	struct room room;
	struct relay_path_state *path;

	open_room(&room);
	path = &room.set->routes[0].paths[0].state;
	assert_int_equal(write(room.wake[1], "", 1), 1);
	loop_run(room.loop);
	assert_int_equal(atomic_load(&path->pipeline), RELAY_PIPELINE_UNKNOWN);
	relay_set_unref(room.set);
	close_room(&room);
	close(room.proxy);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_cancelled_when_it_had_failed),
	    cmocka_unit_test(test_cancelled_on_its_way),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
