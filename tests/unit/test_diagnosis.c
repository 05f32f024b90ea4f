/*
 * Proves that the table of diagnoses is complete and consistent (names, stages, remedies, RFC 9209 types,
 * HTTP status), and that a sentence is always one printable line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "dial/diagnosis.h"

/* RFC 9209 section 2.3. */
static const char *const rfc9209_types[] = {"dns_timeout", "dns_error", "destination_not_found",
    "destination_unavailable", "destination_ip_prohibited", "destination_ip_unroutable", "connection_refused",
    "connection_terminated", "connection_timeout", "connection_read_timeout", "connection_write_timeout",
    "connection_limit_reached", "tls_protocol_error", "tls_certificate_error", "tls_alert_received",
    "http_request_error", "http_request_denied", "http_response_incomplete",
    "http_response_header_section_size", "http_response_header_size", "http_response_body_size",
    "http_response_trailer_section_size", "http_response_trailer_size", "http_response_transfer_coding",
    "http_response_content_coding", "http_response_timeout", "http_upgrade_failed", "http_protocol_error",
    "proxy_internal_response", "proxy_internal_error", "proxy_configuration_error", "proxy_loop_detected"};

/* Stated once more, by hand: a renamed or moved code breaks what people have written into alerts. */
static const struct {
	enum diagnosis_code code;
	const char *name;
	const char *stage;
	const char *type;
	int http_status;
} fixed[] = {
    {DIAGNOSIS_OK, "ok", "relay", "", 200},
    {DIAGNOSIS_LOCAL_DENIED, "local-denied", "local", "http_request_denied", 502},
    {DIAGNOSIS_LOCAL_LIMIT, "local-limit", "local", "connection_limit_reached", 503},
    {DIAGNOSIS_LOCAL_SPOKE_TLS, "local-spoke-tls", "local", "http_request_error", 502},
    {DIAGNOSIS_LOCAL_BAD_REQUEST, "local-bad-request", "local", "http_request_error", 400},
    {DIAGNOSIS_LOCAL_CONNECT_DENIED, "local-connect-denied", "local", "http_request_denied", 502},
    {DIAGNOSIS_LOCAL_TLS, "local-tls", "local", "http_request_error", 502},
    {DIAGNOSIS_RESOLVE_FAILED, "resolve-failed", "resolve", "dns_error", 502},
    {DIAGNOSIS_RESOLVE_TIMEOUT, "resolve-timeout", "resolve", "dns_timeout", 504},
    {DIAGNOSIS_CONNECT_REFUSED, "connect-refused", "connect", "connection_refused", 502},
    {DIAGNOSIS_CONNECT_TIMEOUT, "connect-timeout", "connect", "connection_timeout", 504},
    {DIAGNOSIS_CONNECT_UNREACHABLE, "connect-unreachable", "connect", "destination_ip_unroutable", 502},
    {DIAGNOSIS_CONNECT_LOOP, "connect-loop", "connect", "proxy_loop_detected", 502},
    {DIAGNOSIS_PROXY_AUTH_REQUIRED, "proxy-auth-required", "proxy", "proxy_configuration_error", 502},
    {DIAGNOSIS_PROXY_AUTH_REJECTED, "proxy-auth-rejected", "proxy", "proxy_configuration_error", 502},
    {DIAGNOSIS_PROXY_AUTH_NTLM_ONLY, "proxy-auth-ntlm-only", "proxy", "http_request_denied", 502},
    {DIAGNOSIS_PROXY_AUTH_UNSUPPORTED, "proxy-auth-unsupported", "proxy", "http_request_denied", 502},
    {DIAGNOSIS_PROXY_DENIED, "proxy-denied", "proxy", "http_request_denied", 502},
    {DIAGNOSIS_PROXY_UPSTREAM_FAILED, "proxy-upstream-failed", "proxy", "destination_unavailable", 502},
    {DIAGNOSIS_PROXY_STATUS, "proxy-status", "proxy", "http_protocol_error", 502},
    {DIAGNOSIS_PROXY_MALFORMED, "proxy-malformed", "proxy", "http_protocol_error", 502},
    {DIAGNOSIS_PROXY_CLOSED, "proxy-closed", "proxy", "connection_terminated", 502},
    {DIAGNOSIS_PROXY_TIMEOUT, "proxy-timeout", "proxy", "http_response_timeout", 504},
    {DIAGNOSIS_PROXY_TLS, "proxy-tls", "proxy", "tls_protocol_error", 502},
    {DIAGNOSIS_TLS_INSPECTED, "tls-inspected", "tls", "tls_certificate_error", 502},
    {DIAGNOSIS_TLS_UNTRUSTED, "tls-untrusted", "tls", "tls_certificate_error", 502},
    {DIAGNOSIS_TLS_HOSTNAME, "tls-hostname", "tls", "tls_certificate_error", 502},
    {DIAGNOSIS_TLS_EXPIRED, "tls-expired", "tls", "tls_certificate_error", 502},
    {DIAGNOSIS_TLS_REVOKED, "tls-revoked", "tls", "tls_certificate_error", 502},
    {DIAGNOSIS_TLS_PIN, "tls-pin", "tls", "tls_certificate_error", 502},
    {DIAGNOSIS_TLS_ISSUER, "tls-issuer", "tls", "tls_certificate_error", 502},
    {DIAGNOSIS_TLS_VERSION, "tls-version", "tls", "tls_protocol_error", 502},
    {DIAGNOSIS_TLS_ALERT, "tls-alert", "tls", "tls_alert_received", 502},
    {DIAGNOSIS_TLS_NOT_TLS, "tls-not-tls", "tls", "tls_protocol_error", 502},
    {DIAGNOSIS_TLS_CLOSED, "tls-closed", "tls", "connection_terminated", 502},
    {DIAGNOSIS_TLS_TIMEOUT, "tls-timeout", "tls", "connection_timeout", 504},
    {DIAGNOSIS_CLIENT_CERT_NOT_REQUESTED, "client-cert-not-requested", "client certificate",
	"tls_protocol_error", 502},
    {DIAGNOSIS_CLIENT_CERT_REJECTED, "client-cert-rejected", "client certificate", "tls_alert_received", 502},
    {DIAGNOSIS_CLIENT_CERT_EXPIRED, "client-cert-expired", "client certificate", "proxy_configuration_error",
	502},
    {DIAGNOSIS_CLIENT_CERT_UNUSABLE, "client-cert-unusable", "client certificate",
	"proxy_configuration_error", 502},
    {DIAGNOSIS_INSTANCE_CERT_REFUSED, "instance-cert-refused", "instance", "http_request_denied", 502},
    {DIAGNOSIS_INSTANCE_NOT_ADCV2, "instance-not-adcv2", "instance", "destination_unavailable", 502},
    {DIAGNOSIS_INSTANCE_NO_TLS_SUPPORT, "instance-no-tls-support", "instance", "destination_unavailable",
     502},
    {DIAGNOSIS_INSTANCE_HIBERNATING, "instance-hibernating", "instance", "destination_unavailable", 502},
    {DIAGNOSIS_INSTANCE_STATUS, "instance-status", "instance", "http_protocol_error", 502},
    {DIAGNOSIS_INSTANCE_MALFORMED, "instance-malformed", "instance", "http_protocol_error", 502},
    {DIAGNOSIS_RELAY_TRUNCATED, "relay-truncated", "relay", "http_response_incomplete", 502},
    {DIAGNOSIS_RELAY_RESET, "relay-reset", "relay", "connection_terminated", 502},
    {DIAGNOSIS_RELAY_IDLE, "relay-idle", "relay", "connection_read_timeout", 504},
    {DIAGNOSIS_RELAY_DRAINED, "relay-drained", "relay", "connection_terminated", 503},
};
#define FIXED_COUNT (sizeof(fixed) / sizeof(fixed[0]))

