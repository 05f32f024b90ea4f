/*
 * Runs a fuzz target over the files, and the files in the directories, given as arguments: the corpus stays a
 * test with any compiler.  Fails when nothing was found to run.
 */
#include <dirent.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_MAX_BYTES (1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static unsigned long run_count;

static void fail(const char *path, const char *what)
{
	fprintf(stderr, "replay: %s: %s\n", path, what);
	exit(1);
}

static void run_file(const char *path)
{
	FILE *file = fopen(path, "rb");
	uint8_t *all, *exact;
	size_t len;

	if (file == NULL)
		fail(path, strerror(errno));
	all = malloc(INPUT_MAX_BYTES + 1);
	if (all == NULL)
		fail(path, "out of memory");
	len = fread(all, 1, INPUT_MAX_BYTES + 1, file);
	if (ferror(file) || len > INPUT_MAX_BYTES)
		fail(path, len > INPUT_MAX_BYTES ? "too large" : "cannot be read");
	fclose(file);
	/* Exactly as long as the input, so that a read behind it is seen. */
	exact = malloc(len > 0 ? len : 1);
	if (exact == NULL)
		fail(path, "out of memory");
	memcpy(exact, all, len);
	free(all);
	/* A target that aborts has left the name of its input on the screen. */
	fprintf(stderr, "%s\n", path);
	LLVMFuzzerTestOneInput(exact, len);
	free(exact);
	run_count++;
}

static void run_path(const char *path)
{
	struct dirent *entry;
	struct stat st;
	char *child;
	DIR *dir;

	if (stat(path, &st) != 0)
		fail(path, strerror(errno));
	if (!S_ISDIR(st.st_mode)) {
		run_file(path);
		return;
	}
	dir = opendir(path);
	if (dir == NULL)
		fail(path, strerror(errno));
	while ((entry = readdir(dir)) != NULL) {
		if (entry->d_name[0] == '.')
			continue;
		if (asprintf(&child, "%s/%s", path, entry->d_name) < 0)
			fail(path, "out of memory");
		run_path(child);
		free(child);
	}
	closedir(dir);
}

int main(int argc, char **argv)
{
	int i;

	for (i = 1; i < argc; i++)
		run_path(argv[i]);
	printf("%lu inputs\n", run_count);
	return run_count > 0 ? 0 : 1;
}
