/* Proves that every way in which people and programs replace a file is seen, once, and that nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/mem.h"
#include "config_fixture.h"
#include "service/file_watch.h"

/* The test works in a directory of its own. */
static char room[] = "/tmp/midrelay-file-watch-XXXXXX";

static int enter_room(void **state)
{
	return mkdtemp(room) != NULL && chdir(room) == 0 ? 0 : -1;
}

static int leave_room(void **state)
{
	char *command = mem_printf("rm -rf '%s'", room);
	int failed = chdir("/") != 0 || system(command) != 0;

	free(command);
	return failed;
}

static void set_time(const char *file, int64_t ns)
{
	struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = ns / 1000000000, .tv_nsec = ns % 1000000000}};

	assert_int_equal(utimensat(AT_FDCWD, file, times, 0), 0);
}

static void put(const char *file, const char *text)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static size_t look(struct file_watch *watch)
{
	struct file_watch_news news;
	size_t next = 0, named = 0;

	file_watch_look(watch, &news);
	while (file_watch_changed(watch, &next) != NULL)
		named++;
	assert_int_equal(named, news.count);
	return news.count;
}

static void assert_seen_once(struct file_watch *watch, const char *file)
{
	size_t next = 0;

	assert_int_equal(look(watch), 1);
	assert_string_equal(file_watch_changed(watch, &next), file);
	/* Until it is accepted it stays news. */
	assert_int_equal(look(watch), 1);
	file_watch_accept(watch);
	assert_int_equal(look(watch), 0);
}

static void test_a_file(void **state)
{
	struct file_watch *watch = file_watch_new();

	put("a", "one");
	file_watch_add(watch, "a");
	file_watch_add(watch, "a");
	file_watch_add(watch, NULL);
	assert_int_equal(look(watch), 0);
	put("a", "three"); /* in place, another size */
	assert_seen_once(watch, "a");
	put("b", "three");
	assert_int_equal(rename("b", "a"), 0); /* the same bytes in another file */
	assert_seen_once(watch, "a");
	set_time("a", 1000000001); /* one nanosecond is enough */
	assert_seen_once(watch, "a");
	set_time("a", 1000000002);
	assert_seen_once(watch, "a");
	assert_int_equal(chmod("a", 0640), 0);
	assert_seen_once(watch, "a");
	assert_int_equal(unlink("a"), 0);
	assert_seen_once(watch, "a");
	put("a", "back");
	assert_seen_once(watch, "a");
	put("neighbour", "no matter");
	assert_int_equal(look(watch), 0);
	file_watch_free(watch);
}

static void test_the_same_size_and_time(void **state)
{
	struct file_watch *watch = file_watch_new();

	put("s", "one");
	set_time("s", 1000000000);
	file_watch_add(watch, "s");
	/* What keeps times (cp -p, rsync -t) changes ctime or inode all the same. */
	put("s2", "two");
	set_time("s2", 1000000000);
	assert_int_equal(rename("s2", "s"), 0);
	assert_seen_once(watch, "s");
	file_watch_free(watch);
}

static void swap_data(const char *to)
{
	assert_int_equal(symlink(to, "k/..data_tmp"), 0);
	assert_int_equal(rename("k/..data_tmp", "k/..data"), 0);
}

/* A volume of Kubernetes: file -> ..data/file, and ..data is a link that is renamed over. */
static void test_a_swapped_link(void **state)
{
	struct file_watch *watch = file_watch_new();

	assert_int_equal(mkdir("k", 0700), 0);
	assert_int_equal(mkdir("k/..one", 0700), 0);
	assert_int_equal(mkdir("k/..two", 0700), 0);
	put("k/..one/tls.pem", "one");
	/* One inode, so that the way there is all that tells the two apart. */
	assert_int_equal(link("k/..one/tls.pem", "k/..two/tls.pem"), 0);
	assert_int_equal(symlink("..one", "k/..data"), 0);
	assert_int_equal(symlink("..data/tls.pem", "k/tls.pem"), 0);
	file_watch_add(watch, "k/tls.pem");
	assert_int_equal(look(watch), 0);
	swap_data("..two");
	assert_seen_once(watch, "k/tls.pem");
	swap_data("..nowhere");
	assert_seen_once(watch, "k/tls.pem");
	swap_data("..one");
	assert_seen_once(watch, "k/tls.pem");
	file_watch_free(watch);
}

