#include "symbols_lab.h"

#include <limits.h>
#include <sys/auxv.h>
#include <time.h>

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			ck_abort_msg("%s", #x);                                                    \
	} while (0)

static char dir[64];

static void setup(void)
{
	support_dir(dir);
}

static void teardown(void)
{
	support_rm(dir);
}

/* ---- names ---- */

START_TEST(names_are_demangled)
{
	static const char *const pairs[][2] = {
		{"main", "main"},
		{"", ""},
		{"_", "_"},
		{"_Z", "_Z"},
		{"_Zgarbage", "_Zgarbage"},
		{"_ZN3foo3barEv", "foo::bar"},
		{"_ZNSt6vectorIiSaIiEE9push_backEOi",
		 "std::vector<int, std::allocator<int> >::push_back"},
		{"_ZN3fooIiE3barERKS0_.cold", "foo<int>::bar"},
		{"_ZN4core3fmt9Formatter3pad17h0123456789abcdefE", "core::fmt::Formatter::pad"},
		{"_ZN50_$LT$T$u20$as$u20$core..convert..Into$LT$U$GT$$GT$4into17h0123456789abcdefE",
		 "<T as core::convert::Into<U>>::into"},
		{"_RNvNtCs1234_7mycrate3foo3bar", "mycrate::foo::bar"},
		{"_RINvCs1234_7mycrate3fooNtB2_3BarE", "mycrate::foo::<mycrate::Bar>"},
	};
	char buf[256];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		symbol_demangle(pairs[i][0], buf, sizeof(buf));
		ck_assert_str_eq(buf, pairs[i][1]);
	}
}
END_TEST

START_TEST(names_are_cut_to_size_between_characters)
{
	char buf[64];

	memset(buf, 'x', sizeof(buf));
	symbol_demangle("_ZN3foo3barEv", buf, 6);
	ck_assert_str_eq(buf, "foo::");
	MUST(buf[6] == 'x');
	symbol_demangle("plain_name", buf, 6);
	ck_assert_str_eq(buf, "plain");
	symbol_demangle("ab\303\244", buf, 4);
	ck_assert_str_eq(buf, "ab");
	symbol_demangle("ab\303\244", buf, 5);
	ck_assert_str_eq(buf, "ab\303\244");
	symbol_demangle("x", buf, 1);
	ck_assert_str_eq(buf, "");
	buf[0] = 'z';
	symbol_demangle("x", buf, 0);
	MUST(buf[0] == 'z');
}
END_TEST

START_TEST(names_are_printable)
{
	static const char *const pairs[][2] = {
		{"a\tb\001\177", "a?b??"},
		{"\303\244\342\202\254\360\237\230\200", "\303\244\342\202\254\360\237\230\200"},
		{"\303", "?"},
		{"\300\257", "??"},	      /* an overlong '/' */
		{"\355\240\200", "???"},      /* half of a pair */
		{"\364\220\200\200", "????"}, /* beyond Unicode */
		{"\377x", "?x"},
	};
	char buf[64];

	for (size_t i = 0; i < sizeof(pairs) / sizeof(*pairs); i++) {
		symbol_demangle(pairs[i][0], buf, sizeof(buf));
		ck_assert_str_eq(buf, pairs[i][1]);
	}
}
END_TEST

