/*
 * listen: binding the addresses of a configuration, and keeping those that stay over a reload.
 */
#ifndef MIDRELAY_RELAY_LISTEN_H
#define MIDRELAY_RELAY_LISTEN_H

#include <stddef.h>
#include <sys/stat.h>

#include "config/config.h"

/* So many clients may wait to be accepted; the kernel cuts it to net.core.somaxconn. */
#define LISTEN_BACKLOG 4096

/* One bound address. */
struct listen_socket {
	struct addr wanted; /* as configured; a UNIX socket's mode belongs to it */
	mode_t mode;
	struct addr bound;  /* with the port the kernel chose where 0 was wanted */
	int fd;
	bool kept;          /* taken over from an older list, which owns it until listen_list_retire */
	dev_t dev;          /* of a UNIX socket's file, so that we unlink only what we made */
	ino_t ino;
	const char *systemd; /* borrowed as `relay`: the service manager's socket, never closed; NULL: ours */
	const struct config_relay *relay; /* borrowed: valid as long as the configuration it was made from */
	size_t relay_index;
	bool tls;           /* clients make TLS with us there */
};

struct listen_list {
	struct listen_socket *sockets;
	size_t count;
};

/*
 * Binds and listens at all addresses of the configuration; an address that `old` (may be NULL) has bound already is
 * taken over, unless it is a UNIX socket whose file is gone and can be made again.  On failure every fault is in the
 * report, nothing new stays bound, and old is untouched.
 */
bool listen_list_open(struct listen_list *list, const struct config *config, const struct listen_list *old,
    struct config_report *report);

/*
 * After a swap: `list` owns what it took over, and `old` is empty.  The descriptors that were not taken over are returned
 * (the caller frees *fds), to be closed when no loop watches them any more.
 */
size_t listen_list_retire(struct listen_list *old, struct listen_list *list, int **fds);

/* Closes all, and unlinks our UNIX sockets. */
void listen_list_close(struct listen_list *list);

#endif
