/* check_draft: see check_draft.h.  Writes what somebody would have written into a file. */
#include "check/check_draft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "config/config_read.h"

#define NOWHERE "127.0.0.1:0" /* nobody binds it */
#define ADDED "expect."

/* The lines of the options' relay are always the same, so that a line tells the option. */
enum line { LINE_SECTION = 1, LINE_LISTEN, LINE_TARGET, LINE_USER, LINE_PASSWORD, LINE_BUNDLE, LINE_TRUST,
    LINE_PATHS };
/* Those of a rule's relay, too, where there is no file: counted from its section. */
enum added_line { ADDED_SECTION, ADDED_LISTEN, ADDED_TARGET, ADDED_PATH, ADDED_TRUST, ADDED_USER, ADDED_PASSWORD };

static void put(FILE *to, const char *key, const char *value)
{
	if (value != NULL)
		fprintf(to, "%s = %s\n", key, value);
	else
		fputs(";\n", to);
}

/* Where a section for a rule begins, and the rule's line. */
struct added {
	unsigned line, rule_line;
};

struct check_draft {
	const char *name; /* borrowed */
	const struct check_draft_options *options; /* borrowed */
	bool has_file;
	char *text; /* may hold literal secrets */
	size_t len;
	unsigned lines;
	struct added *added;
	size_t added_count;
};

static void wipe(char *text, size_t len)
{
	if (text != NULL)
		explicit_bzero(text, len);
	free(text);
}

/* Takes the text. */
static void append(struct check_draft *draft, char *text, size_t len)
{
	char *whole = mem_calloc(1, draft->len + len + 2);
	size_t taken = len, i;

	if (draft->len > 0)
		memcpy(whole, draft->text, draft->len);
	memcpy(whole + draft->len, text, len);
	for (i = 0; i < len; i++)
		draft->lines += text[i] == '\n';
	if (len > 0 && text[len - 1] != '\n') {
		whole[draft->len + len++] = '\n';
		draft->lines++;
	}
	wipe(draft->text, draft->len);
	wipe(text, taken);
	draft->text = whole;
	draft->len += len;
}

static void append_file(struct check_draft *draft, const char *file)
{
	FILE *from = fopen(file, "re");
	char *bytes;
	size_t len;

	/* It has been loaded before; what cannot be read any more is missing in what is loaded now. */
	if (from == NULL)
		return;
	bytes = mem_calloc(1, CONFIG_FILE_MAX_BYTES + 1);
	len = fread(bytes, 1, CONFIG_FILE_MAX_BYTES, from);
	fclose(from);
	append(draft, bytes, len);
}

static void append_target(struct check_draft *draft)
{
	const struct check_draft_options *options = draft->options;
	char *text = NULL;
	size_t len = 0, i;
	FILE *to = open_memstream(&text, &len);

	midrelay_assert(to != NULL);
	fputs("[relay check]\n", to);
	put(to, "listen", NOWHERE);
	put(to, "target", options->target);
	put(to, "proxy_user", options->proxy_user);
	put(to, "proxy_password", options->proxy_password);
	put(to, "client_bundle", options->client_bundle);
	put(to, "trust", options->trust);
	for (i = 0; i < options->path_count; i++)
		put(to, "proxy", options->paths[i]);
	midrelay_assert(fclose(to) == 0);
	append(draft, text, len);
}

struct check_draft *check_draft_new(const char *file, const struct check_draft_options *options)
{
	struct check_draft *draft = mem_calloc(1, sizeof(*draft));

	draft->name = file != NULL ? file : "command line";
	draft->options = options;
	draft->has_file = file != NULL;
	if (file != NULL)
		append_file(draft, file);
	else if (options->target != NULL)
		append_target(draft);
	return draft;
}

void check_draft_free(struct check_draft *draft)
{
	if (draft == NULL)
		return;
	wipe(draft->text, draft->len);
	free(draft->added);
	free(draft);
}

static const struct config_path *find_path(const struct config *config, const char *name)
{
	size_t i, j;

	for (i = 0; config != NULL && i < config->relay_count; i++) {
		for (j = 0; j < config->relays[i].path_count; j++) {
			if (strcmp(config->relays[i].paths[j].name, name) == 0)
				return &config->relays[i].paths[j];
		}
	}
	return NULL;
}

/* Of a proxy by URL; one by NAME has a section of its own. */
static void put_proxy(FILE *to, const struct check_draft *draft, const struct config *config,
    const char *path)
{
	const struct config_path *known = find_path(config, path);
	size_t i;

	if (!draft->has_file) {
		put(to, "proxy_user", draft->options->proxy_user);
		put(to, "proxy_password", draft->options->proxy_password);
	}
	if (known == NULL)
		return;
	put(to, "proxy_user", known->user);
	put(to, "proxy_password", known->password_ref);
	for (i = 0; i < known->header_count; i++)
		fprintf(to, "proxy_header = %s: %s\n", known->headers[i].name, known->headers[i].value);
	if (known->tls) {
		put(to, "proxy_trust", known->trust);
		put(to, "proxy_client_bundle", known->client_bundle);
	}
}

void check_draft_add(struct check_draft *draft, const struct config *config, const char *target,
    const char *path, unsigned rule_line)
{
	char *text = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&text, &len);

	midrelay_assert(to != NULL);
	draft->added = mem_realloc(draft->added, (draft->added_count + 1) * sizeof(*draft->added));
	draft->added[draft->added_count++] = (struct added){draft->lines + 1, rule_line};
	fprintf(to, "[relay " ADDED "%zu]\n", draft->added_count);
	put(to, "listen", NOWHERE);
	put(to, "target", target);
	put(to, "proxy", path);
	if (!draft->has_file)
		put(to, "trust", draft->options->trust);
	if (strstr(path, "://") != NULL)
		put_proxy(to, draft, config, path);
	midrelay_assert(fclose(to) == 0);
	append(draft, text, len);
}

