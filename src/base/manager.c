/* manager: see manager.h. */
#include "base/manager.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"

#define FIRST_FD 3 /* SD_LISTEN_FDS_START */
#define MAX_SOCKETS 256
#define NAMES_BYTES 1024

struct manager {
	char *names[MAX_SOCKETS]; /* of the sockets from FIRST_FD on */
	size_t socket_count;
	char shown_names[NAMES_BYTES];
	int notify; /* -1: nobody listens */
	int64_t watchdog_ms;
};

static struct manager manager = {.notify = -1};

/* A variable with a number in it; false: it is not there, or is none. */
static bool take_number(const char *name, uint64_t max, uint64_t *number)
{
	const char *text = secure_getenv(name);

	return text != NULL && text_parse_uint(text, 0, max, number);
}

static void take_sockets(void)
{
	uint64_t pid, count;
	const char *names = secure_getenv("LISTEN_FDNAMES");
	char *copy, *rest, *name;
	size_t i, used = 0;

	if (!take_number("LISTEN_PID", INT32_MAX, &pid) || (pid_t)pid != getpid() ||
	    !take_number("LISTEN_FDS", MAX_SOCKETS, &count))
		return;
	rest = copy = mem_strdup(names != NULL ? names : "");
	for (i = 0; i < count; i++) {
		name = rest != NULL ? strsep(&rest, ":") : NULL;
		manager.names[i] = mem_strdup(name != NULL && *name != '\0' ? name : "unknown");
		fcntl(FIRST_FD + (int)i, F_SETFD, FD_CLOEXEC);
		if (used < sizeof(manager.shown_names))
			used += (size_t)snprintf(manager.shown_names + used, sizeof(manager.shown_names) - used, "%s%s",
			    i == 0 ? "" : ", ", manager.names[i]);
	}
	free(copy);
	manager.socket_count = count;
}

static void take_notify(void)
{
	const char *path = secure_getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	size_t len = path != NULL ? strlen(path) : 0;

	if (len < 2 || len >= sizeof(addr.sun_path) || (path[0] != '/' && path[0] != '@'))
		return;
	memcpy(addr.sun_path, path, len);
	if (path[0] == '@')
		addr.sun_path[0] = '\0';
	manager.notify = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (manager.notify >= 0 && connect(manager.notify, (const struct sockaddr *)&addr,
	    (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) != 0) {
		close(manager.notify);
		manager.notify = -1;
	}
}

static void take_watchdog(void)
{
	uint64_t pid, us;

	if (take_number("WATCHDOG_PID", INT32_MAX, &pid) && (pid_t)pid != getpid())
		return;
	if (take_number("WATCHDOG_USEC", INT64_MAX, &us) && us > 0)
		manager.watchdog_ms = us < 2000 ? 1 : (int64_t)us / 2000;
}

void manager_init(void)
{
	static const char *const variables[] = {
	    "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"};
	size_t i;

	take_sockets();
	take_notify();
	take_watchdog();
	for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++)
		unsetenv(variables[i]);
}

void manager_end(void)
{
	size_t i;

	for (i = 0; i < manager.socket_count; i++)
		free(manager.names[i]);
	if (manager.notify >= 0)
		close(manager.notify);
	manager = (struct manager){.notify = -1};
}

int manager_socket(const char *name, size_t *next)
{
	while (*next < manager.socket_count) {
		size_t i = (*next)++;

		if (strcmp(manager.names[i], name) == 0)
			return FIRST_FD + (int)i;
	}
	return -1;
}

const char *manager_socket_at(size_t number, int *fd)
{
	if (number >= manager.socket_count)
		return NULL;
	*fd = FIRST_FD + (int)number;
	return manager.names[number];
}

const char *manager_socket_names(void)
{
	return manager.shown_names;
}

bool manager_listens(void)
{
	return manager.notify >= 0;
}

bool manager_tell(const char *fmt, ...)
{
	char text[2048];
	va_list args;
	int len;

	if (manager.notify < 0)
		return false;
	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len >= (int)sizeof(text))
		len = (int)sizeof(text) - 1;
	return len > 0 && send(manager.notify, text, (size_t)len, MSG_NOSIGNAL) == len;
}

void manager_tell_reloading(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	(void)manager_tell("RELOADING=1\nMONOTONIC_USEC=%lld\nSTATUS=Reading the configuration and its files again",
	    (long long)now.tv_sec * 1000000 + now.tv_nsec / 1000);
}

int64_t manager_watchdog_ms(void)
{
	return manager.watchdog_ms;
}
