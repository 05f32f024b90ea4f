/* import_edit: see import_edit.h. */
#include "import/import_edit.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

#define SHOWN_BYTES 512

void import_edits_clear(struct import_edits *edits)
{
	size_t i;

	for (i = 0; i < edits->count; i++) {
		free(edits->items[i].text);
		free(edits->items[i].sentence);
	}
	free(edits->items);
	memset(edits, 0, sizeof(*edits));
}

/* Takes text and sentence. */
static void add_edit(struct import_edits *edits, size_t at, size_t len, char *text, char *sentence)
{
	size_t i;

	edits->items = mem_realloc(edits->items, (edits->count + 1) * sizeof(*edits->items));
	for (i = edits->count; i > 0 && edits->items[i - 1].at > at; i--)
		edits->items[i] = edits->items[i - 1];
	edits->items[i] = (struct import_edit){at, len, text, sentence};
	edits->count++;
}

bool import_edits_set(struct import_edits *edits, const struct import_document *document, const char *name,
    const char *value)
{
	bool found = false;
	size_t i;

	for (i = 0; i < document->count; i++) {
		const struct import_parameter *p = &document->parameters[i];

		if (strcmp(p->name, name) != 0)
			continue;
		found = true;
		if (p->value != NULL && strcmp(p->value, value) == 0)
			continue;
		if (p->value != NULL)
			add_edit(edits, p->value_start, p->value_len, mem_strdup(value),
			    mem_printf("%s gets the value \"%s\"", name, value));
		else
			add_edit(edits, p->start + strlen("<parameter"), 0, mem_printf(" value=\"%s\"", value),
			    mem_printf("%s gets the value \"%s\"", name, value));
	}
	return found;
}

static bool is_blank(const char *text, size_t from, size_t to)
{
	for (; from < to; from++) {
		if (text[from] != ' ' && text[from] != '\t' && text[from] != '\r')
			return false;
	}
	return true;
}

static size_t line_start(const struct import_document *document, size_t at)
{
	while (at > 0 && document->text[at - 1] != '\n')
		at--;
	return at;
}

/* Behind the line end, or at the end of the text. */
static size_t line_end(const struct import_document *document, size_t at)
{
	const char *end = memchr(document->text + at, '\n', document->len - at);

	return end == NULL ? document->len : (size_t)(end - document->text) + 1;
}

/* Behind a comment that begins and ends on this line, if it is the next thing; else `at`. */
static size_t skip_comment(const struct import_document *document, size_t at, size_t end)
{
	const char *text = document->text, *close;
	size_t open = at;

	while (open < end && (text[open] == ' ' || text[open] == '\t'))
		open++;
	if (end - open < 7 || memcmp(text + open, "<!--", 4) != 0)
		return at;
	close = memmem(text + open + 4, end - open - 4, "-->", 3);
	return close == NULL ? at : (size_t)(close - text) + 3;
}

void import_edits_add(struct import_edits *edits, const struct import_document *document,
    const struct import_parameter *anchor, const char *name, const char *value)
{
	const char *text = document->text;
	size_t behind = anchor == NULL ? document->root_end : anchor->end;
	size_t end = line_end(document, behind), from, indent;
	bool crlf = memmem(text, document->len, "\r\n", 2) != NULL;
	bool own_line;
	char *line;

	from = anchor == NULL ? behind : line_start(document, anchor->start);
	for (indent = 0; anchor != NULL && from + indent < anchor->start &&
	     (text[from + indent] == ' ' || text[from + indent] == '\t'); indent++)
		;
	line = anchor == NULL
	    ? mem_printf("    <parameter name=\"%s\" value=\"%s\"/>", name, value)
	    : mem_printf("%.*s<parameter name=\"%s\" value=\"%s\"/>", (int)indent, text + from, name, value);
	own_line = end > behind && text[end - 1] == '\n' &&
	    is_blank(text, skip_comment(document, behind, end), end - 1);
	add_edit(edits, own_line ? end : behind, 0,
	    own_line ? mem_printf("%s%s", line, crlf ? "\r\n" : "\n") : mem_printf("%s%s", crlf ? "\r\n" : "\n", line),
	    mem_printf("%s is added, with the value \"%s\"", name, value));
	free(line);
}

/* What becomes of [from, to), which holds the edits [first, last) whole.  The caller's. */
static char *edit_range(const struct import_edits *edits, const char *text, size_t from, size_t to, size_t first,
    size_t last, size_t *len)
{
	size_t size = to - from + 1, i;
	char *out, *end;

	for (i = first; i < last; i++)
		size += strlen(edits->items[i].text);
	out = end = mem_calloc(1, size);
	for (i = first; i < last; i++) {
		const struct import_edit *edit = &edits->items[i];

		end = mempcpy(end, text + from, edit->at - from);
		end = mempcpy(end, edit->text, strlen(edit->text));
		from = edit->at + edit->len;
	}
	end = mempcpy(end, text + from, to - from);
	*len = (size_t)(end - out);
	return out;
}

char *import_edits_apply(
    const struct import_edits *edits, const struct import_document *document, size_t *len)
{
	return edit_range(edits, document->text, 0, document->len, 0, edits->count, len);
}

