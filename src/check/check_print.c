/*
 * check_print: what suits a stream; the forms have a file each.
 */
#include "check/check_print.h"

#include <langinfo.h>
#include <locale.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/text.h"

#define DEFAULT_COLUMNS 80
#define MOST_COLUMNS 1000

static unsigned columns_of(FILE *out)
{
	const char *set = getenv("COLUMNS");
	struct winsize size;
	uint64_t columns;

	if (ioctl(fileno(out), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col < MOST_COLUMNS ? size.ws_col : MOST_COLUMNS;
	if (set != NULL && text_parse_uint(set, 1, MOST_COLUMNS, &columns))
		return (unsigned)columns;
	return DEFAULT_COLUMNS;
}

static bool has_colour(FILE *out)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");

	return isatty(fileno(out)) != 0 && (no_color == NULL || no_color[0] == '\0') && term != NULL &&
	       term[0] != '\0' && strcmp(term, "dumb") != 0;
}

/* Of the environment, as the process itself may never have set a locale. */
static bool has_utf8(void)
{
	locale_t locale = newlocale(LC_CTYPE_MASK, "", (locale_t)0);
	bool utf8;

	if (locale == (locale_t)0)
		return false;
	utf8 = strcmp(nl_langinfo_l(CODESET, locale), "UTF-8") == 0;
	freelocale(locale);
	return utf8;
}

struct check_print_options check_print_options_for(FILE *out)
{
	struct check_print_options options = {
	    .columns = columns_of(out),
	    .colour = has_colour(out),
	    .utf8 = has_utf8(),
	};

	return options;
}
