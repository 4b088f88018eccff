/*
 * Address spaces kept by side-band records, and the files behind them: found while the process lives, kept when it
 * has gone, within bounds; tables come and go under a reader that does not wait.
 */
#include "support.h"

#include "base/clock.h"
#include "unwind/module_private.h"
#include "unwind/space_private.h"
#include "unwind/unwind.h"

#include <dlfcn.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

static struct lab {
	struct host host;
	struct modules *modules;
	struct spaces *spaces;
} lab;

static void lab_open(uint64_t memory_bytes)
{
	struct modules_config c = {.host = &lab.host, .memory_bytes = memory_bytes};

	ck_assert_int_eq(host_open(&lab.host, NULL, NULL, NULL), 0);
	ck_assert_int_eq(modules_open(&lab.modules, &c), 0);
	lab.modules->build_us_per_s = 1000000; /* as much as it takes: sanitizers are slow */
	ck_assert_int_eq(spaces_open(&lab.spaces, &lab.host, lab.modules), 0);
}

static void lab_close(void)
{
	spaces_close(lab.spaces);
	modules_close(lab.modules);
	host_close(&lab.host);
}

static void settle(void)
{
	while (modules_step(lab.modules, 0) > 0)
		;
}

/* The table of a module, as the profiler's thread asks for it. */
static const struct unwind_table *table_of(struct module *m)
{
	uint64_t seq = modules_enter(lab.modules);
	const struct unwind_table *t = module_table(m);

	modules_leave(lab.modules, seq);
	return t;
}

static void map(uint32_t pid, uint64_t start, uint64_t len, const char *path, uint64_t ino)
{
	struct space_mmap m = {.start = start,
			       .len = len,
			       .file_off = 0x1000,
			       .dev = ino ? 99 : 0,
			       .ino = ino,
			       .path = path,
			       .executable = true};

	spaces_mmap(lab.spaces, pid, &m);
}

/* ---- mappings ---- */

static void is_mapped(const struct space *x, uint64_t addr, const char *path, uint64_t off)
{
	const struct mapping *m = space_find(x, addr);

	ck_assert_msg(m, "nothing at %llx", (unsigned long long)addr);
	ck_assert_str_eq(m->module ? module_path(m->module) : "", path);
	ck_assert_uint_eq(addr - m->start + m->file_off, off);
}

START_TEST(mappings_lie_over_each_other)
{
	struct space *x;

	lab_open(1 << 20);
	spaces_exec(lab.spaces, 7);
	x = spaces_get(lab.spaces, 7);
	map(7, 0x10000, 0x8000, "/a", 1);
	map(7, 0x30000, 0x8000, "/b", 2);
	is_mapped(x, 0x10000, "/a", 0x1000);
	is_mapped(x, 0x17fff, "/a", 0x8fff);
	ck_assert_ptr_null(space_find(x, 0x18000));
	ck_assert_ptr_null(space_find(x, 0xffff));
	map(7, 0x12000, 0x1000, "/c", 3); /* in the middle of another one */
	is_mapped(x, 0x11fff, "/a", 0x2fff);
	is_mapped(x, 0x12000, "/c", 0x1000);
	is_mapped(x, 0x13000, "/a", 0x4000);
	map(7, 0x16000, 0x1c000, "/d", 4); /* over the end of one and the beginning of the next */
	is_mapped(x, 0x15fff, "/a", 0x6fff);
	is_mapped(x, 0x16000, "/d", 0x1000);
	is_mapped(x, 0x32000, "/b", 0x3000);
	map(7, 0x10000, 0x30000, "//anon", 0); /* over all of them */
	is_mapped(x, 0x10000, "", 0x1000);
	is_mapped(x, 0x3ffff, "", 0x30fff);
	ck_assert(space_has_jit(x));
	spaces_mmap(lab.spaces, 7,
		    &(struct space_mmap){.start = 0x20000, .len = 0x1000, .path = "/data"});
	ck_assert_ptr_null(space_find(x, 0x20000)); /* what cannot be executed takes its place */
	is_mapped(x, 0x21000, "", 0x12000);
	map(7, UINT64_MAX - 10, 100, "/e", 5); /* not an address space */
	ck_assert_ptr_null(space_find(x, UINT64_MAX - 5));
	lab_close();
}
END_TEST

