/* thread: see thread.h. */
#include "base/thread.h"

#include <signal.h>

bool thread_start(pthread_t *thread, void *(*run)(void *), void *arg, const char *what, struct error *err)
{
	sigset_t all, before;
	int error;

	/* Blocked before there is a thread, which inherits it: later it might already have been chosen for one. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	error = pthread_create(thread, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (error != 0)
		return error_set_errno(err, error, "%s cannot be started", what);
	return true;
}
