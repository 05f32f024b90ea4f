/*
 * check_run: a check from its options to its exit status: configuration, walk, comparison, rules, output,
 * repetition.
 */
#ifndef MIDRELAY_CHECK_CHECK_RUN_H
#define MIDRELAY_CHECK_CHECK_RUN_H

#include "check/check_draft.h"
#include "check/check_instance.h"

enum check_format { CHECK_FORMAT_TABLE, CHECK_FORMAT_JSON, CHECK_FORMAT_TAP, CHECK_FORMAT_JUNIT };
/* False: no such word. */
bool check_format_parse(const char *word, enum check_format *format);

/* All borrowed. */
struct check_options {
	const char *file;                 /* the configuration; NULL: there is none, see draft and rules */
	/* with a file the client_bundle alone: it takes the place of those in the file */
	struct check_draft_options draft;
	const char *rules;                /* --expect; NULL: none */
	char *const *relays;              /* only these of the file's; none: all */
	size_t relay_count;
	int64_t timeout_ms; /* no stage takes longer; 0: as configured */
	int64_t watch_ms;   /* again and again, at this interval; 0: once */
	enum check_probing probing;
	enum check_format format;
	bool quiet; /* nothing on stdout */
	bool debug; /* the handshake of the one path in words, on stderr */
};

/* Results go to stdout, faults and progress to stderr.  Returns the exit status. */
int check_run(const struct check_options *options);

#endif
