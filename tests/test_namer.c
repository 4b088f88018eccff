#include "base/clock.h"
#include "profile/namer.h"
#include "symbols_lab.h"

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			ck_abort_msg("%s", #x);                                                    \
	} while (0)

/* ---- instead of the modules of module.c: one file, asked for by path and build-id ---- */

static const char *held_path, *held_id;
static char held_file[128];
static int n_asked;

int modules_file(struct modules *m, const char *path, const char *build_id)
{
	(void)m;
	n_asked++;
	if (!held_path || strcmp(path, held_path) != 0 ||
	    (build_id[0] && strcmp(build_id, held_id) != 0))
		return -ENOENT;
	int fd = open(held_file, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int modules_path(struct modules *m, const char *name, const char *build_id, char *ret, size_t size)
{
	const char *slash = held_path ? strrchr(held_path, '/') : NULL;

	(void)m;
	if (!slash || strcmp(slash + 1, name) != 0 ||
	    (build_id[0] && strcmp(build_id, held_id) != 0) || strlen(held_path) >= size)
		return -ENOENT;
	strcpy(ret, held_path);
	return 0;
}

static char dir[64], id[64], prog[128];
static struct host host;
static struct namer *n;
static struct stacks *s;

static void open_namer(bool with_modules, uint64_t memory_bytes)
{
	struct namer_config c = {
		.host = &host,
		.modules = with_modules ? (struct modules *)dir : NULL,
		.memory_bytes = memory_bytes,
	};

	ck_assert_int_eq(namer_open(&n, &c), 0);
}

static void setup(void)
{
	support_dir(dir);
	lab_build(dir, "");
	lab_build_id(id, dir, "prog");
	snprintf(prog, sizeof(prog), "%s/prog", dir);
	ck_assert_int_eq(host_open(&host, NULL, NULL, NULL), 0);
	s = stacks_new();
	held_path = NULL;
	n_asked = 0;
	n = NULL;
}

static void teardown(void)
{
	namer_close(n);
	stacks_free(s);
	host_close(&host);
	support_rm(dir);
}

static uint32_t frame(const char *module, const char *build_id, uint64_t addr, uint8_t type)
{
	struct stacks_frame f = {
		.addr = addr, .module = stacks_module(s, module, build_id), .type = type};
	uint32_t i = stacks_frame(s, &f);

	MUST(i);
	return i;
}

static const char *name_of(uint32_t i)
{
	return stacks_text(s, s->frames[i].name);
}

START_TEST(frames_of_a_file_are_named)
{
	uint64_t push = lab_address(dir, "prog", "_ZN3lab6VectorIiLi3EE4pushERKi");
	uint32_t a = frame(prog, id, push, STACKS_USER);
	uint32_t b = frame(prog, id, lab_address(dir, "prog", "nice"), STACKS_USER);
	uint32_t none = frame(prog, id, 3, STACKS_USER), zero = frame("", "", 77, STACKS_USER);
	uint32_t anon = frame("[heap]", "", 77, STACKS_USER);

	open_namer(false, 1 << 20);
	namer_name(n, s, false);
	ck_assert_str_eq(name_of(a), "lab::Vector<int, 3>::push");
	ck_assert_str_eq(name_of(b), "nice");
	MUST(!s->frames[a].missed && !s->frames[b].missed);
	MUST(s->frames[none].missed && !s->frames[none].name);
	MUST(s->frames[zero].missed && s->frames[anon].missed);
	ck_assert_str_eq(namer_missing(n, prog, id), "");
	ck_assert_str_eq(namer_missing(n, "[heap]", ""), "");
}
END_TEST

/* Of a process that has exited, or lives in another mount namespace: its path is of no use here. */
START_TEST(the_file_that_was_mapped_is_asked_for)
{
	uint64_t at = lab_address(dir, "prog", "local");
	uint32_t a = frame("/opt/gone", id, at, STACKS_USER);

	held_path = "/opt/gone";
	held_id = id;
	snprintf(held_file, sizeof(held_file), "%s", prog);
	open_namer(true, 1 << 20);
	namer_name(n, s, false);
	ck_assert_str_eq(name_of(a), "local");
	ck_assert_int_eq(n_asked, 1);
}
END_TEST

START_TEST(another_build_at_its_path_is_not_used)
{
	uint64_t at = lab_address(dir, "prog", "local");
	char other[64];

	snprintf(other, sizeof(other), "%.39s%c", id, id[39] == '0' ? '1' : '0');
	uint32_t a = frame(prog, other, at, STACKS_USER);

	open_namer(true, 1 << 20);
	namer_name(n, s, true);
	MUST(s->frames[a].missed);
	MUST(strstr(namer_missing(n, prog, other), "another build"));
	MUST(strstr(namer_missing(n, prog, other), other));
	/* Without a build-id the path alone does not say which file it was. */
	uint32_t b = frame(prog, "", at, STACKS_USER);

	namer_name(n, s, true);
	MUST(s->frames[b].missed);
	uint32_t c = frame("/opt/gone", id, at, STACKS_USER);

	namer_name(n, s, true);
	MUST(s->frames[c].missed);
	MUST(strstr(namer_missing(n, "/opt/gone", id), "gone"));
}
END_TEST

START_TEST(a_stripped_file_says_what_it_lacks)
{
	lab_run("cd '%s' && strip prog", dir);
	open_namer(false, 1 << 20);
	uint32_t a = frame(prog, id, 0x1234567, STACKS_USER);

	namer_name(n, s, false);
	MUST(s->frames[a].missed);
	MUST(strstr(namer_missing(n, prog, id), "no package has it"));
	MUST(strstr(namer_missing(n, prog, id), id));
	support_put(dir, "text", "no ELF\n");
	char text[128];

	snprintf(text, sizeof(text), "%s/text", dir);
	MUST(strstr(namer_missing(n, text, ""), "not an ELF file"));
}
END_TEST

/* Where namer_step() is called no file is opened while the stacks are locked. */
START_TEST(files_are_opened_in_steps)
{
	uint64_t at = lab_address(dir, "prog", "local");

	open_namer(false, 1 << 20);
	ck_assert_int_eq(namer_step(n), 0);
	uint32_t a = frame(prog, id, at, STACKS_USER), b = frame("/gone", "ab12", 1, STACKS_USER);

	namer_name(n, s, false);
	MUST(!s->frames[a].name && !s->frames[a].missed);
	MUST(!s->frames[b].name && !s->frames[b].missed);
	ck_assert_int_eq(namer_step(n), 1);
	ck_assert_int_eq(namer_step(n), 0);
	ck_assert_int_eq(namer_step(n), 0);
	namer_name(n, s, false);
	ck_assert_str_eq(name_of(a), "local");
	MUST(!s->frames[b].name && !s->frames[b].missed);
	/* What is about to be stored does not wait. */
	lab_run("cp '%s' '%s2'", prog, prog);
	char second[140];

	snprintf(second, sizeof(second), "%s2", prog);
	uint32_t c = frame(second, id, at, STACKS_USER);

	namer_name(n, s, true);
	ck_assert_str_eq(name_of(c), "local");
	MUST(s->frames[b].missed);
}
END_TEST

/* A module is known before its file has been opened. */
START_TEST(a_file_that_is_not_there_yet_is_tried_again)
{
	uint64_t at = lab_address(dir, "prog", "local"), start_us = clock_mono_us();
	uint32_t a = frame("/opt/late", id, at, STACKS_USER);
	uint32_t b = frame("/opt/never", id, at, STACKS_USER);

	open_namer(true, 1 << 20);
	ck_assert_int_eq(namer_step(n), 0);
	namer_name(n, s, false);
	ck_assert_int_eq(namer_step(n), 1);
	ck_assert_int_eq(namer_step(n), 0);
	namer_name(n, s, false);
	MUST(!s->frames[a].missed && !s->frames[b].missed);
	held_path = "/opt/late";
	held_id = id;
	snprintf(held_file, sizeof(held_file), "%s", prog);
	while (!(s->frames[a].name && s->frames[b].missed) &&
	       clock_mono_us() - start_us < 5000000) {
		usleep(20000);
		namer_step(n);
		namer_name(n, s, false);
	}
	ck_assert_str_eq(name_of(a), "local");
	MUST(!s->frames[a].missed && s->frames[b].missed);
}
END_TEST

START_TEST(without_steps_one_file_is_opened_a_call)
{
	uint64_t at = lab_address(dir, "prog", "local");
	char second[140];

	snprintf(second, sizeof(second), "%s2", prog);
	lab_run("cp '%s' '%s'", prog, second);
	uint32_t a = frame(prog, id, at, STACKS_USER), b = frame(second, id, at, STACKS_USER);

	open_namer(false, 1 << 20);
	namer_name(n, s, false);
	ck_assert_str_eq(name_of(a), "local");
	ck_assert_str_eq(name_of(b), "");
	namer_name(n, s, false);
	ck_assert_str_eq(name_of(b), "local");
}
END_TEST

/* With room for no table at all every frame is still named, and a table is opened once a call. */
START_TEST(little_memory_is_enough)
{
	uint64_t at = lab_address(dir, "prog", "local"), other = lab_address(dir, "prog", "main");
	uint32_t frames[16];
	char path[160];

	held_id = id;
	open_namer(true, 1);
	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "%s%d", prog, i);
		lab_run("cp '%s' '%s'", prog, path);
		frames[i] = frame(path, id, at, STACKS_USER);
	}
	for (int i = 0; i < 8; i++) {
		snprintf(path, sizeof(path), "%s%d", prog, i);
		frames[8 + i] = frame(path, id, other, STACKS_USER);
	}
	namer_name(n, s, true);
	for (int i = 0; i < 16; i++)
		ck_assert_str_eq(name_of(frames[i]), i < 8 ? "local" : "main");
	ck_assert_int_eq(n_asked, 8);
}
END_TEST

