/*
 * sandbox: what the process keeps of its rights once it serves, so that whoever takes it over gets no
 * further than midrelay goes: files and TCP ports by Landlock, system calls by seccomp, each where the
 * kernel has it.
 *
 * All of it belongs to the main thread, but for sandbox_text().
 */
#ifndef MIDRELAY_SERVICE_SANDBOX_H
#define MIDRELAY_SERVICE_SANDBOX_H

#include <stdbool.h>

#include "config/config.h"
#include "relay/listen.h"

/*
 * Once, when the listeners are bound, privileges dropped and all files read, and before any thread is
 * started: those inherit it.  What the kernel does not have, or does not let us, is told (event `sandbox`)
 * and is no fault.  Nothing happens with `sandbox = off`.
 */
void sandbox_enter(const struct config *config);

/* What is in force: "landlock ABI 7 (files, TCP ports), seccomp", "off".  From any thread, once entered. */
const char *sandbox_text(void);

/*
 * Whether a reload can read the configuration, and all that it names, and bind what `bound` does not hold
 * yet; what it cannot is a fault at its line, and only a restart helps.  To be asked before the files are
 * opened, which would only say "permission denied".
 */
bool sandbox_allows_file(struct config_report *report);
bool sandbox_allows(const struct config *config, const struct listen_list *bound, struct config_report *report);

/* Tells, once each, of files of the name service that were replaced and cannot be read any more. */
void sandbox_look(void);

#endif
