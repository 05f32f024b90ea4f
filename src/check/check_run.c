/*
 * check_run: see check_run.h.
 *
 * Answers for the flow.  What configuration is walked is check_setup's business, what is found out that of
 * the walk, how it is shown that of the printers.
 */
#include "check/check_run.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/exit_status.h"
#include "base/mem.h"
#include "base/privileges.h"
#include "check/check_changes.h"
#include "check/check_compare.h"
#include "check/check_local.h"
#include "check/check_print.h"
#include "check/check_progress.h"
#include "check/check_setup.h"
#include "check/check_walk.h"

#define DRAW_INTERVAL_MS 100

struct check_run {
	const struct check_options *options;
	struct loop *loop;
	struct resolver *resolver;
	struct check_setup setup;    /* of the round */
	struct check_report *report; /* of the round; NULL before the walk */
	struct check_report *before; /* of the round before */
	struct check_walk *walk;
	struct check_progress *progress;
	struct event *timer, *signals[2];
	int caught;     /* 0: no signal */
	bool unwritten; /* nobody gets the results any more */
};

bool check_format_parse(const char *word, enum check_format *format)
{
	static const char *const words[] = {
	    [CHECK_FORMAT_TABLE] = "table",
	    [CHECK_FORMAT_JSON] = "json",
	    [CHECK_FORMAT_TAP] = "tap",
	    [CHECK_FORMAT_JUNIT] = "junit",
	};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strcmp(word, words[i]) == 0) {
			*format = (enum check_format)i;
			return true;
		}
	}
	return false;
}

/* ---- the loop's call-backs ---- */

static void on_walked(void *arg)
{
	struct check_run *run = arg;

	run->walk = NULL;
	loop_stop(run->loop);
}

static void on_change(void *arg)
{
	struct check_run *run = arg;

	if (run->progress != NULL)
		check_progress_draw(run->progress, run->report);
}

/* While a walk is on: the next picture.  Between two rounds: the next round. */
static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct check_run *run = arg;

	if (run->walk == NULL) {
		loop_stop(run->loop);
		return;
	}
	on_change(run);
	loop_timer_add(run->timer, DRAW_INTERVAL_MS);
}

static void on_signal(evutil_socket_t number, short what, void *arg)
{
	struct check_run *run = arg;

	run->caught = (int)number;
	loop_stop(run->loop);
}

static void on_trace(void *arg, const char *text)
{
	fprintf(stderr, "%s\n", text);
}

/* ---- one round ---- */

static void begin_progress(struct check_run *run)
{
	const struct check_options *options = run->options;
	struct check_print_options print = check_print_options_for(stderr);

	if (options->quiet || options->debug || run->before != NULL || !isatty(STDERR_FILENO))
		return;
	run->progress = check_progress_new(stderr, print.columns, print.colour);
	loop_timer_add(run->timer, DRAW_INTERVAL_MS);
}

static void hear_signals(struct check_run *run)
{
	size_t i;

	for (i = 0; i < 2; i++)
		event_add(run->signals[i], NULL);
}

/* Waiting for a file, or for the reader of the result, no loop sees them: the default action ends that. */
static void leave_signals(struct check_run *run)
{
	size_t i;

	for (i = 0; i < 2; i++)
		event_del(run->signals[i]);
}

static void walk(struct check_run *run)
{
	struct check_walk_params params = {
	    .loop = run->loop,
	    .resolver = run->resolver,
	    .set = run->setup.set,
	    .report = run->report,
	    .relays = run->options->relays,
	    .relay_count = run->options->relay_count,
	    .probing = run->options->probing,
	    .timeout_ms = run->options->timeout_ms,
	    .trace = run->options->debug ? on_trace : NULL,
	    .on_change = on_change,
	    .on_done = on_walked,
	    .arg = run,
	};

	begin_progress(run);
	hear_signals(run);
	run->walk = check_walk_start(&params);
	loop_run(run->loop);
	check_walk_cancel(run->walk);
	run->walk = NULL;
	event_del(run->timer);
	check_progress_end(run->progress);
	run->progress = NULL;
	/* Between rounds it is the loop that waits. */
	if (run->options->watch_ms == 0)
		leave_signals(run);
}

static bool print(const struct check_run *run)
{
	struct check_print_options options = check_print_options_for(stdout);
	bool written = true;

	if (run->options->quiet)
		return true;
	if (run->before != NULL) {
		check_changes_print(run->before, run->report, stdout);
		return fflush(stdout) == 0;
	}
	switch (run->options->format) {
	case CHECK_FORMAT_TABLE:
		check_print_table(run->report, &options, stdout);
		break;
	case CHECK_FORMAT_JSON:
		written = check_print_json(run->report, stdout);
		break;
	case CHECK_FORMAT_TAP:
		check_print_tap(run->report, stdout);
		break;
	case CHECK_FORMAT_JUNIT:
		check_print_junit(run->report, stdout);
		break;
	}
	return fflush(stdout) == 0 && ferror(stdout) == 0 && written;
}

