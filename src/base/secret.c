/*
 * secret: see secret.h.  Holds secrets and fetches them by reference; it answers for their being wiped and
 * never shown.  What they are used for is not its business.
 */
#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/secret_memory.h"

struct secret {
	size_t len;
	char bytes[]; /* and a NUL */
};

struct secret *secret_new(const void *bytes, size_t len)
{
	struct secret *secret = secret_memory_get(sizeof(*secret) + len + 1);

	secret->len = len;
	if (len > 0)
		memcpy(secret->bytes, bytes, len);
	return secret;
}

struct secret *secret_dup(const struct secret *secret)
{
	return secret_new(secret->bytes, secret->len);
}

void secret_free(struct secret *secret)
{
	if (secret == NULL)
		return;
	secret_memory_give(secret, sizeof(*secret) + secret->len + 1);
}

/* Takes the same time wherever the first difference is. */
bool secret_equal(const struct secret *a, const struct secret *b)
{
	unsigned char difference = 0;
	size_t i;

	if (a == NULL || b == NULL)
		return a == b;
	if (a->len != b->len)
		return false;
	for (i = 0; i < a->len; i++)
		difference |= (unsigned char)(a->bytes[i] ^ b->bytes[i]);
	return difference == 0;
}

const char *secret_bytes(const struct secret *secret)
{
	return secret->bytes;
}

size_t secret_len(const struct secret *secret)
{
	return secret->len;
}

static const struct {
	const char *prefix;
	enum secret_ref_kind kind;
} prefixes[] = {
    {"file:", SECRET_REF_FILE},
    {"env:", SECRET_REF_ENV},
    {"cred:", SECRET_REF_CRED},
    {"sealed:", SECRET_REF_SEALED},
};

/* *rest is what stands behind the prefix. */
static enum secret_ref_kind split_ref(const char *ref, const char **rest)
{
	size_t i;

	for (i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++) {
		size_t len = strlen(prefixes[i].prefix);

		if (strncmp(ref, prefixes[i].prefix, len) == 0) {
			*rest = ref + len;
			return prefixes[i].kind;
		}
	}
	*rest = ref;
	return SECRET_REF_LITERAL;
}

enum secret_ref_kind secret_ref_kind(const char *ref)
{
	const char *rest;

	return split_ref(ref, &rest);
}

const char secret_masked_literal[] = "(literal)";

const char *secret_ref_masked(const char *ref)
{
	switch (secret_ref_kind(ref)) {
	case SECRET_REF_LITERAL:
		return secret_masked_literal;
	case SECRET_REF_SEALED:
		return "(sealed)";
	case SECRET_REF_FILE:
	case SECRET_REF_ENV:
	case SECRET_REF_CRED:
		break;
	}
	return ref;
}

char *secret_ref_file(const char *ref)
{
	const char *directory, *rest;

	switch (split_ref(ref, &rest)) {
	case SECRET_REF_FILE:
		return mem_strdup(rest);
	case SECRET_REF_CRED:
		directory = getenv("CREDENTIALS_DIRECTORY");
		return directory == NULL ? NULL : mem_printf("%s/%s", directory, rest);
	case SECRET_REF_LITERAL:
	case SECRET_REF_ENV:
	case SECRET_REF_SEALED:
		break;
	}
	return NULL;
}

bool secret_check_file_mode(const char *path, int fd, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return error_set_errno(err, errno, "%s cannot be examined", path);
	if ((st.st_mode & 0004) != 0)
		return error_set(err,
		    "%s may be read by every user of this host (mode %04o); use chmod o= on it", path,
		    (unsigned)(st.st_mode & 07777));
	return true;
}

