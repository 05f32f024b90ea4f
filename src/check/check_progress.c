/*
 * check_progress: see check_progress.h.  The size of the terminal is asked for at each frame, so that a
 * resize is seen.
 *
 * The cursor rests behind the last line that was drawn.  No line fills the terminal, so that none wraps;
 * after the terminal was made narrower, lines that it has wrapped are counted as the rows that they now are.
 */
#include "check/check_progress.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/mem.h"
#include "check/check_pen.h"
#include "check/check_print.h"
#include "loop/loop.h"

#define DEFAULT_ROWS 24
#define LEAST_COLUMNS 20
#define STATE_COLUMNS 22 /* "  certificate   12.3 s": what stands behind the name */

struct check_progress {
	FILE *out; /* borrowed */
	unsigned columns;
	bool colour, utf8, drawable;
	unsigned *widths; /* of the lines of the last frame */
	size_t width_count;
};

struct check_progress *check_progress_new(FILE *out, unsigned columns, bool colour)
{
	struct check_progress *progress = mem_calloc(1, sizeof(*progress));
	const char *term = getenv("TERM");

	progress->out = out;
	progress->columns = columns;
	progress->colour = colour;
	progress->utf8 = check_print_options_for(out).utf8;
	progress->drawable =
	    isatty(fileno(out)) != 0 && term != NULL && term[0] != '\0' && strcmp(term, "dumb") != 0;
	return progress;
}

static void ask_size(const struct check_progress *progress, unsigned *columns, unsigned *rows)
{
	struct winsize size;

	*columns = progress->columns;
	*rows = DEFAULT_ROWS;
	if (ioctl(fileno(progress->out), TIOCGWINSZ, &size) == 0) {
		if (size.ws_col > 0)
			*columns = size.ws_col;
		if (size.ws_row > 0)
			*rows = size.ws_row;
	}
	if (*columns < LEAST_COLUMNS)
		*columns = LEAST_COLUMNS;
}

/* To the first column of the first line that was drawn. */
static void go_back(const struct check_progress *progress, unsigned columns, FILE *frame)
{
	unsigned rows = 0;
	size_t i;

	for (i = 0; i < progress->width_count; i++)
		rows += progress->widths[i] == 0 ? 1 : (progress->widths[i] + columns - 1) / columns;
	putc('\r', frame);
	if (rows > 1)
		fprintf(frame, "\033[%uA", rows - 1);
}

static void add_width(struct check_progress *progress, unsigned width)
{
	progress->widths =
	    mem_realloc(progress->widths, (progress->width_count + 1) * sizeof(*progress->widths));
	progress->widths[progress->width_count++] = width;
}

/* What is left of the old line goes away, and of the old frame after the last. */
static void end_line(struct check_progress *progress, struct pen *pen, bool last)
{
	add_width(progress, pen->at);
	fputs(last ? "\033[J" : "\033[K\n", pen->out);
	pen->at = 0;
}

/* The stage under way or failed, else the first that is not done. */
static enum check_stage stage_of(const struct check_path *path)
{
	int stage;

	for (stage = 0; stage < CHECK_STAGE_COUNT; stage++)
		if (path->steps[stage].outcome == CHECK_UNDER_WAY ||
		    path->steps[stage].outcome == CHECK_FAILED)
			return (enum check_stage)stage;
	for (stage = 0; stage < CHECK_STAGE_COUNT - 1; stage++)
		if (path->steps[stage].outcome == CHECK_NOT_REACHED)
			break;
	return (enum check_stage)stage;
}

static enum check_outcome state_of(const struct check_path *path)
{
	if (path->began_us == 0)
		return CHECK_NOT_REACHED;
	if (path->ended_us == 0)
		return CHECK_UNDER_WAY;
	return path->diagnosis.code == DIAGNOSIS_OK ? CHECK_PASSED : CHECK_FAILED;
}

/* The end of a name tells it from others as much as its beginning: what is too long loses its middle. */
static void print_name(struct pen *pen, const char *name, unsigned room)
{
	size_t len = strlen(name), tail = (room - 3) / 2, head = room - 3 - tail;

	if (len <= room)
		pen_print(pen, PEN_PLAIN, "%s", name);
	else
		pen_print(pen, PEN_PLAIN, "%.*s...%s", (int)head, name, name + len - tail);
}

