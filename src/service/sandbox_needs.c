/*
 * sandbox_needs: see sandbox_needs.h.
 *
 * Answers for what is needed.  What the system's libraries read is sandbox_system.c's; how it is enforced
 * sandbox_landlock.c's.
 */
#include "service/sandbox_needs.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "service/sandbox_system.h"
#include "tls/local_ca.h"
#include "tls/trust.h"

#define MAX_LINKS 40 /* as the kernel does (path_resolution(7)) */
#define MAX_DIR_ENTRIES 4096
#define DNS_PORT 53

/* ---- places ---- */

void sandbox_needs_add_place(struct sandbox_needs *needs, const char *path, unsigned access)
{
	size_t i;

	for (i = 0; i < needs->place_count; i++) {
		if (strcmp(needs->places[i].path, path) == 0) {
			needs->places[i].access |= access;
			return;
		}
	}
	needs->places = mem_realloc(needs->places, (needs->place_count + 1) * sizeof(*needs->places));
	needs->places[needs->place_count++] = (struct sandbox_place){mem_strdup(path), access};
}

bool sandbox_needs_is_too_wide(const char *directory)
{
	if (strcmp(directory, "/") == 0)
		return true;
	return strcmp(directory, "/etc") == 0 && eaccess("/etc/shadow", R_OK) == 0;
}

/* The directory of a path without its last name; the caller's. */
static char *directory_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (slash == NULL)
		return mem_strdup(".");
	return slash == path ? mem_strdup("/") : mem_strndup(path, (size_t)(slash - path));
}

static void open_directory_of(struct sandbox_needs *needs, const char *path)
{
	char *directory = directory_of(path), *real = realpath(directory, NULL);

	if (real != NULL && !sandbox_needs_is_too_wide(real))
		sandbox_needs_add_place(needs, real, SANDBOX_READ);
	free(real);
	free(directory);
}

/* Where the link leads, from where it lies; NULL: it is no link.  The caller's. */
static char *follow(const char *path)
{
	char target[PATH_MAX], *directory, *next;
	ssize_t len = readlink(path, target, sizeof(target) - 1);

	if (len <= 0)
		return NULL;
	target[len] = '\0';
	if (target[0] == '/')
		return mem_strdup(target);
	directory = directory_of(path);
	next = mem_printf("%s/%s", directory, target);
	free(directory);
	return next;
}

/*
 * A link in the middle of the path that chooses among its neighbours (Kubernetes' `..data`, a `current`
 * beside v1 and v2) will choose another one at the next renewal.  Not one that leads away, as /var/run
 * does.
 */
static void open_choices(struct sandbox_needs *needs, const char *path)
{
	char *prefix = mem_strdup(path), *slash, *real, *directory;
	struct stat st;

	while ((slash = strrchr(prefix, '/')) != NULL && slash != prefix) {
		*slash = '\0';
		if (lstat(prefix, &st) != 0 || !S_ISLNK(st.st_mode))
			continue;
		real = realpath(prefix, NULL);
		slash = strrchr(prefix, '/');
		directory = slash == NULL || slash == prefix ? NULL : mem_strndup(prefix, (size_t)(slash - prefix));
		if (real != NULL && directory != NULL && strncmp(real, directory, strlen(directory)) == 0 &&
		    real[strlen(directory)] == '/')
			open_directory_of(needs, prefix);
		free(directory);
		free(real);
	}
	free(prefix);
}

void sandbox_needs_add_port(struct sandbox_needs *needs, uint16_t port)
{
	needs->ports = mem_realloc(needs->ports, (needs->port_count + 1) * sizeof(*needs->ports));
	needs->ports[needs->port_count++] = (struct sandbox_port){.port = port};
}

void sandbox_needs_open_file(struct sandbox_needs *needs, const char *path)
{
	char *at = mem_strdup(path), *next, *real;
	int links;

	for (links = 0; at != NULL && links < MAX_LINKS; links++) {
		open_directory_of(needs, at);
		open_choices(needs, at);
		next = follow(at);
		free(at);
		at = next;
	}
	free(at);
	real = realpath(path, NULL);
	if (real != NULL) {
		/* Its directory may be too wide to be opened. */
		sandbox_needs_add_place(needs, real, SANDBOX_READ);
		open_directory_of(needs, real);
	}
	free(real);
}

