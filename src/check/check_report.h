/*
 * check_report: what `midrelay check` has found, as plain data: every path of every relay, stage by stage,
 * and the local side.  The walk fills it, everything else reads it: comparison, rules, the printers.
 *
 * Texts are printable ASCII, bounded, and belong to the report.  Times are µs, points in time wall clock
 * seconds.
 */
#ifndef MIDRELAY_CHECK_CHECK_REPORT_H
#define MIDRELAY_CHECK_CHECK_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "dial/diagnosis.h"
#include "tls/judge.h"

/*
 * The columns of the table.  TLS includes the judgement of the server; CERT is our certificate: asked for,
 * and accepted, which only the first answer proves; INSTANCE is what the target said to the probes.
 */
enum check_stage {
	CHECK_RESOLVE,
	CHECK_CONNECT,
	CHECK_PROXY,
	CHECK_TLS,
	CHECK_CERT,
	CHECK_INSTANCE,
	CHECK_STAGE_COUNT
};
/* "resolve" "connect" "proxy" "tls" "certificate" "instance" */
const char *check_stage_name(enum check_stage stage);

enum check_outcome {
	CHECK_NOT_REACHED,
	CHECK_UNDER_WAY,
	CHECK_PASSED,
	CHECK_WARNED, /* passed, and something is to be said: see the path's notes */
	CHECK_FAILED,
	/* PROXY of a direct path, RESOLVE of an address, CERT without one, INSTANCE of no instance */
	CHECK_NOT_APPLICABLE,
};
const char *check_outcome_name(enum check_outcome outcome); /* "not-reached" "under-way" "passed" … */

/* What a path turned out to be, in the words of the rules file. */
enum check_verdict {
	CHECK_CLEAN,     /* every stage passed */
	CHECK_INSPECTED, /* tls-inspected, or a chain that does not verify here where another path's did */
	CHECK_BLOCKED,   /* the proxy refused: any code of its stage but time-outs, malformed and closed */
	CHECK_BROKEN,    /* anything else: see the code */
};
const char *check_verdict_name(enum check_verdict verdict); /* "clean" "inspected" "blocked" "broken" */

#define CHECK_TEXT_BYTES 256

struct check_step {
	enum check_outcome outcome;
	int64_t us;                  /* spent in it; -1: not reached or not applicable */
	/* "10.1.2.3:3128", "HTTP/1.1 200 Connection established", … "" : nothing to tell */
	char seen[CHECK_TEXT_BYTES];
};

/* One request to the target and what came back. */
struct check_probe {
	const char *request; /* static: "GET /adcv2/server" */
	enum check_outcome outcome;
	int status; /* of the answer, 0: none */
	int64_t us;
	char seen[CHECK_TEXT_BYTES]; /* status line and Server, or why there is none */
};
#define CHECK_MAX_PROBES 3
#define CHECK_MAX_NOTES 8

struct check_path {
	char *relay;  /* its name; with --target the target */
	char *target; /* "host:port" */
	char *name;   /* "direct", the proxy's URL, or the section's NAME */
	bool direct;
	struct check_step steps[CHECK_STAGE_COUNT];
	struct diagnosis diagnosis; /* of the first stage that failed; DIAGNOSIS_OK */
	/* further ones of the instance's probes; DIAGNOSIS_OK where there is none */
	struct diagnosis others[2];
	enum check_verdict verdict;
	char address[CHECK_TEXT_BYTES];     /* that was connected to, of the proxy or the target; "" */
	char proxy_reply[CHECK_TEXT_BYTES]; /* the status line that opened the tunnel; "" */
	char tls_version[16], cipher[64], group[32];
	struct judge_evidence *evidence; /* owned; NULL: no server was judged */
	bool cert_requested, cert_in_clear;
	struct check_probe probes[CHECK_MAX_PROBES];
	size_t probe_count;
	char notes[CHECK_MAX_NOTES][CHECK_TEXT_BYTES]; /* what is to be said though it passed */
	size_t note_count;
	int64_t began_us, ended_us; /* loop_clock_us(); 0: not begun, not ended */
	/* Of --expect; NULL: no rule speaks of this path. */
	char *expected; /* "clean", "inspected", "blocked", or a code */
	unsigned expected_line;
	bool as_expected;
};

/* One thing on this host. */
struct check_item {
	char *relay; /* NULL: the process */
	const char *what; /* static: "client_bundle", "listen", "trust", … */
	char subject[CHECK_TEXT_BYTES]; /* the file, the address, … */
	enum check_outcome outcome;     /* PASSED, WARNED or FAILED */
	char seen[CHECK_TEXT_BYTES];
	char remedy[CHECK_TEXT_BYTES]; /* "" : nothing to do */
};

/* What comparing the paths to one target tells: "direct sees … issued by …, http://proxy:3128 sees …". */
struct check_finding {
	char *target;
	enum check_outcome outcome; /* PASSED: all see the same; WARNED, FAILED */
	char text[3 * CHECK_TEXT_BYTES]; /* a list of paths, an issuer, and what follows from them */
};

struct check_report {
	char *file; /* the configuration; NULL with --target */
	int64_t began_s;
	struct check_item *items;
	size_t item_count;
	struct check_path *paths; /* in the order of the configuration */
	size_t path_count;
	struct check_finding *findings;
	size_t finding_count;
	bool with_rules;  /* --expect was given */
	char **unmatched; /* rules that speak of no path, in words; each is a failure */
	size_t unmatched_count;
};

struct check_report *check_report_new(void);
void check_report_free(struct check_report *report); /* NULL is fine */
/* Appends a zeroed one; the address holds until the next is added. */
struct check_item *check_report_add_item(struct check_report *report);
struct check_path *check_report_add_path(struct check_report *report);
struct check_finding *check_report_add_finding(struct check_report *report);
void check_report_add_unmatched(struct check_report *report, const char *text);

/* How a finished report ends the command: EXIT_STATUS_OK, _FAILED, or _INSPECTED (SPEC: 0, 1, 3). */
int check_report_exit_status(const struct check_report *report);

#endif
