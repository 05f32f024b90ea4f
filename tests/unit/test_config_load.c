/*
 * Proves that each option reaches its field, that each path gets its own credentials and no others, and that
 * all faults are reported in one go, in the order of their lines.  (The faults one by one: tests/config.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "config/config_table.h"
#include "config_fixture.h"

#define MINIMAL "[relay a]\nlisten = 127.0.0.1:0\ntarget = t.example\n"

static void test_defaults(void **state)
{
	struct config *config = fixture_load_good(MINIMAL);
	const struct config_process *process = &config->process;
	const struct config_relay *relay = &config->relays[0];

	(void)state;
	assert_int_equal(process->workers, 1);
	assert_int_equal(process->log_level, LOG_INFO);
	assert_int_equal(process->log_format, LOG_TEXT);
	assert_null(process->user);
	assert_null(process->group);
	assert_int_equal(process->max_connections, 4096);
	assert_int_equal(process->drain_timeout_ms, 20000);
	assert_int_equal(process->watch_ms, 10000);
	assert_int_equal(process->expiry_warning_ms, INT64_C(30) * 86400 * 1000);
	assert_int_equal(config->relay_count, 1);
	assert_string_equal(relay->name, "a");
	assert_int_equal(relay->listen_mode, 0600);
	assert_false(relay->allow_nonlocal);
	assert_int_equal(relay->allow_address_count, 0);
	assert_int_equal(relay->mode, CONFIG_MODE_TCP);
	assert_string_equal(relay->target.host, "t.example");
	assert_int_equal(relay->target.port, 443);
	assert_null(relay->target_address);
	assert_int_equal(relay->path_count, 1);
	assert_true(relay->paths[0].direct);
	assert_string_equal(relay->paths[0].name, "direct");
	assert_null(relay->trust);
	assert_false(relay->require_client_cert_request);
	assert_int_equal(relay->tls_min, CONFIG_TLS_1_2);
	assert_int_equal(relay->tls_max, CONFIG_TLS_1_3);
	assert_string_equal(relay->tls_ciphers, "DEFAULT:!kRSA");
	assert_null(relay->tls_ciphersuites);
	assert_null(relay->tls_groups);
	assert_int_equal(relay->connect_timeout_ms, 5000);
	assert_int_equal(relay->proxy_timeout_ms, 5000);
	assert_int_equal(relay->tls_timeout_ms, 5000);
	assert_int_equal(relay->setup_timeout_ms, 9000);
	assert_int_equal(relay->idle_timeout_ms, 3600000);
	assert_int_equal(relay->half_close_timeout_ms, 300000);
	assert_int_equal(relay->keepalive_ms, 60000);
	assert_int_equal(relay->explain, CONFIG_EXPLAIN_AUTO);
	config_free(config);
}

static void test_process_options(void **state)
{
	struct config *config =
	    fixture_load_good("[midrelay]\nworkers = 3\nlog_level = debug\nlog_format = json\n"
			      "user = root\ngroup = 1001\nmax_connections = 7\ndrain_timeout = 2m\n" MINIMAL);

	(void)state;
	assert_int_equal(config->process.workers, 3);
	assert_int_equal(config->process.log_level, LOG_DEBUG);
	assert_int_equal(config->process.log_format, LOG_JSON);
	assert_string_equal(config->process.user, "root");
	assert_string_equal(config->process.group, "1001");
	assert_int_equal(config->process.max_connections, 7);
	assert_int_equal(config->process.drain_timeout_ms, 120000);
	config_free(config);
	config = fixture_load_good("[midrelay]\nworkers = auto\n" MINIMAL);
	assert_in_range(config->process.workers, 1, 256);
	config_free(config);
}

static void test_relay_options(void **state)
{
	struct config *config = fixture_load_good(
	    "[relay a]\nlisten = 127.0.0.1:1, [::1]:2\nlisten = unix:/s\nlisten_mode = 0660\nallow_nonlocal "
	    "= yes\n"
	    "allow_address = 10.0.0.0/8, fd00::/8\nmode = tcp\ntarget = T.example:8443\ntarget_address = "
	    "192.0.2.1\n"
	    "source_address = ::1\nclient_cert = c.pem\nclient_key = k.pem\nclient_chain = i.pem\n"
	    "client_passphrase = env:P\ntrust = /ca\ntls_min = 1.3\ntls_max = 1.3\ntls_ciphers = HIGH\n"
	    "tls_ciphersuites = TLS_AES_128_GCM_SHA256\ntls_groups = P-256\nconnect_timeout = 1s\n"
	    "proxy_timeout = 2s\ntls_timeout = 3s\nsetup_timeout = 4s\nidle_timeout = 0\nhalf_close_timeout "
	    "= 6s\n"
	    "keepalive = 7s\nexplain = off\n");
	const struct config_relay *relay = &config->relays[0];
	char buf[ADDR_TEXT_BYTES];

	(void)state;
	assert_int_equal(relay->listen_count, 3);
	assert_string_equal(addr_format(&relay->listens[0].addr, buf), "127.0.0.1:1");
	assert_string_equal(addr_format(&relay->listens[1].addr, buf), "[::1]:2");
	assert_string_equal(addr_format(&relay->listens[2].addr, buf), "unix:/s");
	assert_int_equal(relay->listens[1].line, 2);
	assert_int_equal(relay->listens[2].line, 3);
	assert_int_equal(relay->listen_mode, 0660);
	assert_true(relay->allow_nonlocal);
	assert_int_equal(relay->allow_address_count, 2);
	assert_int_equal(relay->allow_address[0].prefix_bits, 8);
	assert_string_equal(relay->target.host, "t.example");
	assert_int_equal(relay->target.port, 8443);
	assert_string_equal(relay->target_address, "192.0.2.1");
	assert_string_equal(relay->source_address, "::1");
	assert_null(relay->client_bundle);
	assert_string_equal(relay->client_cert, "c.pem");
	assert_string_equal(relay->client_key, "k.pem");
	assert_string_equal(relay->client_chain, "i.pem");
	assert_string_equal(relay->client_passphrase_ref, "env:P");
	assert_string_equal(relay->trust, "/ca");
	assert_true(relay->require_client_cert_request);
	assert_int_equal(relay->tls_min, CONFIG_TLS_1_3);
	assert_string_equal(relay->tls_ciphers, "HIGH");
	assert_string_equal(relay->tls_ciphersuites, "TLS_AES_128_GCM_SHA256");
	assert_string_equal(relay->tls_groups, "P-256");
	assert_int_equal(relay->connect_timeout_ms, 1000);
	assert_int_equal(relay->proxy_timeout_ms, 2000);
	assert_int_equal(relay->tls_timeout_ms, 3000);
	assert_int_equal(relay->setup_timeout_ms, 4000);
	assert_int_equal(relay->idle_timeout_ms, 0);
	assert_int_equal(relay->half_close_timeout_ms, 6000);
	assert_int_equal(relay->keepalive_ms, 7000);
	assert_int_equal(relay->explain, CONFIG_EXPLAIN_OFF);
	config_free(config);
}

static void test_client_certificate_request(void **state)
{
	struct config *config = fixture_load_good(MINIMAL "client_bundle = b.pem\n");

	(void)state;
	assert_true(config->relays[0].require_client_cert_request);
	config_free(config);
	config = fixture_load_good(MINIMAL "client_bundle = b.pem\nrequire_client_cert_request = no\n");
	assert_false(config->relays[0].require_client_cert_request);
	config_free(config);
	config = fixture_load_good(MINIMAL "require_client_cert_request = yes\n");
	assert_true(config->relays[0].require_client_cert_request);
	config_free(config);
}

/* SPEC: a [proxy NAME]'s credentials go to it alone, and it never gets those of a relay. */
static void test_credentials_stay_with_their_proxy(void **state)
{
	struct config *config = fixture_load_good(
	    "[relay a]\nlisten = 127.0.0.1:0\ntarget = t.example\nproxy = http://P.example:3128/, corp, "
	    "bare, direct\n"
	    "proxy_user = u\nproxy_password = env:RELAY\nproxy_header = X-A: b, c\nproxy_header = "
	    "User-Agent:  x\n"
	    "[proxy corp]\nurl = http://[::1]:8080\nuser = v\npassword = file:/corp\nheader = X-C:\n"
	    "[proxy bare]\nurl = http://10.0.0.1:80\n");
	const struct config_path *path = config->relays[0].paths;

	(void)state;
	assert_int_equal(config->relays[0].path_count, 4);
	assert_string_equal(path[0].name, "http://p.example:3128");
	assert_string_equal(path[0].proxy.host, "p.example");
	assert_int_equal(path[0].proxy.port, 3128);
	assert_string_equal(path[0].user, "u");
	assert_string_equal(path[0].password_ref, "env:RELAY");
	assert_int_equal(path[0].line, 4);
	assert_int_equal(path[0].password_line, 6);
	assert_int_equal(path[0].header_count, 2);
	assert_string_equal(path[0].headers[0].name, "X-A");
	assert_string_equal(path[0].headers[0].value, "b, c");
	assert_string_equal(path[0].headers[1].value, "x");

	assert_string_equal(path[1].name, "corp");
	assert_string_equal(path[1].proxy.host, "::1");
	assert_true(path[1].proxy.is_ip);
	assert_string_equal(path[1].user, "v");
	assert_string_equal(path[1].password_ref, "file:/corp");
	assert_int_equal(path[1].password_line, 12);
	assert_int_equal(path[1].header_count, 1);
	assert_string_equal(path[1].headers[0].value, "");

	assert_string_equal(path[2].name, "bare");
	assert_null(path[2].user);
	assert_null(path[2].password_ref);
	assert_int_equal(path[2].header_count, 0);

	assert_true(path[3].direct);
	assert_null(path[3].user);
	assert_null(path[3].password_ref);
	config_free(config);
}

