/*
 * file_watch: whether files have changed, by what stat(2) says of them.
 *
 * A file's signature is where its path leads after all links (Kubernetes swaps a `..data` link), and device, inode, size,
 * times and mode of what is there (a file renamed over it, or written in place).  A file that is not there has a signature
 * too.  A directory's is that of the certificate files in it.  Nothing is opened but directories.
 */
#ifndef MIDRELAY_SERVICE_FILE_WATCH_H
#define MIDRELAY_SERVICE_FILE_WATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "config/config.h"

/*
 * A file that was written this short a time ago may be written again without a trace in its times (the kernel's clock for
 * them ticks at 100 Hz or more): whoever reads it now may have read too early.
 */
#define FILE_WATCH_SETTLE_MS 20

struct file_watch; /* opaque */

struct file_watch_news {
	size_t count;   /* how many files changed */
	bool unsettled; /* one of them was written within FILE_WATCH_SETTLE_MS */
};

struct file_watch *file_watch_new(void);
void file_watch_free(struct file_watch *watch); /* NULL is fine */

/* Signs the file as it is now, unless it is there already.  To be called before the file is read. */
void file_watch_add(struct file_watch *watch, const char *file);
/* Every file that the configuration names: certificates, keys, anchors, secrets. */
void file_watch_add_config(struct file_watch *watch, const struct config *config);
/* Moves all of `from` into `watch`, whose own signatures of the same files give way; frees `from`. */
void file_watch_merge(struct file_watch *watch, struct file_watch *from);

/* What has changed since it was signed, or accepted. */
void file_watch_look(struct file_watch *watch, struct file_watch_news *news);
/* The files that the last look found changed, one a call: *next begins at 0.  NULL: no more.  Borrowed. */
const char *file_watch_changed(const struct file_watch *watch, size_t *next);
/* What the last look has seen is no news from now on. */
void file_watch_accept(struct file_watch *watch);

#endif
