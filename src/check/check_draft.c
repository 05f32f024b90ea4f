/* check_draft: see check_draft.h.  Writes the text that somebody would have written into a file. */
#include "check/check_draft.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

/* The lines of the text are always the same, so that a line tells the option. */
enum line { LINE_SECTION = 1, LINE_LISTEN, LINE_TARGET, LINE_USER, LINE_PASSWORD, LINE_BUNDLE, LINE_TRUST, LINE_PATHS };

static void put(FILE *to, const char *key, const char *value)
{
	if (value != NULL)
		fprintf(to, "%s = %s\n", key, value);
	else
		fputs(";\n", to);
}

struct config *check_draft_load(const struct check_draft_options *options, struct config_report *report)
{
	struct config *config;
	char *text = NULL;
	size_t len = 0, i;
	FILE *to = open_memstream(&text, &len);

	midrelay_assert(to != NULL);
	fputs("[relay check]\n", to);
	put(to, "listen", "127.0.0.1:0"); /* nobody binds it */
	put(to, "target", options->target);
	put(to, "proxy_user", options->proxy_user);
	put(to, "proxy_password", options->proxy_password);
	put(to, "client_bundle", options->client_bundle);
	put(to, "trust", options->trust);
	for (i = 0; i < options->path_count; i++)
		put(to, "proxy", options->paths[i]);
	midrelay_assert(fclose(to) == 0);
	config = config_load_bytes("command line", text, len, report);
	free(text);
	return config;
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
