/*
 * local_identity: what tls:// listeners of a relay show and demand, as one SSL_CTX for accepting.  Immutable;
 * safe for all threads.
 */
#ifndef MIDRELAY_TLS_LOCAL_IDENTITY_H
#define MIDRELAY_TLS_LOCAL_IDENTITY_H

#include <openssl/ssl.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "tls/cert_end.h"
#include "tls/identity.h"

struct local_identity; /* opaque */

/* All borrowed. */
struct local_identity_params {
	const char *cert_file; /* NULL: a certificate of the local CA, which must be there */
	const char *key_file;  /* NULL: cert_file holds it */
	const char *client_ca; /* NULL: clients are asked for nothing */
	const char *host;      /* the target's: the local CA's certificate is for it */
	bool host_is_ip;
};

/*
 * NULL: all that is wrong, each with its key ("listen_cert", "listen_key", "listen_client_ca"); without a fault
 * the local CA was not made yet.
 */
struct local_identity *local_identity_new(const struct local_identity_params *params, identity_note_fn *note,
    void *note_arg, struct identity_faults *faults);
void local_identity_free(struct local_identity *local); /* NULL is fine */

SSL_CTX *local_identity_ctx(const struct local_identity *local);            /* borrowed */
const char *local_identity_fingerprint(const struct local_identity *local); /* of the leaf; borrowed */
/* When each certificate that is not renewed by itself ends: of the chain, or of the local CA.  Borrowed. */
const struct cert_end *local_identity_ends(const struct local_identity *local, size_t *count);
/*
 * When (wall clock, s) a certificate of the local CA has to be issued anew, long before it ends; INT64_MAX:
 * never by us.
 */
int64_t local_identity_renew_at(const struct local_identity *local);

#endif
