/* Proves that every line is read as it is documented, whatever inih would have made of it, and refused with
 * its number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "config/config_read.h"

/* Everything that was read, as "LINE[section]" and "LINE key=value|", then the faults as "!LINE:text|". */
static char *read_all(const char *bytes, size_t len)
{
	struct config_text text = {0};
	struct config_report report;
	char *shown = NULL;
	size_t shown_len, i, j;
	FILE *to = open_memstream(&shown, &shown_len);

	assert_non_null(to);
	config_report_init(&report, "test.ini");
	config_read_bytes(bytes, len, &text, &report);
	for (i = 0; i < text.section_count; i++) {
		const struct config_section *section = &text.sections[i];

		fprintf(to, "%u[%s]%s", section->line, section->text, section->faulty ? "?" : "");
		for (j = 0; j < section->entry_count; j++)
			fprintf(to, "%u %s=%s|", section->entries[j].line, section->entries[j].key,
			    section->entries[j].value);
	}
	for (i = 0; i < report.fault_count; i++)
		fprintf(to, "!%u:%s|", report.faults[i].line, report.faults[i].text);
	fclose(to);
	config_text_clear(&text);
	config_report_clear(&report);
	return shown;
}

static void assert_reads(const char *ini, const char *expected)
{
	char *shown = read_all(ini, strlen(ini));

	assert_string_equal(shown, expected);
	free(shown);
}

static void test_plain(void **state)
{
	(void)state;
	assert_reads("", "");
	assert_reads("\n\n; c\n# d\n", "");
	assert_reads(
	    "[midrelay]\nworkers = 2\n\n[relay a]\nlisten=x", "1[midrelay]2 workers=2|4[relay a]5 listen=x|");
	assert_reads("  [ relay   a ]  \n\t key\t = \t v w \t\n", "1[relay   a]2 key=v w|");
	assert_reads("[a]\n[b]\n", "1[a]2[b]");
}

static void test_line_ends_and_mark(void **state)
{
	(void)state;
	assert_reads("\xef\xbb\xbf[a]\r\nk = v\r\n\r\n; c\r\n", "1[a]2 k=v|");
	assert_reads("\xef\xbb\xbf; c\n[a]\nk=v\r", "2[a]3 k=v|");
	assert_reads("[a]\n\xef\xbb\xbfk=v\n",
	    "1[a]!2:what stands before the '=' is not a key: a key is made of letters, digits and '_'|");
}

/* inih cuts " ;", takes ':' for '=', continues indented lines and strips what it takes for comments. */
static void test_values_are_literal(void **state)
{
	(void)state;
	assert_reads("[a]\nk = x ; y # z\n", "1[a]2 k=x ; y # z|");
	assert_reads("[a]\nk = ;x\n", "1[a]2 k=;x|");
	assert_reads("[a]\nk = a=b:c=\n", "1[a]2 k=a=b:c=|");
	assert_reads("[a]\nk = \"x\"\n", "1[a]2 k=\"x\"|");
	assert_reads("[a]\nk = a\\\nl = b\n", "1[a]2 k=a\\|3 l=b|");
	assert_reads("[a]\nk = 1\n   l = 2\n\tm = 3\n", "1[a]2 k=1|3 l=2|4 m=3|");
	assert_reads("[a]\nk = 1\nk = 2\n", "1[a]2 k=1|3 k=2|");
	assert_reads("[a]\nk =\n", "1[a]2 k=|");
	assert_reads("[a]\nk = gr\xc3\xbc\xc3\x9f\n", "1[a]2 k=gr\xc3\xbc\xc3\x9f|");
	assert_reads("[a]\nk = a\tb\n", "1[a]2 k=a\tb|");
}

static void test_indented_comments(void **state)
{
	(void)state;
	assert_reads("[a]\nk = 1\n   ; l = 2\n\t# m = 3\n", "1[a]2 k=1|");
	assert_reads("; latin \xfc\n[a]\n", "2[a]");
}

/* inih splits lines over 199 bytes and truncates names at 50, silently. */
static void test_long_lines(void **state)
{
	char *ini = malloc(CONFIG_LINE_MAX_BYTES + 64);
	char *shown, *value;
	size_t len;

	(void)state;
	assert_non_null(ini);
	memcpy(ini, "[a]\nkey = ", sizeof("[a]\nkey = "));
	len = strlen(ini);
	memset(ini + len, 'v', CONFIG_LINE_MAX_BYTES - 6);
	shown = read_all(ini, len + CONFIG_LINE_MAX_BYTES - 6);
	value = strchr(shown, '=');
	assert_non_null(value);
	assert_int_equal(strspn(value + 1, "v"), CONFIG_LINE_MAX_BYTES - 6);
	assert_null(strchr(shown, '!'));
	free(shown);
	ini[len + CONFIG_LINE_MAX_BYTES - 6] = 'v';
	memcpy(ini + len + CONFIG_LINE_MAX_BYTES - 5, "\nl=1", sizeof("\nl=1"));
	shown = read_all(ini, len + CONFIG_LINE_MAX_BYTES - 1);
	assert_string_equal(shown, "1[a]3 l=1|!2:the line is longer than 64 kB|");
	free(shown);
	free(ini);
}

