#include "profile/profiler_private.h"
#include "support.h"
#include "symbols/perf_map_paint.h"
#include "symbols/symbols.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			ck_abort_msg("%s", #x);                                                    \
	} while (0)

enum { PID = 4711, NS_PID = 7 };

static char dir[64], map_path[160];
static struct host host;
static struct perf_map *m;

/* A process in its own pid and mount namespace, whose user is `uid` and that was started at `start`. */
static void put_process(unsigned uid, unsigned start)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "Name:\tjit\nUid:\t%u\t%u\t%u\t%u\nGid:\t0\t0\t0\t0\nNSpid:\t%d\t%d\n", uid, uid,
		 uid, uid, PID, NS_PID);
	support_put(dir, "proc/4711/status", text);
	snprintf(text, sizeof(text),
		 "%d (j) it) S 1 1 1 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 %u 100 200\n", PID,
		 start);
	support_put(dir, "proc/4711/stat", text);
}

static void put_map(const char *text)
{
	support_put(dir, "proc/4711/root/tmp/perf-7.map", text);
}

static void add_map(const char *text)
{
	FILE *f = fopen(map_path, "a");

	MUST(f);
	fputs(text, f);
	fclose(f);
}

static void setup(void)
{
	static char proc[80];

	support_dir(dir);
	put_process(getuid(), 1000);
	snprintf(map_path, sizeof(map_path), "%s/proc/4711/root/tmp/perf-7.map", dir);
	snprintf(proc, sizeof(proc), "%s/proc", dir);
	ck_assert_int_eq(host_open(&host, proc, NULL, NULL), 0);
	m = NULL;
}

static void teardown(void)
{
	perf_map_close(m);
	host_close(&host);
	support_rm(dir);
}

static void check(uint64_t addr, const char *name, uint64_t start)
{
	uint64_t at = 1;
	const char *is = perf_map_find(m, addr, &at);

	if (!name) {
		ck_assert_ptr_null(is);
		return;
	}
	ck_assert_ptr_nonnull(is);
	ck_assert_str_eq(is, name);
	ck_assert_uint_eq(at, start);
}

START_TEST(names_by_address)
{
	put_map("7f0000001000 40 LazyCompile:*foo /srv/a b.js:12:3\n7f0000000f00 80 first\n"
		"0x7f0000002000 0x10 prefixed\r\n");
	ck_assert_int_eq(perf_map_open(&m, &host, PID), 0);
	check(0x7f0000001000, "LazyCompile:*foo /srv/a b.js:12:3", 0x7f0000001000);
	check(0x7f000000103f, "LazyCompile:*foo /srv/a b.js:12:3", 0x7f0000001000);
	check(0x7f0000001040, NULL, 0);
	check(0x7f0000000f7f, "first", 0x7f0000000f00);
	check(0x7f0000000f80, NULL, 0);
	check(0x7f0000000eff, NULL, 0);
	MUST(perf_map_find(m, 0x7f0000002001, NULL));
	check(0, NULL, 0);
	check(UINT64_MAX, NULL, 0);
	MUST(perf_map_bytes(m) > 0 && perf_map_bytes(m) < 1 << 20);
	MUST(perf_map_dropped(m) == 0);
}
END_TEST

START_TEST(what_was_added_is_read)
{
	put_map("1000 10 one\n2000 10 tw");
	ck_assert_int_eq(perf_map_open(&m, &host, PID), 0);
	check(0x1001, "one", 0x1000);
	check(0x2001, NULL, 0); /* its line is not all there */
	ck_assert_int_eq(perf_map_refresh(m), 0);
	add_map("o\n");
	ck_assert_int_eq(perf_map_refresh(m), 1);
	check(0x2001, "two", 0x2000);
	ck_assert_int_eq(perf_map_refresh(m), 0);
	add_map("3000 10 three\n");
	ck_assert_int_eq(perf_map_refresh(m), 1);
	check(0x1001, "one", 0x1000);
	check(0x3001, "three", 0x3000);
}
END_TEST