static void test_a_directory(void **state)
{
	struct file_watch *watch = file_watch_new();

	assert_int_equal(mkdir("cas", 0700), 0);
	put("cas/one.pem", "one");
	put("cas/README", "text");
	file_watch_add(watch, "cas");
	assert_int_equal(look(watch), 0);
	put("cas/two.crt", "two");
	assert_seen_once(watch, "cas");
	put("cas/one.pem", "another");
	assert_seen_once(watch, "cas");
	assert_int_equal(rename("cas/two.crt", "cas/three.crt"), 0);
	assert_seen_once(watch, "cas");
	assert_int_equal(unlink("cas/three.crt"), 0);
	assert_seen_once(watch, "cas");
	/* What is not read as a certificate is no news. */
	put("cas/README", "more text");
	put("cas/state.db", "busy");
	assert_int_equal(look(watch), 0);
	assert_int_equal(rename("cas", "cas-old"), 0);
	assert_seen_once(watch, "cas");
	file_watch_free(watch);
}

static void test_a_fresh_file_is_unsettled(void **state)
{
	struct file_watch *watch = file_watch_new();
	struct file_watch_news news;
	struct timespec now;

	put("f", "one");
	file_watch_add(watch, "f");
	assert_int_equal(clock_gettime(CLOCK_REALTIME, &now), 0);
	put("f", "three");
	/* A time a little ahead, as of a write that comes between two ticks, stands for "just now". */
	set_time("f", ((int64_t)now.tv_sec * 1000000000 + now.tv_nsec) + 500000000);
	file_watch_look(watch, &news);
	assert_int_equal(news.count, 1);
	assert_true(news.unsettled);
	file_watch_accept(watch);
	/* A clock that is far off must not keep it unsettled for ever. */
	set_time("f", ((int64_t)now.tv_sec + 3600) * 1000000000);
	file_watch_look(watch, &news);
	assert_int_equal(news.count, 1);
	assert_false(news.unsettled);
	file_watch_free(watch);
}

static void test_merge(void **state)
{
	struct file_watch *watch = file_watch_new(), *fresh = file_watch_new();

	put("m1", "one");
	put("m2", "two");
	file_watch_add(watch, "m1");
	file_watch_add(watch, "m2");
	put("m1", "changed");
	put("m2", "changed");
	file_watch_add(fresh, "m1");
	file_watch_add(fresh, "m3");
	file_watch_merge(watch, fresh);
	/* m1 was read as it is now; m2 was not; m3 does not exist yet. */
	assert_seen_once(watch, "m2");
	put("m3", "there");
	assert_seen_once(watch, "m3");
	file_watch_free(watch);
}

static void test_the_files_of_a_configuration(void **state)
{
	static const char *const files[] = {"bundle", "cert", "key", "chain", "trust", "passphrase", "cred/password"};
	struct config *config = fixture_load_good(
	    "[relay a]\nlisten = 127.0.0.1:1\ntarget = t.example\nclient_bundle = bundle\n"
	    "client_passphrase = file:passphrase\n"
	    "[relay b]\nlisten = 127.0.0.1:2\ntarget = t.example\nclient_cert = cert\nclient_key = key\n"
	    "client_chain = chain\nclient_passphrase = env:HOME\ntrust = trust\nproxy = corp\n"
	    "[proxy corp]\nurl = http://q.example:80\nuser = u\npassword = cred:password\n");
	struct file_watch *watch = file_watch_new();
	size_t i;

	assert_int_equal(mkdir("cred", 0700), 0);
	assert_int_equal(setenv("CREDENTIALS_DIRECTORY", "cred", 1), 0);
	file_watch_add_config(watch, config);
	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		put(files[i], "new");
		assert_seen_once(watch, files[i]);
	}
	config_free(config);
	file_watch_free(watch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_file),
	    cmocka_unit_test(test_the_same_size_and_time),
	    cmocka_unit_test(test_a_swapped_link),
	    cmocka_unit_test(test_a_directory),
	    cmocka_unit_test(test_a_fresh_file_is_unsettled),
	    cmocka_unit_test(test_merge),
	    cmocka_unit_test(test_the_files_of_a_configuration),
	};

	return cmocka_run_group_tests(tests, enter_room, leave_room);
}
