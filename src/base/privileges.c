/* privileges: see privileges.h. */
#include "base/privileges.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

static bool find_user(struct privileges *privileges, const char *user, struct error *err)
{
	const struct passwd *pw = getpwnam(user);
	uint64_t number;

	if (pw == NULL && text_parse_uint(user, 0, UINT32_MAX - 1, &number)) {
		pw = getpwuid((uid_t)number);
		if (pw == NULL) { /* a container's arbitrary user has no entry */
			privileges->uid = (uid_t)number;
			return true;
		}
	}
	if (pw == NULL)
		return error_set(err, "there is no user '%s' on this host", user);
	privileges->uid = pw->pw_uid;
	privileges->gid = pw->pw_gid;
	privileges->user_name = mem_strdup(pw->pw_name);
	return true;
}

static bool find_group(struct privileges *privileges, const char *group, struct error *err)
{
	const struct group *gr = getgrnam(group);
	uint64_t number;

	if (gr != NULL)
		privileges->gid = gr->gr_gid;
	else if (text_parse_uint(group, 0, UINT32_MAX - 1, &number))
		privileges->gid = (gid_t)number;
	else
		return error_set(err, "there is no group '%s' on this host", group);
	return true;
}

bool privileges_find(struct privileges *privileges, const char *user, const char *group, struct error *err)
{
	memset(privileges, 0, sizeof(*privileges));
	privileges->uid = geteuid();
	privileges->gid = getegid();
	if (user != NULL && !find_user(privileges, user, err))
		return false;
	if (group != NULL && !find_group(privileges, group, err))
		return false;
	/* Without an entry it has no group of its own, and would keep that of who started us. */
	if (group == NULL && privileges->uid != geteuid() && privileges->user_name == NULL)
		return error_set(err, "user '%s' is not in this host's user database, so that its group is not known: "
		    "set group as well", user);
	privileges->change = privileges->uid != geteuid() || privileges->gid != getegid();
	return true;
}

void privileges_clear(struct privileges *privileges)
{
	free(privileges->user_name);
	memset(privileges, 0, sizeof(*privileges));
}

/* A change of ids sets it to fs.suid_dumpable (proc(5)), which is 2 where systemd-coredump is: root's dumps again. */
static void stay_undumpable(void)
{
	prctl(PR_SET_DUMPABLE, 0);
}

static bool set_groups(const struct privileges *privileges, struct error *err)
{
	int failed;

	if (geteuid() != 0)
		return true;
	if (privileges->user_name != NULL)
		failed = initgroups(privileges->user_name, privileges->gid);
	else
		failed = setgroups(1, &privileges->gid);
	return failed == 0 || error_set_errno(err, errno, "the groups cannot be set");
}

bool privileges_lower(const struct privileges *privileges, struct error *err)
{
	if (!privileges->change)
		return true;
	if (!set_groups(privileges, err))
		return false;
	if (setegid(privileges->gid) != 0 || seteuid(privileges->uid) != 0)
		return error_set_errno(err, errno, "cannot become the user and group of [midrelay]");
	stay_undumpable();
	return true;
}

bool privileges_raise(const struct privileges *privileges, struct error *err)
{
	if (!privileges->change)
		return true;
	if (seteuid(getuid()) != 0 || setegid(getgid()) != 0)
		return error_set_errno(err, errno, "cannot go back to the starting user");
	stay_undumpable();
	return true;
}

bool privileges_drop(const struct privileges *privileges, struct error *err)
{
	if (!privileges->change)
		return true;
	if (!set_groups(privileges, err))
		return false;
	if (setresgid(privileges->gid, privileges->gid, privileges->gid) != 0 ||
	    setresuid(privileges->uid, privileges->uid, privileges->uid) != 0)
		return error_set_errno(err, errno, "cannot become the user and group of [midrelay]");
	if (privileges->uid != 0 && setuid(0) == 0)
		return error_set(err, "the privileges of root could be taken back; not going on");
	stay_undumpable();
	return true;
}

void privileges_keep_memory_private(void)
{
	struct rlimit none = {0, 0};

	setrlimit(RLIMIT_CORE, &none);
	stay_undumpable();
}

void privileges_lock_memory(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY)
		(void)mlockall(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT);
}

unsigned long privileges_raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
		return 0;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	return limit.rlim_cur;
}