bool check_draft_added(const struct config_relay *relay)
{
	return strncmp(relay->name, ADDED, strlen(ADDED)) == 0 && relay->listen_count == 1 &&
	    addr_port(&relay->listens[0].addr) == 0;
}

struct config *check_draft_load(const struct check_draft *draft, struct config_report *report)
{
	return config_load_bytes(draft->name, draft->text, draft->len, report);
}

/* Where the line stands in what was added; NULL: in the text that this began with. */
static const struct added *find_added(const struct check_draft *draft, unsigned line)
{
	const struct added *found = NULL;
	size_t i;

	for (i = 0; i < draft->added_count && draft->added[i].line <= line; i++)
		found = &draft->added[i];
	return found;
}

/* An option that every rule's relay has is at fault, and no rule: the line of the option, or 0. */
static unsigned option_line(const struct check_draft *draft, const struct added *added, unsigned line)
{
	if (draft->has_file)
		return 0;
	switch (line - added->line) {
	case ADDED_TRUST:
		return LINE_TRUST;
	case ADDED_USER:
		return LINE_USER;
	case ADDED_PASSWORD:
		return LINE_PASSWORD;
	}
	return 0;
}

static bool is_told(const struct config_fault *faults, size_t count, const char *text)
{
	size_t i;

	for (i = 0; i < count; i++)
		if (strcmp(faults[i].text, text) == 0)
			return true;
	return false;
}

/* What the file's own lines deserve is noted at these. */
static void drop_notes(const struct check_draft *draft, struct config_report *from)
{
	size_t kept = 0, i;

	for (i = 0; i < from->note_count; i++) {
		if (find_added(draft, from->notes[i].line) == NULL)
			from->notes[kept++] = from->notes[i];
		else
			free(from->notes[i].text);
	}
	from->note_count = kept;
}

void check_draft_move_faults(const struct check_draft *draft, struct config_report *from,
    struct config_report *rules)
{
	size_t kept = 0, i;

	if (draft->has_file)
		drop_notes(draft, from);

	for (i = 0; i < from->fault_count; i++) {
		struct config_fault fault = from->faults[i];
		const struct added *added = find_added(draft, fault.line);
		unsigned option = added != NULL ? option_line(draft, added, fault.line) : 0;
		/* What a rule's relay has from elsewhere is at fault there, too. */
		bool told = added != NULL && is_told(from->faults, kept, fault.text);

		if (added == NULL || (option != 0 && !told)) {
			from->faults[kept] = fault;
			from->faults[kept++].line = option != 0 ? option : fault.line;
			continue;
		}
		if (!told)
			config_report_fault(rules, added->rule_line, "%s", fault.text);
		free(fault.text);
	}
	from->fault_count = kept;
}

static const char *option_of(const struct check_draft_options *options, unsigned line, const char **key)
{
	*key = NULL;
	switch (line) {
	case LINE_TARGET:
		*key = "target";
		return "--target";
	case LINE_USER:
		*key = "proxy_user";
		return "--proxy-user";
	case LINE_PASSWORD:
		*key = "proxy_password";
		return "--proxy-password";
	case LINE_BUNDLE:
		*key = "client_bundle";
		return "--client-bundle";
	case LINE_TRUST:
		*key = "trust";
		return "--trust";
	}
	if (line < LINE_PATHS || line - LINE_PATHS >= options->path_count)
		return "command line";
	*key = "proxy";
	return strcmp(options->paths[line - LINE_PATHS], "direct") == 0 ? "--direct" : "--proxy";
}

static void name_option(const struct check_draft_options *options, struct config_fault *fault)
{
	const char *key, *option = option_of(options, fault->line, &key), *text = fault->text;
	size_t key_len = key != NULL ? strlen(key) : 0;
	char *named;

	if (key_len > 0 && strncmp(text, key, key_len) == 0 && strncmp(text + key_len, ": ", 2) == 0)
		text += key_len + 2;
	named = mem_printf("%s: %s", option, text);
	free(fault->text);
	fault->text = named;
}

void check_draft_name_options(const struct check_draft_options *options, struct config_report *report)
{
	size_t i;

	for (i = 0; i < report->fault_count; i++)
		name_option(options, &report->faults[i]);
	for (i = 0; i < report->note_count; i++)
		name_option(options, &report->notes[i]);
}

static void cap(int64_t *timeout_ms, int64_t ms)
{
	if (*timeout_ms > ms)
		*timeout_ms = ms;
}

void check_draft_cap_timeouts(struct config *config, int64_t ms)
{
	size_t i;

	for (i = 0; i < config->relay_count; i++) {
		cap(&config->relays[i].connect_timeout_ms, ms);
		cap(&config->relays[i].proxy_timeout_ms, ms);
		cap(&config->relays[i].tls_timeout_ms, ms);
	}
}

size_t check_draft_swap_bundle(struct config *config, const char *file)
{
	size_t swapped = 0, i;

	for (i = 0; i < config->relay_count; i++) {
		struct config_relay *relay = &config->relays[i];

		if (relay->client_bundle == NULL && relay->client_cert == NULL)
			continue;
		free(relay->client_bundle);
		free(relay->client_cert);
		free(relay->client_key);
		free(relay->client_chain);
		relay->client_cert = relay->client_key = relay->client_chain = NULL;
		relay->client_bundle = mem_strdup(file);
		swapped++;
	}
	return swapped;
}
