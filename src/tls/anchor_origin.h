/*
 * anchor_origin: whether a CA in the system's store came with the distribution or was added on this host.
 *
 * Debian and its kin: what their package ca-certificates installed is the distribution's, all else is local.
 * Elsewhere: what lies in the directories for local additions (Fedora, Arch, Alpine) is local.  Where neither is to be
 * found, nothing is told.  Everything is read once, when it is made.
 */
#ifndef MIDRELAY_TLS_ANCHOR_ORIGIN_H
#define MIDRELAY_TLS_ANCHOR_ORIGIN_H

#include <openssl/x509.h>

#include "tls/judge.h"

struct anchor_origin;

/* `root` stands before every path ("" but in tests).  NULL: it cannot be told here. */
struct anchor_origin *anchor_origin_new(const char *root);
void anchor_origin_free(struct anchor_origin *origin); /* NULL is fine */
/* Unknown with NULL. */
enum judge_origin anchor_origin_of(const struct anchor_origin *origin, const X509 *anchor);

#endif
