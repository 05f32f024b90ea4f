/* keylog: see keylog.h.  Who may turn it on, and who is warned, is said elsewhere. */
#include "tls/keylog.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* "CLIENT_HANDSHAKE_TRAFFIC_SECRET", a random of 32 bytes and a secret of at most 64, in hexadecimal. */
#define LINE_BYTES 512

static const char *file;
static int file_fd = -1;

static bool check_file(const char *path, int fd, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) != 0)
		return error_set_errno(err, errno, "%s cannot be examined", path);
	if (!S_ISREG(st.st_mode))
		return error_set(err, "%s is not a regular file", path);
	if ((st.st_mode & 0007) != 0)
		return error_set(err, "%s is open to every user of this host (mode %04o), and whoever has it "
		    "can read all traffic; use chmod o= on it", path, (unsigned)(st.st_mode & 07777));
	return true;
}

bool keylog_open(const char *path, struct error *err)
{
	/* O_NONBLOCK: a FIFO without a reader is refused, not waited for. */
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
	    0600);

	if (fd < 0)
		return error_set_errno(err, errno, "%s cannot be opened%s", path,
		    errno == ELOOP ? " (a symbolic link is not followed)" : "");
	if (!check_file(path, fd, err)) {
		close(fd);
		return false;
	}
	file = path;
	file_fd = fd;
	return true;
}

const char *keylog_file(void)
{
	return file;
}

/* One write a line, so that those of several threads do not mix. */
static void on_key(const SSL *ssl, const char *text)
{
	char line[LINE_BYTES];
	size_t len = strlen(text);
	ssize_t n;

	if (len >= sizeof(line))
		return;
	memcpy(line, text, len);
	line[len] = '\n';
	do {
		n = write(file_fd, line, len + 1);
	} while (n < 0 && errno == EINTR);
	explicit_bzero(line, sizeof(line));
}

void keylog_attach(SSL_CTX *ctx)
{
	if (file != NULL)
		SSL_CTX_set_keylog_callback(ctx, on_key);
}
