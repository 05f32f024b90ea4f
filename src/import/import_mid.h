/*
 * import_mid: what a MID Server's parameters say about its way to the instance.  Pure.
 *
 * Names and defaults: the vendor's list of MID Server parameters; proxy parameters that are missing or half set are what
 * its article KB2699917 is about.
 */
#ifndef MIDRELAY_IMPORT_IMPORT_MID_H
#define MIDRELAY_IMPORT_IMPORT_MID_H

#include "base/addr.h"
#include "import/import_xml.h"

/* How the MID Server proves who it is today. */
enum import_login {
	IMPORT_LOGIN_BASIC,       /* mid.instance.username and password */
	IMPORT_LOGIN_UNFILLED,    /* what the installer left in their place */
	IMPORT_LOGIN_CERTIFICATE, /* neither of them: manage-certificates -m takes them out */
};

enum import_password {
	IMPORT_PASSWORD_NONE,
	IMPORT_PASSWORD_CLEAR,
	IMPORT_PASSWORD_ENCRYPTED, /* by the MID Server, for itself */
	IMPORT_PASSWORD_MISSING,   /* a user without one, or with the installer's text */
};

struct import_mid {
	char *relay; /* the name of the section */
	struct hostport target;
	bool url_is_fine; /* https://, the target, and nothing odd: local TLS needs no change to it */
	bool has_proxy;   /* the proxy is for midrelay now */
	bool used_proxy;  /* mid.proxy.use_proxy is true */
	bool proxy_is_known; /* it is, but mid.proxy.use_proxy is false */
	struct hostport proxy;
	char *proxy_user;
	enum import_password password_kind;
	const char *password; /* borrowed from the document; IMPORT_PASSWORD_CLEAR */
	enum import_login login;
	bool has_upgrade_proxy; /* glide.mid.autoupgrade.proxy_host */
	bool upgrade_avoids_proxy; /* mid.upgrade.use_proxy is false */
	const char *target_endpoint; /* borrowed; mid.ssl.bootstrap.default.target_endpoint or NULL */
};

/*
 * `target`: HOST[:PORT] instead of what url says, or NULL.  False when there are faults.  Clear it in any case; the
 * document must stay.
 */
bool import_mid_read(struct import_mid *mid, const struct import_document *document, const char *target,
    struct config_report *report);
void import_mid_clear(struct import_mid *mid);

#endif
