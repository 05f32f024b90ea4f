/*
 * file_watch: see file_watch.h.
 *
 * Answers for signatures and for which files count.  When to look, and what a change leads to, is
 * renewal.c's.
 */
#include "service/file_watch.h"

#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/mem.h"
#include "base/secret.h"
#include "base/text.h"
#include "tls/trust.h"

/* More than trust.c reads. */
#define MAX_DIR_ENTRIES 4096
#define SECOND_NS INT64_C(1000000000)

enum { WORD_ERROR, WORD_TARGET, WORD_DEVICE, WORD_INODE, WORD_MODE, WORD_SIZE, WORD_MTIME, WORD_CTIME,
    WORD_TREE, WORDS };

struct signature {
	uint64_t words[WORDS];
	int64_t newest_ns; /* the latest time in it; not compared */
};

struct entry {
	char *file;
	struct signature known, seen;
};

struct file_watch {
	struct entry *entries;
	size_t count;
};

/* FNV-1a, 64 bits: to tell changes apart, not to withstand anyone. */
static uint64_t hash(uint64_t from, const void *bytes, size_t len)
{
	const unsigned char *byte = bytes;
	size_t i;

	for (i = 0; i < len; i++)
		from = (from ^ byte[i]) * UINT64_C(0x100000001b3);
	return from;
}

#define HASH_START UINT64_C(0xcbf29ce484222325)

static int64_t ns(const struct timespec *time)
{
	return (int64_t)time->tv_sec * SECOND_NS + time->tv_nsec;
}

static void sign_stat(const struct stat *st, struct signature *signature)
{
	int64_t mtime_ns = ns(&st->st_mtim), ctime_ns = ns(&st->st_ctim);

	signature->words[WORD_DEVICE] = (uint64_t)st->st_dev;
	signature->words[WORD_INODE] = (uint64_t)st->st_ino;
	signature->words[WORD_MODE] = (uint64_t)st->st_mode;
	signature->words[WORD_SIZE] = (uint64_t)st->st_size;
	signature->words[WORD_MTIME] = (uint64_t)mtime_ns;
	signature->words[WORD_CTIME] = (uint64_t)ctime_ns;
	if (mtime_ns > signature->newest_ns)
		signature->newest_ns = mtime_ns;
	if (ctime_ns > signature->newest_ns)
		signature->newest_ns = ctime_ns;
}

/* One certificate file in a directory. */
static uint64_t sign_dir_entry(DIR *dir, const char *name, struct signature *signature)
{
	struct signature own = {{0}, 0};
	struct stat st;

	if (fstatat(dirfd(dir), name, &st, 0) != 0)
		own.words[WORD_ERROR] = (uint64_t)errno;
	else
		sign_stat(&st, &own);
	if (own.newest_ns > signature->newest_ns)
		signature->newest_ns = own.newest_ns;
	return hash(hash(HASH_START, name, strlen(name)), own.words, sizeof(own.words));
}

/* The order in which a directory tells its entries is no matter: their hashes are added up. */
static void sign_dir(const char *path, struct signature *signature)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	uint64_t tree = 0;
	unsigned count = 0;

	if (dir == NULL) {
		signature->words[WORD_ERROR] = (uint64_t)errno;
		return;
	}
	while (count < MAX_DIR_ENTRIES && (entry = readdir(dir)) != NULL) {
		if (!trust_reads_name(entry->d_name))
			continue;
		count++;
		tree += sign_dir_entry(dir, entry->d_name, signature);
	}
	closedir(dir);
	signature->words[WORD_TREE] = tree;
}

static void sign(const char *file, struct signature *signature)
{
	char *target = realpath(file, NULL);
	struct stat st;

	memset(signature, 0, sizeof(*signature));
	if (target == NULL || stat(target, &st) != 0) {
		signature->words[WORD_ERROR] = (uint64_t)errno;
	} else if (S_ISDIR(st.st_mode)) {
		/* Its own times change with files in it that nobody reads. */
		signature->words[WORD_DEVICE] = (uint64_t)st.st_dev;
		signature->words[WORD_INODE] = (uint64_t)st.st_ino;
		signature->words[WORD_MODE] = (uint64_t)st.st_mode;
		sign_dir(target, signature);
	} else {
		sign_stat(&st, signature);
	}
	if (target != NULL)
		signature->words[WORD_TARGET] = hash(HASH_START, target, strlen(target));
	free(target);
}

