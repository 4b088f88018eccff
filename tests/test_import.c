/* Profiles of other tools: real files and lines of every shape that perf prints, cut, damaged and hostile ones. */
#include "support.h"

#include "import/import.h"

#define PROFILES FIXTURES "/profiles/"

static struct import_result res;
static char err[512];

static int load_text(const char *text)
{
	return import_bytes(&res, text, strlen(text), IMPORT_ANY, err, sizeof(err));
}

static struct stacks *load(const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), PROFILES "%s", name);
	err[0] = 0;
	ck_assert_msg(import_file(&res, path, IMPORT_ANY, err, sizeof(err)) == 0, "%s: %s", name,
		      err);
	return res.stacks;
}

static struct stacks *load_ok(const char *text)
{
	err[0] = 0;
	ck_assert_msg(load_text(text) == 0, "%s", err);
	return res.stacks;
}

/* "a;b;c" of a sample's stack. */
static const char *path_of(const struct stacks *s, uint32_t i)
{
	static char text[8192];
	uint32_t path[512], n = 0;
	char name[512];
	size_t len = 0;

	for (uint32_t k = s->samples[i].node; k; k = s->nodes[k].parent)
		path[n++] = s->nodes[k].frame;
	text[0] = 0;
	while (n--)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s",
					stacks_frame_name(s, path[n], name, sizeof(name)),
					n ? ";" : "");
	return text;
}

static const struct stacks_frame *leaf(const struct stacks *s, uint32_t i)
{
	return &s->frames[s->nodes[s->samples[i].node].frame];
}

static const char *module_of(const struct stacks *s, const struct stacks_frame *f)
{
	return stacks_text(s, s->modules[f->module].name);
}

static const struct stacks_task *task_of(const struct stacks *s, uint32_t i)
{
	return &s->tasks[s->samples[i].task];
}

static uint64_t weight(const struct stacks *s, const char *path)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < s->n_samples; i++)
		if (!path || strcmp(path_of(s, i), path) == 0)
			sum += s->samples[i].weight_us;
	return sum;
}

static uint32_t count(const struct stacks *s, const char *path)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->n_samples; i++)
		n += strcmp(path_of(s, i), path) == 0;
	return n;
}

/* ---- perf script ---- */

START_TEST(perf_script_of_a_real_recording)
{
	struct stacks *s = load("perf.txt");
	uint32_t spin = 0;

	ck_assert_int_eq(res.format, IMPORT_PERF_SCRIPT);
	ck_assert_uint_eq(s->n_samples, 54);
	ck_assert_uint_eq(res.skipped, 0);
	ck_assert_str_eq(res.event, "cpu-clock:pppH");
	ck_assert_uint_eq(s->hz, 99);
	ck_assert(s->has_time && s->has_cpu);
	ck_assert_int_eq(s->samples[0].at_us, 12979387342);
	ck_assert_uint_eq(s->samples[0].weight_us, 10101);
	ck_assert_str_eq(path_of(s, 0), "__libc_start_call_main;main;hot_outer;hot_inner");
	ck_assert_uint_eq(task_of(s, 0)->tid, 396);
	ck_assert_str_eq(stacks_text(s, task_of(s, 0)->comm), "spin");
	ck_assert_str_eq(module_of(s, leaf(s, 0)), "/home/user/spin");
	ck_assert_uint_eq(leaf(s, 0)->type, STACKS_USER);
	for (uint32_t i = 0; i < s->n_samples; i++) {
		spin += task_of(s, i)->tid == 396;
		ck_assert(!i || s->samples[i].at_us >= s->samples[i - 1].at_us);
	}
	ck_assert_uint_eq(spin, 38);
	stacks_free(s);
}
END_TEST

START_TEST(gzip_is_unpacked)
{
	struct stacks *s = load("perf.txt.gz"), *plain;

	ck_assert_uint_eq(s->n_samples, 54);
	plain = load("perf.txt");
	ck_assert_uint_eq(weight(s, NULL), weight(plain, NULL));
	stacks_free(s);
	stacks_free(plain);
}
END_TEST

