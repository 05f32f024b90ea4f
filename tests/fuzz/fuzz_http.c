/*
 * Fuzzes HTTP/1.1 through http_relay: the bytes of both sides, given whole, cut at chosen points and byte by
 * byte, must come out the same, with the same faults and the same state; what came out must go through again
 * unchanged; other parsers must find its messages to begin and to end where http_relay does.
 *
 * Input: two bytes choose where the sides are cut; the client's bytes; two NUL bytes; the target's bytes.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "unit/http_drive.h"
#include "unit/http_oracle.h"

#define PREFIX_BYTES 2
/* The rewritten form may be longer than what came, and past the bounds. */
#define AGAIN_MAX_BYTES (HTTP_LINE_BYTES / 2)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const own_hosts[] = {"127.0.0.1", "::1"};
static const struct http_rules rules = {"acme.service-now.com", 443, own_hosts, 2};

struct sides {
	const char *client, *target;
	size_t client_len, target_len;
};

static void run(struct drive *drive, const struct sides *sides, struct drive_splits splits)
{
	drive_run(drive, &rules, "192.0.2.7", sides->client, sides->client_len, sides->target,
	    sides->target_len, splits);
}

static void assert_same_bytes(const struct drive_bytes *a, const struct drive_bytes *b)
{
	midrelay_assert(a->len == b->len);
	midrelay_assert(a->len == 0 || memcmp(a->at, b->at, a->len) == 0);
	midrelay_assert(a->count == b->count);
	midrelay_assert(memcmp(a->messages, b->messages, sizeof(a->messages)) == 0);
}

static void assert_same_text(const char *a, const char *b)
{
	midrelay_assert((a == NULL) == (b == NULL));
	midrelay_assert(a == NULL || strcmp(a, b) == 0);
}

static void assert_same(const struct drive *a, const struct drive *b)
{
	assert_same_bytes(&a->to_target, &b->to_target);
	assert_same_bytes(&a->to_client, &b->to_client);
	assert_same_text(a->client_fault, b->client_fault);
	assert_same_text(a->target_fault, b->target_fault);
	assert_same_text(a->connect, b->connect);
	assert_same_text(a->method, b->method);
	midrelay_assert(a->safe == b->safe && a->keeps == b->keeps && a->upgrade == b->upgrade);
	midrelay_assert(a->clean == b->clean && a->over == b->over && a->raw == b->raw);
	midrelay_assert(a->began == b->began && a->waits == b->waits && a->end_whole == b->end_whole);
	midrelay_assert(a->outstanding == b->outstanding && a->status == b->status);
}

static void assert_fault(const char *fault)
{
	if (fault == NULL)
		return;
	midrelay_assert(fault[0] != '\0' && strlen(fault) < 400);
	for (; *fault != '\0'; fault++)
		midrelay_assert(*fault >= 0x20 && *fault <= 0x7e);
}

/* The Host line that a request of HTTP/1.0 gets may be one more than a head may have. */
static bool is_one_line_too_long(const struct drive *second)
{
	return second->client_fault != NULL && strstr(second->client_fault, "lines") != NULL;
}

/* What went to either side, sent once more. */
static void assert_goes_again(const struct drive *first, const struct sides *sides)
{
	struct sides again = {first->to_target.at, sides->target, first->to_target.len, sides->target_len};
	struct drive second;

	if (sides->client_len + sides->target_len > AGAIN_MAX_BYTES || first->connect[0] != '\0')
		return;
	run(&second, &again, (struct drive_splits){0, 0});
	if (!is_one_line_too_long(&second)) {
		assert_same_bytes(&first->to_target, &second.to_target);
		midrelay_assert(second.client_fault == NULL);
	}
	drive_clear(&second);

	again = (struct sides){sides->client, first->to_client.at, sides->client_len, first->to_client.len};
	run(&second, &again, (struct drive_splits){0, 0});
	assert_same_bytes(&first->to_client, &second.to_client);
	midrelay_assert(second.target_fault == NULL);
	drive_clear(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char why[ORACLE_TEXT_BYTES];
	struct drive whole, other;
	struct sides sides;
	const char *end;

	if (size < PREFIX_BYTES)
		return 0;
	sides.client = (const char *)data + PREFIX_BYTES;
	sides.client_len = size - PREFIX_BYTES;
	end = sides.client_len > 0 ? memmem(sides.client, sides.client_len, "\0\0", 2) : NULL;
	sides.target = end != NULL ? end + 2 : sides.client + sides.client_len;
	sides.target_len = sides.client_len - (size_t)(sides.target - sides.client);
	if (end != NULL)
		sides.client_len = (size_t)(end - sides.client);

	run(&whole, &sides, (struct drive_splits){0, 0});
	assert_fault(whole.client_fault);
	assert_fault(whole.target_fault);
	run(&other, &sides,
	    (struct drive_splits){sides.client_len > 0 ? data[0] * sides.client_len / 256 : 0,
		sides.target_len > 0 ? data[1] * sides.target_len / 256 : 0});
	assert_same(&whole, &other);
	drive_clear(&other);
	run(&other, &sides, (struct drive_splits){DRIVE_BYTES, DRIVE_BYTES});
	assert_same(&whole, &other);
	drive_clear(&other);
	assert_goes_again(&whole, &sides);
	if (!oracle_agrees(&whole, why)) {
		fprintf(stderr, "%s\n", why);
		abort();
	}
	drive_clear(&whole);
	return 0;
}
