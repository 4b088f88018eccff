#include "base/fields.h"
#include "own_proc.h"

extern const struct collector collector_tcpip;

static void open_dir(struct rig *r)
{
	*r = (struct rig){0};
	ck_assert_int_eq(host_open(&r->host, dir, NULL, NULL), 0);
}

static int64_t get(const struct rig *r, const char *metric)
{
	return rig_value(r, metric, "");
}

START_TEST(values_of_a_real_host)
{
	struct rig r = {0};

	support_host(&r.host, "host-a");
	ck_assert_int_eq(rig_open(&r, &collector_tcpip), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(get(&r, "network.ip.inreceives"), 17253);
	ck_assert_int_eq(get(&r, "network.tcp.insegs"), 16990);
	ck_assert_int_eq(get(&r, "network.tcp.outrsts"), 83);
	ck_assert_int_eq(get(&r, "network.udp.outdatagrams"), 265);
	ck_assert_int_eq(get(&r, "network.tcp.origdatasent"), 941);
	ck_assert_int_eq(get(&r, "network.ip.outoctets"), 836942);
	ck_assert_int_eq(get(&r, "network.ip6.outoctets"), 880);
	ck_assert_int_eq(get(&r, "network.udp6.memerrors"), 0);
	for (unsigned g = 0; g < r.c->n_groups; g++)
		for (uint32_t m = 0; m < r.c->groups[g].n_metrics; m++)
			ck_assert_msg(r.batches[g].rows[m] != VALUE_ABSENT, "%s is absent",
				      r.c->groups[g].metrics[m].name);
	rig_close(&r);
}
END_TEST

START_TEST(absent_fields_are_not_zero)
{
	struct rig r;

	put("net/snmp", "Tcp: InSegs Later RetransSegs\nTcp: 5 6 7\n");
	put("net/netstat", "TcpExt: ListenDrops\nTcpExt: 8\n");
	open_dir(&r);
	ck_assert_int_eq(rig_open(&r, &collector_tcpip), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(get(&r, "network.tcp.insegs"), 5);
	ck_assert_int_eq(get(&r, "network.tcp.retranssegs"), 7);
	ck_assert_int_eq(get(&r, "network.tcp.listendrops"), 8);
	ck_assert_int_eq(get(&r, "network.tcp.outsegs"), VALUE_ABSENT);
	ck_assert_int_eq(get(&r, "network.tcp.timeouts"), VALUE_ABSENT);
	ck_assert_int_eq(get(&r, "network.ip6.inreceives"), VALUE_ABSENT); /* IPv6 off */
	rig_close(&r);
}
END_TEST

START_TEST(columns_are_bound_again_when_the_header_changes)
{
	struct rig r;

	put("net/snmp", "Tcp: InSegs OutSegs RetransSegs\nTcp: 5 6 7\n");
	put("net/netstat", "TcpExt: ListenDrops\nTcpExt: 8\n");
	put("net/snmp6",
	    "Ip6InReceives                   \t1\nUdp6NoPorts                     \t2\n");
	open_dir(&r);
	ck_assert_int_eq(rig_open(&r, &collector_tcpip), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	put("net/snmp", "Ip: InReceives\nIp: 1000\nTcp: RetransSegs InSegs\nTcp: 8 123456789012\n");
	put("net/snmp6",
	    "Ip6InReceives                   \t1\nIcmp6InType1                    \t9\n"
	    "Udp6NoPorts                     \t22\n");
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(get(&r, "network.ip.inreceives"), 1000);
	ck_assert_int_eq(get(&r, "network.tcp.insegs"), 123456789012);
	ck_assert_int_eq(get(&r, "network.tcp.retranssegs"), 8);
	ck_assert_int_eq(get(&r, "network.tcp.outsegs"), VALUE_ABSENT);
	ck_assert_int_eq(get(&r, "network.udp6.noports"), 22);
	rig_close(&r);
}
END_TEST

START_TEST(a_truncated_file_leaves_the_rest_absent)
{
	struct rig r;

	put("net/snmp", "Ip: InReceives InDelivers\nIp: 1 2\nTcp: InSegs OutSegs\nTcp: 5");
	open_dir(&r);
	ck_assert_int_eq(rig_open(&r, &collector_tcpip), 0);
	ck_assert_int_gt(rig_sample(&r), 0); /* no netstat: said so */
	ck_assert_str_ne(r.report.reason, "");
	ck_assert_int_eq(get(&r, "network.ip.indelivers"), 2);
	ck_assert_int_eq(get(&r, "network.tcp.insegs"), 5);
	ck_assert_int_eq(get(&r, "network.tcp.outsegs"), VALUE_ABSENT);
	rig_close(&r);
}
END_TEST

START_TEST(an_oversized_file_is_refused_not_cut)
{
	static char big[64 * 1024];
	struct rig r;

	put("net/snmp", "Tcp: InSegs\nTcp: 5\n");
	put("net/netstat", "TcpExt: ListenDrops\nTcpExt: 8\n");
	open_dir(&r);
	ck_assert_int_eq(rig_open(&r, &collector_tcpip), 0);
	memset(big, 'a', sizeof(big) - 1);
	put("net/snmp", big);
	ck_assert_int_eq(rig_sample(&r), -EFBIG);
	rig_close(&r);
}
END_TEST

START_TEST(garbage_is_an_error_in_words)
{
	static const char *const texts[] = {
		"",
		"\n\n\n",
		"Tcp",
		"Tcp: 5\nTcp: 6\n",
		"Tcp: InSegs\nUdp: 6\n",
		": :\n: 5\n",
		"-\n- - 5 -5 5- \t\n",
		"Tcp: InSegs\nTcp: 99999999999999999999x\n",
		"\xff\xfe 5\n\xff 6 7\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct rig r;

		put("net/snmp", texts[i]);
		put("net/netstat", texts[i]);
		put("net/snmp6", texts[i]);
		open_dir(&r);
		ck_assert_int_eq(rig_open(&r, &collector_tcpip), 0);
		ck_assert_int_gt(rig_sample(&r), 0);
		ck_assert_int_gt(rig_sample(&r), 0);
		ck_assert_ptr_nonnull(strstr(r.report.reason, "net/snmp6"));
		ck_assert_int_eq(get(&r, "network.tcp.insegs"), VALUE_ABSENT);
		rig_close(&r);
	}
}
END_TEST

START_TEST(a_host_without_the_files_has_no_such_source)
{
	struct rig r;

	open_dir(&r);
	ck_assert_int_eq(rig_open(&r, &collector_tcpip), -ENOENT);
	ck_assert_ptr_nonnull(strstr(r.report.reason, "net/snmp"));
	rig_close(&r);
}
END_TEST

static int nth_column(const void *ctx, const struct fields_at *at)
{
	(void)ctx;
	return at->word_len == 1 ? at->word[0] - 'a' : -1;
}

/* Random texts of words and numbers: bound fields read what fresh ones read. */
START_TEST(bound_fields_equal_fresh_ones)
{
	struct fields kept;
	int64_t a[26], b[26];
	unsigned seed = 7;

	ck_assert_int_eq(fields_init(&kept, "a 1 b 2 c 3 d 4", 4096), 0);
	for (int round = 0; round < 5000; round++) {
		struct fields fresh;
		char text[512];
		size_t len = 0;
		int words = 4 + (rand_r(&seed) % 50 == 0);

		for (int i = 0; i < words; i++) {
			int magnitude = rand_r(&seed) % 9;

			len += (size_t)snprintf(text + len, sizeof(text) - len, "%c %*d%s", 'a' + i,
						rand_r(&seed) % 100 ? 8 : 12,
						rand_r(&seed) >> magnitude * 3,
						i % 2 ? "\n" : "\t");
		}
		ck_assert_int_eq(fields_init(&fresh, text, 4096), 0);
		ck_assert_uint_eq(fields_read(&kept, text, len, nth_column, NULL, a, 26),
				  (unsigned)words);
		ck_assert_uint_eq(fields_read(&fresh, text, len, nth_column, NULL, b, 26),
				  (unsigned)words);
		ck_assert_mem_eq(a, b, sizeof(a));
		fields_done(&fresh);
	}
	ck_assert_uint_lt(kept.n_bound, 1000);
	fields_done(&kept);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("tcpip");

	tcase_add_checked_fixture(t, make_dir, remove_dir);
	tcase_add_test(t, values_of_a_real_host);
	tcase_add_test(t, absent_fields_are_not_zero);
	tcase_add_test(t, columns_are_bound_again_when_the_header_changes);
	tcase_add_test(t, a_truncated_file_leaves_the_rest_absent);
	tcase_add_test(t, an_oversized_file_is_refused_not_cut);
	tcase_add_test(t, garbage_is_an_error_in_words);
	tcase_add_test(t, a_host_without_the_files_has_no_such_source);
	tcase_add_test(t, bound_fields_equal_fresh_ones);
	return support_run_case("tcpip", t);
}
