/*
 * Proves under which certificate a dial goes after a renewal: the new one until it is refused, then the one
 * before while that is valid, with tries of the new one at their times, by a clock of the test's own; and
 * what later reloads make of it.
 */
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "dial/identity_choice.h"
#include "pki.h"

#define T0 INT64_C(1000000)

static EVP_PKEY *root_key;
static char *dir, *root_file;

static int setup(void **state)
{
	struct pki_text text = {0};
	X509 *root;

	(void)state;
	dir = pki_dir_new();
	root_key = pki_key("p256");
	root = pki_cert(&(struct pki_cert){.cn = "root", .key = root_key, .ca = true});
	pki_text_add_cert(&text, root);
	root_file = pki_dir_write_text(dir, "root.pem", &text, 0644);
	pki_text_free(&text);
	X509_free(root);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	free(root_file);
	pki_dir_remove(dir);
	EVP_PKEY_free(root_key);
	return 0;
}

/* A certificate of its own, ending in `ends_s`. */
static struct identity *make(const char *kind, long ends_s)
{
	EVP_PKEY *key = pki_key(kind);
	X509 *leaf = pki_cert(&(struct pki_cert){.cn = "leaf", .key = key, .issuer_cn = "root",
	    .issuer_key = root_key,
	    .eku = "clientAuth", .starts_s = -3600, .ends_s = ends_s});
	struct pki_text text = {0};
	struct identity_params params = {.trust = root_file, .tls_min = TLS1_2_VERSION,
	    .tls_max = TLS1_3_VERSION};
	struct identity_faults faults;
	struct identity *identity;
	char *file;

	pki_text_add_key(&text, key, PKI_PKCS8, NULL);
	pki_text_add_cert(&text, leaf);
	file = pki_dir_write_text(dir, "bundle.pem", &text, 0600);
	params.bundle_file = file;
	identity = identity_new(&params, NULL, NULL, &faults);
	assert_non_null(identity);
	unlink(file);
	free(file);
	pki_text_free(&text);
	X509_free(leaf);
	EVP_PKEY_free(key);
	return identity;
}

static struct identity *without_cert(void)
{
	struct identity_params params = {.trust = root_file, .tls_min = TLS1_2_VERSION,
	    .tls_max = TLS1_3_VERSION};
	struct identity_faults faults;

	return identity_new(&params, NULL, NULL, &faults);
}

/* As a reload does it, with another policy. */
static void follow(struct identity_choice *choice, struct identity *identity,
    const struct identity_choice *before)
{
	struct identity_params params = {.trust = root_file, .tls_min = TLS1_3_VERSION,
	    .tls_max = TLS1_3_VERSION,
	    .trust_of = identity};
	struct identity_faults faults;
	struct identity *from;

	memset(choice, 0, sizeof(*choice));
	from = identity_choice_init(choice, identity, before);
	if (from == NULL)
		return;
	params.cert_of = from;
	identity_choice_set_old(choice, identity_new(&params, NULL, NULL, &faults));
	assert_non_null(atomic_load(&choice->old));
	identity_unref(from);
}

static struct identity_use pick(struct identity_choice *choice, int64_t now_ms)
{
	struct identity_use use = identity_choice_pick(choice, now_ms);

	identity_unref(use.identity); /* the choice holds it as long as the tests look at it */
	return use;
}

static enum identity_news refuse(struct identity_choice *choice, int64_t now_ms)
{
	struct identity_use use = pick(choice, now_ms);

	return identity_choice_refused(choice, &use, now_ms);
}

static enum identity_news accept(struct identity_choice *choice, int64_t now_ms)
{
	struct identity_use use = pick(choice, now_ms);

	return identity_choice_accepted(choice, &use);
}

static void assert_goes_new(struct identity_choice *choice, int64_t now_ms)
{
	struct identity_use use = pick(choice, now_ms);

	assert_ptr_equal(use.identity, choice->identity);
	assert_false(use.is_old || use.is_trial);
}

static void assert_goes_old(struct identity_choice *choice, int64_t now_ms, const struct identity *leaf_of)
{
	struct identity_use use = pick(choice, now_ms);

	assert_true(use.is_old && !use.is_trial);
	assert_true(identity_same_leaf(use.identity, leaf_of));
	assert_ptr_not_equal(use.identity, leaf_of);
}

/* Three certificates, the first one accepted, and the choice after a renewal to the second. */
struct renewed {
	struct identity *a, *b, *c;
	struct identity_choice first, second;
};

