/*
 * sandbox_system: see sandbox_system.h.
 *
 * Answers for the list.  /etc is opened whole where that shows nothing that the process must not see,
 * because its files are renamed over by those who write them (DHCP clients, editors); root could read
 * /etc/shadow there, and gets the files one by one.
 */
#include "service/sandbox_system.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/text.h"
#include "tls/provider_vault.h"
#include "tls/trust.h"

const char *const sandbox_name_files[] = {"/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf", "/etc/gai.conf",
    "/etc/host.conf", "/etc/passwd", "/etc/group", NULL};

static const char *const other_files[] = {"/etc/services", "/etc/protocols", "/etc/networks", "/etc/hostname",
    "/etc/machine-id", "/etc/localtime", "/etc/nscd.conf", "/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/userdb",
    "/etc/crypto-policies", "/etc/ssl/certs", "/etc/pki/tls/certs", "/etc/pki/tls/cert.pem", "/etc/pki/ca-trust",
    "/etc/ca-certificates",
    /* nss-resolve, NetworkManager, nscd, sssd, nss-systemd, nss-mymachines */
    "/run/systemd/resolve", "/run/NetworkManager", "/run/resolvconf", "/run/connman", "/run/nscd", "/var/lib/sss/mc",
    "/run/systemd/userdb", "/run/systemd/machines",
    /* modules of the name service and of OpenSSL */
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib",
    "/usr/share/ca-certificates", "/usr/local/share/ca-certificates", "/usr/share/pki", "/usr/share/crypto-policies",
    "/usr/share/zoneinfo", "/var/lib/dpkg/info",
    "/dev/urandom", "/dev/random", "/proc/sys/vm/overcommit_memory", "/sys/devices/system/cpu/online", NULL};

/* A directory in something, as "/run/x" is: not a whole branch of the system. */
static bool is_deep(const char *directory)
{
	return directory[0] == '/' && strchr(directory + 1, '/') != NULL;
}

/* The place itself, and the directory of a file that a link leads to, out of /etc: it is renamed over, too. */
static void open_place(struct sandbox_needs *needs, const char *path)
{
	char *real = realpath(path, NULL), *slash;
	struct stat st;

	if (real == NULL)
		return;
	sandbox_needs_add_place(needs, real, SANDBOX_READ);
	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode) && stat(real, &st) == 0 && S_ISREG(st.st_mode) &&
	    strncmp(real, "/etc/", 5) != 0) {
		slash = strrchr(real, '/');
		*slash = '\0';
		if (is_deep(real))
			sandbox_needs_add_place(needs, real, SANDBOX_READ);
	}
	free(real);
}

static void add_files(struct sandbox_needs *needs, const char *const *files)
{
	for (; *files != NULL; files++)
		open_place(needs, *files);
}

static void on_trust_place(void *arg, const char *path, bool named)
{
	struct stat st;

	/* A file that the environment names is renewed as one of the configuration. */
	if (named && stat(path, &st) == 0 && S_ISREG(st.st_mode))
		sandbox_needs_open_file(arg, path);
	else
		open_place(arg, path);
}

/* Lists with colons between, as the loader takes them. */
static void add_list(struct sandbox_needs *needs, const char *variable)
{
	const char *named = secure_getenv(variable);
	char *copy = named == NULL ? NULL : mem_strdup(named), *rest = copy, *path;

	while ((path = strsep(&rest, ":")) != NULL) {
		if (*path != '\0')
			open_place(needs, path);
	}
	free(copy);
}

/* "swtpm:host=H,port=N", "mssim:port=N": commands at N, control at the next one; "device:PATH". */
static void add_tcti(struct sandbox_needs *needs, const char *tcti)
{
	const char *port = strstr(tcti, "port=");
	char *digits;
	uint64_t number = 2321;

	if (strncmp(tcti, "device:", 7) == 0)
		sandbox_needs_add_place(needs, tcti + 7, SANDBOX_DEVICE);
	if ((strncmp(tcti, "swtpm", 5) != 0 && strncmp(tcti, "mssim", 5) != 0) || strstr(tcti, "path=") != NULL)
		return;
	digits = port == NULL ? NULL : mem_strndup(port + 5, strspn(port + 5, "0123456789"));
	if (digits == NULL || text_parse_uint(digits, 1, UINT16_MAX - 1, &number)) {
		sandbox_needs_add_port(needs, (uint16_t)number);
		sandbox_needs_add_port(needs, (uint16_t)(number + 1));
	}
	free(digits);
}

/* Also where no URI but a wrapped key in a file led there. */
static void add_tpm(struct sandbox_needs *needs)
{
	static const char *const variables[] = {"TPM2OPENSSL_TCTI", "TSS2_TCTI"};
	size_t i;

	if (!vault_tpm_in_use())
		return;
	sandbox_needs_add_place(needs, "/dev/tpmrm0", SANDBOX_DEVICE);
	sandbox_needs_add_place(needs, "/dev/tpm0", SANDBOX_DEVICE);
	for (i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
		const char *tcti = getenv(variables[i]);

		if (tcti != NULL)
			add_tcti(needs, tcti);
	}
}

void sandbox_needs_add_system(struct sandbox_needs *needs)
{
	const char *aliases = secure_getenv("HOSTALIASES");

	if (!sandbox_needs_is_too_wide("/etc"))
		sandbox_needs_add_place(needs, "/etc", SANDBOX_READ);
	add_files(needs, sandbox_name_files);
	add_files(needs, other_files);
	trust_each_system_place(on_trust_place, needs);
	add_list(needs, "LD_LIBRARY_PATH");
	if (aliases != NULL)
		open_place(needs, aliases);
	sandbox_needs_add_place(needs, "/dev/null", SANDBOX_DEVICE);
	add_tpm(needs);
}
