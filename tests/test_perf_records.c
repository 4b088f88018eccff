/* Records, the ring they lie in, and the table of tasks: from made bytes, without the kernel. */
#include "perf_records.h"
#include "support.h"

#include "base/cgroup.h"
#include "profile/profiler_private.h"

static const struct record_format tick_format = {
	.callchain = true, .regs_user = true, .stack_user = true, .n_regs = 2};

START_TEST(samples_are_read)
{
	static const uint64_t ips[] = {(uint64_t)PERF_CONTEXT_USER, 0x401000, 0x402000};
	struct record_sample s;
	struct record r;
	struct made m;

	made_sample(&m, ips, 3, 40);
	ck_assert_uint_eq(record_time_ns(m.data, m.len), 5000);
	ck_assert_int_eq(record_read(m.data, m.len, &r), 0);
	ck_assert_uint_eq(r.type, PERF_RECORD_SAMPLE);
	ck_assert_uint_eq(r.id, 77);
	ck_assert_uint_eq(r.pid, 100);
	ck_assert_uint_eq(r.tid, 101);
	ck_assert_uint_eq(r.time_ns, 5000);
	ck_assert_uint_eq(r.cpu, 3);
	ck_assert_int_eq(record_read_sample(&r, &tick_format, &s), 0);
	ck_assert_uint_eq(s.n_ips, 3);
	ck_assert_uint_eq(s.ips[2], 0x402000);
	ck_assert_uint_eq(s.n_regs, 2);
	ck_assert_uint_eq(s.regs[1], 0xbbbb);
	ck_assert_uint_eq(s.stack_len, 40);
	ck_assert_int_eq(s.stack[8], 1);
	/* Filled more than there is room for. */
	made_sample(&m, ips, 3, 72);
	ck_assert_int_eq(record_read(m.data, m.len, &r), 0);
	ck_assert_int_eq(record_read_sample(&r, &tick_format, &s), -EBADMSG);
}
END_TEST

/* Without registers: a kernel thread. The stack is 0 long then, and nothing follows it. */
START_TEST(kernel_threads_have_no_registers)
{
	struct record_sample s;
	struct record r;
	struct made m;

	made_begin(&m);
	made_u64(&m, 77);
	made_pair(&m, 0, 2);
	made_u64(&m, 5000);
	made_pair(&m, 3, 0);
	made_u64(&m, 1);
	made_u64(&m, 0xffffffff81000000);
	made_u64(&m, PERF_SAMPLE_REGS_ABI_NONE);
	made_u64(&m, 0);
	made_end(&m, PERF_RECORD_SAMPLE, PERF_RECORD_MISC_KERNEL);
	ck_assert_int_eq(record_read(m.data, m.len, &r), 0);
	ck_assert_int_eq(record_read_sample(&r, &tick_format, &s), 0);
	ck_assert_ptr_null(s.regs);
	ck_assert_uint_eq(s.stack_len, 0);
	ck_assert_uint_eq(s.n_ips, 1);
}
END_TEST

