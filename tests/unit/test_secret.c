/* Proves which references yield a secret, which are refused and why, and that no refusal or mask shows one.
 */
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

#include "base/secret.h"
#include "base/secret_memory.h"

static char directory[64];

static int set_up(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/midrelay-test-XXXXXX");
	return mkdtemp(directory) == NULL ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	return rmdir(directory);
}

static char ref[256];

/* "file:PATH" of a new file; its path is ref + 5. */
static const char *file_with(const void *bytes, size_t len, mode_t mode)
{
	FILE *file;

	snprintf(ref, sizeof(ref), "file:%s/secret", directory);
	file = fopen(ref + 5, "w");
	assert_non_null(file);
	assert_int_equal(fwrite(bytes, 1, len, file), len);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(chmod(ref + 5, mode), 0);
	return ref;
}

static void assert_loads(const char *reference, const char *bytes)
{
	struct secret *secret = NULL;
	struct error err;

	if (!secret_load(reference, &secret, &err))
		fail_msg("%s", err.text);
	assert_int_equal(secret_len(secret), strlen(bytes));
	assert_string_equal(secret_bytes(secret), bytes);
	secret_free(secret);
}

static void assert_refused(const char *reference, const char *why)
{
	struct secret *secret = NULL;
	struct error err;

	assert_false(secret_load(reference, &secret, &err));
	assert_null(secret);
	if (strstr(err.text, why) == NULL)
		fail_msg("%s", err.text);
	assert_null(strstr(err.text, "hunter2"));
}

static void test_files(void **state)
{
	(void)state;
	assert_loads(file_with("hunter2", 7, 0600), "hunter2");
	assert_loads(file_with("hunter2\n", 8, 0640), "hunter2");
	assert_loads(file_with("hunter2\r\n", 9, 0400), "hunter2");
	assert_loads(file_with("hunter2\n\n", 9, 0600), "hunter2\n");
	assert_loads(file_with(" hunter2 ", 9, 0600), " hunter2 ");
	assert_loads(file_with("hunter2\r", 8, 0600), "hunter2\r");
	assert_loads(file_with("\xef\xbb\xbfhunter2\r\n", 12, 0600), "hunter2");
	unlink(ref + 5);
}

static void test_files_refused(void **state)
{
	char *large = malloc(SECRET_MAX_BYTES + 1);

	(void)state;
	assert_non_null(large);
	memset(large, 'x', SECRET_MAX_BYTES + 1);
	assert_refused(file_with("", 0, 0600), "is empty");
	assert_refused(file_with("\n", 1, 0600), "is empty");
	assert_refused(file_with("\r\n", 2, 0600), "is empty");
	assert_refused(file_with("\xef\xbb\xbf\r\n", 5, 0600), "is empty");
	assert_refused(file_with("hun\0ter2", 8, 0600), "NUL");
	assert_refused(file_with("hunter2", 7, 0604), "every user of this host (mode 0604)");
	assert_refused(file_with(large, SECRET_MAX_BYTES + 1, 0600), "longer than 65536");
	large[SECRET_MAX_BYTES] = '\0';
	assert_loads(file_with(large, SECRET_MAX_BYTES, 0600), large);
	unlink(ref + 5);
	assert_refused(ref, "No such file");
	assert_refused("file:", "needs a path");
	snprintf(ref, sizeof(ref), "file:%s", directory);
	assert_refused(ref, "not a regular file");
	free(large);
}

/* Opening one without a writer would wait for ever. */
static void test_fifo_is_refused_at_once(void **state)
{
	(void)state;
	snprintf(ref, sizeof(ref), "file:%s/fifo", directory);
	assert_int_equal(mkfifo(ref + 5, 0600), 0);
	assert_refused(ref, "not a regular file");
	unlink(ref + 5);
}

/* A Kubernetes secret is a link: what counts is the mode of the file behind it. */
static void test_links_are_followed(void **state)
{
	char link[128];

	(void)state;
	file_with("hunter2", 7, 0600);
	snprintf(link, sizeof(link), "file:%s/link", directory);
	assert_int_equal(symlink(ref + 5, link + 5), 0);
	assert_loads(link, "hunter2");
	assert_int_equal(chmod(ref + 5, 0644), 0);
	assert_refused(link, "mode 0644");
	unlink(link + 5);
	unlink(ref + 5);
}

