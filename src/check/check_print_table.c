/*
 * check_print_table: the table of stages and the bars; narrow terminals get a list.  What stands below both
 * is check_print_below's.
 *
 * Where the terminal is wide the bar of a path stands behind its cells, else all bars follow the tables, so
 * that they can be compared.
 */
#include "check/check_print.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/mem.h"
#include "check/check_pen.h"
#include "check/check_print_below.h"

/* Lines of text beyond this are hard to read, however wide the terminal. */
#define TEXT_COLUMNS 100
#define LEAST_BAR_COLUMNS 24
#define INDENT 2       /* the mark of the path, a blank */
#define BAR_TAIL 6     /* the mark of the stop, a blank, the time */
#define TIME_COLUMNS 4 /* check_pen_time() */
/* Of bars that are that many times longer than all others, the others would show nothing. */
#define CUT_FACTOR 8
#define CUT_MARK "//"

struct layout {
	bool wide;             /* the bar stands in the row */
	unsigned name_columns; /* a longer name has a line of its own */
	unsigned gap;
	unsigned bar_columns; /* of the longest path that is to scale */
	int64_t scale_us;     /* that path's time, at least 1 */
	bool cut;             /* there are longer ones, which are not to scale */
};

static const char *heading(enum check_stage stage, bool wide)
{
	return stage == CHECK_CERT && !wide ? "cert" : check_stage_name(stage);
}

/* A cell holds a mark, a blank and a time, and its heading. */
static unsigned cell_columns(enum check_stage stage, bool wide)
{
	unsigned columns = pen_width(heading(stage, wide));

	return columns > 2 + TIME_COLUMNS ? columns : 2 + TIME_COLUMNS;
}

static unsigned cells_columns(bool wide, unsigned gap)
{
	unsigned columns = 0;
	int stage;

	for (stage = 0; stage < CHECK_STAGE_COUNT; stage++)
		columns += gap + cell_columns((enum check_stage)stage, wide);
	return columns;
}

/* The longest name that is no longer than `limit`. */
static unsigned longest_name(const struct check_report *report, unsigned limit)
{
	unsigned longest = 0, width;
	size_t i;

	for (i = 0; i < report->path_count; i++) {
		width = pen_width(report->paths[i].name);
		if (width <= limit && width > longest)
			longest = width;
	}
	return longest;
}

static int compare_times(const void *a, const void *b)
{
	int64_t left = *(const int64_t *)a, right = *(const int64_t *)b;

	return (left > right) - (left < right);
}

/* The longest bar, but for those, half of all at most, that tower above the rest: paths that hang. */
static void set_scale(struct layout *layout, const struct check_report *report)
{
	int64_t *us = mem_calloc(report->path_count + 1, sizeof(*us));
	size_t count = 0, i;

	for (i = 0; i < report->path_count; i++)
		if (check_pen_total_us(&report->paths[i]) > 0)
			us[count++] = check_pen_total_us(&report->paths[i]);
	qsort(us, count, sizeof(*us), compare_times);
	layout->scale_us = count > 0 ? us[count - 1] : 1;
	for (i = count; i > (count + 1) / 2; i--) {
		if (us[i - 1] / CUT_FACTOR < us[i - 2])
			continue;
		layout->scale_us = us[i - 2];
		layout->cut = true;
		break;
	}
	free(us);
}

static struct layout lay_out(const struct check_report *report, unsigned columns)
{
	struct layout layout = {.gap = 1};
	unsigned name = longest_name(report, columns), room;

	set_scale(&layout, report);
	if (INDENT + name + cells_columns(true, 2) + 2 + LEAST_BAR_COLUMNS + BAR_TAIL <= columns) {
		layout.wide = true;
		layout.gap = 2;
		layout.name_columns = name;
		layout.bar_columns = columns - (INDENT + name + cells_columns(true, 2) + 2 + BAR_TAIL);
		return layout;
	}
	if (INDENT + name + cells_columns(false, 2) <= columns)
		layout.gap = 2;
	room = columns < CHECK_TABLE_COLUMNS ? 0 : columns - INDENT - cells_columns(false, layout.gap);
	layout.name_columns = longest_name(report, room);
	return layout;
}

/* The stage that a path stopped in, else CHECK_STAGE_COUNT. */
static enum check_stage stopped_in(const struct check_path *path)
{
	int stage;

	for (stage = 0; stage < CHECK_STAGE_COUNT; stage++)
		if (path->steps[stage].outcome == CHECK_FAILED)
			break;
	return (enum check_stage)stage;
}

static enum check_outcome path_outcome(const struct check_path *path)
{
	int stage;

	if (path->verdict != CHECK_CLEAN || stopped_in(path) != CHECK_STAGE_COUNT)
		return CHECK_FAILED;
	if (path->note_count > 0)
		return CHECK_WARNED;
	for (stage = 0; stage < CHECK_STAGE_COUNT; stage++)
		if (path->steps[stage].outcome == CHECK_WARNED)
			return CHECK_WARNED;
	return CHECK_PASSED;
}

