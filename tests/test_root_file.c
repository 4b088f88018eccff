/* Files below a root that somebody else arranges: with the kernel's openat2, and as where there is none. */
#include "symbols/root_file.h"

#include "symbols_lab.h"

static char dir[64];
static int root_fd;

static void setup(void)
{
	support_dir(dir);
	lab_run("cd '%s' && echo outside >secret && mkdir -p root/a/b root/secretive && cd root && "
		"echo inside >secret && echo deep >a/b/file && ln -s file a/b/link && ln -s "
		"/a/b/file abs && "
		"ln -s ../../../../../secret a/b/up && ln -s /../secret above && ln -s a dir && ln "
		"-s /dir/b/../b far && "
		"ln -s loop loop && ln -s gone dangling && mkfifo pipe && chmod 700 a",
		dir);
	char path[128];

	snprintf(path, sizeof(path), "%s/root", dir);
	root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(root_fd, 0);
}

static void teardown(void)
{
	close(root_fd);
	support_rm(dir);
}

static const struct {
	const char *path, *text; /* text NULL: refused */
	bool no_link;
} cases[] = {
	{"a/b/file", "deep\n", false},
	{"/a/b/file", "deep\n", true},
	{"//a/./b//file", "deep\n", true},
	{"a/b/../../a/b/file", "deep\n", true},
	{"../../secret", "inside\n", true},
	{"a/b/link", "deep\n", false},
	{"a/b/link", NULL, true},
	{"abs", "deep\n", false},
	{"abs", NULL, true},
	{"a/b/up", "inside\n", false},
	{"above", "inside\n", false},
	{"dir/b/file", "deep\n", true}, /* a link on the way is one that stays within */
	{"far/file", "deep\n", true},
	{"dir/b/link", "deep\n", false},
	{"loop", NULL, false},
	{"loop/x", NULL, false},
	{"dangling", NULL, false},
	{"pipe", NULL, false},
	{"a", NULL, false},
	{"a/b/file/x", NULL, false},
	{"none", NULL, false},
	{"", NULL, false},
	{"/", NULL, false},
	{"..", NULL, false},
};

static void must_read(int fd, size_t i, const char *how)
{
	char text[32] = "";

	if (fd >= 0) {
		ck_assert_int_ge(read(fd, text, sizeof(text) - 1), 0);
		close(fd);
	}
	if (cases[i].text)
		ck_assert_msg(fd >= 0 && strcmp(text, cases[i].text) == 0, "%s%s %s: %d \"%s\"",
			      cases[i].path, cases[i].no_link ? " (no link)" : "", how, fd, text);
	else
		ck_assert_msg(fd < 0, "%s%s %s was opened: \"%s\"", cases[i].path,
			      cases[i].no_link ? " (no link)" : "", how, text);
}

START_TEST(nothing_leads_out_of_the_root)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		must_read(root_file_at(root_fd, cases[i].path, cases[i].no_link), i, "by openat2");
		must_read(root_file_walk(root_fd, cases[i].path, cases[i].no_link), i, "by a walk");
	}
}
END_TEST

START_TEST(a_walk_keeps_no_folder_open)
{
	int before = dup(root_fd), after;

	close(before);
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		int fd = root_file_walk(root_fd, cases[i].path, cases[i].no_link);

		if (fd >= 0)
			close(fd);
	}
	after = dup(root_fd);
	close(after);
	ck_assert_int_eq(after, before);
}
END_TEST

/* Deeper and longer than is followed: refused, not overrun. */
START_TEST(paths_without_end)
{
	char path[4000] = "";

	for (int i = 0; i < 700; i++)
		strcat(path, "a/../");
	ck_assert_int_lt(root_file_walk(root_fd, path, false), 0);
	path[0] = 0;
	for (int i = 0; i < 500; i++)
		strcat(path, "a/../");
	strcat(path, "secret");
	int fd = root_file_walk(root_fd, path, false);

	ck_assert_int_ge(fd, 0);
	close(fd);
	memset(path, 'x', sizeof(path) - 1);
	path[sizeof(path) - 1] = 0;
	ck_assert_int_lt(root_file_walk(root_fd, path, false), 0);
	lab_run("cd '%s/root' && d=. && i=0 && while [ $i -lt 80 ]; do d=$d/d; i=$((i + 1)); done "
		"&& mkdir -p $d && "
		"echo low >$d/file",
		dir);
	strcpy(path, "");
	for (int i = 0; i < 80; i++)
		strcat(path, "d/");
	strcat(path, "file");
	ck_assert_int_eq(root_file_walk(root_fd, path, false), -ENAMETOOLONG);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("root_file");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, nothing_leads_out_of_the_root);
	tcase_add_test(t, a_walk_keeps_no_folder_open);
	tcase_add_test(t, paths_without_end);
	return support_run_case("root_file", t);
}
