/*
 * config_value: the text of one value into the field of its option.  Private to config/.
 */
#ifndef MIDRELAY_CONFIG_CONFIG_VALUE_H
#define MIDRELAY_CONFIG_CONFIG_VALUE_H

#include "base/addr.h"
#include "base/error.h"
#include "config/config.h"
#include "config/config_table.h"

/*
 * Sets the option's field in `base` (the struct that the option's offset counts from); a list option is
 * appended to. On failure the sentence says what would be right; it never shows a value that may be a secret.
 */
bool config_value_set(const struct config_option *option, void *base, const char *text, unsigned line,
    struct error *err) MUST_CHECK;

/*
 * http://HOST:PORT or https://HOST:PORT, as in `url` and `proxy`; user_key and password_key are named where credentials
 * stand in it.
 */
bool config_value_proxy_url(const char *text, const char *user_key, const char *password_key,
    struct config_proxy_url *url, struct error *err) MUST_CHECK;

#endif
