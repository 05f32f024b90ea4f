/* replace: see replace.h.  Nothing it leaves behind after a failure is half a file under the right name. */
#include "base/replace.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

static bool write_all(int fd, const char *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		bytes += n;
		len -= (size_t)n;
	}
	return true;
}

/* Closes the descriptor in any case. */
static bool write_sync_close(int fd, const void *bytes, size_t len, mode_t mode)
{
	bool ok = fchmod(fd, mode) == 0 && write_all(fd, bytes, len) && fsync(fd) == 0;
	int saved = errno;

	if (close(fd) != 0 && ok) {
		ok = false;
		saved = errno;
	}
	errno = saved;
	return ok;
}

/* Some file systems cannot sync a directory, which is no reason to fail. */
static void sync_directory(const char *path)
{
	char *copy = mem_strdup(path);
	int fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
	free(copy);
}

/*
 * What anybody may have put there, as in /tmp: it would get what is written, and with its owner that may be a key.  (The
 * rule is that of fs.protected_regular, proc_sys_fs(5), which a rename does not meet.)
 */
static bool is_planted(const char *path, const struct stat *st)
{
	char *copy = mem_strdup(path);
	struct stat dir;
	bool planted = stat(dirname(copy), &dir) == 0 && (dir.st_mode & S_ISVTX) != 0 && (dir.st_mode & S_IWOTH) != 0 &&
	    st->st_uid != geteuid() && st->st_uid != dir.st_uid;

	free(copy);
	return planted;
}

/* *real is `path`, or what it is a link to; *there tells whether a file is there, and *st is its. */
static bool find_target(const char *path, char **real, bool *there, struct stat *st, struct error *err)
{
	*there = stat(path, st) == 0;
	if (*there && !S_ISREG(st->st_mode))
		return error_set(err, "%s: is there, and is no regular file", path);
	if (!*there && errno != ENOENT)
		return error_set_errno(err, errno, "%s", path);
	if (!*there && lstat(path, st) == 0)
		return error_set(err, "%s: is a symbolic link to nothing", path);
	*real = *there ? realpath(path, NULL) : mem_strdup(path);
	if (*real == NULL)
		return error_set_errno(err, errno, "%s", path);
	if (!*there || !is_planted(*real, st))
		return true;
	free(*real);
	*real = NULL;
	return error_set(err, "%s: is there already, and another user's, in a directory that everyone may write to", path);
}

/* Who may not give files away keeps them, and can read them. */
static void keep_owner(int fd, const struct stat *st)
{
	if ((st->st_uid != geteuid() || st->st_gid != getegid()) && fchown(fd, st->st_uid, st->st_gid) != 0)
		return;
}

struct content {
	const void *bytes;
	size_t len;
	mode_t mode;
};

/* The name, which is the caller's, of a whole file beside `path`; `like`: whose owner it gets, NULL: it is ours. */
static char *write_beside(const char *path, const struct content *content, const struct stat *like, struct error *err)
{
	char *temporary = mem_printf("%s.XXXXXX", path);
	int fd = mkostemp(temporary, O_CLOEXEC);

	if (fd < 0) {
		error_set_errno(err, errno, "%s: a file beside it cannot be made", path);
		free(temporary);
		return NULL;
	}
	if (like != NULL)
		keep_owner(fd, like);
	if (write_sync_close(fd, content->bytes, content->len, content->mode))
		return temporary;
	error_set_errno(err, errno, "%s: cannot be written", path);
	(void)unlink(temporary);
	free(temporary);
	return NULL;
}

bool replace_file(const char *path, const void *bytes, size_t len, mode_t mode, struct error *err)
{
	const struct content content = {bytes, len, mode};
	char *real = NULL, *temporary;
	struct stat st;
	bool there, ok;

	if (!find_target(path, &real, &there, &st, err) || real == NULL)
		return false;
	temporary = write_beside(real, &content, there ? &st : NULL, err);
	ok = temporary != NULL && rename(temporary, real) == 0;
	if (ok) {
		sync_directory(real);
	} else if (temporary != NULL) {
		error_set_errno(err, errno, "%s: cannot be written", path);
		(void)unlink(temporary);
	}
	free(temporary);
	free(real);
	return ok;
}

bool replace_none(const char *path, const void *bytes, size_t len, mode_t mode, struct error *err)
{
	const struct content content = {bytes, len, mode};
	char *temporary = write_beside(path, &content, NULL, err);
	bool ok;

	if (temporary == NULL)
		return false;
	/* rename(2) would put it over what another process has made meanwhile. */
	ok = link(temporary, path) == 0 || errno == EEXIST || error_set_errno(err, errno, "%s: cannot be made", path);
	(void)unlink(temporary);
	sync_directory(path);
	free(temporary);
	return ok;
}

bool replace_create_file(const char *path, const void *bytes, size_t len, mode_t mode, struct error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	if (fd < 0 && errno == EEXIST)
		return error_set(err, "%s: is there already, and is not overwritten", path);
	if (fd < 0)
		return error_set_errno(err, errno, "%s: cannot be made", path);
	if (!write_sync_close(fd, bytes, len, mode)) {
		error_set_errno(err, errno, "%s: cannot be written", path);
		(void)unlink(path);
		return false;
	}
	sync_directory(path);
	return true;
}
