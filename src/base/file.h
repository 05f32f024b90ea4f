/*
 * file: replacing a file as a whole.
 */
#ifndef MIDRELAY_BASE_FILE_H
#define MIDRELAY_BASE_FILE_H

#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * Writes a temporary file beside `path`, flushes it to the disk, and renames it over `path`: whoever reads sees the old
 * file or the new one, whole.  A link is followed, so that its target is replaced.  An existing file's owner is kept where
 * we may set it, and its mode is kept when mode is 0.
 */
bool file_replace(const char *path, const void *bytes, size_t len, mode_t mode, struct error *err) MUST_CHECK;

#endif
