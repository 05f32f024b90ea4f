/*
 * secret: a byte string that must not leak.
 *
 * It is wiped when freed, has no print function, and is only ever formatted by the one function that sends
 * it (dial/http_connect for Basic, tls/bundle for passphrases).
 *
 * A secret in the configuration is a *reference*: file:PATH, env:NAME, cred:NAME (systemd credential in
 * $CREDENTIALS_DIRECTORY), or the literal itself.
 */
#ifndef MIDRELAY_BASE_SECRET_H
#define MIDRELAY_BASE_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define SECRET_MAX_BYTES 65536

struct secret; /* opaque: nobody prints it by accident */

struct secret *secret_new(const void *bytes, size_t len);
struct secret *secret_dup(const struct secret *secret);
void secret_free(struct secret *secret); /* NULL is fine */
bool secret_equal(const struct secret *a, const struct secret *b); /* both NULL: equal */

/* The bytes, NUL-terminated for libraries that want a C string; borrowed from the secret. */
const char *secret_bytes(const struct secret *secret);
size_t secret_len(const struct secret *secret);

enum secret_ref_kind { SECRET_REF_LITERAL, SECRET_REF_FILE, SECRET_REF_ENV, SECRET_REF_CRED, SECRET_REF_SEALED };
enum secret_ref_kind secret_ref_kind(const char *ref);

/*
 * What may be shown of a reference: itself for file:, env: and cred:; "(literal)" or "(sealed)" for what
 * carries the secret.  Borrowed from ref or static.
 */
const char *secret_ref_masked(const char *ref);
/* What stands for a secret that is written out. */
extern const char secret_masked_literal[];

/*
 * Resolves a reference.  One trailing newline (LF or CRLF) of a file, and a byte order mark before it, are cut (an editor
 * put them there).
 * Refused: an empty secret, one with a NUL byte, a file above SECRET_MAX_BYTES, a file that others may read
 * (the link's target, mode & 0004), `sealed:` (only client keys open it: dial/relay_secrets.h).
 * The caller owns *secret.
 */
bool secret_load(const char *ref, struct secret **secret, struct error *err) MUST_CHECK;

/* The file that a file: or cred: reference is read from, for the caller to free; NULL for any other. */
char *secret_ref_file(const char *ref);

/* secret_load's rule about files that others may read, for keys too: false when mode & 0004. */
bool secret_check_file_mode(const char *path, int fd, struct error *err) MUST_CHECK;

#endif
