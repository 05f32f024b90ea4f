/*
 * Proves that a peer which says user_canceled before its close_notify has closed (RFC 8446 section 6.1), and that one which
 * says user_canceled alone has not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "local_client.h"
#include "pki.h"

/* RFC 8446 section 6. */
#define WARNING 1
#define CLOSE_NOTIFY 0
#define USER_CANCELED 90

static EVP_PKEY *key;
static X509 *cert;

static int setup(void **state)
{
	(void)state;
	key = pki_key("p256");
	cert = pki_cert(&(struct pki_cert){.cn = "here", .key = key});
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	X509_free(cert);
	EVP_PKEY_free(key);
	return 0;
}

static void send_alert(struct local_client *client, unsigned char alert)
{
	local_client_send(client, SSL3_RT_ALERT, (unsigned char[]){WARNING, alert}, 2);
}

static void test_close_notify(void **state)
{
	struct local_client client;

	(void)state;
	local_client_open(&client, cert, key);
	send_alert(&client, CLOSE_NOTIFY);
	assert_int_equal(local_client_read(&client), STREAM_CLOSED);
	local_client_close(&client);
}

static void test_user_canceled_before_it(void **state)
{
	struct local_client client;

	(void)state;
	local_client_open(&client, cert, key);
	send_alert(&client, USER_CANCELED);
	send_alert(&client, CLOSE_NOTIFY);
	assert_int_equal(local_client_read(&client), STREAM_CLOSED);
	assert_int_equal(stream_shutdown(client.stream), STREAM_OK);
	local_client_close(&client);
}

static void test_user_canceled_alone(void **state)
{
	struct local_client client;

	(void)state;
	local_client_open(&client, cert, key);
	send_alert(&client, USER_CANCELED);
	assert_int_equal(local_client_read(&client), STREAM_BLOCKED);
	shutdown(client.fds[1], SHUT_WR);
	assert_int_equal(local_client_read(&client), STREAM_TRUNCATED);
	local_client_close(&client);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_close_notify),
	    cmocka_unit_test(test_user_canceled_before_it),
	    cmocka_unit_test(test_user_canceled_alone),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
