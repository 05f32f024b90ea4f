/*
 * check_draft: the configuration that `check` walks where there is none, or not quite the one in the file.
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

/*
 * Through the loader, so that the same values are taken and the same sentences told.  With faults NULL, or a configuration
 * that is `faulty`; check_draft_name_options() says which options they are about.
 */
struct config *check_draft_load(const struct check_draft_options *options, struct config_report *report);
/* Puts the option before every fault and note of such a configuration, in place of the key. */
void check_draft_name_options(const struct check_draft_options *options, struct config_report *report);

/* No stage of any relay takes longer. */
void check_draft_cap_timeouts(struct config *config, int64_t ms);
/* Replaces the client certificate of every relay that has one; how many those are. */
size_t check_draft_swap_bundle(struct config *config, const char *file);

#endif