/* Reads up to buf_bytes; false with errno set. */
static bool read_all(int fd, char *buf, size_t buf_bytes, size_t *len)
{
	*len = 0;
	while (*len < buf_bytes) {
		ssize_t n = read(fd, buf + *len, buf_bytes - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		if (n == 0)
			break;
		*len += (size_t)n;
	}
	return true;
}

static bool load_fd(const char *path, int fd, struct secret **secret, struct error *err)
{
	static const char mark[] = "\xef\xbb\xbf";
	struct stat st;
	char *buf = NULL;
	size_t len = 0, begin = 0;
	bool ok = false;

	if (fstat(fd, &st) != 0)
		return error_set_errno(err, errno, "%s cannot be examined", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, "%s is not a regular file", path);
	if (!secret_check_file_mode(path, fd, err))
		return false;
	buf = secret_memory_get(SECRET_MAX_BYTES + 1);
	if (!read_all(fd, buf, SECRET_MAX_BYTES + 1, &len)) {
		error_set_errno(err, errno, "%s cannot be read", path);
		goto done;
	}
	if (len > SECRET_MAX_BYTES) {
		error_set(err, "%s is longer than %d bytes: it does not look like a secret", path,
		    SECRET_MAX_BYTES);
		goto done;
	}
	if (len > 0 && buf[len - 1] == '\n') {
		len--;
		if (len > 0 && buf[len - 1] == '\r')
			len--;
	}
	if (len >= strlen(mark) && memcmp(buf, mark, strlen(mark)) == 0)
		begin = strlen(mark);
	if (len == begin) {
		error_set(err, "%s is empty", path);
		goto done;
	}
	if (memchr(buf, '\0', len) != NULL) {
		error_set(err, "%s holds a NUL byte: it must be plain text, not UTF-16 or binary", path);
		goto done;
	}
	*secret = secret_new(buf + begin, len - begin);
	ok = true;
done:
	secret_memory_give(buf, SECRET_MAX_BYTES + 1);
	return ok;
}

static bool load_file(const char *path, struct secret **secret, struct error *err)
{
	int fd;
	bool ok;

	if (*path == '\0')
		return error_set(err, "file: needs a path behind it");
	/* A FIFO without a writer must not hold up the start: load_fd() refuses it instead. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return error_set_errno(err, errno, "%s cannot be opened", path);
	ok = load_fd(path, fd, secret, err);
	close(fd);
	return ok;
}

static bool load_env(const char *name, struct secret **secret, struct error *err)
{
	const char *value;

	if (*name == '\0')
		return error_set(err, "env: needs the name of an environment variable behind it");
	value = getenv(name);
	if (value == NULL)
		return error_set(err, "the environment variable %s is not set", name);
	if (*value == '\0')
		return error_set(err, "the environment variable %s is empty", name);
	if (strlen(value) > SECRET_MAX_BYTES)
		return error_set(
		    err, "the environment variable %s is longer than %d bytes", name, SECRET_MAX_BYTES);
	*secret = secret_new(value, strlen(value));
	return true;
}

/* systemd.exec(5), "Credentials": one file per credential in $CREDENTIALS_DIRECTORY. */
static bool load_cred(const char *name, struct secret **secret, struct error *err)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	char *path;
	bool ok;

	if (*name == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return error_set(
		    err, "cred: needs the name of a systemd credential behind it, without a '/'");
	if (directory == NULL || *directory == '\0')
		return error_set(err,
		    "cred:%s needs $CREDENTIALS_DIRECTORY, which systemd sets for a service with "
		    "LoadCredential=",
		    name);
	path = mem_printf("%s/%s", directory, name);
	ok = load_file(path, secret, err);
	free(path);
	return ok;
}

bool secret_load(const char *ref, struct secret **secret, struct error *err)
{
	const char *rest;

	switch (split_ref(ref, &rest)) {
	case SECRET_REF_FILE:
		return load_file(rest, secret, err);
	case SECRET_REF_ENV:
		return load_env(rest, secret, err);
	case SECRET_REF_CRED:
		return load_cred(rest, secret, err);
	case SECRET_REF_SEALED:
		return error_set(err, "sealed: is for the configuration, whose client keys open it; here use file:, env: or cred:");
	case SECRET_REF_LITERAL:
		break;
	}
	if (*ref == '\0')
		return error_set(err, "the secret is empty");
	if (strlen(ref) > SECRET_MAX_BYTES)
		return error_set(err, "the secret is longer than %d bytes", SECRET_MAX_BYTES);
	*secret = secret_new(ref, strlen(ref));
	return true;
}
