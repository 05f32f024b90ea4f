/*
 * Proves what `check` makes of finished walks: who sees the real server, whether rules hold, what changed, and how the
 * command ends.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/exit_status.h"
#include "base/mem.h"
#include "check/check_changes.h"
#include "check/check_compare.h"
#include "check/check_draft.h"
#include "check/check_report.h"
#include "check/check_rules.h"

#define TARGET "acme.service-now.com:443"
#define REAL "AA:AA:AA:AA:AA:AA:AA:AA:AA:AA"
#define FAKE "BB:BB:BB:BB:BB:BB:BB:BB:BB:BB"

static struct check_path *add_path(struct check_report *report, const char *name, enum diagnosis_code code)
{
	struct check_path *path = check_report_add_path(report);

	path->relay = mem_strdup("acme");
	path->target = mem_strdup(TARGET);
	path->name = mem_strdup(name);
	path->verdict = code == DIAGNOSIS_OK ? CHECK_CLEAN : CHECK_BROKEN;
	diagnosis_set(&path->diagnosis, code, "what was seen");
	return path;
}

static void show(struct check_path *path, const char *sha256, const char *issuer, enum tls_fault_kind chain)
{
	path->evidence = mem_calloc(1, sizeof(*path->evidence));
	snprintf(path->evidence->sha256, sizeof(path->evidence->sha256), "%s", sha256);
	snprintf(path->evidence->issuer, sizeof(path->evidence->issuer), "%s", issuer);
	path->evidence->chain.kind = chain;
}

/* ---- comparison ---- */

static void test_unverified_where_another_verifies_is_inspected(void **state)
{
	struct check_report *report = check_report_new();

	show(add_path(report, "http://a:1", DIAGNOSIS_TLS_UNTRUSTED), FAKE, "CN=Corp CA", TLS_FAULT_UNTRUSTED);
	show(add_path(report, "http://b:1", DIAGNOSIS_TLS_UNTRUSTED), FAKE, "CN=Corp CA", TLS_FAULT_UNTRUSTED);
	show(add_path(report, "direct", DIAGNOSIS_OK), REAL, "CN=DigiCert", TLS_FAULT_NONE);
	check_compare(report);
	assert_int_equal(report->paths[0].verdict, CHECK_INSPECTED);
	assert_int_equal(report->paths[1].verdict, CHECK_INSPECTED);
	assert_int_equal(report->paths[2].verdict, CHECK_CLEAN);
	assert_int_equal(check_report_exit_status(report), EXIT_STATUS_INSPECTED);
	assert_int_equal(report->finding_count, 2);
	assert_int_equal(report->findings[0].outcome, CHECK_FAILED);
	assert_string_equal(report->findings[0].text,
	    "http://a:1 and http://b:1 see the certificate BB:BB:BB:BB:BB:BB:BB:BB... issued by CN=Corp CA: it does not "
	    "verify, and another path's does: TLS is inspected on the way");
	assert_int_equal(report->findings[1].outcome, CHECK_PASSED);
	assert_string_equal(report->findings[1].text,
	    "direct sees the certificate AA:AA:AA:AA:AA:AA:AA:AA... issued by CN=DigiCert: the real server");
	check_report_free(report);
}

/* Two relays that go to one target through one proxy. */
static void test_a_path_of_two_relays_is_named_once(void **state)
{
	struct check_report *report = check_report_new();

	show(add_path(report, "http://a:1", DIAGNOSIS_TLS_UNTRUSTED), FAKE, "CN=Corp CA", TLS_FAULT_UNTRUSTED);
	show(add_path(report, "http://a:1", DIAGNOSIS_TLS_UNTRUSTED), FAKE, "CN=Corp CA", TLS_FAULT_UNTRUSTED);
	check_compare(report);
	assert_int_equal(report->finding_count, 1);
	assert_int_equal(strncmp(report->findings[0].text, "http://a:1 sees the certificate BB:", 35), 0);
	check_report_free(report);
}