static void renew(struct renewed *r, long a_ends_s)
{
	r->a = make("p256", a_ends_s);
	r->b = make("ed25519", 86400);
	r->c = make("p384", 86400);
	follow(&r->first, r->a, NULL);
	assert_int_equal(accept(&r->first, T0), IDENTITY_NO_NEWS);
	follow(&r->second, r->b, &r->first);
	assert_goes_new(&r->second, T0);
}

static void renewed_clear(struct renewed *r)
{
	identity_choice_clear(&r->first);
	identity_choice_clear(&r->second);
	identity_unref(r->a);
	identity_unref(r->b);
	identity_unref(r->c);
}

static void test_accepted_at_once(void **state)
{
	struct renewed r;

	(void)state;
	renew(&r, 86400);
	assert_int_equal(accept(&r.second, T0), IDENTITY_ACCEPTED);
	assert_null(atomic_load(&r.second.old));
	assert_int_equal(accept(&r.second, T0), IDENTITY_NO_NEWS);
	/* What is refused after that was taken back at the target: no old one would help. */
	assert_int_equal(refuse(&r.second, T0), IDENTITY_NO_NEWS);
	assert_goes_new(&r.second, T0);
	renewed_clear(&r);
}

static void test_goes_back_and_tries_again(void **state)
{
	struct identity_use early, trial, old;
	struct renewed r;
	int64_t now = T0;

	(void)state;
	renew(&r, 86400);
	early = pick(&r.second, now);
	assert_int_equal(refuse(&r.second, now), IDENTITY_WENT_BACK);
	/* Those that were under way meanwhile say nothing new. */
	assert_int_equal(identity_choice_refused(&r.second, &early, now + 1), IDENTITY_NO_NEWS);
	assert_goes_old(&r.second, now + IDENTITY_FIRST_TRY_MS - 1, r.a);
	old = pick(&r.second, now);
	assert_int_equal(identity_choice_accepted(&r.second, &old), IDENTITY_NO_NEWS);
	/* Under the policy in force, not under that of its own time. */
	assert_int_equal(SSL_CTX_get_min_proto_version(identity_ctx(old.identity)), TLS1_3_VERSION);
	assert_ptr_equal(SSL_CTX_get_cert_store(identity_ctx(old.identity)),
	    SSL_CTX_get_cert_store(identity_ctx(r.b)));
	assert_int_equal(SSL_CTX_check_private_key(identity_ctx(old.identity)), 1);

	now += IDENTITY_FIRST_TRY_MS;
	trial = pick(&r.second, now);
	assert_true(trial.is_trial && trial.identity == r.b);
	assert_goes_old(&r.second, now, r.a); /* one tries, the others do not */
	assert_int_equal(identity_choice_refused(&r.second, &trial, now), IDENTITY_NO_NEWS);
	assert_goes_old(&r.second, now + IDENTITY_NEXT_TRY_MS - 1, r.a);

	now += IDENTITY_NEXT_TRY_MS;
	trial = pick(&r.second, now);
	assert_true(trial.is_trial);
	/* One that gets no answer, or hangs, neither stops the others nor keeps them from trying for ever. */
	assert_goes_old(&r.second, now + IDENTITY_FIRST_TRY_MS - 1, r.a);
	assert_true(pick(&r.second, now + IDENTITY_FIRST_TRY_MS).is_trial);
	assert_int_equal(identity_choice_accepted(&r.second, &trial), IDENTITY_ACCEPTED);
	assert_null(atomic_load(&r.second.old));
	assert_goes_new(&r.second, now);
	renewed_clear(&r);
}

/* What was dialled ahead of need may be used while dials go under the same; the trial is for a dial of its own. */
static void test_what_is_current(void **state)
{
	struct identity_use early, old, trial;
	struct renewed r;
	int64_t now = T0;

	(void)state;
	renew(&r, 86400);
	early = pick(&r.second, now);
	assert_true(identity_choice_is_current(&r.second, &early, now));
	assert_true(identity_choice_is_current(&r.second, NULL, now));
	assert_int_equal(refuse(&r.second, now), IDENTITY_WENT_BACK);
	assert_false(identity_choice_is_current(&r.second, &early, now));
	old = pick(&r.second, now);
	assert_true(identity_choice_is_current(&r.second, &old, now + IDENTITY_FIRST_TRY_MS - 1));
	assert_true(identity_choice_is_current(&r.second, NULL, now + IDENTITY_FIRST_TRY_MS - 1));

	now += IDENTITY_FIRST_TRY_MS;
	assert_false(identity_choice_is_current(&r.second, &old, now));
	assert_false(identity_choice_is_current(&r.second, NULL, now));
	trial = pick(&r.second, now);
	assert_true(trial.is_trial);
	assert_true(identity_choice_is_current(&r.second, &old, now));
	assert_false(identity_choice_is_current(&r.second, &trial, now));
	assert_int_equal(identity_choice_accepted(&r.second, &trial), IDENTITY_ACCEPTED);
	assert_true(identity_choice_is_current(&r.second, &early, now));
	renewed_clear(&r);
}

