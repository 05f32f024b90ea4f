/* import_way: see import_way.h. */
#include "import/import_way.h"

#include <fnmatch.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "base/text.h"

#define UPGRADE_HOST "glide.mid.autoupgrade.proxy_host"
#define UPGRADE_PORT "glide.mid.autoupgrade.proxy_port"

bool import_way_may_edit(const char *parameter)
{
	static const char *const ours[] = {"url", "mid.proxy.use_proxy", "mid.instance.use_proxy", "mid.proxy.host",
	    "mid.proxy.port", UPGRADE_HOST, UPGRADE_PORT};
	size_t i;

	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (strcmp(ours[i], parameter) == 0)
			return true;
	}
	return false;
}

const char *import_way_name(enum import_way way)
{
	switch (way) {
	case IMPORT_WAY_URL:
		return "url";
	case IMPORT_WAY_PROXY:
		return "proxy";
	case IMPORT_WAY_TLS:
		return "tls";
	}
	return "?";
}

bool import_way_find(const char *name, enum import_way *way)
{
	int i;

	for (i = 0; i < IMPORT_WAYS; i++) {
		if (strcmp(import_way_name((enum import_way)i), name) == 0) {
			*way = (enum import_way)i;
			return true;
		}
	}
	return false;
}

const char *import_way_summary(enum import_way way)
{
	switch (way) {
	case IMPORT_WAY_URL:
		return "the MID Server's url is midrelay (mode = http)";
	case IMPORT_WAY_PROXY:
		return "midrelay is the MID Server's proxy (mode = http)";
	case IMPORT_WAY_TLS:
		return "the MID Server keeps its https url, its host leads the name to midrelay (listen = tls://...)";
	}
	return "?";
}

char *import_way_listen(enum import_way way, const struct import_mid *mid)
{
	return way == IMPORT_WAY_TLS ? mem_printf("127.0.0.1:%u", mid->target.port) : mem_strdup("127.0.0.1:8080");
}

/* ---- what changes ---- */

struct changes {
	const struct import_mid *mid;
	const struct import_document *document;
	struct import_edits *edits;
	char *listen_host, *listen_port;
};

/* A new one goes behind its kin. */
static void set(struct changes *c, const char *name, const char *value)
{
	static const char *const kin[] = {"mid.proxy.host", "mid.proxy.use_proxy", "mid.instance.use_proxy", "url", NULL};
	const struct import_parameter *anchor = NULL;
	size_t i;

	if (import_edits_set(c->edits, c->document, name, value))
		return;
	for (i = 0; anchor == NULL && kin[i] != NULL; i++)
		anchor = import_document_find(c->document, kin[i]);
	import_edits_add(c->edits, c->document, anchor, name, value);
}

/* Both names of it, where both are there: which of them a MID Server takes is not for us to find out. */
static void set_use_proxy(struct changes *c, bool use)
{
	const char *value = use ? "true" : "false";
	bool alias = import_edits_set(c->edits, c->document, "mid.instance.use_proxy", value);

	if (!import_edits_set(c->edits, c->document, "mid.proxy.use_proxy", value) && !alias && use)
		set(c, "mid.proxy.use_proxy", value);
}

/*
 * The MID Server tests its way to install.service-now.com and insists on it.  Whoever had a proxy for that keeps one: us
 * where we take a CONNECT, else the company's.
 */
static void keep_upgrades(struct changes *c, bool through_us)
{
	const struct import_mid *mid = c->mid;
	char port[8];

	if (!mid->used_proxy || mid->has_upgrade_proxy || mid->upgrade_avoids_proxy)
		return;
	if (through_us) {
		set(c, UPGRADE_HOST, c->listen_host);
		set(c, UPGRADE_PORT, c->listen_port);
	} else if (mid->has_proxy) {
		snprintf(port, sizeof(port), "%u", mid->proxy.port);
		set(c, UPGRADE_HOST, mid->proxy.host);
		set(c, UPGRADE_PORT, port);
	}
}

static void change_url(struct changes *c, enum import_way way)
{
	const struct hostport *target = &c->mid->target;
	struct hostport bare = {.host = target->host, .port = target->port, .is_ip = target->is_ip};
	char *host = hostport_format(&bare), *url = NULL, port[8];

	*strrchr(host, ':') = '\0';
	switch (way) {
	case IMPORT_WAY_URL:
		url = mem_printf("http://%s%s%s:%s/", strchr(c->listen_host, ':') != NULL ? "[" : "", c->listen_host,
		    strchr(c->listen_host, ':') != NULL ? "]" : "", c->listen_port);
		break;
	case IMPORT_WAY_PROXY:
		url = mem_printf("http://%s/", host);
		break;
	case IMPORT_WAY_TLS:
		/* The MID Server connects to the port that its url names, so that is the listener's. */
		snprintf(port, sizeof(port), "%u", target->port);
		if (!c->mid->url_is_fine || strcmp(port, c->listen_port) != 0)
			url = mem_printf("https://%s%s%s/", host, strcmp(c->listen_port, "443") == 0 ? "" : ":",
			    strcmp(c->listen_port, "443") == 0 ? "" : c->listen_port);
		break;
	}
	if (url != NULL)
		set(c, "url", url);
	free(url);
	free(host);
}

