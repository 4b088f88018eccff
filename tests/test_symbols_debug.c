#include "symbols_lab.h"

#include <elf.h>
#include <limits.h>
#include <lzma.h>

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			ck_abort_msg("%s", #x);                                                    \
	} while (0)

static char dir[64], root[80];

static void setup(void)
{
	support_dir(dir);
	snprintf(root, sizeof(root), "%s/root", dir);
	mkdir(root, 0755);
}

static void teardown(void)
{
	support_rm(dir);
}

static uint64_t local_at, main_at;
static char id[64];

/* dir/prog keeps its symbols, dir/bare is stripped, dir/full.debug is what was stripped. */
static void split(const char *flags)
{
	lab_build(dir, flags);
	local_at = lab_address(dir, "prog", "local");
	main_at = lab_address(dir, "prog", "main");
	lab_build_id(id, dir, "prog");
	lab_run("cd '%s' && objcopy --only-keep-debug prog full.debug && strip -o bare prog", dir);
}

static void place(const char *below)
{
	lab_run("mkdir -p '%s/usr/lib/debug/.build-id/%.2s' && "
		"cp '%s/full.debug' '%s/usr/lib/debug/.build-id/%.2s/%s.debug'",
		below, id, dir, below, id, id + 2);
}

START_TEST(without_symbols_it_says_what_would_supply_them)
{
	struct symtab *t;

	split("");
	ck_assert_int_eq(lab_symtab(&t, dir, "bare", root), 0);
	MUST(!symtab_is_full(t));
	ck_assert_str_eq(lab_name(t, local_at), "");
	MUST(strstr(symtab_missing(t), id));
	MUST(strstr(symtab_missing(t), SYMTAB_PACKAGE));
	symtab_close(t);
	split("-Wl,--build-id=none");
	ck_assert_int_eq(lab_symtab(&t, dir, "bare", root), 0);
	MUST(strstr(symtab_missing(t), "no build-id"));
	symtab_close(t);
}
END_TEST

START_TEST(a_static_program_without_symbols_has_no_table)
{
	struct symtab *t;

	split("-static");
	int r = lab_symtab(&t, dir, "bare", root);

	ck_assert_int_eq(r, -ENODATA);
	MUST(t && !symtab_is_full(t) && strstr(symtab_missing(t), "no function has a name"));
	ck_assert_str_eq(lab_name(t, local_at), "");
	symtab_close(t);
}
END_TEST

START_TEST(the_debug_file_of_its_build_id)
{
	struct symtab *t;

	split("");
	place(root);
	ck_assert_int_eq(lab_symtab(&t, dir, "bare", root), 0);
	MUST(symtab_is_full(t));
	ck_assert_str_eq(symtab_missing(t), "");
	ck_assert_str_eq(lab_name(t, local_at), "local");
	ck_assert_str_eq(lab_name(t, main_at), "main");
	/* The table reads names from the debug file, which may go. */
	lab_run("rm -r '%s/usr'", root);
	ck_assert_str_eq(lab_name(t, local_at), "local");
	symtab_close(t);
}
END_TEST

START_TEST(a_debug_file_of_another_build_is_refused)
{
	struct symtab *t;

	split("");
	lab_run("cd '%s' && cc -O0 -g -DOTHER -Wl,--build-id=0x%.39s%d -o other prog.c && "
		"objcopy --only-keep-debug other full.debug",
		dir, id, id[39] == '1' ? 2 : 1);
	place(root);
	ck_assert_int_eq(lab_symtab(&t, dir, "bare", root), 0);
	MUST(!symtab_is_full(t));
	ck_assert_str_eq(lab_name(t, local_at), "");
	symtab_close(t);
}
END_TEST