/* One certificate, where no path shows a chain that verifies: a private CA may have been forgotten. */
static void test_unverified_everywhere_stays_untrusted(void **state)
{
	struct check_report *report = check_report_new();

	show(add_path(report, "http://a:1", DIAGNOSIS_TLS_UNTRUSTED), FAKE, "CN=Corp CA", TLS_FAULT_UNTRUSTED);
	show(add_path(report, "direct", DIAGNOSIS_TLS_UNTRUSTED), FAKE, "CN=Corp CA", TLS_FAULT_UNTRUSTED);
	check_compare(report);
	assert_int_equal(report->paths[0].verdict, CHECK_BROKEN);
	assert_int_equal(check_report_exit_status(report), EXIT_STATUS_FAILED);
	assert_int_equal(report->finding_count, 1);
	assert_non_null(strstr(report->findings[0].text, "http://a:1 and direct see "));
	assert_non_null(strstr(report->findings[0].text, "no path shows one that verifies"));
	check_report_free(report);
}

/* Its chain verifies, and the administrator's own condition says that it is somebody else. */
static void test_a_server_that_is_refused_is_not_the_real_one(void **state)
{
	const struct judge_evidence refused[] = {
	    {.pin = JUDGE_NOT_MATCHED}, {.expect_issuer = JUDGE_NOT_MATCHED}, {.staple = JUDGE_STAPLE_REFUSED}};
	size_t i;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		struct check_report *report = check_report_new();
		struct check_path *path = add_path(report, "http://a:1", DIAGNOSIS_TLS_ISSUER);

		show(path, FAKE, "CN=Corp CA", TLS_FAULT_NONE);
		path->evidence->pin = refused[i].pin;
		path->evidence->expect_issuer = refused[i].expect_issuer;
		path->evidence->staple = refused[i].staple;
		show(add_path(report, "http://b:1", DIAGNOSIS_TLS_UNTRUSTED), REAL, "CN=Other", TLS_FAULT_UNTRUSTED);
		check_compare(report);
		assert_int_equal(report->finding_count, 2);
		assert_int_equal(report->findings[0].outcome, CHECK_FAILED);
		assert_null(strstr(report->findings[0].text, "the real server"));
		assert_int_equal(report->paths[1].verdict, CHECK_BROKEN);
		check_report_free(report);
	}
}

/* The list of paths is bounded, so that what follows from it is there whole. */
static void test_many_paths_leave_room_for_the_verdict(void **state)
{
	static const char verdict[] = "TLS is inspected on the way", end[] = "set expect_issuer";
	struct check_report *report = check_report_new();
	char name[300], issuer[JUDGE_NAME_BYTES];
	const char *text;
	int i;

	memset(issuer, 'i', sizeof(issuer) - 1);
	issuer[sizeof(issuer) - 1] = '\0';
	for (i = 0; i < 20; i++) {
		snprintf(name, sizeof(name), "http://proxy-%d.corp.example:3128", i);
		show(add_path(report, name, DIAGNOSIS_TLS_UNTRUSTED), FAKE, issuer, TLS_FAULT_UNTRUSTED);
	}
	for (i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "http://%0253d:65535", i);
		show(add_path(report, name, DIAGNOSIS_OK), REAL, i == 0 ? issuer : "CN=other", TLS_FAULT_NONE);
	}
	check_compare(report);
	assert_int_equal(report->finding_count, 3);
	text = report->findings[0].text;
	assert_string_equal(text + strlen(text) - strlen(verdict), verdict);
	text = report->findings[2].text;
	assert_string_equal(text + strlen(text) - strlen(end), end);
	check_report_free(report);
}

/* Other targets' paths, resumed sessions and paths that never got to TLS tell nothing. */
static void test_only_what_was_seen_of_the_same_target_counts(void **state)
{
	struct check_report *report = check_report_new();
	struct check_path *path;

	show(add_path(report, "http://a:1", DIAGNOSIS_TLS_UNTRUSTED), FAKE, "CN=Corp CA", TLS_FAULT_UNTRUSTED);
	path = add_path(report, "direct", DIAGNOSIS_OK);
	free(path->target);
	path->target = mem_strdup("other.example:443");
	show(path, REAL, "CN=DigiCert", TLS_FAULT_NONE);
	add_path(report, "http://c:1", DIAGNOSIS_CONNECT_REFUSED);
	path = add_path(report, "http://d:1", DIAGNOSIS_OK);
	show(path, REAL, "CN=DigiCert", TLS_FAULT_NONE);
	path->evidence->resumed = true;
	check_compare(report);
	assert_int_equal(report->paths[0].verdict, CHECK_BROKEN);
	assert_int_equal(report->finding_count, 0);
	check_report_free(report);
}