START_TEST(perf_script_of_other_fields)
{
	struct stacks *s = load("perf_flat.txt"); /* no call chains: the frame on the line */

	ck_assert_uint_eq(s->n_samples, 30);
	ck_assert_str_eq(path_of(s, 0), "work");
	ck_assert_uint_eq(s->hz, 199);
	stacks_free(s);
	s = load("perf_ns.txt"); /* nine decimals, no cpu, no offsets */
	ck_assert_uint_eq(s->n_samples, 12);
	ck_assert_int_eq(s->samples[0].at_us, 14146999966);
	ck_assert_uint_eq(task_of(s, 0)->pid, 31788);
	ck_assert(!s->has_cpu);
	stacks_free(s);
	s = load("perf_srcline.txt"); /* lines of source between the frames */
	ck_assert_uint_eq(s->n_samples, 8);
	ck_assert_str_eq(path_of(s, 0), "__libc_start_call_main;main;work");
	ck_assert_uint_eq(res.skipped, 0);
	stacks_free(s);
	s = load("perf_bare.txt"); /* neither time nor event */
	ck_assert_uint_eq(s->n_samples, 12);
	ck_assert(!s->has_time);
	ck_assert_str_eq(path_of(s, 0), "__libc_start_call_main;main;work");
	stacks_free(s);
	s = load("perf_sched.txt"); /* a tracepoint: each one counts, its fields are no frame */
	ck_assert_uint_eq(s->n_samples, 23);
	ck_assert_str_eq(res.unit, "samples");
	ck_assert_uint_eq(weight(s, NULL), 23);
	for (uint32_t i = 0; i < s->n_samples; i++)
		ck_assert_str_eq(strrchr(path_of(s, i), ';') + 1, "__schedule");
	stacks_free(s);
}
END_TEST

/* Every way of writing the line of a sample. */
/* What -F leaves of a sample's line, and what stands between samples. */
START_TEST(perf_script_of_few_fields)
{
	static const struct {
		const char *text, *comm, *path;
		uint32_t pid, n;
		int64_t at_us; /* -1: no times */
	} forms[] = {
		{"bash \n\t12345678 f\n\t12345679 main\n\nsh \n\t12345678 f\n\n", "bash", "main;f",
		 0, 2, -1},
		{"\n\tffffffff815a2001 f\n\t12345679 main\n\n\n\t12345678 f\n", "", "main;f", 0, 2,
		 -1},
		{"bash 25706.663161: \n\t12345678 f\n\n", "bash", "f", 0, 1, 25706663161},
		{" 25706.663161: \n\t12345678 f\n\n", "", "f", 0, 1, 25706663161},
		{" 3343 25706.663161:    2004008 cpu-clock:pppH: \n\t12345678 f+0x1 (/x)\n\n", "",
		 "f", 3343, 1, 25706663161},
		{"1234 77 25.100000: 5 cpu-clock: \n\t12345678 f\n", "1234", "f", 77, 1, 25100000},
		{"sh [001] 1.5: \n\t12345678 f\n", "sh", "f", 0, 1, 1500000},
		{"            bash  3343 25706.663161:   1 cpu-clock: \n            bash  3343 "
		 "25706.7:   1 cpu-clock: \n",
		 "bash", "", 3343, 2, 25706663161},
		{"swapper 0 0.0: PERF_RECORD_MMAP -1/0: [0xff(0x1) @ 0xff]: x [kernel]_text\n"
		 "python3 7 1.0: PERF_RECORD_COMM exec: python3:7/7\npython3 7 1.5:  9 cpu-clock: "
		 "\n\t12345678 f\n"
		 "\npython3 7 1.6: PERF_RECORD_MMAP2 7/7: [0x1(0x2) @ 0 0:0 0 0]: r-xp /lib/x\n",
		 "python3", "f", 7, 1, 1500000},
	};

	for (size_t i = 0; i < sizeof(forms) / sizeof(*forms); i++) {
		struct stacks *s;

		ck_assert_msg(load_text(forms[i].text) == 0, "%zu: %s", i, err);
		s = res.stacks;
		ck_assert_msg(s->n_samples == forms[i].n && !res.skipped && !res.others,
			      "%zu: %u samples, %lu lines skipped, %lu others", i, s->n_samples,
			      (unsigned long)res.skipped, (unsigned long)res.others);
		ck_assert_str_eq(stacks_text(s, task_of(s, 0)->comm), forms[i].comm);
		ck_assert_uint_eq(task_of(s, 0)->pid, forms[i].pid);
		ck_assert_str_eq(path_of(s, 0), forms[i].path);
		ck_assert(s->has_time == (forms[i].at_us >= 0));
		if (s->has_time)
			ck_assert_int_eq(s->samples[0].at_us, forms[i].at_us);
		stacks_free(s);
	}
}
END_TEST