START_TEST(code_written_over_other_code)
{
	put_map("1000 100 old\n2000 100 other\n");
	ck_assert_int_eq(perf_map_open(&m, &host, PID), 0);
	add_map("1040 20 new\n20f0 20 beyond\n");
	ck_assert_int_eq(perf_map_refresh(m), 1);
	check(0x103f, "old", 0x1000);
	check(0x1040, "new", 0x1040);
	check(0x105f, "new", 0x1040);
	check(0x1060, "old", 0x1000);
	check(0x20ef, "other", 0x2000);
	check(0x20f0, "beyond", 0x20f0);
	check(0x210f, "beyond", 0x20f0);
	add_map("1000 100 newest\n1000 100 last\n");
	ck_assert_int_eq(perf_map_refresh(m), 1);
	check(0x1050, "last", 0x1000);
}
END_TEST

START_TEST(a_map_that_begins_anew)
{
	put_map("1000 100 one\n2000 100 two\n");
	ck_assert_int_eq(perf_map_open(&m, &host, PID), 0);
	put_map("3000 100 three\n"); /* shorter */
	ck_assert_int_eq(perf_map_refresh(m), 1);
	check(0x1000, NULL, 0);
	check(0x3000, "three", 0x3000);
	ck_assert_int_eq(unlink(map_path), 0); /* gone: what was read stays */
	ck_assert_int_eq(perf_map_refresh(m), -ENOENT);
	check(0x3000, "three", 0x3000);
	put_map("3000 100 three\n4000 100 another file\n");
	ck_assert_int_eq(perf_map_refresh(m), 1);
	check(0x4000, "another file", 0x4000);
}
END_TEST

START_TEST(another_process_by_the_same_number)
{
	put_map("1000 100 one\n");
	ck_assert_int_eq(perf_map_open(&m, &host, PID), 0);
	put_process(getuid(), 2000);
	ck_assert_int_eq(perf_map_refresh(m), -ESRCH);
	check(0x1000, "one", 0x1000);
}
END_TEST

/* /tmp outlives processes, and their numbers come again: in a container that was restarted it is the same one. */
START_TEST(a_map_from_before_the_process_began)
{
	struct timespec up, now;

	clock_gettime(CLOCK_BOOTTIME, &up);
	clock_gettime(CLOCK_REALTIME, &now);
	put_map("1000 100 of the one before\n");
	put_process(getuid(), (unsigned)up.tv_sec * (unsigned)sysconf(_SC_CLK_TCK));
	struct timespec old[2] = {{.tv_sec = now.tv_sec - 60}, {.tv_sec = now.tv_sec - 60}};

	ck_assert_int_eq(utimensat(AT_FDCWD, map_path, old, 0), 0);
	ck_assert_int_eq(perf_map_open(&m, &host, PID), -ENOENT);
	add_map("2000 100 its own\n");
	ck_assert_int_eq(perf_map_open(&m, &host, PID), 0);
	check(0x2010, "its own", 0x2000);
}
END_TEST

START_TEST(no_map)
{
	ck_assert_int_eq(perf_map_open(&m, &host, PID), -ENOENT);
	ck_assert_int_eq(perf_map_open(&m, &host, PID + 1), -ENOENT);
	MUST(!m);
}
END_TEST

START_TEST(a_map_of_another_user_is_refused)
{
	if (getuid() != 0)
		return;
	put_process(1234, 1000);
	put_map("1000 100 one\n");
	ck_assert_int_eq(chown(map_path, 4321, 4321), 0);
	ck_assert_int_eq(perf_map_open(&m, &host, PID), -EPERM);
	ck_assert_int_eq(chown(map_path, 1234, 4321), 0);
	ck_assert_int_eq(perf_map_open(&m, &host, PID), 0);
	check(0x1000, "one", 0x1000);
	perf_map_close(m);
	m = NULL;
	ck_assert_int_eq(chown(map_path, 0, 0), 0); /* root may write them for others */
	ck_assert_int_eq(perf_map_open(&m, &host, PID), 0);
}
END_TEST

