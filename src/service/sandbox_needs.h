/*
 * sandbox_needs: what a configuration needs of files and TCP ports; internal to sandbox.
 *
 * Landlock's rules bind inodes, and a renewal renames a new file over the old one: what is needed is the
 * directory of a file, and of everything that a link on the way to it leads to.
 */
#ifndef MIDRELAY_SERVICE_SANDBOX_NEEDS_H
#define MIDRELAY_SERVICE_SANDBOX_NEEDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/config.h"

/* Bits: what is done with a place. */
enum sandbox_access {
	SANDBOX_READ = 1,    /* files and directories */
	SANDBOX_SOCKETS = 2, /* UNIX sockets are made and removed in it */
	SANDBOX_DEVICE = 4,  /* a device or a socket that is opened for reading and writing */
	SANDBOX_KEEP = 8,    /* files are made, written and renamed in it */
};

/* A file or directory that gets a rule; one that is not there gets none. */
struct sandbox_place {
	char *path;
	unsigned access; /* enum sandbox_access */
};

/* A file that is read, as the configuration names it. */
struct sandbox_file {
	char *path;
	const char *key; /* static; NULL: the configuration itself */
	unsigned line;
	unsigned access;
};

struct sandbox_port {
	uint16_t port;
	bool binds;      /* else: is connected to */
	const char *key; /* static; NULL: not of the configuration */
	unsigned line;
	const struct addr *addr; /* that is bound; borrowed */
};

struct sandbox_needs {
	struct sandbox_place *places;
	size_t place_count;
	struct sandbox_file *files;
	size_t file_count;
	struct sandbox_port *ports;
	size_t port_count;
	unsigned module_line; /* client_key is behind a module whose needs nobody knows; 0: none is */
};

/* Whatever the configuration, `faulty` or not.  The configuration outlives it. */
void sandbox_needs_collect(struct sandbox_needs *needs, const struct config *config);
/* The status endpoint, which stays where it is over reloads. */
void sandbox_needs_add_status(struct sandbox_needs *needs, const struct config_process *process);
void sandbox_needs_clear(struct sandbox_needs *needs);

/* What the name service, OpenSSL and the C library read, whatever the configuration. */
void sandbox_needs_add_system(struct sandbox_needs *needs);

/*
 * The rules for a file: its directory, and that of every link on the way.  Where a directory would open
 * what must stay shut (sandbox_needs_is_too_wide), the file alone.
 */
void sandbox_needs_open_file(struct sandbox_needs *needs, const char *path);
/* "/", and what lies above /etc/shadow where this process may read that. */
bool sandbox_needs_is_too_wide(const char *directory);

#endif
