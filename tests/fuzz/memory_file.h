/* memory_file: a file that is in memory alone, for production code that takes a path. */
#ifndef MIDRELAY_TESTS_FUZZ_MEMORY_FILE_H
#define MIDRELAY_TESTS_FUZZ_MEMORY_FILE_H

#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

/* Zero-initialise; it lasts as long as the process. */
struct memory_file {
	int fd;
	char path[64]; /* "": never written */
};

/* As its whole content; readable by its owner alone. */
static inline void memory_file_write(struct memory_file *file, const void *bytes, size_t len)
{
	if (file->path[0] == '\0') {
		file->fd = memfd_create("fuzz", MFD_CLOEXEC);
		midrelay_assert(file->fd >= 0 && fchmod(file->fd, 0600) == 0);
		snprintf(file->path, sizeof(file->path), "/proc/self/fd/%d", file->fd);
	}
	midrelay_assert(ftruncate(file->fd, 0) == 0);
	midrelay_assert(pwrite(file->fd, bytes, len, 0) == (ssize_t)len);
}

#endif
