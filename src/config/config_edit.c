/* config_edit: see config_edit.h. */
#include "config/config_edit.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/mem.h"
#include "base/replace.h"
#include "config/config_read.h"

static const char *change_for(unsigned line, const struct config_change *changes, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (changes[i].line == line)
			return changes[i].value;
	}
	return NULL;
}

/* How much of KEY = VALUE stands before the value. */
static size_t before_value(const char *line, size_t len)
{
	const char *equals = memchr(line, '=', len);
	size_t at = equals == NULL ? len : (size_t)(equals - line) + 1;

	while (at < len && (line[at] == ' ' || line[at] == '\t'))
		at++;
	return at;
}

char *config_edit_bytes(const char *bytes, size_t len, const struct config_change *changes, size_t count, size_t *out_len)
{
	size_t size = len + 1, at = 0, i;
	unsigned line = 1;
	char *out, *to;

	for (i = 0; i < count; i++)
		size += strlen(changes[i].value);
	out = to = mem_calloc(1, size);
	while (at < len) {
		const char *end = memchr(bytes + at, '\n', len - at);
		size_t line_len = end == NULL ? len - at : (size_t)(end - bytes) - at + 1;
		const char *value = change_for(line++, changes, count);

		if (value == NULL) {
			to = (char *)mempcpy(to, bytes + at, line_len);
		} else {
			size_t kept = line_len;

			to = (char *)mempcpy(to, bytes + at, before_value(bytes + at, line_len));
			to = stpcpy(to, value);
			while (kept > 0 && (bytes[at + kept - 1] == '\n' || bytes[at + kept - 1] == '\r'))
				kept--;
			to = (char *)mempcpy(to, bytes + at + kept, line_len - kept);
		}
		at += line_len;
	}
	*out_len = (size_t)(to - out);
	return out;
}

bool config_edit_file(const char *file, const struct config_change *changes, size_t count, struct error *err)
{
	FILE *from = fopen(file, "re");
	char *bytes, *out = NULL;
	struct stat st;
	size_t len, out_len = 0;
	bool ok;

	if (from == NULL)
		return error_set_errno(err, errno, "%s", file);
	bytes = mem_calloc(1, CONFIG_FILE_MAX_BYTES + 1);
	len = fread(bytes, 1, CONFIG_FILE_MAX_BYTES + 1, from);
	ok = !ferror(from) && len <= CONFIG_FILE_MAX_BYTES && fstat(fileno(from), &st) == 0;
	fclose(from);
	if (!ok) {
		error_set(err, "%s cannot be read whole", file);
	} else {
		out = config_edit_bytes(bytes, len, changes, count, &out_len);
		ok = replace_file(file, out, out_len, st.st_mode & 07777, err);
	}
	explicit_bzero(bytes, CONFIG_FILE_MAX_BYTES + 1);
	if (out != NULL)
		explicit_bzero(out, out_len);
	free(bytes);
	free(out);
	return ok;
}
