/*
 * record_buffers: see record_buffers.h.  Small blocks are kept as well.
 *
 * OpenSSL has no call to give a stream its buffers, but asks for all of its memory through functions that can be
 * replaced.  Blocks are known by their size: those of a kind are all made equally large, so that a block that comes
 * back is known without a list of them.
 */
#include "tls/record_buffers.h"

#include <malloc.h>
#include <openssl/crypto.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* What malloc() may add to a block of the size that was asked for. */
#define SLACK_BYTES 64

struct kept {
	struct kept *next;
};

struct kind {
	size_t above, bytes; /* requests of above < size <= bytes */
	unsigned kept_max; /* of a thread */
};

/*
 * A write buffer and a record read without read-ahead; the messages of a handshake; READ_AHEAD_BYTES of stream.c.  One
 * stream inside another needs two of a kind in one step; a handshake has the first two for several steps.
 */
static const struct kind kinds[] = {{16384, 17408, 8}, {20480, 22528, 8}, {65536, 69632, 4}};
#define KIND_COUNT (sizeof(kinds) / sizeof(kinds[0]))

static _Thread_local struct {
	struct kept *first;
	unsigned count;
} stores[KIND_COUNT];

/*
 * OpenSSL 3 makes and frees some thousands of small blocks in a handshake.  malloc() keeps seven of a size for a thread;
 * beyond those it locks its arena, as soon as a process has threads: a fifth of the user time of a full handshake.
 */
#define SMALL_FIRST 24 /* what malloc() hands out at least; all sizes of glibc are this and a multiple of the step */
#define SMALL_STEP 16
#define SMALL_COUNT 64
#define SMALL_MAX (SMALL_FIRST + SMALL_STEP * (SMALL_COUNT - 1))
/* Of a thread: what some handshakes at once go round with. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SMALL_KEPT_BYTES 0 /* whoever uses a block that was freed is to be found */
#else
#define SMALL_KEPT_BYTES (size_t)(160 * 1024)
#endif

static _Thread_local struct {
	struct kept *first[SMALL_COUNT];
	size_t bytes;
	size_t next; /* the size that has to give up a block next */
} smalls;

/* OpenSSL frees what it has for a thread when that ends, behind record_buffers_clear(): nothing is kept any more then. */
static _Thread_local bool ended;

static void *take_small(size_t bytes)
{
	size_t i = bytes <= SMALL_FIRST ? 0 : (bytes - SMALL_FIRST + SMALL_STEP - 1) / SMALL_STEP;
	struct kept *block = smalls.first[i];

	if (block == NULL)
		return malloc(bytes);
	smalls.first[i] = block->next;
	smalls.bytes -= SMALL_FIRST + SMALL_STEP * i;
	return block;
}

/* The sizes take turns: those that nobody asks for (again) would fill the store in the end. */
static void drop_small(void)
{
	struct kept *block;

	while (smalls.first[smalls.next] == NULL)
		smalls.next = (smalls.next + 1) % SMALL_COUNT;
	block = smalls.first[smalls.next];
	smalls.first[smalls.next] = block->next;
	smalls.bytes -= SMALL_FIRST + SMALL_STEP * smalls.next;
	smalls.next = (smalls.next + 1) % SMALL_COUNT;
	free(block);
}

static bool keep_small(struct kept *block, size_t size)
{
	size_t i = (size - SMALL_FIRST) / SMALL_STEP;

	if (ended || size < SMALL_FIRST || SMALL_KEPT_BYTES == 0)
		return false;
	while (smalls.bytes + size > SMALL_KEPT_BYTES)
		drop_small();
	block->next = smalls.first[i];
	smalls.first[i] = block;
	smalls.bytes += SMALL_FIRST + SMALL_STEP * i;
	return true;
}

static void *on_malloc(size_t bytes, const char *file, int line)
{
	size_t i;

	if (bytes == 0)
		return NULL;
	if (bytes <= SMALL_MAX)
		return take_small(bytes);
	for (i = 0; bytes > kinds[0].above && i < KIND_COUNT; i++) {
		struct kept *block = stores[i].first;

		if (bytes <= kinds[i].above || bytes > kinds[i].bytes)
			continue;
		if (block == NULL)
			return malloc(kinds[i].bytes);
		stores[i].first = block->next;
		stores[i].count--;
		return block;
	}
	return malloc(bytes);
}

/*
 * Many handshakes at once leave blocks between those of the sessions that they led to, where the heap does not shrink:
 * 1 kB for each of 1,000 idle sessions.  The kernel can have the pages meanwhile; what they hold is not needed.
 */
static void give_pages_back(void *bytes, size_t size)
{
	uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = ((uintptr_t)bytes + page - 1) & ~(page - 1), to = ((uintptr_t)bytes + size) & ~(page - 1);

	if (from < to)
		(void)madvise((void *)from, to - from, MADV_DONTNEED);
}

static void on_free(void *bytes, const char *file, int line)
{
	struct kept *block = bytes;
	size_t i, size;

	if (bytes == NULL)
		return;
	size = malloc_usable_size(bytes);
	if (size <= SMALL_MAX) {
		if (!keep_small(block, size))
			free(bytes);
		return;
	}
	for (i = 0; size > kinds[0].above && i < KIND_COUNT; i++) {
		if (size < kinds[i].bytes || size > kinds[i].bytes + SLACK_BYTES)
			continue;
		if (ended)
			break;
		if (stores[i].count == kinds[i].kept_max) {
			give_pages_back(bytes, kinds[i].bytes);
			break;
		}
		block->next = stores[i].first;
		stores[i].first = block;
		stores[i].count++;
		return;
	}
	free(bytes);
}

static void *on_realloc(void *bytes, size_t size, const char *file, int line)
{
	if (bytes == NULL)
		return on_malloc(size, file, line);
	if (size == 0) {
		on_free(bytes, file, line);
		return NULL;
	}
	return realloc(bytes, size);
}

void record_buffers_install(void)
{
	(void)CRYPTO_set_mem_functions(on_malloc, on_realloc, on_free);
}

void record_buffers_clear(void)
{
	struct kept *block;
	size_t i;

	ended = true;
	for (i = 0; i < KIND_COUNT; i++) {
		while ((block = stores[i].first) != NULL) {
			stores[i].first = block->next;
			free(block);
		}
		stores[i].count = 0;
	}
	for (i = 0; i < SMALL_COUNT; i++) {
		while ((block = smalls.first[i]) != NULL) {
			smalls.first[i] = block->next;
			free(block);
		}
	}
	smalls.bytes = 0;
}