START_TEST(lines_of_samples)
{
	static const struct {
		const char *line, *comm;
		uint32_t pid, tid, cpu;
		int64_t at_us;
	} lines[] = {
		{"java 7/9 [003] 1.5: 10101010 cpu-clock: ", "java", 7, 9, 3, 1500000},
		{"java 9 [003] 1.500000: 10101010 cpu-clock:", "java", 9, 9, 3, 1500000},
		{"java     9 1.500000: cpu-clock:u: ", "java", 9, 9, 0, 1500000},
		{"Web Content 12/13 [000]   10.000001: 5 cycles:ppp: ", "Web Content", 12, 13, 0,
		 10000001},
		{"Worker 12 1234/1235 [001] 1.2: 3 cycles: ", "Worker 12", 1234, 1235, 1, 1200000},
		{"kworker/u4:1-ev 99 [010] 3.000000: cycles: ", "kworker/u4:1-ev", 99, 99, 10,
		 3000000},
		{"a-1 2/2 [000] d..2. 3.000000: 1 cycles: ", "a-1", 2, 2, 0, 3000000},
		{":-1 -1/-1 [001] 4.5: 1 cpu-clock: ", ":-1", 0, 0, 1, 4500000},
		{"        dead  17 [000] 1.000000: 1 cpu-clock: ", "dead", 17, 17, 0, 1000000},
		{"(sd-pam) 5/5 [000] 7.1: 1 cpu/event=0x3c/u: ", "(sd-pam)", 5, 5, 0, 7100000},
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		char text[512];
		struct stacks *s;

		snprintf(text, sizeof(text), "%s\n\t  5f f+0x1 (/bin/x)\n\n", lines[i].line);
		s = load_ok(text);
		ck_assert_msg(s->n_samples == 1, "%s", lines[i].line);
		ck_assert_str_eq(stacks_text(s, task_of(s, 0)->comm), lines[i].comm);
		ck_assert_uint_eq(task_of(s, 0)->pid, lines[i].pid);
		ck_assert_uint_eq(task_of(s, 0)->tid, lines[i].tid);
		ck_assert_uint_eq(s->samples[0].cpu, lines[i].cpu);
		ck_assert_int_eq(s->samples[0].at_us, lines[i].at_us);
		ck_assert_str_eq(path_of(s, 0), "f");
		stacks_free(s);
	}
}
END_TEST

/* Every way of writing a frame. */
START_TEST(lines_of_frames)
{
	static const struct {
		const char *line, *name, *module;
		enum stacks_type type;
	} lines[] = {
		{"\t    7f12 main+0x12 (/usr/bin/x)", "main", "/usr/bin/x", STACKS_USER},
		{"            7f12 main (/usr/bin/x)", "main", "/usr/bin/x", STACKS_USER},
		{"\t7f12 [unknown] (/lib/libc.so.6)", "[unknown]", "/lib/libc.so.6",
		 STACKS_LIBRARY},
		{"\t7f12 [unknown] ([unknown])", "[unknown]", "", STACKS_UNKNOWN},
		{"\tffffffff81063126 native_safe_halt+0x6 ([kernel.kallsyms])", "native_safe_halt",
		 "[kernel.kallsyms]", STACKS_KERNEL},
		{"\tffffffffc0012345 nf_hook+0x1 ([nf_tables])", "nf_hook", "[nf_tables]",
		 STACKS_KERNEL},
		{"\t7f12 std::vector<int>::at(unsigned long) const+0x8 (/usr/bin/x)",
		 "std::vector<int>::at(unsigned long) const", "/usr/bin/x", STACKS_USER},
		{"\t7f12 operator()(int)+0xff (/opt/a b/x (deleted))", "operator()(int)",
		 "/opt/a b/x (deleted)", STACKS_USER},
		{"\t7f12 Lorg/x/Y;::run+0x4 (/tmp/perf-77.map)", "Lorg/x/Y;::run",
		 "/tmp/perf-77.map", STACKS_JIT},
		{"\t7f12 clock_gettime+0x1 ([vdso])", "clock_gettime", "[vdso]", STACKS_LIBRARY},
		{"\t7f12 leaf (inlined)", "leaf", "", STACKS_INLINED},
		{"\t7f12 f+0x1", "f", "", STACKS_USER},
		{"\tf+0x1 (/usr/bin/x)", "f", "/usr/bin/x", STACKS_USER},
		{"\tadd (/usr/bin/x)", "add", "/usr/bin/x", STACKS_USER},
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		char text[512];
		struct stacks *s;

		snprintf(text, sizeof(text), "x 1/1 [000] 1.0: 1000000 cpu-clock:\n%s\n",
			 lines[i].line);
		s = load_ok(text);
		ck_assert_str_eq(path_of(s, 0), lines[i].name);
		ck_assert_str_eq(module_of(s, leaf(s, 0)), lines[i].module);
		ck_assert_msg(leaf(s, 0)->type == lines[i].type, "type %d of %s", leaf(s, 0)->type,
			      lines[i].line);
		stacks_free(s);
	}
}
END_TEST

