/* check_local: see check_local.h. */
#include "check/check_local.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "check/check_draft.h"
#include "check/check_owner.h"

#define DAY_S (24 * 60 * 60)

/* Where items go. */
struct place {
	struct check_report *report;
	const struct relay_route *route;
	const struct config_report *loaded;
};

static struct check_item *PRINTF_LIKE(5, 6) add_item(const struct place *place, const char *what,
    const char *subject, enum check_outcome outcome, const char *fmt, ...)
{
	struct check_item *item = check_report_add_item(place->report);
	va_list ap;

	item->relay = mem_strdup(place->report->file != NULL ?
	    place->route->config->name : place->route->target_text);
	item->what = what;
	item->outcome = outcome;
	text_escape(subject, strlen(subject), item->subject, sizeof(item->subject));
	va_start(ap, fmt);
	vsnprintf(item->seen, sizeof(item->seen), fmt, ap);
	va_end(ap);
	return item;
}

static void PRINTF_LIKE(2, 3) set_remedy(struct check_item *item, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(item->remedy, sizeof(item->remedy), fmt, ap);
	va_end(ap);
}

/* ---- files ---- */

/* What was noted about this key while the set was built, each as an item of its own. */
static void add_notes(const struct place *place, const char *key, const char *file)
{
	unsigned line = config_relay_line(place->route->config, key);
	size_t key_len = strlen(key), file_len = strlen(file), i;

	for (i = 0; i < place->loaded->note_count; i++) {
		const struct config_fault *note = &place->loaded->notes[i];
		const char *text = note->text, *remedy;
		struct check_item *item;

		if (note->line != line || strncmp(text, key, key_len) != 0 || strncmp(text + key_len, ": ",
		    2) != 0)
			continue;
		text += key_len + 2;
		if (strncmp(text, file, file_len) == 0 && strncmp(text + file_len, ": ", 2) == 0)
			text += file_len + 2;
		/* "what is wrong; what to do" */
		remedy = strstr(text, "; ");
		item = add_item(place, key, file, CHECK_WARNED, "%.*s", remedy != NULL ?
		    (int)(remedy - text) :
		    CHECK_TEXT_BYTES - 1, text);
		if (remedy != NULL)
			set_remedy(item, "%s", remedy + 2);
	}
}

