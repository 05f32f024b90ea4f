/*
 * config_read: see config_read.h.  Lines, sections and keys; what a key or value means is not its business.
 */
#include "config/config_read.h"

#include <errno.h>
#include <fcntl.h>
#include <ini.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/text.h"
#include "config/config_draft.h"

/* What our reader made of one line; the strings are owned until they move into a section. */
struct record {
	unsigned line;
	bool is_section;
	bool faulty;
	char *name; /* key, or the section's text */
	char *value;
	size_t section; /* of a section: its index in the result */
};

struct reader {
	struct record *records;
	size_t count;
	size_t capacity;
	size_t fed;   /* records handed to inih */
	size_t taken; /* keys that came back */
	struct config_text *text;
	struct config_report *report;
};

static struct record *add_record(struct reader *reader, unsigned line, const char *name)
{
	struct record *record;

	if (reader->count == reader->capacity) {
		reader->capacity = reader->capacity == 0 ? 64 : reader->capacity * 2;
		reader->records = mem_realloc(reader->records, reader->capacity * sizeof(*reader->records));
	}
	record = &reader->records[reader->count++];
	memset(record, 0, sizeof(*record));
	record->line = line;
	record->name = mem_strdup(name);
	return record;
}

/* Well-formed UTF-8 (RFC 3629 section 4). */
static bool is_utf8(const char *text)
{
	const unsigned char *p = (const unsigned char *)text;

	while (*p != '\0') {
		unsigned more, low = 0x80, high = 0xbf;

		if (*p < 0x80) {
			p++;
			continue;
		}
		if (*p >= 0xc2 && *p <= 0xdf)
			more = 1;
		else if (*p >= 0xe0 && *p <= 0xef)
			more = 2;
		else if (*p >= 0xf0 && *p <= 0xf4)
			more = 3;
		else
			return false;
		if (*p == 0xe0)
			low = 0xa0;
		else if (*p == 0xed)
			high = 0x9f;
		else if (*p == 0xf0)
			low = 0x90;
		else if (*p == 0xf4)
			high = 0x8f;
		for (p++; more > 0; more--, p++) {
			if (*p < low || *p > high)
				return false;
			low = 0x80;
			high = 0xbf;
		}
	}
	return true;
}

static bool only_chars(const char *text, const char *allowed)
{
	return text[strspn(text, allowed)] == '\0';
}

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."

static void read_section(struct reader *reader, unsigned line, char *text)
{
	char *end = strchr(text, ']');
	struct record *record;
	bool faulty = false;

	if (end == NULL) {
		config_report_fault(reader->report, line, "the ']' of the section is missing");
		end = text + strlen(text);
		faulty = true;
	} else if (end[1] != '\0') {
		config_report_fault(reader->report, line,
		    "nothing may follow the ']' of a section; a comment must stand on a line of its own");
		faulty = true;
	}
	*end = '\0';
	text = text_trim(text + 1);
	if (!faulty && !only_chars(text, NAME_CHARS " \t")) {
		config_report_fault(
		    reader->report, line, "a section's name is made of letters, digits, '-', '_' and '.'");
		faulty = true;
	}
	if (!faulty && strlen(text) > CONFIG_NAME_MAX_BYTES) {
		config_report_fault(reader->report, line, "the section's name is longer than %d bytes",
		    CONFIG_NAME_MAX_BYTES);
		faulty = true;
	}
	record = add_record(reader, line, text);
	record->is_section = true;
	record->faulty = faulty;
}

/* The line is never shown: it may be a secret with a typing error in front of it. */
static void read_key(struct reader *reader, unsigned line, char *text)
{
	char *equals = strchr(text, '=');
	char *key, *value;

	if (equals == NULL) {
		config_report_fault(
		    reader->report, line, "this is neither [SECTION] nor KEY = VALUE nor a comment");
		return;
	}
	*equals = '\0';
	key = text_trim(text);
	value = text_trim(equals + 1);
	if (*key == '\0') {
		config_report_fault(reader->report, line, "there is no key before the '='");
	} else if (!only_chars(key, NAME_CHARS)) {
		config_report_fault(reader->report, line,
		    "what stands before the '=' is not a key: a key is made of letters, digits and '_'");
	} else if (strlen(key) > CONFIG_NAME_MAX_BYTES) {
		config_report_fault(
		    reader->report, line, "the key is longer than %d bytes", CONFIG_NAME_MAX_BYTES);
	} else if (!is_utf8(value)) {
		config_report_fault(reader->report, line, "%s: the value is not UTF-8", key);
	} else if (reader->count == 0) {
		config_report_fault(reader->report, line,
		    "%s stands before the first section; write [midrelay] or [relay NAME] above it", key);
	} else {
		add_record(reader, line, key)->value = mem_strdup(value);
	}
}

