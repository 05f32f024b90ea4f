/* mem: see mem.h. */
#include "base/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void __attribute__((noreturn)) out_of_memory(void)
{
	fputs("midrelay: out of memory\n", stderr);
	abort();
}

void *mem_calloc(size_t count, size_t bytes)
{
	void *p = calloc(count == 0 ? 1 : count, bytes == 0 ? 1 : bytes);

	if (p == NULL)
		out_of_memory();
	return p;
}

void *mem_realloc(void *old, size_t bytes)
{
	void *p = realloc(old, bytes == 0 ? 1 : bytes);

	if (p == NULL)
		out_of_memory();
	return p;
}

void *mem_dup(const void *from, size_t bytes)
{
	void *p = mem_calloc(1, bytes);

	if (bytes > 0)
		memcpy(p, from, bytes);
	return p;
}

char *mem_strdup(const char *from)
{
	return mem_dup(from, strlen(from) + 1);
}

char *mem_strndup(const char *from, size_t len)
{
	char *p = strndup(from, len);

	if (p == NULL)
		out_of_memory();
	return p;
}

char *mem_vprintf(const char *fmt, va_list ap)
{
	char *p = NULL;

	if (vasprintf(&p, fmt, ap) < 0 || p == NULL)
		out_of_memory();
	return p;
}

char *mem_printf(const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	p = mem_vprintf(fmt, ap);
	va_end(ap);
	return p;
}

void mem_assert_failed(const char *cond, const char *file, int line)
{
	fprintf(stderr, "midrelay: bug: %s:%d: %s does not hold; please report this line\n", file, line, cond);
	abort();
}
