/* file: see file.h. */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
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
	return fsync(fd) == 0;
}

/* The rename is not on the disk before its directory is; a failure here loses nothing but time after a crash. */
static void flush_directory(const char *path)
{
	char *directory = mem_strdup(path);
	char *slash = strrchr(directory, '/');
	int fd;

	if (slash != NULL)
		slash[slash == directory ? 1 : 0] = '\0';
	fd = open(slash != NULL ? directory : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		(void)fsync(fd);
		close(fd);
	}
	free(directory);
}

bool file_replace(const char *path, const void *bytes, size_t len, mode_t mode, struct error *err)
{
	char *target = realpath(path, NULL);
	char *temporary = mem_printf("%s.XXXXXX", target != NULL ? target : path);
	struct stat old;
	bool exists = target != NULL && stat(target, &old) == 0;
	int fd = mkstemp(temporary);
	bool ok = false;

	if (fd < 0) {
		error_set_errno(err, errno, "%s: no file can be made beside it", path);
		goto fail;
	}
	if (exists && fchown(fd, old.st_uid, old.st_gid) != 0 && mode == 0 && old.st_gid != getegid()) {
		/* Whoever read it as the group's member no longer could. */
		error_set_errno(err, errno, "%s: its owner and group cannot be kept", path);
		goto fail;
	}
	if (mode == 0)
		mode = exists ? old.st_mode & 07777 : 0600;
	if (fchmod(fd, mode) != 0 || !write_all(fd, bytes, len)) {
		error_set_errno(err, errno, "%s cannot be written", path);
		goto fail;
	}
	if (rename(temporary, target != NULL ? target : path) != 0) {
		error_set_errno(err, errno, "%s cannot be replaced", path);
		goto fail;
	}
	flush_directory(target != NULL ? target : path);
	ok = true;
fail:
	if (fd >= 0) {
		close(fd);
		if (!ok)
			unlink(temporary);
	}
	free(temporary);
	free(target);
	return ok;
}
