/* printable: what every text for people must be: printable ASCII, and ended within its buffer. */
#ifndef MIDRELAY_TESTS_FUZZ_PRINTABLE_H
#define MIDRELAY_TESTS_FUZZ_PRINTABLE_H

#include <stddef.h>

#include "base/mem.h"

static inline void assert_printable(const char *text, size_t bytes)
{
	size_t i;

	for (i = 0; i < bytes && text[i] != '\0'; i++)
		midrelay_assert(text[i] >= 0x20 && text[i] <= 0x7e);
	midrelay_assert(i < bytes);
}

/* And says something. */
static inline void assert_printable_text(const char *text, size_t bytes)
{
	midrelay_assert(text[0] != '\0');
	assert_printable(text, bytes);
}

#endif