static void test_long_names(void **state)
{
	char name[CONFIG_NAME_MAX_BYTES + 2], ini[256], expected[256];

	(void)state;
	memset(name, 'n', sizeof(name));
	name[CONFIG_NAME_MAX_BYTES] = '\0';
	snprintf(ini, sizeof(ini), "[%s]\n%s = 1\n", name, name);
	snprintf(expected, sizeof(expected), "1[%s]2 %s=1|", name, name);
	assert_reads(ini, expected);
	name[CONFIG_NAME_MAX_BYTES] = 'n';
	name[CONFIG_NAME_MAX_BYTES + 1] = '\0';
	snprintf(ini, sizeof(ini), "[a]\n%s = 1\n", name);
	assert_reads(ini, "1[a]!2:the key is longer than 64 bytes|");
	snprintf(ini, sizeof(ini), "[%s]\nk = 1\n", name);
	snprintf(
	    expected, sizeof(expected), "1[%s]?2 k=1|!1:the section's name is longer than 64 bytes|", name);
	assert_reads(ini, expected);
}

/* The rest of the file is still read: all faults come in one go. */
static void test_bad_lines(void **state)
{
	(void)state;
	assert_reads("[a]\nlisten: 1\nk = v\n",
	    "1[a]3 k=v|!2:this is neither [SECTION] nor KEY = VALUE nor a comment|");
	assert_reads("[a]\nlisten: a=1\n",
	    "1[a]!2:what stands before the '=' is not a key: a key is made of letters, digits and '_'|");
	assert_reads("[a]\n= v\nhunter2\n", "1[a]!2:there is no key before the '='|!3:this is neither "
					    "[SECTION] nor KEY = VALUE nor a comment|");
	assert_reads("k = v\n[a]\n",
	    "2[a]!1:k stands before the first section; write [midrelay] or [relay NAME] above it|");
	assert_reads("[a\nk = v\n", "1[a]?2 k=v|!1:the ']' of the section is missing|");
	assert_reads("[a] ; c\nk = v\n",
	    "1[a]?2 k=v|!1:nothing may follow the ']' of a section; a comment must stand on "
	    "a line of its own|");
	assert_reads("[a;b]\n", "1[a;b]?!1:a section's name is made of letters, digits, '-', '_' and '.'|");
	assert_reads("[a]\nk = \xfc\n", "1[a]!2:k: the value is not UTF-8|");
	assert_reads("[a]\nk = \xc0\xaf\nl = \xed\xa0\x80\nm = \xf4\x90\x80\x80\nn = \xe2\x82\n",
	    "1[a]!2:k: the value is not UTF-8|!3:l: the value is not UTF-8|!4:m: the value is not UTF-8|"
	    "!5:n: the value is not UTF-8|");
}

static void test_control_bytes(void **state)
{
	char *shown = read_all("[a]\nk = a\0b\n; \0\nl = 1\n", 22);

	(void)state;
	assert_string_equal(shown, "1[a]4 l=1|!2:the line has a control byte (\\x00) in it|"
				   "!3:the line has a control byte (\\x00) in it|");
	free(shown);
	assert_reads("[a]\nk = a\rb\n", "1[a]!2:the line has a control byte (\\x0d) in it|");
	assert_reads("[a]\nk = \x7f\n", "1[a]!2:the line has a control byte (\\x7f) in it|");
	assert_reads("\x1b[a]\n", "!1:the line has a control byte (\\x1b) in it|");
}

static void test_utf16(void **state)
{
	char *shown = read_all("\xff\xfe[\0a\0]\0", 8);

	(void)state;
	assert_string_equal(shown, "!1:the file is UTF-16; save it as UTF-8|");
	free(shown);
}

static void assert_file_refused(const char *path, const char *why)
{
	struct config_text text;
	struct config_report report;

	config_report_init(&report, path);
	assert_false(config_read_file(path, &text, &report));
	assert_int_equal(report.fault_count, 1);
	assert_int_equal(report.faults[0].line, 0);
	assert_non_null(strstr(report.faults[0].text, why));
	assert_int_equal(text.section_count, 0);
	config_report_clear(&report);
}

static void test_files(void **state)
{
	char directory[] = "/tmp/midrelay-test-XXXXXX", path[64];
	struct config_text text;
	struct config_report report;
	FILE *file;

	(void)state;
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/a.ini", directory);
	assert_file_refused(path, "No such file");
	assert_file_refused(directory, "not a regular file");
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_file_refused(path, "not a regular file");
	unlink(path);

	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(fputs("[a]\nk = v\n", file) >= 0, 1);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(path, 0604), 0);
	config_report_init(&report, path);
	assert_true(config_read_file(path, &text, &report));
	assert_int_equal(text.mode & 0777, 0604);
	assert_int_equal(text.section_count, 1);
	assert_string_equal(text.sections[0].entries[0].value, "v");
	config_text_clear(&text);

	assert_int_equal(truncate(path, CONFIG_FILE_MAX_BYTES), 0);
	assert_true(config_read_file(path, &text, &report));
	config_text_clear(&text);
	config_report_clear(&report);
	assert_int_equal(truncate(path, CONFIG_FILE_MAX_BYTES + 1), 0);
	assert_file_refused(path, "larger than 1 MiB");
	unlink(path);
	rmdir(directory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_line_ends_and_mark),
	    cmocka_unit_test(test_values_are_literal),
	    cmocka_unit_test(test_indented_comments),
	    cmocka_unit_test(test_long_lines),
	    cmocka_unit_test(test_long_names),
	    cmocka_unit_test(test_bad_lines),
	    cmocka_unit_test(test_control_bytes),
	    cmocka_unit_test(test_utf16),
	    cmocka_unit_test(test_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
