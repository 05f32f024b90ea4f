/*
 * status_page_relay: a relay's part of the page.  For status/status_page alone.
 */
#ifndef MIDRELAY_STATUS_STATUS_PAGE_RELAY_H
#define MIDRELAY_STATUS_STATUS_PAGE_RELAY_H

#include "status/status_html.h"

/* `scale_us` is what the longest bar of the page stands for. */
void status_page_relay(
    struct status_html *html, const struct status_relay *relay, size_t index, int64_t scale_us);
/* All stages of its last dial that worked together; 0: there was none. */
int64_t status_page_dial_us(const struct status_path *path);
const char *status_page_relay_words(enum status_level level);

#endif
