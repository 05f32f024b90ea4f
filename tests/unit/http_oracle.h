/*
 * http_oracle: how the parsers of others understand what http_relay passes on.
 *
 * http-parser (Debian's libhttp-parser-dev) and llhttp (Debian's node-llhttp, or a libllhttp), each where
 * configure found it.
 */
#ifndef MIDRELAY_TESTS_UNIT_HTTP_ORACLE_H
#define MIDRELAY_TESTS_UNIT_HTTP_ORACLE_H

#include "unit/http_drive.h"

#define ORACLE_TEXT_BYTES 200

/* Whether each oracle finds the messages to begin and to end where they do; else `why` says what was
 * different. */
bool oracle_agrees(const struct drive *drive, char why[ORACLE_TEXT_BYTES]);
unsigned oracle_count(void); /* how many there are */

#endif