/* Each S_ doubles what the one before stands for. */
START_TEST(a_name_that_explodes_is_given_up)
{
	char name[1024] = "_Z1fI1AE", buf[300];
	static const char seq[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
	struct timespec a, b;
	char *p = name + sprintf(name, "_Z1fI1AIiiES_IS0_S0_E");

	for (int i = 1; i < 30; i++)
		p += sprintf(p, "S_IS%c_S%c_E", seq[i], seq[i]);
	strcpy(p, "EvT_");
	clock_gettime(CLOCK_MONOTONIC, &a);
	for (int i = 0; i < 20; i++)
		symbol_demangle(name, buf, sizeof(buf));
	clock_gettime(CLOCK_MONOTONIC, &b);
	MUST(b.tv_sec - a.tv_sec < 5);
	MUST(strlen(buf) == sizeof(buf) - 1);
	memset(name, 'A', sizeof(name) - 1);
	memcpy(name, "_Z", 2);
	symbol_demangle(name, buf, sizeof(buf));
	MUST(strncmp(buf, "_ZAA", 4) == 0);
}
END_TEST

/* ---- a program of which everything is known ---- */

static void check_program(const struct symtab *t, bool full)
{
	static const char *const names[][2] = {
		{"_ZN3lab6VectorIiLi3EE4pushERKi", "lab::Vector<int, 3>::push"},
		{"_ZN3lab4rust17h0123456789abcdefE", "lab::rust"},
		{"_RNvC3lab5crate", "lab::crate"},
		{"local", "local"},
		{"main", "main"},
		{"nice", "nice"},	  /* rather than __with_bars, which is as global */
		{"aa_soft", "weak_only"}, /* a weak one gives way */
		{"unsized", "unsized"},
		{"outer", "outer"},
	};

	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++) {
		uint64_t at = lab_address(dir, "prog", names[i][0]), start = 0;
		char buf[256] = "";
		int r = symtab_find(t, at + 2, buf, sizeof(buf), &start);

		if (!full && strcmp(names[i][0], "local") == 0) {
			ck_assert_int_eq(r, -ENOENT);
			continue;
		}
		ck_assert_str_eq(buf, names[i][1]);
		ck_assert_uint_eq(start, at);
	}
}

START_TEST(a_program_has_its_names)
{
	struct symtab *t;

	lab_build(dir, "");
	ck_assert_int_eq(lab_symtab(&t, dir, "prog", ""), 0);
	MUST(symtab_is_full(t));
	ck_assert_str_eq(symtab_missing(t), "");
	MUST(symtab_count(t) > 10);
	MUST(symtab_bytes(t) >= 12 * symtab_count(t));
	check_program(t, true);
	symtab_close(t);
	symtab_close(NULL);
}
END_TEST

START_TEST(sizes_count)
{
	struct symtab *t;
	uint64_t start = 0;
	char buf[64];

	lab_build(dir, "");
	ck_assert_int_eq(lab_symtab(&t, dir, "prog", ""), 0);
	uint64_t outer = lab_address(dir, "prog", "outer"),
		 after = lab_address(dir, "prog", "after"),
		 around = lab_address(dir, "prog", "around"),
		 unsized = lab_address(dir, "prog", "unsized");

	/* Labels within a function are the function. */
	for (uint64_t i = 0; i < 8; i++) {
		ck_assert_str_eq(lab_name(t, outer + i), "outer");
		ck_assert_int_eq(symtab_find(t, outer + i, buf, sizeof(buf), &start), 0);
		ck_assert_uint_eq(start, outer);
	}
	/* Between functions nothing is. */
	ck_assert_str_eq(lab_name(t, outer + 8), "");
	ck_assert_str_eq(lab_name(t, unsized - 1), "");
	/* One without a size reaches to the next. */
	ck_assert_str_eq(lab_name(t, unsized + 3), "unsized");
	ck_assert_str_eq(lab_name(t, after - 1), "unsized");
	ck_assert_str_eq(lab_name(t, after + 1), "after");
	/* A function within another one, and what follows it. */
	ck_assert_str_eq(lab_name(t, around + 1), "around");
	ck_assert_str_eq(lab_name(t, around + 2), "within");
	ck_assert_str_eq(lab_name(t, around + 3), "within");
	ck_assert_str_eq(lab_name(t, around + 4), "around");
	ck_assert_int_eq(symtab_find(t, around + 4, buf, sizeof(buf), &start), 0);
	ck_assert_uint_eq(start, around);
	ck_assert_str_eq(lab_name(t, around + 100000), "");
	ck_assert_str_eq(lab_name(t, 0), "");
	ck_assert_str_eq(lab_name(t, UINT64_MAX), "");
	symtab_close(t);
}
END_TEST

/* Address of the entry through which puts is called, as objdump has it. */
static void check_plt(const char *flags)
{
	struct symtab *t;
	char line[256];

	lab_build(dir, flags);
	lab_line(line, sizeof(line),
		 "objdump -d '%s/prog' | awk '/<puts@plt>:/ { print $1 }' | tail -n 1", dir);
	ck_assert_int_eq(lab_symtab(&t, dir, "prog", ""), 0);
	if (line[0]) {
		uint64_t at = strtoull(line, NULL, 16);

		ck_assert_str_eq(lab_name(t, at), "puts@plt");
		ck_assert_str_eq(lab_name(t, at + 6), "puts@plt");
	} else {
		ck_assert_msg(strstr(flags, "no-plt"), "objdump shows no puts@plt with %s", flags);
	}
	symtab_close(t);
}

