/* The process collector on a /proc of two processes: what their files say, and when it changes. */
#include "collector.h"

extern const struct collector collector_process;

static const struct fuzz_file files[] = {
	{ROOT_PROC, "loadavg"},
	{ROOT_PROC, "1/stat"},
	{ROOT_PROC, "1/status"},
	{ROOT_PROC, "1/io"},
	{ROOT_PROC, "1/schedstat"},
	{ROOT_PROC, "23/stat"},
	{ROOT_PROC, "23/status"},
	{ROOT_PROC, "23/io"},
	{ROOT_PROC, "23/schedstat"},
	{ROOT_PROC, "23/task/23/schedstat"},
	{ROOT_PROC, "23/task/24/schedstat"},
	{ROOT_PROC, "sys/kernel/pid_max"},
};
enum { N_FILES = sizeof(files) / sizeof(files[0]) };

#define STAT(pid, threads, utime)                                                                  \
	pid " (cmd) S 1 1 1 0 -1 4194560 2345 1 0 0 " utime " 34 0 0 20 0 " threads                \
	    " 0 123456 23068672 1203 18446744073709551615 94044 94055 140725 0 0 0 0 4096 17475 "  \
	    "0 0 0 17 1 0 0 0 0 0 0 0 0 0 0 0 0 0\n"
#define STATUS                                                                                     \
	"Name:\tcmd\nUid:\t1000\t1000\t1000\t1000\nVmSwap:\t4 kB\nThreads:\t1\n"                   \
	"voluntary_ctxt_switches:\t25\nnonvoluntary_ctxt_switches:\t7\n"
#define IO                                                                                         \
	"rchar: 3239\nwchar: 3239\nsyscr: 63\nsyscw: 63\nread_bytes: 0\nwrite_bytes: 32\n"         \
	"cancelled_write_bytes: 0\n"
#define CUT "\x1d"
#define PASS(utime, last_pid)                                                                      \
	"0.52 0.58 0.59 3/602 " last_pid "\n" CUT STAT("1", "1", utime)                            \
	CUT STATUS CUT IO CUT "123456 78 9\n" CUT STAT("23", "2", utime)                           \
	CUT STATUS CUT IO CUT "5 6 7\n" CUT "5 6 7\n" CUT "50 6 7\n" CUT "32768\n" CUT

static void fuzz_seeds(void)
{
	static const char once[] = PASS("12", "23"), twice[] = PASS("12", "23") PASS("13", "24");

	fuzz_seed("once", once, sizeof(once) - 1);
	fuzz_seed("twice", twice, sizeof(twice) - 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	return fuzz_collector(&collector_process, files, N_FILES, data, size);
}
