/* Which package a file is of. */
#include "support.h"

#include "symbols/package.h"

START_TEST(files_have_the_package_that_lists_them)
{
	char dir[] = "/tmp/strobe-package.XXXXXX", cmd[64], name[64];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	support_put(dir, "libfoo1.2:amd64.list", "/.\n/lib/x/libfoo.so.1\n/lib/x/libfoo.so.1.2\n");
	support_put(dir, "foo.bar.list", "/usr/bin/foo\n/usr/bin/foo-bar");
	support_put(dir, "foo.md5sums", "/usr/bin/other\n");
	support_put(dir, "empty.list", "");
	ck_assert_int_eq(package_owner(dir, "/usr/lib/x/libfoo.so.1", name, sizeof(name)), 0);
	ck_assert_str_eq(name, "libfoo1.2"); /* /lib is /usr/lib */
	ck_assert_int_eq(package_owner(dir, "/lib/x/libfoo.so.1.2", name, sizeof(name)), 0);
	ck_assert_int_eq(package_owner(dir, "/usr/bin/foo-bar", name, sizeof(name)), 0);
	ck_assert_str_eq(name, "foo.bar");
	ck_assert_int_eq(package_owner(dir, "/bin/foo", name, sizeof(name)), -ENOENT);
	ck_assert_int_eq(package_owner(dir, "/usr/bin/fo", name, sizeof(name)), -ENOENT);
	ck_assert_int_eq(package_owner(dir, "/usr/bin/foo-", name, sizeof(name)), -ENOENT);
	ck_assert_int_eq(package_owner(dir, "/usr/bin/other", name, sizeof(name)), -ENOENT);
	ck_assert_int_eq(package_owner(dir, "", name, sizeof(name)), -ENOENT);
	ck_assert_int_eq(package_owner("/nonexistent", "/bin/x", name, sizeof(name)), -ENOENT);
	package_debug("libc6", name, sizeof(name));
	ck_assert_str_eq(name, "libc6-dbg");
	package_debug("zlib1g", name, sizeof(name));
	ck_assert_str_eq(name, "zlib1g-dbgsym");
	snprintf(cmd, sizeof(cmd), "rm -rf %s", dir);
	ck_assert_int_eq(system(cmd), 0);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("package");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, files_have_the_package_that_lists_them);
	return support_run_case("package", t);
}
