/*
 * What the load generator, the server and the proxy of a measurement share: the work that is asked for, the bytes it
 * consists of, and sockets.
 *
 * One exchange is a command of fixed length, `up` bytes towards the server and then `down` bytes back.  Every byte is
 * known from its place in its direction of the exchange, so both ends can tell a wrong one.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BENCH_COMMAND_BYTES 63
#define BENCH_BLOCK (64 * 1024)

struct bench_command {
	uint64_t up;
	uint64_t down;
	uint64_t rate;   /* of `down`, bytes a second; 0 = as fast as it goes */
};

void bench_command_write(const struct bench_command *command, char out[BENCH_COMMAND_BYTES + 1]);
bool bench_command_read(const char text[BENCH_COMMAND_BYTES], struct bench_command *out);

/* BENCH_BLOCK bytes of the pattern from place `at` on. */
const unsigned char *bench_pattern(uint64_t at);
bool bench_matches(uint64_t at, const void *bytes, size_t length);

uint64_t bench_now_us(void);

/* The token clock: how much of `total` may have left when `rate` bytes a second have been allowed since began_us. */
uint64_t bench_allowed(uint64_t total, uint64_t rate, uint64_t began_us);

/* Non-blocking sockets; -1 and errno when there is none.  All are on 127.0.0.1 but the near end of bench_connect(),
 * which is 127.0.0.`source`: one address has no more local ports towards another than the kernel's range. */
int bench_listen(unsigned *port);
int bench_accept(int listener);
int bench_connect(unsigned port, unsigned source);

/* Threads with a poll set each.  run() serves one set until the process ends. */
struct bench_workers {
	unsigned count;
	unsigned next;
	int *polls;
};

void bench_workers_start(struct bench_workers *workers, uint64_t count, void (*run)(int poll_fd));
/* Gives a descriptor to the next in turn; ends the process when that fails. */
void bench_workers_give(struct bench_workers *workers, int fd, uint32_t events, void *mark);
/* The calling thread serves a listener and standard input, until the input ends or on_line() returns false. */
void bench_serve(int listener, void (*on_client)(int fd), bool (*on_line)(void));

/* A number given on the command line; ends the process when it is none. */
uint64_t bench_number(const char *name, const char *text);
_Noreturn void bench_die(const char *what);