static void test_fixed(void **state)
{
	const struct diagnosis_info *info;
	size_t i;

	(void)state;
	assert_int_equal(FIXED_COUNT, DIAGNOSIS_CODE_COUNT);
	for (i = 0; i < FIXED_COUNT; i++) {
		info = diagnosis_info(fixed[i].code);
		assert_int_equal(info->code, fixed[i].code);
		assert_string_equal(info->name, fixed[i].name);
		assert_string_equal(diagnosis_name(fixed[i].code), fixed[i].name);
		assert_string_equal(diagnosis_stage_name(info->stage), fixed[i].stage);
		assert_string_equal(info->proxy_status, fixed[i].type);
		assert_int_equal(info->http_status, fixed[i].http_status);
		assert_ptr_equal(diagnosis_find(fixed[i].name), info);
	}
}

static void assert_prose(const char *text)
{
	size_t len = strlen(text), i;

	assert_in_range(len, 10, 400);
	assert_int_equal(text[len - 1], '.');
	for (i = 0; i < len; i++)
		assert_in_range((unsigned char)text[i], 0x20, 0x7e);
	assert_null(strstr(text, "  "));
}

static void test_prose(void **state)
{
	int a, b;

	(void)state;
	for (a = 0; a < DIAGNOSIS_CODE_COUNT; a++) {
		const struct diagnosis_info *info = diagnosis_info((enum diagnosis_code)a);

		assert_prose(info->meaning);
		assert_prose(info->remedy);
		for (b = 0; b < a; b++) {
			assert_string_not_equal(info->remedy, diagnosis_info((enum diagnosis_code)b)->remedy);
			assert_string_not_equal(
			    info->meaning, diagnosis_info((enum diagnosis_code)b)->meaning);
		}
	}
}

