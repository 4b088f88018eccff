/*
 * A target whose memory map is really locked: one of its threads waits in a page fault, holding the
 * map, for a file system of ours that does not answer; another waits to change the map. Reading its
 * cmdline hangs from then on. No tick may be missed for it, and the report must name it.
 */
#include "base/clock.h"
#include "support.h"

#include <linux/fuse.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <sys/wait.h>

extern const struct collector collector_process;

enum { FILE_NODE = 2, FILE_SIZE = 1 << 20, HOLD_MS = 4000, TICK_MS = 100, WORKERS = 2 };

/* ---- a file system of one file, whose pages come late and broken ---- */

static void reply(int fd, uint64_t unique, int error, const void *data, size_t len)
{
	struct fuse_out_header h = {
		.len = (uint32_t)(sizeof(h) + len), .error = error, .unique = unique};
	struct iovec v[2] = {{&h, sizeof(h)}, {(void *)(uintptr_t)data, len}};

	if (writev(fd, v, 2) < 0)
		return; /* the asker was interrupted */
}

static struct fuse_attr attr_of(uint64_t node)
{
	bool file = node == FILE_NODE;

	return (struct fuse_attr){.ino = node,
				  .size = file ? FILE_SIZE : 0,
				  .mode = file ? S_IFREG | 0644 : S_IFDIR | 0755,
				  .nlink = 1,
				  .blksize = 4096};
}

static void serve_one(int fd, const struct fuse_in_header *in, const void *arg, int release)
{
	switch (in->opcode) {
	case FUSE_INIT: {
		const struct fuse_init_in *i = arg;
		struct fuse_init_out o = {.major = FUSE_KERNEL_VERSION,
					  .minor = i->minor,
					  .max_write = 4096,
					  .max_background = 8,
					  .congestion_threshold = 8};

		reply(fd, in->unique, 0, &o, sizeof(o));
		break;
	}
	case FUSE_LOOKUP: {
		struct fuse_entry_out o = {.nodeid = FILE_NODE,
					   .attr_valid = 60,
					   .entry_valid = 60,
					   .attr = attr_of(FILE_NODE)};

		reply(fd, in->unique, 0, &o, sizeof(o));
		break;
	}
	case FUSE_GETATTR: {
		struct fuse_attr_out o = {.attr_valid = 60, .attr = attr_of(in->nodeid)};

		reply(fd, in->unique, 0, &o, sizeof(o));
		break;
	}
	case FUSE_OPEN: {
		struct fuse_open_out o = {.fh = 1};

		reply(fd, in->unique, 0, &o, sizeof(o));
		break;
	}
	case FUSE_READ: { /* the kernel tries again after an error, then with the map held */
		struct pollfd p = {.fd = release, .events = POLLIN};

		poll(&p, 1, HOLD_MS);
		reply(fd, in->unique, -EIO, NULL, 0);
		break;
	}
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		break;
	default:
		reply(fd, in->unique, -ENOSYS, NULL, 0);
	}
}

static _Noreturn void serve(int fd, int release)
{
	static _Alignas(8) char buf[1 << 17];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf));

		if (n < (ssize_t)sizeof(struct fuse_in_header)) {
			if (n < 0 && (errno == EINTR || errno == EAGAIN || errno == ENOENT))
				continue;
			_exit(0);
		}
		serve_one(fd, (const void *)buf, buf + sizeof(struct fuse_in_header), release);
	}
}

/* ---- the target ---- */

static void *touch(void *arg)
{
	return (void *)(uintptr_t) * (volatile char *)arg;
}

static void *change_map(void *unused)
{
	(void)unused;
	for (;;) {
		void *p = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

		munmap(p, 4096);
		usleep(1000);
	}
	return NULL;
}

/* Children that share the map until they execute: in execve they wait for its lock, and whoever
 * reads their io waits with them. */
static void *run_programs(void *unused)
{
	(void)unused;
	for (;;) {
		pid_t pid = vfork();

		if (pid == 0) {
			execl("/bin/true", "true", NULL);
			_exit(1);
		}
		waitpid(pid, NULL, 0);
		usleep(200000);
	}
	return NULL;
}

/* Changes its name all the time, so that its cmdline is asked for again and again. */
static _Noreturn void be_target(const char *path)
{
	pthread_t t[3];
	int fd = open(path, O_RDONLY);
	char *map = mmap(NULL, FILE_SIZE, PROT_READ, MAP_SHARED, fd, 0);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGBUS, SIG_DFL); /* how the fault ends: nothing to be told of by a sanitizer */
	if (fd < 0 || map == MAP_FAILED)
		_exit(1);
	pthread_create(&t[0], NULL, touch, map);
	pthread_create(&t[1], NULL, change_map, NULL);
	pthread_create(&t[2], NULL, run_programs, NULL);
	for (unsigned i = 0;; i++) {
		char name[16];

		snprintf(name, sizeof(name), "held-%u", i);
		prctl(PR_SET_NAME, name);
		usleep(50000);
	}
}