START_TEST(kernel_frames)
{
	struct namer_config c = {.host = &host, .memory_bytes = 1 << 20};
	struct kernel_symbols *k = NULL;
	char err[256];

	host_close(&host);
	support_host(&host, "kallsyms");
	ck_assert_int_eq(kernel_symbols_open(&k, &host, err, sizeof(err)), 0);
	c.kernel = k;
	ck_assert_int_eq(namer_open(&n, &c), 0);
	uint32_t a = frame("[kernel]", "", 0xffffffff81000080, STACKS_KERNEL);
	uint32_t b = frame("[nf_tables]", "", 0xffffffffc0300080, STACKS_KERNEL);
	uint32_t none = frame("[kernel]", "", 0x1234, STACKS_KERNEL);

	namer_name(n, s, false);
	ck_assert_str_eq(name_of(a), "entry_SYSCALL_64");
	ck_assert_str_eq(name_of(b), "nft_do_chain");
	MUST(s->frames[none].missed);
	ck_assert_str_eq(namer_missing(n, "[kernel]", ""), "");
	namer_close(n);
	open_namer(false, 1 << 20);
	MUST(strstr(namer_missing(n, "[kernel]", ""), "kallsyms"));
	kernel_symbols_close(k);
}
END_TEST

START_TEST(jit_frames)
{
	static char proc[80];

	snprintf(proc, sizeof(proc), "%s/proc", dir);
	mkdir(proc, 0755);
	host_close(&host);
	ck_assert_int_eq(host_open(&host, proc, NULL, NULL), 0);
	support_put(dir, "proc/42/status", "Name:\tx\nNSpid:\t42\nUid:\t0\t0\t0\t0\n");
	support_put(dir, "proc/42/stat", "42 (x) S 1\n");
	open_namer(false, 1 << 20);
	uint32_t a = frame("perf-42.map", "", 0x1000, STACKS_JIT);
	uint32_t b = frame("perf-42.map", "", 0x2000, STACKS_JIT);

	namer_name(n, s, false);
	MUST(!s->frames[a].name && !s->frames[a].missed); /* it may come */
	MUST(strstr(namer_missing(n, "perf-42.map", ""), "--perf-basic-prof"));
	support_put(dir, "proc/42/root/tmp/perf-42.map", "1000 10 one \001\377 \303\244\n");
	if (getuid() == 0) {
		namer_name(n, s, false);
		ck_assert_str_eq(name_of(a), "one ?? \303\244");
		MUST(!s->frames[b].name && !s->frames[b].missed);
		ck_assert_str_eq(namer_missing(n, "perf-42.map", ""), "");
	}
	namer_name(n, s, true);
	MUST(s->frames[b].missed);
}
END_TEST

