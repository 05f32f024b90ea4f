/*
 * Fuzzes the reading and changing of a config.xml: any bytes are refused or read; the text encodes to the same bytes again;
 * places lie within the text; after the changes of each way the file is still one that is read, with every parameter that
 * is not ours as before and with nothing left to change; and a password is in no diff.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "import/import_ini.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_document(const struct import_document *document, const uint8_t *data, size_t size)
{
	char *bytes;
	size_t len, i;

	import_text_encode(document->text, document->len, document->encoding, &bytes, &len);
	midrelay_assert(len == size && memcmp(bytes, data, len) == 0);
	free(bytes);
	midrelay_assert(document->root_end <= document->len);
	for (i = 0; i < document->count; i++) {
		const struct import_parameter *p = &document->parameters[i];

		midrelay_assert(p->start < p->end && p->end <= document->len && document->text[p->start] == '<');
		midrelay_assert(i == 0 || document->parameters[i - 1].end <= p->start);
		if (p->value == NULL)
			continue;
		midrelay_assert(p->value_start > p->start && p->value_start + p->value_len < p->end);
		midrelay_assert(strchr("\"'", document->text[p->value_start - 1]) != NULL);
	}
}

/* The next parameter that is not ours, from *i on, or NULL. */
static const struct import_parameter *next_foreign(const struct import_document *document, size_t *i)
{
	while (*i < document->count) {
		const struct import_parameter *p = &document->parameters[(*i)++];

		if (!import_way_may_edit(p->name))
			return p;
	}
	return NULL;
}

static bool equal(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static void check_changed(enum import_way way, const struct import_mid *mid, const char *listen,
    const struct import_document *before, const char *text, size_t len)
{
	const struct import_parameter *p, *q;
	struct import_document after;
	struct import_edits edits;
	struct config_report report;
	size_t i = 0, j = 0, bytes_len;
	char *bytes;

	config_report_init(&report, "changed");
	import_text_encode(text, len, before->encoding, &bytes, &bytes_len);
	if (import_document_read(&after, bytes, bytes_len, &report)) {
		do {
			p = next_foreign(before, &i);
			q = next_foreign(&after, &j);
			midrelay_assert((p == NULL) == (q == NULL));
			midrelay_assert(p == NULL || (equal(p->name, q->name) && equal(p->value, q->value)));
		} while (p != NULL);
		import_way_edits(way, mid, listen, &after, &edits);
		midrelay_assert(edits.count == 0 || (way == IMPORT_WAY_TLS && !mid->url_is_fine));
		import_edits_clear(&edits);
	} else {
		/* Only by outgrowing a bound. */
		midrelay_assert(bytes_len > IMPORT_MAX_BYTES || before->count + 4 > 2000);
	}
	import_document_clear(&after);
	config_report_clear(&report);
	free(bytes);
}

/* The name of a host is no secret, whoever takes it for a password. */
static bool is_host(const struct import_mid *mid, const char *value)
{
	return strcasestr(mid->target.host, value) != NULL ||
	       (mid->proxy.host != NULL && strcasestr(mid->proxy.host, value) != NULL);
}

static void check_diff(const struct import_edits *edits, const struct import_document *document,
    const struct import_mid *mid)
{
	char *shown = NULL;
	size_t len = 0, i;
	FILE *to = open_memstream(&shown, &len);

	midrelay_assert(to != NULL);
	import_edits_print(edits, document, "config.xml", true, to);
	fclose(to);
	for (i = 0; i < document->count; i++) {
		const struct import_parameter *p = &document->parameters[i];

		/* Long enough not to be there by chance. */
		if (p->is_secret && p->value != NULL && strstr(p->value, "hunter2-") != NULL && !is_host(mid, p->value))
			midrelay_assert(strstr(shown, p->value) == NULL);
	}
	free(shown);
}

static void check_ways(const struct import_document *document, const struct import_mid *mid)
{
	struct config_report report;
	struct import_edits edits;
	char *listen, *text;
	size_t len;
	int i;

	for (i = 0; i < IMPORT_WAYS; i++) {
		enum import_way way = (enum import_way)i;
		struct import_ini ini = {.mid = mid, .way = way, .source = "config.xml", .password_file = "/p",
		    .bundle_file = "/b", .owner = "mid"};

		ini.listen = listen = import_way_listen(way, mid);
		import_way_edits(way, mid, listen, document, &edits);
		check_diff(&edits, document, mid);
		text = import_edits_apply(&edits, document, &len);
		check_changed(way, mid, listen, document, text, len);
		free(text);
		import_edits_clear(&edits);
		config_report_init(&report, "config.xml");
		text = import_ini_make(&ini, &report);
		midrelay_assert((text == NULL) == (report.fault_count > 0));
		free(text);
		config_report_clear(&report);
		free(listen);
	}
}

/* `target` as with --target: then there need be no url. */
static void check_mid(const struct import_document *document, const char *target)
{
	struct import_mid mid;
	struct config_report report;

	config_report_init(&report, "config.xml");
	if (import_mid_read(&mid, document, target, &report))
		check_ways(document, &mid);
	import_mid_clear(&mid);
	config_report_clear(&report);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct import_document document;
	struct config_report report;
	bool read;

	config_report_init(&report, "config.xml");
	read = import_document_read(&document, (const char *)data, size, &report);
	midrelay_assert(read == (report.fault_count == 0));
	if (read) {
		check_document(&document, data, size);
		check_mid(&document, NULL);
		check_mid(&document, "acme.service-now.com");
	}
	import_document_clear(&document);
	config_report_clear(&report);
	return 0;
}
