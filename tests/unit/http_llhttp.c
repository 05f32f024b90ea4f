/*
 * http_llhttp: llhttp's state machine, where it comes as sources; apart from the rest of llhttp because it
 * declares its call-backs with other types.
 */
#ifdef LLHTTP_FROM_SOURCES
#include <llhttp.c>
#else
typedef int http_llhttp_is_a_library;
#endif
