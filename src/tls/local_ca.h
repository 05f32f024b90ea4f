/*
 * local_ca: the CA that is made on this host for `listen_cert = auto`, one for each target's host.
 *
 * Whoever has its key can pretend to be that host to the clients that trust it, and nobody else to anyone:
 * name constraints (RFC 5280 4.2.1.10, critical) permit the target's host, with the names below it, and no IP
 * address, or for an IP target that address alone, and no name.  Certificate and key are one file, so that both are whole or not
 * there; it is the user's alone (0600), in a directory that is too (0700).
 */
#ifndef MIDRELAY_TLS_LOCAL_CA_H
#define MIDRELAY_TLS_LOCAL_CA_H

#include <openssl/evp.h>
#include <openssl/x509.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/* The first of $STATE_DIRECTORY (systemd.exec(5)), else where this build keeps state; the caller's. */
char *local_ca_directory(void);
/* The file of the CA for this host; the caller's. */
char *local_ca_file(const char *host);
/* The host of a file in the directory, or NULL when it is no CA's; the caller's. */
char *local_ca_host_of(const char *file_name);

/* Makes the directory for this user where there is none; to be called as who may. */
bool local_ca_make_directory(uid_t uid, gid_t gid, struct error *err) MUST_CHECK;
/* Makes the CA where there is none; one that is there, or comes meanwhile, is not looked at and stays. */
bool local_ca_make(const char *host, bool host_is_ip, struct error *err) MUST_CHECK;

struct local_ca {
	X509 *cert;
	EVP_PKEY *key;
};

/*
 * Reads it; a key that others may read, one that does not belong to the certificate, a CA whose time is over
 * are errors that say what to do.  *there is false (and that is no error) when it was not made yet.
 */
bool local_ca_load(const char *host, struct local_ca *ca, bool *there, struct error *err) MUST_CHECK;
void local_ca_clear(struct local_ca *ca);

/* Those that are there by their certificates alone: PEM text, the caller's; NULL: see err. */
char *local_ca_pem(const char *host, struct error *err);

#define LOCAL_CA_LEAF_DAYS 397 /* what browsers and others take at most of a server's certificate */

/*
 * A certificate for the host with a key of its own, in memory alone, checked against the CA as a client will.
 * It lasts LOCAL_CA_LEAF_DAYS at most, and not longer than the CA.  Both are the caller's.
 */
bool local_ca_issue(const struct local_ca *ca, const char *host, bool host_is_ip, X509 **leaf,
    EVP_PKEY **key, struct error *err) MUST_CHECK;

#endif
