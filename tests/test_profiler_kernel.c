/* Modules of the kernel that come and go while the profiler runs: what lies in them has their names, and those alone.
 * Without perf: on captured lists. */
#include "support.h"

#include "profile/profiler_private.h"

#include <errno.h>

static const char text[] = "ffffffff81000000 T _text\nffffffff81000000 T _stext\n"
			   "ffffffff81000100 T vfs_read\nffffffff81002000 T _etext\n";
static const char
	old_line[] = "ffffffffc0200000 t old_work\t[old]\n",
	new_line[] = "ffffffffc0200000 t new_init\t[new]\nffffffffc0200040 t new_work\t[new]\n";
static const uint64_t work = 0xffffffffc0200050, read_at = 0xffffffff81000110;
enum { SECOND = 1000000 };

static char dir[64], err[256];
static struct host host;
static struct profiler p;
static struct stacks *s;
static int64_t now_us;

static void put(const char *modules, const char *line)
{
	char all[512];

	snprintf(all, sizeof(all), "%s%s", text, line);
	support_put(dir, "proc/kallsyms", all);
	support_put(dir, "proc/modules", modules);
}

static void setup(void)
{
	support_dir(dir);
	put("", "");
}

static void start(void)
{
	char proc[80];
	struct namer_config c = {.host = &host, .memory_bytes = 1 << 20};

	snprintf(proc, sizeof(proc), "%s/proc", dir);
	ck_assert_int_eq(host_open(&host, proc, NULL, NULL), 0);
	p = (struct profiler){.config.host = &host, .epoch = 1};
	p.kernel_frames = calloc(PROFILER_FRAMES_CACHED, sizeof(*p.kernel_frames));
	p.stacks_cached = calloc(PROFILER_STACKS_CACHED, sizeof(*p.stacks_cached));
	p.stacks = s = stacks_new();
	ck_assert_int_eq(profiler_kernel_open(&p, err, sizeof(err)), 0);
	c.kernel = p.kernel;
	ck_assert_int_eq(namer_open(&p.namer, &c), 0);
	now_us = p.kernel_modules.read_us;
}

static void teardown(void)
{
	namer_close(p.namer);
	profiler_kernel_close(&p);
	free(p.kernel_frames);
	free(p.stacks_cached);
	free(p.ksyms);
	stacks_free(s);
	host_close(&host);
	support_rm(dir);
}

/* One round of each thread, that much later. */
static void later(int64_t us)
{
	now_us += us;
	profiler_kernel_step(&p, now_us);
	profiler_kernel_adopt(&p);
	profiler_name(&p, s, false);
}

static uint32_t sample(uint64_t ip)
{
	return profiler_kernel_frame(&p, ip)->frame;
}

static const char *named(uint32_t frame)
{
	static char buf[200];
	const struct stacks_frame *f = &s->frames[frame];

	snprintf(buf, sizeof(buf), "%s %s",
		 f->name     ? stacks_text(s, f->name)
		 : f->missed ? "missed"
			     : "-",
		 stacks_text(s, s->modules[f->module].name));
	return buf;
}

START_TEST(a_module_that_was_loaded_later_has_names)
{
	start();
	later(10 * SECOND); /* long after the symbols were read */
	put("new 16384 0 - Live 0xffffffffc0200000\n", new_line);
	uint32_t early = sample(work);

	ck_assert_str_eq(named(early), "- [kernel]");
	later(SECOND);
	ck_assert_str_eq(named(early), "new_work [kernel]"); /* it was not known whose it is */
	ck_assert_str_eq(named(sample(work)), "new_work [new]");
	ck_assert_uint_eq(s->frames[sample(work)].addr, 0xffffffffc0200040);
	sample(read_at);
	later(SECOND);
	ck_assert_str_eq(named(sample(read_at)), "vfs_read [kernel]");
}
END_TEST

START_TEST(one_in_the_place_of_another_has_its_own_names)
{
	put("old 16384 0 - Live 0xffffffffc0200000\n", old_line);
	start();
	uint32_t before = sample(work);

	ck_assert_str_eq(named(before), "old_work [old]");
	put("new 16384 0 - Live 0xffffffffc0200000\n", new_line);
	later(10 * SECOND); /* nothing unknown was sampled */
	ck_assert_str_eq(named(sample(work)), "new_work [new]");
	ck_assert_str_eq(named(before), "old_work [old]");
	put("", "");
	later(10 * SECOND);
	later(SECOND);
	ck_assert_str_eq(named(sample(work)), "- [kernel]");
}
END_TEST

