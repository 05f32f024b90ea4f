/*
 * Fuzzes the parser of CONNECT replies: the input, fed whole, byte by byte and in two or three pieces, must
 * end in the same verdict, byte count and sentence; the sentence must be printable; a verdict must not depend
 * on the bytes behind the one that decided it.
 *
 * Input: two bytes choose split points, the lowest bit of a third says whether credentials were sent, the
 * rest is the reply.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dial/http_connect.h"

#define PREFIX_BYTES 3
/* Whole copies per call (for the sanitizer's sake) are quadratic; longer replies are parsed in place. */
#define COPY_MAX_BYTES 512

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	enum http_connect_verdict verdict;
	size_t consumed;
	size_t seen; /* bytes given when the verdict fell */
	struct diagnosis diagnosis;
};

static void feed(
    struct http_connect_parser *parser, const char *from, size_t len, bool sent, struct outcome *o)
{
	struct http_connect_context context = {
	    .proxy_name = "http://proxy:3128", .target = "target:443", .sent_credentials = sent};
	char *copy = len <= COPY_MAX_BYTES && len > 0 ? mem_dup(from, len) : NULL;

	if (o->verdict == HTTP_CONNECT_MORE) {
		o->verdict = http_connect_parse(
		    parser, copy != NULL ? copy : from, len, &context, &o->consumed, &o->diagnosis);
		o->seen = len;
	}
	free(copy);
}

static struct outcome feed_pieces(const char *from, size_t len, size_t first, size_t second, bool sent)
{
	struct http_connect_parser parser = {0};
	struct outcome o = {0};

	feed(&parser, from, first, sent, &o);
	feed(&parser, from, second, sent, &o);
	feed(&parser, from, len, sent, &o);
	return o;
}

static struct outcome feed_bytes(const char *from, size_t len, bool sent)
{
	struct http_connect_parser parser = {0};
	struct outcome o = {0};
	size_t i;

	for (i = 1; i <= len && o.verdict == HTTP_CONNECT_MORE; i++)
		feed(&parser, from, i, sent, &o);
	return o;
}

static void assert_same(const struct outcome *a, const struct outcome *b)
{
	midrelay_assert(a->verdict == b->verdict);
	midrelay_assert(a->consumed == b->consumed);
	midrelay_assert(a->diagnosis.code == b->diagnosis.code);
	midrelay_assert(strcmp(a->diagnosis.sentence, b->diagnosis.sentence) == 0);
}

static void assert_printable(const char *sentence)
{
	midrelay_assert(strlen(sentence) < DIAGNOSIS_SENTENCE_BYTES);
	for (; *sentence != '\0'; sentence++)
		midrelay_assert(*sentence >= 0x20 && *sentence <= 0x7e);
}

static void assert_sound(const struct outcome *o, size_t len)
{
	midrelay_assert(o->consumed <= len);
	midrelay_assert((o->verdict == HTTP_CONNECT_OPEN) == (o->consumed > 0));
	assert_printable(o->diagnosis.sentence);
	if (o->verdict == HTTP_CONNECT_REFUSED || o->verdict == HTTP_CONNECT_BROKEN)
		midrelay_assert(o->diagnosis.sentence[0] != '\0' && o->diagnosis.code != DIAGNOSIS_OK);
	if (o->verdict == HTTP_CONNECT_BROKEN)
		midrelay_assert(o->diagnosis.code == DIAGNOSIS_PROXY_MALFORMED);
	if (o->verdict == HTTP_CONNECT_MORE)
		midrelay_assert(len < HTTP_CONNECT_MAX_HEAD_BYTES);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct http_connect_context context = {.proxy_name = "p", .target = "t:443"};
	struct diagnosis closed;
	struct outcome whole, other;
	size_t len, first, second;
	const char *from;
	bool sent;

	if (size < PREFIX_BYTES)
		return 0;
	from = (const char *)data + PREFIX_BYTES;
	len = size - PREFIX_BYTES;
	sent = (data[2] & 1) != 0;
	first = len > 0 ? data[0] % len : 0;
	second = first + (len > first ? data[1] % (len - first) : 0);

	whole = feed_pieces(from, len, len, len, sent);
	assert_sound(&whole, len);
	other = feed_pieces(from, len, first, second, sent);
	assert_same(&whole, &other);
	other = feed_bytes(from, len, sent);
	assert_same(&whole, &other);
	/* The bytes up to the deciding one are enough. */
	whole = feed_pieces(from, other.seen, other.seen, other.seen, sent);
	assert_same(&whole, &other);

	http_connect_closed(from, len, sent, &context, &closed);
	midrelay_assert(closed.code == DIAGNOSIS_PROXY_CLOSED);
	assert_printable(closed.sentence);
	return 0;
}
