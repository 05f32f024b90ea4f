/*
 * The mutator that fuzz_judge has under libFuzzer: it changes the value of one element somewhere in the DER
 * of one part and puts the lengths around it right, so that the change gets past the parser; or it leaves all
 * to libFuzzer.
 */
#include <openssl/asn1.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "hostile_input.h"

#define MAX_DEPTH 24
#define VALUE_MAX_BYTES 1024
#define VALUE_ROOM_BYTES 64

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t max_size);
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed);

struct element {
	size_t head, value, end; /* offsets */
};

/* One element within [at, end), with a definite length of at most two bytes. */
static bool element_at(const uint8_t *data, size_t at, size_t end, struct element *element)
{
	size_t len, more;

	if (end - at < 2 || (data[at] & 0x1f) == 0x1f)
		return false;
	len = data[at + 1];
	more = len < 0x80 ? 0 : len == 0x81 ? 1 : len == 0x82 ? 2 : 9;
	if (more == 9 || end - at < 2 + more)
		return false;
	if (more > 0)
		len = more == 1 ? data[at + 2] : (size_t)data[at + 2] << 8 | data[at + 3];
	*element = (struct element){at, at + 2 + more, at + 2 + more + len};
	return element->end <= end;
}

/* A random walk down; *depth elements of `path`, the last to be changed. */
static bool choose(const uint8_t *data, size_t begin, size_t end, struct element *path, size_t *depth)
{
	struct element found;
	size_t at, count, skip;

	for (*depth = 0; *depth < MAX_DEPTH;) {
		for (count = 0, at = begin; at < end && element_at(data, at, end, &found); at = found.end)
			count++;
		if (count == 0 || at != end || (*depth > 1 && rand() % 8 == 0))
			break;
		skip = (size_t)rand() % count;
		for (at = begin; element_at(data, at, end, &found) && skip > 0; at = found.end)
			skip--;
		path[(*depth)++] = found;
		begin = found.value;
		end = found.end;
		/* OCTET STRINGs of extensions have DER inside; others are seen not to. */
		if ((data[found.head] & 0x20) == 0 && data[found.head] != 0x04)
			break;
	}
	return *depth > 0;
}

/*
 * Only lengths that keep their form: the two-byte one that a certificate's outer elements have, or the short
 * one.
 */
static bool fix_lengths(uint8_t *data, const struct element *path, size_t depth, long change)
{
	size_t i;

	for (i = 0; i < depth; i++) {
		size_t len = (size_t)((long)(path[i].end - path[i].value) + change),
		    form = path[i].value - path[i].head;

		if ((form == 2 && len > 0x7f) || (form == 3 && len > 0xff) || (form == 4 && len > 0xffff))
			return false;
	}
	for (i = 0; i < depth; i++) {
		size_t len = (size_t)((long)(path[i].end - path[i].value) + change);

		data[path[i].value - 1] = (uint8_t)len;
		if (path[i].value - path[i].head == 4)
			data[path[i].value - 2] = (uint8_t)(len >> 8);
	}
	return true;
}

/* Replaces [value, end) of the last element; the new size, or 0 when that does not fit. */
static size_t change_value(uint8_t *data, size_t size, size_t max_size, const struct element *path,
    size_t depth)
{
	const struct element *last = &path[depth - 1];
	size_t old_len = last->end - last->value, new_len;
	uint8_t value[VALUE_MAX_BYTES];
	long change;

	if (old_len > sizeof(value) - VALUE_ROOM_BYTES)
		return 0;
	memcpy(value, data + last->value, old_len);
	new_len = LLVMFuzzerMutate(value, old_len, rand() % 4 == 0 ?
	    old_len + VALUE_ROOM_BYTES : old_len + 1);
	change = (long)new_len - (long)old_len;
	if (size + new_len - old_len > max_size || !fix_lengths(data, path, depth, change))
		return 0;
	memmove(data + last->value + new_len, data + last->end, size - last->end);
	memcpy(data + last->value, value, new_len);
	return size + new_len - old_len;
}

/* Swaps, doubles or drops nothing: the order of parts is libFuzzer's to change. */
static size_t mutate_part(uint8_t *data, size_t size, size_t max_size)
{
	size_t heads[HOSTILE_MAX_PARTS], at, count = 0, depth, begin, len, new_size;
	struct element path[MAX_DEPTH];

	for (at = HOSTILE_HEAD_BYTES; count < HOSTILE_MAX_PARTS && at + HOSTILE_PART_HEAD_BYTES <= size;) {
		len = (size_t)data[at + 2] << 8 | data[at + 3];
		if (at + HOSTILE_PART_HEAD_BYTES + len > size)
			break;
		heads[count++] = at;
		at += HOSTILE_PART_HEAD_BYTES + len;
	}
	if (count == 0)
		return 0;
	at = heads[(size_t)rand() % count];
	len = (size_t)data[at + 2] << 8 | data[at + 3];
	begin = at + HOSTILE_PART_HEAD_BYTES;
	if (!choose(data, begin, begin + len, path, &depth))
		return 0;
	new_size = change_value(data, size, max_size, path, depth);
	if (new_size == 0)
		return 0;
	len = len + new_size - size;
	data[at + 2] = (uint8_t)(len >> 8);
	data[at + 3] = (uint8_t)len;
	return new_size;
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max_size, unsigned seed)
{
	size_t new_size = 0;
	unsigned how;

	srand(seed);
	how = (unsigned)rand() % 16;
	if (size >= HOSTILE_HEAD_BYTES && how == 0) {
		data[rand() % HOSTILE_HEAD_BYTES] ^= (uint8_t)(1u << (rand() % 8));
		return size;
	}
	if (how > 2)
		new_size = mutate_part(data, size, max_size);
	return new_size > 0 ? new_size : LLVMFuzzerMutate(data, size, max_size);
}
