/*
 * service: the process: start, signals, reload, drain, end.
 */
#ifndef MIDRELAY_SERVICE_SERVICE_H
#define MIDRELAY_SERVICE_SERVICE_H

/* Runs until it is told to stop.  Returns the exit status. */
int service_run(const char *config_file);

#endif
