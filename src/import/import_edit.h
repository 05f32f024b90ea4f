/*
 * import_edit: a few changes to a config.xml, as a new text and as a unified diff; everything between them stays as it
 * is, byte for byte.  Pure.
 */
#ifndef MIDRELAY_IMPORT_IMPORT_EDIT_H
#define MIDRELAY_IMPORT_IMPORT_EDIT_H

#include <stdio.h>

#include "import/import_xml.h"

struct import_edit {
	size_t at, len; /* what goes away */
	char *text;     /* what comes there */
	char *sentence; /* the same in words, for where the line cannot be shown */
};

/* In the order of their places; those at one place in the order in which they came. */
struct import_edits {
	struct import_edit *items;
	size_t count;
};

void import_edits_clear(struct import_edits *edits);

/*
 * Gives every parameter of this name this value; those that have it stay as they are.  The value is plain ASCII without
 * '<', '&' or quotes.  Returns false when there is no such parameter.
 */
bool import_edits_set(struct import_edits *edits, const struct import_document *document, const char *name,
    const char *value);
/* Adds a parameter behind `anchor` (NULL: as the first), on a line of its own where the anchor has one. */
void import_edits_add(struct import_edits *edits, const struct import_document *document,
    const struct import_parameter *anchor, const char *name, const char *value);

/* The caller's, who wipes *len bytes. */
char *import_edits_apply(
    const struct import_edits *edits, const struct import_document *document, size_t *len);

/*
 * A unified diff without context, so that it shows no neighbouring password.  A changed line that holds a secret itself
 * is not shown: then `false`, and the change is told in words where `words`.
 */
bool import_edits_print(const struct import_edits *edits, const struct import_document *document,
    const char *file, bool words, FILE *to);

#endif