START_TEST(stacks_end_with_or_without_a_blank_line)
{
	static const char text[] =
		"x 1/1 [000] 1.0: 1000000 cpu-clock:\n\t1 b (/x)\n\t2 a (/x)\n"
		"x 1/1 [000] 1.1: 1000000 cpu-clock:\r\n\t1 c (/x)\r\n\t2 a (/x)\r\n"
		"\r\n"
		"# a comment\n"
		"x 1/1 [000] 1.2: 1000000 cpu-clock:\n\n"
		"x 1/1 [000] 1.3: 1000000 cpu-clock:\n\t1 d (/x)\n\t2 a (/x)";
	struct stacks *s = load_ok(text);

	ck_assert_uint_eq(s->n_samples, 4);
	ck_assert_str_eq(path_of(s, 0), "a;b");
	ck_assert_str_eq(path_of(s, 1), "a;c");
	ck_assert_str_eq(path_of(s, 2), "");
	ck_assert_str_eq(path_of(s, 3), "a;d");
	stacks_free(s);
}
END_TEST

START_TEST(jit_names_hold_inlined_calls)
{
	struct stacks *s = load_ok("java 1/1 [000] 1.0: 1000000 cpu-clock:\n"
				   "\t1 A::a->B::b (/tmp/perf-1.map)\n"
				   "\t2 operator->(x) (/usr/bin/x)\n");

	ck_assert_str_eq(path_of(s, 0), "operator->(x);A::a;B::b");
	ck_assert_uint_eq(leaf(s, 0)->type, STACKS_INLINED);
	stacks_free(s);
}
END_TEST

START_TEST(one_event_counts_and_others_are_told)
{
	char text[4096] = "";
	struct stacks *s;

	for (int i = 0; i < 9; i++)
		snprintf(text + strlen(text), sizeof(text) - strlen(text),
			 "x 1/1 [000] 1.%d: 1000 %s: \n\t1 %s (/x)\n\n", i,
			 i % 3 ? "cycles" : "instructions", i % 3 ? "c" : "i");
	s = load_ok(text);
	ck_assert_str_eq(res.event, "cycles");
	ck_assert_uint_eq(s->n_samples, 6);
	ck_assert_uint_eq(res.others, 3);
	ck_assert_uint_eq(count(s, "i"), 0);
	stacks_free(s);
}
END_TEST

/* cycles have no period in time: what a sample weighs is seen from how far they are apart. */
START_TEST(the_rate_of_cycles_is_measured)
{
	char *text = malloc(200000);
	size_t n = 0;
	struct stacks *s;

	for (int i = 0; i < 500; i++) /* every fifth tick the CPU was idle */
		if (i % 5)
			n += (size_t)sprintf(
				text + n, "x 1/1 [%03d] %d.%06d: %d cycles: \n\t1 c (/x)\n\n",
				i & 1, 100 + i / 200, i / 2 * 10101 % 1000000, 1000000 + i * 7777);
	s = load_ok(text);
	ck_assert_uint_eq(s->hz, 99);
	ck_assert_uint_eq(s->samples[0].weight_us, 10101);
	stacks_free(s);
	free(text);
}
END_TEST

