/*
 * config_read: an INI file as sections and keys, every one with its line.
 *
 * inih (r55, as distributions ship it) splits lines over 199 bytes, cuts a value at " ;", takes ':' for '=',
 * continues a value on an indented line, drops what follows a section's ']' and tells no line numbers.  So
 * our own reader goes first: it takes lines as they are documented, and hands inih nothing but "[INDEX]" and
 * "key = INDEX", from which the raw text is looked up.
 *
 * Accepted: a regular file of at most 1 MiB, lines of at most 64 kB, a UTF-8 byte order mark, LF or CRLF.
 * A line is blank, a comment (';' or '#' first), [section], or KEY = VALUE; white space at both ends of
 * lines, keys and values is cut; a value is literal.  Refused with its line: NUL and control bytes, a value
 * that is not UTF-8, a line that is none of these.
 */
#ifndef MIDRELAY_CONFIG_CONFIG_READ_H
#define MIDRELAY_CONFIG_CONFIG_READ_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "config/config.h"

#define CONFIG_FILE_MAX_BYTES (1024 * 1024)
#define CONFIG_LINE_MAX_BYTES (64 * 1024)
/* Longer than any key or section there will be, and short enough for inih. */
#define CONFIG_NAME_MAX_BYTES 64

struct config_entry {
	unsigned line;
	char *key;
	char *value; /* may be "" */
};

struct config_section {
	unsigned line;
	char *text;  /* between the brackets, trimmed */
	bool faulty; /* reported already; its keys are still worth checking */
	struct config_entry *entries;
	size_t entry_count;
};

struct config_text {
	mode_t mode; /* of the file */
	struct config_section *sections;
	size_t section_count;
};

/* Both add every fault to the report.  False: the file cannot be read at all and *text is empty. */
bool config_read_file(const char *file, struct config_text *text, struct config_report *report) MUST_CHECK;
void config_read_bytes(const char *bytes, size_t len, struct config_text *text, struct config_report *report);
/* Wipes what it frees: values may be secrets. */
void config_text_clear(struct config_text *text);

#endif
