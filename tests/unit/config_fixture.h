/* config_fixture: loads a configuration from text, for the tests of config/. */
#ifndef MIDRELAY_TESTS_UNIT_CONFIG_FIXTURE_H
#define MIDRELAY_TESTS_UNIT_CONFIG_FIXTURE_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "config/config.h"

/* Through a temporary file with this mode; the report is initialised here and cleared by the caller. */
static inline struct config *fixture_load(const char *ini, mode_t mode, struct config_report *report)
{
	char path[] = "/tmp/midrelay-test-XXXXXX";
	int fd = mkstemp(path);
	struct config *config;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, ini, strlen(ini)), (ssize_t)strlen(ini));
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
	config_report_init(report, "test.ini");
	config = config_load(path, report);
	unlink(path);
	if (config != NULL && config->faulty) {
		config_free(config);
		return NULL;
	}
	return config;
}

/* The whole report as "LINE:text|" lines, notes with a '~' in front.  The caller frees it. */
static inline char *fixture_report_text(const struct config_report *report)
{
	char *text = NULL;
	size_t len, i;
	FILE *to = open_memstream(&text, &len);

	assert_non_null(to);
	for (i = 0; i < report->fault_count; i++)
		fprintf(to, "%u:%s|", report->faults[i].line, report->faults[i].text);
	for (i = 0; i < report->note_count; i++)
		fprintf(to, "~%u:%s|", report->notes[i].line, report->notes[i].text);
	fclose(to);
	return text;
}

/* Must load without a fault; notes are not looked at. */
static inline struct config *fixture_load_good(const char *ini)
{
	struct config_report report;
	struct config *config = fixture_load(ini, 0600, &report);

	if (config == NULL) {
		fail_msg("%s", fixture_report_text(&report));
		abort(); /* for the compiler: fail_msg() does not return */
	}
	config_report_clear(&report);
	return config;
}

#endif
