/*
 * client_owner: which account a client on this host runs as (allow_user).
 *
 * Of a UNIX socket SO_PEERCRED knows it.  Of TCP the kernel's socket table does: the other end of the connection
 * is a socket on this host, and sock_diag(7) looks it up by its addresses, at the same cost however many there
 * are.  An entry that is not ESTABLISHED, or without an inode, has no owner any more (it would read as uid 0):
 * such a client sent what it had and left, and is not known.
 *
 * Belongs to one loop.
 */
#ifndef MIDRELAY_RELAY_CLIENT_OWNER_H
#define MIDRELAY_RELAY_CLIENT_OWNER_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/addr.h"
#include "base/error.h"
#include "dial/relay_route.h"

struct client_owner;

struct client_owner *client_owner_new(void);
void client_owner_free(struct client_owner *owner); /* NULL is fine */

/* Who owns the other end of an accepted connection.  False: it cannot be told, see err. */
bool client_owner_find(struct client_owner *owner, int fd, const struct addr *peer, uid_t *uid,
    struct error *err) MUST_CHECK;

/* Whether allow_user lets this account in; everybody, where it is not set. */
bool client_owner_is_allowed(const struct config_relay *relay, uid_t uid);

/* "uid 1007 (mallory)", the name out of /etc/passwd where it stands there. */
#define CLIENT_OWNER_TEXT_BYTES 96
const char *client_owner_text(uid_t uid, char text[CLIENT_OWNER_TEXT_BYTES]);

#endif