START_TEST(side_band_is_read)
{
	struct record r;
	struct made m;

	made_mmap2(&m, "/usr/lib/libx.so");
	ck_assert_int_eq(record_read(m.data, m.len, &r), 0);
	ck_assert_str_eq(r.mmap.path, "/usr/lib/libx.so");
	ck_assert_uint_eq(r.mmap.addr, 0x7f0000000000);
	ck_assert_uint_eq(r.mmap.file_off, 0x1000);
	ck_assert_uint_eq(r.mmap.ino, 4711);
	ck_assert_uint_eq(r.mmap.major, 8);
	ck_assert_uint_eq(r.mmap.prot, 5);
	ck_assert_uint_eq(r.time_ns, 6000);
	ck_assert_uint_eq(r.id, 78);

	made_begin(&m);
	made_pair(&m, 7, 8);
	made_text(&m, "worker/3");
	made_ids(&m, 7, 8, 9000, 0, 78);
	made_end(&m, PERF_RECORD_COMM, PERF_RECORD_MISC_COMM_EXEC);
	ck_assert_int_eq(record_read(m.data, m.len, &r), 0);
	ck_assert_str_eq(r.comm.comm, "worker/3");
	ck_assert_uint_eq(r.comm.tid, 8);

	made_begin(&m);
	made_pair(&m, 20, 10);
	made_pair(&m, 21, 11);
	made_u64(&m, 9000);
	made_ids(&m, 10, 11, 9001, 0, 78);
	made_end(&m, PERF_RECORD_FORK, 0);
	ck_assert_int_eq(record_read(m.data, m.len, &r), 0);
	ck_assert_uint_eq(r.task.pid, 20);
	ck_assert_uint_eq(r.task.ppid, 10);
	ck_assert_uint_eq(r.task.tid, 21);
	ck_assert_uint_eq(r.task.ptid, 11);

	made_begin(&m);
	made_u64(&m, 78);
	made_u64(&m, 33);
	made_ids(&m, 10, 11, 9002, 0, 78);
	made_end(&m, PERF_RECORD_LOST, 0);
	ck_assert_int_eq(record_read(m.data, m.len, &r), 0);
	ck_assert_uint_eq(r.lost, 33);

	made_begin(&m);
	made_u64(&m, 0xffffffffc0001000);
	made_pair(&m, 0x80,
		  PERF_RECORD_KSYMBOL_TYPE_BPF | PERF_RECORD_KSYMBOL_FLAGS_UNREGISTER << 16);
	made_text(&m, "bpf_prog_12_x");
	made_ids(&m, 10, 11, 9003, 0, 78);
	made_end(&m, PERF_RECORD_KSYMBOL, 0);
	ck_assert_int_eq(record_read(m.data, m.len, &r), 0);
	ck_assert_uint_eq(r.ksymbol.addr, 0xffffffffc0001000);
	ck_assert_uint_eq(r.ksymbol.len, 0x80);
	ck_assert(r.ksymbol.gone);
	ck_assert_str_eq(r.ksymbol.name, "bpf_prog_12_x");

	made_end(&m, PERF_RECORD_NAMESPACES, 0);
	ck_assert_int_eq(record_read(m.data, m.len, &r), -ENOTSUP);
	ck_assert_uint_eq(r.time_ns, 9003);
}
END_TEST

START_TEST(damaged_records_are_refused)
{
	static const uint64_t ips[] = {0x401000};
	struct record_sample s;
	struct record r;
	struct made m;

	/* Every length but the right one. */
	made_sample(&m, ips, 1, 64);
	for (size_t len = 0; len < m.len; len++)
		ck_assert_int_eq(record_read(m.data, len, &r), -EBADMSG);
	/* Cut, with a header that agrees. */
	for (size_t len = m.len - 8; len >= 48; len -= 8) {
		struct perf_event_header h = {.type = PERF_RECORD_SAMPLE, .size = (uint16_t)len};
		_Alignas(8) uint8_t cut[16384];

		memcpy(cut, m.data, len);
		memcpy(cut, &h, sizeof(h));
		ck_assert_int_eq(record_read(cut, len, &r), 0);
		ck_assert_int_eq(record_read_sample(&r, &tick_format, &s), -EBADMSG);
	}
	/* A path without an end. */
	made_mmap2(&m, "/a234567");
	memset(m.data + m.len - 32 - 16, 'x', 16);
	ck_assert_int_eq(record_read(m.data, m.len, &r), -EBADMSG);
	/* More callers than a record can have. */
	made_sample(&m, ips, 1, 64);
	memset(m.data + 40, 0xff, 8);
	ck_assert_int_eq(record_read(m.data, m.len, &r), 0);
	ck_assert_int_eq(record_read_sample(&r, &tick_format, &s), -EBADMSG);
}
END_TEST

/* ---- the ring ---- */

struct fake {
	struct perf_ring ring;
	struct perf_event_mmap_page page;
	_Alignas(8) uint8_t data[4096];
	uint8_t wrap[PERF_RING_RECORD_MAX];
};

static void fake_init(struct fake *f)
{
	memset(f, 0, sizeof(*f));
	f->ring = (struct perf_ring){
		.page = &f->page, .data = f->data, .size = sizeof(f->data), .wrap = f->wrap};
}

