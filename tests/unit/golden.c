/* golden: see golden.h. */
#include "golden.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

#define GOLDEN_BYTES (1 << 20)

static char *read_file(const char *file)
{
	char *text = mem_calloc(1, GOLDEN_BYTES);
	FILE *in = fopen(file, "r");

	if (in == NULL)
		fail_msg("%s is missing", file);
	text[fread(text, 1, GOLDEN_BYTES - 1, in)] = '\0';
	fclose(in);
	return text;
}

static void write_file(const char *file, const char *text)
{
	FILE *out = fopen(file, "w");

	assert_non_null(out);
	fputs(text, out);
	assert_int_equal(fclose(out), 0);
}

void golden_assert(const char *name, const char *text)
{
	const char *top = getenv("srcdir");
	char *file = mem_printf("%s/tests/%s", top != NULL ? top : ".", name), *golden;

	if (getenv("UPDATE_GOLDEN") != NULL)
		write_file(file, text);
	golden = read_file(file);
	if (strcmp(text, golden) != 0)
		fail_msg("not as in %s:\n%s", file, text);
	free(golden);
	free(file);
}