/* Against a plain array of one entry a page, at random. */
START_TEST(mappings_at_random)
{
	static uint64_t model[256]; /* the file's number, 0: none */
	struct space *x;
	unsigned seed = 5;
	char path[16];

	lab_open(1 << 20);
	spaces_exec(lab.spaces, 7);
	x = spaces_get(lab.spaces, 7);
	for (unsigned i = 0; i < 5000; i++) {
		uint64_t from = (unsigned)rand_r(&seed) % 250, n = 1 + (unsigned)rand_r(&seed) % 6,
			 file = (unsigned)rand_r(&seed) % 5;

		snprintf(path, sizeof(path), "/%llu", (unsigned long long)file);
		if (file)
			map(7, (from + 1) << 12, n << 12, path, file);
		else
			spaces_mmap(lab.spaces, 7,
				    &(struct space_mmap){
					    .start = (from + 1) << 12, .len = n << 12, .path = ""});
		for (uint64_t k = from; k < from + n; k++)
			model[k] = file;
		for (uint64_t k = 0; k < 256; k++) {
			const struct mapping *m = space_find(x, ((k + 1) << 12) + 5);

			ck_assert_int_eq(!!m, model[k] != 0);
			if (m)
				ck_assert_uint_eq(m->module->key.ino, model[k]);
		}
	}
	lab_close();
}
END_TEST

START_TEST(as_proc_maps_says)
{
	struct space *x;
	FILE *f = fopen("/proc/self/maps", "r");
	unsigned long from, to, off;
	char line[512], perms[8], path[256];
	unsigned n = 0, n_main = 0;

	lab_open(1 << 20);
	x = spaces_get(lab.spaces, (uint32_t)getpid());
	ck_assert_ptr_nonnull(x);
	ck_assert_uint_eq(space_pid(x), (uint32_t)getpid());
	while (fgets(line, sizeof(line), f)) {
		path[0] = 0;
		ck_assert_int_ge(sscanf(line, "%lx-%lx %7s %lx %*s %*s %255s", &from, &to, perms,
					&off, path),
				 4);
		if (perms[2] != 'x' || (path[0] == '[' && strcmp(path, "[vdso]") != 0))
			continue;
		is_mapped(x, from, path, off);
		n_main += space_find(x, from)->main;
		n++;
	}
	fclose(f);
	ck_assert_uint_ge(n, 3);
	ck_assert_uint_eq(n_main, 1);
	ck_assert_ptr_null(space_find(x, (uint64_t)line)); /* the stack */
	settle();
	/* Addresses of the file, function starts, build-ids. */
	uint64_t here = (uint64_t)(uintptr_t)space_find;
	const struct mapping *m = space_find(x, here);
	uint64_t v = module_vaddr(m->module, here - m->start + m->file_off);

	ck_assert_uint_eq(v % 4096, here % 4096);
	table_of(m->module);
	settle();
	ck_assert_uint_eq(module_function(m->module, v + 9), v);
	ck_assert_uint_eq(strlen(module_build_id(m->module)), 40);
	ck_assert_str_eq(module_trouble(m->module), "");
	ck_assert_ptr_null(spaces_get(lab.spaces, 0x3fffffff));
	lab_close();
}
END_TEST

/* ---- processes ---- */

START_TEST(children_have_what_their_parents_have)
{
	struct space *a, *b;

	lab_open(1 << 20);
	spaces_exec(lab.spaces, 7);
	map(7, 0x10000, 0x1000, "/a", 1);
	a = spaces_get(lab.spaces, 7);
	ck_assert(space_find(a, 0x10000)->main);
	spaces_fork(lab.spaces, 8, 7);
	b = spaces_get(lab.spaces, 8);
	ck_assert_ptr_eq(a->maps, b->maps); /* shared */
	is_mapped(b, 0x10800, "/a", 0x1800);
	map(8, 0x20000, 0x1000, "/b", 2);
	is_mapped(b, 0x20000, "/b", 0x1000);
	ck_assert_ptr_null(space_find(a, 0x20000));
	map(7, 0x10000, 0x1000, "/c", 3);
	is_mapped(a, 0x10000, "/c", 0x1000);
	is_mapped(b, 0x10000, "/a", 0x1000);
	ck_assert(space_find(b, 0x10000)->main);
	ck_assert(!space_find(a, 0x10000)->main);
	spaces_exec(lab.spaces, 8);
	ck_assert_ptr_null(space_find(b, 0x10000));
	map(8, 0x50000, 0x1000, "/d", 4);
	map(8, 0x60000, 0x1000, "/e", 5);
	ck_assert(space_find(b, 0x50000)->main);
	ck_assert(!space_find(b, 0x60000)->main);
	spaces_fork(lab.spaces, 9,
		    7777); /* of a parent that is not known: read when it is needed */
	ck_assert_uint_eq(spaces_count(lab.spaces), 2);
	lab_close();
}
END_TEST