START_TEST(idle_is_told_by_the_leaf_alone)
{
	struct stacks *s = load_ok(
		"swapper 0/0 [000] 1.0: 1000000 cpu-clock:\n\tffffffff81000001 pv_native_safe_halt "
		"([kernel.kallsyms])\n\tffffffff81000002 do_idle ([kernel.kallsyms])\n\n"
		"swapper 0/0 [000] 1.1: 1000000 cpu-clock:\n\tffffffff81000003 net_rx_action "
		"([kernel.kallsyms])\n\tffffffff81000002 do_idle ([kernel.kallsyms])\n\n"
		"idle 5/5 [000] 1.2: 1000000 cpu-clock:\n\t1 idle_loop (/x)\n\n");

	ck_assert_uint_eq(s->samples[0].flags, STACKS_IDLE);
	ck_assert_uint_eq(s->samples[1].flags, 0);
	ck_assert_uint_eq(s->samples[2].flags, 0);
	stacks_free(s);
}
END_TEST

START_TEST(threads_know_their_process)
{
	struct stacks *s = load_ok("gc 10/11 [000] 1.0: 1000000 cpu-clock:\n\t1 f (/x)\n\n"
				   "java 10/10 [000] 1.1: 1000000 cpu-clock:\n\t1 f (/x)\n\n");

	ck_assert_str_eq(stacks_text(s, task_of(s, 0)->process), "java");
	ck_assert_str_eq(stacks_text(s, task_of(s, 0)->comm), "gc");
	stacks_free(s);
}
END_TEST

START_TEST(samples_come_in_order_of_time)
{
	struct stacks *s = load_ok("x 1/1 [000] 2.0: 1000000 cpu-clock:\n\t1 b (/x)\n\n"
				   "x 1/1 [001] 1.0: 1000000 cpu-clock:\n\t1 a (/x)\n\n");

	ck_assert_int_eq(s->samples[0].at_us, 1000000);
	ck_assert_int_eq(s->from_us, 1000000);
	ck_assert_int_eq(s->to_us, 2000001);
	ck_assert_uint_eq(s->n_cpus, 2);
	stacks_free(s);
}
END_TEST

START_TEST(off_cpu_time_is_kept_beside)
{
	struct stacks *s = load_ok("x 1/1 [000] 2.0: 5000000 offcpu-time:\n\t1 wait (/x)\n\n"
				   "x 1/1 [000] 2.1: 10101010 cpu-clock:\n\t1 run (/x)\n\n");

	ck_assert_uint_eq(s->n_samples, 2);
	ck_assert_uint_eq(s->samples[0].kind, STACKS_OFF);
	ck_assert_uint_eq(s->samples[0].weight_us, 5000);
	ck_assert_uint_eq(s->samples[1].kind, STACKS_CPU);
	ck_assert_uint_eq(res.others, 0);
	stacks_free(s);
}
END_TEST

/* ---- folded ---- */

START_TEST(folded_stacks)
{
	struct stacks *s = load_ok("# made by hand\n"
				   "main;a;b 10\n"
				   "main;a 2\n"
				   "main;a c;operator new (x) 5\r\n"
				   "lone 3\n"
				   "\n"
				   "main;tcp_v4_rcv_[k] 1\n"
				   "no number here\n"
				   "main;half 2.5");

	ck_assert_int_eq(res.format, IMPORT_FOLDED);
	ck_assert_str_eq(res.unit, "samples");
	ck_assert_uint_eq(res.skipped, 1);
	ck_assert(!s->has_time);
	ck_assert_uint_eq(s->n_samples, 10 + 2 + 5 + 3 + 1 + 3);
	ck_assert_uint_eq(weight(s, "main;a;b"), 10);
	ck_assert_uint_eq(weight(s, "main;a"), 2);
	ck_assert_uint_eq(weight(s, "main;a c;operator new (x)"), 5);
	ck_assert_uint_eq(weight(s, "lone"), 3);
	ck_assert_uint_eq(weight(s, "main;half"), 3);
	ck_assert_uint_eq(weight(s, "main;tcp_v4_rcv"), 1);
	stacks_free(s);
}
END_TEST