static void test_two_issuers_that_verify_are_told(void **state)
{
	struct check_report *report = check_report_new();

	show(add_path(report, "http://a:1", DIAGNOSIS_OK), FAKE, "CN=Corp CA", TLS_FAULT_NONE);
	show(add_path(report, "direct", DIAGNOSIS_OK), REAL, "CN=DigiCert", TLS_FAULT_NONE);
	check_compare(report);
	assert_int_equal(report->finding_count, 3);
	assert_int_equal(report->findings[2].outcome, CHECK_WARNED);
	assert_non_null(strstr(report->findings[2].text, "http://a:1 and direct see certificates of different issuers"));
	check_report_free(report);
}

/* ---- rules ---- */

static struct check_rules *load(const char *text, struct config_report *report)
{
	char file[] = "/tmp/midrelay-rules-XXXXXX";
	int fd = mkstemp(file);
	struct check_rules *rules;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	config_report_init(report, file);
	rules = check_rules_load(file, report);
	unlink(file);
	return rules;
}

static struct check_rules *load_good(const char *text)
{
	struct config_report report;
	struct check_rules *rules = load(text, &report);

	assert_int_equal(report.fault_count, 0);
	assert_non_null(rules);
	config_report_clear(&report);
	return rules;
}

static void test_rules_are_read(void **state)
{
	struct check_rules *rules = load_good("; who may see what\n[one]\ntarget = ACME.service-now.com\npath = direct\n"
					      "expect = clean\n\n[two]\ntarget = [::1]:8443\npath = http://Proxy.Corp:3128/\n"
					      "expect = proxy-denied\n");

	assert_int_equal(check_rules_count(rules), 2);
	assert_string_equal(check_rules_at(rules, 0)->target_text, TARGET);
	assert_string_equal(check_rules_at(rules, 0)->path, "direct");
	assert_int_equal(check_rules_at(rules, 1)->line, 7);
	assert_string_equal(check_rules_at(rules, 1)->target_text, "[::1]:8443");
	assert_string_equal(check_rules_at(rules, 1)->path, "http://proxy.corp:3128");
	check_rules_free(rules);
}

static void assert_fault(const char *text, unsigned line, const char *sentence)
{
	struct config_report report;
	bool found = false;
	size_t i;

	assert_null(load(text, &report));
	for (i = 0; i < report.fault_count; i++)
		found |= report.faults[i].line == line && strstr(report.faults[i].text, sentence) != NULL;
	if (!found)
		fail_msg("no fault at line %u with \"%s\"", line, sentence);
	config_report_clear(&report);
}

static void test_bad_rules_are_refused(void **state)
{
	assert_fault("", 0, "holds no rule");
	assert_fault("[a]\ntarget = t\npath = direct\nexpect = cleen\n", 4, "did you mean clean?");
	assert_fault("[a]\ntarget = t\npath = direct\nexpect = proxy-denyed\n", 4, "did you mean proxy-denied?");
	assert_fault("[a]\ntarget = t\npath = direct\nexpect = ok\n", 4, "expect:");
	assert_fault("[a]\ntarget = t\nexpect = clean\n", 1, "[a] has no path");
	assert_fault("[a]\ntarget = t\ntarget = u\npath = direct\nexpect = clean\n", 3, "given before, at line 2");
	assert_fault("[a]\ntarget = t/x\npath = direct\nexpect = clean\n", 2, "target:");
	assert_fault("[a]\ntarget = t\npath = direct, http://p:1\nexpect = clean\n", 3, "one path a rule");
	assert_fault("[a]\ntarget = t\npath = http://u:p@h:1\nexpect = clean\n", 3, "credentials");
	assert_fault("[a]\ntarget = t\npaht = direct\npath = direct\nexpect = clean\n", 3, "did you mean path?");
	assert_fault("[a]\ntarget =\npath = direct\nexpect = clean\n", 2, "has no value");
	assert_fault("[a]\ntarget = t\npath = direct\nexpect = clean\n[b]\ntarget = t:443\npath = direct\n"
		     "expect = blocked\n", 5, "line 1 has a rule for t:443 over direct already");
}

