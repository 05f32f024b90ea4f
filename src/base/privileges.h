/*
 * privileges: who the process is while it reads files, binds addresses, and serves.
 *
 * Files are read as the user that the service becomes, from the first time on: what cannot be read then could
 * not be read at a reload either.  Addresses are bound as who started us.
 */
#ifndef MIDRELAY_BASE_PRIVILEGES_H
#define MIDRELAY_BASE_PRIVILEGES_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

struct privileges {
	bool change; /* `user` or `group` is set and differs from who we are */
	uid_t uid;
	gid_t gid;
	char *user_name; /* for the supplementary groups; NULL: none are set */
};

/*
 * Looks names up (numbers are taken too).  user and group may be NULL; a number that is no user of this host needs a
 * group, unless it is who we are.
 */
bool privileges_find(struct privileges *privileges, const char *user, const char *group,
    struct error *err) MUST_CHECK;
void privileges_clear(struct privileges *privileges);

/* For a while, and back again; only before threads exist.  Each change keeps the process's memory out of core dumps. */
bool privileges_lower(const struct privileges *privileges, struct error *err) MUST_CHECK;
bool privileges_raise(const struct privileges *privileges, struct error *err) MUST_CHECK;
/* For good; checks that there is no way back. */
bool privileges_drop(const struct privileges *privileges, struct error *err) MUST_CHECK;

/* No core dumps, and no way for other processes of the user to look into this one's memory. */
void privileges_keep_memory_private(void);

/*
 * Keeps all memory, and so the keys in it, out of the swap space, where the limit of locked memory is infinite
 * (LimitMEMLOCK=): under a finite one every later allocation might fail.
 */
void privileges_lock_memory(void);

/* Raises the limit of open files as far as allowed; returns what is in force. */
unsigned long privileges_raise_file_limit(void);

#endif
