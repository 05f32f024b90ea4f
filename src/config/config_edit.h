/*
 * config_edit: changing values in a configuration file, and nothing else in it: comments, layout and line ends stay.
 */
#ifndef MIDRELAY_CONFIG_CONFIG_EDIT_H
#define MIDRELAY_CONFIG_CONFIG_EDIT_H

#include <stddef.h>

#include "base/error.h"

struct config_change {
	unsigned line;     /* of a KEY = VALUE, as config_read counts them */
	const char *value; /* the new one, without white space at its ends; borrowed */
};

/* Replaces the file (base/replace.h) with the changes made; on failure it is as it was. */
bool config_edit_file(const char *file, const struct config_change *changes, size_t count, struct error *err) MUST_CHECK;

/* The same on text, for tests.  The caller frees (and wipes) the result of *out_len bytes. */
char *config_edit_bytes(const char *bytes, size_t len, const struct config_change *changes, size_t count, size_t *out_len);

#endif
