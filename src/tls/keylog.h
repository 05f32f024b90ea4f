/*
 * keylog: the keys of every TLS session in a file, for who must read the traffic with Wireshark (NSS key log
 * format).
 *
 * Whoever has the file can read all traffic: it is off, and nothing is registered with OpenSSL, until
 * keylog_open().  One for the process, so that no configuration and no reload can turn it on.
 */
#ifndef MIDRELAY_TLS_KEYLOG_H
#define MIDRELAY_TLS_KEYLOG_H

#include <openssl/ssl.h>

#include "base/error.h"

/* The environment variable that names the file, as everywhere. */
#define KEYLOG_VARIABLE "SSLKEYLOGFILE"

/*
 * Once, before the first identity and before threads.  Appends to `path` (borrowed for good), makes it with
 * mode 0600; refuses a symbolic link, what is no regular file, and a file that every user of this host may
 * read or write.
 */
bool keylog_open(const char *path, struct error *err) MUST_CHECK;
/* NULL: keys are not written. */
const char *keylog_file(void);
/* Before the first session of `ctx`. */
void keylog_attach(SSL_CTX *ctx);

#endif