/* One stage's share, which the mark of a bar that is cut may stand in. */
static void print_share(
    enum check_stage stage, unsigned from, unsigned to, unsigned mark, struct pen *pen)
{
	unsigned width = pen_width(CUT_MARK);

	if (from <= mark && mark < to) {
		check_pen_bar(pen, stage, mark - from);
		pen_print(pen, PEN_BOLD, CUT_MARK);
		from = mark + width;
	} else if (from > mark && from < mark + width) {
		from = mark + width;
	}
	if (from < to)
		check_pen_bar(pen, stage, to - from);
}

/* One character for each share of the scale, and the time.  Shares are rounded from the left, so that the sum
 * is right; a path that took time has one character at least. */
static void print_bar(const struct check_path *path, const struct layout *layout, struct pen *pen)
{
	int64_t total_us = check_pen_total_us(path), us = 0;
	bool cut = total_us > layout->scale_us;
	int64_t scale_us = cut ? total_us : layout->scale_us;
	unsigned drawn = 0, upto, mark = cut ? layout->bar_columns / 2 : layout->bar_columns;
	char time[CHECK_PEN_TIME_BYTES];
	enum check_stage stop = stopped_in(path);
	int stage, most = 0;

	for (stage = 0; stage < CHECK_STAGE_COUNT; stage++) {
		if (path->steps[stage].us > 0)
			us += path->steps[stage].us;
		if (path->steps[stage].us > path->steps[most].us)
			most = stage;
		upto = (unsigned)((double)us / (double)scale_us * layout->bar_columns + 0.5);
		print_share((enum check_stage)stage, drawn, upto, mark, pen);
		drawn = upto;
	}
	if (drawn == 0 && total_us > 0)
		check_pen_bar(pen, (enum check_stage)most, 1);
	if (stop != CHECK_STAGE_COUNT)
		check_pen_mark(pen, CHECK_FAILED);
	if (total_us > 0)
		pen_print(pen, PEN_PLAIN, " %s", check_pen_time(total_us, time));
}

static void print_headings(const struct layout *layout, struct pen *pen)
{
	unsigned end = INDENT + layout->name_columns;
	int stage;

	for (stage = 0; stage < CHECK_STAGE_COUNT; stage++) {
		const char *text = heading((enum check_stage)stage, layout->wide);

		end += layout->gap + cell_columns((enum check_stage)stage, layout->wide);
		pen_go_to(pen, end - pen_width(text));
		pen_print(pen, PEN_DIM, "%s", text);
	}
	pen_end_line(pen);
}

/* Mark and time as one, right-aligned, so that neither is read as its neighbour's. */
static void print_cell(const struct check_step *step, unsigned end, struct pen *pen)
{
	bool timed = step->outcome != CHECK_NOT_APPLICABLE && step->us >= 0;
	char time[CHECK_PEN_TIME_BYTES] = "";

	if (step->outcome == CHECK_NOT_REACHED)
		return;
	if (timed)
		check_pen_time(step->us, time);
	pen_go_to(pen, end - 1 - (timed ? 1 + pen_width(time) : 0));
	check_pen_mark(pen, step->outcome);
	if (timed)
		pen_print(pen, PEN_PLAIN, " %s", time);
}

/* The cells after the one that failed are empty: the code goes there, if there is room, else below. */
static void print_row(const struct check_path *path, const struct layout *layout, struct pen *pen)
{
	const char *code = diagnosis_name(path->diagnosis.code);
	unsigned end = INDENT + layout->name_columns, last = end + cells_columns(layout->wide, layout->gap);
	enum check_stage stop = stopped_in(path);
	bool told = path->diagnosis.code == DIAGNOSIS_OK;
	int stage;

	pen_go_to(pen, INDENT - 2);
	check_pen_mark(pen, path_outcome(path));
	pen_print(pen, PEN_PLAIN, " %s", path->name);
	if (pen_width(path->name) > layout->name_columns)
		pen_end_line(pen);
	for (stage = 0; stage < CHECK_STAGE_COUNT; stage++) {
		end += layout->gap + cell_columns((enum check_stage)stage, layout->wide);
		print_cell(&path->steps[stage], end, pen);
		if (stage == (int)stop && !told && end + 1 + pen_width(code) <= last) {
			pen_print(pen, PEN_BAD, " %s", code);
			told = true;
			break;
		}
	}
	if (layout->wide && check_pen_total_us(path) > 0) {
		pen_go_to(pen, last + 2);
		print_bar(path, layout, pen);
	}
	pen_end_line(pen);
	if (told)
		return;
	pen_go_to(pen, last - pen_width(code));
	pen_print(pen, PEN_BAD, "%s", code);
	pen_end_line(pen);
}

static bool first_of_group(const struct check_report *report, size_t i)
{
	return i == 0 || !check_pen_same_group(&report->paths[i - 1], &report->paths[i]);
}

static bool several_groups(const struct check_report *report)
{
	size_t i;

	for (i = 1; i < report->path_count; i++)
		if (first_of_group(report, i))
			return true;
	return false;
}

