/* The texts of /proc/PID: as they are, cut, too long, garbage. */
#include "base/cgroup.h"
#include "collectors/process/parse.h"
#include "support.h"

#define STAT_TAIL                                                                                  \
	" S 1 2 3 0 -1 4194304 102 0 7 0 31 41 0 0 20 -5 3 0 96602 3133440 394 "                   \
	"18446744073709551615 94162848972800 94162848992681 140729491883968 0 0 0 0 0 0 0 0 0 17 " \
	"1 0 0 0 0 0\n"

static int stat_of(const char *comm, struct proc_stat *st)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "8255 (%s)" STAT_TAIL, comm);

	return parse_proc_stat(text, (size_t)n, st);
}

START_TEST(stat_fields)
{
	struct proc_stat st;

	ck_assert_int_eq(stat_of("cat", &st), 0);
	ck_assert_int_eq(st.comm_len, 3);
	ck_assert_mem_eq(st.comm, "cat", 3);
	ck_assert_int_eq(st.state, 1);
	ck_assert_int_eq(st.ppid, 1);
	ck_assert_int_eq(st.minflt, 102);
	ck_assert_int_eq(st.majflt, 7);
	ck_assert_int_eq(st.utime, 31);
	ck_assert_int_eq(st.stime, 41);
	ck_assert_int_eq(st.priority, 20);
	ck_assert_int_eq(st.nice, -5);
	ck_assert_int_eq(st.threads, 3);
	ck_assert_int_eq(st.start, 96602);
	ck_assert_int_eq(st.vsize, 3133440);
	ck_assert_int_eq(st.rss, 394);
	ck_assert_int_eq(st.exit_signal, 17);
	ck_assert_int_eq(st.processor, 1);
	ck_assert_int_ne(st.exec_mark, 0);
}
END_TEST

/* Any bytes may stand in a name: the last ')' ends it. */
START_TEST(stat_names)
{
	static const char *const names[] = {"a b",	 "x) R 9 9",  "((",
					    "))",	 "new\nline", "tab\there",
					    "\xff\xfe(", "",	      ") S 1 2 3 ("};
	struct proc_stat st;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		ck_assert_int_eq(stat_of(names[i], &st), 0);
		ck_assert_uint_eq(st.comm_len, strlen(names[i]));
		ck_assert_mem_eq(st.comm, names[i], st.comm_len);
		ck_assert_int_eq(st.ppid, 1);
		ck_assert_int_eq(st.processor, 1);
	}
	char longer[200];

	memset(longer, 'k', sizeof(longer));
	longer[199] = 0;
	ck_assert_int_eq(stat_of(longer, &st), 0);
	ck_assert_uint_eq(st.comm_len, COMM_MAX - 1);
}
END_TEST

START_TEST(stat_cut_or_garbage)
{
	const char *whole = "8255 (cat)" STAT_TAIL;
	struct proc_stat st;
	char text[512];

	for (size_t n = 0; n < strlen(whole) - 13; n++) { /* up to within the last field it needs */
		memcpy(text, whole, n);
		text[n] = 0;
		ck_assert_msg(parse_proc_stat(text, n, &st) == -EBADMSG, "accepted %zu bytes", n);
	}
	unsigned seed = 3;

	for (int k = 0; k < 20000; k++) {
		size_t n = (size_t)rand_r(&seed) % 300;

		for (size_t i = 0; i < n; i++)
			text[i] = "() \n0123456789-RSx"[rand_r(&seed) % 18];
		text[n] = 0;
		parse_proc_stat(text, n, &st);
		struct proc_io io;
		struct proc_status ps;
		struct proc_schedstat ss;

		parse_proc_io(text, &io);
		parse_proc_status(text, &ps);
		parse_proc_schedstat(text, &ss);
	}
}
END_TEST