/* ---- the test ---- */

static struct rig rig;
static atomic_bool stop;

static void *worker(void *arg)
{
	while (!atomic_load(&stop) &&
	       collector_process.work(rig.state, (unsigned)(uintptr_t)arg, &rig.host) == 0)
		;
	return NULL;
}

static pid_t fork_for(void (*run)(const void *), const void *arg)
{
	pid_t pid = fork();

	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		run(arg);
	return pid;
}

struct server {
	int fuse, release;
};

static void run_server(const void *arg)
{
	const struct server *s = arg;

	serve(s->fuse, s->release);
}

static void run_target(const void *arg)
{
	be_target(arg);
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* Ticks on an absolute schedule until the report names pid (or does not any more). The worst time
 * that a sample took, in ms. */
static double tick_until(pid_t pid, bool named, unsigned at_most, bool *ret)
{
	struct timespec next;
	double worst = 0;
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	clock_gettime(CLOCK_MONOTONIC, &next);
	*ret = false;
	for (unsigned i = 0; i < at_most && !*ret; i++) {
		next.tv_nsec += TICK_MS * 1000000;
		next.tv_sec += next.tv_nsec / 1000000000;
		next.tv_nsec %= 1000000000;
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &next, NULL);
		uint64_t t = clock_ns(CLOCK_MONOTONIC);

		rig.report.reason[0] = 0;
		rig_sample(&rig);
		double ms = (double)(clock_ns(CLOCK_MONOTONIC) - t) / 1e6;

		worst = ms > worst ? ms : worst;
		*ret = !!strstr(rig.report.reason, path) == named;
	}
	return worst;
}

START_TEST(a_locked_map_costs_no_tick)
{
	char dir[64], options[128], path[80];
	int release[2], fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	pthread_t workers[WORKERS];
	bool named, cleared;

	support_dir(dir);
	snprintf(options, sizeof(options), "fd=%d,rootmode=40000,user_id=%u,group_id=%u", fuse,
		 getuid(), getgid());
	if (fuse < 0 || mount("strobe-test", dir, "fuse", MS_NOSUID | MS_NODEV, options)) {
		printf("skipped: no FUSE here: %s\n", strerror(errno));
		rmdir(dir);
		return;
	}
	ck_assert_int_eq(pipe(release), 0);
	pid_t server = fork_for(run_server, &(struct server){fuse, release[0]});

	close(fuse); /* the server's death ends the connection, and everybody's waiting */
	snprintf(path, sizeof(path), "%s/slow", dir);
	pid_t target = fork_for(run_target, path);

	memset(&rig, 0, sizeof(rig));
	ck_assert_int_eq(host_open(&rig.host, NULL, NULL, NULL), 0);
	ck_assert_int_eq(rig_open(&rig, &collector_process), 0);
	for (uintptr_t i = 0; i < WORKERS; i++)
		pthread_create(&workers[i], NULL, worker, (void *)i);
	/* As the sampler: above whoever else is busy, where that is allowed. */
	pthread_setschedparam(pthread_self(), SCHED_FIFO,
			      &(struct sched_param){.sched_priority = 1});
	double worst = tick_until(target, true, 3 * HOLD_MS / TICK_MS, &named);
	double after =
		named ? tick_until(target, false, 5, &cleared) : 0; /* and on while it is held */

	ck_assert_int_eq(write(release[1], "x", 1), 1);
	tick_until(target, false, 100, &cleared);
	end(target);
	end(server);
	umount2(dir, MNT_DETACH);
	rmdir(dir);
	atomic_store(&stop, true);
	collector_process.wake(rig.state);
	for (int i = 0; i < WORKERS; i++)
		pthread_join(workers[i], NULL);
	rig_close(&rig);
	ck_assert_msg(named, "the report never named the target");
	ck_assert_msg(cleared, "the report named it still");
	ck_assert_msg(worst < TICK_MS && after<TICK_MS, "a sample took %.1f ms", worst> after
			      ? worst
			      : after);
	printf("the longest sample took %.1f ms\n", worst > after ? worst : after);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		a_locked_map_costs_no_tick,
	};

	return support_run("process_lock", tests, sizeof(tests) / sizeof(*tests));
}
