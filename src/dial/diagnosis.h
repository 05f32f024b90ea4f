/*
 * diagnosis: the closed list of what can go wrong at run time, and what was seen when it did.
 *
 * One table feeds the log, the session line, the local 502, `explain`, and later `check`, metrics and exit
 * status.  A code is never renamed.  Its sentence (the *template of meaning*, for `explain`), remedy, stage and RFC 9209
 * proxy error type stand in diagnosis_table.c; the sentence of one occurrence is written where the fact is known.
 */
#ifndef MIDRELAY_DIAL_DIAGNOSIS_H
#define MIDRELAY_DIAL_DIAGNOSIS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

enum diagnosis_stage {
	DIAGNOSIS_STAGE_LOCAL,
	DIAGNOSIS_STAGE_RESOLVE,
	DIAGNOSIS_STAGE_CONNECT,
	DIAGNOSIS_STAGE_PROXY,
	DIAGNOSIS_STAGE_TLS,
	DIAGNOSIS_STAGE_CLIENT_CERT,
	DIAGNOSIS_STAGE_INSTANCE, /* what the target's answers say; the tunnel itself is fine */
	DIAGNOSIS_STAGE_RELAY,
};
const char *diagnosis_stage_name(enum diagnosis_stage stage); /* "local" … "client certificate" "relay" */

enum diagnosis_code {
	DIAGNOSIS_OK,
	DIAGNOSIS_LOCAL_DENIED,
	DIAGNOSIS_LOCAL_LIMIT,
	DIAGNOSIS_LOCAL_SPOKE_TLS,
	DIAGNOSIS_RESOLVE_FAILED,
	DIAGNOSIS_RESOLVE_TIMEOUT,
	DIAGNOSIS_CONNECT_REFUSED,
	DIAGNOSIS_CONNECT_TIMEOUT,
	DIAGNOSIS_CONNECT_UNREACHABLE,
	DIAGNOSIS_CONNECT_LOOP,
	DIAGNOSIS_PROXY_AUTH_REQUIRED,
	DIAGNOSIS_PROXY_AUTH_REJECTED,
	DIAGNOSIS_PROXY_AUTH_NTLM_ONLY,
	DIAGNOSIS_PROXY_AUTH_UNSUPPORTED,
	DIAGNOSIS_PROXY_DENIED,
	DIAGNOSIS_PROXY_UPSTREAM_FAILED,
	DIAGNOSIS_PROXY_STATUS,
	DIAGNOSIS_PROXY_MALFORMED,
	DIAGNOSIS_PROXY_CLOSED,
	DIAGNOSIS_PROXY_TIMEOUT,
	DIAGNOSIS_PROXY_TLS,
	DIAGNOSIS_TLS_INSPECTED,
	DIAGNOSIS_TLS_UNTRUSTED,
	DIAGNOSIS_TLS_HOSTNAME,
	DIAGNOSIS_TLS_EXPIRED,
	DIAGNOSIS_TLS_REVOKED,
	DIAGNOSIS_TLS_PIN,
	DIAGNOSIS_TLS_ISSUER,
	DIAGNOSIS_TLS_VERSION,
	DIAGNOSIS_TLS_ALERT,
	DIAGNOSIS_TLS_NOT_TLS,
	DIAGNOSIS_TLS_CLOSED,
	DIAGNOSIS_TLS_TIMEOUT,
	DIAGNOSIS_CLIENT_CERT_NOT_REQUESTED,
	DIAGNOSIS_CLIENT_CERT_REJECTED,
	DIAGNOSIS_CLIENT_CERT_EXPIRED,
	DIAGNOSIS_CLIENT_CERT_UNUSABLE,
	DIAGNOSIS_INSTANCE_CERT_REFUSED,
	DIAGNOSIS_INSTANCE_NOT_ADCV2,
	DIAGNOSIS_INSTANCE_NO_TLS_SUPPORT,
	DIAGNOSIS_INSTANCE_HIBERNATING,
	DIAGNOSIS_INSTANCE_STATUS,
	DIAGNOSIS_RELAY_TRUNCATED,
	DIAGNOSIS_RELAY_RESET,
	DIAGNOSIS_RELAY_IDLE,
	DIAGNOSIS_RELAY_DRAINED,
	DIAGNOSIS_CODE_COUNT
};

/* What the table says of a code; all strings static. */
struct diagnosis_info {
	enum diagnosis_code code;
	const char *name;             /* "proxy-auth-required"; "ok" for DIAGNOSIS_OK */
	enum diagnosis_stage stage;
	const char *meaning;          /* one sentence: what this code says happened */
	const char *remedy;           /* one or two sentences: what to do */
	const char *proxy_status;     /* RFC 9209 section 2.3 error type, e.g. "dns_error" */
	int http_status;              /* 502, 504 (time-outs), 503 (local limits) */
};

const struct diagnosis_info *diagnosis_info(enum diagnosis_code code);
const char *diagnosis_name(enum diagnosis_code code);
/* NULL when there is no such code. */
const struct diagnosis_info *diagnosis_find(const char *name);
/* The nearest code's name to a misspelt one, or NULL. */
const char *diagnosis_nearest(const char *name);

#define DIAGNOSIS_SENTENCE_BYTES 512

/* One occurrence. */
struct diagnosis {
	enum diagnosis_code code;
	char sentence[DIAGNOSIS_SENTENCE_BYTES]; /* what was seen; foreign text in it is escaped already */
};

/* Sets it; the sentence is printable ASCII without line breaks. */
void diagnosis_set(struct diagnosis *d, enum diagnosis_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);

#endif