static void test_try_now(void **state)
{
	struct renewed r;

	(void)state;
	renew(&r, 86400);
	identity_choice_try_now(&r.second); /* nothing was refused: nothing to try */
	assert_goes_new(&r.second, T0);
	assert_int_equal(refuse(&r.second, T0), IDENTITY_WENT_BACK);
	assert_goes_old(&r.second, T0, r.a);
	identity_choice_try_now(&r.second);
	assert_true(pick(&r.second, T0).is_trial);
	renewed_clear(&r);
}

static void test_old_one_ended(void **state)
{
	struct renewed r;

	(void)state;
	renew(&r, -10);
	assert_int_equal(refuse(&r.second, T0), IDENTITY_NO_NEWS);
	assert_goes_new(&r.second, T0);
	renewed_clear(&r);
}

static void test_old_one_ends_meanwhile(void **state)
{
	struct renewed r;

	(void)state;
	renew(&r, 86400);
	assert_int_equal(refuse(&r.second, T0), IDENTITY_WENT_BACK);
	identity_unref(atomic_load(&r.second.old));
	identity_choice_set_old(&r.second, make("p256", -10));
	assert_goes_new(&r.second, T0);
	renewed_clear(&r);
}

static void test_a_new_one_that_ended_is_not_tried(void **state)
{
	struct identity_choice third;
	struct identity *ended = make("p256", -10);
	struct renewed r;
	struct identity_use use = {.identity = ended};

	(void)state;
	renew(&r, 86400);
	follow(&third, ended, &r.first);
	assert_int_equal(identity_choice_refused(&third, &use, T0), IDENTITY_WENT_BACK);
	assert_goes_old(&third, T0 + IDENTITY_FIRST_TRY_MS, r.a);
	identity_choice_clear(&third);
	identity_unref(ended);
	renewed_clear(&r);
}

static void test_old_one_is_refused_too(void **state)
{
	struct renewed r;

	(void)state;
	renew(&r, 86400);
	assert_int_equal(refuse(&r.second, T0), IDENTITY_WENT_BACK);
	assert_int_equal(refuse(&r.second, T0), IDENTITY_OLD_REFUSED);
	assert_null(atomic_load(&r.second.old));
	assert_goes_new(&r.second, T0);
	assert_int_equal(refuse(&r.second, T0), IDENTITY_NO_NEWS);
	assert_goes_new(&r.second, T0);
	renewed_clear(&r);
}

static void test_nothing_to_go_back_to(void **state)
{
	struct identity_choice first, second, third;
	struct identity *a = make("p256", 86400), *b = make("p384", 86400), *none = without_cert();

	(void)state;
	/* The first start. */
	follow(&first, a, NULL);
	assert_int_equal(refuse(&first, T0), IDENTITY_NO_NEWS);
	assert_goes_new(&first, T0);
	/* One before it that was never accepted. */
	follow(&second, b, &first);
	assert_null(atomic_load(&second.old));
	assert_int_equal(refuse(&second, T0), IDENTITY_NO_NEWS);
	identity_choice_clear(&second);
	/* Out of no certificate, and into none, though an answer had been accepted. */
	follow(&second, none, NULL);
	assert_int_equal(accept(&second, T0), IDENTITY_NO_NEWS);
	follow(&third, b, &second);
	assert_null(atomic_load(&third.old));
	identity_choice_clear(&second);
	accept(&third, T0);
	follow(&second, none, &third);
	assert_null(atomic_load(&second.old));
	assert_int_equal(refuse(&second, T0), IDENTITY_NO_NEWS);
	identity_choice_clear(&first);
	identity_choice_clear(&second);
	identity_choice_clear(&third);
	identity_unref(a);
	identity_unref(b);
	identity_unref(none);
}

