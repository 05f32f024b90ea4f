/* import_apply: see import_apply.h. */
#include "import/import_apply.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/replace.h"
#include "base/text.h"
#include "import/import_way.h"
#include "import/import_xml.h"

#define PERMISSIONS 07777
#define SHOWN_BYTES 160

static bool read_all(int fd, struct import_file *file)
{
	file->bytes = mem_calloc(1, IMPORT_MAX_BYTES + 2);
	while (file->len <= IMPORT_MAX_BYTES) {
		ssize_t n = read(fd, file->bytes + file->len, IMPORT_MAX_BYTES + 1 - file->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0;
		file->len += (size_t)n;
	}
	return true;
}

bool import_file_read(struct import_file *file, const char *path, struct error *err)
{
	bool ok = false;
	int fd;

	memset(file, 0, sizeof(*file));
	/* A pipe in its place must not hold us up. */
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return error_set_errno(err, errno, "%s", path);
	if (fstat(fd, &file->st) != 0)
		error_set_errno(err, errno, "%s", path);
	else if (!S_ISREG(file->st.st_mode))
		error_set(err, "%s: is no regular file", path);
	else if (!read_all(fd, file))
		error_set_errno(err, errno, "%s", path);
	else if ((file->path = realpath(path, NULL)) == NULL)
		error_set_errno(err, errno, "%s", path);
	else
		ok = true;
	close(fd);
	if (!ok)
		import_file_clear(file);
	return ok;
}

void import_file_clear(struct import_file *file)
{
	if (file->bytes != NULL)
		explicit_bzero(file->bytes, file->len);
	free(file->bytes);
	free(file->path);
	memset(file, 0, sizeof(*file));
}

char *import_backup_path(const struct import_file *file)
{
	return mem_printf("%s.midrelay-backup", file->path);
}

bool import_apply_check(const struct import_file *file, struct error *err)
{
	char *backup = import_backup_path(file);
	struct stat st;
	bool ok = true;

	/* The MID Server could not read what another account left in its place. */
	if (geteuid() != 0 && geteuid() != file->st.st_uid)
		ok = error_set(err, "%s: belongs to another user; only that user and root can replace it", file->path);
	else if (lstat(backup, &st) == 0)
		ok = error_set(err, "%s: is there already, so the change was made before; --revert takes it back", backup);
	free(backup);
	return ok;
}

/* The same file, and the same in it. */
static bool is_unchanged(const struct import_file *file, struct error *err)
{
	struct import_file now;
	bool same;

	if (!import_file_read(&now, file->path, err))
		return false;
	same = now.st.st_dev == file->st.st_dev && now.st.st_ino == file->st.st_ino && now.len == file->len &&
	       memcmp(now.bytes, file->bytes, now.len) == 0;
	import_file_clear(&now);
	return same ? true : error_set(err, "%s: was changed by somebody else just now; nothing was done", file->path);
}

/* Another account's could not be read by the MID Server, and another group's could be by more than should. */
static bool is_of_same_account(const struct import_file *file, struct error *err)
{
	struct stat now;

	if (stat(file->path, &now) != 0)
		return error_set_errno(err, errno, "%s", file->path);
	if (now.st_uid == file->st.st_uid && now.st_gid == file->st.st_gid)
		return true;
	return error_set(err, "%s: a new one cannot be given the owner and group of this one (%u:%u); change it by hand, or "
	    "as an account that may give files away", file->path, (unsigned)file->st.st_uid, (unsigned)file->st.st_gid);
}

bool import_apply(const struct import_file *file, const char *bytes, size_t len, struct error *err)
{
	mode_t mode = file->st.st_mode & PERMISSIONS;
	char *backup;
	bool ok = false;

	if (!import_apply_check(file, err))
		return false;
	backup = import_backup_path(file);
	/* The file itself under a second name: owner, mode and labels with it, and nothing to be copied half. */
	if (link(file->path, backup) != 0) {
		error_set_errno(err, errno, "%s: cannot be made", backup);
	} else {
		ok = is_unchanged(file, err) && replace_file(file->path, bytes, len, mode, err);
		if (ok && !is_of_same_account(file, err)) {
			(void)rename(backup, file->path);
			ok = false;
		}
		if (!ok)
			(void)unlink(backup);
	}
	free(backup);
	return ok;
}

/* ---- back ---- */

static bool is_in_value(const struct import_parameter *p, size_t at)
{
	return p->value != NULL && at >= p->value_start && at < p->value_start + p->value_len;
}

/* The text without what we may change and without white space between values; *len bytes, to be wiped. */
static char *rest_of(const struct import_document *document, size_t *len)
{
	char *out = mem_calloc(1, document->len + 1);
	size_t at, i = 0;

	*len = 0;
	for (at = 0; at < document->len; at++) {
		const struct import_parameter *p;

		while (i < document->count && document->parameters[i].end <= at)
			i++;
		p = i < document->count && document->parameters[i].start <= at ? &document->parameters[i] : NULL;
		if (p != NULL && import_way_may_edit(p->name))
			continue;
		if (strchr(" \t\r\n", document->text[at]) == NULL || (p != NULL && is_in_value(p, at)))
			out[(*len)++] = document->text[at];
	}
	return out;
}

static bool is_same_rest(const struct import_document *a, const struct import_document *b)
{
	size_t a_len, b_len;
	char *a_rest = rest_of(a, &a_len), *b_rest = rest_of(b, &b_len);
	bool same = a_len == b_len && memcmp(a_rest, b_rest, a_len) == 0 && a->encoding == b->encoding;

	explicit_bzero(a_rest, a_len);
	explicit_bzero(b_rest, b_len);
	free(a_rest);
	free(b_rest);
	return same;
}

/* What the one has and the other has not, or has with another value where `values`. */
static void report_differences(const struct import_document *in, const struct import_document *other, bool values,
    const char *what, struct config_report *report)
{
	char shown[SHOWN_BYTES];
	size_t i;

	for (i = 0; i < in->count; i++) {
		const struct import_parameter *p = &in->parameters[i], *q = import_document_find(other, p->name);

		if (import_way_may_edit(p->name))
			continue;
		text_escape(p->written, strlen(p->written), shown, sizeof(shown));
		if (q == NULL)
			config_report_fault(report, values ? p->line : 0, "%s was %s since", shown, what);
		else if (values && strcmp(p->value == NULL ? "" : p->value, q->value == NULL ? "" : q->value) != 0)
			config_report_fault(report, p->line, "%s was changed since", shown);
	}
}

/* True when nothing but what we may change is different. */
static bool differs_by_us_alone(
    const struct import_file *file, const struct import_file *backup, struct config_report *report)
{
	struct config_report ignored;
	struct import_document now, before;
	bool alone = false;

	config_report_init(&ignored, backup->path);
	if (!import_document_read(&before, backup->bytes, backup->len, &ignored))
		config_report_fault(report, 0, "the backup is no config.xml that can be read");
	else if (import_document_read(&now, file->bytes, file->len, report)) {
		alone = is_same_rest(&now, &before);
		if (!alone) {
			report_differences(&now, &before, true, "added", report);
			report_differences(&before, &now, false, "taken out", report);
		}
		if (!alone && report->fault_count == 0)
			config_report_fault(report, 0, "comments or other text were changed since");
		import_document_clear(&now);
	}
	import_document_clear(&before);
	config_report_clear(&ignored);
	return alone;
}

bool import_revert(const char *path, bool force, struct config_report *report, struct error *err)
{
	struct import_file file, backup = {0};
	char *backup_path = NULL;
	bool ok = false;

	if (!import_file_read(&file, path, err))
		return false;
	backup_path = import_backup_path(&file);
	if (geteuid() != 0 && geteuid() != file.st.st_uid)
		error_set(err, "%s: belongs to another user; only that user and root can replace it", file.path);
	else if (!import_file_read(&backup, backup_path, err))
		error_prefix(err, "there is nothing to go back to");
	else if (!force && !differs_by_us_alone(&file, &backup, report))
		error_set(err, "%s: not only what `import` changed has changed since; --force puts %s back all the same",
		    file.path, backup_path);
	else
		ok = is_unchanged(&file, err);
	if (ok && rename(backup_path, file.path) != 0)
		ok = error_set_errno(err, errno, "%s: cannot be put back", backup_path);
	/* Two names of one file, where --apply was cut off in the middle: then rename() does nothing. */
	if (ok && unlink(backup_path) != 0 && errno != ENOENT)
		ok = error_set_errno(err, errno, "%s", backup_path);
	import_file_clear(&backup);
	import_file_clear(&file);
	free(backup_path);
	return ok;
}
