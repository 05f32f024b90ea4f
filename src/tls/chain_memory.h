/*
 * chain_memory: a chain whose signatures have verified is not put through the arithmetic again.
 *
 * That the key of one certificate made the signature on another stays true for as long as not a byte of either changes.
 * So a store remembers (by SHA-256) the last chains whose signatures and times OpenSSL found in order; when the same
 * certificates come again, only their times are looked at.  Everything that may change or depends on who asks is
 * OpenSSL's in each handshake, as before: how the chain is built and ends in an anchor, names, purposes, name constraints,
 * revocation, the strength of keys and digests; and the server proves each time that it holds its key.
 */
#ifndef MIDRELAY_TLS_CHAIN_MEMORY_H
#define MIDRELAY_TLS_CHAIN_MEMORY_H

#include <openssl/x509_vfy.h>

/* An instance's load balancer has a few certificates at most, while one replaces the other. */
#define CHAIN_MEMORY_CHAINS 8

/* Once for a store, before anybody verifies with it; ends with it.  Any thread may verify then. */
void chain_memory_attach(X509_STORE *store);

#endif
