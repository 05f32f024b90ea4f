/*
 * trust: loads the anchors that servers are verified against.
 *
 * Named files are read here, whole and once: OpenSSL's own loaders pass over what they cannot read, and its
 * directory look-up reads files during handshakes, which would block a worker and let trust change without a
 * reload.
 */
#include "tls/trust.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <openssl/err.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "tls/bundle_read.h"
#include "tls/chain_memory.h"

#define MAX_DIR_FILES 1000
#define NOTE_TEXT_BYTES 1024

static bool add_all(X509_STORE *store, const struct bundle *found, const char *file, struct error *err)
{
	int i;

	for (i = 0; i < sk_X509_num(found->certs); i++) {
		X509 *cert = sk_X509_value(found->certs, i);

		/*
		 * OpenSSL reads a certificate's extensions at its first use and keeps what it found: here,
		 * before several workers verify with it.  (What the extensions say is the verification's
		 * business.)
		 */
		(void)X509_check_purpose(cert, -1, 0);
		ERR_clear_error();
		/* One that is there already is no error. */
		if (X509_STORE_add_cert(store, cert) != 1) {
			ERR_clear_error();
			return error_set(err, "%s: certificate %d cannot be used", file, i + 1);
		}
	}
	return true;
}

/* Adds the certificates of one file; *count gets how many it held. */
static bool load_file(
    X509_STORE *store, const char *file, enum bundle_read_mode mode, int *count, struct error *err)
{
	struct bundle_read how = {.name = file, .mode = mode};
	struct bundle *found = bundle_new();
	bool ok = bundle_read_file(&how, found, err) && add_all(store, found, file, err);

	*count = sk_X509_num(found->certs);
	bundle_free(found);
	return ok;
}

/* What a certificate's file is called; README, *.key, *.srl and hidden files are nobody's anchors. */
bool trust_reads_name(const char *name)
{
	static const char *const endings[] = {".pem", ".crt", ".cer", ".der"};
	const char *dot = strrchr(name, '.');
	size_t i;

	if (name[0] == '.' || dot == NULL)
		return false;
	for (i = 0; i < sizeof(endings) / sizeof(endings[0]); i++)
		if (strcasecmp(dot, endings[i]) == 0)
			return true;
	return dot - name == 8 && strspn(name, "0123456789abcdef") == 8 && dot[1] != '\0' &&
	       dot[1 + strspn(dot + 1, "0123456789")] == '\0';
}

struct trust_dir {
	const char *path;
	int files, certs;
	identity_note_fn *note;
	void *note_arg;
};

static bool load_dir_file(X509_STORE *store, struct trust_dir *dir, const char *name, struct error *err)
{
	char *file, text[NOTE_TEXT_BYTES];
	struct stat st;
	int count = 0;
	bool ok = true;

	if (!trust_reads_name(name))
		return true;
	file = mem_printf("%s/%s", dir->path, name);
	if (stat(file, &st) != 0 || (S_ISREG(st.st_mode) && eaccess(file, R_OK) != 0)) {
		/* A key that only root may read can lie beside the certificates, and links can be stale. */
		snprintf(text, sizeof(text), "%s: left out: %s", file, strerror(errno));
		dir->note(dir->note_arg, "trust", text);
	} else if (S_ISREG(st.st_mode)) {
		if (++dir->files > MAX_DIR_FILES)
			ok = error_set(err,
			    "%s: more than %d certificate files; put the CA certificates into one "
			    "file",
			    dir->path, MAX_DIR_FILES);
		else
			ok = load_file(store, file, BUNDLE_READ_CERTS_AMONG, &count, err);
		dir->certs += count;
	}
	free(file);
	return ok;
}

static bool load_dir(X509_STORE *store, struct trust_dir *dir, struct error *err)
{
	DIR *handle = opendir(dir->path);
	struct dirent *entry;
	bool ok = true;

	if (handle == NULL)
		return error_set_errno(err, errno, "%s", dir->path);
	while (ok && (entry = readdir(handle)) != NULL)
		ok = load_dir_file(store, dir, entry->d_name, err);
	closedir(handle);
	if (ok && dir->certs == 0)
		ok = error_set(err,
		    "%s: this directory holds no certificate (files named *.pem, *.crt, *.cer or *.der "
		    "are read)",
		    dir->path);
	return ok;
}