START_TEST(the_dead_stay_for_a_while)
{
	lab_open(1 << 20);
	spaces_exec(lab.spaces, 7);
	map(7, 0x10000, 0x1000, "/a", 1);
	spaces_exit(lab.spaces, 7);
	spaces_exit(lab.spaces, 7);
	is_mapped(spaces_get(lab.spaces, 7), 0x10000, "/a", 0x1000);
	spaces_sweep(lab.spaces, 1000000);
	spaces_sweep(lab.spaces, 2000000);
	ck_assert_uint_eq(spaces_count(lab.spaces), 1);
	spaces_sweep(lab.spaces, 7000000);
	ck_assert_uint_eq(spaces_count(lab.spaces), 0);
	/* A pid that is used again is another process. */
	spaces_exec(lab.spaces, 8);
	map(8, 0x10000, 0x1000, "/a", 1);
	spaces_exec(lab.spaces, 7);
	map(7, 0x20000, 0x1000, "/b", 2);
	spaces_exit(lab.spaces, 7);
	spaces_fork(lab.spaces, 7, 8);
	is_mapped(spaces_get(lab.spaces, 7), 0x10000, "/a", 0x1000);
	ck_assert_ptr_null(space_find(spaces_get(lab.spaces, 7), 0x20000));
	spaces_sweep(lab.spaces, 8000000);
	spaces_sweep(lab.spaces, 90000000);
	ck_assert_uint_eq(spaces_count(lab.spaces), 2);
	lab_close();
}
END_TEST

/* The main thread has ended, others go on: they are seen in user space after that. */
START_TEST(a_process_outlives_its_main_thread)
{
	lab_open(1 << 20);
	spaces_exec(lab.spaces, 7);
	map(7, 0x10000, 0x1000, "/a", 1);
	spaces_exit(lab.spaces, 7);
	for (int64_t s = 1; s < 20; s++) {
		spaces_sweep(lab.spaces, s * 1000000);
		is_mapped(spaces_get(lab.spaces, 7), 0x10000, "/a", 0x1000);
	}
	spaces_exit(lab.spaces, 7);
	/* Or one of them called exec. */
	spaces_exec(lab.spaces, 7);
	map(7, 0x20000, 0x1000, "/b", 2);
	for (int64_t s = 20; s < 40; s++)
		spaces_sweep(lab.spaces, s * 1000000);
	is_mapped(spaces_get(lab.spaces, 7), 0x20000, "/b", 0x1000);
	lab_close();
}
END_TEST

static void *stay(void *arg)
{
	for (;;)
		pause();
	return arg;
}

static bool has_maps(pid_t pid)
{
	char path[64], c;

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, &c, 1);

	close(fd);
	return n > 0;
}

START_TEST(mappings_of_one_whose_main_thread_has_ended)
{
	lab_open(1 << 20);
	pid_t pid = fork();

	if (pid == 0) {
		pthread_t t;

		pthread_create(&t, NULL, stay, NULL);
		pthread_exit(NULL);
	}
	for (int i = 0; i < 5000 && has_maps(pid); i++)
		poll(NULL, 0, 1);
	ck_assert(!has_maps(pid));
	const struct space *x = spaces_get(lab.spaces, (uint32_t)pid);

	ck_assert_ptr_nonnull(x);
	ck_assert_ptr_nonnull(space_find(x, (uint64_t)(uintptr_t)has_maps));
	ck_assert(space_find(x, (uint64_t)(uintptr_t)has_maps)->main);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	lab_close();
}
END_TEST