/* ---- what the configuration names ---- */

static void need_file(struct sandbox_needs *needs, const char *path, const char *key, unsigned line)
{
	if (path == NULL)
		return;
	needs->files = mem_realloc(needs->files, (needs->file_count + 1) * sizeof(*needs->files));
	needs->files[needs->file_count++] = (struct sandbox_file){mem_strdup(path), key, line, SANDBOX_READ};
}

/* Of a directory of anchors, what the links in it lead to as well. */
static void need_trust(struct sandbox_needs *needs, const char *path, const char *key, unsigned line)
{
	DIR *dir = path == NULL ? NULL : opendir(path);
	struct dirent *entry;
	unsigned count = 0;
	char *file;

	need_file(needs, path, key, line);
	while (dir != NULL && count < MAX_DIR_ENTRIES && (entry = readdir(dir)) != NULL) {
		if (!trust_reads_name(entry->d_name))
			continue;
		count++;
		file = mem_printf("%s/%s", path, entry->d_name);
		need_file(needs, file, key, line);
		free(file);
	}
	if (dir != NULL)
		closedir(dir);
}

static void need_secret(struct sandbox_needs *needs, const char *ref, const char *key, unsigned line)
{
	char *file = ref == NULL ? NULL : secret_ref_file(ref);

	need_file(needs, file, key, line);
	free(file);
}

static void need_port(struct sandbox_needs *needs, uint16_t port, bool binds, const char *key, unsigned line)
{
	needs->ports = mem_realloc(needs->ports, (needs->port_count + 1) * sizeof(*needs->ports));
	needs->ports[needs->port_count++] = (struct sandbox_port){port, binds, key, line, NULL};
}

/* A TPM is a device, or what TPM2OPENSSL_TCTI says; of any other module nobody knows what it opens. */
static void need_key(struct sandbox_needs *needs, const struct config_relay *relay)
{
	unsigned line = config_relay_line(relay, "client_key");
	size_t i, first = needs->file_count;

	if (relay->client_key == NULL)
		return;
	if (!text_is_uri(relay->client_key)) {
		need_file(needs, relay->client_key, "client_key", line);
	} else if (strncasecmp(relay->client_key, "handle:", 7) == 0 || strncasecmp(relay->client_key, "object:", 7) == 0) {
		need_file(needs, "/dev/tpmrm0", "client_key", line);
		need_file(needs, "/dev/tpm0", "client_key", line);
		for (i = first; i < needs->file_count; i++)
			needs->files[i].access = SANDBOX_DEVICE;
	} else if (needs->module_line == 0) {
		needs->module_line = line;
	}
}

/* One that is listened at; `addr` stays as long as the configuration. */
static void need_address(struct sandbox_needs *needs, const struct addr *addr, const char *key, unsigned line)
{
	char *directory;

	if (addr->len == 0)
		return;
	if (addr->u.sa.sa_family != AF_UNIX) {
		need_port(needs, addr_port(addr), true, key, line);
		needs->ports[needs->port_count - 1].addr = addr;
		return;
	}
	directory = directory_of(addr->u.un.sun_path);
	need_file(needs, directory, key, line);
	needs->files[needs->file_count - 1].access = SANDBOX_SOCKETS;
	free(directory);
}

static void need_listens(struct sandbox_needs *needs, const struct config_relay *relay)
{
	size_t i;

	for (i = 0; i < relay->listen_count; i++) {
		const struct config_listen *listen = &relay->listens[i];

		if (listen->systemd == NULL)
			need_address(needs, &listen->addr, "listen", listen->line);
	}
}