START_TEST(folded_of_a_differential_takes_the_second)
{
	struct stacks *s = load_ok("a;b 10 20\na;c 0 4\n");

	ck_assert_uint_eq(weight(s, "a;b"), 20);
	ck_assert_uint_eq(weight(s, "a;c"), 4);
	stacks_free(s);
}
END_TEST

/* Sums of any size arrive, in a unit that holds them and in bounded memory. */
START_TEST(large_sums)
{
	struct stacks *s = load_ok("a;b 9000000\na;c 3000000\n");

	ck_assert_uint_eq(weight(s, "a;b"), 9000000);
	ck_assert_uint_lt(s->n_samples, 10);
	stacks_free(s);
	s = load_ok("a;b 10000000000000\na;c 5000000000000\n");
	ck_assert_str_eq(res.unit, "Misamples");
	stacks_free(s);
	s = load_ok("a;b 99999999999999999999999999\na;b 1\n");
	ck_assert_uint_le(s->n_samples, 2);
	stacks_free(s);
}
END_TEST

START_TEST(stacks_of_any_depth_end)
{
	size_t n = 100000;
	char *text = malloc(3 * n + 16);
	struct stacks *s;

	for (size_t i = 0; i < n; i++)
		memcpy(text + 3 * i, i & 1 ? "ab;" : "cd;", 3);
	strcpy(text + 3 * n, "x 1\n");
	s = load_ok(text);
	ck_assert_uint_eq(s->n_samples, 1);
	ck_assert_uint_le(s->n_nodes, 8193);
	stacks_free(s);
	free(text);
}
END_TEST

/* ---- pprof ---- */

START_TEST(pprof_of_go)
{
	struct stacks *s = load("go.cpu.pb.gz");

	ck_assert_int_eq(res.format, IMPORT_PPROF);
	ck_assert_str_eq(res.event, "cpu");
	ck_assert_str_eq(res.unit, ""); /* times */
	ck_assert_uint_eq(s->n_samples, 25);
	ck_assert_uint_eq(s->hz, 100);
	ck_assert_uint_eq(weight(s, NULL), 250000);
	ck_assert_uint_eq(weight(s, "runtime.main;main.main;main.outer;main.hotLoop"), 220000);
	ck_assert_int_eq(s->to_us - s->from_us,
			 734630 / 1000 * 1000 + (s->to_us - s->from_us) % 1000);
	stacks_free(s);
	s = load("go.heap.pb.gz");
	ck_assert_str_eq(res.event, "inuse_space");
	ck_assert_str_eq(res.unit, "bytes");
	ck_assert_uint_eq(weight(s, NULL), 526338 + 524496);
	stacks_free(s);
}
END_TEST

/* ---- cpuprofile ---- */

START_TEST(cpuprofile_of_node)
{
	struct stacks *s = load("node.cpuprofile");
	uint64_t hot = 0;

	ck_assert_int_eq(res.format, IMPORT_CPUPROFILE);
	ck_assert(s->has_time);
	for (uint32_t i = 0; i < s->n_samples; i++) {
		hot += strstr(path_of(s, i), "outer n.js:2;hot n.js:1") != NULL;
		ck_assert_ptr_null(strstr(path_of(s, i), "(idle)"));
	}
	ck_assert_uint_eq(hot, 91);
	ck_assert_int_eq(s->samples[0].at_us, 14152992240 + 13665);
	ck_assert_uint_eq(s->samples[0].weight_us, 19309);
	stacks_free(s);
}
END_TEST

START_TEST(cpuprofile_of_old)
{
	struct stacks *s = load("old.cpuprofile");

	ck_assert_uint_eq(s->n_samples, 4);
	ck_assert_uint_eq(weight(s, "main app.js:11"), 1000);
	ck_assert_uint_eq(weight(s, "main app.js:11;hot app.js:21"), 2000 + 2000);
	stacks_free(s);
}
END_TEST

