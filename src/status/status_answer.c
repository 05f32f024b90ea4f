/* status_answer: see status_answer.h.  A path is a row of the table. */
#include "status/status_answer.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "status/status_page.h"
#include "status/status_print.h"
#include "status/status_text.h"

#define TEXT "text/plain; charset=utf-8"
#define TEXT_COLUMNS 80
#define TEXT_COLUMNS_MAX 1000

static void say(struct status_answer *answer, unsigned status, const char *text)
{
	answer->status = status;
	answer->type = TEXT;
	answer->body = mem_printf("%s\n", text);
	answer->len = strlen(answer->body);
}

static void livez(const struct status_source *source, const struct status_request *request,
    struct status_answer *answer)
{
	char *hung = source->hung(source->arg);

	say(answer, hung == NULL ? 200 : 503, hung == NULL ? "ok" : hung);
	free(hung);
}

static void readyz(const struct status_source *source, const struct status_request *request,
    struct status_answer *answer)
{
	struct status_report *report = source->report(source->arg);
	bool ready;

	answer->type = TEXT;
	answer->body = status_readiness(report, &ready, &answer->len);
	answer->status = ready ? 200 : 503;
	status_report_free(report);
}

static void json(const struct status_source *source, const struct status_request *request,
    struct status_answer *answer)
{
	struct status_report *report = source->report(source->arg);

	answer->status = 200;
	answer->type = "application/json";
	answer->body = status_json(report, &answer->len);
	status_report_free(report);
	if (answer->body == NULL)
		say(answer, 500, "the JSON library could not represent the status");
}

static void metrics(const struct status_source *source, const struct status_request *request,
    struct status_answer *answer)
{
	struct status_report *report = source->report(source->arg);

	answer->status = 200;
	answer->type = "text/plain; version=0.0.4; charset=utf-8";
	answer->body = status_metrics(report, &answer->len);
	status_report_free(report);
}

static void page(const struct status_source *source, const struct status_request *request,
    struct status_answer *answer)
{
	struct status_report *report = source->report(source->arg);

	answer->status = 200;
	answer->type = STATUS_PAGE_CONTENT_TYPE;
	answer->body = status_page(report, &answer->len);
	status_report_free(report);
}

static bool asks_for(const struct status_request *request, const char *key)
{
	char value[8];

	return status_query(request, key, value, sizeof(value)) != NULL && strcmp(value, "1") == 0;
}

/* "?columns=120&colour=1&utf8=1": for `midrelay status`, and whoever has curl. */
static void text(const struct status_source *source, const struct status_request *request,
    struct status_answer *answer)
{
	struct status_report *report = source->report(source->arg);
	struct status_text_style style = {TEXT_COLUMNS, asks_for(request, "colour"), asks_for(request, "utf8")};
	char value[8];
	uint64_t columns;

	if (status_query(request, "columns", value, sizeof(value)) != NULL &&
	    text_parse_uint(value, 1, TEXT_COLUMNS_MAX, &columns))
		style.columns = (unsigned)columns;
	answer->status = 200;
	answer->type = TEXT;
	answer->body = status_text(report, &style, &answer->len);
	status_report_free(report);
}

static const struct {
	const char *path;
	void (*make)(const struct status_source *source, const struct status_request *request,
	    struct status_answer *answer);
} pages[] = {
    {"/livez", livez}, {"/readyz", readyz}, {"/status", json}, {"/metrics", metrics}, {"/text", text},
    {"/", page},
};

void status_answer_make(const struct status_source *source, const struct status_request *request,
    struct status_answer *answer)
{
	size_t i;

	for (i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
		if (strcmp(request->path, pages[i].path) == 0) {
			pages[i].make(source, request, answer);
			return;
		}
	}
	say(answer, 404, "there are: / /livez /readyz /status /metrics /text");
}

void status_answer_refuse(unsigned status, struct status_answer *answer)
{
	switch (status) {
	case 405:
		say(answer, status, "GET and HEAD alone");
		break;
	case 413:
		say(answer, status, "no request here has a body");
		break;
	case 421:
		say(answer, status, "the name in Host must be an address or localhost");
		break;
	case 431:
		say(answer, status, "the head of the request is too large");
		break;
	default: /* a number, no enum */
		say(answer, status, "this is no request that is understood here");
		break;
	}
}
