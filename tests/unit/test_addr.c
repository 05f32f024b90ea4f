/* Proves what is taken as an address, a network or HOST:PORT, what is refused with which advice, and how they
 * compare. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/addr.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static struct addr parsed(const char *text)
{
	struct addr addr;
	struct error err;

	if (!addr_parse(text, &addr, &err))
		fail_msg("%s: %s", text, err.text);
	return addr;
}

static void test_addresses_come_back_as_written(void **state)
{
	static const char *const texts[] = {"127.0.0.1:8080", "0.0.0.0:0", "[::1]:8080", "[::]:65535",
	    "[2001:db8::1]:443", "[fe80::1%lo]:80", "unix:/run/midrelay/a b.sock"};
	char buf[ADDR_TEXT_BYTES];
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(texts); i++) {
		struct addr addr = parsed(texts[i]);

		assert_string_equal(addr_format(&addr, buf), texts[i]);
	}
}

static void test_bad_addresses(void **state)
{
	static const struct {
		const char *text, *advice;
	} cases[] = {
	    {"8080", "write 127.0.0.1:8080"},
	    {"localhost:8080", "write 127.0.0.1:8080"},
	    {"127.0.0.1", "it must be like 127.0.0.1:8080"},
	    {"127.1:80", "it must be like"},
	    {"0177.0.0.1:80", "it must be like"},
	    {"::1:8080", "[::1]:8080"},
	    {"[::1]", "it must be like"},
	    {"[::1]8080", "it must be like"},
	    {"[2001:db8::1%lo]:80", "it must be like"},
	    {":8080", "it must be like"},
	    {"", "it must be like"},
	    {"127.0.0.1:", "from 0 to 65535"},
	    {"127.0.0.1:65536", "from 0 to 65535"},
	    {"127.0.0.1:80a", "from 0 to 65535"},
	    {"127.0.0.1:-1", "from 0 to 65535"},
	    {"unix:relay.sock", "absolute path"},
	    {"unix:", "absolute path"},
	    {"unix:/a\nb", "control character"},
	};
	struct addr addr;
	struct error err;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		if (addr_parse(cases[i].text, &addr, &err))
			fail_msg("%s was taken", cases[i].text);
		if (strstr(err.text, cases[i].advice) == NULL)
			fail_msg("%s: %s", cases[i].text, err.text);
	}
}

static void test_unix_path_length(void **state)
{
	char text[5 + 109];
	struct addr addr;
	struct error err;

	(void)state;
	memset(text, 'x', sizeof(text));
	memcpy(text, "unix:/", 6);
	text[5 + 108] = '\0';
	assert_false(addr_parse(text, &addr, &err));
	assert_string_equal(err.text, "the socket's path is 108 bytes long; the system allows 107");
	text[5 + 107] = '\0';
	assert_true(addr_parse(text, &addr, &err));
	assert_int_equal(strlen(addr.u.un.sun_path), 107);
	assert_int_equal(addr.len, offsetof(struct sockaddr_un, sun_path) + 108);
}

static void test_peers_without_a_name(void **state)
{
	struct addr unnamed = {.len = sizeof(sa_family_t), .u.un = {.sun_family = AF_UNIX}};
	struct addr abstract = {.len = offsetof(struct sockaddr_un, sun_path) + 4,
	    .u.un = {.sun_family = AF_UNIX, .sun_path = "\0a\nb"}};
	struct addr none = {0};
	char buf[ADDR_TEXT_BYTES];

	(void)state;
	assert_string_equal(addr_format(&unnamed, buf), "unix:");
	assert_string_equal(addr_format(&abstract, buf), "unix:@a\\x0ab");
	assert_string_equal(addr_format(&none, buf), "(none)");
	assert_true(addr_is_loopback(&unnamed));
	assert_false(addr_is_loopback(&none));
	assert_true(addr_equal(&none, &none));
	assert_false(addr_equal(&none, &unnamed));
}

static void test_numeric_ip(void **state)
{
	struct addr addr;
	char buf[ADDR_TEXT_BYTES];

	(void)state;
	assert_true(addr_parse_ip("10.0.0.1", 443, &addr));
	assert_string_equal(addr_format(&addr, buf), "10.0.0.1:443");
	assert_true(addr_parse_ip("2001:db8::1", 443, &addr));
	assert_true(addr_parse_ip("[2001:DB8::1]", 8, &addr));
	assert_string_equal(addr_format(&addr, buf), "[2001:db8::1]:8");
	assert_int_equal(addr_port(&addr), 8);
	addr_set_port(&addr, 9);
	assert_int_equal(addr_port(&addr), 9);
	assert_false(addr_parse_ip("", 0, &addr));
	assert_false(addr_parse_ip("[]", 0, &addr));
	assert_false(addr_parse_ip("[10.0.0.1]", 0, &addr));
	assert_false(addr_parse_ip("10.0.0.1:443", 0, &addr));
	assert_false(addr_parse_ip("acme.example", 0, &addr));
	assert_false(addr_parse_ip("10.0.0.1 ", 0, &addr));
}

static void test_loopback_and_wildcard(void **state)
{
	static const char *const loopback[] = {
	    "127.0.0.1:1", "127.255.255.255:1", "[::1]:1", "[::ffff:127.0.0.1]:1", "unix:/x"};
	static const char *const elsewhere[] = {
	    "0.0.0.0:1", "[::]:1", "128.0.0.1:1", "[::2]:1", "[::ffff:10.0.0.1]:1", "126.255.255.255:1"};
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(loopback); i++) {
		struct addr addr = parsed(loopback[i]);

		assert_true(addr_is_loopback(&addr));
		assert_false(addr_is_wildcard(&addr));
	}
	for (i = 0; i < COUNT(elsewhere); i++) {
		struct addr addr = parsed(elsewhere[i]);

		assert_false(addr_is_loopback(&addr));
		assert_int_equal(addr_is_wildcard(&addr), i < 2);
	}
}

static void test_equality(void **state)
{
	static const char *const texts[] = {"127.0.0.1:1", "127.0.0.1:2", "127.0.0.2:1", "[::1]:1", "[::1]:2",
	    "[::ffff:127.0.0.1]:1", "unix:/a", "unix:/ab", "unix:/b"};
	size_t i, j;

	(void)state;
	for (i = 0; i < COUNT(texts); i++) {
		for (j = 0; j < COUNT(texts); j++) {
			struct addr a = parsed(texts[i]), b = parsed(texts[j]);

			assert_int_equal(addr_equal(&a, &b), i == j);
		}
	}
}

static bool contains(const char *network, const char *address)
{
	struct addr_cidr cidr;
	struct addr addr;
	struct error err;

	if (!addr_cidr_parse(network, &cidr, &err))
		fail_msg("%s: %s", network, err.text);
	assert_true(addr_parse_ip(address, 1, &addr));
	return addr_cidr_contains(&cidr, &addr);
}

static void test_networks(void **state)
{
	struct addr local = {.len = sizeof(sa_family_t), .u.un = {.sun_family = AF_UNIX}};
	struct addr_cidr all;

	(void)state;
	assert_true(contains("10.0.0.0/8", "10.255.255.255"));
	assert_false(contains("10.0.0.0/8", "11.0.0.0"));
	assert_true(contains("192.0.2.128/25", "192.0.2.255"));
	assert_false(contains("192.0.2.128/25", "192.0.2.127"));
	assert_true(contains("0.0.0.0/0", "203.0.113.1"));
	assert_false(contains("0.0.0.0/0", "2001:db8::1"));
	assert_true(contains("192.0.2.7", "192.0.2.7"));
	assert_false(contains("192.0.2.7", "192.0.2.6"));
	assert_true(contains("fd00::/8", "fdff::1"));
	assert_false(contains("fd00::/8", "fe00::1"));
	assert_true(contains("2001:db8::1", "2001:db8::1"));
	assert_true(contains("10.0.0.0/8", "::ffff:10.1.2.3"));
	assert_true(contains("::ffff:10.0.0.0/104", "10.1.2.3"));
	assert_false(contains("::/0", "::ffff:10.1.2.3"));
	assert_true(addr_cidr_parse("::/0", &all, NULL));
	assert_false(addr_cidr_contains(&all, &local));
}

static void test_bad_networks(void **state)
{
	static const struct {
		const char *text, *advice;
	} cases[] = {{"10.0.0.1/8", "write 10.0.0.0/8"}, {"fd00::1/8", "write fd00::/8"},
	    {"10.0.0.0/33", "from 0 to 32"}, {"::/129", "from 0 to 128"}, {"10.0.0.0/", "from 0 to 32"},
	    {"10.0.0.0/-1", "from 0 to 32"}, {"10.0.0", "it must be like"},
	    {"10.0.0.0/255.0.0.0", "from 0 to 32"}, {"[::1]", "it must be like"},
	    {"acme.example", "it must be like"}, {"", "it must be like"}};
	struct addr_cidr cidr;
	struct error err;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		if (addr_cidr_parse(cases[i].text, &cidr, &err))
			fail_msg("%s was taken", cases[i].text);
		if (strstr(err.text, cases[i].advice) == NULL)
			fail_msg("%s: %s", cases[i].text, err.text);
	}
}

static void test_hostports(void **state)
{
	static const struct {
		const char *text, *shown;
		bool is_ip;
	} cases[] = {{"acme.service-now.com", "acme.service-now.com:443", false},
	    {"ACME.Example.:8443", "acme.example:8443", false}, {"my_host", "my_host:443", false},
	    {"10.0.0.1:1", "10.0.0.1:1", true}, {"[2001:DB8:0::1]", "[2001:db8::1]:443", true},
	    {"[::1]:65535", "[::1]:65535", true}, {"3com.example", "3com.example:443", false}};
	struct error err;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		struct hostport hp = {0};
		char *text;

		if (!hostport_parse(cases[i].text, 443, &hp, &err))
			fail_msg("%s: %s", cases[i].text, err.text);
		text = hostport_format(&hp);
		assert_string_equal(text, cases[i].shown);
		assert_int_equal(hp.is_ip, cases[i].is_ip);
		free(text);
		hostport_clear(&hp);
		assert_null(hp.host);
	}
}

static void test_bad_hostports(void **state)
{
	static const struct {
		const char *text, *advice;
	} cases[] = {{"", "empty"}, {".", "empty label"}, {"a..b", "empty label"}, {".a", "empty label"},
	    {"https://acme.example", "without a scheme"}, {"acme.example/x", "without a path"},
	    {"acme.example:443/", "without a path"}, {"user:hunter2@acme.example", "credentials"},
	    {"acme example", "cannot be part"}, {"acme\r\nx", "cannot be part"},
	    {"acme\texample", "cannot be part"}, {"\"acme.example\"", "cannot be part"},
	    {"acm\xc3\xa9.example", "xn--"}, {"::1", "brackets"}, {"2001:db8::1", "brackets"},
	    {"[::1", "missing"}, {"[::1]x", "may follow"}, {"[10.0.0.1]", "not an IPv6"},
	    {"[fe80::1%lo]", "not an IPv6"}, {"[]", "not an IPv6"}, {"a:", "from 1 to 65535"},
	    {"a:0", "from 1 to 65535"}, {"a:65536", "from 1 to 65535"}, {"a:x", "from 1 to 65535"},
	    {"10.0.0.256", "neither"}, {"10.0.0", "neither"}, {"8080", "neither"},
	    {"*.example", "cannot be part"}};
	struct error err;
	size_t i;

	(void)state;
	for (i = 0; i < COUNT(cases); i++) {
		struct hostport hp = {0};

		if (hostport_parse(cases[i].text, 443, &hp, &err))
			fail_msg("%s was taken", cases[i].text);
		if (strstr(err.text, cases[i].advice) == NULL)
			fail_msg("%s: %s", cases[i].text, err.text);
		assert_null(strstr(err.text, "hunter2"));
		assert_null(hp.host);
	}
}

static void test_host_length(void **state)
{
	char text[300];
	struct hostport hp = {0};
	struct error err;
	size_t i;

	(void)state;
	memset(text, 'a', sizeof(text));
	text[63] = '\0';
	assert_true(hostport_parse(text, 1, &hp, &err));
	hostport_clear(&hp);
	text[63] = 'a';
	text[64] = '\0';
	assert_false(hostport_parse(text, 1, &hp, &err));
	assert_non_null(strstr(err.text, "longer than 63"));
	text[64] = 'a';
	for (i = 50; i < sizeof(text); i += 50)
		text[i] = '.';
	text[253] = '\0';
	assert_true(hostport_parse(text, 1, &hp, &err));
	hostport_clear(&hp);
	text[253] = 'a';
	text[254] = '\0';
	assert_false(hostport_parse(text, 1, &hp, &err));
	assert_non_null(strstr(err.text, "longer than 253"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_addresses_come_back_as_written),
	    cmocka_unit_test(test_bad_addresses),
	    cmocka_unit_test(test_unix_path_length),
	    cmocka_unit_test(test_peers_without_a_name),
	    cmocka_unit_test(test_numeric_ip),
	    cmocka_unit_test(test_loopback_and_wildcard),
	    cmocka_unit_test(test_equality),
	    cmocka_unit_test(test_networks),
	    cmocka_unit_test(test_bad_networks),
	    cmocka_unit_test(test_hostports),
	    cmocka_unit_test(test_bad_hostports),
	    cmocka_unit_test(test_host_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
