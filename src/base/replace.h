/*
 * replace: whole files, or none: a reader (and a crash) sees the old content or the new one.
 */
#ifndef MIDRELAY_BASE_REPLACE_H
#define MIDRELAY_BASE_REPLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * Writes a temporary file in the same directory, syncs it, renames it over `path` and syncs the directory.
 * The new file has `mode`, whatever the umask, and the owner of the one it replaces, as far as we may give it
 * away.  A symbolic link stays: what it points to is replaced.  What is there and no regular file is an
 * error; so is another user's file in a directory like /tmp, where anybody may have put it.
 */
bool replace_file(const char *path, const void *bytes, size_t len, mode_t mode, struct error *err) MUST_CHECK;

/* Writes it as whole; but what is at `path` by then stays, and this is no error: of several who make it, one does. */
bool replace_none(const char *path, const void *bytes, size_t len, mode_t mode, struct error *err) MUST_CHECK;

/* Makes a file that must not be there yet, not even as a symbolic link. */
bool replace_create_file(
    const char *path, const void *bytes, size_t len, mode_t mode, struct error *err) MUST_CHECK;

#endif
