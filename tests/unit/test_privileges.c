/* Proves that no change of user lets the process's memory into a core dump again, and that the last one is for good. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/privileges.h"

static bool is_private(void)
{
	return prctl(PR_GET_DUMPABLE) == 0;
}

/* In a child, as nobody comes back from it. */
static int become_nobody(void)
{
	struct privileges privileges;
	struct error err;

	privileges_keep_memory_private();
	if (!is_private() || !privileges_find(&privileges, "nobody", NULL, &err))
		return 1;
	if (!privileges_lower(&privileges, &err) || geteuid() != privileges.uid || !is_private())
		return 2;
	if (!privileges_raise(&privileges, &err) || geteuid() != 0 || !is_private())
		return 3;
	if (!privileges_drop(&privileges, &err) || getuid() != privileges.uid || !is_private())
		return 4;
	if (seteuid(0) == 0)
		return 5;
	privileges_clear(&privileges);
	return 0;
}

/* What fails it is fs.suid_dumpable = 2, as systemd-coredump sets it. */
static void test_memory_stays_private(void **state)
{
	pid_t child;
	int status;

	if (geteuid() != 0)
		skip();
	child = fork();
	assert_true(child >= 0);
	if (child == 0)
		_exit(become_nobody());
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_memory_stays_private),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
