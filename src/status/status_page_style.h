/*
 * status_page_style: the page's style sheet.  Its colours are named first, light and dark;
 * tests/integration/test_status_page.py reads them there.
 */
#ifndef MIDRELAY_STATUS_STATUS_PAGE_STYLE_H
#define MIDRELAY_STATUS_STATUS_PAGE_STYLE_H

extern const char status_page_style[];

#endif
