#include "base/counter.h"
#include "collectors/interrupts/sources.h"
#include "own_proc.h"

extern const struct collector collector_interrupts;

enum { G_SOURCE, G_PERCPU, G_ALL, G_SOFTIRQ, G_SOFTIRQ_CPU };

static int open_dir(struct rig *r)
{
	return rig_open_own(r, &collector_interrupts);
}

static int64_t source(const struct rig *r, const char *name)
{
	return rig_value(r, "kernel.all.interrupts.total", name);
}

static bool has(const struct rig *r, unsigned group, const char *name)
{
	const struct batch *b = &r->batches[group];

	for (uint32_t s = 0; s < b->n_slots; s++)
		if (b->inst[s].live && strcmp(b->inst[s].name, name) == 0)
			return true;
	return false;
}

static const char *description(const struct rig *r, const char *name)
{
	const struct batch *b = &r->batches[G_SOURCE];

	for (uint32_t s = 0; s < b->n_slots; s++)
		if (b->inst[s].live && strcmp(b->inst[s].name, name) == 0)
			return b->attrs[s * b->n_attrs];
	return "";
}

#define HEAD2 "           CPU0       CPU1       \n"
#define SOFT2 "                    CPU0       CPU1       \n      NET_RX:         10         20\n"

START_TEST(values_of_a_real_host)
{
	struct rig r = {0};

	support_host(&r.host, "host-a");
	ck_assert_int_eq(rig_open(&r, &collector_interrupts), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_uint_eq(r.batches[G_SOURCE].n_live, 33);
	ck_assert_int_eq(source(&r, "36:virtio1-req.0"), 94787);
	ck_assert_int_eq(source(&r, "LOC"), 39867 + 41343);
	ck_assert_int_eq(rig_value(&r, "kernel.percpu.intr", "cpu0"), 187341);
	ck_assert_int_eq(rig_value(&r, "kernel.percpu.intr", "cpu1"), 281662);
	ck_assert_int_eq(rig_value(&r, "kernel.percpu.sirq", "cpu1"), 178698);
	ck_assert_int_eq(rig_value(&r, "kernel.all.softirqs.total", "NET_RX"), 20346);
	ck_assert_int_eq(rig_value(&r, "kernel.percpu.softirqs", "BLOCK::cpu1"), 94786);
	ck_assert_int_eq(rig_value(&r, "kernel.all.interrupts.errors", ""), 0);
	ck_assert_int_eq(rig_value(&r, "kernel.all.interrupts.missed", ""), 0);
	ck_assert_str_eq(description(&r, "LOC"), "Local timer interrupts");
	ck_assert_str_eq(description(&r, "26:ttyS0"), "IO-APIC 4-edge ttyS0");
	ck_assert(!has(&r, G_SOURCE, "others"));
	rig_close(&r);
}
END_TEST

START_TEST(a_large_host_shows_the_busiest_and_the_rest_as_others)
{
	struct rig r = {0};
	int64_t sum = 0, cpus = 0;

	support_host(&r.host, "host-b");
	ck_assert_int_eq(rig_open(&r, &collector_interrupts), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_uint_eq(r.batches[G_SOURCE].n_live, SOURCES_SHOWN + 1);
	ck_assert_uint_eq(r.batches[G_PERCPU].n_live, 31);
	ck_assert_uint_eq(r.batches[G_SOFTIRQ_CPU].n_live, 310);
	ck_assert(!has(&r, G_PERCPU, "cpu13"));
	ck_assert(!has(&r, G_SOFTIRQ_CPU, "RCU::cpu13"));
	ck_assert(has(&r, G_SOFTIRQ_CPU, "RCU::cpu31"));
	ck_assert_int_eq(rig_value(&r, "kernel.all.interrupts.errors", ""), 3);
	ck_assert_int_eq(rig_value(&r, "kernel.all.interrupts.missed", ""), 1);
	for (uint32_t s = 0; s < SOURCES_SHOWN + 1; s++)
		sum += r.batches[G_SOURCE].rows[s];
	for (uint32_t s = 0; s < 31; s++)
		cpus += r.batches[G_PERCPU].rows[s * 2];
	ck_assert_int_eq(sum, 69815969368);
	ck_assert_int_eq(cpus, 69815969368); /* by source or by CPU: the same interrupts */
	ck_assert(has(&r, G_SOURCE,
		      "300:a-driver-with-a-very-long-name-that-goes-on-and-on-past-wha"));
	rig_close(&r);
}
END_TEST

START_TEST(a_steady_layout_is_not_searched_again)
{
	struct irq_table t = {0};
	struct host h;

	support_host(&h, "host-b");
	ck_assert_int_eq(irq_table_open(&t, &h, "interrupts", true), 0);
	for (uint64_t tick = 1; tick < 4; tick++) {
		ck_assert_int_eq(irq_table_read(&t, tick), 0);
		ck_assert_int_eq(t.changed, tick == 1);
	}
	ck_assert_uint_eq(t.n_cpus, 31);
	ck_assert_uint_eq(t.cpus[13], 14);
	irq_table_close(&t);
	host_close(&h);
}
END_TEST

START_TEST(a_cpu_that_goes_and_returns_makes_no_spike)
{
	struct rig r;

	put("interrupts", HEAD2 "LOC:       1000       2000   Local timer interrupts\n");
	put("softirqs", SOFT2);
	ck_assert_int_eq(open_dir(&r), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(source(&r, "LOC"), 3000);
	put("interrupts", "           CPU0       \nLOC:       1005   Local timer interrupts\n");
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert(!has(&r, G_PERCPU, "cpu1"));
	ck_assert(!has(&r, G_SOFTIRQ_CPU, "NET_RX::cpu1"));
	put("interrupts", "           CPU0       \nLOC:       1015   Local timer interrupts\n");
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(source(&r, "LOC"), 3010);
	put("interrupts", HEAD2 "LOC:       1016       2001   Local timer interrupts\n");
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(source(&r, "LOC"), 3010);
	put("interrupts", HEAD2 "LOC:       1017       2005   Local timer interrupts\n");
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(source(&r, "LOC"), 3015);
	ck_assert_int_eq(rig_value(&r, "kernel.percpu.intr", "cpu1"), 2004);
	rig_close(&r);
}
END_TEST

START_TEST(counts_go_on_across_the_wrap_of_32_bits)
{
	struct rig r;

	put("interrupts", HEAD2 "LOC: 4294967290 4294967000   Local timer interrupts\n");
	put("softirqs", SOFT2);
	ck_assert_int_eq(open_dir(&r), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	put("interrupts", HEAD2 "LOC:          4 4294967001   Local timer interrupts\n");
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(source(&r, "LOC"), 4294967290 + 4294967000 + 11);
	ck_assert_int_eq(rig_value(&r, "kernel.percpu.intr", "cpu0"), 4294967300);
	rig_close(&r);
}
END_TEST

START_TEST(a_source_that_comes_or_goes_leaves_the_others_alone)
{
	struct rig r;

	put("interrupts", HEAD2 "  1:         10          0  IO-APIC   1-edge      kbd\n"
				"  9:          5          5  IO-APIC   9-edge      acpi\n");
	put("softirqs", SOFT2);
	ck_assert_int_eq(open_dir(&r), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	put("interrupts", HEAD2 "  1:         12          0  IO-APIC   1-edge      kbd\n"
				"  4:        100          7  IO-APIC   4-edge      \n"
				"  9:          5          6  IO-APIC   9-edge      acpi, usb\n");
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(source(&r, "4"), 107); /* no driver: the number alone */
	ck_assert_int_eq(source(&r, "9:acpi, usb"), 11);
	ck_assert(!has(&r, G_SOURCE, "9:acpi"));
	ck_assert_int_eq(rig_value(&r, "kernel.percpu.intr", "cpu0"), 15);
	put("interrupts", HEAD2 "  1:         15          0  IO-APIC   1-edge      kbd\n"
				"  9:          6          6  IO-APIC   9-edge      acpi, usb\n");
	ck_assert_int_eq(rig_sample(&r), 0);
	put("interrupts", HEAD2 "  1:         17          0  IO-APIC   1-edge      kbd\n"
				"  9:          6          7  IO-APIC   9-edge      acpi, usb\n");
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert(!has(&r, G_SOURCE, "4"));
	ck_assert_int_eq(source(&r, "1:kbd"), 12);
	ck_assert_int_eq(rig_value(&r, "kernel.percpu.intr", "cpu0"), 17);
	ck_assert_int_eq(rig_value(&r, "kernel.percpu.intr", "cpu1"), 6);
	rig_close(&r);
}
END_TEST

static void put_many(unsigned n, const int64_t *counts)
{
	static char text[16384];
	size_t len = (size_t)snprintf(text, sizeof(text), "%s", HEAD2);

	for (unsigned i = 0; i < n; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					"%3u: %10u %10u  PCI   %u-edge      q%u\n", i,
					(unsigned)counts[i], 0u, i, i);
	put("interrupts", text);
}

START_TEST(changing_sides_steps_neither_the_source_nor_others)
{
	enum { N = 80 };
	int64_t counts[N], others, last, before = 0;
	bool shown = false;
	struct rig r;

	for (int i = 0; i < N; i++)
		counts[i] = 1000 - i;
	put_many(N, counts);
	put("softirqs", SOFT2);
	ck_assert_int_eq(open_dir(&r), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	last = others = source(&r, "others");
	for (int i = SOURCES_SHOWN; i < N; i++)
		before += counts[i];
	ck_assert_int_eq(others, before);
	ck_assert(!has(&r, G_SOURCE, "79:q79"));
	/* the last one gets busy, all else is idle: it must come up, and no total may jump */
	for (int pass = 0; pass < 2 * SOURCES_RANK_PASSES; pass++) {
		counts[N - 1] += 5;
		put_many(N, counts);
		ck_assert_int_eq(rig_sample(&r), 0);
		others = source(&r, "others");
		ck_assert_int_eq(others - last, shown ? 0 : 5);
		shown = has(&r, G_SOURCE, "79:q79");
		last = others;
		ck_assert_uint_eq(r.batches[G_SOURCE].n_live, SOURCES_SHOWN + 1);
	}
	ck_assert_int_eq(source(&r, "79:q79"), counts[N - 1]);
	ck_assert_str_eq(description(&r, "79:q79"), "PCI 79-edge q79");
	/* Opened again, as after a failure or by an agent that found its log: "others" counts
	 * on. */
	r.c->close(r.state);
	memset(r.state, 0, r.c->state_size);
	ck_assert_int_eq(r.c->open(r.state, &r.host, &r.report), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(source(&r, "others"), last);
	rig_close(&r);
}
END_TEST

START_TEST(rows_cut_off_or_short_do_not_harm_the_rest)
{
	struct rig r;

	put("interrupts", HEAD2 "  1:         10          3  IO-APIC   1-edge      kbd\n"
				"MIS:          7\nIPI:          9\n"
				"  text without a label\n: 5 5\nlong label that is none: 1 2\n\n"
				"  9:          5          5  IO-AP");
	put("softirqs", SOFT2 "  RC");
	ck_assert_int_eq(open_dir(&r), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_uint_eq(r.batches[G_SOURCE].n_live, 2);
	ck_assert_int_eq(source(&r, "1:kbd"), 13);
	ck_assert_int_eq(source(&r, "IPI"), 9);
	ck_assert_int_eq(rig_value(&r, "kernel.percpu.intr", "cpu0"), 19);
	ck_assert_int_eq(rig_value(&r, "kernel.percpu.intr", "cpu1"), 3);
	ck_assert_int_eq(rig_value(&r, "kernel.all.interrupts.missed", ""), 7);
	ck_assert_int_eq(rig_value(&r, "kernel.all.interrupts.errors", ""), VALUE_ABSENT);
	ck_assert_uint_eq(r.batches[G_SOFTIRQ].n_live, 1);
	ck_assert_int_eq(rig_sample(&r), 0);
	rig_close(&r);
}
END_TEST

START_TEST(columns_of_another_width_are_read_too)
{
	struct rig r;

	put("interrupts", "  CPU0 CPU2\n5: 10 3 x\n7: 123456 0 y\n");
	put("softirqs", "CPU0 CPU1 CPU2\nHI: 1 2 3\n");
	ck_assert_int_eq(open_dir(&r), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	ck_assert_int_eq(source(&r, "5"), 13);
	ck_assert_int_eq(rig_value(&r, "kernel.percpu.intr", "cpu2"), 3);
	ck_assert_int_eq(rig_value(&r, "kernel.percpu.sirq", "cpu2"), 3);
	ck_assert_int_eq(rig_value(&r, "kernel.percpu.softirqs", "HI::cpu2"), 3);
	ck_assert(!has(&r, G_SOFTIRQ_CPU, "HI::cpu1"));
	rig_close(&r);
}
END_TEST

START_TEST(garbage_and_oversize_are_errors)
{
	static char big[64 * 1024];
	static const char *const texts[] = {
		"",
		"\n",
		"CPU",
		"CPUx\n",
		"CPU0\n",
		"CPU0",
		"CPU99999999999\n1: 5\n",
		"CPU0\n1: x\n",
		"CPU-1\n1: 5\n",
		"\xff\xfe\n\x01: 1\n",
		"CPU0 CPU1x\n1: 5\n",
	};

	for (size_t i = 0; i < sizeof(texts) / sizeof(*texts); i++) {
		struct rig r;

		put("interrupts", texts[i]);
		put("softirqs", SOFT2);
		ck_assert_int_eq(open_dir(&r), 0);
		ck_assert_int_eq(rig_sample(&r), -EBADMSG);
		ck_assert_ptr_nonnull(strstr(r.report.reason, "interrupts"));
		put("interrupts", HEAD2 "LOC: 1 2   Local timer interrupts\n");
		put("softirqs", texts[i]);
		ck_assert_int_eq(rig_sample(&r), -EBADMSG);
		ck_assert_ptr_nonnull(strstr(r.report.reason, "softirqs"));
		memset(big, '1', sizeof(big) - 1);
		put("interrupts", big);
		ck_assert_int_eq(rig_sample(&r), -EFBIG);
		rig_close(&r);
	}
}
END_TEST

START_TEST(more_cpus_or_rows_than_reserved_ask_for_a_new_open)
{
	static char text[16384];
	struct rig r;
	size_t len = 0;

	put("interrupts", HEAD2 "LOC:          1          2   Local timer interrupts\n");
	put("softirqs", SOFT2);
	ck_assert_int_eq(open_dir(&r), 0);
	ck_assert_int_eq(rig_sample(&r), 0);
	for (int i = 0; i < 40; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, " CPU%d", i);
	snprintf(text + len, sizeof(text) - len, "\nLOC: 1 2\n");
	put("interrupts", text);
	ck_assert_int_eq(rig_sample(&r), -ENOSPC);
	len = (size_t)snprintf(text, sizeof(text), HEAD2);
	for (int i = 0; i < 100; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%d: 1 2\n", i);
	put("interrupts", text);
	ck_assert_int_eq(rig_sample(&r), -ENOSPC);
	rig_close(&r);
}
END_TEST

START_TEST(no_file_no_source)
{
	struct rig r;

	ck_assert_int_eq(open_dir(&r), -ENOENT);
	rig_close(&r);
}
END_TEST

int main(void)
{
	TCase *t = tcase_create("interrupts");

	tcase_add_checked_fixture(t, make_dir, remove_dir);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, values_of_a_real_host);
	tcase_add_test(t, a_large_host_shows_the_busiest_and_the_rest_as_others);
	tcase_add_test(t, a_steady_layout_is_not_searched_again);
	tcase_add_test(t, a_cpu_that_goes_and_returns_makes_no_spike);
	tcase_add_test(t, counts_go_on_across_the_wrap_of_32_bits);
	tcase_add_test(t, a_source_that_comes_or_goes_leaves_the_others_alone);
	tcase_add_test(t, changing_sides_steps_neither_the_source_nor_others);
	tcase_add_test(t, rows_cut_off_or_short_do_not_harm_the_rest);
	tcase_add_test(t, columns_of_another_width_are_read_too);
	tcase_add_test(t, garbage_and_oversize_are_errors);
	tcase_add_test(t, more_cpus_or_rows_than_reserved_ask_for_a_new_open);
	tcase_add_test(t, no_file_no_source);
	return support_run_case("interrupts", t);
}