static void test_lines_are_remembered(void **state)
{
	struct config *config =
	    fixture_load_good("; c\n[midrelay]\nworkers = 1\n\n" MINIMAL "\ntrust = /ca\n");

	(void)state;
	assert_int_equal(config_process_line(&config->process, "workers"), 3);
	assert_int_equal(config_process_line(&config->process, "log_level"), 2);
	assert_int_equal(config_relay_line(&config->relays[0], "target"), 7);
	assert_int_equal(config_relay_line(&config->relays[0], "trust"), 9);
	assert_int_equal(config_relay_line(&config->relays[0], "client_bundle"), 5);
	assert_int_equal(config_relay_line(&config->relays[0], "no such key"), 5);
	config_free(config);
}

static void assert_report(const char *ini, mode_t mode, const char *expected)
{
	struct config_report report;
	struct config *config = fixture_load(ini, mode, &report);
	char *text = fixture_report_text(&report);

	assert_string_equal(text, expected);
	assert_int_equal(config == NULL, report.fault_count > 0);
	free(text);
	config_free(config);
	config_report_clear(&report);
}

static void test_all_faults_at_once_in_order(void **state)
{
	(void)state;
	assert_report("[midrelay]\nworkers = 0\nlog_level\n[relay a]\nlisen = 127.0.0.1:1\ntarget = a "
		      "b\n[relay a]\nmode = x\n",
	    0600,
	    "2:workers: must be a number from 1 to 256, or auto, not \"0\"|"
	    "3:this is neither [SECTION] nor KEY = VALUE nor a comment|"
	    "4:listen is required|"
	    "5:unknown key lisen; did you mean listen?|"
	    "6:target: ' ' cannot be part of a host name|"
	    "7:[relay a] was given before, at line 4|"
	    "8:mode: must be tcp or http, not \"x\"|");
}