START_TEST(what_was_lost_is_read_again)
{
	uint32_t pid = (uint32_t)getpid();
	uint64_t here = (uint64_t)(uintptr_t)has_maps;

	lab_open(1 << 20);
	spaces_exec(lab.spaces, pid);
	map(pid, here & ~(uint64_t)4095, 0x1000, "/of/the/image/before", 1);
	const struct mapping *m = space_find(spaces_get(lab.spaces, pid), here);

	ck_assert_str_eq(module_path(m->module), "/of/the/image/before");
	spaces_doubt(lab.spaces);
	m = space_find(spaces_get(lab.spaces, pid), here);
	ck_assert_str_ne(module_path(m->module), "/of/the/image/before");
	ck_assert(m->main);
	lab_close();
}
END_TEST

/* 10,000 short processes a minute, each with its exec, its libraries and its end. */
START_TEST(many_short_processes)
{
	size_t before, most = 0;
	uint32_t pid = 100;

	lab_open(1 << 20);
	spaces_exec(lab.spaces, 1);
	for (unsigned i = 0; i < 8; i++)
		map(1, 0x10000 + 0x10000 * i, 0x1000, "/shell", 1000 + i);
	before = mallinfo2().uordblks;
	for (unsigned i = 0; i < 20000; i++, pid++) {
		spaces_fork(lab.spaces, pid, 1);
		if (i % 3) {
			spaces_exec(lab.spaces, pid);
			for (unsigned k = 0; k < 6; k++)
				map(pid, 0x10000 + 0x10000 * k, 0x1000, "/lib", 1 + k + i % 40);
		}
		spaces_exit(lab.spaces, pid);
		if (i % 167 == 0) { /* a second */
			size_t now = mallinfo2().uordblks - before;

			spaces_sweep(lab.spaces, 1000000 * (int64_t)(1 + i / 167));
			most = now > most ? now : most;
		}
	}
	ck_assert_msg(most < 2 << 20, "%zu bytes", most);
	ck_assert_uint_lt(spaces_count(lab.spaces), 1300);
	lab_close();
}
END_TEST

/* Processes that never end, and mappings without end. */
START_TEST(bounds_hold)
{
	size_t before = mallinfo2().uordblks, now;
	struct modules_stats stats;

	lab_open(1 << 20);
	for (uint32_t pid = 1; pid < 30000; pid++) {
		spaces_exec(lab.spaces, pid);
		for (unsigned k = 0; k < (pid < 120 ? 3000u : 3u); k++)
			map(pid, 0x10000 + 0x2000 * k, 0x1000, "/x", 1);
	}
	ck_assert_uint_le(spaces_count(lab.spaces), SPACES_MAX);
	ck_assert_ptr_nonnull(space_find(spaces_get(lab.spaces, 29999), 0x10000));
	for (uint64_t ino = 1; ino < 40000; ino++)
		map(29999, 0x10000, 0x1000, "/y", ino);
	modules_stats(lab.modules, &stats);
	ck_assert_uint_le(stats.n_modules, MODULES_MAX);
	ck_assert_str_ne(module_trouble(space_find(spaces_get(lab.spaces, 29999), 0x10000)->module),
			 "");
	settle();
	now = mallinfo2().uordblks - before;
	ck_assert_msg(now < 24 << 20, "%zu bytes", now);
	lab_close();
}
END_TEST

/* A host that makes one executable after another. */
START_TEST(files_that_nobody_maps_go)
{
	struct modules_stats stats;
	struct module *first;

	lab_open(1 << 20);
	spaces_exec(lab.spaces, 7);
	map(7, 0x10000, 0x1000, "/kept", 1);
	first = space_find(spaces_get(lab.spaces, 7), 0x10000)->module;
	for (uint64_t ino = 2; ino < MODULES_MAX + 10; ino++)
		map(7, 0x20000, 0x1000, "/old", ino);
	modules_stats(lab.modules, &stats);
	ck_assert_uint_eq(stats.n_modules, MODULES_MAX);
	settle();
	/* They are too young: what comes is not told apart. */
	ck_assert_ptr_eq(space_find(spaces_get(lab.spaces, 7), 0x20000)->module,
			 lab.modules->overflow);
	for (size_t i = 0; i < 1 << HASH_BITS; i++)
		for (struct module *m = lab.modules->hash[i]; m; m = m->hash_next)
			m->used_ms -= 2 * MODULE_FORGET_MS;
	lab.modules->pruned_ms = 0;
	map(7, 0x20000, 0x1000, "/new", 1 << 20);
	ck_assert_str_eq(module_path(space_find(spaces_get(lab.spaces, 7), 0x20000)->module),
			 "/new");
	modules_stats(lab.modules, &stats);
	ck_assert_uint_le(stats.n_modules, 3);
	settle();
	map(7, 0x30000, 0x1000, "/kept", 1);
	ck_assert_ptr_eq(space_find(spaces_get(lab.spaces, 7), 0x30000)->module, first);
	lab_close();
}
END_TEST