START_TEST(what_stays_unknown_is_said_to_be_after_a_look)
{
	put("old 16384 0 - Live 0xffffffffc0200000\n", old_line);
	start();
	later(10 * SECOND);
	struct kernel_symbols *k = p.kernel;
	uint32_t nowhere = sample(0xffffffffd0000000);

	/* Who uses it has changed, not what it is. */
	put("old 16384 3 new,other, Live 0xffffffffc0200000\n", new_line);
	profiler_name(&p, s, false);
	ck_assert_str_eq(named(nowhere), "- [kernel]");
	later(10 * SECOND);
	ck_assert_str_eq(named(nowhere), "missed [kernel]");
	ck_assert(p.kernel == k);
	ck_assert(!atomic_load(&p.kernel_modules.unknown));
}
END_TEST

START_TEST(symbols_are_not_read_again_and_again)
{
	char modules[80];
	unsigned n = 0;
	struct kernel_symbols *k;

	start();
	k = p.kernel;
	for (unsigned i = 0; i < 200; i++) { /* 20 s */
		snprintf(modules, sizeof(modules), "m%u 16384 0 - Live 0xffffffffc0200000\n", i);
		put(modules, new_line);
		sample(0xffffffffd0000000 + i * 16);
		later(SECOND / 10);
		n += p.kernel != k;
		k = p.kernel;
	}
	ck_assert_uint_ge(n, 3);
	ck_assert_uint_le(n, 4);
}
END_TEST

START_TEST(names_wait_for_symbols_that_may_not_be_read_yet)
{
	start();
	put("one 16384 0 - Live 0xffffffffc0200000\n", "");
	later(6 * SECOND); /* they are read */
	put("one 16384 0 - Live 0xffffffffc0200000\nnew 16384 0 - Live 0xffffffffc0200000\n",
	    new_line);
	uint32_t f = sample(work);

	later(SECOND);
	later(SECOND);
	ck_assert_str_eq(named(f), "- [kernel]");
	later(4 * SECOND);
	ck_assert_str_eq(named(f), "new_work [kernel]");
}
END_TEST

static void ksymbol(uint64_t at_ns, const char *name, bool gone)
{
	struct record r = {.type = PERF_RECORD_KSYMBOL, .time_ns = at_ns};

	r.ksymbol.addr = 0xffffffffc0200000;
	r.ksymbol.len = 0x100;
	r.ksymbol.gone = gone;
	r.ksymbol.name = name;
	profiler_ksyms_add(&p, &r);
}

START_TEST(a_module_where_a_program_was_has_names)
{
	start();
	ksymbol(1000, "bpf_prog_1", false);
	ck_assert_str_eq(named(sample(work)), "bpf_prog_1 [bpf]");
	ksymbol(2000, "bpf_prog_1", true);
	ck_assert_str_eq(named(sample(work)), "missed [kernel]");
	put("new 16384 0 - Live 0xffffffffc0200000\n", new_line);
	later(10 * SECOND);
	ck_assert_str_eq(named(sample(work)), "new_work [new]");
	/* What is told later than that stands. */
	ksymbol(UINT64_MAX, "bpf_prog_2", true);
	put("new 16384 0 - Live 0xffffffffc0201000\n", new_line);
	later(10 * SECOND);
	ck_assert_str_eq(named(sample(work)), "missed [kernel]");
}
END_TEST

START_TEST(without_a_list_what_was_read_stands)
{
	char path[96];

	start();
	struct kernel_symbols *k = p.kernel;

	snprintf(path, sizeof(path), "%s/proc/modules", dir);
	unlink(path);
	sample(work);
	later(10 * SECOND);
	ck_assert(p.kernel == k);
	put("new 16384 0 - Live 0xffffffffc0200000\n", new_line);
	snprintf(path, sizeof(path), "%s/proc/kallsyms", dir);
	unlink(path);
	later(10 * SECOND);
	ck_assert(p.kernel == k);
	ck_assert_str_eq(named(sample(read_at)), "- [kernel]");
	later(SECOND);
	ck_assert_str_eq(named(sample(read_at)), "vfs_read [kernel]");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("modules");

	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, a_module_that_was_loaded_later_has_names);
	tcase_add_test(t, one_in_the_place_of_another_has_its_own_names);
	tcase_add_test(t, what_stays_unknown_is_said_to_be_after_a_look);
	tcase_add_test(t, symbols_are_not_read_again_and_again);
	tcase_add_test(t, names_wait_for_symbols_that_may_not_be_read_yet);
	tcase_add_test(t, a_module_where_a_program_was_has_names);
	tcase_add_test(t, without_a_list_what_was_read_stands);
	return support_run_case("profiler_kernel", t);
}
