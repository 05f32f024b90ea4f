/*
 * mem: our own allocations, which abort the process instead of returning NULL.
 *
 * Library constructors (OpenSSL, libevent) may fail and are checked where they are called: such a failure
 * ends one session.  What we ask for ourselves is small and bounded; a process that cannot have it is not
 * worth continuing.
 */
#ifndef MIDRELAY_BASE_MEM_H
#define MIDRELAY_BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

#include "base/error.h"

void *mem_calloc(size_t count, size_t bytes) __attribute__((malloc, returns_nonnull));
void *mem_realloc(void *old, size_t bytes) __attribute__((returns_nonnull));
void *mem_dup(const void *from, size_t bytes) __attribute__((malloc, returns_nonnull));
char *mem_strdup(const char *from) __attribute__((malloc, returns_nonnull));
char *mem_strndup(const char *from, size_t len) __attribute__((malloc, returns_nonnull));
char *mem_printf(const char *fmt, ...) PRINTF_LIKE(1, 2) __attribute__((malloc, returns_nonnull));
char *mem_vprintf(const char *fmt, va_list ap) PRINTF_LIKE(1, 0) __attribute__((malloc, returns_nonnull));

/* An assertion that stays in release builds: for our own bugs only, never for input. */
#define midrelay_assert(cond) \
	((cond) ? (void)0 : mem_assert_failed(#cond, __FILE__, __LINE__))

void mem_assert_failed(const char *cond, const char *file, int line) __attribute__((noreturn));

#endif
