/*
 * import_xml: see import_xml.h.  What expat tells of each element, and where in its tag the value stands, which
 * expat does not tell.
 */
#include "import/import_xml.h"

#include <ctype.h>
#include <expat.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define SHOWN_BYTES 120
/* A large config.xml has a hundred. */
#define MAX_PARAMETERS 2000

struct reader {
	XML_Parser parser;
	struct import_document *document;
	struct config_report *report;
	unsigned depth;
	struct import_parameter *open; /* borrowed; the element we are in */
	bool stopped;
};

static void stop(struct reader *reader)
{
	reader->stopped = true;
	XML_StopParser(reader->parser, XML_FALSE);
}

static unsigned line_now(const struct reader *reader)
{
	return (unsigned)XML_GetCurrentLineNumber(reader->parser);
}

static void wipe_string(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

/* ---- where the value stands ---- */

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The attribute `name` in a start tag that expat has read without fault. */
static bool find_attribute(const char *text, size_t at, size_t end, const char *name, size_t *start, size_t *len)
{
	while (at < end && !is_space(text[at]))
		at++;
	for (;;) {
		const char *close;
		size_t key, key_len;

		while (at < end && is_space(text[at]))
			at++;
		key = at;
		while (at < end && !is_space(text[at]) && text[at] != '=')
			at++;
		key_len = at - key;
		while (at < end && text[at] != '"' && text[at] != '\'')
			at++;
		if (at >= end || (close = memchr(text + at + 1, text[at], end - at - 1)) == NULL)
			return false;
		*start = at + 1;
		*len = (size_t)(close - text) - *start;
		if (key_len == strlen(name) && memcmp(text + key, name, key_len) == 0)
			return true;
		at = (size_t)(close - text) + 1;
	}
}

/* ---- what expat calls ---- */

static bool has_word(const char *name, const char *word)
{
	return strcasestr(name, word) != NULL;
}

/* A value that is not shown, whatever it holds. */
static bool is_secret(const struct import_parameter *parameter, bool marked)
{
	return marked || has_word(parameter->name, "passw") || has_word(parameter->name, "secret") ||
	       has_word(parameter->name, "token") || has_word(parameter->name, "passphrase");
}

static char *canonical_name(const char *written)
{
	char *copy = mem_strdup(written), *name = mem_strdup(text_trim(copy)), *c;

	for (c = name; *c != '\0'; c++)
		*c = (char)tolower((unsigned char)*c);
	free(copy);
	return name;
}

static void add_parameter(struct reader *reader, const char **attributes)
{
	struct import_document *document = reader->document;
	struct import_parameter parameter = {.line = line_now(reader)};
	const char *name = NULL, *value = NULL;
	bool marked = false;
	size_t i;

	for (i = 0; attributes[i] != NULL; i += 2) {
		if (strcmp(attributes[i], "name") == 0)
			name = attributes[i + 1];
		else if (strcmp(attributes[i], "value") == 0)
			value = attributes[i + 1];
		else if (strcmp(attributes[i], "secure") == 0 || strcmp(attributes[i], "encrypt") == 0)
			marked = marked || strcasecmp(attributes[i + 1], "true") == 0;
	}
	if (name == NULL) {
		config_report_note(reader->report, parameter.line, "a parameter without a name; it is left alone");
		return;
	}
	if (document->count == MAX_PARAMETERS) {
		config_report_fault(reader->report, parameter.line, "there are more than %d parameters", MAX_PARAMETERS);
		stop(reader);
		return;
	}
	parameter.start = (size_t)XML_GetCurrentByteIndex(reader->parser);
	parameter.end = parameter.start + (size_t)XML_GetCurrentByteCount(reader->parser);
	parameter.written = mem_strdup(name);
	parameter.name = canonical_name(name);
	if (value != NULL && find_attribute(document->text, parameter.start, parameter.end, "value",
	    &parameter.value_start, &parameter.value_len))
		parameter.value = mem_strdup(value);
	parameter.is_secret = is_secret(&parameter, marked);
	document->parameters =
	    mem_realloc(document->parameters, (document->count + 1) * sizeof(*document->parameters));
	document->parameters[document->count] = parameter;
	reader->open = &document->parameters[document->count++];
}

/* The document's own element. */
static void begin_document(struct reader *reader, const char *element)
{
	struct import_document *document = reader->document;
	char shown[SHOWN_BYTES];

	document->root_end = (size_t)XML_GetCurrentByteIndex(reader->parser) +
	    (size_t)XML_GetCurrentByteCount(reader->parser);
	if (strcmp(element, "parameters") != 0)
		config_report_fault(reader->report, line_now(reader),
		    "the document is a <%s>, not the <parameters> of a MID Server's config.xml",
		    text_escape(element, strlen(element), shown, sizeof(shown)));
	/* Nothing can be added inside of <parameters/>. */
	else if (document->text[document->root_end - 2] == '/')
		config_report_fault(reader->report, line_now(reader), "<parameters/> is empty, which no config.xml is");
	else
		return;
	stop(reader);
}

static void XMLCALL on_start(void *data, const XML_Char *element, const XML_Char **attributes)
{
	struct reader *reader = data;
	char shown[SHOWN_BYTES];

	if (reader->stopped)
		return;
	reader->depth++;
	if (reader->depth == 1) {
		begin_document(reader, element);
	} else if (reader->depth == 2 && strcmp(element, "parameter") == 0) {
		add_parameter(reader, attributes);
	} else if (reader->depth == 2 && strcasecmp(element, "parameter") == 0) {
		config_report_note(reader->report, line_now(reader),
		    "<%s> is not <parameter>, upper and lower case count in XML; it is left alone",
		    text_escape(element, strlen(element), shown, sizeof(shown)));
	}
}

static void XMLCALL on_end(void *data, const XML_Char *element)
{
	struct reader *reader = data;

	if (reader->depth == 2 && reader->open != NULL) {
		reader->open->end = (size_t)XML_GetCurrentByteIndex(reader->parser) +
		    (size_t)XML_GetCurrentByteCount(reader->parser);
		reader->open = NULL;
	}
	reader->depth--;
}

static void XMLCALL on_doctype(void *data, const XML_Char *name, const XML_Char *system_id,
    const XML_Char *public_id, int has_internal_subset)
{
	struct reader *reader = data;

	config_report_fault(reader->report, line_now(reader),
	    "a document type declaration: config.xml needs none, and none is read");
	stop(reader);
}

/* ---- the document ---- */

static bool parse(struct reader *reader)
{
	struct import_document *document = reader->document;
	enum XML_Status status;

	/* What was UTF-16 is UTF-8 now, whatever its declaration says. */
	reader->parser = XML_ParserCreate(document->encoding == IMPORT_ENCODING_BYTES ? NULL : "UTF-8");
	if (reader->parser == NULL) {
		config_report_fault(reader->report, 0, "out of memory");
		return false;
	}
	XML_SetUserData(reader->parser, reader);
	XML_SetElementHandler(reader->parser, on_start, on_end);
	XML_SetStartDoctypeDeclHandler(reader->parser, on_doctype);
	status = XML_Parse(reader->parser, document->text, (int)document->len, 1);
	if (status != XML_STATUS_OK && !reader->stopped)
		config_report_fault(reader->report, line_now(reader), "this is not well-formed XML: %s (column %lu)",
		    XML_ErrorString(XML_GetErrorCode(reader->parser)),
		    (unsigned long)XML_GetCurrentColumnNumber(reader->parser) + 1);
	XML_ParserFree(reader->parser);
	return status == XML_STATUS_OK && !reader->stopped;
}

static void note_oddities(const struct import_document *document, struct config_report *report)
{
	char shown[SHOWN_BYTES];
	size_t i, j;

	for (i = 0; i < document->count; i++) {
		const struct import_parameter *p = &document->parameters[i];

		text_escape(p->written, strlen(p->written), shown, sizeof(shown));
		if (strcmp(p->name, p->written) != 0)
			config_report_note(report, p->line, "the name \"%s\" is taken for %s; a MID Server may not "
			    "know it in this form", shown, p->name);
		if (p->value == NULL)
			config_report_note(report, p->line, "%s has no value attribute; it counts as empty", shown);
		for (j = i; j > 0 && strcmp(document->parameters[j - 1].name, p->name) != 0; j--)
			;
		if (j > 0)
			config_report_note(report, p->line, "%s is there twice: this one, the last, is taken, and not "
			    "that in line %u; what the MID Server itself does is not known, so keep one of them",
			    shown, document->parameters[j - 1].line);
	}
}

bool import_document_read(
    struct import_document *document, const char *bytes, size_t len, struct config_report *report)
{
	struct reader reader = {.document = document, .report = report};
	struct error err;

	memset(document, 0, sizeof(*document));
	if (len > IMPORT_MAX_BYTES) {
		config_report_fault(report, 0, "is larger than 1 MiB, which no config.xml is");
		return false;
	}
	if (!import_text_decode(bytes, len, &document->text, &document->len, &document->encoding, &err)) {
		config_report_fault(report, 0, "%s", err.text);
		return false;
	}
	if (!parse(&reader)) {
		import_document_clear(document);
		return false;
	}
	note_oddities(document, report);
	return true;
}

void import_document_clear(struct import_document *document)
{
	size_t i;

	for (i = 0; i < document->count; i++) {
		free(document->parameters[i].name);
		free(document->parameters[i].written);
		wipe_string(document->parameters[i].value);
	}
	free(document->parameters);
	if (document->text != NULL)
		explicit_bzero(document->text, document->len);
	free(document->text);
	memset(document, 0, sizeof(*document));
}

const struct import_parameter *import_document_find(
    const struct import_document *document, const char *name)
{
	size_t i;

	for (i = document->count; i > 0; i--) {
		if (strcmp(document->parameters[i - 1].name, name) == 0)
			return &document->parameters[i - 1];
	}
	return NULL;
}