static void test_types(void **state)
{
	size_t i;
	int code;

	(void)state;
	for (code = DIAGNOSIS_OK + 1; code < DIAGNOSIS_CODE_COUNT; code++) {
		const char *type = diagnosis_info((enum diagnosis_code)code)->proxy_status;

		for (i = 0; i < sizeof(rfc9209_types) / sizeof(rfc9209_types[0]); i++) {
			if (strcmp(rfc9209_types[i], type) == 0)
				break;
		}
		if (i == sizeof(rfc9209_types) / sizeof(rfc9209_types[0]))
			fail_msg(
			    "%s: '%s' is no RFC 9209 type", diagnosis_name((enum diagnosis_code)code), type);
	}
}

static void test_find(void **state)
{
	(void)state;
	assert_null(diagnosis_find("proxy"));
	assert_null(diagnosis_find(""));
	assert_null(diagnosis_find("PROXY-DENIED"));
	assert_string_equal(diagnosis_nearest("proxy-auth-ntml-only"), "proxy-auth-ntlm-only");
	assert_string_equal(diagnosis_nearest("tls-hostnam"), "tls-hostname");
	assert_null(diagnosis_nearest("something-else-entirely"));
}

static void test_set(void **state)
{
	char longer[2 * DIAGNOSIS_SENTENCE_BYTES];
	struct diagnosis d;

	(void)state;
	diagnosis_set(&d, DIAGNOSIS_PROXY_DENIED, "%s said %d", "proxy", 403);
	assert_int_equal(d.code, DIAGNOSIS_PROXY_DENIED);
	assert_string_equal(d.sentence, "proxy said 403");

	diagnosis_set(&d, DIAGNOSIS_PROXY_STATUS, "a\r\nb\x1b\xe9\x7f%s", "\t.");
	assert_string_equal(d.sentence, "a??b????.");

	memset(longer, 'x', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	diagnosis_set(&d, DIAGNOSIS_PROXY_STATUS, "%s", longer);
	assert_int_equal(strlen(d.sentence), DIAGNOSIS_SENTENCE_BYTES - 1);
	assert_string_equal(d.sentence + DIAGNOSIS_SENTENCE_BYTES - 5, "x...");
	longer[DIAGNOSIS_SENTENCE_BYTES - 1] = '\0';
	diagnosis_set(&d, DIAGNOSIS_PROXY_STATUS, "%s", longer);
	assert_string_equal(d.sentence, longer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_fixed),
	    cmocka_unit_test(test_prose),
	    cmocka_unit_test(test_types),
	    cmocka_unit_test(test_find),
	    cmocka_unit_test(test_set),
	};

	return cmocka_run_group_tests_name("diagnosis", tests, NULL, NULL);
}
