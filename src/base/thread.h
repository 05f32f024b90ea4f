/* thread: threads that take no signal: all of them are the main thread's to handle. */
#ifndef MIDRELAY_BASE_THREAD_H
#define MIDRELAY_BASE_THREAD_H

#include <pthread.h>

#include "base/error.h"

/* `what` names the thread in the sentence of a failure: "a worker thread". */
bool thread_start(
    pthread_t *thread, void *(*run)(void *), void *arg, const char *what, struct error *err) MUST_CHECK;

#endif
