/*
 * sandbox_system: what the name service, OpenSSL and the C library read and ask, whatever the
 * configuration; internal to sandbox.
 */
#ifndef MIDRELAY_SERVICE_SANDBOX_SYSTEM_H
#define MIDRELAY_SERVICE_SANDBOX_SYSTEM_H

#include "service/sandbox_needs.h"

/* sandbox_needs.c's */
void sandbox_needs_add_place(struct sandbox_needs *needs, const char *path, unsigned access);
void sandbox_needs_add_port(struct sandbox_needs *needs, uint16_t port);

/* Those of the name service's files that are open by themselves and not by their directory: NULL at the end. */
extern const char *const sandbox_name_files[];

#endif
