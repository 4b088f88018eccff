#include "profile/namer.h"
#include "symbols_lab.h"

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

	ck_assert_int_eq(namer_lines(n, "prog", id, at, &lines, &n_lines), 0);
	ck_assert_str_eq(lines[n_lines - 1].function, "wait_long");
	symbol_lines_free(lines, n_lines);
	ck_assert_int_eq(namer_lines(n, "prog", "00", at, &lines, &n_lines), -ENODATA);
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

int main(void)
{
	const TTest *const tests[] = {a_process_that_has_exited_still_has_names,
				      and_before_it_was_its_modules_turn};

	return support_run("namer_modules", tests, sizeof(tests) / sizeof(*tests));
}
