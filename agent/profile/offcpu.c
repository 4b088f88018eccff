#include "profile/offcpu.h"

#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>

/* Beginnings of names, the more telling first; what all ways to sleep have in common (schedule, schedule_timeout) is
 * not here but the last resort. A name that ends in "$" must be the whole. */
static const struct {
	const char *name;
	enum stacks_class class;
} known[] = {
	{"io_schedule", STACKS_DISK},
	{"folio_wait", STACKS_DISK},
	{"wait_on_page", STACKS_DISK},
	{"bit_wait_io", STACKS_DISK},
	{"__wait_on_buffer", STACKS_DISK},
	{"submit_bio_wait", STACKS_DISK},
	{"blk_", STACKS_DISK},
	{"blkdev_", STACKS_DISK},
	{"jbd2_log_wait", STACKS_DISK},
	{"jbd2_journal_commit", STACKS_DISK},
	{"wait_on_commit", STACKS_DISK},
	{"wait_transaction_locked", STACKS_DISK},
	{"xfs_buf_lock", STACKS_DISK},
	{"btrfs_wait", STACKS_DISK},
	{"request_wait_answer", STACKS_DISK},
	{"p9_client_rpc", STACKS_DISK},
	{"cifs_", STACKS_DISK},
	{"rq_qos_wait", STACKS_DISK},
	{"wbt_wait", STACKS_DISK},
	{"__iomap_dio_rw", STACKS_DISK},
	{"balance_dirty_pages", STACKS_DISK},
	{"xlog_", STACKS_DISK},
	{"xfs_log_force", STACKS_DISK},
	{"nfs_wait", STACKS_NETWORK},
	{"rpc_wait", STACKS_NETWORK},

	{"futex_", STACKS_CONDITION},
	{"__futex_", STACKS_CONDITION},
	{"do_futex", STACKS_CONDITION},
	{"__mutex_lock", STACKS_LOCK},
	{"mutex_lock", STACKS_LOCK},
	{"__ww_mutex_lock", STACKS_LOCK},
	{"rt_mutex_", STACKS_LOCK},
	{"__rt_mutex_", STACKS_LOCK},
	{"rwsem_", STACKS_LOCK},
	{"down_read", STACKS_LOCK},
	{"down_write", STACKS_LOCK},
	{"__down", STACKS_LOCK},
	{"down$", STACKS_LOCK},
	{"down_interruptible", STACKS_LOCK},
	{"down_killable", STACKS_LOCK},
	{"down_timeout", STACKS_LOCK},
	{"percpu_rwsem_", STACKS_LOCK},
	{"__percpu_down", STACKS_LOCK},
	{"locks_lock", STACKS_LOCK},
	{"flock_lock", STACKS_LOCK},
	{"fcntl_setlk", STACKS_LOCK},
	{"do_lock_file_wait", STACKS_LOCK},
	{"semtimedop", STACKS_LOCK},
	{"do_semtimedop", STACKS_LOCK},
	{"__do_semtimedop", STACKS_LOCK},
	{"io_ring_submit_lock", STACKS_LOCK},
	{"wait_rcu_gp", STACKS_LOCK},
	{"__wait_rcu_gp", STACKS_LOCK},
	{"synchronize_rcu", STACKS_LOCK},
	{"synchronize_srcu", STACKS_LOCK},

	{"sk_wait", STACKS_NETWORK},
	{"sk_stream_wait", STACKS_NETWORK},
	{"__skb_wait", STACKS_NETWORK},
	{"__skb_recv", STACKS_NETWORK},
	{"skb_recv", STACKS_NETWORK},
	{"tcp_", STACKS_NETWORK},
	{"udp_", STACKS_NETWORK},
	{"udpv6_", STACKS_NETWORK},
	{"raw_recvmsg", STACKS_NETWORK},
	{"inet_", STACKS_NETWORK},
	{"inet6_", STACKS_NETWORK},
	{"unix_", STACKS_NETWORK},
	{"netlink_", STACKS_NETWORK},
	{"packet_", STACKS_NETWORK},
	{"vsock_", STACKS_NETWORK},
	{"sock_recvmsg", STACKS_NETWORK},
	{"sock_sendmsg", STACKS_NETWORK},
	{"sock_read_iter", STACKS_NETWORK},
	{"sock_write_iter", STACKS_NETWORK},
	{"sctp_", STACKS_NETWORK},
	{"mptcp_", STACKS_NETWORK},
	{"svc_recv", STACKS_NETWORK},
	{"tun_", STACKS_NETWORK},

	{"do_nanosleep", STACKS_SLEEP},
	{"hrtimer_nanosleep", STACKS_SLEEP},
	{"do_poll", STACKS_SLEEP},
	{"do_sys_poll", STACKS_SLEEP},
	{"do_select", STACKS_SLEEP},
	{"core_sys_select", STACKS_SLEEP},
	{"ep_poll", STACKS_SLEEP},
	{"do_epoll_wait", STACKS_SLEEP},
	{"io_cqring_wait", STACKS_SLEEP},
	{"do_wait", STACKS_SLEEP},
	{"kernel_wait4", STACKS_SLEEP},
	{"do_sigtimedwait", STACKS_SLEEP},
	{"__do_sys_pause", STACKS_SLEEP},
	{"sigsuspend", STACKS_SLEEP},
	{"do_signal_stop", STACKS_SLEEP},
	{"timerfd_read", STACKS_SLEEP},
	{"eventfd_read", STACKS_SLEEP},
	{"signalfd_read", STACKS_SLEEP},
	{"inotify_read", STACKS_SLEEP},
	{"n_tty_read", STACKS_SLEEP},
	{"worker_thread", STACKS_SLEEP},
	{"smpboot_thread_fn", STACKS_SLEEP},
	{"kthreadd", STACKS_SLEEP},
	{"kthread_worker_fn", STACKS_SLEEP},
	{"rcu_gp_kthread", STACKS_SLEEP},
	{"rcu_gp_fqs_loop", STACKS_SLEEP},
	{"rcu_nocb", STACKS_SLEEP},
	{"kswapd", STACKS_SLEEP},
	{"kcompactd", STACKS_SLEEP},
	{"khugepaged", STACKS_SLEEP},
	{"oom_reaper", STACKS_SLEEP},
	{"kauditd_thread", STACKS_SLEEP},
	{"devtmpfsd", STACKS_SLEEP},
	{"kjournald2", STACKS_SLEEP},
	{"io_wq_worker", STACKS_SLEEP},
	{"io_worker", STACKS_SLEEP},
	{"watchdog", STACKS_SLEEP},
	{"usleep_range", STACKS_SLEEP},
	{"msleep", STACKS_SLEEP},
	{"fanotify_read", STACKS_SLEEP},
	{"io_sq_thread", STACKS_SLEEP},
	{"irq_wait_for_interrupt", STACKS_SLEEP},
	{"psi_rtpoll_worker", STACKS_SLEEP},
	{"psi_poll_worker", STACKS_SLEEP},
	{"scsi_error_handler", STACKS_SLEEP},
	{"rescuer_thread", STACKS_SLEEP},
	{"rcu_tasks_", STACKS_SLEEP},
	{"kvm_vcpu_block", STACKS_SLEEP},
	{"kvm_vcpu_halt", STACKS_SLEEP},
};

