/*
 * cert_end: when a certificate's validity ends, in a form that outlives the certificate and needs no OpenSSL to look at.
 */
#ifndef MIDRELAY_TLS_CERT_END_H
#define MIDRELAY_TLS_CERT_END_H

#include <openssl/x509.h>
#include <stdint.h>

enum cert_role { CERT_LEAF, CERT_INTERMEDIATE, CERT_ROOT };
const char *cert_role_name(enum cert_role role); /* "leaf" "intermediate" "root" */

#define CERT_END_SUBJECT_BYTES 256

struct cert_end {
	enum cert_role role;
	int64_t not_after;                    /* wall clock, s */
	char subject[CERT_END_SUBJECT_BYTES]; /* escaped */
	int64_t not_before;                   /* the same; 0 when it cannot be read */
	char sha256[96];                      /* fingerprint, XX:XX:… */
};

/* notAfter in seconds of the wall clock; INT64_MAX when it cannot be read. */
int64_t cert_end_seconds(const X509 *cert);
/* `place`: 0 for the leaf, then issuer by issuer. */
void cert_end_set(struct cert_end *end, X509 *cert, int place);
/* The place of the certificate that ends first; -1 when there is none. */
int cert_end_first(STACK_OF(X509) *chain, int64_t *not_after);

#endif