static void add_end(const struct place *place, const char *key, const char *file, const struct cert_end *end)
{
	int64_t warning_s = place->route->set->config->process.expiry_warning_ms / 1000;
	int64_t left_s = end->not_after - (int64_t)time(NULL);
	time_t not_after = (time_t)end->not_after;
	struct check_item *item;
	char when[32] = "";
	struct tm tm;

	if (gmtime_r(&not_after, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	if (left_s < 0) {
		item = add_item(place, key, file, CHECK_FAILED, "the %s certificate (%.120s) ended at %s",
		    cert_role_name(end->role), end->subject, when);
		set_remedy(item, "renew it: upload the new one, wait until it is Active, then replace "
		    "the file");
	} else if (left_s < warning_s) {
		item = add_item(place, key, file, CHECK_WARNED, "the %s certificate (%.120s) ends in %d "
		    "days, at %s", cert_role_name(end->role), end->subject, (int)(left_s / DAY_S), when);
		set_remedy(item, "renew it: upload the new one, wait until it is Active, then replace "
		    "the file");
	} else if (end->role == CERT_LEAF) {
		(void)add_item(place, key, file, CHECK_PASSED, "%.140s, ends in %d days, at %s", end->subject,
		    (int)(left_s / DAY_S), when);
	}
}

static void check_files(const struct place *place)
{
	const struct config_relay *relay = place->route->config;
	bool bundle = relay->client_bundle != NULL;
	const char *key = bundle ? "client_bundle" : "client_cert";
	const char *file = bundle ? relay->client_bundle : relay->client_cert;
	const struct cert_end *ends;
	size_t count, i;

	ends = identity_ends(place->route->identity, &count);
	for (i = 0; i < count; i++)
		add_end(place, key, file, &ends[i]);
	if (file != NULL)
		add_notes(place, key, file);
	if (relay->trust != NULL) {
		(void)add_item(place, "trust", relay->trust, CHECK_PASSED,
		    "read; the server must chain to it");
		add_notes(place, "trust", relay->trust);
	}
	if (relay->crl_file != NULL) {
		(void)add_item(place, "crl_file", relay->crl_file, CHECK_PASSED, "read");
		add_notes(place, "crl_file", relay->crl_file);
	}
}

/* What clients of tls:// get to see. */
static void check_listen_cert(const struct place *place)
{
	const struct config_relay *relay = place->route->config;
	const struct local_identity *local = place->route->local;
	bool made = config_relay_makes_cert(relay);
	const struct cert_end *ends;
	size_t count, i;

	if (relay->listen_cert == NULL)
		return;
	if (local == NULL) {
		(void)add_item(place, "listen_cert", relay->listen_cert, CHECK_PASSED,
		    "the local CA is made at the first start of `midrelay run`");
		return;
	}
	ends = local_identity_ends(local, &count);
	if (made)
		(void)add_item(place, "listen_cert", relay->listen_cert, CHECK_PASSED, "%.140s, in its file",
		    ends[0].subject);
	for (i = 0; i < count; i++)
		add_end(place, "listen_cert", relay->listen_cert, &ends[i]);
	add_notes(place, "listen_cert", relay->listen_cert);
	if (relay->listen_client_ca != NULL)
		(void)add_item(place, "listen_client_ca", relay->listen_client_ca, CHECK_PASSED,
		    "read; clients of tls:// must show a certificate of it");
}

/* ---- listen addresses ---- */

static void add_owned(const struct place *place, const char *subject, const struct check_owner *owner)
{
	struct check_item *item;

	if (owner->is_midrelay) {
		(void)add_item(place, "listen", subject, CHECK_PASSED,
		    "a running midrelay (pid %d) listens there", (int)owner->pid);
	} else if (owner->pid != 0) {
		item = add_item(place, "listen", subject, CHECK_FAILED, "taken by %s (pid %d)",
		    owner->command, (int)owner->pid);
		set_remedy(item, "stop that program, or give this relay another address");
	} else {
		item = add_item(place, "listen", subject, CHECK_WARNED,
		    "in use; by whom cannot be told as this user");
		set_remedy(item, "run check as root, or as the user that midrelay runs as, to see who "
		    "listens there");
	}
}

static void check_tcp(const struct place *place, const struct addr *addr, const char *subject)
{
	int fd = socket(addr->u.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1, error;
	struct check_owner owner;
	struct check_item *item;

	if (fd < 0) {
		(void)add_item(place, "listen", subject, CHECK_FAILED, "%s", strerror(errno));
		return;
	}
	/* As the listener does it: connections that ended lately are no hindrance, a listener is. */
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (addr->u.sa.sa_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one));
	error = bind(fd, &addr->u.sa, addr->len) == 0 ? 0 : errno;
	close(fd);
	switch (error) {
	case 0:
		(void)add_item(place, "listen", subject, CHECK_PASSED, "%s", addr_port(addr) == 0 ?
		    "the kernel chooses a port" : "free");
		break;
	case EADDRINUSE:
		check_owner_find(addr, &owner);
		add_owned(place, subject, &owner);
		break;
	case EACCES:
		item = add_item(place, "listen", subject, CHECK_WARNED, "this user may not bind port %u",
		    addr_port(addr));
		set_remedy(item, "start midrelay as root with user = NAME, with CAP_NET_BIND_SERVICE, or "
		    "take a port above 1023");
		break;
	default:
		item = add_item(place, "listen", subject, CHECK_FAILED, "%s", strerror(error));
		set_remedy(item, error == EADDRNOTAVAIL ? "no interface of this host has that address: give "
		    "listen one that is its own" :
		    "give this relay another address");
	}
}

static void check_unix(const struct place *place, const struct addr *addr, const char *subject)
{
	const char *path = addr->u.un.sun_path;
	struct check_owner owner;
	struct check_item *item;
	struct stat st;

	if (lstat(path, &st) != 0) {
		int error = errno;

		if (error == ENOENT) {
			char *directory = mem_strdup(path), *slash = strrchr(directory, '/');

			slash[slash == directory] = '\0';
			if (stat(directory, &st) == 0)
				error = 0;
			free(directory);
		}
		if (error == 0) {
			(void)add_item(place, "listen", subject, CHECK_PASSED, "free");
		} else {
			item = add_item(place, "listen", subject, CHECK_FAILED, "%s", strerror(error));
			set_remedy(item, "make its directory, for the user that midrelay runs as");
		}
		return;
	}
	if (!S_ISSOCK(st.st_mode)) {
		item = add_item(place, "listen", subject, CHECK_FAILED,
		    "a file that is no socket is in the way");
		set_remedy(item, "remove it, or give this relay another address");
		return;
	}
	check_owner_find(addr, &owner);
	if (owner.listens)
		add_owned(place, subject, &owner);
	else
		(void)add_item(place, "listen", subject, CHECK_PASSED,
		    "free (a socket that was left behind will be replaced)");
}

static void check_listens(const struct place *place)
{
	const struct config_relay *relay = place->route->config;
	char subject[ADDR_TEXT_BYTES + 8], text[ADDR_TEXT_BYTES];
	size_t i;

	for (i = 0; i < relay->listen_count; i++) {
		const struct addr *addr = &relay->listens[i].addr;

		if (relay->listens[i].systemd != NULL) /* the service manager's, whose unit knows the address */
			continue;
		snprintf(subject, sizeof(subject), "%s%s", relay->listens[i].tls ? "tls://" : "",
		    addr_format(addr, text));
		if (addr->u.sa.sa_family == AF_UNIX)
			check_unix(place, addr, subject);
		else
			check_tcp(place, addr, subject);
	}
}

/* Every rule has a relay of its own; without a configuration those of one target name the same files. */
static bool drafted_before(const struct relay_set *set, size_t at)
{
	size_t i;

	for (i = 0; i < at; i++)
		if (strcmp(set->routes[i].target_text, set->routes[at].target_text) == 0)
			return true;
	return false;
}

void check_local(struct check_report *report, const struct relay_set *set, const struct config_report *loaded,
    char *const *relays, size_t relay_count)
{
	size_t i, j;

	for (i = 0; i < set->route_count; i++) {
		struct place place = {report, &set->routes[i], loaded};
		bool named = relay_count == 0;

		for (j = 0; j < relay_count; j++)
			named = named || strcmp(relays[j], set->routes[i].config->name) == 0;
		if (!named ||
		    (report->file != NULL ? check_draft_added(set->routes[i].config) : drafted_before(set, i)))
			continue;
		check_files(&place);
		check_listen_cert(&place);
		if (report->file != NULL)
			check_listens(&place);
	}
}