/* ---- files ---- */

/* A copy of this program runs, is deleted, and pauses. */
static pid_t run_copy(const char *path, bool forget)
{
	int ready[2];
	pid_t pid;
	char c;

	ck_assert_int_eq(pipe(ready), 0);
	pid = fork();
	if (pid == 0) {
		char fd[8];

		snprintf(fd, sizeof(fd), "%d", ready[1]);
		execl(path, path, "--pause", fd, NULL);
		_exit(1);
	}
	close(ready[1]);
	ck_assert_int_eq(read(ready[0], &c, 1), 1);
	close(ready[0]);
	if (forget)
		ck_assert_int_eq(unlink(path), 0);
	return pid;
}

static struct module *main_module(struct space *x)
{
	for (uint32_t i = 0; x->maps && i < x->maps->n; i++)
		if (x->maps->at[i].main)
			return x->maps->at[i].module;
	ck_abort_msg("no main module");
	return NULL;
}

static void copy_self(const char *to)
{
	char cmd[512];

	snprintf(cmd, sizeof(cmd), "cp /proc/%d/exe '%s'", getpid(), to);
	ck_assert_int_eq(system(cmd), 0);
}

START_TEST(deleted_files_of_processes_that_have_gone)
{
	char dir[64], path[128];
	struct module *m;
	pid_t pid;
	int fd;

	if (getuid() != 0)
		return; /* without map_files a deleted file cannot be opened */
	support_dir(dir);
	snprintf(path, sizeof(path), "%s/gone", dir);
	copy_self(path);
	lab_open(8 << 20);
	pid = run_copy(path, true);
	m = main_module(spaces_get(lab.spaces, (uint32_t)pid));
	ck_assert_str_eq(module_path(m), path);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	settle();
	ck_assert_ptr_nonnull(table_of(m));
	ck_assert_uint_eq(strlen(module_build_id(m)), 40);
	fd = modules_file(lab.modules, path, module_build_id(m));
	ck_assert_int_ge(fd, 0);
	close(fd);
	ck_assert_int_eq(modules_file(lab.modules, path, "abcd"), -ENOENT);
	ck_assert_int_eq(modules_file(lab.modules, "/other", ""), -ENOENT);
	lab_close();
	support_rm(dir);
}
END_TEST

START_TEST(files_of_other_mount_namespaces)
{
	char dir[64], path[128];
	struct module *m;
	int go[2];
	pid_t pid;
	char c;

	if (getuid() != 0)
		return;
	support_dir(dir);
	snprintf(path, sizeof(path), "%s/inside", dir);
	ck_assert_int_eq(pipe(go), 0);
	pid = fork();
	if (pid == 0) { /* the file exists nowhere else */
		char fd[8];

		snprintf(fd, sizeof(fd), "%d", go[1]);
		if (unshare(CLONE_NEWNS) || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("t", dir, "tmpfs", 0, NULL))
			_exit(77);
		copy_self(path);
		execl(path, path, "--pause", fd, NULL);
		_exit(1);
	}
	close(go[1]);
	if (read(go[0], &c, 1) == 1) {
		lab_open(8 << 20);
		ck_assert_int_ne(access(path, F_OK), 0);
		m = main_module(spaces_get(lab.spaces, (uint32_t)pid));
		/* At once: its file system has no device, but is known to be local. */
		ck_assert_uint_eq(strlen(module_build_id(m)), 40);
		settle();
		ck_assert_ptr_nonnull(table_of(m));
		lab_close();
	}
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	support_rm(dir);
}
END_TEST

