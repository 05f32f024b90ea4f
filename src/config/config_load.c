/*
 * config_load: the file's sections and keys into drafts by way of the option table, and the drafts into the
 * config. It never stops at a fault: what can still be judged is judged, so that all faults come in one go.
 */
#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "config/config_draft.h"
#include "config/config_read.h"
#include "config/config_table.h"
#include "config/config_value.h"

struct loader {
	struct config_draft draft;
	struct config_report *report;
	bool too_many[CONFIG_SECTION_KINDS]; /* said already */
};

/* Where the keys of one section go. */
struct sink {
	enum config_section_kind kind;
	void *base; /* NULL: a section that cannot be told; its keys are left alone */
	struct config_lines *lines;
};

/* Holds the values of a section that does not count, so that they are checked all the same. */
struct scratch {
	struct config_process process;
	struct config_relay_draft relay;
	struct config_proxy_draft proxy;
};

void config_proxy_draft_clear(struct config_proxy_draft *proxy)
{
	free(proxy->name);
	hostport_clear(&proxy->url.at);
	free(proxy->user);
	config_string_wipe(proxy->password_ref);
	config_headers_free(proxy->headers, proxy->header_count);
	free(proxy->header_lines);
	free(proxy->trust);
	free(proxy->client_bundle);
	memset(proxy, 0, sizeof(*proxy));
}

void config_relay_draft_clear(struct config_relay_draft *draft)
{
	size_t i;

	config_relay_clear(&draft->relay);
	config_proxy_draft_clear(&draft->own);
	for (i = 0; i < draft->proxy_count; i++)
		free(draft->proxies[i].text);
	free(draft->proxies);
	memset(draft, 0, sizeof(*draft));
}

void config_draft_clear(struct config_draft *draft)
{
	size_t i;

	config_process_clear(&draft->process);
	for (i = 0; i < draft->relay_count; i++)
		config_relay_draft_clear(&draft->relays[i]);
	free(draft->relays);
	for (i = 0; i < draft->proxy_count; i++)
		config_proxy_draft_clear(&draft->proxies[i]);
	free(draft->proxies);
	memset(draft, 0, sizeof(*draft));
}

static void set_defaults(enum config_section_kind kind, void *base)
{
	size_t i;

	for (i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];

		if (option->section != kind || option->default_text == NULL ||
		    config_type_is_list(option->type))
			continue;
		if (!config_value_set(option, base, option->default_text, 0, NULL))
			midrelay_assert(!"a default of the option table is not valid");
	}
}

/* Two habits from other INI dialects make a value unreadable: quotes, and a comment behind it. */
static void report_bad_value(struct loader *loader, const struct config_option *option,
    const struct config_entry *entry, const struct error *err)
{
	const char *value = entry->value;
	size_t len = strlen(value);
	bool quoted = len > 1 && (value[0] == '"' || value[0] == '\'') && value[len - 1] == value[0];
	bool commented = strstr(value, " ;") != NULL || strstr(value, " #") != NULL;

	if (option->type == CONFIG_SECRET || option->type == CONFIG_HEADERS)
		quoted = commented = false;
	if (quoted)
		config_report_fault(
		    loader->report, entry->line, "%s: values are literal: leave out the quotes", entry->key);
	else
		config_report_fault(loader->report, entry->line, "%s: %s%s", entry->key, err->text,
		    commented ? " (a comment must stand on a line of its own)" : "");
}

static void report_unknown_key(
    struct loader *loader, enum config_section_kind kind, const struct config_entry *entry)
{
	const char *nearest;
	unsigned other;