START_TEST(links_and_fifos_are_refused)
{
	char other[128];

	support_put(dir, "proc/4711/root/tmp/real", "1000 100 one\n");
	snprintf(other, sizeof(other), "%s/proc/4711/root/tmp/real", dir);
	ck_assert_int_eq(symlink("real", map_path), 0);
	MUST(perf_map_open(&m, &host, PID) < 0);
	unlink(map_path);
	ck_assert_int_eq(mkfifo(map_path, 0644), 0);
	MUST(perf_map_open(&m, &host, PID) < 0);
	unlink(map_path);
	ck_assert_int_eq(rename(other, map_path), 0);
	ck_assert_int_eq(perf_map_open(&m, &host, PID), 0);
}
END_TEST

START_TEST(garbage_lines_are_passed_over)
{
	char *text = malloc(400000), *p = text;

	p += sprintf(p, "\n\nhello\n1000\n1000 \n1000 10\n1000 10 \n1000 0 empty\nzz 10 a\n"
			"1000 zz a\n1000 ffffffff huge\nffffffffffffff00 1000 wraps\n"
			"1000 10 good\n4000 10 a\tb\377\n");
	memset(p, 'x', 200000);
	p += 200000;
	p += sprintf(p, "\n2000 10 ");
	memset(p, 'n', 5000); /* a long name is cut */
	p += 5000;
	sprintf(p, "\n3000 10 after\n");
	put_map(text);
	free(text);
	ck_assert_int_eq(perf_map_open(&m, &host, PID), 0);
	check(0x1001, "good", 0x1000);
	check(0x3001, "after", 0x3000);
	check(0x4001, "a?b?", 0x4000);
	MUST(strlen(perf_map_find(m, 0x2000, NULL)) == 255);
	check(0xffffffffffffff80, NULL, 0);
}
END_TEST

START_TEST(what_it_takes_is_bounded)
{
	FILE *f;

	put_map("1000 100 first\n");
	f = fopen(map_path, "a");
	for (unsigned i = 0; i < 300000; i++)
		fprintf(f, "%x 10 %0240u\n", 0x100000 + i * 16, i);
	fclose(f);
	ck_assert_int_eq(perf_map_open(&m, &host, PID), 0);
	MUST(perf_map_bytes(m) < 100 << 20);
	MUST(perf_map_dropped(m) > 1000);
	check(0x1000, "first", 0x1000);
}
END_TEST

/* ---- painting, against every address by hand ---- */

START_TEST(the_newest_is_seen_at_every_address)
{
	enum { SPAN = 600, ROUNDS = 300 };

	srand(3);
	for (int round = 0; round < ROUNDS; round++) {
		struct piece *held = NULL;
		size_t n = 0;
		uint32_t truth[SPAN] = {0}, began[SPAN] = {0}, next = 1;

		for (int batch = 0; batch < 4; batch++) {
			struct stroke s[40];
			size_t count = (size_t)rand() % 40;

			for (size_t i = 0; i < count; i++) {
				uint32_t start = (uint32_t)rand() % (SPAN - 100);

				s[i] = (struct stroke){.start = start,
						       .len = 1 + (uint32_t)rand() % 100,
						       .name = next++};
				for (uint32_t a = start; a < start + s[i].len; a++) {
					truth[a] = s[i].name;
					began[a] = start;
				}
			}
			struct piece *out = calloc(paint_room(n, count) + 1, sizeof(*out));
			size_t made = paint(held, n, s, count, out);

			MUST(made <= paint_room(n, count));
			free(held);
			held = out;
			n = made;
		}
		uint32_t seen[SPAN] = {0}, start[SPAN] = {0};

		for (size_t i = 0; i < n; i++) {
			MUST(held[i].len &&
			     (!i || held[i].start >= held[i - 1].start + held[i - 1].len));
			for (uint64_t a = held[i].start; a < held[i].start + held[i].len; a++) {
				seen[a] = held[i].name;
				start[a] = (uint32_t)held[i].start - held[i].before;
			}
		}
		MUST(memcmp(seen, truth, sizeof(seen)) == 0);
		MUST(memcmp(start, began, sizeof(start)) == 0);
		free(held);
	}
}
END_TEST

