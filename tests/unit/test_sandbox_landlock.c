/* Proves that the rules of every Landlock ABI that this kernel has are taken, and what each of them refuses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "service/sandbox_landlock.h"

#define KNOWN_ABI 9

/* In a child, as nobody leaves a sandbox. */
static int in_child(int (*try)(unsigned abi), unsigned abi)
{
	int status;
	pid_t child = fork();

	assert_true(child >= 0);
	if (child == 0)
		_exit(try(abi));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool enter(unsigned abi)
{
	char dev[] = "/dev", null[] = "/dev/null", tmp[] = "/tmp", nowhere[] = "/nowhere-at-all";
	struct sandbox_place places[] = {{dev, SANDBOX_READ}, {null, SANDBOX_DEVICE},
	    {tmp, SANDBOX_KEEP | SANDBOX_SOCKETS}, {nowhere, SANDBOX_READ}};
	struct sandbox_port ports[] = {{.port = 53}, {.port = 0, .binds = true}};
	struct sandbox_needs needs = {.places = places, .place_count = 4, .ports = ports, .port_count = 2};

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && sandbox_landlock_enforce(&needs, abi);
}

static int try_files(unsigned abi)
{
	char name[] = "/tmp/midrelay-sandbox-XXXXXX", renamed[sizeof(name) + 1];
	int fd;

	if (!enter(abi))
		return 1;
	if (open("/etc/passwd", O_RDONLY) >= 0 || errno != EACCES)
		return 2;
	if (open("/dev/zero", O_RDONLY) < 0 || open("/dev/null", O_RDWR) < 0)
		return 3;
	if (open("/dev/zero", O_WRONLY) >= 0 || errno != EACCES)
		return 4;
	fd = mkstemp(name);
	if (fd < 0)
		return 5;
	snprintf(renamed, sizeof(renamed), "%s.", name);
	if (rename(name, renamed) != 0 || unlink(renamed) != 0)
		return 6;
	return 0;
}

static int bind_at(uint16_t port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return bind(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 ? 0 : errno;
}

static int connect_to(uint16_t port)
{
	struct sockaddr_in addr = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	return connect(fd, (struct sockaddr *)&addr, sizeof(addr)) == 0 ? 0 : errno;
}

static int try_ports(unsigned abi)
{
	bool ruled = abi >= SANDBOX_LANDLOCK_ABI_TCP;

	if (!enter(abi))
		return 1;
	/* Nobody need listen there: a port that is shut is told before. */
	if ((connect_to(54) == EACCES) != ruled)
		return 2;
	if (connect_to(53) == EACCES)
		return 3;
	if (bind_at(0) != 0)
		return 4;
	if (ruled && bind_at(40404) != EACCES)
		return 5;
	return 0;
}

static void test_every_abi(void **state)
{
	unsigned abi, have = sandbox_landlock_abi();

	if (have == 0)
		skip();
	for (abi = 1; abi <= have && abi <= KNOWN_ABI; abi++) {
		print_message("ABI %u\n", abi);
		assert_int_equal(in_child(try_files, abi), 0);
		assert_int_equal(in_child(try_ports, abi), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_abi),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
