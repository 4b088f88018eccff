/* The process collector on texts and on made-up /proc trees. tests/test_process_host.c: on this
 * host. */
#include "base/clock.h"
#include "collectors/process/attrs.h"
#include "collectors/process/procfs.h"
#include "collectors/process/procs.h"
#include "collectors/process/select.h"
#include "support.h"

extern const struct collector collector_process;

struct fake {
	char dir[64];
	struct host host;
	struct procs table;
	struct procfs *scan;
	struct select select;
	struct attrs *attrs;
	struct batch batch;
	uint64_t now_ms, tick;
};

struct fake_proc {
	int pid;
	const char *comm;
	long start, utime, minflt, rss_pages, flags, delay_ns, rchar;
	char state;
};

static void write_text(struct fake *f, int pid, const char *name, const char *text)
{
	char path[64];

	snprintf(path, sizeof(path), "%d/%s", pid, name);
	support_write(f->dir, path, text, strlen(text));
}

static void write_proc(struct fake *f, const struct fake_proc *p)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "%d (%s) %c 1 1 1 0 -1 %ld %ld 0 0 0 %ld 0 0 0 20 0 1 0 %ld 8192000 %ld 1 5 6 7 0 "
		 "0 0 0 0 0 0 0 0 "
		 "17 0 0 0 0\n",
		 p->pid, p->comm, p->state ? p->state : 'S', p->flags, p->minflt, p->utime,
		 p->start, p->rss_pages);
	write_text(f, p->pid, "stat", text);
	snprintf(text, sizeof(text), "%ld %ld 3\n", p->utime * 10000000, p->delay_ns);
	write_text(f, p->pid, "schedstat", text);
	snprintf(text, sizeof(text),
		 "rchar: %ld\nwchar: 0\nsyscr: 0\nsyscw: 0\nread_bytes: 0\nwrite_bytes: 0\n"
		 "cancelled_write_bytes: 0\n",
		 p->rchar);
	write_text(f, p->pid, "io", text);
	write_text(f, p->pid, "status",
		   "Name:\tx\nUid:\t42\t0\t0\t0\nvoluntary_ctxt_switches:\t1\n"
		   "nonvoluntary_ctxt_switches:\t0\n");
	write_text(f, p->pid, "cgroup", "0::/system.slice/made-up.service\n");
	write_text(f, p->pid, "cmdline", "made up");
}

static void write_last_pid(struct fake *f, int pid, int tasks)
{
	char text[64];

	snprintf(text, sizeof(text), "0.00 0.00 0.00 1/%d %d\n", tasks, pid);
	support_write(f->dir, "loadavg", text, strlen(text));
}

static void remove_proc(struct fake *f, int pid)
{
	char path[100];

	snprintf(path, sizeof(path), "%s/%d", f->dir, pid);
	support_rm(path);
}

/* Before this: at least loadavg in the tree. */
static void fake_open(struct fake *f, uint32_t cap)
{
	f->scan = calloc(1, sizeof(*f->scan));
	f->attrs = calloc(1, sizeof(*f->attrs));
	ck_assert_int_eq(host_open(&f->host, f->dir, NULL, NULL), 0);
	ck_assert_int_eq(procs_open(&f->table), 0);
	ck_assert_int_eq(select_open(&f->select), 0);
	ck_assert_int_eq(attrs_open(f->attrs), 0);
	ck_assert_int_eq(procfs_open(f->scan, &f->table, &f->host, true), 0);
	ck_assert(!f->scan->clocked);
	ck_assert_int_eq(batch_init(&f->batch, &collector_process.groups[0], cap), 0);
	f->now_ms = clock_ns(CLOCK_MONOTONIC) / 1000000;
}

static void fake_tick(struct fake *f)
{
	f->now_ms += 100;
	f->tick++;
	batch_begin(&f->batch, f->tick);
	ck_assert_int_eq(procfs_pass(f->scan, f->now_ms), 0);
	select_pass(&f->select, &f->table, f->attrs, &f->batch);
	attrs_pass(f->attrs, &f->table, &f->batch);
	batch_finish(&f->batch);
}