/* ---- a real JIT ---- */

/* Those of all processes together: each may have 64 MiB. */
START_TEST(the_profiler_s_maps_are_bounded)
{
	struct profiler_jits *js;
	char name[64];
	uint64_t start;

	put_map("");
	for (int i = 0; i < 2000; i++) {
		char line[64];

		snprintf(line, sizeof(line), "%x 10 function number %d\n", 0x1000 + i * 16, i);
		add_map(line);
	}
	for (unsigned k = 0; k < 2; k++) {
		ck_assert_int_eq(profiler_jits_open(&js, &host, NULL, k ? 1 << 14 : 1 << 20), 0);
		ck_assert(!profiler_jits_find(js, PID, 0x1008, name, sizeof(name), &start));
		profiler_jits_step(js, 1000000);
		bool has = profiler_jits_find(js, PID, 0x1018, name, sizeof(name), &start);

		ck_assert_int_eq(has, !k);
		if (has)
			ck_assert_str_eq(name, "function number 1");
		profiler_jits_step(js, 2000000);
		ck_assert_int_eq(profiler_jits_find(js, PID, 0x1018, name, sizeof(name), &start),
				 !k);
		profiler_jits_close(js);
	}
}
END_TEST

START_TEST(names_of_node)
{
	char cmd[64], line[512];
	int in[2];

	if (system("command -v node >/dev/null 2>&1"))
		return;
	ck_assert_int_eq(pipe(in), 0);
	pid_t pid = fork();

	if (pid == 0) {
		if (chdir(dir)) /* where it leaves a log */
			_exit(127);
		dup2(in[1], 1);
		execlp("node", "node", "--perf-basic-prof", "-e",
		       "function hotSpot(n) { let s = 0; for (let i = 0; i < n; i++) s += i % 7; "
		       "return s; }"
		       "for (let i = 0; i < 2000; i++) hotSpot(1000);"
		       "console.log('ready'); setTimeout(() => {}, 60000)",
		       NULL);
		_exit(127);
	}
	close(in[1]);
	ck_assert_int_gt(read(in[0], line, sizeof(line)), 0);
	host_close(&host);
	ck_assert_int_eq(host_open(&host, NULL, NULL, NULL), 0);
	int r = perf_map_open(&m, &host, (uint32_t)pid);
	bool found = false;

	snprintf(cmd, sizeof(cmd), "/tmp/perf-%d.map", pid);
	FILE *f = fopen(cmd, "r");

	while (f && !found && fgets(line, sizeof(line), f)) {
		unsigned long long at, size;
		const char *is;

		if (!strstr(line, "hotSpot") || sscanf(line, "%llx %llx", &at, &size) != 2)
			continue;
		is = m ? perf_map_find(m, at + size / 2, NULL) : NULL;
		found = is && strstr(is, "hotSpot");
	}
	if (f)
		fclose(f);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(perf_map_refresh(m), -ENOENT); /* it has ended */
	MUST(perf_map_bytes(m) > 0);
	unlink(cmd);
	close(in[0]);
	ck_assert_int_eq(r, 0);
	MUST(found);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("perf_map");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, names_by_address);
	tcase_add_test(tc, what_was_added_is_read);
	tcase_add_test(tc, code_written_over_other_code);
	tcase_add_test(tc, a_map_that_begins_anew);
	tcase_add_test(tc, another_process_by_the_same_number);
	tcase_add_test(tc, a_map_from_before_the_process_began);
	tcase_add_test(tc, no_map);
	tcase_add_test(tc, a_map_of_another_user_is_refused);
	tcase_add_test(tc, links_and_fifos_are_refused);
	tcase_add_test(tc, garbage_lines_are_passed_over);
	tcase_add_test(tc, what_it_takes_is_bounded);
	tcase_add_test(tc, the_newest_is_seen_at_every_address);
	tcase_add_test(tc, the_profiler_s_maps_are_bounded);
	tcase_add_test(tc, names_of_node);
	return support_run_case("perf_map", tc);
}
