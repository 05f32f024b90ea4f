/* unix_socket: see unix_socket.h. */
#include "base/unix_socket.h"

#include <errno.h>
#include <unistd.h>

static bool clear_stale(const struct addr *addr, struct error *err)
{
	const char *path = addr->u.un.sun_path;
	struct stat st;
	int fd, error;

	if (lstat(path, &st) != 0)
		return errno == ENOENT || error_set_errno(err, errno, "%s", path);
	if (!S_ISSOCK(st.st_mode))
		return error_set(err, "%s exists and is not a socket", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return error_set_errno(err, errno, "socket");
	error = connect(fd, &addr->u.sa, addr->len) == 0 ? 0 : errno;
	close(fd);
	if (error != ECONNREFUSED)
		return error_set(err, "another program is listening at %s", path);
	if (unlink(path) != 0)
		return error_set_errno(err, errno, "the old socket %s cannot be removed", path);
	return true;
}

bool unix_socket_bind(int fd, const struct addr *addr, mode_t mode, struct unix_socket_file *file, struct error *err)
{
	struct stat st;
	mode_t mask;
	int error;

	file->ino = 0;
	if (!clear_stale(addr, err))
		return false;
	/* The file is born with its final mode: Linux gives it the mode of the socket, less the umask. */
	if (fchmod(fd, mode) != 0)
		return error_set_errno(err, errno, "fchmod");
	mask = umask(0);
	error = bind(fd, &addr->u.sa, addr->len) == 0 ? 0 : errno;
	umask(mask);
	if (error != 0)
		return error_set_errno(err, error, "cannot listen at %s", addr->u.un.sun_path);
	if (lstat(addr->u.un.sun_path, &st) == 0) {
		file->dev = st.st_dev;
		file->ino = st.st_ino;
	}
	return true;
}

static bool is_same(const struct stat *st, const struct unix_socket_file *file)
{
	return st->st_dev == file->dev && st->st_ino == file->ino;
}

bool unix_socket_is_gone(const struct addr *addr, const struct unix_socket_file *file)
{
	struct stat st;

	if (lstat(addr->u.un.sun_path, &st) != 0)
		return errno == ENOENT;
	return file->ino != 0 && !is_same(&st, file);
}

void unix_socket_unlink(const struct addr *addr, const struct unix_socket_file *file)
{
	struct stat st;

	if (file->ino != 0 && lstat(addr->u.un.sun_path, &st) == 0 && is_same(&st, file))
		unlink(addr->u.un.sun_path);
}
