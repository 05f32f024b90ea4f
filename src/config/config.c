/*
 * config: see config.h.  Freeing, the report, and which line an option stood on.
 */
#include "config/config.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "config/config_draft.h"
#include "config/config_table.h"

const char *config_shown(const char *text, char buf[CONFIG_SHOWN_BYTES])
{
	return text_escape(text, strlen(text), buf, CONFIG_SHOWN_BYTES);
}

void config_string_wipe(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
	free(text);
}

void config_headers_free(struct config_header *headers, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		free(headers[i].name);
		config_string_wipe(headers[i].value);
	}
	free(headers);
}

void config_list_add(struct config_list *list, char *text)
{
	list->items = mem_realloc(list->items, (list->count + 2) * sizeof(*list->items));
	list->items[list->count++] = text;
	list->items[list->count] = NULL;
}

void config_list_clear(struct config_list *list)
{
	size_t i;

	for (i = 0; i < list->count; i++)
		free(list->items[i]);
	free(list->items);
	memset(list, 0, sizeof(*list));
}

static void path_clear(struct config_path *path)
{
	free(path->name);
	hostport_clear(&path->proxy);
	free(path->trust);
	free(path->client_bundle);
	free(path->user);
	config_string_wipe(path->password_ref);
	config_headers_free(path->headers, path->header_count);
}

void config_relay_clear(struct config_relay *relay)
{
	size_t i;

	free(relay->name);
	for (i = 0; i < relay->listen_count; i++)
		free(relay->listens[i].systemd);
	free(relay->listens);
	free(relay->allow_address);
	config_list_clear(&relay->allow_user);
	free(relay->allow_uids);
	hostport_clear(&relay->target);
	free(relay->target_address);
	for (i = 0; i < relay->path_count; i++)
		path_clear(&relay->paths[i]);
	free(relay->paths);
	free(relay->source_address);
	free(relay->client_bundle);
	free(relay->client_cert);
	free(relay->client_key);
	free(relay->client_chain);
	config_string_wipe(relay->client_passphrase_ref);
	free(relay->trust);
	config_list_clear(&relay->expect_issuer);
	config_list_clear(&relay->pin);
	config_list_clear(&relay->connect_allow);
	free(relay->crl_file);
	free(relay->tls_ciphers);
	free(relay->tls_ciphersuites);
	free(relay->tls_groups);
	free(relay->listen_cert);
	free(relay->listen_key);
	free(relay->listen_client_ca);
	memset(relay, 0, sizeof(*relay));
}

bool config_relay_makes_cert(const struct config_relay *relay)
{
	return relay->listen_cert != NULL && strcmp(relay->listen_cert, CONFIG_LISTEN_CERT_AUTO) == 0;
}

void config_process_clear(struct config_process *process)
{
	free(process->user);
	free(process->group);
	memset(process, 0, sizeof(*process));
}

void config_free(struct config *config)
{
	size_t i;

	if (config == NULL)
		return;
	free(config->file);
	config_process_clear(&config->process);
	for (i = 0; i < config->relay_count; i++)
		config_relay_clear(&config->relays[i]);
	free(config->relays);
	free(config);
}

void config_report_init(struct config_report *report, const char *file)
{
	memset(report, 0, sizeof(*report));
	report->file = mem_strdup(file);
}

static void faults_free(struct config_fault *faults, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		free(faults[i].text);
	free(faults);
}

void config_report_clear(struct config_report *report)
{
	free(report->file);
	faults_free(report->faults, report->fault_count);
	faults_free(report->notes, report->note_count);
	memset(report, 0, sizeof(*report));
}

static void __attribute__((format(printf, 4, 0)))
faults_add(struct config_fault **faults, size_t *count, unsigned line, const char *fmt, va_list ap)
{
	char text[ERROR_TEXT_BYTES];

	vsnprintf(text, sizeof(text), fmt, ap);
	*faults = mem_realloc(*faults, (*count + 1) * sizeof(**faults));
	(*faults)[*count].line = line;
	(*faults)[*count].text = mem_strdup(text);
	(*count)++;
}

void config_report_fault(struct config_report *report, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	faults_add(&report->faults, &report->fault_count, line, fmt, ap);
	va_end(ap);
}

void config_report_note(struct config_report *report, unsigned line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	faults_add(&report->notes, &report->note_count, line, fmt, ap);
	va_end(ap);
}

/* A fault and its place: qsort() alone does not keep the order of those on one line. */
struct placed {
	struct config_fault fault;
	size_t place;
};

static int compare_placed(const void *a, const void *b)
{
	const struct placed *x = a, *y = b;

	if (x->fault.line != y->fault.line)
		return x->fault.line < y->fault.line ? -1 : 1;
	return x->place < y->place ? -1 : x->place > y->place;
}

static void faults_sort(struct config_fault *faults, size_t count)
{
	struct placed *placed;
	size_t i;

	if (count < 2)
		return;
	placed = mem_calloc(count, sizeof(*placed));
	for (i = 0; i < count; i++) {
		placed[i].fault = faults[i];
		placed[i].place = i;
	}
	qsort(placed, count, sizeof(*placed), compare_placed);
	for (i = 0; i < count; i++)
		faults[i] = placed[i].fault;
	free(placed);
}

void config_report_sort(struct config_report *report)
{
	faults_sort(report->faults, report->fault_count);
	faults_sort(report->notes, report->note_count);
}

static unsigned line_of(const struct config_lines *lines, enum config_section_kind section, const char *key)
{
	const struct config_option *option = config_option_find(section, key);
	unsigned line = option == NULL ? 0 : lines->option[config_option_index(option)];

	return line != 0 ? line : lines->section;
}

unsigned config_relay_line(const struct config_relay *relay, const char *key)
{
	return line_of(&relay->lines, CONFIG_SECTION_RELAY, key);
}

unsigned config_process_line(const struct config_process *process, const char *key)
{
	return line_of(&process->lines, CONFIG_SECTION_MIDRELAY, key);
}
