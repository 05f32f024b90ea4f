/*
 * check_owner: see check_owner.h.  From address to socket by /proc/net (proc(5)), from socket to process by
 * /proc/PID/fd.
 */
#include "check/check_owner.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/text.h"

#define LISTENING 0x0A /* TCP_LISTEN, include/net/tcp_states.h */
#define UNIX_ACCEPTS 0x10000 /* __SO_ACCEPTCON, include/uapi/linux/net.h */

/* "0100007F:1F90": each 32-bit word of the address as this machine reads it. */
static bool parse_tcp(const char *text, struct addr *addr)
{
	size_t digits = strcspn(text, ":"), i;
	unsigned words[4], port;

	memset(addr, 0, sizeof(*addr));
	if ((digits != 8 && digits != 32) || sscanf(text + digits, ":%4x", &port) != 1)
		return false;
	for (i = 0; i < digits / 8; i++) {
		if (sscanf(text + 8 * i, "%8x", &words[i]) != 1)
			return false;
	}
	if (digits == 8) {
		addr->len = sizeof(addr->u.in4);
		addr->u.in4.sin_family = AF_INET;
		memcpy(&addr->u.in4.sin_addr, words, 4);
	} else {
		addr->len = sizeof(addr->u.in6);
		addr->u.in6.sin6_family = AF_INET6;
		memcpy(&addr->u.in6.sin6_addr, words, 16);
	}
	addr_set_port(addr, (uint16_t)port);
	return true;
}

static bool same_place(const struct addr *at, const struct addr *wanted)
{
	return addr_port(at) == addr_port(wanted) &&
	    (addr_equal(at, wanted) || addr_is_wildcard(at) || addr_is_wildcard(wanted));
}

/* The inode of the socket that listens there; 0: none. */
static unsigned long find_tcp(const char *table, const struct addr *wanted)
{
	FILE *file = fopen(table, "re");
	unsigned long found = 0, inode;
	char line[512], at[64];
	struct addr addr;
	unsigned state;

	if (file == NULL)
		return 0;
	while (found == 0 && fgets(line, sizeof(line), file) != NULL) {
		if (sscanf(line, " %*d: %63s %*s %x %*s %*s %*s %*s %*s %lu", at, &state, &inode) == 3 &&
		    state == LISTENING && parse_tcp(at, &addr) && same_place(&addr, wanted))
			found = inode;
	}
	fclose(file);
	return found;
}

static unsigned long find_unix(const char *path)
{
	FILE *file = fopen("/proc/net/unix", "re");
	unsigned long found = 0, flags, inode;
	char *line = NULL;
	size_t size = 0;
	int at;

	if (file == NULL)
		return 0;
	while (found == 0 && getline(&line, &size, file) > 0) {
		line[strcspn(line, "\n")] = '\0';
		at = 0;
		if (sscanf(line, "%*s %*s %*s %lx %*s %*s %lu %n", &flags, &inode, &at) == 2 && at > 0 &&
		    (flags & UNIX_ACCEPTS) != 0 && strcmp(line + at, path) == 0)
			found = inode;
	}
	free(line);
	fclose(file);
	return found;
}

static bool holds(const char *pid, const char *wanted)
{
	char path[300], link[64];
	struct dirent *entry;
	bool found = false;
	ssize_t len;
	DIR *fds;

	snprintf(path, sizeof(path), "/proc/%s/fd", pid);
	fds = opendir(path);
	if (fds == NULL)
		return false;
	while (!found && (entry = readdir(fds)) != NULL) {
		len = readlinkat(dirfd(fds), entry->d_name, link, sizeof(link) - 1);
		if (len <= 0)
			continue;
		link[len] = '\0';
		found = strcmp(link, wanted) == 0;
	}
	closedir(fds);
	return found;
}

static void name_process(const char *pid, struct check_owner *owner)
{
	char path[300], name[64] = "";
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	file = fopen(path, "re");
	if (file != NULL) {
		if (fgets(name, sizeof(name), file) != NULL)
			name[strcspn(name, "\n")] = '\0';
		fclose(file);
	}
	owner->pid = (pid_t)strtol(pid, NULL, 10);
	text_escape(name, strlen(name), owner->command, sizeof(owner->command));
	owner->is_midrelay = strcmp(name, "midrelay") == 0;
}

static void find_process(unsigned long inode, struct check_owner *owner)
{
	DIR *processes = opendir("/proc");
	char wanted[64];
	struct dirent *entry;

	snprintf(wanted, sizeof(wanted), "socket:[%lu]", inode);
	while (processes != NULL && owner->pid == 0 && (entry = readdir(processes)) != NULL) {
		if (entry->d_name[strspn(entry->d_name, "0123456789")] == '\0' && holds(entry->d_name,
		    wanted))
			name_process(entry->d_name, owner);
	}
	if (processes != NULL)
		closedir(processes);
}

void check_owner_find(const struct addr *addr, struct check_owner *owner)
{
	unsigned long inode;

	memset(owner, 0, sizeof(*owner));
	if (addr->u.sa.sa_family == AF_UNIX) {
		inode = find_unix(addr->u.un.sun_path);
	} else {
		inode = find_tcp("/proc/net/tcp", addr);
		if (inode == 0)
			inode = find_tcp("/proc/net/tcp6", addr);
	}
	owner->listens = inode != 0;
	if (inode != 0)
		find_process(inode, owner);
}
