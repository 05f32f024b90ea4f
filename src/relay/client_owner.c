/* client_owner: see client_owner.h.  Answers for one look-up in the kernel's socket table, and for its doubts. */
#include "relay/client_owner.h"

#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

struct client_owner {
	int netlink; /* -1: could not be opened, or broke */
	uint32_t last_request;
	/* How the kernel shows an account that our user namespace has no number for; UID_MAX: it knows all. */
	uid_t unknown_uid;
};

#define NO_UID ((uid_t)-1)

/* In a user namespace that does not map every account, one number stands for all the others. */
static uid_t find_unknown_uid(void)
{
	unsigned long inside = 1, outside = 0, count = 0, unknown = 65534;
	FILE *file = fopen("/proc/self/uid_map", "re");
	bool all;

	all = file == NULL || (fscanf(file, "%lu %lu %lu", &inside, &outside, &count) == 3 && inside == 0 &&
	    outside == 0 && count >= UINT32_MAX);
	if (file != NULL)
		fclose(file);
	if (all)
		return NO_UID;
	file = fopen("/proc/sys/kernel/overflowuid", "re");
	if (file == NULL)
		return (uid_t)unknown;
	if (fscanf(file, "%lu", &inside) == 1)
		unknown = inside;
	fclose(file);
	return (uid_t)unknown;
}

static int open_netlink(void)
{
	return socket(AF_NETLINK, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_SOCK_DIAG);
}

struct client_owner *client_owner_new(void)
{
	struct client_owner *owner = mem_calloc(1, sizeof(*owner));

	owner->netlink = open_netlink();
	owner->unknown_uid = find_unknown_uid();
	return owner;
}

void client_owner_free(struct client_owner *owner)
{
	if (owner == NULL)
		return;
	if (owner->netlink >= 0)
		close(owner->netlink);
	free(owner);
}

static bool set_place(const struct addr *addr, __be32 words[4], __be16 *port)
{
	switch (addr->u.sa.sa_family) {
	case AF_INET:
		memcpy(words, &addr->u.in4.sin_addr, sizeof(addr->u.in4.sin_addr));
		*port = addr->u.in4.sin_port;
		return true;
	case AF_INET6:
		memcpy(words, &addr->u.in6.sin6_addr, sizeof(addr->u.in6.sin6_addr));
		*port = addr->u.in6.sin6_port;
		return true;
	default:
		return false;
	}
}

/* The client's socket: its own address is our peer's, and its peer's is ours. */
static bool ask(struct client_owner *owner, int fd, const struct addr *peer, struct error *err)
{
	struct {
		struct nlmsghdr head;
		struct inet_diag_req_v2 body;
	} request = {
	    .head = {.nlmsg_len = sizeof(request), .nlmsg_type = SOCK_DIAG_BY_FAMILY,
		.nlmsg_flags = NLM_F_REQUEST, .nlmsg_seq = ++owner->last_request},
	    .body = {.sdiag_family = (uint8_t)peer->u.sa.sa_family, .sdiag_protocol = IPPROTO_TCP,
		.idiag_states = ~0U,
		.id.idiag_cookie = {INET_DIAG_NOCOOKIE, INET_DIAG_NOCOOKIE}},
	};
	struct addr own = {.len = sizeof(own.u)};

	if (getsockname(fd, &own.u.sa, &own.len) != 0)
		return error_set_errno(err, errno, "its own address");
	if (!set_place(peer, request.body.id.idiag_src, &request.body.id.idiag_sport) ||
	    !set_place(&own, request.body.id.idiag_dst, &request.body.id.idiag_dport))
		return error_set(err, "an address of an unknown family");
	if (owner->netlink < 0)
		owner->netlink = open_netlink();
	if (owner->netlink < 0 || send(owner->netlink, &request, sizeof(request), 0) != (ssize_t)sizeof(request))
		return error_set_errno(err, errno, "sock_diag");
	return true;
}