static void print_path(struct pen *pen, const struct check_report *report,
    const struct check_path *path, unsigned name_columns, int64_t now_us)
{
	enum check_outcome state = state_of(path);
	unsigned at = 2 + name_columns + 2;
	char *label = check_pen_label(report, path);
	char seconds[32];

	check_pen_mark(pen, state);
	pen_go_to(pen, 2);
	print_name(pen, label, name_columns);
	free(label);
	/* A narrow terminal has no room for more. */
	if (at + STATE_COLUMNS > pen->columns)
		return;
	pen_go_to(pen, at);
	if (state == CHECK_UNDER_WAY)
		pen_print(pen, PEN_PLAIN, "%s", check_stage_name(stage_of(path)));
	else if (state == CHECK_FAILED)
		pen_print(pen, PEN_BAD, "%s", check_stage_name(stage_of(path)));
	else
		pen_print(pen, PEN_DIM, "%s", state == CHECK_PASSED ? "done" : "waiting");
	if (state == CHECK_NOT_REACHED)
		return;
	snprintf(seconds, sizeof(seconds), "%.1f s",
	    (double)((path->ended_us != 0 ? path->ended_us : now_us) - path->began_us) / 1e6);
	pen_go_to(pen, at + STATE_COLUMNS - 2 - pen_width(seconds));
	pen_print(pen, PEN_PLAIN, "%s", seconds);
}

static void print_rest(struct pen *pen, size_t under_way, size_t waiting, size_t done)
{
	char parts[3][40] = {"", "", ""}, *text;

	if (under_way > 0)
		snprintf(parts[0], sizeof(parts[0]), ", %zu under way", under_way);
	if (waiting > 0)
		snprintf(parts[1], sizeof(parts[1]), ", %zu waiting", waiting);
	if (done > 0)
		snprintf(parts[2], sizeof(parts[2]), ", %zu done", done);
	text = mem_printf("  %zu more%s%s%s", under_way + waiting + done, parts[0], parts[1], parts[2]);
	pen_print(pen, PEN_DIM, "%.*s", (int)pen->columns - 1, text);
	free(text);
}

static size_t count_under_way(const struct check_report *report)
{
	size_t count = 0, i;

	for (i = 0; i < report->path_count; i++)
		count += state_of(&report->paths[i]) == CHECK_UNDER_WAY;
	return count;
}

static unsigned name_columns(const struct check_report *report, unsigned columns)
{
	unsigned longest = 0, room = columns > STATE_COLUMNS + 16 ? columns - STATE_COLUMNS - 5 : columns - 3;
	unsigned width;
	char *label;
	size_t i;

	for (i = 0; i < report->path_count; i++) {
		label = check_pen_label(report, &report->paths[i]);
		width = pen_width(label);
		free(label);
		if (width > longest)
			longest = width;
	}
	return longest < room ? longest : room;
}

static void print_frame(
    struct check_progress *progress, const struct check_report *report, struct pen *pen, unsigned rows)
{
	size_t room = rows > 2 ? rows - 1 : 1,
	       shown = report->path_count <= room ? report->path_count : room - 1;
	size_t under_way = count_under_way(report), others, left_under_way = 0, waiting = 0, done = 0, i;
	unsigned name = name_columns(report, pen->columns);
	int64_t now_us = loop_clock_us();

	others = under_way < shown ? shown - under_way : 0;
	under_way = shown - others;
	for (i = 0; i < report->path_count; i++) {
		enum check_outcome state = state_of(&report->paths[i]);
		size_t *left = state == CHECK_UNDER_WAY ? &under_way : &others;

		if (*left == 0) {
			left_under_way += state == CHECK_UNDER_WAY;
			waiting += state == CHECK_NOT_REACHED;
			done += state == CHECK_PASSED || state == CHECK_FAILED;
			continue;
		}
		(*left)--;
		print_path(pen, report, &report->paths[i], name, now_us);
		end_line(progress, pen, --shown == 0 && report->path_count <= room);
	}
	if (report->path_count > room) {
		print_rest(pen, left_under_way, waiting, done);
		end_line(progress, pen, true);
	}
}

static void send_frame(struct check_progress *progress, char *frame, size_t len)
{
	fwrite(frame, 1, len, progress->out);
	fflush(progress->out);
	free(frame);
}

void check_progress_draw(struct check_progress *progress, const struct check_report *report)
{
	struct pen pen = {.colour = progress->colour, .utf8 = progress->utf8};
	char *frame = NULL;
	size_t len = 0;
	unsigned rows;

	if (!progress->drawable || report->path_count == 0)
		return;
	pen.out = open_memstream(&frame, &len);
	midrelay_assert(pen.out != NULL);
	ask_size(progress, &pen.columns, &rows);
	go_back(progress, pen.columns, pen.out);
	progress->width_count = 0;
	print_frame(progress, report, &pen, rows);
	fclose(pen.out);
	send_frame(progress, frame, len);
}

void check_progress_end(struct check_progress *progress)
{
	char *frame = NULL;
	size_t len = 0;
	unsigned columns, rows;
	FILE *out;

	if (progress == NULL)
		return;
	if (progress->width_count > 0) {
		out = open_memstream(&frame, &len);
		midrelay_assert(out != NULL);
		ask_size(progress, &columns, &rows);
		go_back(progress, columns, out);
		fputs("\033[J", out);
		fclose(out);
		send_frame(progress, frame, len);
	}
	free(progress->widths);
	free(progress);
}