static int status_with_rule(const char *expect, enum check_verdict verdict, enum diagnosis_code code)
{
	char *text = mem_printf("[a]\ntarget = acme.service-now.com\npath = direct\nexpect = %s\n", expect);
	struct check_rules *rules = load_good(text);
	struct check_report *report = check_report_new();
	struct check_path *path = add_path(report, "direct", code);
	int status;

	path->verdict = verdict;
	check_rules_apply(rules, report);
	assert_string_equal(report->paths[0].expected, expect);
	status = check_report_exit_status(report);
	check_report_free(report);
	check_rules_free(rules);
	free(text);
	return status;
}

static void test_rules_decide_the_exit_status(void **state)
{
	assert_int_equal(status_with_rule("clean", CHECK_CLEAN, DIAGNOSIS_OK), EXIT_STATUS_OK);
	assert_int_equal(status_with_rule("clean", CHECK_BROKEN, DIAGNOSIS_CONNECT_REFUSED), EXIT_STATUS_FAILED);
	assert_int_equal(status_with_rule("clean", CHECK_INSPECTED, DIAGNOSIS_TLS_INSPECTED), EXIT_STATUS_FAILED);
	assert_int_equal(status_with_rule("inspected", CHECK_INSPECTED, DIAGNOSIS_TLS_INSPECTED), EXIT_STATUS_OK);
	assert_int_equal(status_with_rule("inspected", CHECK_INSPECTED, DIAGNOSIS_OK), EXIT_STATUS_OK);
	assert_int_equal(status_with_rule("blocked", CHECK_BLOCKED, DIAGNOSIS_PROXY_DENIED), EXIT_STATUS_OK);
	assert_int_equal(status_with_rule("blocked", CHECK_CLEAN, DIAGNOSIS_OK), EXIT_STATUS_FAILED);
	assert_int_equal(status_with_rule("proxy-denied", CHECK_BLOCKED, DIAGNOSIS_PROXY_DENIED), EXIT_STATUS_OK);
	assert_int_equal(
	    status_with_rule("proxy-denied", CHECK_BLOCKED, DIAGNOSIS_PROXY_AUTH_REQUIRED), EXIT_STATUS_FAILED);
}

static void test_a_rule_that_speaks_of_no_path_fails(void **state)
{
	struct check_rules *rules = load_good("[a]\ntarget = t\npath = corp\nexpect = clean\n");
	struct check_report *report = check_report_new();

	add_path(report, "direct", DIAGNOSIS_OK);
	check_rules_apply(rules, report);
	assert_int_equal(report->unmatched_count, 1);
	assert_string_equal(report->unmatched[0], "line 1, [a]: t:443 over corp was not checked");
	assert_int_equal(check_report_exit_status(report), EXIT_STATUS_FAILED);
	check_report_free(report);
	check_rules_free(rules);
}

/* Between its two readings somebody has begun to write it anew. */
static void test_a_file_that_is_empty_now_can_be_added_to(void **state)
{
	char file[] = "/tmp/midrelay-draft-XXXXXX";
	const struct check_draft_options none = {0};
	struct config_report report;
	struct check_draft *draft;
	struct config *config;
	int fd = mkstemp(file);

	assert_true(fd >= 0);
	close(fd);
	draft = check_draft_new(file, &none);
	check_draft_add(draft, NULL, "t.example:443", "direct", 1);
	config_report_init(&report, file);
	config = check_draft_load(draft, &report);
	assert_non_null(config);
	config_free(config);
	config_report_clear(&report);
	check_draft_free(draft);
	unlink(file);
}

/* ---- exit status without rules ---- */

static void test_exit_status_without_rules(void **state)
{
	struct check_report *report = check_report_new();

	add_path(report, "direct", DIAGNOSIS_OK);
	assert_int_equal(check_report_exit_status(report), EXIT_STATUS_OK);
	check_report_add_item(report)->outcome = CHECK_WARNED;
	assert_int_equal(check_report_exit_status(report), EXIT_STATUS_OK);
	check_report_add_item(report)->outcome = CHECK_FAILED;
	assert_int_equal(check_report_exit_status(report), EXIT_STATUS_FAILED);
	add_path(report, "http://a:1", DIAGNOSIS_CLIENT_CERT_NOT_REQUESTED);
	assert_int_equal(check_report_exit_status(report), EXIT_STATUS_FAILED);
	add_path(report, "http://b:1", DIAGNOSIS_TLS_INSPECTED)->verdict = CHECK_INSPECTED;
	assert_int_equal(check_report_exit_status(report), EXIT_STATUS_INSPECTED);
	check_report_free(report);
}