void import_way_edits(enum import_way way, const struct import_mid *mid, const char *listen,
    const struct import_document *document, struct import_edits *edits)
{
	struct changes c = {mid, document, edits, NULL, NULL};
	const char *colon = strrchr(listen, ':');
	bool brackets = listen[0] == '[';

	memset(edits, 0, sizeof(*edits));
	c.listen_host = mem_strndup(listen + brackets, (size_t)(colon - listen) - 2 * brackets);
	c.listen_port = mem_strdup(colon + 1);
	change_url(&c, way);
	set_use_proxy(&c, way == IMPORT_WAY_PROXY);
	switch (way) {
	case IMPORT_WAY_URL:
		keep_upgrades(&c, true);
		break;
	case IMPORT_WAY_PROXY:
		set(&c, "mid.proxy.host", c.listen_host);
		set(&c, "mid.proxy.port", c.listen_port);
		break;
	case IMPORT_WAY_TLS:
		keep_upgrades(&c, false);
		break;
	}
	free(c.listen_host);
	free(c.listen_port);
}

/* ---- in words ---- */

static void print_upgrades(enum import_way way, const struct import_mid *mid, FILE *to)
{
	if (mid->upgrade_avoids_proxy && !mid->has_upgrade_proxy)
		fputs("- Upgrades: mid.upgrade.use_proxy is false, so the MID Server goes to install.service-now.com by "
		      "itself, as before.\n", to);
	else if (mid->has_upgrade_proxy)
		fputs("- Upgrades: glide.mid.autoupgrade.proxy_host stays, so they take that proxy, as before. It can lead to "
		      "midrelay instead (mode = http): connect_allow lets install.service-now.com through.\n", to);
	else if (way == IMPORT_WAY_TLS && mid->used_proxy)
		fprintf(to, "- Upgrades keep the company's proxy by glide.mid.autoupgrade.proxy_host and _port.%s\n",
		    mid->proxy_user == NULL ? "" : " It wants credentials: add glide.mid.autoupgrade.proxy_user and "
		    "_password, which are not copied.");
	else if (mid->used_proxy || way == IMPORT_WAY_PROXY)
		fputs("- Upgrades come from install.service-now.com. They take midrelay, whose connect_allow lets that "
		      "host through, and no other.\n", to);
	else
		fputs("- Upgrades: the MID Server had no proxy, so it goes to install.service-now.com by itself, as before.\n",
		    to);
}

void import_way_print_rest(enum import_way way, const struct import_mid *mid, const char *listen, FILE *to)
{
	const char *endpoint = mid->target_endpoint != NULL ? mid->target_endpoint : "*.service-now.com";
	char shown[128];

	switch (way) {
	case IMPORT_WAY_URL:
		break;
	case IMPORT_WAY_PROXY:
		fputs("- midrelay asks for no credentials; mid.proxy.username and mid.proxy.password no longer do anything.\n", to);
		break;
	case IMPORT_WAY_TLS:
		fprintf(to, "- In the MID Server's hosts file (a pod: hostAliases):\n    %.*s %s\n",
		    (int)(strrchr(listen, ':') - listen), listen, mid->target.host);
		fputs("- The MID Server must trust midrelay's own CA: `midrelay bundle show --local-ca` has it, and the keytool "
		      "line. If mid.ssl.bootstrap.default.check_cert_revocation is true, it may refuse that CA's "
		      "certificate, which names no list of revoked ones (not tried).\n", to);
		if (!mid->has_proxy)
			fputs("- The hosts file catches midrelay, too, where its path is direct: set target_address.\n", to);
		if (fnmatch(endpoint, mid->target.host, FNM_CASEFOLD) != 0)
			fprintf(to, "- mid.ssl.bootstrap.default.target_endpoint (today %s) does not match %s: set it to that "
			    "name, or its checks do not apply.\n", text_escape(endpoint, strlen(endpoint), shown, sizeof(shown)),
			    mid->target.host);
		break;
	}
	print_upgrades(way, mid, to);
}

void import_way_print_login(const struct import_mid *mid, FILE *to)
{
	switch (mid->login) {
	case IMPORT_LOGIN_BASIC:
		fputs("- mid.instance.username and password stay: the MID Server goes on logging in with them, and midrelay "
		      "presents the certificate besides. Whether the instance would do without them depends on the user "
		      "that the certificate is mapped to there; try that later, and not first.\n", to);
		break;
	case IMPORT_LOGIN_UNFILLED:
		fputs("- mid.instance.username and password still are what the installer left: fill them in, or take both "
		      "lines out where the certificate alone is to log in (`manage-certificates -m` does that).\n", to);
		break;
	case IMPORT_LOGIN_CERTIFICATE:
		fputs("- There is no mid.instance.username: the MID Server logs in by its own certificate, the entry "
		      "defaultsecuritykeypairhandle of its keystore. Behind midrelay it is midrelay's client_bundle that the "
		      "instance sees, so that must be the same certificate or one mapped to the same user. Keystores "
		      "cannot be read here: use the PEM bundle that was given to manage-certificates.\n", to);
		break;
	}
	fputs("- Leave the keystore entry defaultsecuritykeypairhandle as it is: the MID Server uses it for encryption, too, and "
	      "needs it on the way back.\n"
	      "- A MID Server reads config.xml when it starts: restart it after the change.\n"
	      "- None of this was tried on a live instance.\n", to);
}
