/*
 * explain: shows the table of diagnoses, whole or one row.  What the rows say is the business of
 * dial/diagnosis_table.c.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "command.h"
#include "dial/diagnosis.h"

static int explain_run(int argc, char **argv);

const struct command command_explain = {
    .name = "explain",
    .usage = "[CODE] [--json]",
    .summary = "what a diagnosis code means and what to do; without CODE, the list",
    .run = explain_run,
};

#define WRAP_COLUMNS 78

/* Prints words from `column` on, wrapped, further lines indented by `indent`. */
static void print_wrapped(const char *text, int indent, int column)
{
	while (*text != '\0') {
		int word = (int)strcspn(text, " ");

		if (column > indent && column + 1 + word > WRAP_COLUMNS) {
			printf("\n%*s", indent, "");
			column = indent;
		} else if (column > indent) {
			putchar(' ');
			column++;
		}
		printf("%.*s", word, text);
		column += word;
		text += word;
		text += strspn(text, " ");
	}
	putchar('\n');
}

static void print_paragraph(const char *label, const char *text)
{
	enum { INDENT = 13 };

	printf("%-*s", INDENT, label);
	print_wrapped(text, INDENT, INDENT);
}

static void print_one(const struct diagnosis_info *info)
{
	printf("%-13s%s\n", "code", info->name);
	printf("%-13s%s\n", "stage", diagnosis_stage_name(info->stage));
	print_paragraph("meaning", info->meaning);
	print_paragraph("remedy", info->remedy);
	if (info->proxy_status[0] != '\0')
		printf("%-13s%s (RFC 9209)\n", "error type", info->proxy_status);
	printf("%-13s%d\n", "HTTP status", info->http_status);
}

static json_t *to_json(const struct diagnosis_info *info)
{
	json_t *type = info->proxy_status[0] != '\0' ? json_string(info->proxy_status) : json_null();
	json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:o, s:i}", "code", info->name, "stage",
	    diagnosis_stage_name(info->stage), "meaning", info->meaning, "remedy", info->remedy,
	    "proxy_status", type, "http_status", info->http_status);

	midrelay_assert(object != NULL);
	return object;
}

/* Writes the document to stdout and gives it back. */
static int print_json(json_t *document)
{
	int failed = json_dumpf(document, stdout, JSON_INDENT(2));

	putchar('\n');
	json_decref(document);
	return failed ? EXIT_STATUS_FAILED : EXIT_STATUS_OK;
}

/* "ok" is what the session line says of a connection that went well, and no entry of the list. */
static int list_json(void)
{
	json_t *list = json_array();
	int code;

	for (code = DIAGNOSIS_OK + 1; code < DIAGNOSIS_CODE_COUNT; code++)
		json_array_append_new(list, to_json(diagnosis_info((enum diagnosis_code)code)));
	return print_json(list);
}

static int list_text(void)
{
	enum { INDENT = 29 };
	const struct diagnosis_info *info, *before = NULL;
	int code;

	for (code = DIAGNOSIS_OK + 1; code < DIAGNOSIS_CODE_COUNT; code++) {
		info = diagnosis_info((enum diagnosis_code)code);
		if (before == NULL || before->stage != info->stage)
			printf("%s%s\n", before == NULL ? "" : "\n", diagnosis_stage_name(info->stage));
		printf("  %-*s", INDENT - 2, info->name);
		print_wrapped(info->meaning, INDENT, INDENT);
		before = info;
	}
	return EXIT_STATUS_OK;
}

static int usage_unknown(const char *name)
{
	const char *nearest = diagnosis_nearest(name);
	char shown[65];

	text_escape(name, strlen(name), shown, sizeof(shown));
	if (nearest != NULL)
		return command_usage_error(
		    &command_explain, "there is no code '%s'; did you mean '%s'?", shown, nearest);
	return command_usage_error(
	    &command_explain, "there is no code '%s'; 'midrelay explain' lists them all", shown);
}

static int explain_run(int argc, char **argv)
{
	const struct diagnosis_info *info;
	const char *name = NULL;
	bool json = false, options = true;
	int i;

	for (i = 1; i < argc; i++) {
		if (options && strcmp(argv[i], "--") == 0)
			options = false;
		else if (options && strcmp(argv[i], "--json") == 0)
			json = true;
		else if (options && argv[i][0] == '-')
			return command_usage_error(&command_explain, "unknown option '%s'", argv[i]);
		else if (name != NULL)
			return command_usage_error(&command_explain, "one code at a time");
		else
			name = argv[i];
	}
	if (name == NULL)
		return json ? list_json() : list_text();
	info = diagnosis_find(name);
	if (info == NULL)
		return usage_unknown(name);
	if (json)
		return print_json(to_json(info));
	print_one(info);
	return EXIT_STATUS_OK;
}