/* ---- the diff ---- */

/* Whole lines of the old text and the edits in them. */
struct hunk {
	size_t from, to;
	size_t first, last;
};

static struct hunk hunk_of(const struct import_edits *edits, const struct import_document *document, size_t i)
{
	const struct import_edit *edit = &edits->items[i];
	size_t text_len = strlen(edit->text);
	struct hunk hunk = {.first = i, .last = i + 1};

	hunk.from = line_start(document, edit->at);
	hunk.to = line_end(document, edit->len > 0 ? edit->at + edit->len - 1 : edit->at);
	/* Whole lines between two lines touch neither. */
	if (edit->len == 0 && edit->at == hunk.from && text_len > 0 && edit->text[text_len - 1] == '\n')
		hunk.to = hunk.from;
	return hunk;
}

static size_t count_lines(const char *text, size_t len)
{
	size_t count = 0, i;

	for (i = 0; i < len; i++)
		count += text[i] == '\n';
	return count + (len > 0 && text[len - 1] != '\n');
}

static void print_lines(char sign, const char *text, size_t len, FILE *to)
{
	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		size_t line_len = end == NULL ? len : (size_t)(end - text) + 1;

		fputc(sign, to);
		fwrite(text, 1, line_len, to);
		if (end == NULL)
			fputs("\n\\ No newline at end of file\n", to);
		text += line_len;
		len -= line_len;
	}
}

static void print_range(char sign, size_t before, size_t count, FILE *to)
{
	fprintf(to, " %c%zu", sign, count == 0 ? before : before + 1);
	if (count != 1)
		fprintf(to, ",%zu", count);
}

/* Below that, everything would hold it. */
#define SECRET_MIN_BYTES 4

/* The password in another place, as it is written or as it is meant. */
static bool repeats_secret(
    const struct import_document *document, const struct import_parameter *p, const struct hunk *hunk)
{
	const char *lines = document->text + hunk->from;
	size_t len = hunk->to - hunk->from;

	if (!p->is_secret || p->value == NULL)
		return false;
	return (p->value_len >= SECRET_MIN_BYTES &&
		   memmem(lines, len, document->text + p->value_start, p->value_len) != NULL) ||
	       (strlen(p->value) >= SECRET_MIN_BYTES && memmem(lines, len, p->value, strlen(p->value)) != NULL);
}

/* By what is marked, and by words: a commented-out password is one, too. */
static bool shows_secret(const struct import_document *document, const struct hunk *hunk)
{
	static const char *const words[] = {"passw", "secret", "passphrase", "token"};
	char *lines = mem_strndup(document->text + hunk->from, hunk->to - hunk->from);
	bool found = false;
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		found = found || strcasestr(lines, words[i]) != NULL;
	for (i = 0; i < document->count; i++) {
		const struct import_parameter *p = &document->parameters[i];

		found = found || (p->is_secret && p->start < hunk->to && p->end > hunk->from) ||
		    repeats_secret(document, p, hunk);
	}
	explicit_bzero(lines, strlen(lines));
	free(lines);
	return found;
}

static void print_in_words(const struct import_edits *edits, const struct hunk *hunk, size_t line, FILE *to)
{
	size_t i;

	fprintf(to, "Line %zu holds a password, too, and is not shown. In it:\n", line);
	for (i = hunk->first; i < hunk->last; i++)
		fprintf(to, "  %s\n", edits->items[i].sentence);
}

bool import_edits_print(const struct import_edits *edits, const struct import_document *document,
    const char *file, bool words, FILE *to)
{
	size_t i = 0, added = 0, removed = 0;
	char shown[SHOWN_BYTES];
	bool all = true;

	if (edits->count > 0)
		fprintf(to, "--- %s\n+++ %s\n", text_escape(file, strlen(file), shown, sizeof(shown)), shown);
	while (i < edits->count) {
		struct hunk hunk = hunk_of(edits, document, i), next;
		size_t before, old_count, new_count, len;
		char *now;

		while (hunk.last < edits->count) {
			next = hunk_of(edits, document, hunk.last);
			if (next.from > hunk.to)
				break;
			hunk.to = next.to > hunk.to ? next.to : hunk.to;
			hunk.last = next.last;
		}
		i = hunk.last;
		before = count_lines(document->text, hunk.from);
		if (shows_secret(document, &hunk)) {
			if (words)
				print_in_words(edits, &hunk, before + 1, to);
			all = false;
			continue;
		}
		now = edit_range(edits, document->text, hunk.from, hunk.to, hunk.first, hunk.last, &len);
		old_count = count_lines(document->text + hunk.from, hunk.to - hunk.from);
		new_count = count_lines(now, len);
		fputs("@@", to);
		print_range('-', before, old_count, to);
		print_range('+', before + added - removed, new_count, to);
		fputs(" @@\n", to);
		print_lines('-', document->text + hunk.from, hunk.to - hunk.from, to);
		print_lines('+', now, len, to);
		free(now);
		added += new_count;
		removed += old_count;
	}
	return all;
}