/* A map of 100,000 functions takes a second: nobody may be held up by that. */
START_TEST(perf_maps_are_read_in_steps)
{
	static char proc[80];

	if (getuid() != 0)
		return;
	snprintf(proc, sizeof(proc), "%s/proc", dir);
	mkdir(proc, 0755);
	host_close(&host);
	ck_assert_int_eq(host_open(&host, proc, NULL, NULL), 0);
	support_put(dir, "proc/42/status", "Name:\tx\nNSpid:\t42\nUid:\t0\t0\t0\t0\n");
	support_put(dir, "proc/42/stat", "42 (x) S 1\n");
	support_put(dir, "proc/42/root/tmp/perf-42.map", "1000 10 one\n");
	open_namer(false, 1 << 20);
	ck_assert_int_eq(namer_step(n), 0);
	uint32_t a = frame("perf-42.map", "", 0x1000, STACKS_JIT);

	namer_name(n, s, false);
	MUST(!s->frames[a].name && !s->frames[a].missed);
	ck_assert_int_eq(namer_step(n), 0);
	namer_name(n, s, false);
	ck_assert_str_eq(name_of(a), "one");
	/* What is about to be stored does not wait. */
	support_put(dir, "proc/42/root/tmp/perf-42.map", "1000 10 one\n2000 10 two\n");
	uint32_t b = frame("perf-42.map", "", 0x2000, STACKS_JIT);

	namer_name(n, s, true);
	ck_assert_str_eq(name_of(b), "two");
}
END_TEST