/* One line without its end; `from` is writable and has room for a NUL at `len`. */
static void read_line(struct reader *reader, unsigned line, char *from, size_t len)
{
	size_t i;
	char *text;

	if (len > 0 && from[len - 1] == '\r')
		len--;
	if (len > CONFIG_LINE_MAX_BYTES) {
		config_report_fault(reader->report, line, "the line is longer than 64 kB");
		return;
	}
	for (i = 0; i < len; i++) {
		unsigned char byte = (unsigned char)from[i];

		if ((byte < 0x20 && byte != '\t') || byte == 0x7f) {
			config_report_fault(
			    reader->report, line, "the line has a control byte (\\x%02x) in it", byte);
			return;
		}
	}
	from[len] = '\0';
	text = text_trim(from);
	if (*text == '\0' || *text == ';' || *text == '#')
		return;
	if (*text == '[')
		read_section(reader, line, text);
	else
		read_key(reader, line, text);
}

/* inih's fgets: one line per record. */
static char *feed_inih(char *buf, int buf_bytes, void *arg)
{
	struct reader *reader = arg;
	const struct record *record;

	if (reader->fed == reader->count)
		return NULL;
	record = &reader->records[reader->fed];
	if (record->is_section)
		snprintf(buf, (size_t)buf_bytes, "[%zu]\n", reader->fed);
	else
		snprintf(buf, (size_t)buf_bytes, "%s = %zu\n", record->name, reader->fed);
	reader->fed++;
	return buf;
}

static struct record *record_at(struct reader *reader, const char *text)
{
	uint64_t index;

	if (reader->count == 0 || !text_parse_uint(text, 0, reader->count - 1, &index))
		return NULL;
	return &reader->records[index];
}

/* inih's handler: 1 is success. */
static int on_key(void *arg, const char *section_text, const char *name, const char *value)
{
	struct reader *reader = arg;
	struct record *section_record = record_at(reader, section_text);
	struct record *record = record_at(reader, value);
	struct config_section *section;
	struct config_entry *entry;

	if (section_record == NULL || !section_record->is_section || record == NULL ||
	    record->value == NULL || strcmp(record->name, name) != 0)
		return 0;
	section = &reader->text->sections[section_record->section];
	section->entries =
	    mem_realloc(section->entries, (section->entry_count + 1) * sizeof(*section->entries));
	entry = &section->entries[section->entry_count++];
	entry->line = record->line;
	entry->key = record->name;
	entry->value = record->value;
	record->name = record->value = NULL;
	reader->taken++;
	return 1;
}

/* inih calls nobody for a section without keys, so the sections are taken from our records. */
static void make_sections(struct reader *reader)
{
	struct config_text *text = reader->text;
	size_t count = 0, i;

	for (i = 0; i < reader->count; i++)
		count += reader->records[i].is_section ? 1 : 0;
	text->sections = mem_calloc(count, sizeof(*text->sections));
	for (i = 0; i < reader->count; i++) {
		struct record *record = &reader->records[i];

		if (!record->is_section)
			continue;
		record->section = text->section_count;
		text->sections[text->section_count].line = record->line;
		text->sections[text->section_count].faulty = record->faulty;
		text->sections[text->section_count++].text = mem_strdup(record->name);
	}
}

static void run_inih(struct reader *reader)
{
	size_t keys = 0, i;
	int status = ini_parse_stream(feed_inih, reader, on_key, reader);

	for (i = 0; i < reader->count; i++)
		keys += reader->records[i].is_section ? 0 : 1;
	if (status > 0 && (size_t)status <= reader->count)
		config_report_fault(reader->report, reader->records[status - 1].line,
		    "the INI library cannot take this line");
	else if (status != 0 || reader->taken != keys)
		config_report_fault(reader->report, 0, "the INI library cannot take this file");
}