#define LITERAL MINIMAL "proxy = http://p.example:1\nproxy_user = u\nproxy_password = hunter2\n"

static void test_literal_secrets_are_noted(void **state)
{
	(void)state;
	assert_report(LITERAL, 0640,
	    "~6:proxy_password: the secret itself stands in this file; file:PATH, env:NAME or cred:NAME "
	    "keeps it out|");
	assert_report(LITERAL, 0644,
	    "~6:proxy_password: the secret itself stands in this file, which every user of this host may "
	    "read; "
	    "file:PATH, env:NAME or cred:NAME keeps it out|");
	assert_report(
	    MINIMAL "proxy = http://p.example:1\nproxy_user = u\nproxy_password = env:P\n", 0644, "");
}

/* What was meant as a secret must not come back in a message, wherever it went wrong. */
static void test_no_fault_shows_a_secret(void **state)
{
	static const char *const inis[] = {
	    MINIMAL "proxy_user = u\nproxy_password hunter2\n",
	    MINIMAL "proxy_user = u\nproxy_pasword = hunter2\n",
	    MINIMAL "proxy_user = u\nproxy_password = sealed:hunter2!\n",
	    MINIMAL "proxy_user = u\nproxy_password = env:x=hunter2\n",
	    MINIMAL "proxy_user = u:hunter2\n",
	    MINIMAL "proxy = http://u:hunter2@p.example:80\n",
	    MINIMAL "proxy = u:hunter2@p.example:80\n",
	    MINIMAL "proxy = https://u:hunter2@p.example:80\n",
	    MINIMAL "proxy = p\n[proxy p]\nurl = http://u:hunter2@p.example:80\n",
	    MINIMAL "client_passphrase = hunter2\n",
	    MINIMAL "proxy_header = Proxy-Authorization: Basic hunter2\n",
	    "[relay a]\nlisten = 127.0.0.1:0\ntarget = u:hunter2@t.example\n",
	};
	struct config_report report;
	struct config *config;
	char *text;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(inis) / sizeof(inis[0]); i++) {
		config = fixture_load(inis[i], 0600, &report);
		text = fixture_report_text(&report);
		assert_null(config);
		if (strstr(text, "hunter2") != NULL)
			fail_msg("%s", text);
		free(text);
		config_report_clear(&report);
	}
}

