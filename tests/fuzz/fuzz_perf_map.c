/*
 * Any text as a perf map, in two parts: what the first refresh and the second read must be what one reading of
 * both reads, and what is found covers the address.
 */
#include "fuzz.h"

#include "symbols/symbols.h"

static struct host host;
static char path[128];

static void put(const char *name, const void *data, size_t size, bool append)
{
	char full[192];

	snprintf(full, sizeof(full), "%s/%s", fuzz_scratch(), name);
	int fd = open(full, O_WRONLY | O_CREAT | (append ? O_APPEND : O_TRUNC), 0600);

	FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	close(fd);
}

static void prepare(void)
{
	char text[200], dir[128];
	static const char *const dirs[] = {"1", "1/root", "1/root/tmp"};

	if (path[0])
		return;
	for (size_t i = 0; i < 3; i++) {
		snprintf(dir, sizeof(dir), "%s/%s", fuzz_scratch(), dirs[i]);
		mkdir(dir, 0700);
	}
	int n = snprintf(text, sizeof(text), "NSpid:\t1\nUid:\t%u\t0\t0\t0\n", getuid());

	put("1/status", text, (size_t)n, false);
	put("1/stat", "1 (x) S\n", 8, false);
	snprintf(path, sizeof(path), "1/root/tmp/perf-1.map");
	FUZZ_CHECK(host_open(&host, fuzz_scratch(), NULL, NULL) == 0);
}

static void compare(const struct perf_map *a, const struct perf_map *b, uint64_t addr)
{
	uint64_t at_a = addr, at_b = addr;
	const char *x = perf_map_find(a, addr, &at_a), *y = perf_map_find(b, addr, &at_b);

	FUZZ_CHECK(!x == !y);
	FUZZ_CHECK(!x || (strcmp(x, y) == 0 && at_a == at_b && at_a <= addr));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct perf_map *a = NULL, *b = NULL;
	size_t cut = size ? data[0] * size / 256 : 0;

	prepare();
	put(path, data, cut, false);
	FUZZ_CHECK(perf_map_open(&a, &host, 1) == 0);
	put(path, data + cut, size - cut, true);
	FUZZ_CHECK(perf_map_refresh(a) >= 0);
	FUZZ_CHECK(perf_map_open(&b, &host, 1) == 0);
	for (size_t i = 0; i + 4 <= size; i += 3) {
		char hex[5] = {(char)data[i], (char)data[i + 1], (char)data[i + 2],
			       (char)data[i + 3], 0};

		compare(a, b, strtoull(hex, NULL, 16));
	}
	FUZZ_CHECK(perf_map_bytes(a) < 100 << 20);
	perf_map_close(a);
	perf_map_close(b);
	return 0;
}

static void fuzz_seeds(void)
{
	static const char text[] = "1000 100 one\n1040 20 two\n10f0 40 three\n0x2000 0x10 four\n"
				   "1000 100 LazyCompile:*x /a b.js:1:2\n\n1 0 a\nzz\n";

	fuzz_seed("plain", text, sizeof(text) - 1);
	fuzz_seed("cut", text + 5, sizeof(text) - 9);
}