/* Whether one of the colon-separated directories has anything in it. */
static bool any_dir_filled(const char *dirs)
{
	char *copy = mem_strdup(dirs), *rest = copy, *path;
	bool filled = false;

	while (!filled && (path = strsep(&rest, ":")) != NULL) {
		DIR *handle = opendir(path);
		struct dirent *entry;

		if (handle == NULL)
			continue;
		while (!filled && (entry = readdir(handle)) != NULL)
			filled = entry->d_name[0] != '.';
		closedir(handle);
	}
	free(copy);
	return filled;
}

/* A container without the ca-certificates package trusts nobody; better said at start than by each handshake.
 */
static void note_empty_system_store(identity_note_fn *note, void *note_arg)
{
	const char *file = secure_getenv(X509_get_default_cert_file_env());
	const char *dirs = secure_getenv(X509_get_default_cert_dir_env());
	char text[NOTE_TEXT_BYTES];

	if (file == NULL)
		file = X509_get_default_cert_file();
	if (dirs == NULL)
		dirs = X509_get_default_cert_dir();
	if (eaccess(file, R_OK) == 0 || any_dir_filled(dirs))
		return;
	snprintf(text, sizeof(text),
	    "the system has no CA certificates (neither %s nor anything in %s): no server can be "
	    "verified; install ca-certificates or set trust",
	    file, dirs);
	note(note_arg, "trust", text);
}

/* The variable's value, or what was compiled in; of a list each item. */
static void each_place(const char *variable, const char *otherwise, void (*fn)(void *arg, const char *path, bool named),
    void *arg)
{
	const char *value = secure_getenv(variable);
	char *copy = mem_strdup(value != NULL ? value : otherwise), *rest = copy, *path;

	while ((path = strsep(&rest, ":")) != NULL) {
		if (*path != '\0')
			fn(arg, path, value != NULL);
	}
	free(copy);
}

void trust_each_system_place(void (*fn)(void *arg, const char *path, bool named), void *arg)
{
	char *config = mem_printf("%s/openssl.cnf", X509_get_default_cert_area());

	each_place(X509_get_default_cert_file_env(), X509_get_default_cert_file(), fn, arg);
	each_place(X509_get_default_cert_dir_env(), X509_get_default_cert_dir(), fn, arg);
	each_place("OPENSSL_CONF", config, fn, arg);
	each_place("OPENSSL_MODULES", OPENSSL_info(OPENSSL_INFO_MODULES_DIR), fn, arg);
	free(config);
}

static bool load_system(SSL_CTX *ctx, identity_note_fn *note, void *note_arg, struct error *err)
{
	int ok = SSL_CTX_set_default_verify_paths(ctx);

	/* OpenSSL leaves errors behind for a default file that is not there, which is no fault. */
	ERR_clear_error();
	if (!ok)
		return error_set(err, "the system's CA certificates cannot be loaded");
	note_empty_system_store(note, note_arg);
	return true;
}

bool trust_load(SSL_CTX *ctx, const char *trust, identity_note_fn *note, void *note_arg, struct error *err)
{
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	struct trust_dir dir = {.path = trust, .note = note, .note_arg = note_arg};
	struct stat st;
	int count;

	chain_memory_attach(store);
	if (trust == NULL)
		return load_system(ctx, note, note_arg, err);
	/*
	 * Who names an intermediate or a server's own certificate has decided to trust just that: without
	 * this flag OpenSSL would insist on its root, and people would name the (wider) root instead.  Not
	 * with the system's store, where nobody decided that.
	 */
	if (X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN) != 1)
		return error_set(err, "out of memory");
	if (stat(trust, &st) != 0)
		return error_set_errno(err, errno, "%s", trust);
	if (S_ISDIR(st.st_mode))
		return load_dir(store, &dir, err);
	if (!load_file(store, trust, BUNDLE_READ_CERTS_ONLY, &count, err))
		return false;
	return count > 0 ? true : error_set(err, "%s: holds no certificate", trust);
}