START_TEST(io_status_schedstat)
{
	struct proc_io io;
	struct proc_status st;
	struct proc_schedstat ss;
	int64_t tasks, last;

	ck_assert_int_eq(
		parse_proc_io("rchar: 7273\nwchar: 297\nsyscr: 12\nsyscw: 1\nread_bytes: 4096\n"
			      "write_bytes: 8192\ncancelled_write_bytes: 3\n",
			      &io),
		0);
	ck_assert_int_eq(io.rchar, 7273);
	ck_assert_int_eq(io.wchar, 297);
	ck_assert_int_eq(io.syscr, 12);
	ck_assert_int_eq(io.syscw, 1);
	ck_assert_int_eq(io.read_bytes, 4096);
	ck_assert_int_eq(io.write_bytes, 8192);
	ck_assert_int_eq(io.cancelled_write_bytes, 3);
	ck_assert_int_eq(parse_proc_io("rchar: 5\nnew_field: 9\nread_bytes: 6\n", &io), 0);
	ck_assert_int_eq(io.read_bytes, 6);
	ck_assert(io.wchar == VALUE_ABSENT);
	ck_assert_int_eq(parse_proc_io("nonsense\n", &io), -EBADMSG);

	static const char status[] =
		"Name:\tUid:\\nUid: 9\nUmask:\t0022\nUid:\t1000\t0\t0\t0\nVmSwap:\t  17 kB\n"
		"voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t6\n";

	ck_assert_int_eq(parse_proc_status(status, &st), 0);
	ck_assert_int_eq(st.uid, 1000);
	ck_assert_int_eq(st.swap_kb, 17);
	ck_assert_int_eq(st.vctxsw, 5);
	ck_assert_int_eq(st.nvctxsw, 6);
	ck_assert_int_eq(
		parse_proc_status("Name:\tk\nUid:\t0\t0\t0\t0\nvoluntary_ctxt_switches:\t2\n", &st),
		0);
	ck_assert_int_eq(st.swap_kb, 0); /* a kernel thread */
	ck_assert(st.nvctxsw == VALUE_ABSENT);
	ck_assert_int_eq(parse_proc_status("Name:\tk\nUid:\t0\t0\t0\t0\nGroups:\t1 2 3", &st), 0);
	ck_assert(st.swap_kb == VALUE_ABSENT); /* cut: no zero is made up */
	ck_assert_int_eq(parse_proc_status("Name:\tk\n", &st), -EBADMSG);

	ck_assert_int_eq(parse_proc_schedstat("1137075 189563 5\n", &ss), 0);
	ck_assert_int_eq(ss.cpu_ns, 1137075);
	ck_assert_int_eq(ss.delay_ns, 189563);
	ck_assert_int_eq(ss.count, 5);
	ck_assert_int_eq(parse_proc_schedstat("1137075 1895", &ss), -EBADMSG);
	ck_assert_int_eq(parse_loadavg("0.24 0.07 0.04 2/96 8256\n", &tasks, &last), 0);
	ck_assert_int_eq(tasks, 96);
	ck_assert_int_eq(last, 8256);
	ck_assert_int_eq(parse_loadavg("0.24 0.07", &tasks, &last), -EBADMSG);
	ck_assert_int_eq(parse_loadavg("0.24 0.07 0.04 2/96 9223372036854775807\n", &tasks, &last),
			 -EBADMSG);
	ck_assert_int_eq(parse_loadavg("0.24 0.07 0.04 2/96 -2\n", &tasks, &last), -EBADMSG);
}
END_TEST

static const char *unit_of(const char *path)
{
	static char out[64];

	parse_unit(path, out, sizeof(out));
	return out;
}

START_TEST(units)
{
	char path[256];

	ck_assert_str_eq(unit_of("/system.slice/nginx.service"), "nginx.service");
	ck_assert_str_eq(unit_of("/user.slice/user-1000.slice/user@1000.service/app.slice/x.scope"),
			 "x.scope");
	ck_assert_str_eq(unit_of("/system.slice/db.service/worker"), "db.service");
	ck_assert_str_eq(
		unit_of("/docker/0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
		"0123456789ab");
	ck_assert_str_eq(unit_of("/kubepods.slice/"
				 "cri-containerd-fedcba9876543210fedcba9876543210fedcba9876543210"
				 "fedcba9876543210.scope"),
			 "fedcba987654");
	ck_assert_str_eq(unit_of("/a/b"), "b");
	ck_assert_str_eq(unit_of("/"), "");
	ck_assert_str_eq(unit_of(""), "");
	ck_assert_uint_eq(
		cgroup_parse("9:name=systemd:/s.slice/a.service\n4:memory:/m\n0::/\n", path, 256),
		18);
	ck_assert_str_eq(path, "/s.slice/a.service");
	cgroup_parse("4:memory:/m\n0::/new.service\n", path, sizeof(path));
	ck_assert_str_eq(path, "/new.service");
	cgroup_parse("garbage\n::\n", path, sizeof(path));
	ck_assert_str_eq(path, "");
}
END_TEST

START_TEST(status_peek)
{
	struct proc_peek peek;

	ck_assert_int_eq(parse_proc_peek("Name:\tx\nState:\tD (disk sleep)\nTgid:\t5\nPPid:\t4\n"
					 "VmSize:\t    120 kB\nThreads:\t1\n",
					 &peek),
			 0);
	ck_assert_int_eq(peek.state, 'D');
	ck_assert_int_eq(peek.ppid, 4);
	ck_assert_int_eq(peek.vsize_kb, 120);
	ck_assert_int_eq(peek.threads, 1);
	ck_assert_int_eq(parse_proc_peek("Name:\tk\nState:\tD\nPPid:\t2\nThreads:\t1\n", &peek),
			 -EBADMSG);
	ck_assert_int_eq(parse_proc_peek("Name:\tk\nState:\t", &peek), -EBADMSG);
	ck_assert_int_eq(parse_proc_peek("", &peek), -EBADMSG);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		stat_fields,	     stat_names, stat_cut_or_garbage,
		io_status_schedstat, units,	 status_peek,
	};

	return support_run("process_parse", tests, sizeof(tests) / sizeof(*tests));
}
