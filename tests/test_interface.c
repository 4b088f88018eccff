#include "support.h"

#include <pthread.h>
#include <stdatomic.h>

extern const struct collector collector_interface;

#define HEAD                                                                                       \
	"Inter-|   Receive                                                |  Transmit\n"           \
	" face |bytes    packets errs drop fifo frame compressed multicast|bytes    packets errs " \
	"drop fifo colls carrier compressed\n"
#define LO                                                                                         \
	"    lo:    3519      34    0    0    0     0          0         0     3519      34    "   \
	"0    0    0     0       0          0\n"
#define ETH "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n"

static char dir[64];
static struct rig rig;

static void put_dev(const char *text)
{
	support_put(dir, "proc/net/dev", text);
}

static void put_link(const char *name, const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), "sys/class/net/%s/%s", name, file);
	support_put(dir, path, text);
}

static void start(const char *text)
{
	support_dir(dir);
	put_dev(text);
	put_link("eth0", "flags", "0x1003\n");
	put_link("eth0", "operstate", "up\n");
	put_link("eth0", "carrier", "1\n");
	put_link("eth0", "speed", "10000\n");
	put_link("eth0", "mtu", "9000\n");
	put_link("lo", "operstate", "unknown\n");
	put_link("lo", "speed", "-1\n");
	ck_assert_int_eq(rig_open_dir(&rig, &collector_interface, dir), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
}

static void stop(void)
{
	rig_close(&rig);
	support_rm(dir);
}

START_TEST(reads_a_real_host)
{
	support_host(&rig.host, "host-a");
	ck_assert_int_eq(rig_open(&rig, &collector_interface), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_uint_eq(rig.batches[0].n_live, 4);
	ck_assert_uint_eq(rig.batches[1].n_live, 4);
	ck_assert_int_gt(rig_value(&rig, "network.interface.in.bytes", "eth0"), 0);
	ck_assert_int_eq(rig_value(&rig, "network.interface.mtu", "lo"), 65536);
	rig_close(&rig);
}
END_TEST

START_TEST(every_column_lands_in_its_metric)
{
	static const struct {
		const char *name;
		int64_t v;
	} want[] = {{"in.bytes", 1},	 {"in.packets", 2},  {"in.errors", 3},	{"in.drops", 4},
		    {"in.fifo", 5},	 {"in.frame", 6},    {"in.mcasts", 8},	{"out.bytes", 9},
		    {"out.packets", 10}, {"out.errors", 11}, {"out.drops", 12}, {"out.fifo", 13},
		    {"collisions", 14},	 {"out.carrier", 15}};
	char metric[64];

	start(HEAD LO ETH);
	for (size_t i = 0; i < sizeof(want) / sizeof(want[0]); i++) {
		snprintf(metric, sizeof(metric), "network.interface.%s", want[i].name);
		ck_assert_int_eq(rig_value(&rig, metric, "eth0"), want[i].v);
	}
	stop();
}
END_TEST

START_TEST(link_state_and_speed)
{
	start(HEAD LO ETH);
	ck_assert_int_eq(rig_value(&rig, "network.interface.up", "eth0"), 1);
	ck_assert_int_eq(rig_value(&rig, "network.interface.operstate", "eth0"), 6);
	ck_assert_int_eq(rig_value(&rig, "network.interface.carrier", "eth0"), 1);
	ck_assert_int_eq(rig_value(&rig, "network.interface.link_speed", "eth0"), 10000);
	ck_assert_int_eq(rig_value(&rig, "network.interface.mtu", "eth0"), 9000);
	ck_assert_int_eq(rig_value(&rig, "network.interface.operstate", "lo"), 0);
	ck_assert_int_eq(rig_value(&rig, "network.interface.link_speed", "lo"), VALUE_ABSENT);
	ck_assert_int_eq(rig_value(&rig, "network.interface.carrier", "lo"), VALUE_ABSENT);
	stop();
}
END_TEST

START_TEST(the_worker_reads_when_asked_and_follows_changes)
{
	start(HEAD LO ETH);
	put_link("eth0", "operstate", "down\n");
	put_link("wlan0", "operstate", "dormant\n");
	put_link("wlan0", "mtu", "1500\n");
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_int_eq(rig_value(&rig, "network.interface.operstate", "eth0"), 6);
	ck_assert_int_eq(rig.c->work(rig.state, 0, &rig.host), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_int_eq(rig_value(&rig, "network.interface.operstate", "eth0"), 2);
	ck_assert_int_eq(rig_value(&rig, "network.interface.operstate", "wlan0"), 5);
	ck_assert_int_eq(rig_value(&rig, "network.interface.link_speed", "eth0"), 10000);
	ck_assert_uint_eq(rig.batches[1].n_live, 3);
	char cmd[128];

	snprintf(cmd, sizeof(cmd), "rm -r %s/sys/class/net/wlan0", dir);
	ck_assert_int_eq(system(cmd), 0);
	ck_assert_int_eq(rig.c->work(rig.state, 0, &rig.host), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_uint_eq(rig.batches[1].n_live, 2);
	stop();
}
END_TEST

START_TEST(a_change_of_speed_is_seen_in_time)
{
	start(HEAD LO ETH);
	put_link("eth0", "speed", "1000\n");
	for (int pass = 0; pass < 8; pass++) {
		rig_sample(&rig);
		rig.c->work(rig.state, 0, &rig.host);
	}
	rig_sample(&rig);
	ck_assert_int_eq(rig_value(&rig, "network.interface.link_speed", "eth0"), 1000);
	stop();
}
END_TEST

START_TEST(interfaces_come_and_go)
{
	start(HEAD LO ETH);
	ck_assert_uint_eq(rig.batches[0].n_live, 2);
	put_dev(HEAD LO "veth12345678901: 7 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n" ETH);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_int_eq(rig_value(&rig, "network.interface.in.bytes", "veth12345678901"), 7);
	put_dev(HEAD ETH);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_uint_eq(rig.batches[0].n_live, 1);
	ck_assert_int_eq(rig_value(&rig, "network.interface.in.packets", "eth0"), 2);
	stop();
}
END_TEST

START_TEST(a_host_with_many_interfaces_is_read_in_turn)
{
	char name[32];

	start(HEAD LO ETH);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		put_link(name, "mtu", "1280\n");
	}
	for (int pass = 0; pass < 4; pass++) {
		rig_sample(&rig);
		rig.c->work(rig.state, 0, &rig.host);
	}
	rig_sample(&rig);
	ck_assert_uint_eq(rig.batches[1].n_live, 202);
	for (int i = 0; i < 200; i++) {
		snprintf(name, sizeof(name), "v%d", i);
		ck_assert_int_eq(rig_value(&rig, "network.interface.mtu", name), 1280);
	}
	stop();
}
END_TEST

static void *work_on(void *stop)
{
	while (!atomic_load((_Atomic bool *)stop))
		rig.c->work(rig.state, 0, &rig.host);
	return NULL;
}

/* Under SAN=thread this finds what the two share without saying so. */
START_TEST(worker_and_sampler_run_at_once)
{
	_Atomic bool stopped = false;
	pthread_t thread;

	start(HEAD LO ETH);
	ck_assert_int_eq(pthread_create(&thread, NULL, work_on, &stopped), 0);
	for (int pass = 0; pass < 2000; pass++) {
		ck_assert_int_eq(rig_sample(&rig), 0);
		ck_assert_int_eq(rig_value(&rig, "network.interface.mtu", "eth0"), 9000);
	}
	atomic_store(&stopped, true);
	rig.c->wake(rig.state);
	pthread_join(thread, NULL);
	stop();
}
END_TEST

START_TEST(without_sysfs_traffic_goes_on)
{
	start(HEAD LO ETH);
	close(rig.host.fd[ROOT_SYS]);
	rig.host.fd[ROOT_SYS] = -1;
	ck_assert_int_eq(rig_sample(&rig), 1);
	ck_assert_ptr_nonnull(strstr(rig.report.reason, "not measured"));
	ck_assert_int_eq(rig_value(&rig, "network.interface.in.bytes", "eth0"), 1);
	stop();
}
END_TEST

START_TEST(survives_truncation_and_garbage)
{
	static char huge[1 << 16];

	start(HEAD LO ETH);
	rig_torture(&rig, dir, "proc/net/dev", HEAD LO ETH, 1000);
	put_dev(HEAD "  eth0: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 1");
	ck_assert_int_eq(rig_sample(&rig), -EBADMSG);
	put_dev(HEAD
		"  a_name_that_no_kernel_would_take: 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16\n");
	ck_assert_int_eq(rig_sample(&rig), -EBADMSG);
	memset(huge, '|', sizeof(huge));
	support_write(dir, "proc/net/dev", huge, sizeof(huge));
	ck_assert_int_eq(rig_sample(&rig), -EFBIG);
	stop();
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		reads_a_real_host,
		every_column_lands_in_its_metric,
		link_state_and_speed,
		the_worker_reads_when_asked_and_follows_changes,
		a_change_of_speed_is_seen_in_time,
		interfaces_come_and_go,
		a_host_with_many_interfaces_is_read_in_turn,
		worker_and_sampler_run_at_once,
		without_sysfs_traffic_goes_on,
		survives_truncation_and_garbage,
	};

	return support_run("interface", tests, sizeof(tests) / sizeof(tests[0]));
}
