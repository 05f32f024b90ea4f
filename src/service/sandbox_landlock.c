/* sandbox_landlock: see sandbox_landlock.h. */
#include "service/sandbox_landlock.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same on every architecture. */
#define CALL_CREATE_RULESET 444
#define CALL_ADD_RULE 445
#define CALL_RESTRICT_SELF 446

#define CREATE_VERSION 1U
#define RULE_PATH_BENEATH 1
#define RULE_NET_PORT 2

#define FS_WRITE_FILE (1ULL << 1)
#define FS_READ_FILE (1ULL << 2)
#define FS_READ_DIR (1ULL << 3)
#define FS_REMOVE_FILE (1ULL << 5)
#define FS_MAKE_DIR (1ULL << 7)
#define FS_MAKE_REG (1ULL << 8)
#define FS_MAKE_SOCK (1ULL << 9)
#define FS_TRUNCATE (1ULL << 14)
#define FS_IOCTL_DEV (1ULL << 15)
#define FS_UP_TO_ABI_1 ((1ULL << 13) - 1) /* from EXECUTE to MAKE_SYM */
#define FS_REFER (1ULL << 13)             /* since ABI 2 */

#define NET_BIND_TCP 1ULL
#define NET_CONNECT_TCP 2ULL

#define SCOPE_ABSTRACT_UNIX 1ULL
#define SCOPE_SIGNAL 2ULL

#define FILE_RIGHTS (FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV) /* what a file can have a rule for */

struct ruleset {
	uint64_t fs, net, scoped;
};

struct path_rule {
	uint64_t allowed;
	int32_t fd;
} __attribute__((packed));

struct port_rule {
	uint64_t allowed, port;
};

unsigned sandbox_landlock_abi(void)
{
	long abi = syscall(CALL_CREATE_RULESET, NULL, 0, CREATE_VERSION);

	return abi < 0 ? 0 : (unsigned)abi;
}

static uint64_t handled_files(unsigned abi)
{
	uint64_t rights = FS_UP_TO_ABI_1;

	if (abi >= 2)
		rights |= FS_REFER;
	if (abi >= 3)
		rights |= FS_TRUNCATE;
	if (abi >= 5)
		rights |= FS_IOCTL_DEV;
	return rights;
}

static uint64_t rights_of(unsigned access)
{
	uint64_t rights = 0;

	if ((access & SANDBOX_READ) != 0)
		rights |= FS_READ_FILE | FS_READ_DIR;
	if ((access & SANDBOX_SOCKETS) != 0)
		rights |= FS_MAKE_SOCK | FS_REMOVE_FILE;
	if ((access & SANDBOX_DEVICE) != 0)
		rights |= FS_READ_FILE | FS_WRITE_FILE | FS_IOCTL_DEV;
	if ((access & SANDBOX_KEEP) != 0)
		rights |= FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE | FS_TRUNCATE | FS_MAKE_REG | FS_MAKE_DIR |
		    FS_REMOVE_FILE;
	return rights;
}

/* What is not there, or not for us, needs no rule. */
static bool add_place(int ruleset, const struct sandbox_place *place, uint64_t handled)
{
	struct path_rule rule = {.fd = open(place->path, O_PATH | O_CLOEXEC)};
	struct stat st;
	bool ok;

	if (rule.fd < 0)
		return true;
	rule.allowed = rights_of(place->access) & handled;
	if (fstat(rule.fd, &st) == 0 && !S_ISDIR(st.st_mode))
		rule.allowed &= FILE_RIGHTS;
	ok = rule.allowed == 0 || syscall(CALL_ADD_RULE, ruleset, RULE_PATH_BENEATH, &rule, 0) == 0;
	close(rule.fd);
	return ok;
}

static bool add_port(int ruleset, const struct sandbox_port *port)
{
	struct port_rule rule = {port->binds ? NET_BIND_TCP : NET_CONNECT_TCP, port->port};

	return syscall(CALL_ADD_RULE, ruleset, RULE_NET_PORT, &rule, 0) == 0;
}

bool sandbox_landlock_enforce(const struct sandbox_needs *needs, unsigned abi)
{
	struct ruleset wanted = {.fs = handled_files(abi)};
	bool ok = true;
	size_t i;
	int ruleset, error;

	if (abi >= SANDBOX_LANDLOCK_ABI_TCP)
		wanted.net = NET_BIND_TCP | NET_CONNECT_TCP;
	/* The manager's socket, which may be an abstract one of a process outside, is connected already (manager.c). */
	if (abi >= 6)
		wanted.scoped = SCOPE_ABSTRACT_UNIX | SCOPE_SIGNAL;
	ruleset = (int)syscall(CALL_CREATE_RULESET, &wanted, sizeof(wanted), 0);
	if (ruleset < 0)
		return false;
	for (i = 0; ok && i < needs->place_count; i++)
		ok = add_place(ruleset, &needs->places[i], wanted.fs);
	for (i = 0; ok && wanted.net != 0 && i < needs->port_count; i++)
		ok = add_port(ruleset, &needs->ports[i]);
	ok = ok && syscall(CALL_RESTRICT_SELF, ruleset, 0) == 0;
	error = errno;
	close(ruleset);
	errno = error;
	return ok;
}