static void test_bounds(void **state)
{
	struct config_report report;
	struct config *config;
	char *ini = NULL;
	size_t len, i;
	FILE *to = open_memstream(&ini, &len);

	(void)state;
	assert_non_null(to);
	for (i = 0; i < 1002; i++)
		fprintf(to, "[relay r%zu]\nlisten = 127.0.0.1:0\ntarget = t.example\n", i);
	fclose(to);
	config = fixture_load(ini, 0600, &report);
	assert_null(config);
	assert_int_equal(report.fault_count, 1);
	assert_int_equal(report.faults[0].line, 3001);
	assert_string_equal(report.faults[0].text, "there are more than 1000 sections [relay NAME]");
	free(ini);
	config_report_clear(&report);
}

/* The table is complete: a row that lacks help or a default to show would leave a hole in the documentation.
 */
static void test_table(void **state)
{
	size_t i, j;

	(void)state;
	for (i = 0; i < config_option_count; i++) {
		const struct config_option *option = &config_options[i];

		assert_non_null(option->help);
		assert_non_null(config_option_default(option));
		assert_false(config_option_is_later(option->section, option->key));
		assert_ptr_equal(config_option_find(option->section, option->key), option);
		assert_int_equal(config_option_index(option), i);
		for (j = 0; j < i; j++) {
			if (config_options[j].section == option->section)
				assert_string_not_equal(config_options[j].key, option->key);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults),
	    cmocka_unit_test(test_process_options),
	    cmocka_unit_test(test_relay_options),
	    cmocka_unit_test(test_client_certificate_request),
	    cmocka_unit_test(test_credentials_stay_with_their_proxy),
	    cmocka_unit_test(test_lines_are_remembered),
	    cmocka_unit_test(test_all_faults_at_once_in_order),
	    cmocka_unit_test(test_literal_secrets_are_noted),
	    cmocka_unit_test(test_no_fault_shows_a_secret),
	    cmocka_unit_test(test_bounds),
	    cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
