/* `perf script` text, plain and gzipped. */
#include "import.h"

static void fuzz_seeds(void)
{
	static const char lines[] =
		"\2Web Content 12/13 [003] d..2. 1.5: 10 cycles:ppp: \n"
		"\tffffffff81063126 f()(int)+0x6 ([kernel.kallsyms])\n"
		"\t7f12 A::a->B::b (/tmp/perf-1.map)\n\t7f leaf (inlined)\n  x.c:3\n\n"
		":-1 -1/-1 2.000000001: offcpu-time: \n\t1 [unknown] ([unknown])\n"
		"x 1 [000] 3.0: 7 sched:sched_switch: prev_comm=a prev_pid=1\n\t1 add (/x "
		"(deleted))";

	static const char few[] =
		"\0bash \n\t12345678 f\n\n\n\tffffffff815a2001 g\n\nsh [001] 1.5: \n\t12345678 f\n"
		"   sh 3 2.5:  1 cpu-clock: \nsh 3 2.6: PERF_RECORD_COMM: sh:3/3\n 7 3.5: \n\t1 "
		"f\n";

	import_seed("perf.txt");
	import_seed("perf.txt.gz");
	import_seed("perf_flat.txt");
	import_seed("perf_sched.txt");
	import_seed("perf_srcline.txt");
	import_seed("perf_bare.txt");
	import_seed("perf_ns.txt");
	fuzz_seed("lines", lines, sizeof(lines) - 1);
	fuzz_seed("few", few, sizeof(few) - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return import_fuzz(data, size, IMPORT_PERF_SCRIPT);
}
