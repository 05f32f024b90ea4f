/* Proves what a local CA issues: for how long, when it is renewed, and what a CA at its end leads to. */
#include <openssl/pem.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "dial/relay_local.h"
#include "dial/relay_route.h"
#include "tls/local_ca.h"
#include "tls/local_identity.h"

#define DAY_S INT64_C(86400)
#define HOST "instance.lab.test"

static char directory[] = "/tmp/midrelay-local-ca-XXXXXX";

static int make_directory(void **state)
{
	return mkdtemp(directory) == NULL || setenv("STATE_DIRECTORY", directory, 1) != 0;
}

static int remove_directory(void **state)
{
	char *file = local_ca_file(HOST);

	(void)unlink(file);
	free(file);
	return rmdir(directory);
}

static void ignore(void *arg, const char *key, const char *text)
{
}

static struct local_identity *make_identity(struct identity_faults *faults)
{
	struct local_identity_params params = {.host = HOST};

	return local_identity_new(&params, ignore, NULL, faults);
}

/* The CA of the file ends in so many days from now on. */
static void shorten_ca(int days)
{
	char *file = local_ca_file(HOST);
	struct local_ca ca;
	struct error err;
	bool there;
	FILE *to;

	assert_true(local_ca_load(HOST, &ca, &there, &err) && there);
	assert_non_null(X509_gmtime_adj(X509_getm_notAfter(ca.cert), (long)(days * DAY_S)));
	assert_true(X509_sign(ca.cert, ca.key, EVP_sha256()) > 0);
	to = fopen(file, "w");
	assert_non_null(to);
	assert_int_equal(PEM_write_X509(to, ca.cert), 1);
	assert_int_equal(PEM_write_PKCS8PrivateKey(to, ca.key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(to), 0);
	local_ca_clear(&ca);
	free(file);
}

static void test_nothing_there(void **state)
{
	struct identity_faults faults;

	assert_null(make_identity(&faults));
	assert_int_equal(faults.count, 0);
}

/* One of several processes: makes the CA with the others, and tells which it is left with. */
static int make_and_tell(int go, int to)
{
	unsigned char sha256[32];
	struct local_ca ca;
	struct error err;
	bool there;
	char byte;

	if (read(go, &byte, 1) != 0 || !local_ca_make(HOST, false, &err) || !local_ca_load(HOST, &ca, &there, &err) ||
	    !there || X509_digest(ca.cert, EVP_sha256(), sha256, NULL) != 1)
		return 1;
	local_ca_clear(&ca);
	return write(to, sha256, sizeof(sha256)) == sizeof(sha256) ? 0 : 1;
}

static void test_several_make_one_ca(void **state)
{
	enum { PROCESSES = 16 };
	unsigned char first[32], other[32];
	int go[2], told[2], status, i;
	char *file;

	assert_int_equal(pipe(go), 0);
	assert_int_equal(pipe(told), 0);
	for (i = 0; i < PROCESSES; i++) {
		pid_t child = fork();

		assert_true(child >= 0);
		if (child == 0) {
			close(go[1]);
			_exit(make_and_tell(go[0], told[1]));
		}
	}
	close(go[1]);
	for (i = 0; i < PROCESSES; i++) {
		assert_true(wait(&status) > 0);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	}
	assert_int_equal(read(told[0], first, sizeof(first)), sizeof(first));
	for (i = 1; i < PROCESSES; i++) {
		assert_int_equal(read(told[0], other, sizeof(other)), sizeof(other));
		assert_memory_equal(first, other, sizeof(first));
	}
	close(go[0]);
	close(told[0]);
	close(told[1]);
	file = local_ca_file(HOST);
	assert_int_equal(unlink(file), 0);
	free(file);
}

static void test_leaf_is_renewed_before_its_end(void **state)
{
	int64_t now = (int64_t)time(NULL), renew_at;
	struct relay_route routes[3] = {{0}};
	struct relay_set set = {.routes = routes, .route_count = 3};
	struct identity_faults faults;
	const struct cert_end *ends;
	struct error err;
	size_t count;

	assert_true(local_ca_make(HOST, false, &err));
	routes[1].local = make_identity(&faults);
	assert_non_null(routes[1].local);
	renew_at = local_identity_renew_at(routes[1].local);
	assert_true(renew_at > now + 300 * DAY_S && renew_at < now + 397 * DAY_S - 30 * DAY_S);
	assert_true(relay_local_renew_at(&set) == renew_at);
	/* The CA alone is warned of. */
	ends = local_identity_ends(routes[1].local, &count);
	assert_int_equal(count, 1);
	assert_int_equal(ends[0].role, CERT_ROOT);
	assert_true(ends[0].not_after > now + 3600 * DAY_S);
	local_identity_free(routes[1].local);
	routes[1].local = NULL;
	assert_true(relay_local_renew_at(&set) == INT64_MAX);
}

static void test_leaf_ends_with_its_ca(void **state)
{
	struct local_identity *local;
	struct identity_faults faults;
	struct local_ca ca;
	struct error err;
	EVP_PKEY *key;
	X509 *leaf;
	bool there;

	shorten_ca(100);
	assert_true(local_ca_load(HOST, &ca, &there, &err));
	assert_true(local_ca_issue(&ca, HOST, false, &leaf, &key, &err));
	assert_int_equal(ASN1_TIME_compare(X509_get0_notAfter(leaf), X509_get0_notAfter(ca.cert)), 0);
	X509_free(leaf);
	EVP_PKEY_free(key);
	local_ca_clear(&ca);
	local = make_identity(&faults);
	assert_non_null(local);
	assert_true(local_identity_renew_at(local) == INT64_MAX);
	local_identity_free(local);
}

static void test_ended_ca_is_a_fault(void **state)
{
	struct identity_faults faults;

	shorten_ca(-1);
	assert_null(make_identity(&faults));
	assert_int_equal(faults.count, 1);
	assert_string_equal(faults.items[0].key, "listen_cert");
	assert_non_null(strstr(faults.items[0].err.text, "ended at"));
}

static void test_files_and_hosts(void **state)
{
	char *host = local_ca_host_of("local-ca-a.example.pem"), *file = local_ca_file("A/../b.example");

	assert_string_equal(host, "a.example");
	assert_null(local_ca_host_of("local-ca-.pem"));
	assert_null(local_ca_host_of("other.pem"));
	assert_string_equal(file + strlen(directory), "/local-ca-a_.._b.example.pem");
	free(host);
	free(file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_nothing_there),
	    cmocka_unit_test(test_several_make_one_ca),
	    cmocka_unit_test(test_leaf_is_renewed_before_its_end),
	    cmocka_unit_test(test_leaf_ends_with_its_ca),
	    cmocka_unit_test(test_ended_ca_is_a_fault),
	    cmocka_unit_test(test_files_and_hosts),
	};

	return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
