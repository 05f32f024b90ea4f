/*
 * Fuzzes the look at a target's first answer: the input, fed whole, byte by byte and in two pieces, must end
 * in the same verdict and sentence; the sentence must be printable; nothing is kept once it is decided.
 *
 * Input: a byte that chooses the split point, then the answer.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "dial/first_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct outcome {
	enum first_answer_verdict verdict;
	struct diagnosis diagnosis;
};

static struct outcome feed(const uint8_t *from, size_t len, size_t first, size_t step)
{
	struct outcome o = {.verdict = FIRST_ANSWER_MORE};
	struct first_answer answer = {0};
	size_t at = 0, part = first;

	while (at < len && o.verdict == FIRST_ANSWER_MORE) {
		void *copy;

		if (part == 0 || part > len - at)
			part = len - at;
		copy = mem_dup(from + at, part);
		o.verdict = first_answer_take(&answer, copy, part, &o.diagnosis);
		free(copy);
		at += part;
		part = step;
	}
	if (o.verdict != FIRST_ANSWER_MORE)
		midrelay_assert(answer.kept == NULL);
	first_answer_clear(&answer);
	return o;
}

static void check_same(const struct outcome *a, const struct outcome *b)
{
	midrelay_assert(a->verdict == b->verdict);
	midrelay_assert(strcmp(a->diagnosis.sentence, b->diagnosis.sentence) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct outcome whole, bytes, pieces;
	const char *c;

	if (size < 2)
		return 0;
	whole = feed(data + 1, size - 1, 0, 0);
	bytes = feed(data + 1, size - 1, 1, 1);
	pieces = feed(data + 1, size - 1, 1 + (size_t)data[0] * 2, 0);
	check_same(&whole, &bytes);
	check_same(&whole, &pieces);
	if (whole.verdict == FIRST_ANSWER_REFUSED)
		midrelay_assert(whole.diagnosis.code == DIAGNOSIS_INSTANCE_CERT_REFUSED);
	for (c = whole.diagnosis.sentence; *c != '\0'; c++)
		midrelay_assert(*c >= 0x20 && *c <= 0x7e);
	return 0;
}
