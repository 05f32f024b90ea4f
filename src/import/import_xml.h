/*
 * import_xml: a MID's config.xml as a list of parameters, each with its place in the text.
 *
 * Read with expat, which opens no file and no connection.  A document type declaration is a fault: no config.xml
 * needs one, and entities, external or nested, are left no place to be declared in.  Bounded by IMPORT_MAX_BYTES.
 */
#ifndef MIDRELAY_IMPORT_IMPORT_XML_H
#define MIDRELAY_IMPORT_IMPORT_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"
#include "import/import_text.h"

#define IMPORT_MAX_BYTES (1024 * 1024)

struct import_parameter {
	char *name;    /* trimmed, lower case */
	char *written; /* as it is there */
	char *value;   /* NULL: there is no such attribute; may be a password */
	bool is_secret;
	unsigned line;
	size_t start, end; /* of the element, in the text */
	size_t value_start, value_len; /* between the quotes, as written */
};

struct import_document {
	enum import_encoding encoding;
	char *text;
	size_t len;
	struct import_parameter *parameters;
	size_t count;
	size_t root_end; /* behind <parameters> */
};

/*
 * Faults and notes go to the report.  False, with an empty document, when there is a fault.  Clear the document in
 * any case.
 */
bool import_document_read(
    struct import_document *document, const char *bytes, size_t len, struct config_report *report);
void import_document_clear(struct import_document *document); /* wipes the text */

/*
 * The parameter of this name that counts, or NULL.  Of several that is the last; a MID's own scripts change the first,
 * and what the agent itself does is not known, so whoever changes one changes all.
 */
const struct import_parameter *import_document_find(
    const struct import_document *document, const char *name);

#endif
