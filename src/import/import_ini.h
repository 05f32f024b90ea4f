/*
 * import_ini: the midrelay.ini that does what a MID Server's config.xml did, and more.  Pure.
 */
#ifndef MIDRELAY_IMPORT_IMPORT_INI_H
#define MIDRELAY_IMPORT_IMPORT_INI_H

#include "import/import_mid.h"
#include "import/import_way.h"

/* All borrowed. */
struct import_ini {
	const struct import_mid *mid;
	enum import_way way;
	const char *listen;        /* ADDRESS:PORT */
	const char *source;        /* the config.xml, for the first line */
	const char *password_file; /* where proxy_password is or should be */
	bool password_is_there;    /* it was written, or was there */
	const char *bundle_file;
	bool bundle_is_there;
	const char *owner; /* the account of the MID Server, or NULL */
};

/*
 * The text, for the caller to free.  What could not be known is marked GAP in a comment above its line, and is a note.  Where
 * a value could not be read back from the file it would be in, that is a fault, and the result NULL.
 */
char *import_ini_make(const struct import_ini *ini, struct config_report *report);

#endif
