/*
 * verify: what is demanded of the server, and the words for what was found instead.
 */
#ifndef MIDRELAY_TLS_VERIFY_H
#define MIDRELAY_TLS_VERIFY_H

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdbool.h>
#include <stdint.h>

#include "tls/stream.h"

/*
 * Puts the demands on one SSL: chain to its SSL_CTX's trust, validity, host name (no CN fall-back, no partial
 * wildcards; RFC 9525) or IP SAN; and SNI for a name (RFC 6066 has none for addresses).  `host` is not
 * changed; OpenSSL's macro wants it so.
 */
bool verify_demand(SSL *ssl, char *host, bool host_is_ip);

/* Words for the first thing that OpenSSL's verification found wrong; called from the verify call-back. */
void verify_describe(X509_STORE_CTX *store, const char *host, struct tls_fault *fault);

#define VERIFY_VERDICT_MAX_S 3600
/*
 * When the verdict that a full handshake reached ends at the latest: the first notAfter of the server's verified chain
 * and of our own certificates, or an hour from now (wall clock, s).
 */
int64_t verify_verdict_end(SSL *ssl);

#endif
