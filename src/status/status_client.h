/*
 * status_client: asks a running midrelay's status endpoint, for `midrelay status`.  Blocks, with a bound.
 */
#ifndef MIDRELAY_STATUS_STATUS_CLIENT_H
#define MIDRELAY_STATUS_STATUS_CLIENT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/addr.h"
#include "base/error.h"

#define STATUS_CLIENT_MS 10000
#define STATUS_CLIENT_BYTES (64 * 1024 * 1024)

/*
 * GETs `path` ("/status").  On success *status is that of the answer and *body, the caller's to free, what came behind its
 * head, with a NUL at its end.
 */
bool status_client_get(const struct addr *addr, const char *path, unsigned *status, char **body,
    struct error *err) MUST_CHECK;

#endif
