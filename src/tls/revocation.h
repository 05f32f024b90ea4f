/*
 * revocation: lists (CRL, RFC 5280) and stapled answers (OCSP, RFC 6960 and RFC 6066 section 8).
 */
#ifndef MIDRELAY_TLS_REVOCATION_H
#define MIDRELAY_TLS_REVOCATION_H

#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>
#include <stdbool.h>

#include "base/error.h"
#include "tls/fault.h"
#include "tls/identity.h"

/* Adds every list in FILE (PEM, or one in DER) to the store; a list that is out of date draws a note. */
bool revocation_load_crl(
    SSL_CTX *ctx, const char *file, identity_note_fn *note, void *note_arg, struct error *err) MUST_CHECK;
/* Demands lists for every certificate of the server's chain but the anchor; see revocation_is_excused(). */
void revocation_demand_crl(SSL *ssl);
/*
 * In the verify call-back: the fault is that of a missing list for the anchor, which nobody but itself could revoke.
 */
bool revocation_is_excused(X509_STORE_CTX *store);
/* Words for a fault of the verification that is about lists; false: it is about something else. */
bool revocation_describe(X509_STORE_CTX *store, struct tls_fault *fault);

/*
 * Judges what the server stapled for its own certificate, after its chain was verified: signed by whom it must be,
 * good, and fresh.  False: *text says why not.
 */
bool revocation_judge_staple(const unsigned char *der, long len, STACK_OF(X509) *chain, X509_STORE *store, char *text,
    size_t text_bytes);
/* The same with what came in this handshake. */
bool revocation_check_staple(SSL *ssl, char *text, size_t text_bytes);

#endif