/* A trace of several paths at once could not be told apart. */
static bool is_one_path(const struct check_run *run)
{
	const struct check_walk_params params = {
	    .set = run->setup.set, .relays = run->options->relays, .relay_count = run->options->relay_count};
	struct check_report *report = check_report_new();
	bool one;
	size_t i;

	check_walk_list(&params, report);
	one = report->path_count == 1;
	if (!one)
		fprintf(stderr, "midrelay: --debug is for one path, and there are %zu:\n",
		    report->path_count);
	for (i = 0; i < report->path_count && !one; i++)
		fprintf(stderr, "  %s: %s over %s\n", report->paths[i].relay, report->paths[i].target,
		    report->paths[i].name);
	if (!one)
		fputs("name a RELAY that has one path, or give --target with one --proxy or --direct\n",
		    stderr);
	check_report_free(report);
	return one;
}

static int check_once(struct check_run *run)
{
	const struct check_options *options = run->options;
	int status = check_setup_load(&run->setup, options);

	if (status != EXIT_STATUS_OK)
		return status;
	if (options->debug && !is_one_path(run))
		return EXIT_STATUS_USAGE;
	run->report = check_report_new();
	run->report->began_s = (int64_t)time(NULL);
	if (options->file != NULL)
		run->report->file = mem_strdup(options->file);
	check_local(run->report, run->setup.set, &run->setup.loaded, options->relays, options->relay_count);
	walk(run);
	if (run->caught != 0)
		return EXIT_STATUS_FAILED;
	check_compare(run->report);
	if (run->setup.rules != NULL) {
		run->report->with_rules = true;
		check_rules_apply(run->setup.rules, run->report);
	}
	status = check_report_exit_status(run->report);
	errno = 0;
	if (!print(run)) {
		run->unwritten = true;
		if (errno != EPIPE) /* a reader that has seen enough needs no words */
			fputs("midrelay: the result could not be written\n", stderr);
		return EXIT_STATUS_FAILED;
	}
	return status;
}

/* ---- rounds ---- */

static void end_round(struct check_run *run)
{
	check_setup_clear(&run->setup);
	if (run->report == NULL)
		return;
	check_report_free(run->before);
	run->before = run->report;
	run->report = NULL;
}

/* As long as nothing changes nothing is written, which alone would not show that the reader has gone. */
static bool has_reader(const struct check_run *run)
{
	struct pollfd out = {.fd = STDOUT_FILENO};

	return run->options->quiet || poll(&out, 1, 0) != 1 || (out.revents & POLLERR) == 0;
}

static int repeat(struct check_run *run)
{
	int status, last;

	/* Faults of the first round are faults of the command; later ones are told, and may pass. */
	status = last = check_once(run);
	if (run->before == NULL && run->report == NULL)
		return status;
	while (run->caught == 0 && !run->unwritten) {
		end_round(run);
		loop_timer_add(run->timer, run->options->watch_ms);
		loop_run(run->loop);
		if (run->caught != 0)
			break;
		if (!has_reader(run))
			return EXIT_STATUS_FAILED;
		status = check_once(run);
		if (run->caught == 0)
			last = status;
	}
	return last;
}

static bool prepare(struct check_run *run)
{
	static const int numbers[] = {SIGINT, SIGTERM};
	struct error err;
	size_t i;

	(void)privileges_raise_file_limit(); /* all paths are walked at once */
	run->loop = loop_new(0, &err);
	if (run->loop == NULL) {
		fprintf(stderr, "midrelay: %s\n", err.text);
		return false;
	}
	run->resolver = resolver_new();
	run->timer = evtimer_new(run->loop->base, on_timer, run);
	for (i = 0; i < 2; i++) {
		run->signals[i] = evsignal_new(run->loop->base, numbers[i], on_signal, run);
		if (run->timer == NULL || run->signals[i] == NULL) {
			fputs("midrelay: libevent has no event for timers and signals\n", stderr);
			return false;
		}
	}
	return true;
}

static void clear(struct check_run *run)
{
	size_t i;

	if (run->timer != NULL)
		event_free(run->timer);
	for (i = 0; i < 2; i++) {
		if (run->signals[i] != NULL)
			event_free(run->signals[i]);
	}
	/* What was cancelled ends here, before the routes and the resolver that it borrows from. */
	resolver_close(run->resolver);
	loop_free(run->loop);
	resolver_free(run->resolver);
	check_setup_clear(&run->setup);
	check_report_free(run->report);
	check_report_free(run->before);
}

int check_run(const struct check_options *options)
{
	struct check_run run = {.options = options};
	int status = EXIT_STATUS_FAILED;

	if (prepare(&run))
		status = options->watch_ms > 0 ? repeat(&run) : check_once(&run);
	clear(&run);
	/* Without --watch an interrupted check has no result: it ends as any interrupted command does. */
	if (run.caught != 0 && options->watch_ms == 0) {
		signal(run.caught, SIG_DFL);
		raise(run.caught);
	}
	return status;
}