enum stacks_class offcpu_function_class(const char *name)
{
	for (size_t i = 0; i < sizeof(known) / sizeof(*known); i++) {
		size_t len = strlen(known[i].name);
		bool whole = known[i].name[len - 1] == '$';

		if (strncmp(name, known[i].name, len - whole) == 0 && (!whole || !name[len - 1]))
			return known[i].class;
	}
	return STACKS_CLASSES;
}

enum stacks_class offcpu_class(const struct kernel_symbols *kernel, const uint64_t *ips,
			       size_t n_ips)
{
	bool timed = false, user = false;

	for (size_t i = 0; kernel && i < n_ips && !user; i++) {
		const char *module, *name;
		enum stacks_class class;

		user = ips[i] == (uint64_t)PERF_CONTEXT_USER;
		if (ips[i] >= (uint64_t)PERF_CONTEXT_MAX)
			continue;
		name = user ? NULL : kernel_name(kernel, ips[i] - 1, &module);
		if (!name)
			continue;
		class = offcpu_function_class(name);
		if (class != STACKS_CLASSES)
			return class;
		timed = timed || strncmp(name, "schedule_timeout", 16) == 0 ||
			strncmp(name, "schedule_hrtimeout", 18) == 0;
	}
	return timed ? STACKS_SLEEP : STACKS_OTHER;
}

bool offcpu_futex_is_lock(uint32_t op, uint32_t value)
{
	enum { COMMAND = 0x7f, LOCK_PI = 6, LOCK_PI2 = 13 };
	const uint32_t owned = 0x80000000, command = op & COMMAND;

	return command == LOCK_PI || command == LOCK_PI2 || value == 2 || value == 3 ||
	       value & owned;
}

static void clear(struct task_off *off, int64_t at_ns)
{
	off->n_ips = 0;
	off->since_ns = at_ns;
	off->preempted = false;
	off->regs = NULL;
	off->user.now = false;
}

void offcpu_stack(struct task *t, int64_t at_ns, const uint64_t *ips, size_t n_ips)
{
	struct task_off *off = &t->off;

	clear(off, at_ns);
	if (n_ips > off->cap_ips) {
		uint64_t *grown = realloc(off->ips, n_ips * sizeof(*ips));

		if (grown) {
			off->ips = grown;
			off->cap_ips = (uint16_t)n_ips;
		}
	}
	off->n_ips = (uint16_t)(n_ips < off->cap_ips ? n_ips : off->cap_ips);
	if (off->n_ips)
		memcpy(off->ips, ips, off->n_ips * sizeof(*ips));
}

void offcpu_out(struct task *t, int64_t at_ns, bool preempted)
{
	if (!t->off.since_ns)
		clear(&t->off, at_ns); /* its stack was not taken */
	t->off.since_ns = at_ns;
	t->off.preempted = preempted;
}

int64_t offcpu_in(struct task *t, int64_t at_ns)
{
	int64_t since_ns = t->off.since_ns;

	t->off.since_ns = 0;
	return since_ns && at_ns >= since_ns ? at_ns - since_ns : -1;
}

bool offcpu_guard_count(struct offcpu_guard *g, int64_t at_ns)
{
	int64_t second_ns = at_ns - at_ns % 1000000000;

	if (second_ns != g->second_ns)
		*g = (struct offcpu_guard){.second_ns = second_ns};
	return ++g->n > OFFCPU_SWITCHES_MAX;
}

uint32_t offcpu_min_us(uint32_t min_us, uint32_t least_us, uint64_t kept, uint32_t n_cpus)
{
	enum { EACH_CPU = 1500, LEAST = 3000, MOST = 16000, MIN_US_MAX = 1000000 };
	uint64_t max = (uint64_t)n_cpus * EACH_CPU;

	max = max < LEAST ? LEAST : max > MOST ? MOST : max;
	if (kept > max && min_us < MIN_US_MAX)
		return min_us ? min_us * 2 : 1;
	if (kept < max / 2 && min_us > least_us)
		return min_us / 2 > least_us ? min_us / 2 : least_us;
	return min_us;
}
