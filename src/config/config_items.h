/*
 * config_items: what is appended to a list, by an option that takes several values or that may be repeated.
 * Private to config/, for config_value alone.
 */
#ifndef MIDRELAY_CONFIG_CONFIG_ITEMS_H
#define MIDRELAY_CONFIG_CONFIG_ITEMS_H

#include "base/error.h"
#include "config/config_draft.h"
#include "config/config_table.h"

/* The items of `text`, between commas, to the option's list in `base`; those before one that is wrong stay.
 */
bool config_items_add(const struct config_option *option, void *base, const char *text, unsigned line,
    struct error *err) MUST_CHECK;
/* The whole of `text`. */
bool config_items_add_name(struct config_list *list, const char *text, struct error *err) MUST_CHECK;
/* "Name: value", for a CONNECT. */
bool config_items_add_header(
    struct config_proxy_draft *draft, const char *text, unsigned line, struct error *err) MUST_CHECK;

#endif
