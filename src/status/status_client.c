/* status_client: see status_client.h. */
#include "status/status_client.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "loop/loop.h"

#define PIECE_BYTES 65536

struct talk {
	int fd;
	int64_t deadline_ms;
	char *in;
	size_t in_len;
};

/* Until the descriptor can go on; the deadline is one for all. */
static bool await(struct talk *talk, short events, struct error *err)
{
	struct pollfd ready = {.fd = talk->fd, .events = events};
	int64_t left_ms = talk->deadline_ms - loop_now_ms();

	if (left_ms > 0 && poll(&ready, 1, (int)left_ms) > 0)
		return true;
	return error_set(err, "it did not answer within %d s", STATUS_CLIENT_MS / 1000);
}

static bool dial(struct talk *talk, const struct addr *addr, struct error *err)
{
	int error = 0;
	socklen_t len = sizeof(error);

	talk->fd = socket(addr->u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (talk->fd < 0)
		return error_set_errno(err, errno, "socket");
	if (connect(talk->fd, &addr->u.sa, addr->len) == 0)
		return true;
	if (errno != EINPROGRESS)
		return error_set_errno(err, errno, "nobody answers");
	if (!await(talk, POLLOUT, err))
		return false;
	getsockopt(talk->fd, SOL_SOCKET, SO_ERROR, &error, &len);
	return error == 0 || error_set_errno(err, error, "nobody answers");
}

static bool send_all(struct talk *talk, const char *text, struct error *err)
{
	size_t len = strlen(text), at = 0;

	while (at < len) {
		ssize_t sent = send(talk->fd, text + at, len - at, MSG_NOSIGNAL);

		if (sent > 0)
			at += (size_t)sent;
		else if (errno != EAGAIN && errno != EINTR)
			return error_set_errno(err, errno, "it does not listen");
		else if (!await(talk, POLLOUT, err))
			return false;
	}
	return true;
}

static bool receive_all(struct talk *talk, struct error *err)
{
	for (;;) {
		ssize_t got;

		if (talk->in_len > STATUS_CLIENT_BYTES)
			return error_set(err, "it sends too much");
		talk->in = mem_realloc(talk->in, talk->in_len + PIECE_BYTES + 1);
		got = recv(talk->fd, talk->in + talk->in_len, PIECE_BYTES, 0);
		if (got == 0)
			break;
		if (got > 0)
			talk->in_len += (size_t)got;
		else if (errno != EAGAIN && errno != EINTR)
			return error_set_errno(err, errno, "the answer cannot be read");
		else if (!await(talk, POLLIN, err))
			return false;
	}
	talk->in[talk->in_len] = '\0';
	return true;
}

/* "HTTP/1.1 200 …", headers with their Content-Length, an empty line. */
static bool take_apart(const struct talk *talk, unsigned *status, char **body, struct error *err)
{
	const char *in = talk->in, *blank, *length;
	unsigned long promised;

	blank = strstr(in, "\r\n\r\n");
	if (blank == NULL || strncmp(in, "HTTP/1.1 ", 9) != 0)
		return error_set(err, "what answers there is no midrelay");
	*status = (unsigned)strtoul(in + 9, NULL, 10);
	length = strstr(in, "\r\nContent-Length: ");
	promised = length != NULL && length < blank ? strtoul(length + 18, NULL, 10) : 0;
	if (promised != talk->in_len - (size_t)(blank + 4 - in))
		return error_set(err, "the answer is not whole");
	*body = mem_strndup(blank + 4, promised);
	return true;
}

bool status_client_get(const struct addr *addr, const char *path, unsigned *status, char **body, struct error *err)
{
	struct talk talk = {.fd = -1, .deadline_ms = loop_now_ms() + STATUS_CLIENT_MS};
	char *request = mem_printf("GET %s HTTP/1.1\r\nHost: localhost\r\nUser-Agent: midrelay/%s\r\n"
	    "Connection: close\r\n\r\n", path, PACKAGE_VERSION);
	bool ok = dial(&talk, addr, err) && send_all(&talk, request, err) && receive_all(&talk, err) &&
	    take_apart(&talk, status, body, err);

	free(request);
	free(talk.in);
	if (talk.fd >= 0)
		close(talk.fd);
	return ok;
}
