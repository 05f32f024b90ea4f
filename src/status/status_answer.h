/* status_answer: what each path of the status endpoint answers. */
#ifndef MIDRELAY_STATUS_STATUS_ANSWER_H
#define MIDRELAY_STATUS_STATUS_ANSWER_H

#include "status/status_http.h"
#include "status/status_report.h"

/* As in status_server_params. */
struct status_source {
	struct status_report *(*report)(void *arg);
	char *(*hung)(void *arg);
	void *arg;
};

/* Fills the answer, whose body is the caller's. */
void status_answer_make(const struct status_source *source, const struct status_request *request,
    struct status_answer *answer);
/* The same for a request that is refused with this status. */
void status_answer_refuse(unsigned status, struct status_answer *answer);

#endif
