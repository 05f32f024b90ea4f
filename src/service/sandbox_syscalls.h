/*
 * sandbox_syscalls: the system calls that midrelay and its libraries use, as a seccomp filter; internal to
 * sandbox.
 */
#ifndef MIDRELAY_SERVICE_SANDBOX_SYSCALLS_H
#define MIDRELAY_SERVICE_SANDBOX_SYSCALLS_H

#include <stdbool.h>

#include "base/error.h"

struct sandbox_syscalls {
	bool log;     /* the kernel tells of each refused call in its audit log */
	bool sockets; /* UNIX sockets are made, given a mode, and removed */
	bool keep;    /* files are made, written, renamed */
};

/* From now on every thread of the process gets EPERM for any other call.  False: nothing changed. */
bool sandbox_syscalls_enforce(const struct sandbox_syscalls *what, struct error *err) MUST_CHECK;

#endif