START_TEST(equal_files_share_a_table)
{
	char dir[64], a[128], b[128];
	struct modules_stats stats, more;
	struct module *m, *n;
	pid_t one, two;

	support_dir(dir);
	snprintf(a, sizeof(a), "%s/a", dir);
	snprintf(b, sizeof(b), "%s/b", dir);
	copy_self(a);
	copy_self(b);
	lab_open(8 << 20);
	one = run_copy(a, false);
	two = run_copy(b, false);
	m = main_module(spaces_get(lab.spaces, (uint32_t)one));
	settle();
	modules_stats(lab.modules, &stats);
	n = main_module(spaces_get(lab.spaces, (uint32_t)two));
	settle();
	modules_stats(lab.modules, &more);
	ck_assert_ptr_ne(m, n);
	ck_assert_str_eq(module_build_id(m), module_build_id(n));
	ck_assert_ptr_nonnull(table_of(m));
	ck_assert_ptr_eq(table_of(m), table_of(n));
	ck_assert_uint_eq(stats.table_bytes, more.table_bytes);
	kill(one, SIGKILL);
	kill(two, SIGKILL);
	waitpid(one, NULL, 0);
	waitpid(two, NULL, 0);
	lab_close();
	support_rm(dir);
}
END_TEST

START_TEST(another_file_of_that_name_is_not_taken)
{
	char dir[64], path[128];
	struct module *m;
	struct stat st;

	support_dir(dir);
	snprintf(path, sizeof(path), "%s/lib", dir);
	copy_self(path);
	ck_assert_int_eq(stat(path, &st), 0);
	lab_open(8 << 20);
	spaces_exec(lab.spaces, 0x3ffffff0);
	spaces_mmap(lab.spaces, 0x3ffffff0,
		    &(struct space_mmap){.start = 0x10000,
					 .len = 0x1000,
					 .dev = st.st_dev,
					 .ino = st.st_ino + 1,
					 .path = path,
					 .executable = true});
	spaces_mmap(lab.spaces, 0x3ffffff0,
		    &(struct space_mmap){.start = 0x20000,
					 .len = 0x1000,
					 .dev = st.st_dev,
					 .ino = st.st_ino,
					 .path = path,
					 .executable = true});
	m = space_find(spaces_get(lab.spaces, 0x3ffffff0), 0x10000)->module;
	table_of(m);
	settle();
	ck_assert_ptr_null(table_of(m));
	ck_assert_str_ne(module_trouble(m), "");
	m = space_find(spaces_get(lab.spaces, 0x3ffffff0), 0x20000)->module;
	table_of(m);
	settle();
	ck_assert_ptr_nonnull(table_of(m));
	lab_close();
	support_rm(dir);
}
END_TEST

START_TEST(files_that_are_none)
{
	static const char *const paths[] = {"/etc/passwd", "/dev/null", "/", "/no/such/file",
					    "[vdso]"};
	char fifo[128], dir[64];
	struct module *m[6];

	support_dir(dir);
	snprintf(fifo, sizeof(fifo), "%s/fifo", dir);
	ck_assert_int_eq(mkfifo(fifo, 0600), 0);
	lab_open(1 << 20);
	for (unsigned i = 0; i < 6; i++) {
		struct module_key k = {.path = i < 5 ? paths[i] : fifo};
		struct stat st;

		if (k.path[0] == '/' && stat(k.path, &st) == 0) {
			k.dev = st.st_dev;
			k.ino = st.st_ino;
		}
		m[i] = modules_get(lab.modules, &k);
		table_of(m[i]);
	}
	settle(); /* in a moment: nothing waits for the other end of a FIFO */
	for (unsigned i = 0; i < 6; i++) {
		ck_assert_int_eq(!table_of(m[i]), i != 4);
		ck_assert_int_eq(!module_trouble(m[i])[0], i == 4);
	}
	lab_close();
	support_rm(dir);
}
END_TEST

START_TEST(few_descriptors)
{
	struct rlimit l = {64, 64};
	char dir[64], path[128], cmd[256];
	struct module *m[60];

	support_dir(dir);
	snprintf(cmd, sizeof(cmd),
		 "cp /proc/%d/exe %s/0; cd %s; for i in $(seq 1 59); do cp 0 $i; done", getpid(),
		 dir, dir);
	ck_assert_int_eq(system(cmd), 0);
	setrlimit(RLIMIT_NOFILE, &l);
	lab_open(64 << 20);
	for (unsigned i = 0; i < 60; i++) {
		struct stat st;

		snprintf(path, sizeof(path), "%s/%u", dir, i);
		ck_assert_int_eq(stat(path, &st), 0);
		m[i] = modules_get(
			lab.modules,
			&(struct module_key){.dev = st.st_dev, .ino = st.st_ino, .path = path});
		table_of(m[i]);
		if (i % 10 == 9)
			settle();
	}
	settle();
	for (unsigned i = 0; i < 60; i++)
		ck_assert_ptr_nonnull(table_of(m[i]));
	ck_assert_uint_le(lab.modules->n_fds, 16);
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_lt(fd, 32);
	close(fd);
	lab_close();
	support_rm(dir);
}
END_TEST