/* A container's user must not have the agent read a file of the host. */
START_TEST(links_do_not_lead_out_of_the_root)
{
	struct symtab *t;

	split("");
	place(root);
	lab_run("f='%s/usr/lib/debug/.build-id/%.2s/%s.debug' && rm \"$f\" && "
		"ln -s '%s/full.debug' \"$f\"",
		root, id, id + 2, dir);
	ck_assert_int_eq(lab_symtab(&t, dir, "bare", root), 0);
	MUST(!symtab_is_full(t));
	symtab_close(t);
	/* One that stays within is followed. */
	lab_run("f='%s/usr/lib/debug/.build-id/%.2s/%s.debug' && rm \"$f\" && cp '%s/full.debug' "
		"'%s/kept' && ln -s /kept \"$f\"",
		root, id, id + 2, dir, root);
	ck_assert_int_eq(lab_symtab(&t, dir, "bare", root), 0);
	MUST(symtab_is_full(t));
	symtab_close(t);
}
END_TEST

START_TEST(a_fifo_in_its_place_holds_nobody_up)
{
	struct symtab *t;

	split("");
	place(root);
	lab_run("f='%s/usr/lib/debug/.build-id/%.2s/%s.debug' && rm \"$f\" && mkfifo \"$f\"", root,
		id, id + 2);
	ck_assert_int_eq(lab_symtab(&t, dir, "bare", root), 0);
	MUST(!symtab_is_full(t));
	symtab_close(t);
}
END_TEST

static bool linked_is_full(void)
{
	struct symtab *t;

	ck_assert_int_eq(lab_symtab(&t, dir, "linked", root), 0);
	bool full = symtab_is_full(t);

	ck_assert_str_eq(lab_name(t, local_at), full ? "local" : "");
	symtab_close(t);
	return full;
}

/* Without a build-id, by name and checksum: beside the file, in .debug, below /usr/lib/debug. */
START_TEST(the_debug_file_of_its_link)
{
	split("-Wl,--build-id=none");
	lab_run("cd '%s' && objcopy --add-gnu-debuglink=full.debug bare linked", dir);
	MUST(linked_is_full());
	lab_run("cd '%s' && mkdir .debug && mv full.debug .debug", dir);
	MUST(linked_is_full());
	lab_run("cd '%s' && mkdir -p 'root/usr/lib/debug%s' && mv .debug/full.debug "
		"'root/usr/lib/debug%s'",
		dir, dir, dir);
	MUST(linked_is_full());
	lab_run("cd '%s' && mv 'root/usr/lib/debug%s/full.debug' . && echo >>full.debug", dir, dir);
	MUST(!linked_is_full());
}
END_TEST

/* dir/mini: stripped, with an xz file in .gnu_debugdata as Fedora makes them. */
static void add_mini(const uint8_t *data, size_t len)
{
	static uint8_t packed[1 << 20];
	size_t n = 0;

	ck_assert_int_eq(lzma_easy_buffer_encode(6, LZMA_CHECK_CRC64, NULL, data, len, packed, &n,
						 sizeof(packed)),
			 LZMA_OK);
	support_write(dir, "mini.xz", packed, n);
	lab_run("cd '%s' && objcopy --add-section .gnu_debugdata=mini.xz bare mini", dir);
}

START_TEST(the_small_table_in_xz)
{
	static uint8_t data[1 << 20];
	struct symtab *t;

	split("");
	lab_run("cd '%s' && objcopy -S --remove-section .comment full.debug small && "
		"objcopy --strip-debug full.debug small",
		dir);
	int fd = lab_open(dir, "small");
	ssize_t n = read(fd, data, sizeof(data));

	close(fd);
	MUST(n > 1000);
	add_mini(data, (size_t)n);
	ck_assert_int_eq(lab_symtab(&t, dir, "mini", root), 0);
	MUST(symtab_is_full(t));
	ck_assert_str_eq(lab_name(t, local_at), "local");
	ck_assert_str_eq(lab_name(t, main_at), "main");
	symtab_close(t);
	/* What is no ELF file in it, or no xz file, leaves the exported functions. */
	add_mini((const uint8_t *)"nonsense", 8);
	ck_assert_int_eq(lab_symtab(&t, dir, "mini", root), 0);
	MUST(!symtab_is_full(t));
	symtab_close(t);
	lab_run("cd '%s' && echo nonsense >mini.xz && "
		"objcopy --add-section .gnu_debugdata=mini.xz bare mini",
		dir);
	ck_assert_int_eq(lab_symtab(&t, dir, "mini", root), 0);
	MUST(!symtab_is_full(t));
	symtab_close(t);
}
END_TEST

