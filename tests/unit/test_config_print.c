/* Proves that the printed configuration loads again into the same text, as INI and JSON, and shows no secret.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "config/config_print.h"
#include "config/config_table.h"
#include "config_fixture.h"

/* Every option that can be given beside the others is. */
static const char full[] =
    "[midrelay]\nworkers = 3\nlog_level = debug\nlog_format = json\nuser = root\ngroup = "
    "1001\nmax_connections = 7\n"
    "drain_timeout = 1500ms\nwatch = 250ms\nexpiry_warning = 14d\nstatus = [::1]:9180\n"
    "[relay a]\nlisten = 127.0.0.1:1, [::1]:2, unix:/run/a b.sock, 10.0.0.1:0, tls://127.0.0.1:2\nlisten_mode = 0660\n"
    "listen_cert = /l.pem\nlisten_key = /l.key\nlisten_client_ca = /lca\n"
    "allow_nonlocal = yes\nallow_address = 10.0.0.0/8, 192.0.2.7, fd00::/8\nallow_user = root, 1001\nmode = http\ntarget = "
    "[2001:db8::1]:8443\n"
    "target_address = 192.0.2.1\nproxy = https://p.example:3128, corp, direct\nproxy_user = u\n"
    "proxy_password = hunter2\nproxy_header = X-A: b, c ; d\nproxy_header = X-Empty:\n"
    "proxy_trust = /pca\nproxy_client_bundle = p.pem\nsource_address = 192.0.2.2\n"
    "client_cert = c.pem\nclient_key = k.pem\nclient_chain = i.pem\nclient_passphrase = hunter2\ntrust = "
    "/ca\n"
    "inspection = ignore\nexpect_issuer = a, b\nexpect_issuer = c\nrevocation = crl, staple\ncrl_file = /crl\n"
    "pin = sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n"
    "require_client_cert_request = no\ntls_min = 1.3\ntls_max = 1.3\ntls_ciphers = HIGH\n"
    "tls_ciphersuites = TLS_AES_128_GCM_SHA256\ntls_groups = P-256\nconnect_timeout = 1s\nproxy_timeout = "
    "2s\n"
    "tls_timeout = 3s\nsetup_timeout = 4s\nidle_timeout = 0\nhalf_close_timeout = 90s\nkeepalive = "
    "0\nexplain = off\nconnect_allow = A.example, b.example:8443\n"
    "[relay b]\nlisten = 127.0.0.1:3\ntarget = t.example\nproxy = corp\nclient_bundle = b.pem\n"
    "[proxy corp]\nurl = https://q.example:80\ntrust = /qca\nclient_bundle = q.pem\n"
    "user = gr\xc3\xbc\xc3\x9f\npassword = file:/x\nheader = X-C: d\n";

static char *print_ini(const struct config *config)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	assert_non_null(to);
	config_print_ini(config, to);
	fclose(to);
	return text;
}

static json_t *print_json(const struct config *config)
{
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);
	struct error err;
	json_t *root;

	assert_non_null(to);
	assert_true(config_print_json(config, to, &err));
	fclose(to);
	assert_null(strstr(text, "hunter2"));
	assert_int_equal(text[len - 1], '\n');
	root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(root);
	free(text);
	return root;
}

static void assert_round_trip(const char *ini)
{
	struct config *config = fixture_load_good(ini);
	char *first = print_ini(config), *second;

	assert_null(strstr(first, "hunter2"));
	config_free(config);
	config = fixture_load_good(first);
	second = print_ini(config);
	assert_string_equal(first, second);
	config_free(config);
	free(first);
	free(second);
}

static void test_round_trip(void **state)
{
	(void)state;
	assert_round_trip(full);
	assert_round_trip("[relay a]\nlisten = 127.0.0.1:1\ntarget = t.example\n");
}

/* Not for the first line. */
static void assert_has_line(const char *text, const char *line)
{
	char whole[256];

	snprintf(whole, sizeof(whole), "\n%s\n", line);
	if (strstr(text, whole) == NULL)
		fail_msg("no line \"%s\" in:\n%s", line, text);
}

