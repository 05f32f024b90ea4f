/*
 * explain: shows the table of diagnoses, whole or one row with its causes, or the symptom that some words
 * mean.  What the rows say is the business of dial/diagnosis_table.c, diagnosis_cause.c and symptoms.c.
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
#include "dial/symptoms.h"

static int explain_run(int argc, char **argv);

const struct command command_explain = {
    .name = "explain",
    .usage = "[CODE|WORDS] [--json]",
    .summary = "what a diagnosis code, or a message in the MID's log, means and what to do; without, "
    "the list",
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

static void print_causes(enum diagnosis_code code)
{
	int cause;

	for (cause = DIAGNOSIS_CAUSE_NONE + 1; cause < DIAGNOSIS_CAUSE_COUNT; cause++) {
		const struct diagnosis_cause_info *info = diagnosis_cause_info((enum diagnosis_cause)cause);

		if (info->code != code)
			continue;
		printf("\n%-13s%s\n", "cause", info->name);
		print_paragraph("when", info->when);
		print_paragraph("remedy", info->remedy);
	}
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
	print_causes(info->code);
}

static json_t *causes_to_json(enum diagnosis_code code)
{
	json_t *list = json_array();
	int cause;

	for (cause = DIAGNOSIS_CAUSE_NONE + 1; cause < DIAGNOSIS_CAUSE_COUNT; cause++) {
		const struct diagnosis_cause_info *info = diagnosis_cause_info((enum diagnosis_cause)cause);

		if (info->code == code)
			json_array_append_new(list,
			    json_pack("{s:s, s:s, s:s}", "cause", info->name, "when", info->when, "remedy",
			    info->remedy));
	}
	return list;
}

static json_t *to_json(const struct diagnosis_info *info)
{
	json_t *type = info->proxy_status[0] != '\0' ? json_string(info->proxy_status) : json_null();
	json_t *object = json_pack("{s:s, s:s, s:s, s:s, s:o, s:i, s:o}", "code", info->name, "stage",
	    diagnosis_stage_name(info->stage), "meaning", info->meaning, "remedy", info->remedy,
	    "proxy_status", type, "http_status", info->http_status, "causes", causes_to_json(info->code));

	midrelay_assert(object != NULL);
	return object;
}

/* Writes the document to stdout and gives it back.  That it did not arrive is main's to see and to say. */
static int print_json(json_t *document)
{
	(void)json_dumpf(document, stdout, JSON_INDENT(2));
	putchar('\n');
	json_decref(document);
	return EXIT_STATUS_OK;
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
	size_t i;
	int code;

	for (code = DIAGNOSIS_OK + 1; code < DIAGNOSIS_CODE_COUNT; code++) {
		info = diagnosis_info((enum diagnosis_code)code);
		if (before == NULL || before->stage != info->stage)
			printf("%s%s\n", before == NULL ? "" : "\n", diagnosis_stage_name(info->stage));
		printf("  %-*s", INDENT - 2, info->name);
		print_wrapped(info->meaning, INDENT, INDENT);
		before = info;
	}
	printf("\nwhat a MID Server or its instance says (explain \"WORDS\")\n");
	for (i = 0; i < symptom_count(); i++)
		printf("  %s\n", symptom_at(i)->says);
	return EXIT_STATUS_OK;
}

/* ---- symptoms ---- */

static void print_symptom(const struct symptom *symptom)
{
	size_t i;

	print_paragraph("symptom", symptom->says);
	print_paragraph("meaning", symptom->means);
	print_paragraph("remedy", symptom->remedy);
	for (i = 0; i < SYMPTOM_CODES && symptom->codes[i] != DIAGNOSIS_OK; i++)
		printf("%-13s%s\n", i == 0 ? "look at" : "", diagnosis_name(symptom->codes[i]));
}