/* ---- source lines ---- */

static const char inlined_program[] =
	"#include <stdlib.h>\n"
	"volatile int sink;\n"
	"#define IN static inline __attribute__((always_inline)) int\n"
	"IN third(int x)\n"
	"{\n"
	"	return x * sink;\n" /* 6 */
	"}\n"
	"IN second(int x)\n"
	"{\n"
	"	return third(x) + 3;\n" /* 10 */
	"}\n"
	"__attribute__((noinline)) int first(int x)\n"
	"{\n"
	"	sink = x;\n"
	"	return second(x) + 1;\n" /* 15 */
	"}\n"
	"int main(int c, char **v)\n"
	"{\n"
	"	return first(atoi(v[c - 1]));\n"
	"}\n";

/* The chain at the multiplication, from any file that has the lines. */
static void check_lines(const char *name, const char *debug_root, uint64_t first)
{
	static const struct {
		const char *function;
		int line;
	} want[] = {{"third", 6}, {"second", 10}, {"first", 15}};
	struct symbol_line *l;
	size_t n;
	bool found = false;
	int fd = lab_open(dir, name);

	for (uint64_t at = first; at < first + 64 && !found; at++) {
		ck_assert_int_eq(symbol_lines(fd, debug_root, &at, 1, &l, &n), 0);
		found = n == 3;
		for (size_t i = 0; found && i < 3; i++) {
			ck_assert_str_eq(l[i].function, want[i].function);
			ck_assert_int_eq(l[i].line, want[i].line);
			ck_assert_int_eq(l[i].inlined, i < 2);
			MUST(l[i].file[0] == '/' && strstr(l[i].file, "/inl.c"));
		}
		symbol_lines_free(l, n);
	}
	close(fd);
	MUST(found);
}

START_TEST(lines_with_inlined_calls)
{
	static const char *const flags[] = {"-gdwarf-5", "-gdwarf-4", "-gdwarf-4 -gz"};

	support_put(dir, "inl.c", inlined_program);
	for (size_t i = 0; i < sizeof(flags) / sizeof(*flags); i++) {
		lab_run("cd '%s' && cc -O2 %s -o inl inl.c", dir, flags[i]);
		uint64_t first = lab_address(dir, "inl", "first");

		check_lines("inl", "", first);
		lab_build_id(id, dir, "inl");
		lab_run("cd '%s' && objcopy --only-keep-debug inl full.debug && strip -o bare inl",
			dir);
		place(root);
		check_lines("bare", root, first);
	}
	if (lab_has("clang")) { /* no .debug_aranges */
		lab_run("cd '%s' && clang -O2 -g -o inl inl.c", dir);
		check_lines("inl", "", lab_address(dir, "inl", "first"));
	}
}
END_TEST

/* Of the addresses of one frame: each has its lines, and where its functions are declared. */
START_TEST(lines_of_two_addresses)
{
	struct symbol_line *l;
	uint64_t at[2];
	size_t n, k;

	support_put(dir, "inl.c", inlined_program);
	lab_run("cd '%s' && cc -O2 -g -o inl inl.c", dir);
	at[0] = lab_address(dir, "inl", "first");
	at[1] = lab_address(dir, "inl", "main");
	int fd = lab_open(dir, "inl");

	ck_assert_int_eq(symbol_lines(fd, "", at, 2, &l, &n), 0);
	for (k = 0; k < n && l[k].of == 0; k++)
		ck_assert_int_eq(l[k].inlined, k + 1 < n && l[k + 1].of == 0);
	MUST(k > 0 && k < n);
	ck_assert_str_eq(l[k - 1].function, "first");
	ck_assert_int_eq(l[k - 1].begins, 12);
	ck_assert_str_eq(l[n - 1].function, "main");
	ck_assert_int_eq(l[n - 1].begins, 17);
	ck_assert_uint_eq(l[n - 1].of, 1);
	symbol_lines_free(l, n);
	at[0] = 3; /* of one without lines there are none */
	ck_assert_int_eq(symbol_lines(fd, "", at, 2, &l, &n), 0);
	for (k = 0; k < n; k++)
		ck_assert_uint_eq(l[k].of, 1);
	symbol_lines_free(l, n);
	close(fd);
}
END_TEST

