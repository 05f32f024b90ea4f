/*
 * secret_memory: see secret_memory.h.
 *
 * Secrets are few and short, and the limit of locked memory is small: they share pages, slot by slot.  A
 * long one has pages of its own.
 */
#include "base/secret_memory.h"

#include <pthread.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include "base/mem.h"

#define SLOT_BYTES 256
#define SLOTS 64
#define REGION_BYTES ((size_t)SLOT_BYTES * SLOTS)

struct region {
	unsigned char *memory;
	uint64_t used; /* a bit for each slot */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct region *regions; /* they stay */
static size_t region_count;

static void *map(size_t bytes)
{
	void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	midrelay_assert(memory != MAP_FAILED);
	(void)madvise(memory, bytes, MADV_DONTDUMP);
	(void)mlock(memory, bytes);
	return memory;
}

static unsigned slots_of(size_t bytes)
{
	return (unsigned)((bytes + SLOT_BYTES - 1) / SLOT_BYTES);
}

static uint64_t run_of(unsigned slots, unsigned first)
{
	uint64_t run = slots == SLOTS ? UINT64_MAX : (UINT64_C(1) << slots) - 1;

	return run << first;
}

static void *take(struct region *region, unsigned slots)
{
	unsigned first;

	for (first = 0; first + slots <= SLOTS; first++) {
		if ((region->used & run_of(slots, first)) == 0) {
			region->used |= run_of(slots, first);
			return region->memory + (size_t)first * SLOT_BYTES;
		}
	}
	return NULL;
}

void *secret_memory_get(size_t bytes)
{
	unsigned slots = slots_of(bytes);
	void *memory = NULL;
	size_t i;

	if (bytes > REGION_BYTES)
		return map(bytes);
	pthread_mutex_lock(&lock);
	for (i = 0; memory == NULL && i < region_count; i++)
		memory = take(&regions[i], slots);
	if (memory == NULL) {
		regions = mem_realloc(regions, (region_count + 1) * sizeof(*regions));
		regions[region_count] = (struct region){map(REGION_BYTES), 0};
		memory = take(&regions[region_count++], slots);
	}
	pthread_mutex_unlock(&lock);
	return memory;
}

void secret_memory_give(void *memory, size_t bytes)
{
	unsigned slots = slots_of(bytes);
	unsigned char *at = memory;
	size_t i;

	explicit_bzero(memory, bytes);
	if (bytes > REGION_BYTES) {
		munmap(memory, bytes);
		return;
	}
	pthread_mutex_lock(&lock);
	for (i = 0; i < region_count; i++) {
		if (at >= regions[i].memory && at < regions[i].memory + REGION_BYTES)
			regions[i].used &= ~run_of(slots, (unsigned)((size_t)(at - regions[i].memory) / SLOT_BYTES));
	}
	pthread_mutex_unlock(&lock);
}