static int symptom_json(const struct symptom *symptom)
{
	json_t *codes = json_array();
	size_t i;

	for (i = 0; i < SYMPTOM_CODES && symptom->codes[i] != DIAGNOSIS_OK; i++)
		json_array_append_new(codes, json_string(diagnosis_name(symptom->codes[i])));
	return print_json(json_pack("{s:s, s:s, s:s, s:o}", "symptom", symptom->says, "meaning",
	    symptom->means, "remedy", symptom->remedy, "codes", codes));
}

static int usage_unknown(const char *words, const struct symptom *const *near, size_t near_count)
{
	const char *nearest = diagnosis_nearest(words);
	char shown[65], message[400];
	size_t i, used;

	text_escape(words, strlen(words), shown, sizeof(shown));
	if (nearest != NULL)
		return command_usage_error(
		    &command_explain, "there is no code '%s'; did you mean '%s'?", shown, nearest);
	used = (size_t)snprintf(message, sizeof(message), "there is no code or message '%s'; ", shown);
	for (i = 0; i < near_count && used < sizeof(message); i++)
		used += (size_t)snprintf(message + used, sizeof(message) - used, "%s'%s'", i == 0 ?
		    "near it: " : ", ", near[i]->says);
	if (near_count == 0)
		snprintf(message + used, sizeof(message) - used, "'midrelay explain' lists them all");
	return command_usage_error(&command_explain, "%s", message);
}

static int explain_words(const char *words, bool json)
{
	enum { NEAR = 3 };
	const struct symptom *near[NEAR], *found = NULL;
	size_t near_count = 0;

	/* A misspelt code is no message. */
	if (diagnosis_nearest(words) == NULL)
		found = symptom_find(words, near, NEAR, &near_count);
	if (found == NULL)
		return usage_unknown(words, near, near_count);
	if (json)
		return symptom_json(found);
	print_symptom(found);
	return EXIT_STATUS_OK;
}

/* The arguments as one text, as if they had been quoted.  The caller frees it. */
static char *join(const char *before, const char *more)
{
	return before == NULL ? mem_strdup(more) : mem_printf("%s %s", before, more);
}

/* The code at the beginning of `text`, or NULL. */
static const struct diagnosis_info *find_leading(const char *text)
{
	char *name = mem_strndup(text, strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-"));
	const struct diagnosis_info *info = diagnosis_find(name);

	free(name);
	return info;
}

/*
 * The code in a line that was copied out of a log, or NULL: the client's, "... 502 midrelay: CODE: ...", or one of ours, as
 * text and as JSON.
 */
static const struct diagnosis_info *find_quoted(const char *line)
{
	static const char *const before[] = {"midrelay: ", "code=", "end=", "\"code\":\"", "\"end\":\""};
	const struct diagnosis_info *info = NULL;
	const char *at;
	size_t i;

	for (i = 0; info == NULL && i < sizeof(before) / sizeof(before[0]); i++) {
		at = strstr(line, before[i]);
		if (at != NULL)
			info = find_leading(at + strlen(before[i]));
	}
	return info;
}

static int explain(const char *words, bool json)
{
	const struct diagnosis_info *info;

	if (words == NULL)
		return json ? list_json() : list_text();
	info = diagnosis_find(words);
	if (info == NULL)
		info = find_quoted(words);
	if (info == NULL)
		return explain_words(words, json);
	if (json)
		return print_json(to_json(info));
	print_one(info);
	return EXIT_STATUS_OK;
}

static int explain_run(int argc, char **argv)
{
	char *words = NULL, *joined;
	bool json = false, options = true;
	int i, status;

	for (i = 1; i < argc; i++) {
		if (options && strcmp(argv[i], "--") == 0) {
			options = false;
		} else if (options && strcmp(argv[i], "--json") == 0) {
			json = true;
		} else if (options && argv[i][0] == '-' && argv[i][1] != '\0') {
			free(words);
			return command_usage_error(&command_explain, "unknown option '%s'", argv[i]);
		} else if (words != NULL && diagnosis_find(words) != NULL) {
			free(words);
			return command_usage_error(&command_explain, "one code at a time");
		} else {
			joined = join(words, argv[i]);
			free(words);
			words = joined;
		}
	}
	status = explain(words, json);
	free(words);
	return status;
}
