/* listen: see listen.h. */
#include "relay/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/manager.h"
#include "base/mem.h"
#include "base/unix_socket.h"
#include "dial/connect.h"


static bool bind_unix(struct listen_socket *sock, struct error *err)
{
	struct unix_socket_file file;

	if (!unix_socket_bind(sock->fd, &sock->wanted, sock->mode, &file, err))
		return false;
	sock->dev = file.dev;
	sock->ino = file.ino;
	return true;
}

static bool bind_tcp(struct listen_socket *sock, struct error *err)
{
	char text[ADDR_TEXT_BYTES];
	int one = 1;

	setsockopt(sock->fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* What is set on a listening socket every accepted one has from its birth, without a system call (tcp(7)). */
	connect_tune(sock->fd, sock->relay->keepalive_ms);
	if (sock->wanted.u.sa.sa_family == AF_INET6)
		setsockopt(sock->fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	if (bind(sock->fd, &sock->wanted.u.sa, sock->wanted.len) != 0)
		return error_set_errno(err, errno, "cannot listen at %s", addr_format(&sock->wanted, text));
	return true;
}

/* ---- sockets of the service manager ---- */

static bool is_stream_listener(int fd)
{
	int type = 0, accepts = 0;
	socklen_t len = sizeof(int);

	return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) == 0 && type == SOCK_STREAM &&
	    getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepts, &len) == 0 && accepts != 0;
}

/* The same rules as for an address in the configuration. */
static bool take_socket(struct listen_socket *sock, struct error *err)
{
	char text[ADDR_TEXT_BYTES];

	sock->bound.len = sizeof(sock->bound.u);
	if (!is_stream_listener(sock->fd) || getsockname(sock->fd, &sock->bound.u.sa, &sock->bound.len) != 0)
		return error_set(err, "systemd:%s is not a listening stream socket (ListenStream=, Accept=no)",
		    sock->systemd);
	if (!addr_is_loopback(&sock->bound) && !sock->relay->allow_nonlocal)
		return error_set(err, "systemd:%s listens at %s, which is not a loopback address; other hosts may "
		    "connect there only with allow_nonlocal = yes and an allow_address", sock->systemd,
		    addr_format(&sock->bound, text));
	if (!addr_is_loopback(&sock->bound) && sock->relay->allow_address_count == 0)
		return error_set(err, "systemd:%s listens at %s, which is not a loopback address; allow_address must "
		    "say who may connect", sock->systemd, addr_format(&sock->bound, text));
	sock->wanted = sock->bound;
	fcntl(sock->fd, F_SETFL, fcntl(sock->fd, F_GETFL) | O_NONBLOCK);
	if (sock->bound.u.sa.sa_family != AF_UNIX)
		connect_tune(sock->fd, sock->relay->keepalive_ms);
	return true;
}

static void append(struct listen_list *list, const struct listen_socket *sock)
{
	list->sockets = mem_realloc(list->sockets, (list->count + 1) * sizeof(*list->sockets));
	list->sockets[list->count++] = *sock;
}

/* A unit may pass several sockets under one name. */
static void add_passed(struct listen_list *list, const struct config_listen *listen,
    const struct config_relay *relay, size_t relay_index, struct config_report *report)
{
	struct listen_socket sock = {.systemd = listen->systemd, .relay = relay, .relay_index = relay_index};
	const char *names = manager_socket_names();
	struct error err;
	size_t next = 0, found = 0;

	while ((sock.fd = manager_socket(listen->systemd, &next)) >= 0) {
		found++;
		if (take_socket(&sock, &err))
			append(list, &sock);
		else
			config_report_fault(report, listen->line, "listen: %s", err.text);
	}
	if (found == 0)
		config_report_fault(report, listen->line, "listen: no socket was passed to midrelay under the name "
		    "\"%s\" (%s%s); a socket unit passes it with FileDescriptorName=%s", listen->systemd,
		    *names != '\0' ? "there are: " : "there is none at all", names, listen->systemd);
}

static void unlink_ours(const struct listen_socket *sock)
{
	const struct unix_socket_file file = {sock->dev, sock->ino};

	if (sock->wanted.u.sa.sa_family == AF_UNIX)
		unix_socket_unlink(&sock->wanted, &file);
}

/* Nobody can come to it any more. */
static bool is_cut_off(const struct listen_socket *sock)
{
	const struct unix_socket_file file = {sock->dev, sock->ino};

	return sock->wanted.u.sa.sa_family == AF_UNIX && unix_socket_is_gone(&sock->wanted, &file);
}

