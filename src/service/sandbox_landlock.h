/*
 * sandbox_landlock: the kernel's Landlock (landlock(7)), as the rules of one process; internal to sandbox.
 *
 * The numbers are the kernel's, written down here because the headers of a distribution may be older than
 * its kernels.
 */
#ifndef MIDRELAY_SERVICE_SANDBOX_LANDLOCK_H
#define MIDRELAY_SERVICE_SANDBOX_LANDLOCK_H

#include "service/sandbox_needs.h"

/* The first ABI with rules for TCP ports. */
#define SANDBOX_LANDLOCK_ABI_TCP 4

/* 0: the kernel has none, or does not let us, and errno says which. */
unsigned sandbox_landlock_abi(void);

/*
 * From now on this thread, and those that it starts, get at the places and ports alone; false with errno
 * set: nothing changed. no_new_privs is in force already.
 */
bool sandbox_landlock_enforce(const struct sandbox_needs *needs, unsigned abi);

#endif