static void fake_put(struct fake *f, const struct made *m)
{
	for (size_t i = 0; i < m->len; i++)
		f->data[(f->page.data_head + i) % sizeof(f->data)] = m->data[i];
	f->page.data_head += m->len;
}

START_TEST(the_ring_goes_round)
{
	struct fake f;
	struct made m;
	size_t len, n = 0, wrapped = 0;

	fake_init(&f);
	for (int lap = 0; lap < 200; lap++) {
		char path[64];
		const void *p;
		struct record r;

		snprintf(path, sizeof(path), "/lap/%0*d", 1 + lap % 40, lap);
		made_mmap2(&m, path);
		fake_put(&f, &m);
		fake_put(&f, &m);
		perf_ring_begin(&f.ring);
		ck_assert_uint_eq(perf_ring_percent(&f.ring), 2 * m.len * 100 / 4096);
		while ((p = perf_ring_next(&f.ring, &len))) {
			ck_assert_int_eq(record_read(p, len, &r), 0);
			ck_assert_str_eq(r.mmap.path, path);
			wrapped += p == f.wrap;
			n++;
		}
		perf_ring_end(&f.ring);
		ck_assert_uint_eq(f.page.data_tail, f.page.data_head);
	}
	ck_assert_uint_eq(n, 400);
	ck_assert_uint_gt(wrapped, 5);
	ck_assert_uint_eq(f.ring.broken, 0);
}
END_TEST

START_TEST(nonsense_in_the_ring_is_passed_over)
{
	struct fake f;
	struct made m;
	size_t len;

	fake_init(&f);
	made_mmap2(&m, "/x");
	fake_put(&f, &m);
	fake_put(&f, &m);
	f.data[m.len + 6] = 5; /* its length: not a multiple of 8 */
	f.data[m.len + 7] = 0;
	perf_ring_begin(&f.ring);
	ck_assert_ptr_nonnull(perf_ring_next(&f.ring, &len));
	ck_assert_ptr_null(perf_ring_next(&f.ring, &len));
	perf_ring_end(&f.ring);
	ck_assert_uint_eq(f.ring.broken, 1);
	ck_assert_uint_eq(f.page.data_tail, f.page.data_head);
	fake_put(&f, &m);
	perf_ring_begin(&f.ring);
	ck_assert_ptr_nonnull(perf_ring_next(&f.ring, &len));
}
END_TEST

/* ---- tasks ---- */

static void write_proc(const char *dir, const char *path, const char *text)
{
	support_write(dir, path, text, strlen(text));
}

START_TEST(tasks_have_names_and_places)
{
	struct stacks *s = stacks_new();
	struct tasks *ts;
	struct host h;
	char dir[64];

	support_dir(dir);
	write_proc(dir, "10/comm", "serverd\n");
	write_proc(dir, "10/task/10/comm", "serverd\n");
	write_proc(dir, "10/task/11/comm", "worker\n");
	write_proc(dir, "10/cgroup", "0::/system.slice/serverd.service\n");
	ck_assert_int_eq(host_open(&h, dir, NULL, NULL), 0);
	ck_assert_int_eq(tasks_open(&ts, &h, 100), 0);

	const struct stacks_task *t =
		&s->tasks[tasks_index(ts, tasks_get(ts, 10, 11), s, 1, 1000000)];
	ck_assert_str_eq(stacks_text(s, t->comm), "worker");
	ck_assert_str_eq(stacks_text(s, t->process), "serverd");
	ck_assert_str_eq(stacks_text(s, t->cgroup), "/system.slice/serverd.service");
	ck_assert_uint_eq(t->pid, 10);
	ck_assert_uint_eq(t->tid, 11);

	/* A child that is gone: as its parent, then as its exec said; its new name is a new entry. */
	tasks_fork(ts, 20, 20, 10, 11);
	uint32_t before = tasks_index(ts, tasks_get(ts, 20, 20), s, 1, 1000001);

	t = &s->tasks[before];
	ck_assert_str_eq(stacks_text(s, t->comm), "worker");
	ck_assert_str_eq(stacks_text(s, t->cgroup), "/system.slice/serverd.service");
	tasks_comm(ts, 20, 20, "helper", true);
	uint32_t after = tasks_index(ts, tasks_get(ts, 20, 20), s, 1, 1000002);

	ck_assert_uint_ne(before, after);
	t = &s->tasks[after];
	ck_assert_str_eq(stacks_text(s, t->comm), "helper");
	ck_assert_str_eq(stacks_text(s, t->process), "helper");
	ck_assert_str_eq(stacks_text(s, t->cgroup), "/system.slice/serverd.service");
	/* Its threads follow when the process is renamed. */
	tasks_fork(ts, 20, 21, 20, 20);
	before = tasks_index(ts, tasks_get(ts, 20, 21), s, 1, 1000003);
	tasks_comm(ts, 20, 20, "renamed", false);
	after = tasks_index(ts, tasks_get(ts, 20, 21), s, 1, 1000003);
	ck_assert_uint_ne(before, after);
	ck_assert_str_eq(stacks_text(s, s->tasks[after].process), "renamed");
	ck_assert_str_eq(stacks_text(s, s->tasks[after].comm), "helper");
	tasks_close(ts);
	stacks_free(s);
	host_close(&h);
	support_rm(dir);
}
END_TEST