START_TEST(cpuprofile_in_chunks_of_a_trace)
{
	struct stacks *s = load("trace.json");
	uint64_t renderer = 0, other = 0;

	ck_assert_uint_eq(weight(s, "run a.js:5"), 100 + 100 + 100);
	ck_assert_uint_eq(weight(s, "run a.js:5;draw a.js:10"), 300);
	ck_assert_uint_eq(weight(s, "run a.js:5;draw a.js:10;fill a.js:13"), 100);
	ck_assert_uint_eq(weight(s, "work w.js:1"), 201);
	for (uint32_t i = 0; i < s->n_samples; i++) {
		ck_assert(!i || s->samples[i].at_us >= s->samples[i - 1].at_us);
		if (strcmp(stacks_text(s, task_of(s, i)->comm), "CrRendererMain") == 0)
			renderer += task_of(s, i)->tid == 70;
		else
			other += task_of(s, i)->tid == 71;
	}
	ck_assert_uint_eq(renderer, 5);
	ck_assert_uint_eq(other, 2);
	stacks_free(s);
}
END_TEST

/* Own times of slices; the list has no end, as one that was written until its writer was killed. */
START_TEST(slices_of_a_trace)
{
	struct stacks *s = load("slices.json");
	uint32_t n = 0;

	ck_assert_int_eq(res.format, IMPORT_TRACE);
	ck_assert_uint_eq(weight(s, "request"), 1000 - 200 - 500);
	ck_assert_uint_eq(weight(s, "request;parse"), 200);
	ck_assert_uint_eq(weight(s, "request;query"), 500 - 100);
	ck_assert_uint_eq(weight(s, "request;query;wait"), 100);
	ck_assert_uint_eq(weight(s, "gc"), 25000);
	ck_assert_uint_eq(weight(s, "open end"), 500);
	ck_assert_uint_eq(weight(s, "open end;within"), 500);
	ck_assert_int_eq(s->from_us, 0);
	ck_assert_int_eq(s->to_us, 25000);
	for (uint32_t i = 0; i < s->n_samples; i++) {
		const char *comm = stacks_text(s, task_of(s, i)->comm);

		ck_assert(!i || s->samples[i].at_us >= s->samples[i - 1].at_us);
		n += task_of(s, i)->tid == 51; /* in three pieces: a map shows when */
		ck_assert_str_eq(comm, task_of(s, i)->tid == 50 ? "worker" : "server");
	}
	ck_assert_uint_eq(n, 3);
	stacks_free(s);
}
END_TEST

/* ---- what is none, or damaged ---- */

static void refused(const char *text, size_t len, int want, const char *words)
{
	struct import_result untouched = {.lines = 77};
	int r;

	err[0] = 0;
	r = import_bytes(&untouched, text, len, IMPORT_ANY, err, sizeof(err));
	ck_assert_msg(r == want, "%d, not %d: %s", r, want, err);
	ck_assert_msg(strstr(err, words) != NULL, "no '%s' in: %s", words, err);
	ck_assert_uint_eq(untouched.lines, 77);
}

START_TEST(what_is_no_profile_is_refused_in_words)
{
	static const char elf[] = "\177ELF\2\1\1\0\0\0\0\0\0\0\0\0\3\0>\0";

	refused("", 0, -ENODATA, "empty");
	refused("hello world\n", 12, -EBADMSG, "neither 'perf script' text");
	refused(elf, sizeof(elf), -EBADMSG, "neither");
	refused("PERFILE2\x68\0\0\0\0\0\0\0", 16, -EBADMSG, "perf script -i");
	refused("{\"a\": 1}", 8, -EBADMSG, "neither a .cpuprofile");
	refused("{\"nodes\": [", 11, -EBADMSG, "not valid JSON");
	refused("\x1f\x8b\x08nonsense", 11, -EBADMSG, "damaged");
	refused("{\"nodes\": [], \"samples\": []}", 28, -ENODATA, "no sample");
	ck_assert_int_eq(import_file(&res, "no/such/file", IMPORT_ANY, err, sizeof(err)), -ENOENT);
	ck_assert_int_eq(import_file(&res, "tests", IMPORT_ANY, err, sizeof(err)), -EISDIR);
}
END_TEST

