/* Any text as /proc/kallsyms: no crash, and every function that is found begins at or before the address. */
#include "fuzz.h"

#include "symbols/symbols.h"

static int proc_fd = -1;
static struct host host;

static void put(const uint8_t *data, size_t size)
{
	if (proc_fd < 0) {
		FUZZ_CHECK(host_open(&host, fuzz_scratch(), NULL, NULL) == 0);
		proc_fd = openat(host.fd[ROOT_PROC], "kallsyms", O_RDWR | O_CREAT, 0600);
		FUZZ_CHECK(proc_fd >= 0);
	}
	FUZZ_CHECK(ftruncate(proc_fd, 0) == 0);
	FUZZ_CHECK(pwrite(proc_fd, data, size, 0) == (ssize_t)size);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct kernel_symbols *k = NULL;
	char err[160] = "";

	put(data, size);
	int r = kernel_symbols_open(&k, &host, err, sizeof(err));

	if (r < 0) {
		FUZZ_CHECK(!k && err[0] && (r == -EACCES || r == -ENODATA));
		return 0;
	}
	for (size_t i = 0; i + 8 <= size; i += 7) {
		uint64_t addr = strtoull((const char[]){(char)data[i], (char)data[i + 1],
							(char)data[i + 2], (char)data[i + 3],
							(char)data[i + 4], (char)data[i + 5],
							(char)data[i + 6], (char)data[i + 7], 0},
					 NULL, 16);

		addr |= i % 2 ? 0xffffffff00000000 : 0;
		const char *module = NULL, *name = kernel_name(k, addr, &module);

		FUZZ_CHECK(kernel_function(k, addr) <= addr);
		FUZZ_CHECK(!name || (name[0] && module));
		FUZZ_CHECK(name || kernel_function(k, addr) == addr);
	}
	kernel_symbols_close(k);
	return 0;
}

static void fuzz_seeds(void)
{
	static char text[8192];
	FILE *f = fopen("tests/fixtures/kallsyms/proc/kallsyms", "r");

	FUZZ_CHECK(f);
	size_t n = fread(text, 1, sizeof(text), f);

	fclose(f);
	fuzz_seed("captured", text, n);
	fuzz_seed("hidden", "0000000000000000 T _text\n", 25);
}
