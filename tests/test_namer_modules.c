#include "profile/namer.h"
#include "symbols_lab.h"
#include "unwind/module_private.h"
#include "unwind/unwind_table.h"

#include <limits.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			ck_abort_msg("%s", #x);                                                    \
	} while (0)

/* The first executable mapping of a file of a process, as MMAP2 would tell of it. */
static void find_mapping(pid_t pid, const char *path, struct module_key *key)
{
	char name[64], line[512];
	bool found = false;

	snprintf(name, sizeof(name), "/proc/%d/maps", pid);
	FILE *f = fopen(name, "r");

	MUST(f);
	while (!found && fgets(line, sizeof(line), f)) {
		unsigned long long start, end, ino;
		unsigned major_no, minor_no;
		char perms[5], file[256] = "";

		if (sscanf(line, "%llx-%llx %4s %*x %x:%x %llu %255s", &start, &end, perms,
			   &major_no, &minor_no, &ino, file) < 7)
			continue;
		found = perms[2] == 'x' && strcmp(file, path) == 0;
		*key = (struct module_key){.dev = makedev(major_no, minor_no),
					   .ino = ino,
					   .path = path,
					   .pid = (uint32_t)pid,
					   .start = start,
					   .end = end};
	}
	fclose(f);
	MUST(found);
}

/* A program that is built, run, seen by the profiler, and then ends and is deleted; that was after so many steps. */
static void run_and_delete(int n_steps)
{
	struct modules_config mc = {.memory_bytes = 1 << 22};
	struct namer_config nc = {.memory_bytes = 1 << 22};
	struct module_key key;
	struct modules *modules;
	struct module_key own;
	struct namer *n;
	struct host host;
	char dir[64], prog[128], id[64], self[PATH_MAX];
	struct stacks *s = stacks_new();
	int out[2];
	char c;

	support_dir(dir);
	support_put(dir, "prog.c",
		    "#include <unistd.h>\n"
		    "__attribute__((noinline)) void wait_long(void) { for (;;) pause(); }\n"
		    "int main(void) { write(1, \"r\", 1); wait_long(); }\n");
	lab_run("cc -O1 -g -w -o '%s/prog' '%s/prog.c'", dir, dir);
	lab_build_id(id, dir, "prog");
	uint64_t at = lab_address(dir, "prog", "wait_long");

	snprintf(prog, sizeof(prog), "%s/prog", dir);
	ck_assert_int_eq(host_open(&host, NULL, NULL, NULL), 0);
	mc.host = nc.host = &host;
	ck_assert_int_eq(modules_open(&modules, &mc), 0);
	modules->build_us_per_s = 1000000;
	nc.modules = modules;
	ck_assert_int_eq(namer_open(&n, &nc), 0);
	ck_assert_int_eq(pipe(out), 0);
	pid_t pid = fork();

	if (pid == 0) {
		dup2(out[1], 1);
		execl(prog, prog, NULL);
		_exit(127);
	}
	ck_assert_int_eq(read(out[0], &c, 1), 1);
	find_mapping(pid, prog, &key);
	find_mapping(getpid(), realpath("/proc/self/exe", self), &own);
	MUST(modules_get(modules, &own) && modules_get(modules, &key));
	while (n_steps-- && modules_step(modules, 0) > 0)
		;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	support_rm(dir);

	struct stacks_frame f = {
		.addr = at, .module = stacks_module(s, prog, id), .type = STACKS_USER};
	uint32_t frame = stacks_frame(s, &f);

	namer_name(n, s, true);
	ck_assert_str_eq(stacks_text(s, s->frames[frame].name), "wait_long");
	ck_assert_str_eq(namer_missing(n, prog, id), "");

	/* Trees know it by the last part of its path. */
	struct symbol_line *lines;
	size_t n_lines;

	ck_assert_int_eq(namer_lines(n, "prog", id, &at, 1, &lines, &n_lines), 0);
	ck_assert_str_eq(lines[n_lines - 1].function, "wait_long");
	symbol_lines_free(lines, n_lines);
	ck_assert_int_eq(namer_lines(n, "prog", "00", &at, 1, &lines, &n_lines), -ENXIO);
	namer_close(n);
	modules_close(modules);
	host_close(&host);
	stacks_free(s);
	close(out[0]);
	close(out[1]);
}

