/* bundle_file: opens a file and reads it, within its bound.  What the bytes are is told by bundle_read.c. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "tls/bundle_read.h"

/* Reads the whole file into *bytes, which the caller wipes (*held_bytes) and frees. */
static bool read_content(
    const char *file, int fd, char **bytes, size_t *len, size_t *held_bytes, struct error *err)
{
	struct stat st;
	ssize_t got;

	if (fstat(fd, &st) != 0)
		return error_set_errno(err, errno, "%s", file);
	if (!S_ISREG(st.st_mode))
		return error_set(
		    err, "%s: is not a file%s", file, S_ISDIR(st.st_mode) ? " but a directory" : "");
	if (st.st_size > BUNDLE_MAX_FILE_BYTES)
		return error_set(err, "%s: is larger than 1 MiB", file);
	*held_bytes = (size_t)st.st_size + 1;
	*bytes = mem_calloc(1, *held_bytes);
	*len = 0;
	while (*len < *held_bytes && (got = read(fd, *bytes + *len, *held_bytes - *len)) != 0) {
		if (got > 0)
			*len += (size_t)got;
		else if (errno != EINTR)
			return error_set_errno(err, errno, "%s", file);
	}
	if (*len == *held_bytes)
		return error_set(err, "%s: grew while it was read", file);
	return true;
}

static bool check_key_mode(const struct bundle_read *how, int fd, struct bundle *found, struct error *err)
{
	if (secret_check_file_mode(how->name, fd, err))
		return true;
	found->key_exposed = true;
	return how->allow_exposed_key;
}

bool bundle_read_file(const struct bundle_read *how, struct bundle *found, struct error *err)
{
	bool had_key = found->key != NULL, ok;
	char *bytes = NULL;
	size_t len = 0, held_bytes = 0;
	/* O_NONBLOCK: a FIFO that nobody writes to must not hold up the start; it is refused as no regular
	 * file. */
	int fd = open(how->name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return error_set_errno(err, errno, "%s", how->name);
	ok = read_content(how->name, fd, &bytes, &len, &held_bytes, err) &&
	     bundle_read_bytes(how, bytes, len, found, err) &&
	     (had_key || found->key == NULL || check_key_mode(how, fd, found, err));
	if (bytes != NULL)
		OPENSSL_cleanse(bytes, held_bytes);
	free(bytes);
	close(fd);
	return ok;
}
