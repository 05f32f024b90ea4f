/*
 * manager: what the service manager hands us and wants to hear: sd_listen_fds(3) and sd_notify(3), whose protocols
 * are a few environment variables and a datagram; no library is needed for them (systemd's own manual says so).
 *
 * Everything here belongs to the main thread.
 */
#ifndef MIDRELAY_BASE_MANAGER_H
#define MIDRELAY_BASE_MANAGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/* Once, at start, before other descriptors are opened: takes what the environment says, and removes it from there. */
void manager_init(void);
void manager_end(void);

/*
 * The next socket that was passed under this name (FileDescriptorName=); *next begins at 0.  -1: there is no more.
 * They stay the manager's: nobody closes them.
 */
int manager_socket(const char *name, size_t *next);
/* The name of the socket with this number, from 0 on; NULL: there are not so many. */
const char *manager_socket_at(size_t number, int *fd);
/* "a, b", the names that sockets were passed under; "" for none.  Static. */
const char *manager_socket_names(void);

/* Whether somebody listens to us. */
bool manager_listens(void);
/* Lines like "READY=1\nSTATUS=…"; at most 2 kB.  Never waits: false when they could not be delivered. */
bool manager_tell(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* "RELOADING=1" with the time that must go with it; a READY=1 ends it. */
void manager_tell_reloading(void);

/* How often WATCHDOG=1 is to be told, in ms: half of WatchdogSec=; 0: not at all. */
int64_t manager_watchdog_ms(void);

#endif
