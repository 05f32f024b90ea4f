/*
 * identity_notes: what about a client certificate works, but probably not where it is going.  Internal to
 * identity.
 */
#ifndef MIDRELAY_TLS_IDENTITY_NOTES_H
#define MIDRELAY_TLS_IDENTITY_NOTES_H

#include <openssl/x509.h>
#include <stddef.h>

#include "tls/identity.h"

/*
 * Calls note(arg, key, text) for each finding.  The rules of the instance are those of ServiceNow's "Mutual
 * authentication for MID Server": clientAuth EKU, issued by a CA, a chain that ends in a root, within its
 * validity.
 */
void identity_notes(
    X509 *leaf, STACK_OF(X509) * chain, size_t left_out, const char *key, identity_note_fn *note, void *arg);

#endif
