/* The runtime directory: places, checks of who owns what, agent.json. */
#include "base/runtime.h"
#include "support.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char dir[64];

static void setup(void)
{
	strcpy(dir, "/tmp/strobe-runtime-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void teardown(void)
{
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", dir);
	ck_assert_int_eq(system(cmd), 0);
}

START_TEST(places)
{
	char p[64];

	ck_assert_int_eq(runtime_place("127.0.0.1:9820", 0, p, sizeof(p)), 0);
	ck_assert_str_eq(p, "9820");
	ck_assert_int_eq(runtime_place("127.0.0.1:9820", 1, p, sizeof(p)), -ERANGE);
	ck_assert_int_eq(runtime_place("[::1]:0", 0, p, sizeof(p)), 0);
	ck_assert_str_eq(p, "auto");
	ck_assert_int_eq(runtime_place("127.0.0.1:0", 2, p, sizeof(p)), 0);
	ck_assert_str_eq(p, "auto-3");
	ck_assert_int_eq(runtime_place("127.0.0.1:0", RUNTIME_AUTO_MAX, p, sizeof(p)), -ERANGE);
	ck_assert_int_eq(runtime_place("unix:/a:b/../c", 0, p, sizeof(p)), 0);
	ck_assert_ptr_null(strchr(p, '/'));
	ck_assert_int_eq(runtime_place("127.0.0.1:../x", 0, p, sizeof(p)), -EINVAL);
	ck_assert_int_eq(runtime_place("localhost", 0, p, sizeof(p)), -EINVAL);
}
END_TEST

START_TEST(refuses_what_others_may_write)
{
	char path[RUNTIME_PATH_MAX], err[256] = "";
	char link[96];

	ck_assert_int_eq(runtime_make(0, dir, false, "9820", path, err, sizeof(err)), 0);
	ck_assert_int_eq(runtime_make(1, dir, false, "9820", path, err, sizeof(err)), -ERANGE);
	ck_assert_int_eq(chmod(dir, 0777), 0);
	ck_assert_int_eq(runtime_make(0, dir, false, "9820", path, err, sizeof(err)), -EPERM);
	ck_assert_ptr_nonnull(strstr(err, "others may write"));
	ck_assert_int_eq(chmod(dir, 0700), 0);
	snprintf(link, sizeof(link), "%s/link", dir);
	ck_assert_int_eq(symlink(dir, link), 0);
	ck_assert_int_lt(runtime_make(0, link, false, "9820", path, err, sizeof(err)), 0);
}
END_TEST

/* A base that is not on tmpfs is passed over, and the reason says so. */
START_TEST(wants_tmpfs)
{
	char path[RUNTIME_PATH_MAX], err[256] = "";

	setenv("RUNTIME_DIRECTORY", "/proc/self", 1);
	ck_assert_int_lt(runtime_make(0, NULL, false, "x", path, err, sizeof(err)), 0);
	ck_assert_str_ne(err, "");
	unsetenv("RUNTIME_DIRECTORY");
	ck_assert_int_eq(runtime_make(0, NULL, false, "x", path, err, sizeof(err)), -ENOENT);
	ck_assert_int_eq(runtime_make(RUNTIME_BASES, NULL, false, "x", path, err, sizeof(err)),
			 -ERANGE);
}
END_TEST

START_TEST(agent_file)
{
	struct runtime_agent a = {.url = "http://127.0.0.1:1/", .token = "t", .log_id = "00"}, b;
	char path[RUNTIME_PATH_MAX], other[RUNTIME_PATH_MAX], file[600], err[256];
	struct stat st;

	ck_assert_int_eq(runtime_read_agent(dir, NULL, &b), -ENOENT);
	ck_assert_int_eq(runtime_make(0, dir, false, "1", path, err, sizeof(err)), 0);
	a.pid = getpid();
	ck_assert_int_eq(runtime_write_agent(path, &a), 0);
	snprintf(file, sizeof(file), "%s/agent.json", path);
	ck_assert_int_eq(stat(file, &st), 0);
	ck_assert_int_eq(st.st_mode & 0777, 0600);
	ck_assert_int_eq(runtime_read_agent(dir, NULL, &b), 0);
	ck_assert_str_eq(b.url, a.url);
	ck_assert_str_eq(b.token, "t");
	ck_assert_str_eq(b.socket, "");

	/* the younger one wins while its process lives */
	ck_assert_int_eq(utimensat(AT_FDCWD, file, (struct timespec[2]){{1000, 0}, {1000, 0}}, 0),
			 0);
	pid_t pid = fork();

	if (!pid) {
		pause();
		_exit(0);
	}
	ck_assert_int_eq(runtime_make(0, dir, false, "auto", other, err, sizeof(err)), 0);
	strcpy(a.url, "http://127.0.0.1:2/");
	a.pid = pid;
	ck_assert_int_eq(runtime_write_agent(other, &a), 0);
	ck_assert_int_eq(runtime_read_agent(dir, NULL, &b), 0);
	ck_assert_str_eq(b.url, a.url);
	/* or the one that is asked for */
	ck_assert_int_eq(runtime_read_agent(dir, "127.0.0.1:1", &b), 0);
	ck_assert_str_eq(b.url, "http://127.0.0.1:1/");
	ck_assert_int_eq(runtime_read_agent(dir, "127.0.0.1:12", &b), -ENOENT);
	ck_assert_int_eq(runtime_read_agent(dir, "unix:1", &b), -ENOENT);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	ck_assert_int_eq(runtime_read_place(other, &b), -ENOENT);
	ck_assert_int_eq(runtime_read_agent(dir, NULL, &b), 0);
	ck_assert_str_eq(b.url, "http://127.0.0.1:1/");

	/* garbage is no agent */
	int fd = open(file, O_WRONLY | O_TRUNC);

	ck_assert_int_eq(write(fd, "{\"url\": 3", 9), 9);
	close(fd);
	ck_assert_int_eq(runtime_read_place(path, &b), -EBADMSG);
	runtime_remove_agent(path);
	ck_assert_int_eq(runtime_read_place(path, &b), -ENOENT);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("runtime");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, places);
	tcase_add_test(t, refuses_what_others_may_write);
	tcase_add_test(t, wants_tmpfs);
	tcase_add_test(t, agent_file);
	return support_run_case("runtime", t);
}