START_TEST(the_vdso_is_named)
{
	struct symtab *t = NULL;
	uint64_t at = 0;

	if (symtab_open_vdso(&t) < 0)
		return;
	while (at < 16384 && !strstr(lab_name(t, at), "clock_gettime"))
		at += 4;
	symtab_close(t);
	uint32_t a = frame("[vdso]", "", at, STACKS_LIBRARY);

	open_namer(false, 1 << 20);
	namer_name(n, s, true);
	MUST(strstr(name_of(a), "clock_gettime"));
}
END_TEST

START_TEST(lines_of_a_frame)
{
	struct symbol_line *l = NULL;
	size_t n_lines = 0;
	uint64_t at = lab_address(dir, "prog", "main");

	open_namer(false, 1 << 20);
	ck_assert_int_eq(namer_lines(n, prog, id, &at, 1, &l, &n_lines), 0);
	MUST(n_lines == 1 && strcmp(l[0].function, "main") == 0 && strstr(l[0].file, "prog.c") &&
	     l[0].line > 0);
	symbol_lines_free(l, n_lines);
	ck_assert_int_eq(namer_lines(n, "[kernel]", "", &at, 1, &l, &n_lines), -ENODATA);
	ck_assert_int_eq(namer_lines(n, "/gone", "", &at, 1, &l, &n_lines), -ENOENT);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("namer");
	TCase *tc = tcase_create("namer");
	SRunner *sr = srunner_create(suite);

	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, frames_of_a_file_are_named);
	tcase_add_test(tc, the_file_that_was_mapped_is_asked_for);
	tcase_add_test(tc, another_build_at_its_path_is_not_used);
	tcase_add_test(tc, a_stripped_file_says_what_it_lacks);
	tcase_add_test(tc, files_are_opened_in_steps);
	tcase_add_test(tc, a_file_that_is_not_there_yet_is_tried_again);
	tcase_add_test(tc, without_steps_one_file_is_opened_a_call);
	tcase_add_test(tc, little_memory_is_enough);
	tcase_add_test(tc, kernel_frames);
	tcase_add_test(tc, jit_frames);
	tcase_add_test(tc, perf_maps_are_read_in_steps);
	tcase_add_test(tc, the_vdso_is_named);
	tcase_add_test(tc, lines_of_a_frame);
	srunner_run_all(sr, CK_NORMAL);
	int failed = srunner_ntests_failed(sr);

	srunner_free(sr);
	return failed ? 1 : 0;
}