static void test_reloads_without_a_new_certificate(void **state)
{
	struct identity_choice third, fourth;
	struct identity_use late;
	struct renewed r;

	(void)state;
	renew(&r, 86400);
	follow(&third, r.b, &r.second); /* before any answer */
	assert_int_equal(refuse(&third, T0), IDENTITY_WENT_BACK);
	assert_goes_old(&third, T0, r.a);
	follow(&fourth, r.b, &third);
	assert_goes_old(&fourth, T0 + 1, r.a);
	assert_true(pick(&fourth, T0 + IDENTITY_FIRST_TRY_MS).is_trial);
	/* A session from before the reload has the answer: it is one for all. */
	late = pick(&r.first, T0);
	assert_int_equal(identity_choice_accepted(&r.first, &late), IDENTITY_NO_NEWS);
	assert_goes_old(&fourth, T0, r.a);
	late = (struct identity_use){.identity = r.b};
	assert_int_equal(identity_choice_accepted(&third, &late), IDENTITY_ACCEPTED);
	assert_goes_new(&fourth, T0);
	assert_int_equal(accept(&fourth, T0), IDENTITY_NO_NEWS);
	assert_null(atomic_load(&fourth.old));
	identity_choice_clear(&third);
	identity_choice_clear(&fourth);
	renewed_clear(&r);
}

static void test_several_renewals(void **state)
{
	struct identity_choice third, fourth;
	struct renewed r;

	(void)state;
	/* While the second is refused, the third comes, refused as well: the first is what was accepted. */
	renew(&r, 86400);
	assert_int_equal(refuse(&r.second, T0), IDENTITY_WENT_BACK);
	follow(&third, r.c, &r.second);
	assert_goes_new(&third, T0);
	assert_int_equal(refuse(&third, T0), IDENTITY_WENT_BACK);
	assert_goes_old(&third, T0, r.a);
	/* The first put back: it is what was accepted, and there is nothing to go back to. */
	follow(&fourth, r.a, &third);
	assert_null(atomic_load(&fourth.old));
	assert_goes_new(&fourth, T0);
	identity_choice_clear(&third);
	/* And that is remembered. */
	follow(&third, r.b, &fourth);
	assert_int_equal(refuse(&third, T0), IDENTITY_WENT_BACK);
	assert_goes_old(&third, T0, r.a);
	identity_choice_clear(&third);
	identity_choice_clear(&fourth);
	renewed_clear(&r);
}

#define THREADS 4
#define ROUNDS 2000

static void *dial_and_tell(void *arg)
{
	struct identity_choice *choice = arg;
	uintptr_t news[4] = {0};
	int i;

	for (i = 0; i < ROUNDS; i++) {
		struct identity_use use = identity_choice_pick(choice, T0);
		enum identity_news what;

		if (i < ROUNDS / 2 && !use.is_old)
			what = identity_choice_refused(choice, &use, T0);
		else
			what = identity_choice_accepted(choice, &use);
		news[what]++;
		if (i == ROUNDS / 2)
			identity_choice_try_now(choice);
		identity_use_clear(&use);
	}
	return (void *)(news[IDENTITY_WENT_BACK] + 100 * news[IDENTITY_ACCEPTED]);
}

static void test_several_workers(void **state)
{
	pthread_t threads[THREADS];
	uintptr_t sum = 0;
	struct renewed r;
	int i;

	(void)state;
	renew(&r, 86400);
	assert_int_equal(refuse(&r.second, T0), IDENTITY_WENT_BACK);
	for (i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, dial_and_tell, &r.second), 0);
	for (i = 0; i < THREADS; i++) {
		void *news;

		pthread_join(threads[i], &news);
		sum += (uintptr_t)news;
	}
	assert_int_equal(sum, 100); /* accepted once, whoever was there first */
	assert_null(atomic_load(&r.second.old));
	renewed_clear(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_accepted_at_once),
	    cmocka_unit_test(test_goes_back_and_tries_again),
	    cmocka_unit_test(test_what_is_current),
	    cmocka_unit_test(test_try_now),
	    cmocka_unit_test(test_old_one_ended),
	    cmocka_unit_test(test_old_one_ends_meanwhile),
	    cmocka_unit_test(test_a_new_one_that_ended_is_not_tried),
	    cmocka_unit_test(test_old_one_is_refused_too),
	    cmocka_unit_test(test_nothing_to_go_back_to),
	    cmocka_unit_test(test_reloads_without_a_new_certificate),
	    cmocka_unit_test(test_several_renewals),
	    cmocka_unit_test(test_several_workers),
	};

	return cmocka_run_group_tests_name("identity_choice", tests, setup, teardown);
}
