/* connect_face: see connect_face.h. */
#include "relay/connect_face.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"

/* Of the list, in a sentence. */
#define SHOWN_LIST_BYTES 160

struct hostport connect_face_host(const char *host, uint16_t port)
{
	struct hostport at = {.host = mem_strdup(host), .port = port};
	struct addr addr;

	at.is_ip = addr_parse_ip(host, port, &addr);
	return at;
}

static bool is_allowed(const struct config_list *list, const char *authority)
{
	size_t i;

	for (i = 0; i < list->count; i++) {
		if (strcmp(list->items[i], authority) == 0)
			return true;
	}
	return false;
}

static void show_list(const struct config_list *list, char buf[SHOWN_LIST_BYTES])
{
	size_t used = 0, i;

	buf[0] = '\0';
	for (i = 0; i < list->count && used < SHOWN_LIST_BYTES; i++)
		used += (size_t)snprintf(buf + used, SHOWN_LIST_BYTES - used, "%s%s", i == 0 ? "" : ", ",
		    list->items[i]);
}

enum connect_face_verdict connect_face_judge(const struct relay_route *route, const char *host, uint16_t port,
    struct diagnosis *diagnosis)
{
	const struct hostport *target = &route->config->target;
	struct hostport at = connect_face_host(host, port);
	char *authority = hostport_format(&at);
	char list[SHOWN_LIST_BYTES], shown[300];
	enum connect_face_verdict verdict = CONNECT_FACE_DENIED;
	size_t url_len;

	text_escape(authority, strlen(authority), shown, sizeof(shown));
	if (strcmp(at.host, target->host) == 0 && at.port == target->port) {
		verdict = CONNECT_FACE_TARGET;
		/* http_authority_is_target() knows it by both without a port. */
		url_len = at.port == 80 || at.port == 443 ? (size_t)(strrchr(shown, ':') - shown) : strlen(shown);
		diagnosis_set(diagnosis, DIAGNOSIS_LOCAL_CONNECT_DENIED, "CONNECT %s: a tunnel to the target "
		    "would go around the client certificate; ask for http://%.*s/ instead, or connect to a "
		    "tls:// listener", shown, (int)url_len, shown);
	} else if (is_allowed(&route->config->connect_allow, authority)) {
		verdict = CONNECT_FACE_ALLOWED;
	} else {
		show_list(&route->config->connect_allow, list);
		diagnosis_set(diagnosis, DIAGNOSIS_LOCAL_CONNECT_DENIED,
		    "CONNECT %s: the host is not in connect_allow (%s)", shown, list);
	}
	free(authority);
	hostport_clear(&at);
	return verdict;
}