/* What clients of tls:// are shown; the local CA is kept by ourselves. */
static void need_local_tls(struct sandbox_needs *needs, const struct config_relay *relay)
{
	unsigned line = config_relay_line(relay, "listen_cert");
	char *directory;

	need_file(needs, relay->listen_key, "listen_key", config_relay_line(relay, "listen_key"));
	need_trust(needs, relay->listen_client_ca, "listen_client_ca", config_relay_line(relay, "listen_client_ca"));
	if (!config_relay_makes_cert(relay)) {
		need_file(needs, relay->listen_cert, "listen_cert", line);
		return;
	}
	directory = local_ca_directory();
	need_file(needs, directory, "listen_cert", line);
	needs->files[needs->file_count - 1].access = SANDBOX_KEEP;
	free(directory);
}

/* Hosts that a client may CONNECT to: behind a proxy, its port is all there is to it. */
static void need_connect_allow(struct sandbox_needs *needs, const struct config_relay *relay)
{
	unsigned line = config_relay_line(relay, "connect_allow");
	struct hostport host = {0};
	struct error err;
	size_t i;

	for (i = 0; relay->mode == CONFIG_MODE_HTTP && i < relay->connect_allow.count; i++) {
		if (!hostport_parse(relay->connect_allow.items[i], 443, &host, &err))
			continue;
		need_port(needs, host.port, false, "connect_allow", line);
		hostport_clear(&host);
	}
}

static void need_path(struct sandbox_needs *needs, const struct config_relay *relay, const struct config_path *path)
{
	if (path->direct && relay->target.host != NULL)
		need_port(needs, relay->target.port, false, "target", config_relay_line(relay, "target"));
	if (path->direct)
		need_connect_allow(needs, relay);
	else if (path->proxy.host != NULL)
		need_port(needs, path->proxy.port, false, "proxy", path->line);
	need_secret(needs, path->password_ref, "the proxy's password", path->password_line);
	need_trust(needs, path->trust, "the proxy's trust", path->trust_line);
	need_file(needs, path->client_bundle, "the proxy's client_bundle", path->client_bundle_line);
}

static void need_relay(struct sandbox_needs *needs, const struct config_relay *relay)
{
	size_t i;

	need_file(needs, relay->client_bundle, "client_bundle", config_relay_line(relay, "client_bundle"));
	need_file(needs, relay->client_cert, "client_cert", config_relay_line(relay, "client_cert"));
	need_file(needs, relay->client_chain, "client_chain", config_relay_line(relay, "client_chain"));
	need_file(needs, relay->crl_file, "crl_file", config_relay_line(relay, "crl_file"));
	need_trust(needs, relay->trust, "trust", config_relay_line(relay, "trust"));
	need_secret(needs, relay->client_passphrase_ref, "client_passphrase",
	    config_relay_line(relay, "client_passphrase"));
	need_key(needs, relay);
	need_listens(needs, relay);
	need_local_tls(needs, relay);
	for (i = 0; i < relay->path_count; i++)
		need_path(needs, relay, &relay->paths[i]);
	/* The kernel chooses the port, but the address is bound. */
	if (relay->source_address != NULL)
		need_port(needs, 0, true, "source_address", config_relay_line(relay, "source_address"));
}

void sandbox_needs_collect(struct sandbox_needs *needs, const struct config *config)
{
	size_t i;

	memset(needs, 0, sizeof(*needs));
	need_file(needs, config->file, NULL, 0);
	sandbox_needs_add_port(needs, DNS_PORT);
	for (i = 0; i < config->relay_count; i++)
		need_relay(needs, &config->relays[i]);
}

void sandbox_needs_add_status(struct sandbox_needs *needs, const struct config_process *process)
{
	need_address(needs, &process->status.addr, "status", config_process_line(process, "status"));
}

void sandbox_needs_clear(struct sandbox_needs *needs)
{
	size_t i;

	for (i = 0; i < needs->place_count; i++)
		free(needs->places[i].path);
	for (i = 0; i < needs->file_count; i++)
		free(needs->files[i].path);
	free(needs->places);
	free(needs->files);
	free(needs->ports);
	memset(needs, 0, sizeof(*needs));
}
