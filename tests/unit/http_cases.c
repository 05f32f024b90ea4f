/*
 * http_cases: the reader of tests/http, and what a case leaves unsaid.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "unit/http_cases.h"

#define OWN_HOST "Host: 127.0.0.1:8080\r\n"
#define TARGET_HOST "Host: acme.service-now.com\r\n"

static void add(struct bytes *bytes, const char *more, size_t len)
{
	bytes->at = mem_realloc(bytes->at, bytes->len + len + 1);
	memcpy(bytes->at + bytes->len, more, len);
	bytes->len += len;
	bytes->at[bytes->len] = '\0';
	bytes->given = true;
}

/* What stands behind a backslash; returns how far it goes. */
static const char *add_escape(struct bytes *bytes, const char *at, const char *where)
{
	static const char letters[] = "rnt\\", meant[] = "\r\n\t\\";
	const char *letter = strchr(letters, *at);
	unsigned value, count;
	int used = 0;
	char c;

	if (letter != NULL && *at != '\0') {
		add(bytes, &meant[letter - letters], 1);
		return at + 1;
	}
	if (sscanf(at, "x%2x%n", &value, &used) == 1 && used == 3) {
		c = (char)value;
		add(bytes, &c, 1);
		return at + used;
	}
	if (sscanf(at, "(%u %c)%n", &count, &c, &used) == 2 && used > 0) {
		while (count-- > 0)
			add(bytes, &c, 1);
		return at + used;
	}
	fprintf(stderr, "%s: what is \\%s?\n", where, at);
	abort();
}

static void add_line(struct bytes *bytes, const char *text, const char *where)
{
	const char *plain;

	add(bytes, "", 0);
	while (*text != '\0') {
		plain = text + strcspn(text, "\\");
		add(bytes, text, (size_t)(plain - text));
		text = plain;
		if (strcmp(text, "\\") == 0)
			return;
		if (*text == '\\')
			text = add_escape(bytes, text + 1, where);
	}
	add(bytes, "\r\n", 2);
}

static void read_line(struct http_case *c, const char *line)
{
	static const char *const marks[MARKS] = {"> ", ">> ", "< ", "<< "};
	int i;

	for (i = 0; i < MARKS; i++) {
		if (strncmp(line, marks[i], strlen(marks[i])) == 0) {
			add_line(&c->bytes[i], line + strlen(marks[i]), c->name);
			return;
		}
		if (strncmp(line, marks[i], strlen(marks[i]) - 1) == 0 &&
		    line[strlen(marks[i]) - 1] == '\0') {
			add_line(&c->bytes[i], "", c->name);
			return;
		}
	}
	if (strncmp(line, "!> ", 3) == 0)
		c->client_fault = mem_strdup(line + 3);
	else if (strncmp(line, "!< ", 3) == 0)
		c->target_fault = mem_strdup(line + 3);
	else if (strncmp(line, "= ", 2) == 0)
		c->state = mem_strdup(line + 2);
	else if (line[0] != ';' && line[0] != '\0') {
		fprintf(stderr, "%s: what is \"%s\"?\n", c->name, line);
		abort();
	}
}

/* What is not said passes as it came, but for Host; behind a fault there is nothing. */
static void complete(struct http_case *c)
{
	struct bytes *sent = &c->bytes[CLIENT_SENDS], *got = &c->bytes[TARGET_GETS];
	const char *host;
	size_t at = 0;

	if (!got->given && c->client_fault == NULL) {
		while ((host = memmem(sent->at + at, sent->len - at, OWN_HOST, strlen(OWN_HOST))) != NULL) {
			add(got, sent->at + at, (size_t)(host - sent->at) - at);
			add(got, TARGET_HOST, strlen(TARGET_HOST));
			at = (size_t)(host - sent->at) + strlen(OWN_HOST);
		}
		add(got, sent->at + at, sent->len - at);
	}
	if (!c->bytes[CLIENT_GETS].given && c->target_fault == NULL && c->bytes[TARGET_SENDS].given)
		add(&c->bytes[CLIENT_GETS], c->bytes[TARGET_SENDS].at, c->bytes[TARGET_SENDS].len);
	if (c->state == NULL)
		c->state = mem_strdup("");
}

static size_t load_file(const char *directory, const char *name, struct http_case *cases, size_t count)
{
	char *path = mem_printf("%s/%s", directory, name), *line = NULL;
	FILE *file = fopen(path, "r");
	struct http_case *c = NULL;
	size_t size = 0;
	ssize_t len;

	midrelay_assert(file != NULL);
	while ((len = getline(&line, &size, file)) >= 0) {
		if (len > 0 && line[len - 1] == '\n')
			line[len - 1] = '\0';
		if (strncmp(line, "== ", 3) == 0) {
			midrelay_assert(count < HTTP_CASES_MAX);
			c = &cases[count++];
			c->name = mem_printf("%.*s/%s", (int)strcspn(name, "."), name, line + 3);
		} else if (c != NULL) {
			read_line(c, line);
		}
	}
	free(line);
	free(path);
	fclose(file);
	return count;
}

size_t http_cases_load(const char *directory, struct http_case cases[HTTP_CASES_MAX])
{
	struct dirent **names;
	size_t count = 0, i;
	int n = scandir(directory, &names, NULL, alphasort), file;

	memset(cases, 0, sizeof(*cases) * HTTP_CASES_MAX);
	midrelay_assert(n > 0);
	for (file = 0; file < n; file++) {
		if (strstr(names[file]->d_name, ".cases") != NULL)
			count = load_file(directory, names[file]->d_name, cases, count);
		free(names[file]);
	}
	free(names);
	for (i = 0; i < count; i++)
		complete(&cases[i]);
	return count;
}

void http_cases_free(struct http_case *cases, size_t count)
{
	size_t i, mark;

	for (i = 0; i < count; i++) {
		for (mark = 0; mark < MARKS; mark++)
			free(cases[i].bytes[mark].at);
		free(cases[i].name);
		free(cases[i].client_fault);
		free(cases[i].target_fault);
		free(cases[i].state);
	}
}