START_TEST(plt_entries_have_names)
{
	check_plt("-Wl,-z,lazy");
	check_plt("-Wl,-z,now");
#ifdef __x86_64__
	check_plt("-fcf-protection=full -Wl,-z,ibtplt");
	check_plt("-fcf-protection=full -Wl,-z,ibtplt -Wl,-z,now");
#endif
	check_plt("-no-pie");
}
END_TEST

/* ---- what nm says of real files ---- */

struct checked {
	size_t same_start, other_start, named, other_name;
};

static void check_line(const struct symtab *t, char *line, struct checked *c)
{
	char type, name[1024], want[1024], is[1024];
	unsigned long long at, size;
	uint64_t start = 0;

	if (sscanf(line, "%llx %llx %c %1023s", &at, &size, &type, name) != 4 || !size ||
	    !strchr("tTWi", type))
		return;
	char *version = strchr(name + 1, '@');

	if (version)
		*version = 0;
	symbol_demangle(name, want, sizeof(want));
	if (symtab_find(t, at + size / 2, is, sizeof(is), &start) == 0 && start == at)
		c->same_start++;
	else
		c->other_start++;
	if (strcmp(is, want) == 0)
		c->named++;
	else
		c->other_name++;
}

/* Every sized function of a file is found by an address in its middle. Names differ where there are aliases. */
static void check_file(const char *path, const char *nm)
{
	char cmd[512], line[8192];
	struct checked c = {0};
	struct symtab *t;

	ck_assert_int_eq(lab_symtab(&t, "", path, ""), 0);
	snprintf(cmd, sizeof(cmd), "%s -S --defined-only '%s' 2>/dev/null", nm, path);
	FILE *f = popen(cmd, "r");

	while (fgets(line, sizeof(line), f))
		check_line(t, line, &c);
	pclose(f);
	MUST(c.same_start > 100);
	ck_assert_msg(c.other_start * 200 < c.same_start, "%s: %zu of %zu starts differ", path,
		      c.other_start, c.same_start);
	ck_assert_msg(c.other_name < c.named, "%s: %zu of %zu names differ", path, c.other_name,
		      c.named);
	symtab_close(t);
}

START_TEST(tables_of_real_files_agree_with_nm)
{
	char path[512];

	lab_line(path, sizeof(path), "readlink -f /proc/%d/exe", getpid());
	check_file(path, "nm");
	lab_line(path, sizeof(path), "ldconfig -p | awk '/libc.so.6/ { print $NF; exit }'");
	if (path[0])
		check_file(path, "nm -D");
	lab_line(path, sizeof(path), "readlink -f /usr/bin/python3");
	if (access(path, R_OK) == 0)
		check_file(path, "nm -D");
	lab_line(path, sizeof(path), "readlink -f \"$(command -v node)\"");
	if (path[0] && access(path, R_OK) == 0)
		check_file(path, "nm");
}
END_TEST

/* ---- languages, where their compilers are ---- */

START_TEST(names_of_a_cpp_program)
{
	struct symtab *t;
	char at[64];

	if (!lab_has("g++"))
		return;
	support_put(dir, "a.cc",
		    "#include <vector>\nnamespace lab { template <class T> struct Box { "
		    "std::vector<T> v;\n"
		    "__attribute__((noinline)) void add(const T &x) { v.push_back(x); } }; }\n"
		    "int main() { lab::Box<long> b; b.add(3); return (int)b.v.size(); }\n");
	lab_run("g++ -O1 -o '%s/cc' '%s/a.cc'", dir, dir);
	ck_assert_int_eq(lab_symtab(&t, dir, "cc", ""), 0);
	lab_line(at, sizeof(at), "nm -C '%s/cc' | awk '/lab::Box<long>::add/ { print $1; exit }'",
		 dir);
	ck_assert_str_eq(lab_name(t, strtoull(at, NULL, 16) + 1), "lab::Box<long>::add");
	symtab_close(t);
}
END_TEST