static void test_values(void **state)
{
	static const char *const lines[] = {"workers = 3", "user = root", "drain_timeout = 1500ms", "watch = 250ms", "expiry_warning = 14d",
	    "status = [::1]:9180",
	    "[relay a]", "listen = 127.0.0.1:1, [::1]:2, unix:/run/a b.sock, 10.0.0.1:0, tls://127.0.0.1:2",
	    "listen_cert = /l.pem", "listen_key = /l.key", "listen_client_ca = /lca",
	    "listen_mode = 0660", "allow_address = 10.0.0.0/8, 192.0.2.7/32, fd00::/8",
	    "target = [2001:db8::1]:8443", "proxy = https://p.example:3128, corp, direct", "proxy_user = u",
	    "proxy_trust = /pca", "proxy_client_bundle = p.pem",
	    "proxy_password = (literal)", "proxy_header = X-A: (literal)", "proxy_header = X-Empty: (literal)", "client_passphrase = (literal)",
	    "trust = /ca", "inspection = ignore", "expect_issuer = a, b", "revocation = staple, crl",
	    "crl_file = /crl", "pin = sha256//AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "require_client_cert_request = no", "idle_timeout = 0", "half_close_timeout = 90s",
	    "explain = off", "mode = http", "connect_allow = a.example:443, b.example:8443", "client_bundle = b.pem", "require_client_cert_request = yes", "trust = system",
	    "[proxy corp]", "url = https://q.example:80", "trust = /qca", "client_bundle = q.pem", "user = gr\xc3\xbc\xc3\x9f", "password = file:/x",
	    "header = X-C: (literal)"};
	struct config *config = fixture_load_good(full);
	char *text = print_ini(config);
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		assert_has_line(text, lines[i]);
	free(text);
	config_free(config);
}

/* Each option of the table appears, whichever the section. */
static void test_every_option_is_printed(void **state)
{
	struct config *config = fixture_load_good(full);
	json_t *root = print_json(config);
	json_t *sections[] = {json_object_get(root, "midrelay"),
	    json_array_get(json_object_get(root, "relays"), 0),
	    json_array_get(json_object_get(root, "proxies"), 0)};
	char *text = print_ini(config);
	size_t i;

	(void)state;
	for (i = 0; i < config_option_count; i++) {
		char start[64];

		if (json_object_get(sections[config_options[i].section], config_options[i].key) == NULL)
			fail_msg("%s is not in the JSON", config_options[i].key);
		snprintf(start, sizeof(start), "\n%s = ", config_options[i].key);
		if (strstr(text, start) == NULL)
			fail_msg("%s is not in the INI text", config_options[i].key);
	}
	free(text);
	json_decref(root);
	config_free(config);
}

static void test_json_types(void **state)
{
	struct config *config = fixture_load_good(full);
	json_t *root = print_json(config), *process = json_object_get(root, "midrelay");
	json_t *relays = json_object_get(root, "relays"), *a = json_array_get(relays, 0),
	       *b = json_array_get(relays, 1);

	(void)state;
	assert_int_equal(json_integer_value(json_object_get(process, "workers")), 3);
	assert_string_equal(json_string_value(json_object_get(process, "drain_timeout")), "1500ms");
	assert_int_equal(json_array_size(relays), 2);
	assert_string_equal(json_string_value(json_object_get(a, "name")), "a");
	assert_true(json_is_true(json_object_get(a, "allow_nonlocal")));
	assert_int_equal(json_array_size(json_object_get(a, "listen")), 5);
	assert_int_equal(json_array_size(json_object_get(a, "proxy_header")), 2);
	assert_string_equal(json_string_value(json_object_get(a, "proxy_password")), "(literal)");
	assert_true(json_is_null(json_object_get(a, "client_bundle")));
	assert_true(json_is_null(json_object_get(b, "proxy_user")));
	assert_string_equal(json_string_value(json_object_get(a, "proxy_trust")), "/pca");
	assert_true(json_is_null(json_object_get(b, "proxy_trust"))); /* it lists no https:// URL */
	assert_int_equal(json_array_size(json_object_get(b, "proxy_header")), 0);
	assert_int_equal(json_array_size(json_object_get(root, "proxies")), 1);
	json_decref(root);
	config_free(config);
}

static void test_report(void **state)
{
	struct config_report report;
	char *text = NULL;
	size_t len;
	FILE *to = open_memstream(&text, &len);

	(void)state;
	assert_non_null(to);
	config_report_init(&report, "dir/a.ini");
	config_report_fault(&report, 9, "last");
	config_report_note(&report, 9, "after it");
	config_report_fault(&report, 2, "first on 2");
	config_report_note(&report, 1, "early");
	config_report_fault(&report, 0, "the whole");
	config_report_fault(&report, 2, "second on 2");
	config_report_sort(&report);
	config_print_report(&report, to);
	fclose(to);
	assert_string_equal(text,
	    "dir/a.ini: the whole\ndir/a.ini:1: warning: early\ndir/a.ini:2: first on 2\n"
	    "dir/a.ini:2: second on 2\ndir/a.ini:9: last\ndir/a.ini:9: warning: after it\n");
	free(text);
	config_report_clear(&report);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_round_trip),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_every_option_is_printed),
	    cmocka_unit_test(test_json_types),
	    cmocka_unit_test(test_report),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