/* ---- tables under a bound ---- */

/* The bytes of this program's table and of the C library's. */
static void table_sizes(size_t *self, size_t *libc)
{
	struct space *x;

	lab_open(64 << 20);
	x = spaces_get(lab.spaces, (uint32_t)getpid());
	settle();
	*self = table_of(main_module(x))->bytes;
	*libc = table_of(space_find(x, (uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, "qsort"))->module)
			->bytes;
	lab_close();
}

START_TEST(tables_go_and_come_back)
{
	struct modules_stats stats;
	struct module *self, *libc;
	struct space *x;
	size_t need, need_self, need_libc;

	table_sizes(&need_self, &need_libc);
	need = need_self > need_libc ? need_self : need_libc;
	lab_open(need + 1000); /* room for the larger of the two only */
	lab.modules->keep_ms = 0;
	lab.modules->retry_wait_ms = 0;
	x = spaces_get(lab.spaces, (uint32_t)getpid());
	self = main_module(x);
	libc = space_find(x, (uint64_t)(uintptr_t)dlsym(RTLD_DEFAULT, "qsort"))->module;
	settle(); /* of all that it maps, one after another */
	for (unsigned i = 0; i < 6; i++) {
		struct module *m = i % 2 ? libc : self;

		table_of(m);
		poll(NULL, 0, 5); /* the clock of uses is coarse */
		settle();
		ck_assert_ptr_nonnull(table_of(m));
		modules_stats(lab.modules, &stats);
		ck_assert_uint_le(stats.table_bytes, need + 1000);
	}
	ck_assert_uint_gt(stats.evicted, 2);
	lab_close();

	lab_open(need_self / 2); /* it never fits */
	x = spaces_get(lab.spaces, (uint32_t)getpid());
	self = main_module(x);
	settle();
	ck_assert_ptr_null(table_of(self));
	ck_assert_str_ne(module_trouble(self), "");
	lab_close();
}
END_TEST

/* What a program of a moment mapped gets no table when many of them begin; what is wanted on does. */
START_TEST(tables_are_not_built_for_a_moment)
{
	struct modules_stats stats;
	struct module *self;

	lab_open(64 << 20);
	lab.modules->build_us_per_s = BUILD_US_PER_S;
	lab.modules->credit_ns = -BUILD_DEBT_MS * 1000000ll;
	atomic_store(&lab.modules->in_debt, true);
	self = main_module(spaces_get(lab.spaces, (uint32_t)getpid()));
	ck_assert_ptr_null(table_of(self));
	settle();
	modules_stats(lab.modules, &stats);
	ck_assert_uint_eq(stats.built, 0);
	ck_assert(atomic_load(&lab.modules->in_debt));
	for (int i = 0; i < BUILD_ROUNDS; i++) { /* wanted again and again */
		poll(NULL, 0, 10);
		ck_assert_ptr_null(table_of(self));
	}
	settle();
	ck_assert_ptr_nonnull(table_of(self));
	modules_stats(lab.modules, &stats);
	ck_assert_uint_eq(stats.built, 1);
	lab_close();
}
END_TEST

/* Places in the array of perf's registers. */
#ifdef __aarch64__
enum { PERF_SP = 31, PERF_FP = 29, PERF_IP = 32 };
#else
enum { PERF_SP = 7, PERF_FP = 6, PERF_IP = 8 };
#endif

/* One thread walks stacks, another builds and evicts all the time. */
static _Atomic bool stop;

static void *background(void *arg)
{
	(void)arg;
	while (!stop)
		modules_step(lab.modules, 20);
	return NULL;
}