START_TEST(a_process_that_has_exited_still_has_names)
{
	run_and_delete(2);
}
END_TEST

/* At the start of an agent hundreds wait, and the process ends meanwhile. */
START_TEST(and_before_it_was_its_modules_turn)
{
	run_and_delete(1);
}
END_TEST

/* ---- a file that is another one now ---- */

struct files {
	char dir[64], prog[128];
	struct host host;
	struct modules *modules;
	struct namer *namer;
};

static void files_open(struct files *f)
{
	struct modules_config mc = {.host = &f->host, .memory_bytes = 1 << 22};
	struct namer_config nc = {.host = &f->host, .memory_bytes = 1 << 22};

	support_dir(f->dir);
	snprintf(f->prog, sizeof(f->prog), "%s/prog", f->dir);
	ck_assert_int_eq(host_open(&f->host, NULL, NULL, NULL), 0);
	ck_assert_int_eq(modules_open(&f->modules, &mc), 0);
	f->modules->build_us_per_s = 1000000;
	nc.modules = f->modules;
	ck_assert_int_eq(namer_open(&f->namer, &nc), 0);
}

static void files_close(struct files *f)
{
	namer_close(f->namer);
	modules_close(f->modules);
	host_close(&f->host);
	support_rm(f->dir);
}

/* Builds dir/NAME with one function of that name. */
static void build_one(const struct files *f, const char *name, const char *flags)
{
	char text[256];

	snprintf(text, sizeof(text),
		 "int v;\n__attribute__((noinline)) void %s(void) { v += %d; }\n"
		 "int main(void) { %s(); return v; }\n",
		 name, name[2], name); /* (a build-id is of code, not of names) */
	support_put(f->dir, "one.c", text);
	lab_run("cc -O1 -w %s -o '%s/%s' '%s/one.c'", flags, f->dir, name, f->dir);
}

/* The module of dir/prog as it is now. */
static const struct module *map_prog(const struct files *f)
{
	struct module_key key = {.path = f->prog};
	struct stat st;

	ck_assert_int_eq(stat(f->prog, &st), 0);
	key.dev = st.st_dev;
	key.ino = st.st_ino;
	const struct module *m = modules_get(f->modules, &key);

	while (modules_step(f->modules, 0) > 0)
		;
	return m;
}

static void must_be_named(const struct files *f, struct stacks *s, const struct module *m,
			  uint64_t at, const char *name)
{
	struct stacks_frame frame = {.addr = at,
				     .module = stacks_module(s, f->prog, module_build_id(m)),
				     .type = STACKS_USER};
	uint32_t i = stacks_frame(s, &frame);

	namer_name(f->namer, s, true);
	ck_assert_str_eq(stacks_text(s, s->frames[i].name), name);
}

/* A daemon is built anew, under the same name, and started again: twice within one epoch. */
static void build_again(const char *flags, const char *put)
{
	struct stacks *s = stacks_new();
	const struct module *first, *second;
	struct files f;

	files_open(&f);
	build_one(&f, "before", flags);
	build_one(&f, "behind", flags);
	uint64_t at = lab_address(f.dir, "before", "before");

	ck_assert_uint_eq(lab_address(f.dir, "behind", "behind"), at);
	lab_run("cp '%s/before' '%s'", f.dir, f.prog);
	first = map_prog(&f);
	ck_assert_ptr_eq(map_prog(&f), first);
	must_be_named(&f, s, first, at, "before");
	lab_run("%s '%s/behind' '%s'", put, f.dir, f.prog);
	second = map_prog(&f);
	ck_assert_ptr_ne(first, second);
	must_be_named(&f, s, second, at, "behind");
	stacks_free(s);
	files_close(&f);
}

START_TEST(a_file_that_took_the_place_of_one_without_a_build_id)
{
	build_again("-Wl,--build-id=none", "mv");
}
END_TEST

START_TEST(a_file_without_a_build_id_that_was_written_over)
{
	build_again("-Wl,--build-id=none", "cp");
}
END_TEST

