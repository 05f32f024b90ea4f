/*
 * service: the process: start, signals, reload, drain, end.
 */
#ifndef MIDRELAY_SERVICE_SERVICE_H
#define MIDRELAY_SERVICE_SERVICE_H

#include "base/exit_status.h"

/* Runs until it is told to stop. */
enum exit_status service_run(const char *config_file);

#endif
