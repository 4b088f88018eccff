#include "support.h"
#include "symbols/symbols.h"

#define MUST(x)                                                                                    \
	do {                                                                                       \
		if (!(x))                                                                          \
			ck_abort_msg("%s", #x);                                                    \
	} while (0)

static char dir[64], err[256];
static struct host host;
static struct kernel_symbols *k;

static void setup(void)
{
	support_dir(dir);
	k = NULL;
	err[0] = 0;
}

static void teardown(void)
{
	kernel_symbols_close(k);
	host_close(&host);
	support_rm(dir);
}

static int open_text(const char *text)
{
	static char proc[80];

	support_put(dir, "proc/kallsyms", text);
	snprintf(proc, sizeof(proc), "%s/proc", dir);
	ck_assert_int_eq(host_open(&host, proc, NULL, NULL), 0);
	return kernel_symbols_open(&k, &host, err, sizeof(err));
}

static void check(uint64_t addr, const char *name, const char *module, uint64_t start)
{
	const char *in = "unset", *is = kernel_name(k, addr, &in);

	ck_assert_uint_eq(kernel_function(k, addr), start);
	if (!name) {
		ck_assert_ptr_null(is);
		return;
	}
	ck_assert_ptr_nonnull(is);
	ck_assert_str_eq(is, name);
	ck_assert_str_eq(in, module);
	ck_assert_str_eq(kernel_name(k, addr, NULL), name);
}

START_TEST(a_captured_kernel_has_its_names)
{
	support_host(&host, "kallsyms");
	ck_assert_int_eq(kernel_symbols_open(&k, &host, err, sizeof(err)), 0);
	check(0xffffffff81000080, "entry_SYSCALL_64", "", 0xffffffff81000080);
	check(0xffffffff810000ab, "entry_SYSCALL_64", "", 0xffffffff81000080);
	/* The name people know of several, and no mark of a section. */
	check(0xffffffff81000001, "srso_alias_untrain_ret", "", 0xffffffff81000000);
	check(0xffffffff81000301, "irq_entries_start", "", 0xffffffff81000300);
	check(0xffffffff81382731, "__x64_sys_getpid", "", 0xffffffff81382730);
	check(0xffffffff81000f71, "swapgs_restore_regs_and_return_to_usermode", "",
	      0xffffffff81000f70);
	/* The room in front of a function belongs to none of its own. */
	MUST(!strstr(kernel_name(k, 0xffffffff813828b8, NULL), "__pfx_"));
	/* Behind the text is none. */
	check(0xffffffff82276509, NULL, NULL, 0xffffffff82276509);
	check(0xffffffff837f67d8, NULL, NULL, 0xffffffff837f67d8);
	check(0xffffffff80000000, NULL, NULL, 0xffffffff80000000);
	check(0x1234, NULL, NULL, 0x1234);
	check(0, NULL, NULL, 0);
	check(UINT64_MAX, NULL, NULL, UINT64_MAX);
}
END_TEST

START_TEST(modules_and_bpf_programs)
{
	support_host(&host, "kallsyms");
	ck_assert_int_eq(kernel_symbols_open(&k, &host, err, sizeof(err)), 0);
	check(0xffffffffc03000a0, "nft_do_chain", "nf_tables", 0xffffffffc0300080);
	check(0xffffffffc0310010, "xfs_bmap_add", "xfs", 0xffffffffc0310000);
	check(0xffffffffc0320010, "bpf_prog_6deef7357e7b4530_sd_fw_egress", "bpf",
	      0xffffffffc0320000);
	check(0xffffffffc0201000, "ftrace_trampoline", "__builtin__ftrace", 0xffffffffc0201000);
	/* The last one of a module does not reach to the next module, nor the last of all to the end. */
	check(0xffffffffc0301400, "nft_do_chain_inet", "nf_tables", 0xffffffffc0300400);
	check(0xffffffffc0301401, NULL, NULL, 0xffffffffc0301401);
	check(0xffffffffc0230000, NULL, NULL, 0xffffffffc0230000);
	check(0xffffffffd0000000, NULL, NULL, 0xffffffffd0000000);
}
END_TEST

START_TEST(unsorted_lines_and_far_modules)
{
	/* arm64: modules lie below the kernel; lines in no order. */
	ck_assert_int_eq(open_text("ffff800080010000 T _stext\nffff800080000000 T _text\n"
				   "ffff800080010100 t b\nffff800079000000 t low\t[mod]\n"
				   "ffff800080010080 T a\n0000000000001000 t percpu\n"),
			 0);
	check(0xffff800080010090, "a", "", 0xffff800080010080);
	check(0xffff800080010100, "b", "", 0xffff800080010100);
	check(0xffff800079000010, "low", "mod", 0xffff800079000000);
	check(0x1000, NULL, NULL, 0x1000);
}
END_TEST

START_TEST(hidden_addresses_are_said_to_be)
{
	support_put(dir, "proc/sys/kernel/kptr_restrict", "2\n");
	support_put(dir, "proc/sys/kernel/perf_event_paranoid", "3\n");
	ck_assert_int_eq(open_text("0000000000000000 T _text\n0000000000000000 t foo\n"), -EACCES);
	MUST(strstr(err, "kptr_restrict") && strstr(err, "is 2") && strstr(err, "is 3"));
	MUST(strlen(err) < sizeof(err) - 1);
	MUST(!k);
}
END_TEST

START_TEST(no_file_and_no_symbols)
{
	char proc[80];

	snprintf(proc, sizeof(proc), "%s/none", dir);
	mkdir(proc, 0755);
	ck_assert_int_eq(host_open(&host, proc, NULL, NULL), 0);
	ck_assert_int_eq(kernel_symbols_open(&k, &host, err, sizeof(err)), -ENOENT);
	MUST(strstr(err, "kallsyms"));
	host_close(&host);
	ck_assert_int_eq(open_text("ffffffff81000000 D data\nnonsense\n"), -ENODATA);
}
END_TEST

START_TEST(garbage_is_passed_over)
{
	size_t len = 200000;
	char *text = malloc(len + 1), *p = text;

	p += sprintf(p, "\n\n \nffffffff81000000\nffffffff81000000 T\nffffffff81000000 T \n"
			"xyz T name\nffffffff81000100 Tx name\nffffffff81000040 T good\n");
	memset(p, 'a', 150000); /* a line longer than what is read at once */
	p += 150000;
	p += sprintf(p, "\nffffffff81000200 t after [unclosed\nffffffff81000300 t last\t[mod]");
	ck_assert_int_eq(open_text(text), 0);
	check(0xffffffff81000041, "good", "", 0xffffffff81000040);
	check(0xffffffff81000201, "after", "", 0xffffffff81000200);
	free(text);
}
END_TEST

/* Each function of the host's kernel is found in its midst, as the file has it. */
START_TEST(this_kernel_has_its_names)
{
	char line[1024], name[512], type;
	unsigned long long at, last = 0;
	size_t n = 0, same = 0;

	ck_assert_int_eq(host_open(&host, NULL, NULL, NULL), 0);
	int r = kernel_symbols_open(&k, &host, err, sizeof(err));

	if (r == -EACCES || r == -ENOENT) {
		MUST(err[0]);
		return;
	}
	ck_assert_int_eq(r, 0);
	FILE *f = fopen("/proc/kallsyms", "r");

	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx %c %511s", &at, &type, name) != 3 || type != 'T' ||
		    strncmp(name, "__pfx_", 6) == 0 || at == last || strstr(name, "_etext") ||
		    strstr(name, "_einittext"))
			continue;
		last = at;
		n++;
		const char *is = kernel_name(k, at, NULL);

		MUST(is && kernel_function(k, at) == at);
		same += strcmp(is, name) == 0;
	}
	fclose(f);
	MUST(n > 1000 && same > n / 10 * 9);
	MUST(kernel_symbols_bytes(k) < n * 100);
}
END_TEST

int main(void)
{
	TCase *tc = tcase_create("kallsyms");

	tcase_set_timeout(tc, 60);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, a_captured_kernel_has_its_names);
	tcase_add_test(tc, modules_and_bpf_programs);
	tcase_add_test(tc, unsorted_lines_and_far_modules);
	tcase_add_test(tc, hidden_addresses_are_said_to_be);
	tcase_add_test(tc, no_file_and_no_symbols);
	tcase_add_test(tc, garbage_is_passed_over);
	tcase_add_test(tc, this_kernel_has_its_names);
	return support_run_case("kallsyms", tc);
}