START_TEST(tables_change_under_a_reader)
{
	static uint64_t stack[512];
	struct modules_stats stats;
	struct unwind_state s = {.stack = (const uint8_t *)stack, .stack_len = sizeof(stack)};
	uint64_t regs[UNWIND_REGS_MAX] = {0}, ips[64], n_deep = 0;
	enum unwind_end end;
	size_t need_self, need_libc;
	struct space *x;
	pthread_t t;

	table_sizes(&need_self, &need_libc);
	lab_open((need_self > need_libc ? need_self : need_libc) + 1000);
	lab.modules->keep_ms = 0;
	lab.modules->retry_wait_ms = 0;
	x = spaces_get(lab.spaces, (uint32_t)getpid());
	s.regs = regs;
	s.n_regs = (size_t)__builtin_popcountll(unwind_regs_mask());
	/* Return addresses of every mapping in turn, each at each place. */
	for (size_t i = 0; i < 512; i++) {
		const struct mapping *m = &x->maps->at[i % x->maps->n];

		stack[i] = m->start + (i * 7919) % (m->end - m->start);
	}
	ck_assert_int_eq(pthread_create(&t, NULL, background, NULL), 0);
	uint64_t until_ns = clock_ns(CLOCK_MONOTONIC) + 20000000000;

	/* However slow tables are built here, some must have gone before it ends. */
	for (unsigned i = 0; i < 200000 || clock_ns(CLOCK_MONOTONIC) < until_ns; i++) {
		regs[PERF_SP] = (uint64_t)(uintptr_t)stack;
		regs[PERF_FP] = (uint64_t)(uintptr_t)stack + 8 * (i % 256);
		regs[PERF_IP] = stack[i % 512];
		n_deep += unwind_user(x, &s, ips, 64, &end) > 1;
		if (i % 1000 == 0)
			module_function(x->maps->at[0].module, i);
		modules_stats(lab.modules, &stats);
		if ((stats.evicted > 50 || (i >= 200000 && stats.evicted > 3)) && n_deep > 1000)
			break;
	}
	stop = true;
	modules_wake(lab.modules);
	pthread_join(t, NULL);
	modules_stats(lab.modules, &stats);
	ck_assert_uint_gt(stats.evicted, 3);
	ck_assert_uint_gt(n_deep, 100);
	lab_close();
}
END_TEST

/* Is this program's own code missing in /proc/PID/maps? */
static bool is_emulated(void)
{
	unsigned long from, to, here = (unsigned long)(uintptr_t)is_emulated;
	char line[1024], perms[8];
	bool found = false;
	FILE *f;

	int proc = open("/proc", O_PATH | O_CLOEXEC), fd;

	snprintf(line, sizeof(line), "%d/maps", getpid());
	fd = openat(proc, line,
		    O_RDONLY | O_CLOEXEC); /* by its whole path it would be translated */
	f = fd < 0 ? NULL : fdopen(fd, "r");
	while (f && fgets(line, sizeof(line), f))
		found |= sscanf(line, "%lx-%lx %7s", &from, &to, perms) == 3 && perms[2] == 'x' &&
			 here >= from && here < to;
	if (f)
		fclose(f);
	close(proc);
	return !found;
}

int main(int argc, char **argv)
{
	const TTest *const tests[] = {mappings_lie_over_each_other,
				      mappings_at_random,
				      as_proc_maps_says,
				      children_have_what_their_parents_have,
				      the_dead_stay_for_a_while,
				      a_process_outlives_its_main_thread,
				      mappings_of_one_whose_main_thread_has_ended,
				      what_was_lost_is_read_again,
				      many_short_processes,
				      bounds_hold,
				      files_that_nobody_maps_go,
				      deleted_files_of_processes_that_have_gone,
				      files_of_other_mount_namespaces,
				      equal_files_share_a_table,
				      another_file_of_that_name_is_not_taken,
				      files_that_are_none,
				      few_descriptors,
				      tables_go_and_come_back,
				      tables_are_not_built_for_a_moment,
				      tables_change_under_a_reader};

	if (argc == 3 && strcmp(argv[1], "--pause") == 0) {
		if (write(atoi(argv[2]), "!", 1) == 1)
			pause();
		return 1;
	}
	if (is_emulated()) {
		printf("/proc is that of an emulator\n");
		return 77;
	}
	return support_run("space", tests, sizeof(tests) / sizeof(tests[0]));
}
