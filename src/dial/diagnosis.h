/*
 * diagnosis: the closed list of what can go wrong at run time, and what was seen when it did.
 *
 * One table feeds the log, the session line, the local 502, `explain`, `check`, metrics and exit status.  A code
 * is never renamed.  Its sentence (the *template of meaning*, for `explain`), remedy, stage and RFC 9209 proxy
 * error type stand in diagnosis_table.c; the sentence of one occurrence is written where the fact is known.
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
	DIAGNOSIS_LOCAL_BAD_REQUEST,
	DIAGNOSIS_LOCAL_CONNECT_DENIED,
	DIAGNOSIS_LOCAL_TLS,
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
	DIAGNOSIS_INSTANCE_MALFORMED,
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
	int http_status;              /* 502, 504 (time-outs), 503 (local limits), 400 (a bad request) */
};

/*
 * Where one code stands for causes that want different remedies, the cause is told with it.  The table of
 * causes is in diagnosis_cause.c; a cause is never renamed either.
 */
enum diagnosis_cause {
	DIAGNOSIS_CAUSE_NONE, /* the code's own remedy fits */
	DIAGNOSIS_CAUSE_LOCAL_CERT,
	DIAGNOSIS_CAUSE_LIMIT_DESCRIPTORS,
	DIAGNOSIS_CAUSE_LIMIT_PORTS,
	DIAGNOSIS_CAUSE_LIMIT_MEMORY,
	DIAGNOSIS_CAUSE_LIMIT_DIALS,
	DIAGNOSIS_CAUSE_LOCAL_CA,
	DIAGNOSIS_CAUSE_LOCAL_UNTRUSTED,
	DIAGNOSIS_CAUSE_LOCAL_PLAIN,
	DIAGNOSIS_CAUSE_RESOLVER_SILENT,
	DIAGNOSIS_CAUSE_RESOLVER_FAILED,
	DIAGNOSIS_CAUSE_TARGET_REFUSED,
	DIAGNOSIS_CAUSE_NO_ROUTE,
	DIAGNOSIS_CAUSE_HOST_UNREACHABLE,
	DIAGNOSIS_CAUSE_FORBIDDEN_HERE,
	DIAGNOSIS_CAUSE_SOURCE_ADDRESS,
	DIAGNOSIS_CAUSE_QUOTA,
	DIAGNOSIS_CAUSE_NO_SCHEME,
	DIAGNOSIS_CAUSE_BLOCK_PAGE,
	DIAGNOSIS_CAUSE_PROXY_DNS,
	DIAGNOSIS_CAUSE_PROXY_CONNECT,
	DIAGNOSIS_CAUSE_PROXY_FORWARD,
	DIAGNOSIS_CAUSE_PORTAL,
	DIAGNOSIS_CAUSE_NO_PROXY,
	DIAGNOSIS_CAUSE_TOO_MANY,
	DIAGNOSIS_CAUSE_MALFORMED_WANTS_TLS,
	DIAGNOSIS_CAUSE_BROKEN_REPLY,
	DIAGNOSIS_CAUSE_WRONG_PORT,
	DIAGNOSIS_CAUSE_PROXY_HANDSHAKE,
	DIAGNOSIS_CAUSE_PROXY_UNTRUSTED,
	DIAGNOSIS_CAUSE_PROXY_HOSTNAME,
	DIAGNOSIS_CAUSE_PROXY_EXPIRED,
	DIAGNOSIS_CAUSE_PROXY_PLAIN,
	DIAGNOSIS_CAUSE_PROXY_WANTS_CERT,
	DIAGNOSIS_CAUSE_PROXY_OWN_CERT,
	DIAGNOSIS_CAUSE_ALERT_NAME,
	DIAGNOSIS_CAUSE_ALERT_HANDSHAKE,
	DIAGNOSIS_CAUSE_ENDED_HERE,
	DIAGNOSIS_CAUSE_PAGE,
	DIAGNOSIS_CAUSE_PLAIN_HTTP,
	DIAGNOSIS_CAUSE_NO_SERVER_HELLO,
	DIAGNOSIS_CAUSE_AFTER_CERT,
	DIAGNOSIS_CAUSE_NONE_CONFIGURED,
	DIAGNOSIS_CAUSE_NOT_YET_VALID,
	DIAGNOSIS_CAUSE_COUNT
};

/* What that table says of a cause; all strings static. */
struct diagnosis_cause_info {
	enum diagnosis_cause cause;
	enum diagnosis_code code; /* the only one that it goes with */
	const char *name;         /* "portal"; unique within its code; "" for DIAGNOSIS_CAUSE_NONE */
	const char *when;         /* completes "this cause is told when …" */
	const char *remedy;       /* stands in for the code's */
};

const struct diagnosis_cause_info *diagnosis_cause_info(enum diagnosis_cause cause);

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
	enum diagnosis_cause cause;
	char sentence[DIAGNOSIS_SENTENCE_BYTES]; /* what was seen; foreign text in it is escaped already */
};

/* DIAGNOSIS_OK, for those who keep none until they need it: half a kilobyte of every idle session. */
extern const struct diagnosis diagnosis_ok;
/* Makes *d (zeroed, the caller's to free()) where it is NULL. */
struct diagnosis *diagnosis_need(struct diagnosis **d);

/* Sets it, without a cause; the sentence is printable ASCII without line breaks. */
void diagnosis_set(struct diagnosis *d, enum diagnosis_code code, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The cause must be one of the code that was set, or DIAGNOSIS_CAUSE_NONE. */
void diagnosis_set_cause(struct diagnosis *d, enum diagnosis_cause cause);
/* Goes on with the sentence; code and cause stay. */
void diagnosis_append(struct diagnosis *d, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* What to do in this occurrence: the cause's remedy, else the code's.  Static. */
const char *diagnosis_remedy(const struct diagnosis *d);

#endif