START_TEST(a_fork_storm_is_bounded)
{
	struct tasks *ts;
	struct host h;
	uint64_t ip = 1;

	ck_assert_int_eq(host_open(&h, NULL, NULL, NULL), 0);
	ck_assert_int_eq(tasks_open(&ts, &h, 256), 0);
	tasks_comm(ts, 5, 5, "lives", false);
	offcpu_stack(tasks_get(ts, 5, 5), 77, &ip, 1);
	for (uint32_t pid = 1000; pid < 101000; pid++) {
		tasks_fork(ts, pid, pid, 5, 5);
		tasks_comm(ts, pid, pid, "short", true);
		tasks_exit(ts, pid);
	}
	ck_assert_uint_le(tasks_count(ts), 256);
	/* Those that have ended went, not the one that was seen longest ago. */
	ck_assert_ptr_nonnull(tasks_find(ts, 5));
	ck_assert_str_eq(tasks_find(ts, 5)->comm, "lives");
	ck_assert_int_eq(tasks_find(ts, 5)->off.since_ns, 77);
	/* Living ones push out the one seen longest ago. */
	for (uint32_t pid = 1000; pid < 1400; pid++)
		tasks_get(ts, pid, pid);
	ck_assert_uint_eq(tasks_count(ts), 256);
	ck_assert_ptr_null(tasks_find(ts, 5));
	ck_assert_ptr_null(tasks_find(ts, 1000));
	ck_assert_ptr_nonnull(tasks_find(ts, 1399));
	tasks_close(ts);
	host_close(&h);
}
END_TEST

/* exec by another thread: the main one ends first, and then it is the program that goes on. */
START_TEST(a_thread_that_is_not_the_main_one_calls_exec)
{
	struct host h;
	struct tasks *ts;

	ck_assert_int_eq(host_open(&h, NULL, NULL, NULL), 0);
	ck_assert_int_eq(tasks_open(&ts, &h, 16), 0);
	tasks_comm(ts, 5, 5, "before", false);
	tasks_exit(ts, 5);
	ck_assert(tasks_find(ts, 5)->exited);
	tasks_comm(ts, 5, 5, "behind", true);
	ck_assert(!tasks_find(ts, 5)->exited);
	tasks_close(ts);
	host_close(&h);
}
END_TEST

