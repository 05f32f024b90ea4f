/*
 * secret_memory: memory for secrets: out of core dumps (MADV_DONTDUMP), and out of the swap space as far as
 * RLIMIT_MEMLOCK goes.  Internal to secret.
 */
#ifndef MIDRELAY_BASE_SECRET_MEMORY_H
#define MIDRELAY_BASE_SECRET_MEMORY_H

#include <stddef.h>

/* All zero.  From any thread. */
void *secret_memory_get(size_t bytes) __attribute__((malloc, returns_nonnull));
/* Wipes it.  As many bytes as were asked for. */
void secret_memory_give(void *memory, size_t bytes);

#endif