	for (other = 0; other < CONFIG_SECTION_KINDS; other++) {
		enum config_section_kind home = (enum config_section_kind)other;

		if (home != kind && config_option_find(home, entry->key) != NULL) {
			config_report_fault(loader->report, entry->line,
			    "%s is not a key of [%s%s] but of [%s%s]", entry->key,
			    config_section_kind_name(kind), kind == CONFIG_SECTION_MIDRELAY ? "" : " NAME",
			    config_section_kind_name(home), home == CONFIG_SECTION_MIDRELAY ? "" : " NAME");
			return;
		}
	}
	nearest = config_option_nearest(kind, entry->key);
	if (nearest != NULL)
		config_report_fault(
		    loader->report, entry->line, "unknown key %s; did you mean %s?", entry->key, nearest);
	else
		config_report_fault(loader->report, entry->line, "unknown key %s", entry->key);
}

static void note_literal(struct loader *loader, const struct config_entry *entry)
{
	config_report_note(loader->report, entry->line,
	    "%s: the secret itself stands in this file%s; file:PATH, env:NAME or cred:NAME keeps it out",
	    entry->key, loader->draft.others_may_read ? ", which every user of this host may read" : "");
}

static void load_entry(struct loader *loader, const struct sink *sink, const struct config_entry *entry)
{
	const struct config_option *option = config_option_find(sink->kind, entry->key);
	struct error err;
	unsigned *line;

	if (option == NULL) {
		report_unknown_key(loader, sink->kind, entry);
		return;
	}
	line = &sink->lines->option[config_option_index(option)];
	if (*line != 0 && !config_type_is_list(option->type)) {
		config_report_fault(
		    loader->report, entry->line, "%s was given before, at line %u", entry->key, *line);
		return;
	}
	if (*line == 0)
		*line = entry->line;
	if (entry->value[0] == '\0') {
		config_report_fault(loader->report, entry->line, "%s has no value", entry->key);
		return;
	}
	if (!config_value_set(option, sink->base, entry->value, entry->line, &err)) {
		report_bad_value(loader, option, entry, &err);
		return;
	}
	if (option->type == CONFIG_SECRET && secret_ref_kind(entry->value) == SECRET_REF_LITERAL)
		note_literal(loader, entry);
}

static struct config_relay_draft *add_relay(struct config_draft *draft, const char *name, unsigned line)
{
	struct config_relay_draft *relay;

	draft->relays = mem_realloc(draft->relays, (draft->relay_count + 1) * sizeof(*draft->relays));
	relay = &draft->relays[draft->relay_count++];
	memset(relay, 0, sizeof(*relay));
	relay->relay.name = mem_strdup(name);
	relay->relay.lines.section = line;
	set_defaults(CONFIG_SECTION_RELAY, relay);
	return relay;
}

static struct config_proxy_draft *add_proxy(struct config_draft *draft, const char *name, unsigned line)
{
	struct config_proxy_draft *proxy;

	draft->proxies = mem_realloc(draft->proxies, (draft->proxy_count + 1) * sizeof(*draft->proxies));
	proxy = &draft->proxies[draft->proxy_count++];
	memset(proxy, 0, sizeof(*proxy));
	proxy->name = mem_strdup(name);
	proxy->lines.section = line;
	set_defaults(CONFIG_SECTION_PROXY, proxy);
	return proxy;
}

/* The line of an earlier section of this kind and name, or 0. */
static unsigned earlier_section(
    const struct config_draft *draft, enum config_section_kind kind, const char *name)
{
	size_t i;

	switch (kind) {
	case CONFIG_SECTION_MIDRELAY:
		return draft->process.lines.section;
	case CONFIG_SECTION_RELAY:
		for (i = 0; i < draft->relay_count; i++) {
			if (strcmp(draft->relays[i].relay.name, name) == 0)
				return draft->relays[i].relay.lines.section;
		}
		return 0;
	case CONFIG_SECTION_PROXY:
		for (i = 0; i < draft->proxy_count; i++) {
			if (strcmp(draft->proxies[i].name, name) == 0)
				return draft->proxies[i].lines.section;
		}
		return 0;
	}
	return 0;
}

/* The kind that a section was meant to be; false: it cannot be told. */
static bool find_kind(struct loader *loader, const struct config_section *section, const char *word,
    enum config_section_kind *kind, bool *exact)
{
	const char *names[CONFIG_SECTION_KINDS + 1] = {NULL};
	const char *nearest;
	char shown[CONFIG_SHOWN_BYTES];
	unsigned i;

