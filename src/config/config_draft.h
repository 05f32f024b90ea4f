/*
 * config_draft: what loading builds before it can be a struct config: the relay's own proxy_… keys and the
 * names in its `proxy` list, not yet joined to paths.  Private to config/.
 */
#ifndef MIDRELAY_CONFIG_CONFIG_DRAFT_H
#define MIDRELAY_CONFIG_CONFIG_DRAFT_H

#include "config/config.h"

/* One item of a list, and the line it stood on. */
struct config_item {
	char *text;
	unsigned line;
};

/* A [proxy NAME], or a relay's proxy_… keys (then without name and url). */
struct config_proxy_draft {
	char *name;
	struct config_proxy_url url;
	char *user;
	char *password_ref;
	struct config_header *headers;
	unsigned *header_lines;
	size_t header_count;
	char *trust;
	char *client_bundle;
	enum config_pipeline pipeline;
	struct config_lines lines;
	bool used;
};

/* More items than this in one list is a fault. */
#define CONFIG_MAX_ITEMS 64

struct config_relay_draft {
	struct config_relay relay; /* lines: of both its own and its proxy_… keys */
	struct config_proxy_draft own;
	struct config_item *proxies;
	size_t proxy_count;
	/* of each item of allow_user and connect_allow, which are judged later */
	unsigned allow_user_lines[CONFIG_MAX_ITEMS], connect_allow_lines[CONFIG_MAX_ITEMS];
};

struct config_draft {
	struct config_process process;
	struct config_relay_draft *relays;
	size_t relay_count;
	struct config_proxy_draft *proxies;
	size_t proxy_count;
	bool relay_seen;      /* a section that was meant as one, faulty or not */
	bool others_may_read; /* the configuration file itself */
};

#define CONFIG_MAX_RELAYS 1000
#define CONFIG_MAX_PROXIES 1000

/* How much of a wrong value is shown. */
#define CONFIG_SHOWN_BYTES 100

const char *config_shown(const char *text, char buf[CONFIG_SHOWN_BYTES]);

void config_relay_clear(struct config_relay *relay);
void config_process_clear(struct config_process *process);
void config_headers_free(struct config_header *headers, size_t count);
void config_proxy_draft_clear(struct config_proxy_draft *proxy);
void config_relay_draft_clear(struct config_relay_draft *draft);
void config_draft_clear(struct config_draft *draft);
/* Takes the text. */
void config_list_add(struct config_list *list, char *text);
void config_list_clear(struct config_list *list);
/* Frees a string that may be or hold a secret. */
void config_string_wipe(char *text);

/*
 * Joins the drafts and checks what no single value can tell.  Reports every fault; the relays of the draft
 * are complete when there is none.
 */
void config_check(struct config_draft *draft, struct config_report *report);
/* Turns each relay's `proxy` list into paths: part of config_check(). */
void config_check_paths(
    struct config_draft *draft, struct config_relay_draft *relay, struct config_report *report);

#endif
