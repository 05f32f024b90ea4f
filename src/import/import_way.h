/*
 * import_way: the three ways in which a MID Server comes to midrelay, and what each changes in its config.xml.  Pure.
 */
#ifndef MIDRELAY_IMPORT_IMPORT_WAY_H
#define MIDRELAY_IMPORT_IMPORT_WAY_H

#include <stdbool.h>
#include <stdio.h>

#include "import/import_edit.h"
#include "import/import_mid.h"

enum import_way {
	IMPORT_WAY_URL,   /* url is midrelay's listener; mode = http */
	IMPORT_WAY_PROXY, /* midrelay is the MID Server's proxy; mode = http */
	IMPORT_WAY_TLS,   /* url stays, the name leads here; a tls:// listener */
};
#define IMPORT_WAYS 3

const char *import_way_name(enum import_way way); /* "url" "proxy" "tls" */
bool import_way_find(const char *name, enum import_way *way);
const char *import_way_summary(enum import_way way); /* one line */

/* "127.0.0.1:8080"; that of tls has the port of the target's url.  The caller's. */
char *import_way_listen(enum import_way way, const struct import_mid *mid);

/* `listen`: ADDRESS:PORT.  The edits are empty when nothing needs to change. */
void import_way_edits(enum import_way way, const struct import_mid *mid, const char *listen,
    const struct import_document *document, struct import_edits *edits);

/* Whether import_way_edits() may touch this parameter. */
bool import_way_may_edit(const char *parameter);

/* What else there is to do and to know on this way, and whatever the way, in words. */
void import_way_print_rest(enum import_way way, const struct import_mid *mid, const char *listen, FILE *to);
void import_way_print_login(const struct import_mid *mid, FILE *to);

#endif
