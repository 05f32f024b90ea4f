/*
 * check_draft: configurations that stand in no file: made of options, and of what rules add to a file's.
 *
 * They go through the loader as text, so that the same values are taken and the same sentences told.
 */
#ifndef MIDRELAY_CHECK_CHECK_DRAFT_H
#define MIDRELAY_CHECK_CHECK_DRAFT_H

#include "config/config.h"

/* What was given on the command line; all borrowed, NULL: not given.  None holds a line break. */
struct check_draft_options {
	const char *target;
	char *const *paths; /* "direct" and proxies' URLs, in order; none: direct */
	size_t path_count;
	const char *proxy_user, *proxy_password; /* the password by reference */
	const char *client_bundle;
	const char *trust;
};

struct check_draft; /* opaque */

/* Begins with the file's text; without a file with a relay for the options' target, where there is one. */
struct check_draft *check_draft_new(const char *file, const struct check_draft_options *options);
void check_draft_free(struct check_draft *draft); /* NULL is fine */
/*
 * Adds a relay with one path, for the rule on this line.  A proxy by NAME or URL takes its own settings from
 * `config` (what the file says; may be NULL), or those of the options where there is no file.  It gets no
 * client certificate.
 */
void check_draft_add(struct check_draft *draft, const struct config *config, const char *target,
    const char *path, unsigned rule_line);
/* As config_load(). */
struct config *check_draft_load(const struct check_draft *draft, struct config_report *report);
/*
 * Moves faults in what was added, which are in the order of their lines, to the report about the rules, at the
 * rules' lines; those that an option or the file has caused stay, once, at its line.  Notes stay in the same way.
 */
void check_draft_move_faults(const struct check_draft *draft, struct config_report *from,
    struct config_report *rules);
/* For one without a file: puts the option before every fault, in place of the key. */
void check_draft_name_options(const struct check_draft_options *options, struct config_report *report);
/* Whether this relay was added. */
bool check_draft_added(const struct config_relay *relay);

/* No stage of any relay takes longer. */
void check_draft_cap_timeouts(struct config *config, int64_t ms);
/* Replaces the client certificate of every relay that has one; how many those are. */
size_t check_draft_swap_bundle(struct config *config, const char *file);

#endif