static bool read_answer(const struct client_owner *owner, struct nlmsghdr *head, size_t len, uid_t *uid,
    struct error *err)
{
	const struct inet_diag_msg *found = NLMSG_DATA(head);
	const struct nlmsgerr *refused = NLMSG_DATA(head);

	if (head->nlmsg_type == NLMSG_ERROR && head->nlmsg_len >= NLMSG_LENGTH(sizeof(*refused)))
		return error_set_errno(err, -refused->error, "the kernel's socket table (sock_diag)");
	if (head->nlmsg_type != SOCK_DIAG_BY_FAMILY || head->nlmsg_len < NLMSG_LENGTH(sizeof(*found)) ||
	    head->nlmsg_len > len)
		return error_set(err, "an answer of sock_diag that is none");
	if (found->idiag_state != TCP_ESTABLISHED || found->idiag_inode == 0)
		return error_set(err, "its client has closed it already");
	if (found->idiag_uid == owner->unknown_uid)
		return error_set(err, "its client's account has no number in this user namespace");
	*uid = found->idiag_uid;
	return true;
}

static bool find_tcp(struct client_owner *owner, int fd, const struct addr *peer, uid_t *uid, struct error *err)
{
	_Alignas(struct nlmsghdr) unsigned char buf[2048];
	struct nlmsghdr *head = (void *)buf;
	ssize_t len;

	if (!ask(owner, fd, peer, err))
		goto fail;
	/* The kernel has answered before send() returns.  What answers an earlier question is thrown away. */
	do {
		len = recv(owner->netlink, buf, sizeof(buf), 0);
	} while ((len < 0 && errno == EINTR) ||
	    (len >= (ssize_t)sizeof(*head) && head->nlmsg_seq != owner->last_request));
	if (len < (ssize_t)sizeof(*head)) {
		error_set_errno(err, len < 0 ? errno : EPROTO, "sock_diag");
		goto fail;
	}
	return read_answer(owner, head, (size_t)len, uid, err);
fail:
	if (owner->netlink >= 0)
		close(owner->netlink);
	owner->netlink = -1;
	return false;
}

bool client_owner_find(struct client_owner *owner, int fd, const struct addr *peer, uid_t *uid,
    struct error *err)
{
	struct ucred cred;
	socklen_t len = sizeof(cred);

	if (peer->u.sa.sa_family != AF_UNIX)
		return find_tcp(owner, fd, peer, uid, err);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) != 0)
		return error_set_errno(err, errno, "SO_PEERCRED");
	if (cred.uid == NO_UID || cred.uid == owner->unknown_uid)
		return error_set(err, "its client's account has no number in this user namespace");
	*uid = cred.uid;
	return true;
}

bool client_owner_is_allowed(const struct config_relay *relay, uid_t uid)
{
	size_t i;

	for (i = 0; i < relay->allow_user.count; i++) {
		if (relay->allow_uids[i] == uid)
			return true;
	}
	return relay->allow_user.count == 0;
}

/* The file alone: a name service may take seconds, and this is a worker's loop. */
static bool find_name(uid_t uid, char *name, size_t name_bytes)
{
	struct passwd entry, *found;
	char buf[2048];
	FILE *file = fopen("/etc/passwd", "re");
	bool known = false;

	if (file == NULL)
		return false;
	while (!known && fgetpwent_r(file, &entry, buf, sizeof(buf), &found) == 0) {
		known = entry.pw_uid == uid;
		if (known)
			text_escape(entry.pw_name, strlen(entry.pw_name), name, name_bytes);
	}
	fclose(file);
	return known;
}

const char *client_owner_text(uid_t uid, char text[CLIENT_OWNER_TEXT_BYTES])
{
	char name[64];

	if (find_name(uid, name, sizeof(name)))
		snprintf(text, CLIENT_OWNER_TEXT_BYTES, "uid %lu (%s)", (unsigned long)uid, name);
	else
		snprintf(text, CLIENT_OWNER_TEXT_BYTES, "uid %lu", (unsigned long)uid);
	return text;
}