	for (i = 0; i < CONFIG_SECTION_KINDS; i++)
		names[i] = config_section_kind_name((enum config_section_kind)i);
	nearest = text_nearest(word, names);
	*exact = nearest != NULL && strcmp(nearest, word) == 0;
	for (i = 0; nearest != NULL && i < CONFIG_SECTION_KINDS; i++) {
		if (strcmp(nearest, names[i]) == 0)
			*kind = (enum config_section_kind)i;
	}
	if (*exact || section->faulty)
		return nearest != NULL;
	config_shown(section->text, shown);
	if (nearest == NULL)
		config_report_fault(loader->report, section->line,
		    "unknown section [%s]; there are [midrelay], [relay NAME] and [proxy NAME]", shown);
	else
		config_report_fault(loader->report, section->line,
		    "unknown section [%s]; did you mean [%s%s]?", shown, nearest,
		    *kind == CONFIG_SECTION_MIDRELAY ? "" : " NAME");
	return nearest != NULL;
}

static bool check_count(struct loader *loader, unsigned line, enum config_section_kind kind)
{
	bool relay = kind == CONFIG_SECTION_RELAY, proxy = kind == CONFIG_SECTION_PROXY;
	unsigned max = relay ? CONFIG_MAX_RELAYS : CONFIG_MAX_PROXIES;

	if ((!relay || loader->draft.relay_count < max) && (!proxy || loader->draft.proxy_count < max))
		return true;
	if (!loader->too_many[kind])
		config_report_fault(loader->report, line, "there are more than %u sections [%s NAME]", max,
		    config_section_kind_name(kind));
	loader->too_many[kind] = true;
	return false;
}

/* False, and said why, when a section of this kind cannot have this name. */
static bool check_section_name(
    struct loader *loader, unsigned line, enum config_section_kind kind, const char *name)
{
	const char *kind_name = config_section_kind_name(kind);
	unsigned before = earlier_section(&loader->draft, kind, name);
	const char *space = *name == '\0' ? "" : " ";

	if (kind == CONFIG_SECTION_MIDRELAY && *name != '\0')
		config_report_fault(loader->report, line, "[midrelay] has no name");
	else if (kind != CONFIG_SECTION_MIDRELAY && *name == '\0')
		config_report_fault(
		    loader->report, line, "[%s] needs a name, as in [%s acme]", kind_name, kind_name);
	else if (strpbrk(name, " \t") != NULL)
		config_report_fault(
		    loader->report, line, "the name of [%s NAME] must be one word", kind_name);
	else if (kind == CONFIG_SECTION_PROXY && strcmp(name, "direct") == 0)
		config_report_fault(
		    loader->report, line, "a proxy cannot be named direct: that is the path without a proxy");
	else if (before != 0)
		config_report_fault(loader->report, line, "[%s%s%s] was given before, at line %u", kind_name,
		    space, name, before);
	else
		return check_count(loader, line, kind);
	return false;
}

static struct sink sink_of_section(
    struct loader *loader, enum config_section_kind kind, const char *name, unsigned line)
{
	struct sink sink = {.kind = kind};
	struct config_relay_draft *relay;
	struct config_proxy_draft *proxy;

	switch (kind) {
	case CONFIG_SECTION_MIDRELAY:
		loader->draft.process.lines.section = line;
		sink.base = &loader->draft.process;
		sink.lines = &loader->draft.process.lines;
		break;
	case CONFIG_SECTION_RELAY:
		relay = add_relay(&loader->draft, name, line);
		sink.base = relay;
		sink.lines = &relay->relay.lines;
		break;
	case CONFIG_SECTION_PROXY:
		proxy = add_proxy(&loader->draft, name, line);
		sink.base = proxy;
		sink.lines = &proxy->lines;
		break;
	}
	return sink;
}

static struct sink sink_of_scratch(struct scratch *scratch, enum config_section_kind kind)
{
	struct sink sink = {.kind = kind};