/* Cut anywhere, a file is refused or read up to there, and nothing is read behind its end. */
START_TEST(cut_files)
{
	static const char *const names[] = {"perf.txt",	     "perf.txt.gz",	"go.cpu.pb.gz",
					    "go.heap.pb.gz", "node.cpuprofile", "trace.json",
					    "slices.json"};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		char path[256], *data = malloc(1 << 20);
		size_t len;
		FILE *f;

		snprintf(path, sizeof(path), PROFILES "%s", names[i]);
		f = fopen(path, "r");
		len = fread(data, 1, 1 << 20, f);
		fclose(f);
		for (size_t n = 0; n < len; n += 1 + len / 97) {
			char *copy = malloc(n ? n : 1);

			memcpy(copy, data, n);
			if (import_bytes(&res, copy, n, IMPORT_ANY, err, sizeof(err)) == 0)
				stacks_free(res.stacks);
			else
				ck_assert(err[0]);
			free(copy);
		}
		free(data);
	}
}
END_TEST

/* Of a file that has several. */
START_TEST(an_event_is_chosen)
{
	static const char *const names[] = {"alloc_objects", "alloc_space", "inuse_objects",
					    "inuse_space"};
	uint64_t sums[4];

	for (size_t i = 0; i < 4; i++) {
		ck_assert_int_eq(import_file_event(&res, PROFILES "go.heap.pb.gz", IMPORT_ANY,
						   names[i], err, sizeof(err)),
				 0);
		sums[i] = weight(res.stacks, NULL);
		ck_assert_str_eq(res.event, names[i]);
		ck_assert_str_eq(res.unit, i % 2 ? "bytes" : names[i]);
		stacks_free(res.stacks);
	}
	ck_assert(sums[1] >= sums[3] && sums[3] > 100 * sums[2] && sums[2]);
	ck_assert_int_eq(import_file_event(&res, PROFILES "go.heap.pb.gz", IMPORT_ANY, "x", err,
					   sizeof(err)),
			 -EINVAL);
	ck_assert_str_eq(err, "it has no sample type 'x', but: alloc_objects, alloc_space, "
			      "inuse_objects, inuse_space");
	ck_assert_int_eq(import_file_event(&res, PROFILES "node.cpuprofile", IMPORT_ANY, "x", err,
					   sizeof(err)),
			 -EINVAL);
	ck_assert_int_eq(import_file_event(&res, PROFILES "perf.txt", IMPORT_ANY, "cpu-clock", err,
					   sizeof(err)),
			 0);
	ck_assert_uint_eq(res.stacks->n_samples, 54);
	stacks_free(res.stacks);
}
END_TEST

START_TEST(looks_like)
{
	enum import_format f;

	ck_assert(import_looks_like((const uint8_t *)"a;b 1\n", 6, &f) && f == IMPORT_FOLDED);
	ck_assert(!import_looks_like((const uint8_t *)"", 0, &f));
	ck_assert(!import_looks_like((const uint8_t *)"\0\1\2", 3, &f));
	ck_assert_str_eq(import_format_name(IMPORT_PPROF), "pprof");
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("import");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, perf_script_of_a_real_recording);
	tcase_add_test(t, gzip_is_unpacked);
	tcase_add_test(t, perf_script_of_other_fields);
	tcase_add_test(t, perf_script_of_few_fields);
	tcase_add_test(t, lines_of_samples);
	tcase_add_test(t, lines_of_frames);
	tcase_add_test(t, stacks_end_with_or_without_a_blank_line);
	tcase_add_test(t, jit_names_hold_inlined_calls);
	tcase_add_test(t, one_event_counts_and_others_are_told);
	tcase_add_test(t, the_rate_of_cycles_is_measured);
	tcase_add_test(t, idle_is_told_by_the_leaf_alone);
	tcase_add_test(t, threads_know_their_process);
	tcase_add_test(t, samples_come_in_order_of_time);
	tcase_add_test(t, off_cpu_time_is_kept_beside);
	tcase_add_test(t, folded_stacks);
	tcase_add_test(t, folded_of_a_differential_takes_the_second);
	tcase_add_test(t, large_sums);
	tcase_add_test(t, stacks_of_any_depth_end);
	tcase_add_test(t, pprof_of_go);
	tcase_add_test(t, cpuprofile_of_node);
	tcase_add_test(t, cpuprofile_of_old);
	tcase_add_test(t, cpuprofile_in_chunks_of_a_trace);
	tcase_add_test(t, slices_of_a_trace);
	tcase_add_test(t, what_is_no_profile_is_refused_in_words);
	tcase_add_test(t, cut_files);
	tcase_add_test(t, an_event_is_chosen);
	tcase_add_test(t, looks_like);
	return support_run_case("import", t);
}
