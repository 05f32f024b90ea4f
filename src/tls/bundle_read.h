/*
 * bundle_read: from a file's bytes to certificates and a key.  Internal to bundle and trust.
 */
#ifndef MIDRELAY_TLS_BUNDLE_READ_H
#define MIDRELAY_TLS_BUNDLE_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/secret.h"
#include "tls/bundle.h"

#define BUNDLE_MAX_FILE_BYTES (1024 * 1024)

enum bundle_read_mode {
	BUNDLE_READ_ALL,         /* certificates and a key; at most 100 blocks */
	BUNDLE_READ_CERTS_ONLY,  /* anything but a certificate is a fault (a trust file); at most 5,000 blocks
				  */
	BUNDLE_READ_CERTS_AMONG, /* blocks that are no certificates are passed over (a directory of trust) */
};

struct bundle_read {
	const char *name; /* the file, for messages */
	enum bundle_read_mode mode;
	const struct secret *passphrase; /* NULL: none */
	bool allow_exposed_key;          /* a key that others may read is marked, not refused */
	struct bundle_opening *opening;  /* bundle_read_bytes() sets it, with the passphrase */
};

/*
 * Adds what is found to `found`, which keeps what was added before a fault: the caller throws it away. Errors
 * begin with the name.  No de-duplication here.
 */
bool bundle_read_bytes(const struct bundle_read *how, const char *bytes, size_t len, struct bundle *found,
    struct error *err) MUST_CHECK;

/* The same with the content of the file `how->name`; one that holds a key must not be readable by others. */
bool bundle_read_file(const struct bundle_read *how, struct bundle *found, struct error *err) MUST_CHECK;

#endif