START_TEST(names_are_read_again_when_records_were_lost)
{
	uint32_t pid = (uint32_t)getpid();
	struct stacks *s = stacks_new();
	struct host h;
	struct tasks *ts;

	ck_assert_int_eq(host_open(&h, NULL, NULL, NULL), 0);
	ck_assert_int_eq(tasks_open(&ts, &h, 16), 0);
	tasks_comm(ts, pid, pid, "of before", false);
	tasks_comm(ts, 0x3ffffff0, 0x3ffffff0, "gone", false);
	tasks_doubt(ts);
	uint32_t own = tasks_index(ts, tasks_get(ts, pid, pid), s, 1, 1000);
	char comm[32] = "";
	FILE *f = fopen("/proc/self/comm", "re"); /* an emulator's, where it runs in one */

	ck_assert_ptr_nonnull(f);
	ck_assert_int_eq(fscanf(f, "%31[^\n]", comm), 1);
	fclose(f);
	uint32_t gone = tasks_index(ts, tasks_get(ts, 0x3ffffff0, 0x3ffffff0), s, 1, 1000);

	ck_assert_str_eq(stacks_text(s, s->tasks[own].comm), comm);
	ck_assert_str_eq(stacks_text(s, s->tasks[gone].comm), "gone");
	tasks_close(ts);
	host_close(&h);
	stacks_free(s);
}
END_TEST

