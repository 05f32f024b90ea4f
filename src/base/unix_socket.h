/*
 * unix_socket: the file of a listening UNIX socket: made with its final mode, and removed only if it is ours.
 */
#ifndef MIDRELAY_BASE_UNIX_SOCKET_H
#define MIDRELAY_BASE_UNIX_SOCKET_H

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

#include "base/addr.h"
#include "base/error.h"

/* The file that a socket has made; ino 0: none. */
struct unix_socket_file {
	dev_t dev;
	ino_t ino;
};

/*
 * Binds the socket.  A file that nobody answers at is a leftover and is removed; one that answers, or a file of another
 * kind, is somebody else's, and an error.
 */
bool unix_socket_bind(int fd, const struct addr *addr, mode_t mode, struct unix_socket_file *file,
    struct error *err) MUST_CHECK;
/* The file has been removed, or another one is in its place.  False also where that cannot be seen. */
bool unix_socket_is_gone(const struct addr *addr, const struct unix_socket_file *file);
/* Removes the file, if it is still that one. */
void unix_socket_unlink(const struct addr *addr, const struct unix_socket_file *file);

#endif