static bool differ(const struct signature *a, const struct signature *b)
{
	return memcmp(a->words, b->words, sizeof(a->words)) != 0;
}

struct file_watch *file_watch_new(void)
{
	return mem_calloc(1, sizeof(struct file_watch));
}

void file_watch_free(struct file_watch *watch)
{
	size_t i;

	if (watch == NULL)
		return;
	for (i = 0; i < watch->count; i++)
		free(watch->entries[i].file);
	free(watch->entries);
	free(watch);
}

static struct entry *find(const struct file_watch *watch, const char *file)
{
	size_t i;

	for (i = 0; i < watch->count; i++) {
		if (strcmp(watch->entries[i].file, file) == 0)
			return &watch->entries[i];
	}
	return NULL;
}

/* Takes the name. */
static struct entry *add(struct file_watch *watch, char *file)
{
	struct entry *entry;

	watch->entries = mem_realloc(watch->entries, (watch->count + 1) * sizeof(*watch->entries));
	entry = &watch->entries[watch->count++];
	memset(entry, 0, sizeof(*entry));
	entry->file = file;
	return entry;
}

void file_watch_add(struct file_watch *watch, const char *file)
{
	struct entry *entry;

	if (file == NULL || find(watch, file) != NULL)
		return;
	entry = add(watch, mem_strdup(file));
	sign(file, &entry->known);
	entry->seen = entry->known;
}

static void add_secret(struct file_watch *watch, const char *ref)
{
	char *file = ref == NULL ? NULL : secret_ref_file(ref);

	file_watch_add(watch, file);
	free(file);
}

void file_watch_add_config(struct file_watch *watch, const struct config *config)
{
	size_t i, j;

	for (i = 0; i < config->relay_count; i++) {
		const struct config_relay *relay = &config->relays[i];

		file_watch_add(watch, relay->client_bundle);
		file_watch_add(watch, relay->client_cert);
		if (relay->client_key != NULL && !text_is_uri(relay->client_key))
			file_watch_add(watch, relay->client_key);
		file_watch_add(watch, relay->client_chain);
		file_watch_add(watch, relay->trust);
		file_watch_add(watch, relay->crl_file);
		if (!config_relay_makes_cert(relay))
			file_watch_add(watch, relay->listen_cert);
		file_watch_add(watch, relay->listen_key);
		file_watch_add(watch, relay->listen_client_ca);
		add_secret(watch, relay->client_passphrase_ref);
		for (j = 0; j < relay->path_count; j++) {
			add_secret(watch, relay->paths[j].password_ref);
			file_watch_add(watch, relay->paths[j].trust);
			file_watch_add(watch, relay->paths[j].client_bundle);
		}
	}
}

void file_watch_merge(struct file_watch *watch, struct file_watch *from)
{
	size_t i;

	for (i = 0; i < from->count; i++) {
		struct entry *entry = find(watch, from->entries[i].file);

		if (entry == NULL)
			entry = add(watch, mem_strdup(from->entries[i].file));
		entry->known = from->entries[i].known;
		entry->seen = entry->known;
	}
	file_watch_free(from);
}

void file_watch_look(struct file_watch *watch, struct file_watch_news *news)
{
	struct timespec now;
	size_t i;

	memset(news, 0, sizeof(*news));
	clock_gettime(CLOCK_REALTIME, &now);
	for (i = 0; i < watch->count; i++) {
		struct entry *entry = &watch->entries[i];
		int64_t age_ns;

		sign(entry->file, &entry->seen);
		if (!differ(&entry->seen, &entry->known))
			continue;
		news->count++;
		age_ns = ns(&now) - entry->seen.newest_ns;
		if (age_ns > -SECOND_NS && age_ns < FILE_WATCH_SETTLE_MS * INT64_C(1000000))
			news->unsettled = true;
	}
}

const char *file_watch_changed(const struct file_watch *watch, size_t *next)
{
	while (*next < watch->count) {
		const struct entry *entry = &watch->entries[(*next)++];

		if (differ(&entry->seen, &entry->known))
			return entry->file;
	}
	return NULL;
}

void file_watch_accept(struct file_watch *watch)
{
	size_t i;

	for (i = 0; i < watch->count; i++)
		watch->entries[i].known = watch->entries[i].seen;
}
