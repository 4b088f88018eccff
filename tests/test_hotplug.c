/*
 * Real devices of this machine made and removed under the collectors: a veth pair (in a network
 * namespace of the test's own), a loop device, a CPU taken offline. What the machine does not allow
 * is skipped with a word. No value may jump when an instance comes back.
 * run.sh: alone
 */
#include "support.h"

#include <sched.h>
#include <sys/mount.h>

extern const struct collector collector_cpu, collector_disk, collector_interface;

static struct rig rig;

static void open_live(const struct collector *c)
{
	rig = (struct rig){0};
	ck_assert_int_eq(host_open(&rig.host, NULL, NULL, NULL), 0);
	ck_assert_int_eq(rig_open(&rig, c), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
}

static const struct instance *find(unsigned group, const char *name)
{
	const struct batch *b = &rig.batches[group];

	for (uint32_t s = 0; s < b->n_slots; s++)
		if (b->inst[s].live && strcmp(b->inst[s].name, name) == 0)
			return &b->inst[s];
	return NULL;
}

static bool skip(bool cannot, const char *why)
{
	if (cannot)
		printf("skipped: %s: %s\n", why, strerror(errno));
	return cannot;
}

/* A network namespace with a /sys of its own, for this test's process. */
static bool own_network(void)
{
	return (unshare(CLONE_NEWNET | CLONE_NEWNS) == 0 ||
		unshare(CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS) == 0) &&
	       mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0 &&
	       mount("sysfs", "/sys", "sysfs", 0, NULL) == 0;
}

START_TEST(a_veth_pair_comes_and_goes)
{
	if (skip(!own_network(), "no network namespace"))
		return;
	open_live(&collector_interface);
	ck_assert_ptr_null(find(0, "strobe0"));
	if (skip(system("ip link add strobe0 type veth peer name strobe1 && ip link set strobe0 "
			"up"),
		 "no veth"))
		return;
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_int_eq(rig.c->work(rig.state, 0, &rig.host), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_ptr_nonnull(find(0, "strobe0"));
	ck_assert_ptr_nonnull(find(0, "strobe1"));
	ck_assert_int_eq(rig_value(&rig, "network.interface.up", "strobe0"), 1);
	ck_assert_int_eq(rig_value(&rig, "network.interface.up", "strobe1"), 0);
	ck_assert_int_eq(rig_value(&rig, "network.interface.link_speed", "strobe0"), 10000);
	ck_assert_int_eq(system("ip link del strobe0"), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_ptr_null(find(0, "strobe0"));
	ck_assert_int_eq(rig.c->work(rig.state, 0, &rig.host), 0);
	ck_assert_int_eq(rig_sample(&rig), 0);
	ck_assert_ptr_null(find(1, "strobe0"));
	rig_close(&rig);
}
END_TEST

/* Runs cmd and returns the first word of what it prints, "" if it failed. */
static const char *word_of(const char *cmd)
{
	static char word[128];
	FILE *p = popen(cmd, "r");

	word[0] = 0;
	if (p && (!fgets(word, sizeof(word), p) || pclose(p)))
		word[0] = 0;
	word[strcspn(word, " \n")] = 0;
	return word;
}

START_TEST(a_loop_device_comes_and_goes)
{
	char dir[64], cmd[256], device[128];

	support_dir(dir);
	snprintf(cmd, sizeof(cmd),
		 "truncate -s 8M %s/image && losetup -f --show %s/image 2>/dev/null", dir, dir);
	snprintf(device, sizeof(device), "%s", word_of(cmd));
	if (!skip(strncmp(device, "/dev/", 5) != 0, "no loop device")) {
		const char *name = device + 5;

		open_live(&collector_disk);
		ck_assert_ptr_nonnull(find(0, name));
		ck_assert_int_eq(rig_value(&rig, "disk.dev.capacity", name), 8192);
		int64_t before = rig_value(&rig, "disk.dev.read_bytes", name);

		snprintf(cmd, sizeof(cmd), "dd if=%s of=/dev/null bs=1M iflag=direct 2>/dev/null",
			 device);
		ck_assert_int_eq(system(cmd), 0);
		ck_assert_int_eq(rig_sample(&rig), 0);
		ck_assert_int_eq(rig_value(&rig, "disk.dev.read_bytes", name) - before, 8 * 2048);
		snprintf(cmd, sizeof(cmd), "losetup -d %s", device);
		ck_assert_int_eq(system(cmd), 0);
		for (int i = 0; i < 50 && find(0, name); i++) {
			usleep(100000); /* the kernel lets go of it when its last user has gone */
			ck_assert_int_eq(rig_sample(&rig), 0);
		}
		ck_assert_ptr_null(find(0, name));
		ck_assert_ptr_null(find(1, name));
		rig_close(&rig);
	}
	support_rm(dir);
}
END_TEST

#define ONLINE "/sys/devices/system/cpu/cpu1/online"

static int set_cpu1(const char *value)
{
	int fd = open(ONLINE, O_WRONLY | O_CLOEXEC), r = -1;

	if (fd >= 0) {
		r = write(fd, value, 1) == 1 ? 0 : -1;
		close(fd);
	}
	return r;
}

START_TEST(a_cpu_goes_offline_and_comes_back)
{
	open_live(&collector_cpu);
	const struct instance *cpu1 = find(1, "cpu1");

	if (cpu1 && !skip(set_cpu1("0") != 0, "cpu1 stays online")) {
		int64_t n = rig_value(&rig, "hinv.ncpu", "");
		int64_t idle = rig_value(&rig, "kernel.percpu.cpu.idle", "cpu1");
		uint32_t gen = cpu1->gen;

		ck_assert_int_eq(rig_sample(&rig), 0);
		ck_assert_ptr_null(find(1, "cpu1"));
		ck_assert_int_eq(rig_value(&rig, "hinv.ncpu", ""), n - 1);
		ck_assert_int_eq(set_cpu1("1"), 0);
		ck_assert_int_eq(rig_sample(&rig), 0);
		cpu1 = find(1, "cpu1");
		ck_assert_ptr_nonnull(cpu1);
		ck_assert_uint_eq(cpu1->gen, gen + 1);
		ck_assert_int_ge(rig_value(&rig, "kernel.percpu.cpu.idle", "cpu1"), idle);
	}
	rig_close(&rig);
}
END_TEST

/* In the parent, so also after a failed or killed test. */
static void cpu1_online(void)
{
	if (access(ONLINE, W_OK) == 0)
		set_cpu1("1");
}

static void nothing(void)
{
}

int main(void)
{
	TCase *tc = tcase_create("hotplug");

	tcase_set_timeout(tc, 30);
	tcase_add_unchecked_fixture(tc, nothing, cpu1_online);
	tcase_add_test(tc, a_veth_pair_comes_and_goes);
	tcase_add_test(tc, a_loop_device_comes_and_goes);
	tcase_add_test(tc, a_cpu_goes_offline_and_comes_back);
	return support_run_case("hotplug", tc);
}
