/* SPDX-License-Identifier: Apache-2.0 OR GPL-2.0-only */
/*
 * In the kernel: how long threads are off the CPU. A switch costs two look-ups; only a wait that is long enough to be
 * kept costs more. Its stack is taken when it is over, for the thread still stands where it stopped, with its stack in
 * the kernel as it was and its user registers at the bottom of it. But the switch itself is seen while the other
 * thread is still the current one. So it is done a moment later: at the tracepoint at the end of the switch where the
 * kernel has that (sched_exit_tp, Linux 6.16); else in an interrupt on this CPU, which the switch raises (by a record
 * in a ring that nobody reads) and which comes as soon as it lets interrupts in.
 */
#include <linux/bpf.h>
#include <linux/types.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

#include "profile/bpf/offcpu.h"

#define BY_FIELDS __attribute__((preserve_access_index))

/* Of the kernel's own only what is read here: where it lies is found when the program is loaded. */
struct sched_info {
	__u64 run_delay; /* ns that it could run and did not */
} BY_FIELDS;

struct task_struct {
	int pid;
	unsigned int __state;
	struct sched_info sched_info;
} BY_FIELDS;

enum { TASK_DEAD = 0x80 };

/* The agent sets the numbers of entries. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct offcpu_cpu);
} cpus SEC(".maps");

/* Of each thread that has left a CPU, when. */
struct away {
	__u64 since; /* ns, the lowest bit set if it could have gone on; 0: it runs */
	__u64 run_delay;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct away);
} threads SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERF_EVENT_ARRAY);
	__uint(key_size, sizeof(__u32));
	__uint(value_size, sizeof(__u32));
} kicks SEC(".maps"), waits SEC(".maps");

static __always_inline __u64 run_delay(struct task_struct *t)
{
	return bpf_core_field_exists(t->sched_info) ? t->sched_info.run_delay : 0;
}

static __always_inline void leave(struct offcpu_cpu *c, struct task_struct *t, int preempted,
				  __u64 now)
{
	__u32 tid = (__u32)t->pid;
	unsigned int state = t->__state;
	struct away away = {(now & ~1ull) | (preempted || !state), run_delay(t)};
	struct away *slot = bpf_map_lookup_elem(&threads, &tid);

	if (state & TASK_DEAD) {
		if (slot)
			bpf_map_delete_elem(&threads, &tid);
		return;
	}
	if (slot) {
		c->missed += slot->since != 0; /* the kernel did not say that it came back */
		*slot = away;
	} else if (bpf_map_update_elem(&threads, &tid, &away, BPF_NOEXIST) < 0) {
		c->unknown++;
	}
}

static __always_inline void enter(void *ctx, struct offcpu_cpu *c, struct task_struct *t, __u64 now)
{
	__u32 tid = (__u32)t->pid;
	struct away *slot = bpf_map_lookup_elem(&threads, &tid);
	__u64 since, waited;

	if (!slot || !slot->since)
		return;
	since = slot->since;
	slot->since = 0;
	waited = now - (since & ~1ull);
	if (waited < c->min_ns) {
		c->n_short++;
		c->short_ns += waited;
		return;
	}
	c->wait.since_ns = since & ~1ull;
	c->wait.until_ns = now;
	c->wait.preempted = since & 1;
	c->wait.queued_ns = slot->run_delay;
	c->tid = tid;
	if (c->kick &&
	    bpf_perf_event_output(ctx, &kicks, BPF_F_CURRENT_CPU, &tid, sizeof(tid)) < 0) {
		c->missed++;
		c->tid = 0;
	}
}

SEC("tp_btf/sched_switch")
int offcpu_switch(__u64 *ctx)
{
	int preempted = (int)ctx[0];
	struct task_struct *prev = (void *)ctx[1], *next = (void *)ctx[2];
	__u32 cpu = bpf_get_smp_processor_id();
	struct offcpu_cpu *c = bpf_map_lookup_elem(&cpus, &cpu);
	__u64 now;

	if (!c || !c->min_ns)
		return 0;
	now = bpf_ktime_get_ns();
	c->switches++;
	if (c->tid) {
		c->missed++;
		c->tid = 0;
	}
	if (prev->pid)
		leave(c, prev, preempted, now);
	if (next->pid)
		enter(ctx, c, next, now);
	return 0;
}

/* By now the kernel has added to the account what this wait had of it. */
static __always_inline void keep(void *ctx, struct offcpu_cpu *c)
{
	c->wait.queued_ns = run_delay(bpf_get_current_task_btf()) - c->wait.queued_ns;
	if (bpf_perf_event_output(ctx, &waits, BPF_F_CURRENT_CPU, &c->wait, sizeof(c->wait)) < 0)
		c->dropped++;
	else
		c->kept++;
}

/* Where it is attached the agent says. */
SEC("tp_btf/sched_exit_tp")
int offcpu_back(__u64 *ctx)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct offcpu_cpu *c = bpf_map_lookup_elem(&cpus, &cpu);

	if (!c || !c->tid)
		return 0;
	if (c->tid != (__u32)bpf_get_current_pid_tgid())
		c->missed++;
	else
		keep(ctx, c);
	c->tid = 0;
	return 0;
}

/* The helpers used here are open to programs under the GPL. */
char offcpu_license[] SEC("license") = "GPL";
