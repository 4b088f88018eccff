/* pprof's profile.proto, plain (as seeds are, so that changes reach what is in it) and gzipped. */
#include "import.h"

#include <zlib.h>

static void seed_plain(const char *name)
{
	static uint8_t data[256 << 10];
	char path[256];
	gzFile f;
	int n;

	snprintf(path, sizeof(path), "tests/fixtures/profiles/%s", name);
	f = gzopen(path, "r");
	FUZZ_CHECK(f);
	n = gzread(f, data + 1, sizeof(data) - 1);
	gzclose(f);
	data[0] = 2;
	FUZZ_CHECK(n > 0);
	snprintf(path, sizeof(path), "%s.plain", name);
	fuzz_seed(path, data, (size_t)n + 1);
}

static void fuzz_seeds(void)
{
	import_seed("go.cpu.pb.gz");
	seed_plain("go.cpu.pb.gz");
	seed_plain("go.heap.pb.gz");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return import_fuzz(data, size, IMPORT_PPROF);
}