/* Ticks and forgets what it showed. */
static void fake_ticks(struct fake *f, int n)
{
	while (n--) {
		fake_tick(f);
		batch_commit(&f->batch);
	}
}

static void fake_close(struct fake *f)
{
	procfs_close(f->scan);
	attrs_close(f->attrs);
	select_close(&f->select);
	procs_close(&f->table);
	batch_done(&f->batch);
	host_close(&f->host);
	free(f->scan);
	free(f->attrs);
	support_rm(f->dir);
}

static int32_t slot_of(const struct fake *f, int pid, long start)
{
	return batch_find_id(&f->batch, proc_id(pid, (uint64_t)start));
}

static int64_t value(const struct fake *f, int pid, long start, enum proc_value v)
{
	int32_t slot = slot_of(f, pid, start);

	ck_assert_int_ge(slot, 0);
	return f->batch.rows[(size_t)slot * f->batch.n_metrics + v];
}

static const char *attr(const struct fake *f, int pid, long start, enum attr_key key)
{
	int32_t slot = slot_of(f, pid, start);

	ck_assert_int_ge(slot, 0);
	return f->batch.attrs[(uint32_t)slot * f->batch.n_attrs + key];
}

START_TEST(births_and_deaths)
{
	struct fake f = {0};
	struct fake_proc a = {.pid = 100, .comm = "one", .start = 10, .utime = 5, .rss_pages = 3},
			 k = {.pid = 2, .comm = "kthreadd", .start = 1, .flags = PROC_KTHREAD},
			 b = {.pid = 101, .comm = "two) x", .start = 20, .utime = 2, .rchar = 77};

	support_dir(f.dir);
	write_proc(&f, &a);
	write_proc(&f, &k);
	write_last_pid(&f, 100, 2);
	fake_open(&f, 0);
	fake_tick(&f);
	ck_assert_uint_eq(f.batch.n_started, 2);
	ck_assert_int_eq(value(&f, 100, 10, V_CPU), 50000000);
	ck_assert_int_eq(value(&f, 100, 10, V_RSS), 3 * f.host.page_size / 1024);
	ck_assert_str_eq(attr(&f, 100, 10, ATTR_COMM), "one");
	ck_assert_str_eq(attr(&f, 100, 10, ATTR_USER), "42");
	ck_assert_str_eq(attr(&f, 2, 1, ATTR_UNIT), "kernel");
	ck_assert_str_eq(f.batch.inst[slot_of(&f, 100, 10)].name, "100");
	batch_commit(&f.batch);
	ck_assert_uint_eq(f.table.births, 0);

	write_proc(&f, &b); /* seen at once through the last pid */
	write_last_pid(&f, 101, 3);
	fake_tick(&f);
	ck_assert_uint_eq(f.batch.n_started, 1);
	ck_assert_int_eq(value(&f, 101, 20, V_RCHAR), 77);
	ck_assert_str_eq(attr(&f, 101, 20, ATTR_COMM), "two) x");
	ck_assert_uint_eq(f.table.births, 1);
	ck_assert_int_eq(f.scan->task_births, 1);
	batch_commit(&f.batch);

	remove_proc(
		&f,
		100); /* plain files still answer: seen when the folder is read, once a second */
	fake_ticks(&f, 11);
	ck_assert_int_eq(slot_of(&f, 100, 10), -1);
	ck_assert_uint_eq(f.batch.n_live, 2);
	ck_assert_uint_eq(f.table.exits, 1);
	ck_assert_uint_eq(f.table.n, 2);
	fake_close(&f);
}
END_TEST

START_TEST(another_process_under_the_same_pid)
{
	struct fake f = {0};
	struct fake_proc a = {.pid = 100, .comm = "one", .start = 10, .utime = 5},
			 again = {.pid = 100, .comm = "other", .start = 99, .utime = 1};

	support_dir(f.dir);
	write_proc(&f, &a);
	write_last_pid(&f, 100, 1);
	fake_open(&f, 0);
	fake_ticks(&f, 1);
	write_proc(&f, &again);
	fake_tick(&f);
	ck_assert_uint_eq(f.batch.n_ended, 1);
	ck_assert_uint_eq(f.batch.n_started, 1);
	ck_assert_int_eq(slot_of(&f, 100, 10), -1);
	ck_assert_int_eq(value(&f, 100, 99, V_CPU), 10000000);
	ck_assert_str_eq(attr(&f, 100, 99, ATTR_COMM), "other");
	batch_commit(&f.batch);
	fake_close(&f);
}
END_TEST

