/* The texts of /proc/PID: the input's first byte picks the file, the rest is its text. */
#include "fuzz.h"

#include "base/cgroup.h"
#include "collectors/process/parse.h"

enum { STAT, IO, STATUS, SCHEDSTAT, LOADAVG, CGROUP, UNIT, N_TEXTS };

static const char *const seeds[N_TEXTS] = {
	[STAT] = "4711 (a (b) c) S 1 4711 4711 0 -1 4194560 2345 1 0 0 12 34 0 0 20 0 3 0 123456 "
		 "23068672 "
		 "1203 18446744073709551615 94044 94055 140725 0 0 0 0 4096 17475 0 0 0 17 1 0 0 0 "
		 "0 0 0 0 "
		 "0 0 0 0 0 0\n",
	[IO] = "rchar: 323934931\nwchar: 323929600\nsyscr: 632687\nsyscw: 632675\nread_bytes: 0\n"
	       "write_bytes: 323932160\ncancelled_write_bytes: 0\n",
	[STATUS] = "Name:\tcat\nUmask:\t0022\nState:\tR "
		   "(running)\nPid:\t9\nUid:\t1000\t1000\t1000\t1000\n"
		   "VmSwap:\t       4 kB\nThreads:\t1\nvoluntary_ctxt_switches:\t25\n"
		   "nonvoluntary_ctxt_switches:\t7\n",
	[SCHEDSTAT] = "123456789 987654 42\n",
	[LOADAVG] = "0.52 0.58 0.59 3/602 31337\n",
	[CGROUP] = "12:pids:/user.slice\n1:name=systemd:/system.slice/ssh.service\n0::/"
		   "system.slice/ssh.service\n",
	[UNIT] = "/kubepods.slice/cri-containerd-0123456789abcdef0123456789abcdef.scope",
};

static void fuzz_seeds(void)
{
	for (int i = 0; i < N_TEXTS; i++) {
		char text[512], name[8];
		int len = snprintf(text, sizeof(text), "%c%s", i, seeds[i]);

		snprintf(name, sizeof(name), "%d", i);
		fuzz_seed(name, text, (size_t)len);
	}
}

static void parse(unsigned which, const char *text, size_t len)
{
	struct proc_stat st;
	struct proc_io io;
	struct proc_status status;
	struct proc_peek peek;
	struct proc_schedstat sched;
	int64_t tasks, pid;
	char out[64];

	switch (which) {
	case STAT:
		if (parse_proc_stat(text, len, &st) == 0)
			FUZZ_CHECK(st.comm_len < COMM_MAX && st.state >= 0 &&
				   st.state <= STATE_NONE);
		break;
	case IO:
		parse_proc_io(text, &io);
		break;
	case STATUS:
		parse_proc_status(text, &status);
		parse_proc_peek(text, &peek);
		break;
	case SCHEDSTAT:
		parse_proc_schedstat(text, &sched);
		break;
	case LOADAVG:
		parse_loadavg(text, &tasks, &pid);
		break;
	case CGROUP:
		FUZZ_CHECK(cgroup_parse(text, out, sizeof(out)) < sizeof(out) &&
			   memchr(out, 0, sizeof(out)));
		break;
	default:
		FUZZ_CHECK(parse_unit(text, out, sizeof(out)) < sizeof(out) &&
			   memchr(out, 0, sizeof(out)));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!size)
		return 0;
	/* A block of exactly this size: a byte too far is an error. */
	char *text = malloc(size);

	memcpy(text, data + 1, size - 1);
	text[size - 1] = 0;
	parse(data[0] % N_TEXTS, text, strlen(text));
	free(text);
	return 0;
}