/* ---- changes ---- */

static size_t changes(const struct check_report *before, const struct check_report *now, char *text, size_t text_bytes)
{
	FILE *to = fmemopen(text, text_bytes, "w");
	size_t count = check_changes_print(before, now, to);

	fclose(to);
	return count;
}

static void test_only_changes_are_told(void **state)
{
	struct check_report *before = check_report_new(), *now = check_report_new();
	struct check_path *path;
	char text[1024] = "";

	now->began_s = 1795250000;
	show(add_path(before, "direct", DIAGNOSIS_OK), REAL, "CN=DigiCert", TLS_FAULT_NONE);
	show(add_path(now, "direct", DIAGNOSIS_OK), REAL, "CN=DigiCert", TLS_FAULT_NONE);
	add_path(before, "http://a:1", DIAGNOSIS_OK);
	path = add_path(now, "http://a:1", DIAGNOSIS_OK);
	path->steps[CHECK_TLS].us = 12345;
	assert_int_equal(changes(before, now, text, sizeof(text)), 0);
	path->verdict = CHECK_BLOCKED;
	diagnosis_set(&path->diagnosis, DIAGNOSIS_PROXY_DENIED, "403 URLBlocked");
	assert_int_equal(changes(before, now, text, sizeof(text)), 1);
	assert_string_equal(text, "2026-11-21T08:33:20Z acme.service-now.com:443 over http://a:1: clean -> blocked "
				  "(proxy-denied): 403 URLBlocked\n");
	snprintf(now->paths[0].evidence->sha256, sizeof(now->paths[0].evidence->sha256), "%s", FAKE);
	assert_int_equal(changes(before, now, text, sizeof(text)), 2);
	assert_non_null(strstr(text, "over direct: another certificate is shown: " FAKE ", issued by CN=DigiCert"));
	check_report_free(before);
	check_report_free(now);
}

static void add_item(struct check_report *report, enum check_outcome outcome)
{
	struct check_item *item = check_report_add_item(report);

	item->relay = mem_strdup("acme");
	item->what = "client_bundle";
	snprintf(item->subject, sizeof(item->subject), "/etc/bundle.pem");
	snprintf(item->seen, sizeof(item->seen), "seen");
	item->outcome = outcome;
}

/* A bundle has an item for its leaf and one for each certificate that ends soon. */
static void test_items_of_one_file_change_one_by_one(void **state)
{
	struct check_report *before = check_report_new(), *now = check_report_new();
	char text[1024] = "";

	add_item(before, CHECK_PASSED);
	add_item(before, CHECK_WARNED);
	add_item(now, CHECK_PASSED);
	add_item(now, CHECK_WARNED);
	assert_int_equal(changes(before, now, text, sizeof(text)), 0);
	add_item(now, CHECK_WARNED);
	assert_int_equal(changes(before, now, text, sizeof(text)), 1);
	assert_non_null(strstr(text, " client_bundle /etc/bundle.pem: warned: seen\n"));
	now->items[0].outcome = CHECK_FAILED;
	assert_int_equal(changes(before, now, text, sizeof(text)), 2);
	check_report_free(before);
	check_report_free(now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_unverified_where_another_verifies_is_inspected),
	    cmocka_unit_test(test_a_path_of_two_relays_is_named_once),
	    cmocka_unit_test(test_unverified_everywhere_stays_untrusted),
	    cmocka_unit_test(test_a_server_that_is_refused_is_not_the_real_one),
	    cmocka_unit_test(test_many_paths_leave_room_for_the_verdict),
	    cmocka_unit_test(test_only_what_was_seen_of_the_same_target_counts),
	    cmocka_unit_test(test_two_issuers_that_verify_are_told),
	    cmocka_unit_test(test_rules_are_read),
	    cmocka_unit_test(test_bad_rules_are_refused),
	    cmocka_unit_test(test_rules_decide_the_exit_status),
	    cmocka_unit_test(test_a_rule_that_speaks_of_no_path_fails),
	    cmocka_unit_test(test_a_file_that_is_empty_now_can_be_added_to),
	    cmocka_unit_test(test_exit_status_without_rules),
	    cmocka_unit_test(test_only_changes_are_told),
	    cmocka_unit_test(test_items_of_one_file_change_one_by_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
