/*
 * What every fuzz target shares: seeds, and a scratch folder in memory.
 *
 * A target is tests/fuzz/fuzz_NAME.c with LLVMFuzzerTestOneInput() and fuzz_seeds(). Started with
 * FUZZ_SEEDS=FOLDER in the environment it writes its seeds there (made from tests/fixtures) and
 * ends.
 */
#ifndef STROBE_FUZZ_FUZZ_H
#define STROBE_FUZZ_FUZZ_H

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Like assert, also where assert is compiled out. */
#define FUZZ_CHECK(what)                                                                           \
	do {                                                                                       \
		if (!(what)) {                                                                     \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #what);                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Writes the target's seeds with fuzz_seed(). */
static void fuzz_seeds(void);

static char fuzz_dir[64];

static void fuzz_remove_dir(void)
{
	char cmd[96];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", fuzz_dir);
	if (fuzz_dir[0] && system(cmd))
		fprintf(stderr, "%s is left behind\n", fuzz_dir);
}

/* The scratch folder, made at the first call and removed at exit. */
static inline const char *fuzz_scratch(void)
{
	if (!fuzz_dir[0]) {
		snprintf(fuzz_dir, sizeof(fuzz_dir), "%s/strobe-fuzz-XXXXXX",
			 access("/dev/shm", W_OK) ? "/tmp" : "/dev/shm");
		FUZZ_CHECK(mkdtemp(fuzz_dir));
		atexit(fuzz_remove_dir);
	}
	return fuzz_dir;
}

static inline void fuzz_seed(const char *name, const void *data, size_t len)
{
	char path[512];

	snprintf(path, sizeof(path), "%s/%s", getenv("FUZZ_SEEDS"), name);
	FILE *f = fopen(path, "w");

	FUZZ_CHECK(f && fwrite(data, 1, len, f) == len && !fclose(f));
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	if (getenv("FUZZ_SEEDS")) {
		fuzz_seeds();
		exit(0);
	}
	return 0;
}

#endif