static void test_environment(void **state)
{
	(void)state;
	setenv("MIDRELAY_TEST_SECRET", "hunter2", 1);
	assert_loads("env:MIDRELAY_TEST_SECRET", "hunter2");
	setenv("MIDRELAY_TEST_SECRET", "", 1);
	assert_refused("env:MIDRELAY_TEST_SECRET", "is empty");
	unsetenv("MIDRELAY_TEST_SECRET");
	assert_refused("env:MIDRELAY_TEST_SECRET", "is not set");
	assert_refused("env:", "needs the name");
}

static void test_credentials(void **state)
{
	(void)state;
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_refused("cred:secret", "LoadCredential");
	setenv("CREDENTIALS_DIRECTORY", directory, 1);
	file_with("hunter2\n", 8, 0400);
	assert_loads("cred:secret", "hunter2");
	assert_refused("cred:other", "No such file");
	assert_refused("cred:../secret", "without a '/'");
	assert_refused("cred:..", "without a '/'");
	assert_refused("cred:", "needs the name");
	unsetenv("CREDENTIALS_DIRECTORY");
	unlink(ref + 5);
}

static void test_literals_and_sealed(void **state)
{
	(void)state;
	assert_loads("hunter2", "hunter2");
	assert_loads("File:/x", "File:/x");
	assert_refused("", "empty");
	assert_refused("sealed:hunter2", "whose client keys open it");
}

static void test_masks(void **state)
{
	(void)state;
	assert_string_equal(secret_ref_masked("hunter2"), "(literal)");
	assert_string_equal(secret_ref_masked("sealed:hunter2"), "(sealed)");
	assert_string_equal(secret_ref_masked("file:/etc/x"), "file:/etc/x");
	assert_string_equal(secret_ref_masked("env:X"), "env:X");
	assert_string_equal(secret_ref_masked("cred:x"), "cred:x");
	assert_int_equal(secret_ref_kind("files:/x"), SECRET_REF_LITERAL);
}

static void test_values(void **state)
{
	struct secret *a = secret_new("a\0b", 3), *b = secret_dup(a), *c = secret_new("a\0c", 3),
		      *d = secret_new("a", 1);
	struct secret *empty = secret_new(NULL, 0);

	(void)state;
	assert_int_equal(secret_len(b), 3);
	assert_memory_equal(secret_bytes(b), "a\0b", 4);
	assert_true(secret_equal(a, b));
	assert_false(secret_equal(a, c));
	assert_false(secret_equal(a, d));
	assert_false(secret_equal(a, NULL));
	assert_true(secret_equal(NULL, NULL));
	assert_string_equal(secret_bytes(empty), "");
	secret_free(a);
	assert_memory_equal(secret_bytes(b), "a\0b", 4);
	secret_free(b);
	secret_free(c);
	secret_free(d);
	secret_free(empty);
	secret_free(NULL);
}

/* Of all sizes up to more than a page's worth, in no order of taking and giving. */
static void test_memory_is_shared_by_nobody(void **state)
{
	enum { ROUNDS = 2000, HELD = 97 };
	static const size_t sizes[] = {1, 255, 256, 257, 4000, 16383, 16384, 16385, 70000};
	unsigned char *held[HELD] = {NULL};
	size_t bytes[HELD] = {0}, i, j;

	(void)state;
	for (i = 0; i < ROUNDS; i++) {
		size_t at = i * 31 % HELD;

		for (j = 0; j < bytes[at]; j++)
			assert_int_equal(held[at][j], at + 1);
		if (bytes[at] > 0)
			secret_memory_give(held[at], bytes[at]);
		bytes[at] = sizes[i * 7 % (sizeof(sizes) / sizeof(sizes[0]))];
		held[at] = secret_memory_get(bytes[at]);
		for (j = 0; j < bytes[at]; j++)
			assert_int_equal(held[at][j], 0);
		memset(held[at], (int)at + 1, bytes[at]);
	}
	for (i = 0; i < HELD; i++)
		secret_memory_give(held[i], bytes[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_files_refused),
	    cmocka_unit_test(test_fifo_is_refused_at_once),
	    cmocka_unit_test(test_links_are_followed),
	    cmocka_unit_test(test_environment),
	    cmocka_unit_test(test_credentials),
	    cmocka_unit_test(test_literals_and_sealed),
	    cmocka_unit_test(test_masks),
	    cmocka_unit_test(test_values),
	    cmocka_unit_test(test_memory_is_shared_by_nobody),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
