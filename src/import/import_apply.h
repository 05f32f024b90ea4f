/*
 * import_apply: changing a MID Server's config.xml, and back.  The former file stays beside it as
 * FILE.midrelay-backup: the same inode, so with its owner and mode, since it holds the same secrets.
 */
#ifndef MIDRELAY_IMPORT_IMPORT_APPLY_H
#define MIDRELAY_IMPORT_IMPORT_APPLY_H

#include <sys/stat.h>

#include "base/error.h"
#include "config/config.h"

struct import_file {
	char *path; /* of the file itself, links followed */
	char *bytes;
	size_t len;
	struct stat st;
};

/* At most IMPORT_MAX_BYTES and one, so that a longer one is seen to be. */
bool import_file_read(struct import_file *file, const char *path, struct error *err) MUST_CHECK;
void import_file_clear(struct import_file *file); /* wipes it */

/* The caller's. */
char *import_backup_path(const struct import_file *file);

/* Whether import_apply() could: nothing is changed. */
bool import_apply_check(const struct import_file *file, struct error *err) MUST_CHECK;
/*
 * Makes the backup, then replaces the file, which keeps owner and mode.  Fails, with nothing changed, when the file is not
 * what was read, a backup is there, or owner and group cannot be kept.
 */
bool import_apply(const struct import_file *file, const char *bytes, size_t len, struct error *err) MUST_CHECK;

/*
 * Makes the backup the file again.  Unless `force`, only where the file differs from it in nothing but
 * what import_apply() may change: everything else that was changed since would be lost, and is a fault in the report.
 */
bool import_revert(const char *path, bool force, struct config_report *report, struct error *err) MUST_CHECK;

#endif