START_TEST(names_of_a_rust_program)
{
	struct symtab *t;
	char at[64];

	if (!lab_has("rustc"))
		return;
	support_put(dir, "a.rs",
		    "mod lab { pub struct Box2<T>(pub T);\n"
		    "impl<T: Copy> Box2<T> { #[inline(never)] pub fn peek(&self) -> T {\n"
		    "std::hint::black_box(self.0) } } }\n"
		    "fn main() { let n = std::env::args().count() as i32;\n"
		    "std::process::exit(lab::Box2(n).peek() - n); }\n");
	for (int v0 = 0; v0 < 2; v0++) {
		if (lab_try("cd '%s' && rustc -O %s -o rs a.rs 2>/dev/null", dir,
			    v0 ? "-C symbol-mangling-version=v0" : ""))
			return;
		ck_assert_int_eq(lab_symtab(&t, dir, "rs", ""), 0);
		lab_line(at, sizeof(at), "nm '%s/rs' | awk '/4peek/ { print $1; exit }'", dir);
		ck_assert_str_eq(lab_name(t, strtoull(at, NULL, 16)),
				 v0 ? "<a::lab::Box2<i32>>::peek" : "a::lab::Box2<T>::peek");
		symtab_close(t);
	}
}
END_TEST

/* Stripped, as Go programs are shipped: their runtime knows their functions. */
START_TEST(names_of_a_stripped_go_program)
{
	static const char *const modes[] = {"exe", "pie"};
	struct symtab *t;
	char at[64];

	if (!lab_has("go"))
		return;
	support_put(dir, "a.go",
		    "package main\nimport \"os\"\ntype T struct{ n int }\n//go:noinline\n"
		    "func (t *T) Grow(x int) int { t.n += x; return t.n }\n"
		    "func main() { t := &T{}; os.Exit(t.Grow(len(os.Args)) - len(os.Args)) }\n");
	for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
		char cmd[300];

		snprintf(cmd, sizeof(cmd),
			 "cd '%s' && HOME=${HOME:-%s} GOFLAGS=-mod=mod GO111MODULE=off go build "
			 "-buildmode=%s -o go a.go 2>/dev/null",
			 dir, dir, modes[i]);
		if (system(cmd))
			return;
		lab_run("cd '%s' && strip -o bare go", dir);
		uint64_t grow = lab_address(dir, "go", "main.(*T).Grow");

		lab_line(at, sizeof(at),
			 "nm '%s/go' | awk '$3 == \"runtime.mallocgc\" { print $1 }'", dir);
		ck_assert_int_eq(lab_symtab(&t, dir, "bare", ""), 0);
		ck_assert_msg(symtab_is_full(t), "-buildmode=%s", modes[i]);
		ck_assert_str_eq(symtab_missing(t), "");
		ck_assert_str_eq(lab_name(t, grow + 1), "main.(*T).Grow");
		ck_assert_str_eq(lab_name(t, strtoull(at, NULL, 16) + 40), "runtime.mallocgc");
		symtab_close(t);
	}
}
END_TEST

START_TEST(the_vdso_has_names)
{
	struct symtab *t = NULL;
	bool found = false;

	if (!getauxval(AT_SYSINFO_EHDR))
		return;
	ck_assert_int_eq(symtab_open_vdso(&t), 0);
	for (uint64_t at = 0; at < 16384 && !found; at += 4)
		found = strstr(lab_name(t, at), "clock_gettime") != NULL;
	MUST(found);
	symtab_close(t);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("symbols");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, names_are_demangled);
	tcase_add_test(tc, names_are_cut_to_size_between_characters);
	tcase_add_test(tc, names_are_printable);
	tcase_add_test(tc, a_name_that_explodes_is_given_up);
	tcase_add_test(tc, a_program_has_its_names);
	tcase_add_test(tc, sizes_count);
	tcase_add_test(tc, plt_entries_have_names);
	tcase_add_test(tc, tables_of_real_files_agree_with_nm);
	tcase_add_test(tc, names_of_a_cpp_program);
	tcase_add_test(tc, names_of_a_rust_program);
	tcase_add_test(tc, names_of_a_stripped_go_program);
	tcase_add_test(tc, the_vdso_has_names);
	return support_run_case("symbols", tc);
}