/* What debug files have in common, as Debian's packages are made. */
START_TEST(lines_with_a_shared_part)
{
	struct symbol_line *l;
	size_t n;

	if (!lab_has("dwz"))
		return;
	support_put(dir, "inl.c", inlined_program);
	lab_run("cd '%s' && cc -O2 -g -o inl inl.c && cc -O2 -g -o inl2 inl.c && "
		"dwz -m shared.dwz -M shared.dwz inl inl2",
		dir);
	uint64_t first = lab_address(dir, "inl", "first");

	check_lines("inl", "", first);
	lab_run("cd '%s' && mv shared.dwz away && mkfifo shared.dwz", dir);
	int fd = lab_open(dir, "inl");

	ck_assert_int_eq(symbol_lines(fd, "", &first, 1, &l, &n), -ENODATA);
	close(fd);
}
END_TEST

START_TEST(no_lines_where_there_are_none)
{
	struct symbol_line *l = NULL;
	size_t n = 7;

	support_put(dir, "inl.c", inlined_program);
	lab_run("cd '%s' && cc -O2 -o inl inl.c", dir);
	int fd = lab_open(dir, "inl");

	uint64_t first = lab_address(dir, "inl", "first"), nothing = 3;

	ck_assert_int_eq(symbol_lines(fd, root, &first, 1, &l, &n), -ENODATA);
	close(fd);
	lab_run("cd '%s' && cc -O2 -g -o inl inl.c", dir);
	fd = lab_open(dir, "inl");
	ck_assert_int_eq(symbol_lines(fd, root, &nothing, 1, &l, &n), -ENODATA);
	close(fd);
	fd = lab_open(dir, "inl.c");
	ck_assert_int_eq(symbol_lines(fd, root, &nothing, 1, &l, &n), -ENOEXEC);
	close(fd);
	MUST(!l && n == 7);
	symbol_lines_free(NULL, 0);
}
END_TEST

/* ---- damage ---- */

static void look(const char *name)
{
	struct symtab *t;
	int r = lab_symtab(&t, dir, name, "");

	MUST(r == 0 || r == -ENOEXEC || r == -ENODATA);
	MUST((r == -ENOEXEC) == !t);
	for (uint64_t at = 0; t && at < 4096; at += 64)
		lab_name(t, main_at - 2048 + at);
	symtab_close(t);
}

START_TEST(what_is_no_elf_file_is_said_to_be_none)
{
	struct symtab *t;

	support_put(dir, "empty", "");
	ck_assert_int_eq(lab_symtab(&t, dir, "empty", ""), -ENOEXEC);
	support_put(dir, "text", "#!/bin/sh\n");
	ck_assert_int_eq(lab_symtab(&t, dir, "text", ""), -ENOEXEC);
	ck_assert_int_eq(lab_symtab(&t, "", "/dev/null", ""), -ENOEXEC);
	ck_assert_int_eq(lab_symtab(&t, "", "/tmp", ""), -ENOEXEC);
	ck_assert_int_eq(symtab_open(&t, -1, ""), -EBADF);
	MUST(!t);
}
END_TEST

