/* import_ini: see import_ini.h. */
#include "import/import_ini.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/text.h"
#include "config/config_table.h"

#define SHOWN_BYTES 512

static void put(FILE *to, const char *key, const char *fmt, ...) PRINTF_LIKE(3, 4);
static void gap(FILE *to, struct config_report *report, const char *fmt, ...) PRINTF_LIKE(3, 4);

static void put(FILE *to, const char *key, const char *fmt, ...)
{
	va_list ap;

	fprintf(to, "%-14s = ", key);
	va_start(ap, fmt);
	vfprintf(to, fmt, ap);
	va_end(ap);
	fputc('\n', to);
}

static void gap(FILE *to, struct config_report *report, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fprintf(to, "; GAP: %s\n", text);
	config_report_note(report, 0, "GAP: %s", text);
}

static void put_target(const struct import_ini *ini, FILE *to)
{
	char *target = hostport_format(&ini->mid->target);

	if (ini->mid->target.port == 443)
		*strrchr(target, ':') = '\0';
	put(to, "target", "%s", target);
	free(target);
}

static void put_password(const struct import_ini *ini, FILE *to, struct config_report *report)
{
	const struct import_mid *mid = ini->mid;

	if (mid->proxy_user == NULL)
		return;
	put(to, "proxy_user", "%s", mid->proxy_user);
	switch (mid->password_kind) {
	case IMPORT_PASSWORD_NONE:
	case IMPORT_PASSWORD_CLEAR:
		if (!ini->password_is_there)
			gap(to, report, "put the proxy's password into %s, for nobody else to read (mode 0600)", ini->password_file);
		break;
	case IMPORT_PASSWORD_ENCRYPTED:
		gap(to, report, "config.xml has the proxy's password encrypted for the MID Server alone; put it into %s, for "
		    "nobody else to read (mode 0600)", ini->password_file);
		break;
	case IMPORT_PASSWORD_MISSING:
		gap(to, report, "config.xml has no password for this user; put it into %s, for nobody else to read (mode 0600), "
		    "or take both lines out", ini->password_file);
		break;
	}
	put(to, "proxy_password", "file:%s", ini->password_file);
}

static void put_paths(const struct import_ini *ini, FILE *to, struct config_report *report)
{
	const struct import_mid *mid = ini->mid;
	char *proxy = mid->proxy.host == NULL ? NULL : hostport_format(&mid->proxy);

	if (mid->has_proxy) {
		put(to, "proxy", "http://%s", proxy);
		put_password(ini, to, report);
	} else {
		if (mid->proxy_is_known)
			fprintf(to, "; config.xml names a proxy that the MID Server does not use:\n;proxy         = http://%s\n",
			    proxy);
		else if (mid->used_proxy)
			gap(to, report, "the MID Server is to use a proxy that config.xml does not name; write "
			    "proxy = http://HOST:PORT in place of direct");
		put(to, "proxy", "direct");
		if (ini->way == IMPORT_WAY_TLS)
			gap(to, report, "the hosts file leads %s to this host, midrelay too: give the instance's address as "
			    "target_address", mid->target.host);
	}
	free(proxy);
}

static void put_owner(const struct import_ini *ini, FILE *to, struct config_report *report)
{
	bool known = config_option_find(CONFIG_SECTION_RELAY, "allow_user") != NULL;

	if (ini->owner == NULL) {
		gap(to, report, "the MID Server's account is not known; name it in allow_user, or every account of this host may "
		    "connect");
		return;
	}
	fprintf(to, "; the owner of config.xml; see that the MID Server runs as that%s\n",
	    known ? "" : " (a later version of midrelay takes this)");
	put(to, known ? "allow_user" : ";allow_user", "%s", ini->owner);
}

static void put_bundle(const struct import_ini *ini, FILE *to, struct config_report *report)
{
	if (!ini->bundle_is_there)
		gap(to, report, "put the PEM bundle that `manage-certificates` takes (leaf, intermediates, root, key) at %s, or "
		    "name it here; `midrelay bundle make` makes one. The MID Server's keystore cannot be read",
		    ini->bundle_file);
	put(to, "client_bundle", "%s", ini->bundle_file);
}

/* What came from config.xml and the command line must read back: the loader's own word on it. */
static bool reads_back(const struct import_ini *ini, struct config_report *report)
{
	const struct import_mid *mid = ini->mid;
	struct config_report faults, ignored;
	struct config *config;
	char *text = NULL;
	size_t len = 0, i;
	FILE *to = open_memstream(&text, &len);

	midrelay_assert(to != NULL);
	config_report_init(&ignored, "");
	config_report_init(&faults, "midrelay.ini");
	fprintf(to, "[relay %s]\n", mid->relay);
	put(to, "listen", "%s", ini->listen);
	put_target(ini, to);
	put_paths(ini, to, &ignored);
	put_bundle(ini, to, &ignored);
	fclose(to);
	config = config_load_bytes("midrelay.ini", text, len, &faults);
	config_free(config);
	for (i = 0; i < faults.fault_count; i++)
		config_report_fault(report, 0, "what would be in midrelay.ini cannot be there: %s", faults.faults[i].text);
	i = faults.fault_count;
	config_report_clear(&faults);
	config_report_clear(&ignored);
	free(text);
	return i == 0;
}

/* A config.xml that was changed before names midrelay as its proxy. */
static bool is_no_loop(const struct import_ini *ini, struct config_report *report)
{
	const struct hostport *at = &ini->mid->proxy;
	char *proxy = ini->mid->has_proxy ? hostport_format(at) : NULL;
	/* Where `listen` can only be a loopback address, which that name may lead to. */
	bool same_port = proxy != NULL && strcmp(strrchr(proxy, ':'), strrchr(ini->listen, ':')) == 0;
	bool loop = proxy != NULL && (strcmp(proxy, ini->listen) == 0 || (same_port && strcmp(at->host, "localhost") == 0));

	if (loop)
		config_report_fault(report, 0, "mid.proxy.host and port are where midrelay is to listen (%s): take that "
		    "change back first (--revert), or choose another --listen", proxy);
	free(proxy);
	return !loop;
}

char *import_ini_make(const struct import_ini *ini, struct config_report *report)
{
	char *text = NULL, shown[SHOWN_BYTES];
	size_t len = 0;
	FILE *to;

	if (!is_no_loop(ini, report) || !reads_back(ini, report))
		return NULL;
	to = open_memstream(&text, &len);
	midrelay_assert(to != NULL);
	fprintf(to, "; From %s, by `midrelay import`.\n; `midrelay config` says what is still to be done, `midrelay check` "
	    "whether it works.\n\n[relay %s]\n",
	    text_escape(ini->source, strlen(ini->source), shown, sizeof(shown)), ini->mid->relay);
	if (ini->way == IMPORT_WAY_TLS) {
		put(to, "listen", "tls://%s", ini->listen);
		put(to, "listen_cert", "auto");
	} else {
		put(to, "listen", "%s", ini->listen);
		put(to, "mode", "http");
	}
	put_owner(ini, to, report);
	put_target(ini, to);
	put_paths(ini, to, report);
	put_bundle(ini, to, report);
	fclose(to);
	return text;
}