START_TEST(exec_changes_the_name)
{
	struct fake f = {0};
	struct fake_proc a = {.pid = 100, .comm = "sh", .start = 10, .utime = 5};

	support_dir(f.dir);
	write_proc(&f, &a);
	write_last_pid(&f, 100, 1);
	fake_open(&f, 0);
	fake_ticks(&f, 1);
	ck_assert_int_eq(attrs_work(f.attrs, 0, &f.host), 0);
	fake_ticks(&f, 1);
	ck_assert_str_eq(attr(&f, 100, 10, ATTR_UNIT), "made-up.service");
	ck_assert_str_eq(attr(&f, 100, 10, ATTR_CMDLINE), "made up");
	a.comm = "nginx";
	write_proc(&f, &a);
	write_text(&f, 100, "cmdline", "nginx\0-g");
	support_write(f.dir, "100/cmdline", "nginx\0-g\0", 9);
	fake_tick(&f);
	ck_assert_str_eq(attr(&f, 100, 10, ATTR_COMM), "nginx");
	batch_commit(&f.batch);
	for (unsigned w = 0; w < ATTRS_WORKERS; w++)
		ck_assert_int_eq(attrs_work(f.attrs, w, &f.host), 0);
	fake_tick(&f);
	ck_assert_str_eq(attr(&f, 100, 10, ATTR_CMDLINE), "nginx -g");
	batch_commit(&f.batch);
	fake_close(&f);
}
END_TEST

/* What stat does not show is found in rotation, within a second. */
START_TEST(rotation_reads_everything_in_a_second)
{
	struct fake f = {0};
	struct fake_proc p = {.comm = "idle", .start = 10};

	support_dir(f.dir);
	for (p.pid = 100; p.pid < 130; p.pid++)
		write_proc(&f, &p);
	write_last_pid(&f, 129, 30);
	fake_open(&f, 0);
	fake_ticks(&f, 5);
	ck_assert_uint_le(f.scan->n_reads,
			  30 + 1 + 3 * 8); /* stat of each; the rest of an eighth */
	for (p.pid = 100; p.pid < 130; p.pid++) {
		char text[] = "rchar: 4242\n";

		write_text(&f, p.pid, "io", text);
	}
	fake_ticks(&f, 9);
	for (int pid = 100; pid < 130; pid++)
		ck_assert_int_eq(value(&f, pid, 10, V_RCHAR), 4242);
	fake_close(&f);
}
END_TEST

/* Above the cap: the busiest are shown, "others" has what the rest did and never steps. */
START_TEST(others_accumulate_and_the_busy_displace_the_idle)
{
	struct fake f = {0};
	struct fake_proc p = {.comm = "p", .start = 10, .utime = 1000, .rss_pages = 256};

	support_dir(f.dir);
	for (p.pid = 100; p.pid < 110; p.pid++)
		write_proc(&f, &p);
	write_last_pid(&f, 109, 10);
	fake_open(&f, 4);
	fake_ticks(&f, 1);
	ck_assert_uint_eq(f.batch.n_live, 4);
	fake_ticks(&f, 9);
	ck_assert_uint_eq(f.batch.n_live, 4);
	ck_assert_int_eq(f.table.others.count, 6);
	ck_assert_int_eq(f.table.others.rss_kb, 6 * 256 * f.host.page_size / 1024);
	ck_assert_int_eq(f.table.others.v[V_CPU], 0); /* what was before we looked is no rise */

	int hidden = 0;

	for (int pid = 109; pid >= 100 && !hidden; pid--)
		if (slot_of(&f, pid, 10) < 0)
			hidden = pid;
	p.pid = hidden;
	int64_t was = 0;

	for (int k = 1; k <= 40; k++) { /* it becomes busy: 10 ms of CPU a tick */
		p.utime = 1000 + k;
		write_proc(&f, &p);
		fake_tick(&f);
		ck_assert_int_ge(f.table.others.v[V_CPU], was);
		ck_assert_int_le(f.table.others.v[V_CPU], was + 10000000);
		was = f.table.others.v[V_CPU];
		ck_assert_uint_le(f.batch.n_live, 4);
		batch_commit(&f.batch);
	}
	ck_assert_int_ge(slot_of(&f, hidden, 10), 0);
	ck_assert_uint_eq(f.batch.n_live, 4);
	ck_assert_int_eq(f.table.others.count, 6);
	ck_assert_int_gt(was, 0);
	ck_assert_int_eq(was % 10000000, 0);
	ck_assert_uint_eq(f.batch.n_refused, 0);

	/* One that is shown and works on stays, and adds nothing to the others. */
	for (int k = 41; k <= 60; k++) {
		p.utime = 1000 + k;
		write_proc(&f, &p);
		fake_ticks(&f, 1);
		ck_assert_int_ge(slot_of(&f, hidden, 10), 0);
	}
	ck_assert_int_eq(f.table.others.v[V_CPU], was);
	fake_close(&f);
}
END_TEST

