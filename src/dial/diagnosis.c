/*
 * diagnosis: finding a row of the table, and the setting of one occurrence.  The rows stand in
 * diagnosis_table.c.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "dial/diagnosis_table.h"

const char *diagnosis_stage_name(enum diagnosis_stage stage)
{
	switch (stage) {
	case DIAGNOSIS_STAGE_LOCAL:
		return "local";
	case DIAGNOSIS_STAGE_RESOLVE:
		return "resolve";
	case DIAGNOSIS_STAGE_CONNECT:
		return "connect";
	case DIAGNOSIS_STAGE_PROXY:
		return "proxy";
	case DIAGNOSIS_STAGE_TLS:
		return "tls";
	case DIAGNOSIS_STAGE_CLIENT_CERT:
		return "client certificate";
	case DIAGNOSIS_STAGE_INSTANCE:
		return "instance";
	case DIAGNOSIS_STAGE_RELAY:
		return "relay";
	}
	return "unknown";
}

const struct diagnosis_info *diagnosis_info(enum diagnosis_code code)
{
	midrelay_assert((unsigned)code < DIAGNOSIS_CODE_COUNT);
	return &diagnosis_table[code];
}

const char *diagnosis_name(enum diagnosis_code code)
{
	return diagnosis_info(code)->name;
}

const struct diagnosis_info *diagnosis_find(const char *name)
{
	size_t i;

	for (i = 0; i < DIAGNOSIS_CODE_COUNT; i++) {
		if (strcmp(diagnosis_table[i].name, name) == 0)
			return &diagnosis_table[i];
	}
	return NULL;
}

const char *diagnosis_nearest(const char *name)
{
	const char *names[DIAGNOSIS_CODE_COUNT + 1];
	size_t i;

	for (i = 0; i < DIAGNOSIS_CODE_COUNT; i++)
		names[i] = diagnosis_table[i].name;
	names[DIAGNOSIS_CODE_COUNT] = NULL;
	return text_nearest(name, names);
}

/* At `used`.  The sentence becomes part of an HTTP status line and of a log line: the last gate is here. */
__attribute__((format(printf, 3, 0)))
static void put_sentence(struct diagnosis *d, size_t used, const char *fmt, va_list ap)
{
	size_t room = sizeof(d->sentence) - used;
	int len = vsnprintf(d->sentence + used, room, fmt, ap);
	char *c;

	if (len < 0)
		d->sentence[used] = '\0';
	else if ((size_t)len >= room)
		memcpy(d->sentence + sizeof(d->sentence) - 4, "...", 4);
	for (c = d->sentence + used; *c != '\0'; c++) {
		if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
			*c = '?';
	}
}

const struct diagnosis diagnosis_ok = {.code = DIAGNOSIS_OK};

struct diagnosis *diagnosis_need(struct diagnosis **d)
{
	if (*d == NULL)
		*d = mem_calloc(1, sizeof(**d));
	return *d;
}

void diagnosis_set(struct diagnosis *d, enum diagnosis_code code, const char *fmt, ...)
{
	va_list ap;

	d->code = code;
	d->cause = DIAGNOSIS_CAUSE_NONE;
	va_start(ap, fmt);
	put_sentence(d, 0, fmt, ap);
	va_end(ap);
}

void diagnosis_append(struct diagnosis *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	put_sentence(d, strlen(d->sentence), fmt, ap);
	va_end(ap);
}

void diagnosis_set_cause(struct diagnosis *d, enum diagnosis_cause cause)
{
	midrelay_assert(cause == DIAGNOSIS_CAUSE_NONE || diagnosis_cause_info(cause)->code == d->code);
	d->cause = cause;
}

const char *diagnosis_remedy(const struct diagnosis *d)
{
	if (d->cause != DIAGNOSIS_CAUSE_NONE)
		return diagnosis_cause_info(d->cause)->remedy;
	return diagnosis_info(d->code)->remedy;
}