	switch (kind) {
	case CONFIG_SECTION_MIDRELAY:
		sink.base = &scratch->process;
		sink.lines = &scratch->process.lines;
		break;
	case CONFIG_SECTION_RELAY:
		sink.base = &scratch->relay;
		sink.lines = &scratch->relay.relay.lines;
		break;
	case CONFIG_SECTION_PROXY:
		sink.base = &scratch->proxy;
		sink.lines = &scratch->proxy.lines;
		break;
	}
	return sink;
}

static void load_section(struct loader *loader, const struct config_section *section)
{
	char *text = mem_strdup(section->text);
	char *name = text + strcspn(text, " \t");
	struct scratch scratch = {0};
	enum config_section_kind kind = CONFIG_SECTION_RELAY;
	bool exact = false;
	struct sink sink;
	size_t i;

	if (*name != '\0')
		*name++ = '\0';
	name = text_trim(name);
	if (!find_kind(loader, section, text, &kind, &exact)) {
		free(text);
		/* What could not be told may have been meant as a relay. */
		loader->draft.relay_seen |= section->faulty;
		return;
	}
	loader->draft.relay_seen |= kind == CONFIG_SECTION_RELAY;
	if (exact && !section->faulty && check_section_name(loader, section->line, kind, name))
		sink = sink_of_section(loader, kind, name, section->line);
	else
		sink = sink_of_scratch(&scratch, kind);
	for (i = 0; i < section->entry_count; i++)
		load_entry(loader, &sink, &section->entries[i]);
	config_process_clear(&scratch.process);
	config_relay_draft_clear(&scratch.relay);
	config_proxy_draft_clear(&scratch.proxy);
	free(text);
}

/* Takes what is in the draft. */
static struct config *config_from_draft(const char *file, struct config_draft *draft)
{
	struct config *config = mem_calloc(1, sizeof(*config));
	size_t i;

	config->file = mem_strdup(file);
	config->process = draft->process;
	memset(&draft->process, 0, sizeof(draft->process));
	config->relays = mem_calloc(draft->relay_count, sizeof(*config->relays));
	config->relay_count = draft->relay_count;
	for (i = 0; i < draft->relay_count; i++) {
		config->relays[i] = draft->relays[i].relay;
		memset(&draft->relays[i].relay, 0, sizeof(draft->relays[i].relay));
	}
	return config;
}

static struct config *load_text(const char *file, const struct config_text *text, size_t faults_before,
    struct config_report *report)
{
	struct loader loader = {.report = report};
	struct config *config = NULL;
	size_t i;

	loader.draft.others_may_read = (text->mode & S_IROTH) != 0;
	set_defaults(CONFIG_SECTION_MIDRELAY, &loader.draft.process);
	for (i = 0; i < text->section_count; i++)
		load_section(&loader, &text->sections[i]);
	/* Nothing could be read, and why has been said: what is missing is not worth a word. */
	if (text->section_count == 0 && report->fault_count > faults_before)
		loader.draft.relay_seen = true;
	config_check(&loader.draft, report);
	if (report->fault_count == faults_before || loader.draft.relay_count > 0) {
		config = config_from_draft(file, &loader.draft);
		config->faulty = report->fault_count > faults_before;
	}
	config_report_sort(report);
	config_draft_clear(&loader.draft);
	return config;
}

struct config *config_load(const char *file, struct config_report *report)
{
	size_t faults_before = report->fault_count;
	struct config_text text;
	struct config *config;

	if (!config_read_file(file, &text, report))
		return NULL;
	config = load_text(file, &text, faults_before, report);
	config_text_clear(&text);
	return config;
}

struct config *config_load_bytes(const char *name, const char *bytes, size_t len,
    struct config_report *report)
{
	size_t faults_before = report->fault_count;
	struct config_text text = {0};
	struct config *config;

	config_read_bytes(bytes, len, &text, report);
	config = load_text(name, &text, faults_before, report);
	config_text_clear(&text);
	return config;
}
