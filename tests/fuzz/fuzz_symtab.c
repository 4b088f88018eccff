/*
 * Symbol tables of any file; what is no ELF file is taken as a name to demangle, and as source lines that were read.
 */
#include "fuzz.h"

#include "symbols/lines.h"

#include <sys/auxv.h>
#include <sys/mman.h>

static void check_name(const uint8_t *data, size_t size)
{
	char *name = malloc(size + 1), buf[200];

	memcpy(name, data, size);
	name[size] = 0;
	for (size_t room = 1; room <= sizeof(buf); room = room * 2 + 1) {
		memset(buf, 0x7e, sizeof(buf));
		symbol_demangle(name, buf, room);
		FUZZ_CHECK(strnlen(buf, room) < room);
		FUZZ_CHECK(room == sizeof(buf) || buf[room] == 0x7e);
	}
	free(name);
}

/* The text as the answer of the process that reads source lines, which a file may have taken over. */
static void check_answer(const uint8_t *data, size_t size)
{
	char *said = malloc(size + 1);
	struct symbol_line *l = NULL;
	size_t n = 0;

	memcpy(said, data, size);
	said[size] = 0;
	int r = lines_understand(said, &l, &n);

	FUZZ_CHECK(r <= 0 && (r == 0) == (n != 0) && n <= 64);
	for (size_t i = 0; i < n; i++)
		FUZZ_CHECK(l[i].function && l[i].file && l[i].line >= 0);
	symbol_lines_free(l, n);
	free(said);
}

static void check_table(int fd)
{
	static const uint64_t near[] = {0, 0x1000, 0x1040, 0x1100, 0x2000, 0x400000, UINT64_MAX};
	struct symtab *t = NULL;
	char buf[300];
	int r = symtab_open(&t, fd, "");

	FUZZ_CHECK((r == -ENOEXEC || r == -ENOMEM) == !t);
	if (!t)
		return;
	FUZZ_CHECK(symtab_count(t) == 0 || r == 0);
	FUZZ_CHECK(symtab_bytes(t) < 64 << 20);
	FUZZ_CHECK(symtab_is_full(t) == !symtab_missing(t)[0] || r == -ENODATA);
	for (size_t i = 0; i < sizeof(near) / sizeof(*near); i++)
		for (uint64_t at = near[i]; at < near[i] + 256 && at >= near[i]; at += 3) {
			uint64_t start = at;

			if (symtab_find(t, at, buf, sizeof(buf), &start) == 0)
				FUZZ_CHECK(start <= at && buf[0]);
		}
	symtab_close(t);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < 4 || memcmp(data, "\177ELF", 4) != 0) {
		check_name(data, size);
		check_answer(data, size);
		return 0;
	}
	int fd = memfd_create("fuzz", MFD_CLOEXEC);

	FUZZ_CHECK(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	check_table(fd);
	close(fd);
	return 0;
}

/* A library with a PLT, of a few kilobytes. */
static void seed_library(const char *name, const char *flags)
{
	static uint8_t data[128 << 10];
	char cmd[700];

	snprintf(cmd, sizeof(cmd),
		 "cd '%s' && printf 'int puts(const char *); static int f(int x) { return x * 3; }"
		 "int g(int x) { return f(puts(\"\")) + x; } int h(int) "
		 "__attribute__((alias(\"g\")));' >s.c && "
		 "cc -O1 -shared -nostdlib -fPIC -Wl,-z,noseparate-code -o s s.c %s 2>/dev/null",
		 fuzz_scratch(), flags);
	if (system(cmd))
		return;
	snprintf(cmd, sizeof(cmd), "%s/s", fuzz_scratch());
	int fd = open(cmd, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, data, sizeof(data));

	if (n > 0)
		fuzz_seed(name, data, (size_t)n);
	if (fd >= 0)
		close(fd);
}

/* The table that Go's linker makes, of two functions, put into the library. */
static void seed_go(void)
{
	static const uint64_t words[] = {2, 0, 0x2c0, 72, 0, 0, 0, 80};
	static const uint32_t table[] = {0, 20, 8, 28, 20, 0, 0, 8, 4};
	uint8_t data[8 + sizeof(words) + 8 + sizeof(table)] = {0xf0, 0xff, 0xff, 0xff, 0, 0, 1, 8};
	char flags[200], path[128];

	memcpy(data + 8, words, sizeof(words));
	memcpy(data + 72, "a.F\0a.G", 8);
	memcpy(data + 80, table, sizeof(table));
	snprintf(path, sizeof(path), "%s/go", fuzz_scratch());
	FILE *f = fopen(path, "w");

	FUZZ_CHECK(f && fwrite(data, sizeof(data), 1, f) == 1 && !fclose(f));
	snprintf(flags, sizeof(flags), "-s && objcopy --add-section .gopclntab='%s' s s && true",
		 path);
	seed_library("go", flags);
}

static void fuzz_seeds(void)
{
	static const char *const names[] = {
		"_ZNSt6vectorIiSaIiEE9push_backEOi",
		"_ZN4core3fmt9Formatter3pad17h0123456789abcdefE",
		"_RNvMNtCs6xxl1lAjzDf_1a3labINtB2_4Box2lE4peekB4_",
		"_ZN3fooIiE3barERKS0_.cold",
	};
	const uint8_t *vdso = (const uint8_t *)(uintptr_t)getauxval(AT_SYSINFO_EHDR);

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char file[16];

		snprintf(file, sizeof(file), "name%zu", i);
		fuzz_seed(file, names[i], strlen(names[i]));
	}
	if (vdso)
		fuzz_seed("vdso", vdso, 8192);
	seed_library("plain", "");
	seed_library("lazy", "-Wl,-z,lazy -Wl,--build-id");
	seed_library("ibt", "-fcf-protection=full -Wl,-z,ibtplt");
	seed_library("debug", "-g");
	seed_library("stripped", "-s");
	seed_go();
	fuzz_seed("answer", "0 2\n6 1\n4 0\nthird\n/a.c\n10 0\n9 1\nfirst\n/a b.c\n", 45);
	fuzz_seed("answer-61", "-61 0\n", 6);
}
