/*
 * exit_status: what the process says when it ends (SPEC; numbers above 63 are those of sysexits.h).
 */
#ifndef MIDRELAY_BASE_EXIT_STATUS_H
#define MIDRELAY_BASE_EXIT_STATUS_H

enum exit_status {
	EXIT_STATUS_OK = 0,      /* it worked */
	EXIT_STATUS_FAILED = 1,  /* something failed or was refused */
	EXIT_STATUS_INSPECTED = 3, /* `check` found TLS inspection */
	EXIT_STATUS_USAGE = 64,
	EXIT_STATUS_CONFIG = 78, /* every fault found was listed */
};

#endif
