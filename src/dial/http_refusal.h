/*
 * http_refusal: what a proxy's no means, in words and as a diagnosis.  Pure; used by http_connect.
 */
#ifndef MIDRELAY_DIAL_HTTP_REFUSAL_H
#define MIDRELAY_DIAL_HTTP_REFUSAL_H

#include <stdbool.h>
#include <stddef.h>

#include "dial/diagnosis.h"
#include "dial/http_connect.h"

/*
 * Names what begins with these bytes, which are no HTTP/1.x status line: "a TLS record", "an SSH banner",
 * "an HTML page", ….  Static.
 */
const char *http_refusal_name_sample(const char *s, size_t len);

/* These bytes begin a TLS record. */
bool http_refusal_is_tls(const char *s, size_t len);

/*
 * Judges a whole reply head that is no 1xx and no 2xx and holds no NUL byte.  Authentication (407, and 401,
 * which tinyproxy sends to wrong credentials) is told apart by the schemes that all Proxy-Authenticate and
 * WWW-Authenticate lines offer (RFC 9110 11.6.1); the header http_connect.h lists the rest.
 */
void http_refusal_judge(const char *from, size_t len, int status, const struct http_connect_context *context,
    struct diagnosis *diagnosis);

#endif