START_TEST(a_file_that_was_written_over)
{
	build_again("-Wl,--build-id=sha1", "cp");
}
END_TEST

/* What was sampled of it before is not called by the names of what is there now. */
START_TEST(no_names_of_what_was_written_over_it)
{
	struct stacks *s = stacks_new();
	struct files f;

	files_open(&f);
	build_one(&f, "before", "");
	build_one(&f, "behind", "");
	lab_run("cp '%s/before' '%s'", f.dir, f.prog);
	const struct module *first = map_prog(&f);

	lab_run("cp '%s/behind' '%s'", f.dir, f.prog);
	must_be_named(&f, s, first, lab_address(f.dir, "before", "before"), "");
	stacks_free(s);
	files_close(&f);
}
END_TEST

/* A file that was not read yet as it was sampled, or a 32-bit one: where in the file is known. */
START_TEST(a_position_in_a_file_is_no_address)
{
	struct stacks *s = stacks_new();
	struct files f;
	char off[64];

	files_open(&f);
	build_one(&f, "before", "-no-pie -Wl,-Ttext-segment=0x1000");
	lab_run("cp '%s/before' '%s'", f.dir, f.prog);
	map_prog(&f);
	lab_line(off, sizeof(off), "readelf -lW '%s' | awk '/LOAD.*R E/ { print $2, $3 }'", f.prog);

	uint64_t vaddr = lab_address(f.dir, "before", "before"), file_off, base;
	char *end;

	file_off = strtoull(off, &end, 16);
	base = strtoull(end, NULL, 16);
	ck_assert_uint_ne(file_off, base);

	struct stacks_frame frame = {.addr = vaddr - base + file_off,
				     .module = stacks_module(s, f.prog, ""),
				     .type = STACKS_USER};
	uint32_t i = stacks_frame(s, &frame);

	frame.addr = vaddr;
	uint32_t k = stacks_frame(s, &frame);

	namer_name(f.namer, s, true);
	ck_assert_str_eq(stacks_text(s, s->frames[i].name), "before");
	ck_assert_str_ne(stacks_text(s, s->frames[k].name), "before");
	stacks_free(s);
	files_close(&f);
}
END_TEST

/* One FDE covers all of .plt: its stubs are functions all the same. */
START_TEST(stubs_are_called_by_what_they_call)
{
	struct unwind_table *t;
	struct symtab *names;
	struct files f;
	char line[64], name[64];

	files_open(&f);
	support_put(f.dir, "plt.c",
		    "int abs(int), rand(void), getppid(void);\n"
		    "int main(int c, char **v) { return abs(c) + rand() + getppid(); }\n");
	lab_run("cc -O1 -fno-builtin -Wl,-z,lazy -Wl,-z,ibtplt -o '%s' '%s/plt.c'", f.prog, f.dir);
	lab_line(line, sizeof(line), "readelf -SW '%s' | sed -n 's/.* .plt.sec *PROGBITS *//p'",
		 f.prog);
	int fd = lab_open(f.dir, "prog");

	ck_assert_int_eq(unwind_table_read(&t, fd), 0);
	ck_assert_int_eq(symtab_open(&names, fd, ""), 0);
	uint64_t at = strtoull(line, NULL, 16);

	if (at) { /* of this kind on x86-64 alone */
		for (int i = 0; i < 3; i++) {
			uint64_t start = at + (uint64_t)i * 16;

			ck_assert_uint_eq(unwind_table_function(t, start + 5), start);
			ck_assert_int_eq(symtab_find(names, start, name, sizeof(name), NULL), 0);
			ck_assert_ptr_nonnull(strstr("rand@plt abs@plt getppid@plt", name));
		}
	}
	symtab_close(names);
	free(t);
	close(fd);
	files_close(&f);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {a_process_that_has_exited_still_has_names,
				      and_before_it_was_its_modules_turn,
				      a_file_that_took_the_place_of_one_without_a_build_id,
				      a_file_without_a_build_id_that_was_written_over,
				      a_file_that_was_written_over,
				      no_names_of_what_was_written_over_it,
				      a_position_in_a_file_is_no_address,
				      stubs_are_called_by_what_they_call};

	return support_run("namer_modules", tests, sizeof(tests) / sizeof(*tests));
}
