/* error: see error.h. */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool error_set(struct error *err, const char *fmt, ...)
{
	va_list ap;

	if (err == NULL)
		return false;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	return false;
}

bool error_set_errno(struct error *err, int errnum, const char *fmt, ...)
{
	va_list ap;
	size_t used;
	char reason[128];

	if (err == NULL)
		return false;
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", strerror_r(errnum, reason, sizeof(reason)));
	return false;
}

bool error_prefix(struct error *err, const char *fmt, ...)
{
	char sentence[ERROR_TEXT_BYTES];
	va_list ap;
	size_t used;

	if (err == NULL)
		return false;
	memcpy(sentence, err->text, sizeof(sentence));
	va_start(ap, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, ap);
	va_end(ap);
	used = strlen(err->text);
	snprintf(err->text + used, sizeof(err->text) - used, ": %s", sentence);
	return false;
}