START_TEST(cgroups_are_read)
{
	static const struct {
		const char *text, *want;
	} cases[] = {
		{"", ""},
		{"0::/\n", "/"},
		{"0::/user.slice/a.scope\n", "/user.slice/a.scope"},
		{"12:cpu,cpuacct:/docker/abc\n11:memory:/docker/abc\n0::/\n", "/docker/abc"},
		{"1:name=systemd:/old\n0::/new\n", "/new"},
		{"9:name=systemd:/\n4:memory:/box/abc\n1:cpu:/\n0::/\n", "/box/abc"},
		{"0::/with:colon\n", "/with:colon"},
		{"garbage", ""},
		{"a:b", ""},
		{"0::/no/newline", "/no/newline"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		char got[64];

		cgroup_parse(cases[i].text, got, sizeof(got));
		ck_assert_str_eq(got, cases[i].want);
	}
	char cut[8];

	cgroup_parse("0::/system.slice\n", cut, sizeof(cut));
	ck_assert_str_eq(cut, "/system");
}
END_TEST

START_TEST(a_process_that_was_moved_is_there_in_seconds)
{
	char dir[64], proc[80];
	struct stacks *s = stacks_new();
	struct host h;
	struct tasks *ts;

	support_dir(dir);
	snprintf(proc, sizeof(proc), "%s/proc", dir);
	support_put(dir, "proc/5/cgroup", "0::/before\n");
	ck_assert_int_eq(host_open(&h, proc, NULL, NULL), 0);
	ck_assert_int_eq(tasks_open(&ts, &h, 16), 0);
	uint32_t i = tasks_index(ts, tasks_get(ts, 5, 5), s, 1, 1000000);

	ck_assert_str_eq(stacks_text(s, s->tasks[i].cgroup), "/before");
	support_put(dir, "proc/5/cgroup", "0::/behind\n");
	i = tasks_index(ts, tasks_get(ts, 5, 5), s, 1, 7000000);
	ck_assert_str_eq(stacks_text(s, s->tasks[i].cgroup), "/behind");
	tasks_close(ts);
	host_close(&h);
	stacks_free(s);
	support_rm(dir);
}
END_TEST

/* ---- waiting ---- */

START_TEST(waits_pair)
{
	static const uint64_t ips[] = {0x10, 0x20};
	struct task t = {.pid = 1, .tid = 1};

	ck_assert_int_eq(offcpu_in(&t, 100), -1); /* it was away before we looked */
	offcpu_stack(&t, 200, ips, 2);
	offcpu_out(&t, 210, true);
	ck_assert(t.off.preempted);
	ck_assert_int_eq(offcpu_in(&t, 1210), 1000);
	ck_assert_uint_eq(t.off.n_ips, 2);
	ck_assert_uint_eq(t.off.ips[1], 0x20);
	ck_assert_int_eq(offcpu_in(&t, 1220), -1); /* it runs already */
	offcpu_out(&t, 1300, false);
	ck_assert_uint_eq(t.off.n_ips, 0); /* not the stack of the last time */
	ck_assert(!t.off.preempted);
	ck_assert_int_eq(offcpu_in(&t, 1400), 100);
	free(t.off.ips);
}
END_TEST

START_TEST(functions_tell_what_was_waited_for)
{
	static const struct {
		const char *name;
		enum stacks_class want;
	} cases[] = {
		{"io_schedule", STACKS_DISK},
		{"io_schedule_timeout", STACKS_DISK},
		{"folio_wait_bit_common", STACKS_DISK},
		{"futex_wait_queue", STACKS_CONDITION},
		{"__futex_wait", STACKS_CONDITION},
		{"__mutex_lock.constprop.0", STACKS_LOCK},
		{"rwsem_down_write_slowpath", STACKS_LOCK},
		{"down", STACKS_LOCK},
		{"tcp_recvmsg_locked", STACKS_NETWORK},
		{"unix_stream_read_generic", STACKS_NETWORK},
		{"sk_wait_data", STACKS_NETWORK},
		{"inet_csk_accept", STACKS_NETWORK},
		{"do_nanosleep", STACKS_SLEEP},
		{"ep_poll", STACKS_SLEEP},
		{"do_sys_poll", STACKS_SLEEP},
		{"do_wait", STACKS_SLEEP},
		{"worker_thread", STACKS_SLEEP},
		{"wait_transaction_locked", STACKS_DISK},
		{"synchronize_rcu_normal", STACKS_LOCK},
		{"kvm_vcpu_block", STACKS_SLEEP},
		{"schedule", STACKS_CLASSES},
		{"schedule_timeout", STACKS_CLASSES},
		{"__schedule", STACKS_CLASSES},
		{"downgrade_write", STACKS_CLASSES},
		{"pipe_read", STACKS_CLASSES},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++)
		ck_assert_msg(offcpu_function_class(cases[i].name) == cases[i].want, "%s: %d",
			      cases[i].name, offcpu_function_class(cases[i].name));
}
END_TEST

/* As a kernel writes it to the second of two listeners: 32 bytes longer than it is. */
START_TEST(a_ksymbol_ends_where_its_name_does)
{
	struct {
		struct perf_event_header h;
		uint64_t addr;
		uint32_t len;
		uint16_t type, flags;
		char name[24];
		uint32_t pid, tid;
		uint64_t time;
		uint32_t cpu, unused;
		uint64_t id, rest[4];
	} k = {.h = {.type = PERF_RECORD_KSYMBOL, .size = sizeof(k)},
	       .addr = 0xffffffffc0001000,
	       .len = 0x123,
	       .name = "bpf_prog_0123456789ab",
	       .pid = 7,
	       .tid = 8,
	       .time = 5000,
	       .cpu = 1,
	       .id = 99,
	       .rest = {0x7fff12345678, 0x7fff12345678, 0x7fff12345678, 0x7fff12345678}};
	struct record r;

	for (unsigned extra = 0; extra < 2; extra++) {
		k.h.size = (uint16_t)(sizeof(k) - (extra ? 0 : sizeof(k.rest)));
		ck_assert_uint_eq(record_time_ns(&k, k.h.size), 5000);
		ck_assert_int_eq(record_read(&k, k.h.size, &r), 0);
		ck_assert_uint_eq(r.time_ns, 5000);
		ck_assert_uint_eq(r.id, 99);
		ck_assert_uint_eq(r.cpu, 1);
		ck_assert_uint_eq(r.ksymbol.addr, 0xffffffffc0001000);
		ck_assert_uint_eq(r.ksymbol.len, 0x123);
		ck_assert_str_eq(r.ksymbol.name, "bpf_prog_0123456789ab");
	}
}
END_TEST

START_TEST(locks_are_told_from_conditions)
{
	enum { PRIVATE = 128, WAIT = 0, WAIT_BITSET = 9, LOCK_PI = 6 };

	ck_assert(offcpu_futex_is_lock(WAIT | PRIVATE, 2));
	ck_assert(offcpu_futex_is_lock(WAIT_BITSET | PRIVATE, 2)); /* with a time limit */
	ck_assert(offcpu_futex_is_lock(WAIT, 0x80000000 | 1234));  /* robust: its owner */
	ck_assert(offcpu_futex_is_lock(LOCK_PI | PRIVATE, 0));
	ck_assert(!offcpu_futex_is_lock(WAIT_BITSET | PRIVATE | 256, 0));
	ck_assert(!offcpu_futex_is_lock(WAIT_BITSET | PRIVATE, 4712)); /* a thread that is joined */
	ck_assert(!offcpu_futex_is_lock(WAIT | PRIVATE, 0));	       /* Go's idle threads */
}
END_TEST

START_TEST(too_many_switches_pause)
{
	struct offcpu_guard g = {0};

	for (int i = 0; i < OFFCPU_SWITCHES_MAX; i++)
		ck_assert(!offcpu_guard_count(&g, 5000000000 + i));
	ck_assert(offcpu_guard_count(&g, 5900000000));
	ck_assert(!offcpu_guard_count(&g, 6000000000));
}
END_TEST

/* ---- small parts of the profiler ---- */

START_TEST(ids_outlive_their_events_by_two_rounds)
{
	struct profiler_ids ids = {0};

	for (uint64_t i = 1; i <= 1000; i++)
		ck_assert_int_eq(
			profiler_ids_add(&ids, &(struct profiler_id){.id = i * 64,
								     .hz = (uint32_t)i,
								     .kind = i % 2 ? EVENT_TICK
										   : EVENT_SIDE}),
			0);
	ck_assert_uint_eq(profiler_ids_find(&ids, 640)->hz, 10);
	ck_assert_ptr_null(profiler_ids_find(&ids, 641));
	profiler_ids_close(&ids, EVENT_TICK);
	profiler_ids_close_one(&ids, 128);
	ck_assert_ptr_nonnull(profiler_ids_find(&ids, 64));
	profiler_ids_age(&ids);
	ck_assert_ptr_nonnull(profiler_ids_find(&ids, 64));
	profiler_ids_age(&ids);
	ck_assert_ptr_null(profiler_ids_find(&ids, 64));
	ck_assert_ptr_null(profiler_ids_find(&ids, 128));
	for (uint64_t i = 4; i <= 1000; i += 2)
		ck_assert_uint_eq(profiler_ids_find(&ids, i * 64)->hz, i);
	profiler_ids_done(&ids);
}
END_TEST

START_TEST(lists_of_cpus_are_read)
{
	ck_assert(profiler_cpu_listed("0-3,5", 0));
	ck_assert(profiler_cpu_listed("0-3,5", 3));
	ck_assert(!profiler_cpu_listed("0-3,5", 4));
	ck_assert(profiler_cpu_listed("0-3,5", 5));
	ck_assert(!profiler_cpu_listed("0-3,5", 6));
	ck_assert(profiler_cpu_listed("0", 0));
	ck_assert(!profiler_cpu_listed("", 0));
	ck_assert(!profiler_cpu_listed("x", 0));
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("bytes");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, samples_are_read);
	tcase_add_test(t, kernel_threads_have_no_registers);
	tcase_add_test(t, side_band_is_read);
	tcase_add_test(t, damaged_records_are_refused);
	tcase_add_test(t, the_ring_goes_round);
	tcase_add_test(t, nonsense_in_the_ring_is_passed_over);
	tcase_add_test(t, tasks_have_names_and_places);
	tcase_add_test(t, a_fork_storm_is_bounded);
	tcase_add_test(t, a_thread_that_is_not_the_main_one_calls_exec);
	tcase_add_test(t, names_are_read_again_when_records_were_lost);
	tcase_add_test(t, cgroups_are_read);
	tcase_add_test(t, a_process_that_was_moved_is_there_in_seconds);
	tcase_add_test(t, waits_pair);
	tcase_add_test(t, functions_tell_what_was_waited_for);
	tcase_add_test(t, a_ksymbol_ends_where_its_name_does);
	tcase_add_test(t, locks_are_told_from_conditions);
	tcase_add_test(t, too_many_switches_pause);
	tcase_add_test(t, ids_outlive_their_events_by_two_rounds);
	tcase_add_test(t, lists_of_cpus_are_read);
	return support_run_case("perf_records", t);
}