static void free_records(struct reader *reader)
{
	size_t i;

	for (i = 0; i < reader->count; i++) {
		free(reader->records[i].name);
		config_string_wipe(reader->records[i].value);
	}
	free(reader->records);
}

static bool looks_like_utf16(const char *bytes, size_t len)
{
	return len >= 2 && (memcmp(bytes, "\xff\xfe", 2) == 0 || memcmp(bytes, "\xfe\xff", 2) == 0);
}

void config_read_bytes(const char *bytes, size_t len, struct config_text *text, struct config_report *report)
{
	struct reader reader = {.text = text, .report = report};
	char *copy, *line;
	size_t rest;
	unsigned number;

	if (looks_like_utf16(bytes, len)) {
		config_report_fault(report, 1, "the file is UTF-16; save it as UTF-8");
		return;
	}
	if (len >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
		bytes += 3;
		len -= 3;
	}
	copy = mem_calloc(1, len + 1);
	memcpy(copy, bytes, len);
	for (line = copy, rest = len, number = 1; rest > 0; number++) {
		char *end = memchr(line, '\n', rest);
		size_t line_len = end == NULL ? rest : (size_t)(end - line);
		size_t used = end == NULL ? rest : line_len + 1;

		read_line(&reader, number, line, line_len);
		line += used;
		rest -= used;
	}
	make_sections(&reader);
	run_inih(&reader);
	free_records(&reader);
	explicit_bzero(copy, len + 1);
	free(copy);
}

/* The whole file into *bytes; the sentence is a fault of the file as a whole. */
static bool slurp(const char *file, char **bytes, size_t *len, mode_t *mode, struct error *err)
{
	struct stat st;
	char *buf = NULL;
	size_t used = 0;
	ssize_t n;
	/* A FIFO must not hold up the start; it is refused below. */
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

	if (fd < 0)
		return error_set_errno(err, errno, "the file cannot be opened");
	if (fstat(fd, &st) != 0) {
		error_set_errno(err, errno, "the file cannot be examined");
		goto fail;
	}
	if (!S_ISREG(st.st_mode)) {
		error_set(err, "this is not a regular file");
		goto fail;
	}
	buf = mem_calloc(1, CONFIG_FILE_MAX_BYTES + 1);
	while (used <= CONFIG_FILE_MAX_BYTES) {
		n = read(fd, buf + used, CONFIG_FILE_MAX_BYTES + 1 - used);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			error_set_errno(err, errno, "the file cannot be read");
			goto fail;
		}
		if (n == 0)
			break;
		used += (size_t)n;
	}
	if (used > CONFIG_FILE_MAX_BYTES) {
		error_set(err, "the file is larger than 1 MiB");
		goto fail;
	}
	close(fd);
	*bytes = buf;
	*len = used;
	*mode = st.st_mode;
	return true;
fail:
	if (buf != NULL)
		explicit_bzero(buf, CONFIG_FILE_MAX_BYTES + 1);
	free(buf);
	close(fd);
	return false;
}

bool config_read_file(const char *file, struct config_text *text, struct config_report *report)
{
	struct error err;
	char *bytes = NULL;
	size_t len = 0;

	memset(text, 0, sizeof(*text));
	if (!slurp(file, &bytes, &len, &text->mode, &err)) {
		config_report_fault(report, 0, "%s", err.text);
		return false;
	}
	config_read_bytes(bytes, len, text, report);
	explicit_bzero(bytes, len);
	free(bytes);
	return true;
}

void config_text_clear(struct config_text *text)
{
	size_t i, j;

	for (i = 0; i < text->section_count; i++) {
		struct config_section *section = &text->sections[i];

		for (j = 0; j < section->entry_count; j++) {
			free(section->entries[j].key);
			config_string_wipe(section->entries[j].value);
		}
		free(section->entries);
		free(section->text);
	}
	free(text->sections);
	memset(text, 0, sizeof(*text));
}
