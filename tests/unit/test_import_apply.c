/* Proves that a config.xml that somebody else changes after it was read is neither replaced nor given a backup. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/replace.h"
#include "import/import_apply.h"

#define BEFORE "<parameters/>"
#define CHANGED "<parameters> </parameters>"
#define OURS "<parameters>\n</parameters>"

struct room {
	char directory[32];
	char *path, *backup;
	struct import_file file;
};

static void write_text(const char *path, const char *text, bool in_place)
{
	struct error err;
	FILE *to;

	if (!in_place) {
		assert_true(replace_file(path, text, strlen(text), 0600, &err));
		return;
	}
	to = fopen(path, "r+e");
	assert_non_null(to);
	fputs(text, to);
	fclose(to);
}

static void assert_text(const char *path, const char *text)
{
	struct import_file now;
	struct error err;

	assert_true(import_file_read(&now, path, &err));
	assert_int_equal(now.len, strlen(text));
	assert_memory_equal(now.bytes, text, now.len);
	import_file_clear(&now);
}

static void open_room(struct room *room)
{
	struct error err;

	memset(room, 0, sizeof(*room));
	snprintf(room->directory, sizeof(room->directory), "/tmp/midrelay-XXXXXX");
	assert_non_null(mkdtemp(room->directory));
	room->path = mem_printf("%s/config.xml", room->directory);
	assert_true(replace_create_file(room->path, BEFORE, strlen(BEFORE), 0600, &err));
	assert_true(import_file_read(&room->file, room->path, &err));
	room->backup = import_backup_path(&room->file);
}

static void close_room(struct room *room)
{
	(void)unlink(room->backup);
	(void)unlink(room->path);
	assert_int_equal(rmdir(room->directory), 0);
	import_file_clear(&room->file);
	free(room->backup);
	free(room->path);
}

static void check_changed_meanwhile(bool in_place)
{
	struct room room;
	struct error err;

	open_room(&room);
	write_text(room.path, CHANGED, in_place);
	assert_false(import_apply(&room.file, OURS, strlen(OURS), &err));
	assert_non_null(strstr(err.text, "changed by somebody else"));
	assert_text(room.path, CHANGED);
	assert_int_equal(access(room.backup, F_OK), -1);
	close_room(&room);
}

static void test_changed_in_place(void **state)
{
	check_changed_meanwhile(true);
}

static void test_replaced(void **state)
{
	check_changed_meanwhile(false);
}

static void test_there_and_back(void **state)
{
	struct config_report report;
	struct room room;
	struct error err;

	open_room(&room);
	assert_true(import_apply(&room.file, OURS, strlen(OURS), &err));
	assert_text(room.path, OURS);
	assert_text(room.backup, BEFORE);
	config_report_init(&report, room.path);
	assert_false(import_revert(room.path, false, &report, &err)); /* <a/> and <a></a> are not the same text */
	assert_int_equal(report.fault_count, 1);
	assert_true(import_revert(room.path, true, &report, &err));
	config_report_clear(&report);
	assert_text(room.path, BEFORE);
	assert_int_equal(access(room.backup, F_OK), -1);
	close_room(&room);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_changed_in_place),
	    cmocka_unit_test(test_replaced),
	    cmocka_unit_test(test_there_and_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
