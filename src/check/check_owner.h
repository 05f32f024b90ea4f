/*
 * check_owner: which process listens at an address, as /proc tells it to this user.  Nothing is connected to.
 */
#ifndef MIDRELAY_CHECK_CHECK_OWNER_H
#define MIDRELAY_CHECK_CHECK_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/addr.h"

struct check_owner {
	bool listens;     /* somebody does, in our network namespace */
	pid_t pid;        /* 0: who it is cannot be told */
	char command[64]; /* escaped */
	bool is_midrelay;
};

/* A TCP address that a wildcard listener answers for counts as well. */
void check_owner_find(const struct addr *addr, struct check_owner *owner);

#endif