START_TEST(cut_and_damaged_files_do_no_harm)
{
	static uint8_t data[1 << 18];
	uint8_t copy[sizeof(data)];
	int fd;

	split("");
	fd = lab_open(dir, "prog");
	ssize_t n = read(fd, data, sizeof(data));

	close(fd);
	MUST(n > 4096);
	for (ssize_t cut = 0; cut < n; cut += 1 + cut / 16) {
		support_write(dir, "cut", data, (size_t)cut);
		look("cut");
	}
	srand(7);
	for (int i = 0; i < 400; i++) {
		memcpy(copy, data, (size_t)n);
		/* Headers at the front, the section table at the end. */
		for (int k = 0; k < 6; k++)
			copy[i % 2 ? (size_t)rand() % 64 : (size_t)n - 1 - (size_t)rand() % 2400] =
				(uint8_t)rand();
		support_write(dir, "bad", copy, (size_t)n);
		look("bad");
	}
}
END_TEST

/* Sections as large as a file of nothing: neither loaded nor walked through. */
START_TEST(sizes_that_are_made_up_cost_nothing)
{
	static uint8_t data[1 << 18];
	Elf64_Ehdr eh;
	char path[128];

	split("");
	int fd = lab_open(dir, "prog");
	ssize_t n = read(fd, data, sizeof(data));

	close(fd);
	memcpy(&eh, data, sizeof(eh));
	MUST(n > 4096 && eh.e_shnum > 10);
	snprintf(path, sizeof(path), "%s/bad", dir);
	for (unsigned i = 0; i < eh.e_shnum; i++) {
		size_t at = eh.e_shoff + i * sizeof(Elf64_Shdr) + offsetof(Elf64_Shdr, sh_size);
		uint64_t old, huge = UINT64_C(1) << 40;

		memcpy(&old, data + at, sizeof(old));
		memcpy(data + at, &huge, sizeof(huge));
		support_write(dir, "bad", data, (size_t)n);
		memcpy(data + at, &old, sizeof(old));
		if (truncate(path, (off_t)2 << 40))
			break;
		look("bad");
	}
}
END_TEST

/* Somebody else's file, cut while its table is in use: no name, and no signal. */
START_TEST(a_file_that_shrinks_loses_its_names)
{
	struct symtab *t;
	char path[128];

	split("");
	ck_assert_int_eq(lab_symtab(&t, dir, "prog", ""), 0);
	ck_assert_str_eq(lab_name(t, local_at), "local");
	snprintf(path, sizeof(path), "%s/prog", dir);
	ck_assert_int_eq(truncate(path, 64), 0);
	ck_assert_str_eq(lab_name(t, local_at), "");
	symtab_close(t);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("symbols_debug");
	TCase *tc = tcase_create("symbols_debug");
	SRunner *sr = srunner_create(s);

	suite_add_tcase(s, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, without_symbols_it_says_what_would_supply_them);
	tcase_add_test(tc, a_static_program_without_symbols_has_no_table);
	tcase_add_test(tc, the_debug_file_of_its_build_id);
	tcase_add_test(tc, a_debug_file_of_another_build_is_refused);
	tcase_add_test(tc, links_do_not_lead_out_of_the_root);
	tcase_add_test(tc, a_fifo_in_its_place_holds_nobody_up);
	tcase_add_test(tc, the_debug_file_of_its_link);
	tcase_add_test(tc, the_small_table_in_xz);
	tcase_add_test(tc, lines_with_inlined_calls);
	tcase_add_test(tc, lines_of_two_addresses);
	tcase_add_test(tc, lines_with_a_shared_part);
	tcase_add_test(tc, no_lines_where_there_are_none);
	tcase_add_test(tc, what_is_no_elf_file_is_said_to_be_none);
	tcase_add_test(tc, cut_and_damaged_files_do_no_harm);
	tcase_add_test(tc, sizes_that_are_made_up_cost_nothing);
	tcase_add_test(tc, a_file_that_shrinks_loses_its_names);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);

	srunner_free(sr);
	return failed ? 1 : 0;
}
