/*
 * check_instance: what a target is asked, and ServiceNow's own rules for the answers.  Pure.
 *
 * The rules are those of ServiceNow's readiness check for mutual authentication: GET /adcv2/server is 200 on ADCv2, and
 * GET /adcv2/supports_tls is 200, contains `true` (or `mixed`), and has `snow_adc` in its Server header.  A refused
 * client certificate is no TLS failure there but a page under status 400 (KB0960308), and a developer instance that
 * hibernates answers 200 with one and the same page to everything.  What a MID's first call has in its body is not
 * documented: ours is an empty one of that kind, and a SOAP fault in answer to it is an instance at work.
 */
#ifndef MIDRELAY_CHECK_CHECK_INSTANCE_H
#define MIDRELAY_CHECK_CHECK_INSTANCE_H

#include <stdbool.h>
#include <stddef.h>

#include "check/check_answer.h"
#include "dial/diagnosis.h"

/* --probe: what is asked of a target. */
enum check_probing {
	CHECK_PROBE_AUTO,     /* an instance as an instance, any other host GET / */
	CHECK_PROBE_INSTANCE, /* as an instance, whoever it is */
	CHECK_PROBE_HTTP,     /* GET / */
	CHECK_PROBE_NONE,     /* no request at all */
};
/* False: no such word. */
bool check_probing_parse(const char *word, enum check_probing *probing);

enum check_question {
	CHECK_ASK_SERVER,        /* GET /adcv2/server */
	CHECK_ASK_SUPPORTS_TLS,  /* GET /adcv2/supports_tls */
	CHECK_ASK_INSTANCE_INFO, /* POST /InstanceInfo.do?SOAP, the first call of a MID; needs no credentials */
	CHECK_ASK_ROOT,          /* GET / */
};
const char *check_question_text(enum check_question question); /* "GET /adcv2/server"; static */
/* The whole request to `host` ("name" or "name:port"), for the caller to free. */
char *check_question_request(enum check_question question, const char *host, size_t *len);

/* Whether the host's name is one that ServiceNow gives to instances. */
bool check_instance_has_name(const char *host);
/* Whether an instance's edge answered. */
bool check_instance_answered(const struct check_answer *answer);

/* The answer is the edge's (or nginx's) page for a client certificate that it refuses, or lacks: see first_answer.h. */
bool check_instance_refuses_cert(const struct check_answer *answer, bool cert_sent, const char *target,
    struct diagnosis *diagnosis);

/*
 * Judges the answer to one question of an instance; `server` is the answer to CHECK_ASK_SERVER, or NULL.  False: it fails,
 * see the diagnosis.
 */
bool check_instance_judge(enum check_question question, const struct check_answer *answer,
    const struct check_answer *server, struct diagnosis *diagnosis);

#endif