static void print_group(const struct check_path *path, struct pen *pen)
{
	char *text = check_pen_group(path, pen->utf8);

	pen_wrap(pen, PEN_BOLD, 2, text);
	free(text);
}

static void print_legend(const struct layout *layout, unsigned indent, struct pen *pen)
{
	char text[160];
	size_t used = 0;
	int stage;

	for (stage = 0; stage < CHECK_STAGE_COUNT; stage++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%c=%s", stage == 0 ? "" : " ",
		    check_pen_letter((enum check_stage)stage), check_stage_name((enum check_stage)stage));
	if (layout->cut)
		used += (size_t)snprintf(text + used, sizeof(text) - used, " " CUT_MARK "=not to scale");
	midrelay_assert(used < sizeof(text));
	pen_wrap(pen, PEN_DIM, indent, text);
}

/* The bars alone, where they have no room in the rows. */
static void print_chart(const struct check_report *report, struct layout *layout, struct pen *pen)
{
	unsigned name = longest_name(report, (pen->columns - INDENT) / 2);
	const struct check_path *path;
	size_t i;

	layout->bar_columns = pen->columns - (2 + name + 2 + BAR_TAIL);
	pen_end_line(pen);
	pen_print(pen, PEN_BOLD, "Time");
	pen_go_to(pen, 6);
	print_legend(layout, 6, pen);
	for (i = 0; i < report->path_count; i++) {
		path = &report->paths[i];
		if (first_of_group(report, i) && several_groups(report))
			print_group(path, pen);
		if (check_pen_total_us(path) == 0)
			continue;
		pen_go_to(pen, 2);
		pen_print(pen, PEN_PLAIN, "%s", path->name);
		if (pen_width(path->name) > name)
			pen_end_line(pen);
		pen_go_to(pen, 2 + name + 2);
		print_bar(path, layout, pen);
		pen_end_line(pen);
	}
}

static void print_rows(const struct check_report *report, struct pen *pen)
{
	struct layout layout = lay_out(report, pen->columns);
	size_t i;

	for (i = 0; i < report->path_count; i++) {
		if (first_of_group(report, i)) {
			pen_end_line(pen);
			print_group(&report->paths[i], pen);
			print_headings(&layout, pen);
		}
		print_row(&report->paths[i], &layout, pen);
	}
	if (!layout.wide)
		print_chart(report, &layout, pen);
	else {
		pen_end_line(pen);
		pen_print(pen, PEN_DIM, "Bars");
		pen_go_to(pen, 6);
		print_legend(&layout, 6, pen);
	}
}

/* Below 60 columns: a block for each path, a line for each stage that it came to. */
static void print_list(const struct check_report *report, struct pen *pen)
{
	char time[CHECK_PEN_TIME_BYTES];
	const struct check_path *path;
	size_t i;
	int stage;

	for (i = 0; i < report->path_count; i++) {
		path = &report->paths[i];
		pen_end_line(pen);
		if (first_of_group(report, i))
			print_group(path, pen);
		check_pen_mark(pen, path_outcome(path));
		pen_print(pen, PEN_PLAIN, " %s", path->name);
		pen_end_line(pen);
		for (stage = 0; stage < CHECK_STAGE_COUNT; stage++) {
			if (path->steps[stage].us < 0)
				continue;
			pen_go_to(pen, 2);
			check_pen_mark(pen, path->steps[stage].outcome);
			pen_print(pen, PEN_PLAIN, " %-11s %4s",
			    check_stage_name((enum check_stage)stage),
			    check_pen_time(path->steps[stage].us, time));
			pen_end_line(pen);
		}
	}
}

static void print_title(const struct check_report *report, struct pen *pen)
{
	char *file = check_pen_clean(report->file != NULL ? report->file : ""), *text, when[32] = "";
	time_t began = (time_t)report->began_s;
	struct tm tm;

	if (gmtime_r(&began, &tm) != NULL)
		strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%SZ", &tm);
	text = mem_printf("%s%s%s, times in ms", file, file[0] != '\0' ? ", " : "", when);
	pen_wrap(pen, PEN_DIM, 0, text);
	free(text);
	free(file);
}

void check_print_table(
    const struct check_report *report, const struct check_print_options *options, FILE *out)
{
	struct pen pen = {
	    .out = out,
	    .columns = options->columns,
	    .text_columns = options->columns < TEXT_COLUMNS ? options->columns : TEXT_COLUMNS,
	    .colour = options->colour,
	    .utf8 = options->utf8,
	};
	char *summary = check_print_summary(report);

	print_title(report, &pen);
	if (report->path_count > 0 && pen.columns >= CHECK_TABLE_COLUMNS)
		print_rows(report, &pen);
	else
		print_list(report, &pen);
	check_print_below(report, &pen);
	pen_end_line(&pen);
	pen_wrap(
	    &pen, check_report_exit_status(report) == 0 ? PEN_GOOD : PEN_BAD, 0, summary);
	free(summary);
}
