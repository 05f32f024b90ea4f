/*
 * config_table: THE table of options.  One row is all there is to know of an option: it drives loading,
 * defaults, printing, the nearest-key suggestion, and the check that the sample file and the man page name
 * every option. "How to add an option": a field in config.h, a row here, a paragraph in etc/midrelay.ini and
 * midrelay.ini(5).
 */
#ifndef MIDRELAY_CONFIG_CONFIG_TABLE_H
#define MIDRELAY_CONFIG_CONFIG_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum config_section_kind { CONFIG_SECTION_MIDRELAY, CONFIG_SECTION_RELAY, CONFIG_SECTION_PROXY };
#define CONFIG_SECTION_KINDS 3
const char *config_section_kind_name(enum config_section_kind kind); /* "midrelay" "relay" "proxy" */

/* What a value is, and what the field at `offset` is. */
enum config_type {
	CONFIG_UINT,      /* unsigned, min…max */
	CONFIG_WORKERS,   /* the same, or "auto" */
	CONFIG_DURATION,  /* int64_t milliseconds, min…max */
	CONFIG_BOOL,      /* bool: yes, no */
	CONFIG_WORD,      /* an enum whose values count up as `words` does */
	CONFIG_OCTAL,     /* mode_t, min…max */
	CONFIG_TEXT,      /* char * */
	CONFIG_USER,      /* char *: a user name for Basic (RFC 7617 section 2: no colon, no control) */
	CONFIG_FILE,      /* char *: a path */
	CONFIG_KEY,       /* char *: a path, or the URI of a key behind a provider */
	CONFIG_TRUST,     /* char *: a path; "system" is NULL */
	CONFIG_SECRET,    /* char *: a secret reference */
	CONFIG_IP,        /* char *: a numeric address */
	CONFIG_TARGET,    /* struct hostport, port 443 by default */
	CONFIG_PROXY_URL, /* struct config_proxy_url */
	CONFIG_LISTENS,   /* struct config_relay_draft: relay.listens (no offset) */
	CONFIG_NETWORKS,  /* struct config_relay_draft: relay.allow_address (no offset) */
	CONFIG_PROXIES,   /* struct config_relay_draft: proxies (no offset) */
	CONFIG_HEADERS,   /* struct config_proxy_draft at `offset` */
	CONFIG_NAMES,     /* struct config_list at `offset` */
	CONFIG_USERS,     /* struct config_list at `offset`: accounts of this host, by name or number */
	CONFIG_PINS,      /* struct config_list at `offset`: sha256//BASE64 */
	CONFIG_AUTHORITIES, /* struct config_list at `offset`: "host:port", port 443 by default; or "none" */
	CONFIG_READY,     /* unsigned, min…max, "off" or "auto" */
	CONFIG_FLAGS,     /* unsigned: a bit for each of `words`; "off" for none */
};
const char *config_type_name(enum config_type type);
/* A list may be given more than once; of those, CONFIG_HEADERS and CONFIG_NAMES are not split at commas. */
bool config_type_is_list(enum config_type type);
bool config_type_is_unsplit(enum config_type type);

struct config_option {
	enum config_section_kind section;
	const char *key;
	enum config_type type;
	int64_t min, max;
	bool zero_is_off;          /* a duration that may also be 0 */
	const char *const *words;  /* ends in NULL */
	const char *const *later;  /* words of later versions, or NULL */
	const char *default_text;  /* as one would write it; NULL: see default_shown */
	const char *default_shown; /* where no text can be given: "none", "required", … */
	const char *help;          /* one line */
	size_t offset; /* in struct config_process, struct config_relay_draft or struct config_proxy_draft */
};

/* The rows; the index of a row is its place in struct config_lines. */
extern const struct config_option config_options[];
extern const size_t config_option_count;

/* NULL when this section has no such key. */
const struct config_option *config_option_find(enum config_section_kind section, const char *key);
size_t config_option_index(const struct config_option *option);
/* What the documentation gives as the default. */
const char *config_option_default(const struct config_option *option);

/* True for a key that later versions know. */
bool config_option_is_later(enum config_section_kind section, const char *key);

/* The nearest key of this section to a misspelt one, or NULL; static. */
const char *config_option_nearest(enum config_section_kind section, const char *key);

#endif
