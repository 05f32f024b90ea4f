/*
 * trust: the CA certificates that a server must chain to.  Internal to identity, but for trust_reads_name().
 */
#ifndef MIDRELAY_TLS_TRUST_H
#define MIDRELAY_TLS_TRUST_H

#include <openssl/ssl.h>
#include <stdbool.h>

#include "base/error.h"
#include "tls/identity.h"

/*
 * Fills ctx's store.  `trust`: NULL, the system's store; a file, of which every block must be a certificate;
 * or a directory, of which the files named *.pem *.crt *.cer *.der or HASH.N (openssl rehash) are read, 1,000
 * at most. A file or directory without any certificate is an error.
 */
bool trust_load(
    SSL_CTX *ctx, const char *trust, identity_note_fn *note, void *note_arg, struct error *err) MUST_CHECK;
/* Whether a file of this name in a directory of anchors is read. */
bool trust_reads_name(const char *name);
/*
 * What OpenSSL reads by itself: the system's store, its configuration, its modules.  `named`: the environment names the place.
 */
void trust_each_system_place(void (*fn)(void *arg, const char *path, bool named), void *arg);

#endif