/* A process that is born under watch and is not shown counts from zero. */
START_TEST(others_count_newborns_whole)
{
	struct fake f = {0};
	struct fake_proc p = {.comm = "p", .start = 10, .utime = 7};

	support_dir(f.dir);
	for (p.pid = 100; p.pid < 102; p.pid++)
		write_proc(&f, &p);
	write_last_pid(&f, 101, 2);
	fake_open(&f, 2);
	fake_ticks(&f, 2);
	p.pid = 102;
	p.utime = 3;
	write_proc(&f, &p);
	write_last_pid(&f, 102, 3);
	fake_ticks(&f, 1);
	ck_assert_int_eq(f.table.others.v[V_CPU], 30000000);
	ck_assert_int_eq(f.table.others.count, 1);
	remove_proc(&f, 102);
	write_last_pid(&f, 102, 2);
	fake_ticks(&f, 11);
	ck_assert_int_eq(f.table.others.count, 0);
	ck_assert_int_eq(f.table.others.v[V_CPU], 30000000);
	ck_assert_int_eq(f.scan->task_exits, 1);
	fake_close(&f);
}
END_TEST

/* After a restart the instances of the log go on in their slots. */
START_TEST(restored_instances_are_adopted)
{
	struct fake f = {0};
	struct fake_proc a = {.pid = 100, .comm = "one", .start = 10, .utime = 5};

	support_dir(f.dir);
	write_proc(&f, &a);
	write_last_pid(&f, 100, 1);
	fake_open(&f, 0);
	ck_assert_int_eq(batch_restore(&f.batch, 0, 4, proc_id(99, 3), "99", true, NULL), 0);
	ck_assert_int_eq(batch_restore(&f.batch, 1, 7, proc_id(100, 10), "100", true, NULL), 0);
	fake_tick(&f);
	ck_assert_int_eq(slot_of(&f, 100, 10), 1);
	ck_assert_uint_eq(f.batch.inst[1].gen, 7);
	ck_assert_uint_eq(f.batch.n_started, 0);
	ck_assert_uint_eq(f.batch.n_ended, 1);
	ck_assert_uint_eq(f.batch.n_live, 1);
	batch_commit(&f.batch);
	fake_close(&f);
}
END_TEST

START_TEST(unreadable_io_is_absent)
{
	struct fake f = {0};
	struct fake_proc a = {.pid = 100, .comm = "one", .start = 10, .utime = 5, .rchar = 5};
	char path[128];

	support_dir(f.dir);
	write_proc(&f, &a);
	snprintf(path, sizeof(path), "%s/100/io", f.dir);
	ck_assert_int_eq(unlink(path), 0);
	write_last_pid(&f, 100, 1);
	fake_open(&f, 0);
	fake_ticks(&f, 1);
	ck_assert(value(&f, 100, 10, V_RCHAR) == VALUE_ABSENT);
	ck_assert_int_eq(value(&f, 100, 10, V_CPU), 50000000);
	fake_close(&f);
}
END_TEST