static bool open_socket(struct listen_socket *sock, struct error *err)
{
	bool is_unix = sock->wanted.u.sa.sa_family == AF_UNIX;

	sock->fd = socket(sock->wanted.u.sa.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (sock->fd < 0)
		return error_set_errno(err, errno, "socket");
	if (!(is_unix ? bind_unix(sock, err) : bind_tcp(sock, err)))
		goto fail;
	sock->bound = sock->wanted;
	sock->bound.len = sizeof(sock->bound.u);
	if (listen(sock->fd, LISTEN_BACKLOG) != 0 || getsockname(sock->fd, &sock->bound.u.sa, &sock->bound.len) != 0) {
		error_set_errno(err, errno, "listen");
		goto fail;
	}
	return true;
fail:
	unlink_ours(sock);
	close(sock->fd);
	sock->fd = -1;
	return false;
}

/*
 * Port 0 may be wanted several times; each has its own socket.  A port that the kernel chose may be named in the new
 * configuration.
 */
static struct listen_socket *find_unclaimed(const struct listen_list *old, const struct listen_list *list,
    const struct listen_socket *like)
{
	size_t i, j;

	for (i = 0; old != NULL && i < old->count; i++) {
		struct listen_socket *sock = &old->sockets[i];
		bool claimed = false;

		if (sock->fd < 0 || sock->systemd != NULL ||
		    !(addr_equal(&sock->wanted, &like->wanted) || addr_equal(&sock->bound, &like->wanted)))
			continue;
		for (j = 0; j < list->count; j++)
			claimed = claimed || list->sockets[j].fd == sock->fd;
		if (!claimed)
			return sock;
	}
	return NULL;
}

/* Whether it is our own listener, which stays until the reload has succeeded, that is in the way. */
static bool is_in_our_way(const struct listen_list *old, const struct addr *wanted)
{
	size_t i;

	for (i = 0; old != NULL && wanted->u.sa.sa_family != AF_UNIX && i < old->count; i++) {
		const struct addr *bound = &old->sockets[i].bound;

		if (bound->u.sa.sa_family == wanted->u.sa.sa_family && addr_port(bound) == addr_port(wanted) &&
		    (addr_is_wildcard(bound) || addr_is_wildcard(wanted)))
			return true;
	}
	return false;
}

static void add_socket(struct listen_list *list, const struct config_listen *listen, const struct config *config,
    size_t relay_index, const struct listen_list *old, struct config_report *report)
{
	const struct config_relay *relay = &config->relays[relay_index];
	struct listen_socket sock = {.wanted = listen->addr, .fd = -1, .mode = relay->listen_mode, .relay = relay,
	    .relay_index = relay_index, .tls = listen->tls};
	const struct listen_socket *kept;
	struct error err;

	if (listen->systemd != NULL) {
		add_passed(list, listen, relay, relay_index, report);
		return;
	}
	kept = find_unclaimed(old, list, &sock);
	if (kept != NULL && is_cut_off(kept)) {
		if (open_socket(&sock, &err))
			kept = NULL;
		else /* of use to nobody, but no reason to keep old certificates */
			config_report_note(report, listen->line, "listen: nobody can connect any more, for the socket's file was "
			    "removed, and no new one can be made: %s", err.text);
	}
	if (kept != NULL) {
		sock = *kept;
		sock.wanted = listen->addr;
		sock.kept = true;
		sock.relay = relay;
		sock.relay_index = relay_index;
		sock.tls = listen->tls;
		sock.mode = relay->listen_mode;
	} else if (sock.fd < 0 && !open_socket(&sock, &err)) {
		config_report_fault(report, listen->line, "listen: %s%s", err.text, is_in_our_way(old, &sock.wanted) ?
		    " (by midrelay's own listener: from all addresses to one, or back, takes a restart)" : "");
		return;
	}
	append(list, &sock);
}

bool listen_list_open(struct listen_list *list, const struct config *config, const struct listen_list *old,
    struct config_report *report)
{
	size_t faults = report->fault_count, i, j;

	memset(list, 0, sizeof(*list));
	for (i = 0; i < config->relay_count; i++) {
		for (j = 0; j < config->relays[i].listen_count; j++)
			add_socket(list, &config->relays[i].listens[j], config, i, old, report);
	}
	if (report->fault_count == faults)
		return true;
	listen_list_close(list);
	return false;
}

size_t listen_list_retire(struct listen_list *old, struct listen_list *list, int **fds)
{
	size_t count = 0, i, j;

	*fds = mem_calloc(old->count, sizeof(**fds));
	for (i = 0; i < old->count; i++) {
		bool kept = false, anew = false;

		for (j = 0; j < list->count; j++) {
			kept = kept || list->sockets[j].fd == old->sockets[i].fd;
			anew = anew || addr_equal(&list->sockets[j].wanted, &old->sockets[i].wanted);
		}
		if (kept || old->sockets[i].systemd != NULL)
			continue;
		/* A file that was made anew may have the number of the one that was removed. */
		if (!anew)
			unlink_ours(&old->sockets[i]);
		(*fds)[count++] = old->sockets[i].fd;
	}
	for (j = 0; j < list->count; j++) {
		struct listen_socket *sock = &list->sockets[j];

		/* listen_mode and keepalive may have changed; a failure leaves the old mode, which was good enough so far. */
		if (sock->kept && sock->wanted.u.sa.sa_family != AF_UNIX)
			connect_tune(sock->fd, sock->relay->keepalive_ms);
		else if (sock->kept && !is_cut_off(sock) && chmod(sock->wanted.u.un.sun_path, sock->mode) != 0)
			sock->mode = 0;
		sock->kept = false;
	}
	free(old->sockets);
	memset(old, 0, sizeof(*old));
	return count;
}

void listen_list_close(struct listen_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (list->sockets[i].kept || list->sockets[i].systemd != NULL)
			continue;
		unlink_ours(&list->sockets[i]);
		close(list->sockets[i].fd);
	}
	free(list->sockets);
	memset(list, 0, sizeof(*list));
}
