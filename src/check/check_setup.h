/*
 * check_setup: what is walked: the configuration of a file, of options, or of rules, ready to be dialled.
 */
#ifndef MIDRELAY_CHECK_CHECK_SETUP_H
#define MIDRELAY_CHECK_CHECK_SETUP_H

#include "check/check_rules.h"
#include "check/check_run.h"
#include "dial/relay_route.h"

/* Zero-initialise. */
struct check_setup {
	struct relay_set *set;
	struct check_rules *rules;   /* NULL: none */
	struct config_report loaded; /* the notes that were taken */
};

/*
 * EXIT_STATUS_OK; or what the faults, which stand on stderr, lead to: _CONFIG, or _USAGE where an option is
 * at fault.
 */
int check_setup_load(struct check_setup *setup, const struct check_options *options);
void check_setup_clear(struct check_setup *setup);

#endif