/* Root may read anything. */
static void be_nobody(bool nobody)
{
	static bool root;

	root |= geteuid() == 0;
	if (root)
		ck_assert_int_eq(seteuid(nobody ? 65534 : 0), 0);
}

/* A pass of the collector: the reason it gives. */
static const char *pass_reason(struct fake *f, void *state, struct collector_report *report)
{
	be_nobody(true);
	batch_begin(&f->batch, ++f->tick);
	ck_assert_int_eq(collector_process.sample(state, 0, &f->batch, report), 1);
	batch_finish(&f->batch);
	batch_commit(&f->batch);
	be_nobody(false);
	return report->reason;
}

START_TEST(denied_io_is_counted_in_words)
{
	struct fake f = {0};
	struct fake_proc a = {.pid = 100, .comm = "one", .start = 10};
	void *state = calloc(1, collector_process.state_size);
	struct collector_report report = {0};
	char path[128];

	support_dir(f.dir);
	for (; a.pid < 140; a.pid++)
		write_proc(&f, &a);
	write_last_pid(&f, 139, 40);
	snprintf(path, sizeof(path), "%s/100/io", f.dir);
	ck_assert_int_eq(chmod(f.dir, 0755), 0);
	ck_assert_int_eq(chmod(path, 0), 0);
	ck_assert_int_eq(host_open(&f.host, f.dir, NULL, NULL), 0);
	be_nobody(true);
	ck_assert_int_eq(collector_process.open(state, &f.host, &report), 0);
	ck_assert_int_eq(batch_init(&f.batch, &collector_process.groups[0], 0), 0);
	ck_assert_ptr_nonnull(strstr(pass_reason(&f, state, &report),
				     "/proc/PID/io is denied for 1 of 40 processes"));
	for (; a.pid < 143; a.pid++) /* a few more are no other reason */
		write_proc(&f, &a);
	write_last_pid(&f, 142, 43);
	ck_assert_ptr_nonnull(strstr(pass_reason(&f, state, &report), " 1 of 40 "));
	for (; a.pid < 150; a.pid++)
		write_proc(&f, &a);
	write_last_pid(&f, 149, 50);
	ck_assert_ptr_nonnull(strstr(pass_reason(&f, state, &report), " 1 of 50 "));
	collector_process.close(state);
	batch_done(&f.batch);
	host_close(&f.host);
	free(state);
	support_rm(f.dir);
}
END_TEST

START_TEST(churn_leaks_no_entry)
{
	struct procs t;
	int64_t v[N_VALUES] = {0};
	uint32_t live[64], n = 0;
	unsigned seed = 11;

	ck_assert_int_eq(procs_open(&t), 0);
	for (int k = 0; k < 200000; k++) {
		procs_begin(&t, (uint64_t)k * 100);
		if (n < 64 && rand_r(&seed) % 2) {
			uint32_t i = procs_add(&t, 300 + k % 30000, (uint64_t)k, true);

			ck_assert_uint_ne(i, NO_ENTRY);
			ck_assert_uint_lt(i, 64);
			v[V_RSS] = 8;
			procs_update(&t, i, v);
			live[n++] = i;
		} else if (n) {
			uint32_t at = (uint32_t)rand_r(&seed) % n;

			procs_remove(&t, live[at]);
			live[at] = live[--n];
		}
		ck_assert_uint_eq(t.n, n);
		ck_assert_int_eq(t.others.count, n);
		ck_assert_int_eq(t.others.rss_kb, 8 * (int64_t)n);
		if (n)
			ck_assert_uint_eq(procs_find(&t, t.hot[live[0]].pid), live[0]);
	}
	procs_close(&t);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		births_and_deaths,
		another_process_under_the_same_pid,
		exec_changes_the_name,
		rotation_reads_everything_in_a_second,
		others_accumulate_and_the_busy_displace_the_idle,
		others_count_newborns_whole,
		restored_instances_are_adopted,
		unreadable_io_is_absent,
		denied_io_is_counted_in_words,
		churn_leaks_no_entry,
	};

	return support_run("process", tests, sizeof(tests) / sizeof(*tests));
}
