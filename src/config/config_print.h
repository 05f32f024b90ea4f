/*
 * config_print: the effective configuration, defaults filled in and secrets masked, and the report of a load.
 */
#ifndef MIDRELAY_CONFIG_CONFIG_PRINT_H
#define MIDRELAY_CONFIG_CONFIG_PRINT_H

#include <stdio.h>

#include "config/config.h"

/* As INI text that loads again (a literal secret reads "(literal)"); options without a value are left out. */
void config_print_ini(const struct config *config, FILE *to);

/*
 * As one JSON object {"midrelay": {…}, "relays": [{…}], "proxies": [{…}]} and a newline.  Keys are the
 * options' names; numbers, booleans and lists are JSON's own, durations are text as in the file, an option
 * without a value is null.
 */
bool config_print_json(const struct config *config, FILE *to, struct error *err) MUST_CHECK;

/* Faults and notes in the order of their lines: "FILE:LINE: text", a note as "FILE:LINE: warning: text". */
void config_print_report(const struct config_report *report, FILE *to);

#endif
